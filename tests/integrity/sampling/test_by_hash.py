"""A sample of a large table has the same rows each time, in every backend."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, close_all
from pytest_mdm_health.integrity.digest.tables import BadDigest
from pytest_mdm_health.integrity.readers.base import TableIn
from pytest_mdm_health.integrity.sampling.by_hash import SAMPLED, Sample, compare_samples, sample_table

ROWS = 20_000


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def table(tmp_path: Path) -> TableIn:
    path = tmp_path / "home" / "data" / "t.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE t AS SELECT i AS id, 'n' || i AS name, i / 7.0 AS x FROM range({ROWS}) r(i)")
    return TableIn(Backend("duckdb", path), "t")


def changed(table: TableIn, *statements: str) -> None:
    with duckdb.connect(str(table.backend.path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_sample_is_the_same_whatever_the_order_and_the_engine(table: TableIn) -> None:
    before = sample_table(table, ["id"], ROWS)
    assert SAMPLED * 0.8 < len(before.rows) < SAMPLED * 1.2
    with duckdb.connect(str(table.backend.path), read_only=True) as connection:
        rows = connection.execute("FROM t ORDER BY x DESC").fetchall()
    path = table.backend.path.with_suffix(".sqlite")
    lite = sqlite3.connect(path)
    with lite:
        lite.execute("CREATE TABLE t (id BIGINT, name TEXT, x FLOAT)")
        lite.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    lite.close()
    after = sample_table(TableIn(Backend("sqlite", path), "t"), [], like=before)
    assert after.rows == before.rows


def test_what_became_of_its_rows_is_counted(table: TableIn) -> None:
    before = sample_table(table, ["id"], ROWS)
    changed(table, "UPDATE t SET name = name || ' '", "DELETE FROM t WHERE id % 2 = 0")
    after = compare_samples(before, sample_table(table, [], like=before))
    assert after is not None
    assert after.added == 0
    assert after.missing + after.altered == after.of
    assert min(after.missing, after.altered) > SAMPLED * 0.3
    assert compare_samples(before, before) == replace(after, missing=0, altered=0)


def test_a_sample_survives_as_plain_data(table: TableIn) -> None:
    sample = sample_table(table, ["id"], ROWS)
    assert Sample.from_plain(json.loads(json.dumps(sample.to_plain()))) == sample
    with pytest.raises(BadDigest):
        Sample.from_plain({**sample.to_plain(), "limit": "x"})


def test_samples_with_other_limits_or_hashes_are_incomparable(table: TableIn) -> None:
    sample = sample_table(table, ["id"], ROWS)
    for other in (replace(sample, limit=1), replace(sample, vector="0"), replace(sample, columns=())):
        assert compare_samples(sample, other) is None


def test_without_its_key_there_is_no_sample(table: TableIn) -> None:
    for key in (["gone"], []):
        with pytest.raises(QueryFailed):
            sample_table(table, key, ROWS)
