"""A row is as wide as pandas makes it, within what an estimate is good for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, close_all
from pytest_mdm_health.backends.row_width import row_count, row_width

MakeHome = Callable[[str], Path]


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
@pytest.mark.parametrize(("dataset", "table"), [("shop", "train"), ("big", "big"), ("wine", "wine_features")])
def test_a_row_of_a_real_table_is_as_wide_as_pandas_makes_it(
    make_home: MakeHome, engine: str, dataset: str, table: str
) -> None:
    path = make_home(f"mdm-0.1.0-{engine}") / f"datasets/{dataset}/{dataset}.{engine}"
    with Backend(engine, path).open() as database:
        width = row_width(database, table)
        rows = database.query(f"SELECT * FROM {table}")
    columns = [list(values) for values in zip(*rows, strict=True)]
    series = [pd.Series(each, dtype=object if any(isinstance(v, str) for v in each) else None) for each in columns]
    real = sum(each.memory_usage(deep=True, index=False) for each in series)
    assert width == pytest.approx(real / len(rows), rel=0.35)
    close_all()


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / "t.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a" * 1000), (2, "b" * 3000), (10**15, None)])
        connection.execute("CREATE TABLE none (a)")
        connection.execute("CREATE TABLE unnumbered (a PRIMARY KEY) WITHOUT ROWID")
        connection.execute("INSERT INTO unnumbered VALUES ('x')")
        connection.execute('CREATE TABLE "odd "" name" ("a "" b")')
    connection.close()
    return path


def test_long_texts_make_wide_rows_and_none_of_them_is_fetched(sqlite_file: Path) -> None:
    with Backend("sqlite", sqlite_file).open() as database:
        assert row_width(database, "t") == pytest.approx(8 + (57 + 1000 + 57 + 3000 + 8) / 3)
    close_all()


def test_an_empty_table_has_no_width(sqlite_file: Path) -> None:
    with Backend("sqlite", sqlite_file).open() as database:
        assert row_width(database, "none") is None
        assert row_width(database, 'odd " name') is None
        assert row_count(database, "none", 4096) == 0
        with pytest.raises(QueryFailed):
            row_width(database, "gone")
    close_all()


def test_numbers_that_are_no_row_numbers_do_not_count_as_such(sqlite_file: Path) -> None:
    with Backend("sqlite", sqlite_file).open() as database:
        assert row_count(database, "t", sqlite_file.stat().st_size) == 3
        assert row_count(database, "unnumbered", sqlite_file.stat().st_size) == 1
    close_all()


def test_duckdbs_texts_blobs_and_nested_values_count(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (a VARCHAR, b BLOB, c INTEGER[], d TIMESTAMP)")
        connection.execute("INSERT INTO t VALUES (repeat('x', 100), 'abc', [1, 2, 3], now()), (NULL, NULL, NULL, NULL)")
    with Backend("duckdb", path).open() as database:
        assert row_width(database, "t") == pytest.approx((57 + 50) + (57 + 1.5) + (120 + 4.5) + 8)
        assert row_count(database, "t", 0) == 2
    close_all()
