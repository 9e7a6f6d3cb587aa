from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, close_all, server_backend
from pytest_mdm_health.integrity.profiles.features import FeatureColumn, distinct_values, feature_profile
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, SUPERUSER, Server

ENGINES = ("sqlite", "duckdb", "postgresql")
MakeTable = Callable[[str, str, Sequence[Sequence[Any]]], Backend]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def make_table(tmp_path: Path, request: pytest.FixtureRequest) -> MakeTable:
    def make(engine: str, declared: str, rows: Sequence[Sequence[Any]]) -> Backend:
        create, insert = f"CREATE TABLE t ({declared})", f"INSERT INTO t VALUES ({', '.join('?' * len(rows[0]))})"
        if engine == "sqlite":
            with closing(sqlite3.connect(tmp_path / "a.sqlite")) as lite:
                lite.execute(create)
                lite.executemany(insert, rows)
                lite.commit()
            return Backend(engine, tmp_path / "a.sqlite")
        if engine == "duckdb":
            with duckdb.connect(str(tmp_path / "a.duckdb")) as duck:
                duck.execute(create)
                duck.executemany(insert, rows)
            return Backend(engine, tmp_path / "a.duckdb")
        server: Server = request.getfixturevalue("postgres")
        server.add_database("mdm_features", create)
        with closing(server.connect("mdm_features")) as connection, connection.cursor() as cursor:
            cursor.executemany(insert.replace("?", "%s"), rows)
        return server_backend(Connection(host=HOST, port=server.port, database="mdm_features", user=SUPERUSER))

    return make


KINDS = ("DOUBLE PRECISION", "BIGINT", "TEXT", "BOOLEAN", "DATE")
VALUES: dict[str, tuple[Any, Any]] = {
    "DOUBLE PRECISION": (0.5, 1.5),
    "BIGINT": (1, 2),
    "TEXT": ("a", "b"),
    "BOOLEAN": (False, True),
    "DATE": ("2024-01-01", "2024-01-02"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_every_kind_are_told_apart(make_table: MakeTable, engine: str, kind: str) -> None:
    one, other = VALUES[kind]
    declared = ", ".join(f"{name} {kind}" for name in ("sound", "gappy", "empty", "constant", "nearly"))
    rows = [(one, one, None, one, one), (other, None, None, one, one), (one, other, None, one, None)]
    with make_table(engine, declared, rows).open() as database:
        found = feature_profile(database, "t")
    assert (found.rows, found.complete) == (3, True)
    told = {column.name: (column.empty, column.infinite, column.constant) for column in found.columns}
    assert told == {
        "sound": (False, 0, False),
        "gappy": (False, 0, False),
        "empty": (True, 0, False),
        "constant": (False, 0, True),
        "nearly": (False, 0, False),
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_only_infinite_numbers_are_counted_as_infinite(make_table: MakeTable, engine: str) -> None:
    declared = ", ".join(f"{name} DOUBLE PRECISION" for name in ("partly", "below", "all_of_them", "no_number", "wide"))
    nan, inf = math.nan, math.inf
    rows = [(1.0, -inf, inf, nan, -1.7e308), (inf, 2.0, inf, nan, 1.7e308), (-inf, nan, inf, None, 0.0)]
    with make_table(engine, declared, rows).open() as database:
        columns = {column.name: column for column in feature_profile(database, "t").columns}
    assert {name: column.infinite for name, column in columns.items()} == {
        "partly": 2,
        "below": 1,
        "all_of_them": 3,
        "no_number": 0,
        "wide": 0,
    }
    assert [name for name, column in columns.items() if column.empty] == ["no_number"]
    assert not any(column.constant for column in columns.values())


def test_only_the_columns_that_are_asked_for_are_looked_at(make_table: MakeTable) -> None:
    with make_table("sqlite", "a BIGINT, b BIGINT", [(1, None), (2, None)]).open() as database:
        assert feature_profile(database, "t", {"b"}).columns == (
            FeatureColumn(name="b", declared="BIGINT", empty=True),
        )
        assert feature_profile(database, "t", set()).columns == ()


@pytest.mark.parametrize("engine", ENGINES)
def test_different_values_are_counted_in_the_first_rows(make_table: MakeTable, engine: str) -> None:
    with make_table(engine, "a BIGINT", [(number % 7,) for number in range(50)]).open() as database:
        assert (distinct_values(database, "t", "a", 100), distinct_values(database, "t", "a", 3)) == (7, 3)
        with pytest.raises(QueryFailed):
            distinct_values(database, "nowhere", "a", 3)
