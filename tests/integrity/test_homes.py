"""What a migration of MDM left as it was is found to be as it was: the homes before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.backends import Backend, close_all, real_engine
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.readers.base import TableIn

TABLES = (("big", "big"), ("shop", "train"), ("shop", "test"), ("wine", "wine"), ("breast_cancer", "breast_cancer"))
BEFORE = ("mdm-0.1.0-sqlite", "mdm-0.1.0-duckdb")
AFTER = ("mdm-1.0.6-sqlite", "mdm-1.0.6-duckdb")


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


def table_of(home: Path, dataset: str, table: str) -> TableIn:
    (file,) = (home / "datasets" / dataset).glob(f"{dataset}.*")
    engine = real_engine(file)
    assert engine is not None
    return TableIn(Backend(engine, file), table)


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("before", BEFORE)
def test_the_data_of_every_pair_is_equal(make_home: Callable[..., Path], before: str, after: str) -> None:
    old, new = make_home(before, "before"), make_home(after, "after")
    for dataset, table in TABLES:
        result = compare_tables(table_of(old, dataset, table), table_of(new, dataset, table)).comparison
        assert (result.verdict, result.losses, result.missing_columns) == ("equal", (), ())
        assert result.rows_before == result.rows_after > 0
        assert {each.code for each in result.retyped} <= {"boolean-as-number"}
