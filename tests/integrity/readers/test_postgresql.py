"""Tables on a server, as it sends them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all, server_backend
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.integrity.deadline import Deadline
from pytest_mdm_health.integrity.digest.columns import profiled
from pytest_mdm_health.integrity.digest.hashing import WIDE, cells
from pytest_mdm_health.integrity.digest.tables import digest_table, digested, plan_for
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import TableIn
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, PASSWORD, USER, Server

Read = TypeVar("Read")


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


def always_carefully(workbench: Workbench, read: Callable[[], Read]) -> Read:
    workbench.careful = True
    return read()


@pytest.mark.parametrize("type_", VALUES)
def test_a_column_says_the_same_as_declared_and_as_text(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    rows = ", ".join(f"({number}, {value})" for number, value in enumerate(VALUES[type_] * 3))
    source = table(postgres, f"CREATE TABLE t (i bigint, v {type_})", f"INSERT INTO t VALUES {rows}")
    declared, some = digest_table(source, by_column=True), shown(source, [2, 4])
    assert (declared.rows, declared.how) == (len(VALUES[type_]) * 3, "copy")
    assert [place for place, *_ in some] == [2, 4]
    monkeypatch.setattr(Workbench, "carefully", always_carefully)
    careful = digest_table(source, by_column=True)
    assert (declared.buckets, declared.fine, declared.sums) == (careful.buckets, careful.fine, careful.sums)


@pytest.mark.parametrize(("type_", "last"), [("timestamp", "294276-12-31"), ("date", "5874897-12-31")])
def test_a_timestamp_beyond_duckdb_is_not_read_as_another(postgres: Server, type_: str, last: str) -> None:
    source = table(postgres, f"CREATE TABLE t (d {type_})", f"INSERT INTO t VALUES ('{last}'), ('2024-01-01')")
    before = digest_table(source)
    assert before.rows == 2
    postgres.run(f"UPDATE t SET d = d - {DAY[type_]} WHERE d <> '2024-01-01'", database="mdm_t", user=USER)
    assert digest_table(source).buckets != before.buckets


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
    assert digest.rows == 2


def test_the_rows_that_differ_are_named(postgres: Server, tmp_path: Path) -> None:
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
    detail = compare_tables(before, source, key=("i",), show_values=True).detail
    assert detail is not None
    told = {(each.kind, each.key) for each in detail.examples}
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


def test_what_a_server_sends_once_is_read_once_for_many_columns(postgres: Server) -> None:
    names = ", ".join(f"c{index} text" for index in range(2 * WIDE))
    source = table(postgres, f"CREATE TABLE t (i bigint, {names})", "INSERT INTO t VALUES (1, 'a', 'b')")
    sums = digest_table(source, by_column=True).sums
    assert sums is not None
    assert {name for name, (_, values) in sums.items() if values} == {"i", "c0", "c1"}


def test_a_table_that_takes_too_long_is_broken_off(postgres: Server) -> None:
    slow = "CREATE FUNCTION slow(i bigint) RETURNS bigint AS 'SELECT pg_sleep(0.001); SELECT i' LANGUAGE sql VOLATILE"
    source = table(postgres, slow, "CREATE VIEW t AS SELECT slow(i) AS i FROM generate_series(1, 60000) i")
    deadline, started = Deadline(clock() + 0.5, 0.5), time.monotonic()
    with (
        pytest.raises(QueryFailed, match="takes longer than"),
        deadline.workbench(source) as workbench,
        digested(workbench, source),
    ):
        pass
    assert time.monotonic() - started < 30  # all of it takes more than a minute


def test_a_table_of_which_rows_come_is_not_broken_off(postgres: Server) -> None:
    filled = "INSERT INTO t SELECT i, repeat(md5(i::text), 9) FROM generate_series(1, 800000) i"
    source = table(postgres, "CREATE TABLE t (i bigint, s text)", filled)
    deadline, started = Deadline(clock() + 1.5, 1.5), time.monotonic()
    with deadline.workbench(source) as workbench, digested(workbench, source) as (digest, _):
        assert digest.rows == 800_000
    assert time.monotonic() - started > 1.5


def test_a_password_that_is_wrong_is_not_shown(postgres: Server) -> None:
    table(postgres, "CREATE TABLE t (i bigint)")
    source = TableIn(server_backend(to(postgres, password="wr'ong \\secret")), "t")
    with pytest.raises(CannotOpen) as caught:
        digest_table(source)
    assert "secret" not in str(caught.value)


def test_a_password_is_not_shown_when_the_server_goes_away(own_postgres: Server) -> None:
    own_postgres.start()
    source = table(own_postgres, "CREATE TABLE t (i bigint)", "INSERT INTO t VALUES (1)")
    with workbench_for(source) as workbench, opened(source, workbench) as reader:
        own_postgres.stop()
        with pytest.raises(QueryFailed) as caught:
            list(reader.batches(["i"]))
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_intervals_are_the_same_however_a_role_has_them_written(postgres: Server) -> None:
    source = table(postgres, "CREATE TABLE t (v interval)", "INSERT INTO t VALUES ('1 day 02:03:04')")
    before = digest_table(source)
    postgres.run(f"ALTER ROLE {USER} IN DATABASE mdm_t SET intervalstyle = 'iso_8601'")
    close_all()
    assert digest_table(source).buckets == before.buckets


def test_a_table_of_very_many_columns_is_told_by_column(postgres: Server) -> None:
    columns = ", ".join(f"c{index} float8 DEFAULT {index}" for index in range(900))
    source = table(postgres, f"CREATE TABLE t ({columns})", "INSERT INTO t DEFAULT VALUES")
    with workbench_for(source) as workbench, digested(workbench, source) as (digest, _):
        told, figures = profiled(workbench, source, digest)
    assert told.sums is not None
    assert (len(told.sums), len(figures)) == (900, 900)
    assert (figures["c7"].least, figures["c899"].least) == ("7", "899")
