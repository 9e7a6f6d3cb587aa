from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, close_all, server_backend
from pytest_mdm_health.integrity.profiles.column_types import Kind
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile, declared_profile, profile
from pytest_mdm_health.integrity.profiles.text_formats import Dates
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, SUPERUSER, Server

ENGINES = ("sqlite", "duckdb", "postgresql")
MakeTable = Callable[[str, str, Sequence[Any]], Backend]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def make_table(tmp_path: Path, request: pytest.FixtureRequest) -> MakeTable:
    """A database of an engine with a table `t` of one column `c` of a type."""

    def make(engine: str, declared: str, values: Sequence[Any]) -> Backend:
        create = f"CREATE TABLE t (c {declared})"
        if engine == "sqlite":
            with closing(sqlite3.connect(tmp_path / "a.sqlite")) as lite:
                lite.execute(create)
                lite.executemany("INSERT INTO t (c) VALUES (?)", [(value,) for value in values])
                lite.commit()
            return Backend(engine, tmp_path / "a.sqlite")
        if engine == "duckdb":
            with duckdb.connect(str(tmp_path / "a.duckdb")) as duck:
                duck.execute(create)
                for value in values:
                    duck.execute("INSERT INTO t (c) VALUES (?)", (value,))
            return Backend(engine, tmp_path / "a.duckdb")
        server: Server = request.getfixturevalue("postgres")
        server.add_database("mdm_types", create)
        with closing(server.connect("mdm_types")) as connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO t (c) VALUES (%s)", [(value,) for value in values])
        return server_backend(Connection(host=HOST, port=server.port, database="mdm_types", user=SUPERUSER))

    return make


def of(backend: Backend, dates: Sequence[str] = (), *, everything: bool = False) -> ColumnProfile:
    with backend.open() as database:
        (column,) = profile(database, "t", dates, everything=everything).columns
        return column


LOOKS = {
    "blank": ("", "   "),
    "boolean": ("yes", "No", "TRUE", "f"),
    "marker": ("N/A", "-", "null", "Unknown", "?"),
    "number": ("1", "-2", "+3.5", ".5", "7.", "1e5", "1.5E-3", " 42 ", "0"),
    "padded": ("007", "00"),
    "long": ("1234567890123456", "0" * 16),
    "decorated": ("1,234", "$5", "€ 12.50", "99%", "1,234,567.89"),
    "date": (
        "31/12/2024",
        "2024-02-30",
        "1900-02-29",
        "2024-01-01 25:00:00",
        "2024-01-01 10:00",
        "1.2.2024",
        "Jan 5, 2024",
    ),
    "other": (
        "c0165",
        "late refund",
        "1,23,4",
        "1-2",
        "--1",
        "1.2.3x",
        "e5",
        "12 apples",
        "x" * 60,
        "1e5.5",
        "SW1A 1AA",
    ),
    "YYYY-MM-DD": ("2024-01-31", "2024-02-29", "2000-02-28"),
    "YYYY-MM-DD HH:MM:SS": ("2024-01-31 23:59:59",),
    "YYYY-MM-DDTHH:MM:SS": ("2024-01-31T00:00:00",),
    "YYYY-MM-DD HH:MM:SS.f": ("2024-01-31 00:00:00.000000",),
    "YYYY-MM-DDTHH:MM:SS.f": ("2024-01-31T00:00:00.1",),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("look", LOOKS)
def test_every_engine_sees_the_same_in_a_text(make_table: MakeTable, engine: str, look: str) -> None:
    column = of(make_table(engine, "TEXT", [*LOOKS[look], None]))
    written = {} if look == "blank" else {look: len(LOOKS[look])}
    assert (column.values, column.texts, column.looks) == (len(LOOKS[look]), len(LOOKS[look]), written)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_ways_to_write_a_date_are_counted(make_table: MakeTable, engine: str) -> None:
    values = ["2024-01-31", "2024-01-31 10:00:00", "2024-01-30 10:00:00", "2024-02-30", "31/01/2024", "soon", None, ""]
    assert of(make_table(engine, "TEXT", values)).dates == Dates(
        {"YYYY-MM-DD": 1, "YYYY-MM-DD HH:MM:SS": 2, "DD/MM/YYYY": 1}, impossible=1, others=1
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("text", "exists"),
    [
        ("2024-02-29", True),
        ("2023-02-29", False),
        ("1900-02-29", False),
        ("2000-02-29", True),
        ("2024-04-31", False),
        ("2024-13-01", False),
        ("2024-00-10", False),
        ("0000-00-00", False),
        ("2024/01/32", False),
        ("2024-01-01T25:00:00", False),
        ("2024-01-01 10:60", False),
        ("31.12.2024", True),
        ("31.13.2024", False),
        ("32/1/2024", False),
        ("00/01/2024", False),
        ("2024-01-01 10:00:00+02:00", True),
    ],
)
def test_a_day_or_an_hour_that_does_not_exist_is_no_date(
    make_table: MakeTable, engine: str, text: str, exists: bool
) -> None:
    dates = of(make_table(engine, "TEXT", [text]), ["c"]).dates
    assert dates is not None
    assert (dates.written, dates.impossible) == ((1, 0) if exists else (0, 1))


@pytest.mark.parametrize("engine", ENGINES)
def test_both_orders_of_day_and_month_are_noticed(make_table: MakeTable, engine: str) -> None:
    dates = of(make_table(engine, "TEXT", ["31/01/2024", "1/31/2024", "02/03/2024"])).dates
    assert dates is not None
    assert dates.both_orders


@pytest.mark.parametrize("engine", ENGINES)
def test_spellings_of_booleans_are_reported_only_if_all_are_such(make_table: MakeTable, engine: str) -> None:
    assert of(make_table(engine, "TEXT", ["yes", "No", "Y", "0", "N/A", None])).spellings == ("0", "No", "Y", "yes")


@pytest.mark.parametrize("values", [("yes", "no", "perhaps"), ("yes", "2")])
def test_other_words_are_no_spellings_of_truth_values(make_table: MakeTable, values: Sequence[str]) -> None:
    assert of(make_table("sqlite", "TEXT", values)).spellings == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_whole_and_rounded_numbers_are_counted_among_floats(make_table: MakeTable, engine: str) -> None:
    column = of(make_table(engine, "DOUBLE PRECISION", [1.0, 2.5, 2.0**60, -0.0, None, float("inf")]))
    assert (column.kind, column.values, column.reals) == (Kind.FLOAT, 5, 5)
    assert (column.whole, column.inexact) == (3, 1)


def test_sqlite_shows_how_values_are_really_stored(make_table: MakeTable) -> None:
    column = of(make_table("sqlite", "BIGINT", [1, 2.5, "late", b"raw", None, "12"]))
    assert (column.integers, column.reals, column.texts, column.blobs) == (2, 1, 1, 1)
    assert column.looks == {"other": 1}


def test_a_column_without_a_type_is_looked_at_value_by_value(make_table: MakeTable) -> None:
    column = of(make_table("sqlite", "", [1, "late", 2.5]))
    assert (column.kind, column.integers, column.reals, column.texts) == (Kind.OTHER, 1, 1, 1)


def test_a_column_of_truth_values_may_hold_others_in_sqlite(make_table: MakeTable) -> None:
    assert of(make_table("sqlite", "BOOLEAN", [0, 1, 2, None])).beyond_truth == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_column_without_values_says_so(make_table: MakeTable, engine: str) -> None:
    column = of(make_table(engine, "TEXT", [None, None]))
    assert column == ColumnProfile(name="c", declared=column.declared, kind=Kind.TEXT)


@pytest.mark.parametrize("engine", ENGINES)
def test_odd_names_and_types_do_not_matter(make_table: MakeTable, engine: str) -> None:
    backend = make_table(engine, 'TEXT, "select ""x"" 東京" TEXT, d DATE', [])
    with backend.open() as database:
        assert [column.kind for column in profile(database, "t").columns] == [Kind.TEXT, Kind.TEXT, Kind.TIME]


def test_declared_types_are_told_without_looking_at_values(make_table: MakeTable) -> None:
    with make_table("sqlite", "BIGINT", ["late"]).open() as database:
        column = ColumnProfile(name="c", declared="BIGINT", kind=Kind.INTEGER)
        assert declared_profile(database, "t") == TableProfile(table="t", columns=(column,))


def test_a_sample_is_marked_and_a_full_read_finds_the_odd_value(make_table: MakeTable) -> None:
    values: list[object] = [*range(20_000)]
    values[12_345] = "late"
    backend = make_table("sqlite", "BIGINT", values)
    with backend.open() as database:
        sampled, whole = profile(database, "t"), profile(database, "t", everything=True)
    assert (sampled.complete, sampled.of, sampled.columns[0].texts) == (False, 20_000, 0)
    assert (whole.complete, whole.rows, whole.columns[0].texts) == (True, 20_000, 1)


def test_a_large_table_on_a_server_is_sampled_once_analysed(postgres: Server) -> None:
    fill = "INSERT INTO t SELECT 'late' FROM generate_series(1, 200000)"
    postgres.add_database("mdm_types", "CREATE TABLE t (c TEXT)", fill)
    backend = server_backend(Connection(host=HOST, port=postgres.port, database="mdm_types", user=SUPERUSER))
    with backend.open() as database:
        before = profile(database, "t")
    postgres.run("ANALYZE", database="mdm_types")
    with backend.open() as database:
        after = profile(database, "t")
    assert (before.complete, before.of) == (False, None)
    assert (after.complete, after.of) == (False, 200_000)
    assert after.rows is not None
    assert 2048 < after.rows < 50_000


def test_a_thousand_columns_are_no_problem(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'c{number} BIGINT' for number in range(1000))})")
        connection.execute(f"INSERT INTO t VALUES ({', '.join('1' * 1000)})")
        connection.commit()
    with Backend("sqlite", tmp_path / "a.sqlite").open() as database:
        assert {column.integers for column in profile(database, "t").columns} == {1}


def test_a_table_that_is_not_there_is_an_answer(make_table: MakeTable) -> None:
    with make_table("sqlite", "TEXT", []).open() as database, pytest.raises(QueryFailed, match="no such table"):
        profile(database, "other")
