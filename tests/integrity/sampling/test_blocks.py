from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, Database, close_all
from pytest_mdm_health.integrity.sampling.blocks import ROWS, sample_of

MANY = 3_000_000


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def sqlite_table(tmp_path: Path, *statements: str) -> Database:
    file = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return Backend("sqlite", file).open()


def duckdb_table(tmp_path: Path, *statements: str) -> Database:
    file = tmp_path / "a.duckdb"
    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)
    return Backend("duckdb", file).open()


def numbers(count: int, values: str = "value, value") -> str:
    counting = f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT {count})"
    return f"INSERT INTO t SELECT {values} FROM ({counting} SELECT value FROM n)"


MAKE = "CREATE TABLE t (x BIGINT, y BIGINT)"


def chosen(database: Database, columns: int = 2) -> list[int]:
    sample = sample_of(database, "t", columns)
    return [x for (x,) in database.query(f"SELECT x FROM {sample.relation} ORDER BY x")]


def test_a_small_table_is_looked_at_as_a_whole(tmp_path: Path) -> None:
    database = sqlite_table(tmp_path, MAKE, numbers(ROWS))
    assert sample_of(database, "t", 2).complete
    assert len(chosen(database)) == ROWS


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_sample_is_bounded_repeatable_and_from_the_whole_table(tmp_path: Path, engine: str) -> None:
    database = (
        sqlite_table(tmp_path, MAKE, numbers(100_000))
        if engine == "sqlite"
        else duckdb_table(tmp_path, f"CREATE TABLE t AS SELECT range AS x, range AS y FROM range({MANY})")
    )
    sample = sample_of(database, "t", 2)
    first = chosen(database)
    assert (sample.complete, sample.of) == (False, 100_000 if engine == "sqlite" else MANY)
    assert all(first == chosen(database) for _ in range(10))
    assert 2000 < len(first) < 5 * ROWS
    assert max(first) > 0.8 * (sample.of or 0)


def test_a_wide_table_is_sampled_in_fewer_rows(tmp_path: Path) -> None:
    database = sqlite_table(tmp_path, MAKE, numbers(ROWS))
    assert len(chosen(database, columns=500)) < ROWS / 3


def test_row_ids_that_are_far_apart_are_sampled_too(tmp_path: Path) -> None:
    make = "CREATE TABLE t (x INTEGER PRIMARY KEY, y BIGINT)"
    database = sqlite_table(tmp_path, make, numbers(3 * ROWS, "value * 1000003, 1"))
    assert len(chosen(database)) == ROWS


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE t (x BIGINT PRIMARY KEY, y BIGINT) WITHOUT ROWID", numbers(2 * ROWS)),
        ("CREATE TABLE t (x BIGINT, y BIGINT, rowid TEXT)", numbers(2 * ROWS, "value, value, ''")),
    ],
)
def test_a_table_without_row_ids_is_looked_at_from_its_beginning(tmp_path: Path, statements: tuple[str, ...]) -> None:
    database = sqlite_table(tmp_path, *statements)
    sample = sample_of(database, "t", 2)
    assert (sample.complete, sample.of, len(chosen(database))) == (False, None, ROWS)


@pytest.mark.parametrize(
    "statement", ["CREATE VIEW t AS SELECT * FROM real", "CREATE TABLE t AS SELECT x, y, 'a' AS rowid FROM real"]
)
def test_so_is_a_view_and_a_table_whose_own_column_hides_them(tmp_path: Path, statement: str) -> None:
    database = duckdb_table(tmp_path, "CREATE TABLE real AS SELECT range AS x, 1 AS y FROM range(30000)", statement)
    assert (sample_of(database, "t", 2).of, len(chosen(database))) == (None, ROWS)


def test_choosing_from_millions_of_rows_takes_no_time(tmp_path: Path) -> None:
    database = sqlite_table(tmp_path, MAKE, numbers(MANY // 3))
    started = time.perf_counter()
    whole = database.query("SELECT count(x), sum(y) FROM t")
    reading_all = time.perf_counter() - started
    started = time.perf_counter()
    sample = sample_of(database, "t", 2)
    database.query(f"SELECT count(x), sum(y) FROM {sample.relation}")
    assert whole[0][0] == MANY // 3
    assert time.perf_counter() - started < reading_all
