"""The figures of columns are what they say, the same from every engine, and show no text."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, server_backend
from pytest_mdm_health.core.session import Session
from pytest_mdm_health.integrity.digest.columns import ColumnFigures, profiled
from pytest_mdm_health.integrity.digest.tables import TableDigest, digest_table
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Source, TableFile, TableIn
from pytest_mdm_health.integrity.shared_session import shared_workbench
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, PASSWORD, USER, Server

ROWS = 30_000
FILL = (
    "INSERT INTO t SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE i % 100 + 0.5 END, "
    "CASE WHEN i % 2 = 0 THEN 'Zürich' ELSE '' END, TIMESTAMP '1969-12-31 23:59:59.5', NULL FROM {series}"
)
MADE = ("CREATE TABLE t (a BIGINT, x DOUBLE PRECISION, s TEXT, d TIMESTAMP, empty BIGINT)", FILL)


def figures(source: Source, *, show_values: bool = False) -> dict[str, ColumnFigures]:
    with Workbench(source.files) as workbench:
        return profiled(workbench, source, digest_table(source), show_values=show_values)[1]


@pytest.fixture(params=["duckdb", "sqlite", "postgresql", "parquet"])
def each_source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """A table of 30,000 rows on each engine."""
    file = tmp_path / f"t.{request.param}"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres")
        server.add_database(
            "t", *(each.format(series=f"generate_series(0, {ROWS - 1}) AS t(i)") for each in MADE), owner=USER
        )
        return TableIn(server_backend(Connection(HOST, server.port, "t", USER, PASSWORD)), "t")
    if request.param == "sqlite":
        series = (
            f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS - 1}) SELECT i FROM n)"
        )
        with closing(sqlite3.connect(file)) as connection:
            for statement in MADE:
                connection.execute(statement.format(series=series).replace("TIMESTAMP '", "'"))
            connection.commit()
        return TableIn(Backend("sqlite", file), "t")
    made_in = file if request.param == "duckdb" else tmp_path / "made"
    with closing(duckdb.connect(str(made_in))) as engine:
        for statement in MADE:
            engine.execute(statement.format(series=f"range({ROWS}) AS r(i)"))
        if request.param == "parquet":
            engine.execute(f"COPY t TO '{file}' (FORMAT parquet)")
    return TableFile(file) if request.param == "parquet" else TableIn(Backend("duckdb", file), "t")


def test_the_figures_are_those_of_the_rows_on_every_engine(each_source: Source) -> None:
    found = figures(each_source)
    assert abs(found["a"].distinct - ROWS) < 0.15 * ROWS
    assert found["x"] == ColumnFigures(nulls=ROWS // 3, distinct=found["x"].distinct, least="0.5", greatest="99.5")
    assert 95 <= found["x"].distinct <= 105
    assert (found["a"].least, found["a"].greatest) == ("0", str(ROWS - 1))
    assert found["s"] == ColumnFigures(nulls=0, distinct=2, least="0", greatest="6")
    assert found["d"] == ColumnFigures(
        nulls=0, distinct=1, least="1969-12-31 23:59:59.5", greatest="1969-12-31 23:59:59.5"
    )
    assert found["empty"] == ColumnFigures(nulls=ROWS, distinct=0, least=None, greatest=None)


def test_texts_are_shown_only_when_asked_for(each_source: Source) -> None:
    assert "Zürich" not in repr(figures(each_source))
    shown = figures(each_source, show_values=True)["s"]
    assert (shown.least, shown.greatest) == ("", "Zürich")


def test_the_sums_of_columns_are_those_of_the_digest(each_source: Source) -> None:
    with Workbench(each_source.files) as workbench:
        digest, _ = profiled(workbench, each_source, digest_table(each_source))
    assert digest == digest_table(each_source, by_column=True)


@pytest.mark.parametrize("distinct", [0, 1, 50, 4000, 20_000, 300_000])
def test_distinct_values_are_estimated_whatever_their_number(tmp_path: Path, distinct: int) -> None:
    file = tmp_path / "t.duckdb"
    with closing(duckdb.connect(str(file))) as engine:
        engine.execute(f"CREATE TABLE t AS SELECT 'v' || (i % {max(distinct, 1)}) AS s FROM range({distinct * 2}) r(i)")
    found = figures(TableIn(Backend("duckdb", file), "t"))["s"].distinct
    assert abs(found - distinct) <= max(0.15 * distinct, 1)


def made(file: Path) -> TableIn:
    file.parent.mkdir()
    with closing(duckdb.connect(str(file))) as engine:
        engine.execute("CREATE TABLE t AS SELECT 1 AS a")
    return TableIn(Backend("duckdb", file), "t")


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Callable[[str], TableIn]]:
    with Session():
        yield lambda name: made(tmp_path / name / f"{name}.duckdb")


def digest_in(workbench: Workbench, source: TableIn) -> TableDigest:
    from pytest_mdm_health.integrity.digest.tables import digested

    with digested(workbench, source) as (digest, _):
        return digest


def test_one_session_reads_all_tables_of_the_same_place(tables: Callable[[str], TableIn]) -> None:
    one, two = tables("one"), tables("two")
    with shared_workbench(one) as first:
        assert digest_in(first, one).rows == 1
    with shared_workbench(two) as second:
        assert digest_in(second, two).rows == 1
    assert first is second


def test_a_table_elsewhere_gets_a_session_that_may_read_it(tables: Callable[[str], TableIn]) -> None:
    one = tables("one")
    with shared_workbench(one) as first:
        later = tables("later")
    with shared_workbench(later) as second:
        assert digest_in(second, later).rows == 1
    assert first is not second


def test_a_session_that_failed_is_not_used_again(tables: Callable[[str], TableIn]) -> None:
    one = tables("one")
    with pytest.raises(ValueError, match="wrong"), shared_workbench(one) as first:
        raise ValueError("wrong")
    with shared_workbench(one) as second:
        assert digest_in(second, one).rows == 1
    assert first is not second
