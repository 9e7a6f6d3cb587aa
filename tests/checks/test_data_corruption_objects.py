"""Views, indexes and constraints that are broken in a database whose pages are sound: told as that, not as damage."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest
import yaml

from pytest_mdm_health.backends.sqlite import SqliteDatabase
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import follow, repair
from tests.postgres import PASSWORD, USER, MakePostgresHome, Server

CHECK = "data-corruption"
READERS = (CHECK, "type-mismatch", "feature-generation-failure")
"""The checks that read the registered tables."""

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
Change = Callable[[sqlite3.Connection], object]


def file_of(home: Path) -> Path:
    (path,) = (each for each in (home / "datasets/shop").iterdir() if each.suffix in {".sqlite", ".duckdb"})
    return path


@contextlib.contextmanager
def opened(home: Path) -> Iterator[sqlite3.Connection]:
    """The data of a dataset with a collation and a function that only this program has."""
    with contextlib.closing(sqlite3.connect(file_of(home), isolation_level=None)) as connection:
        connection.create_collation("of_ours", lambda one, other: (one > other) - (one < other))
        connection.create_function("of_ours", 1, str, deterministic=True)
        yield connection


def script(*statements: str) -> Change:
    return lambda connection: connection.executescript(";".join(statements))


def schema(name: str, old: str, new: str) -> str:
    """A statement that declares something differently, without looking at the rows."""
    update = f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}') WHERE name = '{name}'"
    return f"PRAGMA writable_schema=ON; {update}"


def found(result: Result) -> dict[str, Finding]:
    """The findings by what they are about, without those of tables that are sound and not registered."""
    return {each.subject: each for each in result.findings if each.code != f"{CHECK}.unregistered-table"}


def stale_index(connection: sqlite3.Connection) -> None:
    """An index that does not have what its table has since it was declared a partial one for a moment."""
    connection.execute("CREATE INDEX by_qty ON test (qty)")
    connection.executescript(schema("by_qty", "(qty)", "(qty) WHERE 0"))


def write_past_the_index(home: Path, statement: str) -> None:
    with opened(home) as connection:
        stale_index(connection)
    with opened(home) as connection:
        connection.execute(statement)
        connection.executescript(schema("by_qty", " WHERE 0", ""))


UNREGISTERED: dict[str, tuple[str, Change]] = {
    "view on a dropped table": (
        "table v",
        script("CREATE TABLE b (a)", "CREATE VIEW v AS SELECT a FROM b", "DROP TABLE b"),
    ),
    "view on a lost column": (
        "table v",
        script(
            "CREATE TABLE b (a, c)",
            "CREATE VIEW v AS SELECT a FROM b",
            "PRAGMA writable_schema=ON",
            "UPDATE sqlite_master SET sql = 'CREATE TABLE b (x, c)' WHERE name = 'b'",
        ),
    ),
    "views on each other": (
        "table v",
        script(
            "CREATE VIEW w AS SELECT 1 AS a",
            "CREATE VIEW v AS SELECT a FROM w",
            "PRAGMA writable_schema=ON",
            "UPDATE sqlite_master SET sql = 'CREATE VIEW w AS SELECT a FROM v' WHERE name = 'w'",
        ),
    ),
    "module that is not loaded": (
        "table v",
        script(
            "PRAGMA writable_schema=ON",
            "INSERT INTO sqlite_master VALUES ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING vec0(e float[3])')",
        ),
    ),
    "function in a view": ("table v", script("CREATE VIEW v AS SELECT of_ours(city) AS a FROM test")),
    "collation in a view": (
        "table v",
        script("CREATE VIEW v AS SELECT city FROM test ORDER BY city COLLATE of_ours"),
    ),
    "collation in an index": (
        "index i",
        script(
            "CREATE TABLE t (a TEXT COLLATE of_ours)", "INSERT INTO t VALUES ('b'), ('a')", "CREATE INDEX i ON t (a)"
        ),
    ),
    "function in a check": (
        "table t",
        script("CREATE TABLE t (a CHECK (of_ours(a) <> ''))", "INSERT INTO t VALUES (1)"),
    ),
}


@pytest.mark.parametrize("depth", ["standard", "full"])
@pytest.mark.parametrize("what", UNREGISTERED)
def test_what_mdm_does_not_read_is_a_note(home: Path, examine: Examine, what: str, depth: str) -> None:
    subject, change = UNREGISTERED[what]
    with opened(home) as connection:
        change(connection)
    result = examine(CHECK, home, "shop", depth=depth)
    finding = found(result)[subject]
    assert (result.status, finding.code, finding.severity) == (Status.PASS, f"{CHECK}.broken-object", NOTE)
    assert f"{CHECK}.damaged" not in {each.code for each in result.findings}


OF_REGISTERED: dict[str, str] = {
    "collation": "CREATE INDEX i ON test (city COLLATE of_ours)",
    "function": "CREATE INDEX i ON test (of_ours(city))",
}


@pytest.mark.parametrize("what", OF_REGISTERED)
def test_an_index_of_a_program_leaves_its_rows_readable(home: Path, examine: Examine, what: str) -> None:
    with opened(home) as connection:
        connection.execute(OF_REGISTERED[what])
    results = {check: examine(check, home, "shop") for check in READERS}
    finding = found(results[CHECK])["index i"]
    assert (results[CHECK].status, finding.code, finding.severity) == (Status.WARN, f"{CHECK}.broken-object", WARN)
    assert "of test needs what is not in the database" in finding.message
    with contextlib.closing(SqliteDatabase(file_of(home))) as database:
        assert database.integrity(complete=True) == ()  # by which backups are judged
    assert Status.ERROR not in {result.status for result in results.values()}


def test_damage_beside_a_collation_of_its_own_is_found(home: Path, examine: Examine) -> None:
    with opened(home) as connection:
        connection.execute("CREATE INDEX i ON test (city COLLATE of_ours)")
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'i'")
    with file_of(home).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x5a" * 4096)
    assert f"{CHECK}.damaged" in {each.code for each in examine(CHECK, home, "shop").findings}


def test_a_registered_view_without_its_table_fails_alone(home: Path, examine: Examine) -> None:
    with opened(home) as connection:
        connection.executescript("ALTER TABLE test RENAME TO b; CREATE VIEW test AS SELECT * FROM b; DROP TABLE b")
    result = examine(CHECK, home, "shop")
    finding = found(result)["table test"]
    assert (result.status, finding.code, finding.severity) == (Status.FAIL, f"{CHECK}.broken-object", FAIL)
    assert "no such table: main.b" in finding.message
    assert "mv " not in "".join(finding.remedy.commands)
    assert "do not register the dataset again" in finding.remedy.text
    assert examine("type-mismatch", home, "shop").status is Status.ERROR
    features = examine("feature-generation-failure", home, "shop")
    assert "test_features was not compared with test, which cannot be read" in features.reason
    assert not any("missing-table" in each.code for each in features.findings)


def test_a_registered_virtual_table_is_an_error(home: Path, examine: Examine) -> None:
    with opened(home) as connection:
        connection.executescript(
            "DROP TABLE test; PRAGMA writable_schema=ON; INSERT INTO sqlite_master "
            "VALUES ('table', 'test', 'test', 0, 'CREATE VIRTUAL TABLE test USING csv(filename=test.csv)')"
        )
    result = examine(CHECK, home, "shop")
    finding = found(result)["the table test"]
    assert (result.status, finding.code) == (Status.ERROR, f"{CHECK}.not-examined")
    assert "The database is not damaged" in finding.remedy.text


@pytest.mark.parametrize("depth", ["standard", "full"])
def test_an_index_that_disagrees_is_made_again(home: Path, examine: Examine, depth: str) -> None:
    write_past_the_index(home, "UPDATE test SET qty = qty + 1000 WHERE id % 2")
    result = examine(CHECK, home, "shop", depth=depth)
    assert result.status is Status.FAIL
    (finding,) = result.findings
    assert (finding.code, finding.subject) == (f"{CHECK}.index-disagrees", "index by_qty")
    look, *do = finding.remedy.commands
    assert "integrity_check" in look
    with opened(home) as connection:
        rows = [connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() for table in ("test", "train")]
    follow(replace(finding, remedy=replace(finding.remedy, commands=tuple(do))))
    with opened(home) as connection:
        assert rows == [
            connection.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() for table in ("test", "train")
        ]
    assert examine(CHECK, home, "shop", depth=depth).findings == ()


def test_rows_are_counted_without_an_index_that_lacks_some(home: Path, examine: Examine) -> None:
    write_past_the_index(home, "INSERT INTO test SELECT * FROM test WHERE id = (SELECT min(id) FROM test)")
    with contextlib.closing(SqliteDatabase(file_of(home))) as database:
        ((by_index,),) = database.query("SELECT count(*) FROM test INDEXED BY by_qty")
        assert database.count("test") == by_index + 1
    assert {"data-corruption.index-disagrees", "data-corruption.row-count"} == {
        each.code for each in examine(CHECK, home, "shop").findings
    }


def test_entries_that_a_table_lacks_are_a_last_trace(home: Path, examine: Examine) -> None:
    write_past_the_index(home, "DELETE FROM test WHERE id = (SELECT min(id) FROM test)")
    finding = found(examine(CHECK, home, "shop"))["index by_qty"]
    assert "wrong # of entries" in finding.message
    assert "the last trace of them" in finding.remedy.text
    assert finding.remedy.repairs == ()
    content = file_of(home).read_bytes()
    assert repair("reindex", file_of(home), "by_qty") == 1
    assert file_of(home).read_bytes() == content


def test_an_index_of_a_table_that_mdm_does_not_read_warns(home: Path, examine: Examine) -> None:
    with opened(home) as connection:
        connection.executescript("CREATE TABLE test2 AS SELECT * FROM test; CREATE INDEX by_qty ON test2 (qty)")
        connection.executescript(schema("by_qty", "(qty)", "(qty) WHERE 0"))
    with opened(home) as connection:
        connection.execute("UPDATE test2 SET qty = 7")
        connection.executescript(schema("by_qty", " WHERE 0", ""))
    assert found(examine(CHECK, home, "shop"))["index by_qty"].severity is WARN


def test_an_index_beside_damaged_pages_is_no_finding_of_its_own(home: Path, examine: Examine) -> None:
    write_past_the_index(home, "UPDATE test SET qty = qty + 1000 WHERE id % 2")
    with file_of(home).open("r+b") as file:
        file.seek(4096 * 30)
        file.write(b"\x5a" * 4096)
    codes = {each.code for each in examine(CHECK, home, "shop").findings}
    assert f"{CHECK}.damaged" in codes
    assert f"{CHECK}.index-disagrees" not in codes


CONSTRAINTS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "NOT NULL": (
        "NOT NULL t a",
        "t has no value in a, which is NOT NULL, in 2 rows",
        (
            "CREATE TABLE t (a, b)",
            "INSERT INTO t VALUES (NULL, 1), (NULL, 2), (3, 3)",
            schema("t", "(a, b)", "(a NOT NULL, b)"),
        ),
    ),
    "CHECK": (
        "CHECK t",
        "t does not meet its CHECK in 1 row",
        ("CREATE TABLE t (a CHECK (a > 0))", "PRAGMA ignore_check_constraints=ON", "INSERT INTO t VALUES (-1)"),
    ),
    "UNIQUE": (
        "UNIQUE t i",
        "its index i wants to be UNIQUE, in 1 row",
        (
            "CREATE TABLE t (a)",
            "INSERT INTO t VALUES (1), (1), (2)",
            "CREATE INDEX i ON t (a)",
            schema("i", "CREATE INDEX", "CREATE UNIQUE INDEX"),
        ),
    ),
    "foreign key": (
        "FOREIGN KEY t p",
        "t refers to rows that p does not have, in 2 rows",
        ("CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE t (a REFERENCES p)", "INSERT INTO t VALUES (7), (8)"),
    ),
}


@pytest.mark.parametrize("what", CONSTRAINTS)
def test_a_broken_constraint_is_no_damage(home: Path, examine: Examine, what: str) -> None:
    subject, message, statements = CONSTRAINTS[what]
    with opened(home) as connection:
        connection.executescript(";".join(statements))
    result = examine(CHECK, home, "shop")
    assert result.status is Status.PASS
    assert set(found(result)) == {subject}
    assert found(result)[subject].severity is NOTE
    assert message in found(result)[subject].message


def test_many_broken_rows_of_a_registered_table_hide_no_damage(home: Path, examine: Examine) -> None:
    with opened(home) as connection:
        connection.executescript(f"UPDATE test SET city = NULL; {schema('test', 'city TEXT', 'city TEXT NOT NULL')}")
        ((rows,),) = connection.execute("SELECT count(*) FROM test")
    finding = found(examine(CHECK, home, "shop"))["NOT NULL test city"]
    assert (finding.code, finding.severity) == (f"{CHECK}.broken-constraint", WARN)
    assert finding.evidence == {"rows": rows}
    with opened(home) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'train_features'")
    with file_of(home).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\x5a" * 4096)
    assert f"{CHECK}.damaged" in {each.code for each in examine(CHECK, home, "shop").findings}


def test_a_broken_view_leaves_the_comparison_of_the_others(home: Path, examine: Examine, tmp_path: Path) -> None:
    with opened(home) as connection:
        connection.executescript("CREATE TABLE b (a); CREATE VIEW v AS SELECT a FROM b; CREATE VIEW w AS SELECT 1 AS a")
    whole = examine(CHECK, home, "shop", save_baseline=tmp_path / "before.json")
    with opened(home) as connection:
        connection.execute("DROP TABLE b")
    broken = examine(CHECK, home, "shop", save_baseline=tmp_path / "before.json")
    assert examine(CHECK, home, "shop", before=broken).status is Status.PASS
    lost = examine(CHECK, home, "shop", before=whole)
    assert {f"{CHECK}.lost-table", f"{CHECK}.not-compared"} <= {each.code for each in lost.findings}
    with opened(home) as connection:
        connection.execute("UPDATE test SET qty = qty + 1 WHERE id = (SELECT min(id) FROM test)")
    since = examine(CHECK, home, "shop", before=broken)
    assert f"{CHECK}.altered-rows" in {each.code for each in since.findings}


@pytest.fixture
def duck(make_home: MakeHome) -> Path:
    return make_home("mdm-1.0.6-duckdb")


def in_duckdb(home: Path, *statements: str) -> None:
    with duckdb.connect(str(file_of(home))) as engine:
        for statement in statements:
            engine.execute(statement)


IN_DUCKDB: dict[str, tuple[str, ...]] = {
    "dropped table": ("CREATE TABLE b (a INT)", "CREATE VIEW v AS SELECT a FROM b", "DROP TABLE b"),
    "dropped macro": ("CREATE MACRO m(x) AS x + 1", "CREATE VIEW v AS SELECT m(qty) AS a FROM test", "DROP MACRO m"),
    "value that cannot be cast": ("CREATE VIEW v AS SELECT city::INT AS a FROM test",),
}


@pytest.mark.parametrize("what", IN_DUCKDB)
def test_a_broken_view_in_duckdb_is_a_note(duck: Path, examine: Examine, what: str) -> None:
    in_duckdb(duck, *IN_DUCKDB[what])
    result = examine(CHECK, duck, "shop")
    finding = found(result)["table v"]
    assert (result.status, finding.code, finding.severity) == (Status.PASS, f"{CHECK}.broken-object", NOTE)
    assert "Zürich" not in finding.message


@pytest.mark.parametrize("what", ["dropped", "other columns"])
def test_a_registered_view_in_duckdb_fails_alone(duck: Path, examine: Examine, what: str) -> None:
    change = "DROP TABLE b" if what == "dropped" else "ALTER TABLE b DROP COLUMN city"
    in_duckdb(duck, "CREATE TABLE b AS FROM test", "DROP TABLE test", "CREATE VIEW test AS SELECT * FROM b", change)
    result = examine(CHECK, duck, "shop")
    finding = found(result)["table test"]
    assert (result.status, finding.code, finding.severity) == (Status.FAIL, f"{CHECK}.broken-object", FAIL)
    assert not any(each.code == f"{CHECK}.damaged" for each in result.findings)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_file_that_we_do_not_read_is_not_the_homes_fault(duck: Path, examine: Examine, form: str) -> None:
    beside = duck.parent / f"test.{form}"
    in_duckdb(duck, f"COPY test TO '{beside}' (FORMAT {form})", f"CREATE VIEW v AS FROM '{beside}'")
    result = examine(CHECK, duck, "shop")
    assert (result.status, found(result)) == (Status.PASS, {})
    assert f"it reads {beside}, outside the database" in result.reason
    in_duckdb(duck, "DROP VIEW v", "DROP TABLE test", f"CREATE VIEW test AS FROM '{beside}'")
    results = [examine(check, duck, "shop") for check in READERS]
    assert {each.status for each in results} == {Status.ERROR}
    assert all(f"it reads {beside}, outside the database" in each.reason for each in results)
    assert "no fault of the data" in found(results[0])["the table test"].remedy.text
    beside.unlink()
    finding = found(examine(CHECK, duck, "shop"))["table test"]
    assert (finding.code, finding.severity) == (f"{CHECK}.broken-object", FAIL)
    assert f"{beside}, which does not exist" in finding.message


ROWS = "CREATE TABLE train AS SELECT i AS id, i % 7 AS qty FROM generate_series(1, 1000) i"
FEATURES = "CREATE TABLE train_features AS SELECT id, qty * 2 AS qty_twice FROM train"


@pytest.fixture
def server_home(postgres: Server, make_postgres_home: MakePostgresHome) -> Path:
    """A home whose dataset is on a server, with features."""
    home = make_postgres_home(postgres)
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        data = {**yaml.safe_load(file.read_text()), "feature_tables": {"train_features": "train_features"}}
        file.write_text(json.dumps(data))
    postgres.add_database("mdm_shop", ROWS, FEATURES, owner=USER)
    return home


def all_readers(home: Path, examine: Examine) -> list[Result]:
    return [examine(check, home, "shop") for check in READERS]


def test_who_holds_a_lock_is_named_by_every_reader(server_home: Path, examine: Examine, postgres: Server) -> None:
    with postgres.connect("mdm_shop", application="loader") as other, other.transaction():
        other.execute("LOCK TABLE train, train_features IN ACCESS EXCLUSIVE MODE")
        results = all_readers(server_home, examine)
        pid = other.info.backend_pid
    assert {each.status for each in results} == {Status.ERROR}
    for each in results:
        assert f"is locked by process {pid} (application loader, role postgres" in each.reason
    assert PASSWORD not in repr(results)
    assert Status.ERROR not in {each.status for each in all_readers(server_home, examine)}


def test_a_lock_that_is_waited_for_names_both(server_home: Path, examine: Examine, postgres: Server) -> None:
    with (
        postgres.connect("mdm_shop", application="notebook") as reading,
        postgres.connect("mdm_shop", application="migration") as altering,
        ThreadPoolExecutor() as others,
        reading.transaction(),
    ):
        pid = reading.info.backend_pid
        reading.execute("SELECT 1 FROM train LIMIT 1")
        waiting = others.submit(altering.execute, "ALTER TABLE train ADD COLUMN more integer")
        while not postgres.run("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.02)
        result = examine(CHECK, server_home, "shop")
        altering.cancel()
        assert isinstance(waiting.exception(), psycopg.errors.QueryCanceled)
    assert result.status is Status.ERROR
    assert f"process {pid} (application notebook" in result.reason
    assert "(application migration" in result.reason


def test_a_lock_of_a_view_s_table_is_named(server_home: Path, examine: Examine, postgres: Server) -> None:
    postgres.run(
        "ALTER TABLE train RENAME TO b", "CREATE VIEW train AS SELECT * FROM b", database="mdm_shop", user=USER
    )
    with postgres.connect("mdm_shop", application="loader") as other, other.transaction():
        other.execute("LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
        result = examine(CHECK, server_home, "shop")
    assert "b is locked by process" in result.reason


def test_a_prepared_transaction_that_holds_a_lock_is_named(
    own_postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start(max_prepared_transactions="2")
    own_postgres.add_database("mdm_shop", ROWS, owner=USER)
    home = make_postgres_home(own_postgres)
    with own_postgres.connect("mdm_shop", USER) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE train IN ACCESS EXCLUSIVE MODE")
        other.execute("PREPARE TRANSACTION 'of the loader'")
    result = examine(CHECK, home, "shop")
    assert result.status is Status.ERROR
    assert f"train is locked by the prepared transaction 'of the loader' of {USER} (prepared 20" in result.reason
    assert "ROLLBACK PREPARED" in found(result)["the table train"].remedy.text
    own_postgres.run("ROLLBACK PREPARED 'of the loader'", database="mdm_shop", user=USER)
    assert examine(CHECK, home, "shop").status is Status.PASS


FOREIGN = {
    "postgres_fdw": (
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1')",
        f"CREATE USER MAPPING FOR {USER} SERVER far OPTIONS (user 'x', password 'y')",
        "CREATE FOREIGN TABLE train (id integer, qty integer) SERVER far",
    ),
    "file_fdw": (
        "CREATE EXTENSION file_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE train (id integer, qty integer) SERVER far OPTIONS (filename '/nowhere/train.csv')",
    ),
}


@pytest.mark.parametrize("wrapper", FOREIGN)
def test_a_foreign_table_out_of_reach_is_an_error_everywhere(
    server_home: Path, examine: Examine, postgres: Server, wrapper: str
) -> None:
    grant = f'GRANT SELECT ON train TO "{USER}"'
    postgres.run("DROP TABLE train", *FOREIGN[wrapper], grant, database="mdm_shop")
    results = all_readers(server_home, examine)
    assert {each.status for each in results} == {Status.ERROR}
    assert "on another server, or in a file beside" in found(results[0])["the table train"].remedy.text
    full = examine(CHECK, server_home, "shop", depth="full")
    assert {each.code for each in full.findings} == {f"{CHECK}.not-examined"}


BROKEN_ON_SERVER: dict[str, tuple[str, ...]] = {
    "function on a dropped table": (
        "CREATE TABLE b AS SELECT 1 AS id",
        "CREATE FUNCTION f() RETURNS SETOF integer LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT id FROM b; END'",
        "CREATE VIEW v AS SELECT * FROM f() AS id",
        "DROP TABLE b",
    ),
    "nothing in it yet": ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS id WITH NO DATA",),
    "division by zero": ("CREATE VIEW v AS SELECT id / (qty - qty) AS id FROM train",),
}


@pytest.mark.parametrize("what", BROKEN_ON_SERVER)
def test_a_broken_view_on_a_server_is_told_as_that(
    server_home: Path, examine: Examine, postgres: Server, what: str
) -> None:
    postgres.run(*BROKEN_ON_SERVER[what], database="mdm_shop", user=USER)
    result = examine(CHECK, server_home, "shop")
    finding = found(result)["table v"]
    assert (result.status, finding.code, finding.severity) == (Status.PASS, f"{CHECK}.broken-object", NOTE)
    postgres.run("ALTER TABLE train RENAME TO t", database="mdm_shop", user=USER)
    kind = "MATERIALIZED VIEW" if "yet" in what else "VIEW"
    postgres.run(f"ALTER {kind} v RENAME TO train", database="mdm_shop", user=USER)
    result = examine(CHECK, server_home, "shop")
    finding = found(result)["table train"]
    assert (result.status, finding.code, finding.severity) == (Status.FAIL, f"{CHECK}.broken-object", FAIL)
