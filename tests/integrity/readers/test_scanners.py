"""Tables by DuckDB's extensions, beside the readers that are always at hand."""

from __future__ import annotations

import contextlib
import sqlite3
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all, server_backend
from pytest_mdm_health.backends.postgresql import APPLICATION
from pytest_mdm_health.integrity.deadline import Deadline
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.digest.columns import profiled
from pytest_mdm_health.integrity.digest.hashing import WIDE, cells
from pytest_mdm_health.integrity.digest.tables import digest_table, digested, plan_for
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers import scanners
from pytest_mdm_health.integrity.readers.base import TableIn
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for
from pytest_mdm_health.integrity.shared_session import end_shared_workbench
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, PASSWORD, USER, Server


def at_hand(engine: str) -> bool:
    with duckdb.connect() as connection:
        return scanners.load(connection, engine)


reads_servers = pytest.mark.skipif(not at_hand("postgres"), reason="no extension for PostgreSQL fits this DuckDB")
reads_sqlite = pytest.mark.skipif(not at_hand("sqlite"), reason="no extension for SQLite fits this DuckDB")
VALUES = {
    "smallint": ["-32768", "0", "NULL"],
    "integer": ["-2147483648", "7", "NULL"],
    "bigint": ["9007199254740993", "-9223372036854775808", "NULL"],
    "real": ["'0.1'", "'NaN'", "'-0'", "'-Infinity'", "NULL"],
    "double precision": ["'5e-324'", "'NaN'", "'-0'", "'Infinity'", "NULL"],
    "boolean": ["true", "false", "NULL"],
    "text": ["''", "' NULL '", "'é\n\"x\",'", "'e\u0301'", "NULL"],
    "varchar(20)": ["''", "'a  '", "NULL"],
    "char(5)": ["''", "'a'", "NULL"],
    "bytea": ["''", "'\\x00ff'", "NULL"],
    "date": ["'1900-01-01'", "'infinity'", "NULL"],
    "timestamp": ["'1969-07-20 20:17:40.000001'", "'-infinity'", "NULL"],
    "timestamp(3)": ["'2024-02-29 23:59:59.999'", "NULL"],
    "timestamptz": ["'1969-07-20 20:17:40+02'", "'infinity'", "NULL"],
    "numeric": ["'NaN'", "1.50", "1e-20", "123456789012345678901234567890.5", "NULL"],
    "numeric(12, 2)": ["1.50", "-0.01", "NULL"],
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "NULL"],
    "json": ["'{\"a\":  1}'", "'null'", "NULL"],
    "jsonb": ["'{\"a\":  1}'", "'null'", "NULL"],
}


DAY = {"date": "1", "timestamp": "interval '1 day'"}


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


def to(server: Server, database: str = "mdm_t", password: str = PASSWORD) -> Connection:
    return Connection(HOST, server.port, database, USER, password)


def table(server: Server, *statements: str) -> TableIn:
    server.add_database("mdm_t", *statements, owner=USER)
    return TableIn(server_backend(to(server)), "t")


def shown(source: TableIn, places: list[int]) -> list[tuple[object, ...]]:
    with workbench_for(source) as workbench, opened(source, workbench) as reader:
        plan = plan_for(workbench, reader, None)
        found = []
        for batch in reader.batches(plan.names, places):
            values = ", ".join(f"({part.value})::VARCHAR" for part in cells(plan, reader, batch))
            found += workbench.run(f"SELECT place, {values} FROM {batch.relation} ORDER BY place")
        return found


@reads_servers
@pytest.mark.parametrize("type_", VALUES)
def test_both_readers_of_a_server_say_the_same(postgres: Server, monkeypatch: pytest.MonkeyPatch, type_: str) -> None:
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(VALUES[type_] * 3))
    source = table(postgres, f"CREATE TABLE t (i bigint, v {type_})", f"INSERT INTO t VALUES {rows}")
    fast, some = digest_table(source, by_column=True), shown(source, [2, 4])
    as_text = replace(fast, columns=tuple(replace(each, form=Form.TEXT) for each in fast.columns))
    fast_text = digest_table(source, like=as_text)
    monkeypatch.setattr(scanners, "load", lambda *_: False)
    slow = digest_table(source, by_column=True)
    assert (fast.how, slow.how) == ("scanner", "copy")
    assert (fast.buckets, fast.fine, fast.sums) == (slow.buckets, slow.fine, slow.sums)
    assert fast_text.buckets == digest_table(source, like=as_text).buckets
    assert some == shown(source, [2, 4])
    assert [place for place, *_ in some] == [2, 4]


@reads_servers
@pytest.mark.parametrize("rest", ["a inet", "a int[]", "a interval", "a time", "a xml"])
def test_types_that_the_extension_reads_in_its_own_way_are_not_left_to_it(postgres: Server, rest: str) -> None:
    source = table(postgres, f"CREATE TABLE t (i bigint, {rest})", "INSERT INTO t VALUES (1, NULL)")
    digest = digest_table(source)
    assert (digest.rows, digest.how) == (1, "copy")


@reads_servers
@pytest.mark.parametrize(("type_", "last"), [("timestamp", "294276-12-31"), ("date", "5874897-12-31")])
def test_a_moment_that_duckdb_cannot_hold_is_not_taken_for_another_one(postgres: Server, type_: str, last: str) -> None:
    source = table(postgres, f"CREATE TABLE t (d {type_})", f"INSERT INTO t VALUES ('{last}'), ('2024-01-01')")
    before = digest_table(source)
    assert (before.rows, before.how) == (2, "copy")
    postgres.run(f"UPDATE t SET d = d - {DAY[type_]} WHERE d <> '2024-01-01'", database="mdm_t", user=USER)
    assert digest_table(source).buckets != before.buckets


@reads_servers
def test_a_database_in_which_texts_may_be_any_bytes_is_not_left_to_the_extension(postgres: Server) -> None:
    postgres.run("CREATE DATABASE mdm_bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    postgres.run("CREATE TABLE t AS SELECT 'a'::text AS s", "GRANT SELECT ON t TO public", database="mdm_bytes")
    assert digest_table(TableIn(server_backend(to(postgres, "mdm_bytes")), "t")).how == "copy"


@reads_servers
def test_behind_a_pooler_the_server_is_read_without_the_extension(
    postgres: Server, pgbouncer: Callable[[Server], int]
) -> None:
    table(postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1), (2)")
    through = replace(to(postgres), port=pgbouncer(postgres))
    digest = digest_table(TableIn(server_backend(through), "t"))
    assert (digest.rows, digest.how) == (2, "copy")


@reads_servers
def test_a_pooler_that_drops_our_settings_gets_no_extension(postgres: Server, pgbouncer: Callable[..., int]) -> None:
    table(postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1), (2)")
    postgres.run("ALTER SYSTEM SET synchronize_seqscans = off", "SELECT pg_reload_conf()")
    port = pgbouncer(postgres, default_pool_size="5", ignore_startup_parameters="options")
    digest = digest_table(TableIn(server_backend(replace(to(postgres), port=port)), "t"))
    assert (digest.rows, digest.how) == (2, "copy")


@reads_servers
def test_the_table_is_the_one_that_a_statement_of_ours_reaches(postgres: Server) -> None:
    source = table(
        postgres,
        "CREATE TABLE t (i bigint)",
        'CREATE SCHEMA "the ""other"""',
        'CREATE TABLE "the ""other""".t (i bigint)',
        'INSERT INTO "the ""other""".t VALUES (1), (2)',
    )
    postgres.run(f'ALTER ROLE {USER} IN DATABASE mdm_t SET search_path = "the ""other""", public')
    digest = digest_table(source)
    assert (digest.rows, digest.how) == (2, "scanner")


@reads_servers
@pytest.mark.parametrize(("rows", "worth_it"), [(None, False), (199_999, False), (200_000, True)])
def test_only_large_tables_are_worth_the_extension(postgres: Server, rows: int | None, worth_it: bool) -> None:
    source = table(postgres, "CREATE TABLE t (i bigint)")
    deadline = Deadline(time.monotonic() + 60, 60)
    with deadline.workbench(source, rows=rows) as workbench:
        assert bool(workbench.servers) is worth_it
    end_shared_workbench()


@reads_servers
def test_the_rows_that_differ_are_named(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i, 'text ' || i AS s FROM range(5000) r(i)")
    filled = "INSERT INTO t SELECT i, 'text ' || i FROM generate_series(0, 4999) i"
    source = table(postgres, "CREATE TABLE t (i bigint, s text)", filled)
    damage = (
        "DELETE FROM t WHERE i IN (5, 6)",
        "UPDATE t SET s = s || '!' WHERE i = 77",
        "INSERT INTO t VALUES (9, 'text 9')",
    )
    postgres.run(*damage, database="mdm_t", user=USER)
    before = TableIn(Backend("duckdb", file), "t")
    fast = compare_tables(before, source, key=("i",), show_values=True)
    monkeypatch.setattr(scanners, "load", lambda *_: False)
    slow = compare_tables(before, source, key=("i",), show_values=True)
    assert (fast.after.how, slow.after.how) == ("scanner", "copy")
    assert fast.detail is not None
    assert fast.detail == slow.detail
    told = {(each.kind, each.key) for each in fast.detail.examples}
    assert told == {("missing", ("5",)), ("missing", ("6",)), ("altered", ("77",)), ("duplicated", ("9",))}


def test_the_rows_of_a_view_are_named(postgres: Server, tmp_path: Path) -> None:
    file = tmp_path / "t.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS id FROM range(100) r(i)")
    source = table(
        postgres,
        "CREATE TABLE one (id bigint, a text)",
        "INSERT INTO one SELECT i, 'a' FROM generate_series(99, 1, -1) i",
        "CREATE VIEW t AS SELECT * FROM one ORDER BY a, id",
    )
    found = compare_tables(TableIn(Backend("duckdb", file), "t"), source, key=("id",), show_values=True)
    assert found.detail is not None
    assert [(each.kind, each.key) for each in found.detail.examples] == [("missing", ("0",))]


@pytest.mark.parametrize("fast", [pytest.param(True, marks=reads_servers), False])
def test_what_a_server_sends_once_is_read_once_for_many_columns(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(scanners, "load", lambda *_: False)
    names = ", ".join(f"c{index} text" for index in range(2 * WIDE))
    source = table(postgres, f"CREATE TABLE t (i bigint, {names})", "INSERT INTO t VALUES (1, 'a', 'b')")
    sums = digest_table(source, by_column=True).sums
    assert sums is not None
    assert {name for name, (_, values) in sums.items() if values} == {"i", "c0", "c1"}


@pytest.mark.parametrize("fast", [pytest.param(True, marks=reads_servers), False])
def test_a_table_that_takes_too_long_is_broken_off(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(scanners, "load", lambda *_: False)
    slow = "CREATE FUNCTION slow(i bigint) RETURNS bigint AS 'SELECT pg_sleep(0.001); SELECT i' LANGUAGE sql VOLATILE"
    source = table(postgres, slow, "CREATE VIEW t AS SELECT slow(i) AS i FROM generate_series(1, 60000) i")
    deadline, started = Deadline(time.monotonic() + 0.5, 0.5), time.monotonic()
    with (
        pytest.raises(QueryFailed, match="takes longer than"),
        deadline.workbench(source, rows=1_000_000) as workbench,
        digested(workbench, source),
    ):
        pass
    assert time.monotonic() - started < 30  # all of it takes more than a minute


@reads_servers
def test_the_extension_writes_nothing(postgres: Server) -> None:
    source = table(postgres, "CREATE TABLE t (i bigint)")
    with workbench_for(source) as workbench:
        alias = workbench.servers[to(postgres)]
        for sql in (
            f"CREATE TABLE {alias}.public.z (i INT)",
            f"CALL postgres_execute('{alias}', 'CREATE TABLE z (i int)')",
        ):
            with pytest.raises(QueryFailed, match=r"read-only|READ ONLY"):
                workbench.run(sql)
    assert postgres.run("SELECT to_regclass('z')", database="mdm_t") == [(None,)]


@reads_servers
def test_no_session_of_the_extension_stays(postgres: Server) -> None:
    source = table(postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1)")
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{APPLICATION}'"
    with workbench_for(source) as workbench, opened(source, workbench) as reader:
        assert reader.how == "scanner"
        (batch,) = reader.batches(["i"])
        assert workbench.run(f"SELECT c0 FROM {batch.relation}") == [(1,)]
        deadline = time.monotonic() + 10
        while postgres.run(sessions) != [(1,)]:  # that of the reader itself
            assert time.monotonic() < deadline


@reads_servers
def test_a_password_that_is_wrong_is_not_shown(postgres: Server) -> None:
    table(postgres, "CREATE TABLE t (i bigint)")
    source = TableIn(server_backend(to(postgres, password="wr'ong \\secret")), "t")
    with workbench_for(source) as workbench:
        assert workbench.servers == {}
    with pytest.raises(CannotOpen) as caught:
        digest_table(source)
    assert "secret" not in str(caught.value)


@reads_servers
def test_a_password_is_not_shown_when_the_server_goes_away(own_postgres: Server) -> None:
    own_postgres.start()
    source = table(own_postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1)")
    with workbench_for(source) as workbench, opened(source, workbench) as reader:
        (batch,) = reader.batches(["i"])
        own_postgres.stop()
        with pytest.raises(QueryFailed) as caught:
            workbench.run(f"SELECT c0 FROM {batch.relation}")
    assert str(caught.value) == "the server broke the connection off"
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@reads_servers
def test_a_connection_that_makes_no_sense_is_not_tried(postgres: Server) -> None:
    source = TableIn(server_backend(replace(to(postgres), problem="its port is no number of a port")), "t")
    with workbench_for(source) as workbench:
        assert workbench.servers == {}


@reads_servers
def test_secrets_that_the_user_keeps_for_duckdb_lead_nowhere_else(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with duckdb.connect() as connection:
        assert scanners.load(connection, "postgres")
        connection.execute(
            "CREATE PERSISTENT SECRET __default_postgres (TYPE postgres, HOST '127.0.0.9', SSLMODE 'require')"
        )
    assert list(tmp_path.rglob("*.duckdb_secret"))
    source = table(postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1)")
    digest = digest_table(source)
    assert (digest.rows, digest.how) == (1, "scanner")


def test_a_workbench_is_as_it_was_after_a_look_at_few_rows() -> None:
    with Workbench(()) as workbench:
        before = workbench.reads_sqlite
        with pytest.raises(QueryFailed), workbench.for_few_rows():
            workbench.run("SELECT nonsense")
        assert workbench.reads_sqlite == before


@reads_sqlite
@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("2024-01-01 00:00:00.000000", "scanner"),
        ("2024-01-01 00:00:00", "scanner"),
        ("2024-01-01", "scanner"),
        (None, "scanner"),
        ("2024-1-1", "batches"),
        (" 2024-01-01 00:00:00.00000", "batches"),
        ("2024-01-01  0:00:00.000000", "batches"),
        ("2024-01-01 00:00:00.0000001", "batches"),
        ("2024-01-01T00:00:00.000000", "batches"),
        (1704067200, "batches"),
    ],
)
def test_dates_that_readers_may_understand_in_different_ways_are_not_left_to_the_extension(
    tmp_path: Path, moment: object, how: str
) -> None:
    file = tmp_path / "t.sqlite"
    connection = sqlite3.connect(file)
    with connection:
        connection.execute("CREATE TABLE t (a TIMESTAMP, b TIMESTAMP)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [("2024-01-01 00:00:00.000000", moment)] * 3)
    connection.close()
    assert digest_table(TableIn(Backend("sqlite", file), "t")).how == how


@reads_sqlite
@pytest.mark.parametrize(("day", "how"), [("2024-01-02", "scanner"), ("2024-01-02 12:30:00", "batches")])
def test_a_time_of_day_in_a_column_of_dates_is_not_lost(tmp_path: Path, day: str, how: str) -> None:
    file = tmp_path / "t.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE t (d DATE)")
        connection.executemany("INSERT INTO t VALUES (?)", [("2024-01-01",), (day,)])
    source = TableIn(Backend("sqlite", file), "t")
    before = digest_table(source)
    assert before.how == how
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE t SET d = '2024-01-02 23:59:59' WHERE rowid = 2")
    assert digest_table(source, like=before).buckets != before.buckets


@reads_sqlite
def test_a_column_that_the_extension_takes_for_another_type_is_not_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "t.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE t (n SERIAL)")
        connection.execute("INSERT INTO t VALUES ('0x10')")
    assert digest_table(TableIn(Backend("sqlite", file), "t")).how == "batches"


ODD_TABLES = {
    "rowid": "CREATE TABLE t (rowid INT, b TEXT)",
    "rowid-and-more": "CREATE TABLE t (rowid INT, _rowid_ INT DEFAULT 1, b TEXT)",
    "all-of-them": "CREATE TABLE t (rowid INT, _rowid_ INT DEFAULT 1, oid INT DEFAULT 1, b TEXT)",
    "no-row-ids": "CREATE TABLE t (rowid INT, b TEXT, key INTEGER PRIMARY KEY) WITHOUT ROWID",
}


@pytest.mark.parametrize("odd", ODD_TABLES)
def test_the_row_is_named_whatever_columns_are_called(tmp_path: Path, odd: str) -> None:
    for state in ("before", "after"):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{state}.sqlite")) as connection, connection:
            connection.execute(ODD_TABLES[odd])
            for number in range(50):
                text = "other" if (state, number) == ("after", 7) else f"text {number}"
                key = ", key" if "key" in ODD_TABLES[odd] else ""
                connection.execute(f"INSERT INTO t (rowid, b{key}) VALUES (1, '{text}'{f', {number}' if key else ''})")
    sides = [TableIn(Backend("sqlite", tmp_path / f"{state}.sqlite"), "t") for state in ("before", "after")]
    detail = compare_tables(*sides, show_values=True).detail
    assert detail is not None
    assert (detail.rows.altered, dict(detail.cells)) == (1, {"b": 1})
    assert detail.examples[0].cells[0].before == "text 7"


def test_the_row_is_named_in_a_view_and_beside_a_column_of_row_ids(tmp_path: Path) -> None:
    for state in ("before", "after"):
        with duckdb.connect(str(tmp_path / f"{state}.duckdb")) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS rowid, 'text ' || i AS b FROM range(50) r(i)")
            connection.execute("CREATE VIEW v AS SELECT * FROM t")
        with contextlib.closing(sqlite3.connect(tmp_path / f"{state}.sqlite")) as lite, lite:
            lite.execute("CREATE TABLE t (rowid INT, b TEXT)")
            lite.executemany("INSERT INTO t VALUES (1, ?)", [(f"text {number}",) for number in range(50)])
            lite.execute("CREATE VIEW v AS SELECT * FROM t")
    with duckdb.connect(str(tmp_path / "after.duckdb")) as connection:
        connection.execute("UPDATE t SET b = 'other' WHERE b = 'text 7'")
    with contextlib.closing(sqlite3.connect(tmp_path / "after.sqlite")) as lite, lite:
        lite.execute("UPDATE t SET b = 'other' WHERE b = 'text 7'")
    for engine, name in product(("duckdb", "sqlite"), ("t", "v")):
        one, other = (TableIn(Backend(engine, tmp_path / f"{state}.{engine}"), name) for state in ("before", "after"))
        detail = compare_tables(one, other, show_values=True).detail
        assert detail is not None
        assert (detail.rows.altered, dict(detail.cells)) == (1, {"b": 1})
        assert detail.examples[0].cells[0].before == "text 7"


def test_intervals_are_the_same_however_a_role_has_them_written(postgres: Server) -> None:
    source = table(postgres, "CREATE TABLE t (v interval)", "INSERT INTO t VALUES ('1 day 02:03:04')")
    before = digest_table(source)
    postgres.run(f"ALTER ROLE {USER} IN DATABASE mdm_t SET intervalstyle = 'iso_8601'")
    close_all()
    assert digest_table(source).buckets == before.buckets


@pytest.mark.parametrize("fast", [pytest.param(True, marks=reads_servers), False])
def test_a_table_of_very_many_columns_is_told_by_column(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if not fast:
        monkeypatch.setattr(scanners, "load", lambda *_: False)
    columns = ", ".join(f"c{index} float8 DEFAULT {index}" for index in range(900))
    source = table(postgres, f"CREATE TABLE t ({columns})", "INSERT INTO t DEFAULT VALUES")
    with workbench_for(source) as workbench, digested(workbench, source) as (digest, _):
        told, figures = profiled(workbench, source, digest)
    assert told.sums is not None
    assert (len(told.sums), len(figures)) == (900, 900)
    assert (figures["c7"].least, figures["c899"].least) == ("7", "899")
