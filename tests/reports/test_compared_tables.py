"""The data tables of a report: what the check concluded, read back from the facts of any document."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from pytest_mdm_health.core.changes import ComparedTable
from pytest_mdm_health.core.model import JSON, Kind, Result, Status, Target
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.integrity.table_comparison import CellChange, RowChange, RowCounts, TableComparison
from pytest_mdm_health.reports.compared_tables import not_compared, tables_of

CHECK = load()["data-corruption"].check
WHOLE = TableComparison(
    table="train",
    verdict="not-compared",
    rows_before=40,
    rows_after=39,
    rows=RowCounts(missing=1),
    cells={"amount": 1},
    examples=(RowChange("altered", 3, 3, ("3",), (CellChange("amount", "1", None),)),),
    altered_columns=("amount",),
    not_it=("x.parquet is not what was there before",),
)


def result(*changes: JSON) -> Result:
    facts: dict[str, JSON] = {"changes": list(changes)}
    return Result(check=CHECK, target=Target(Kind.DATASET, "shop"), status=Status.PASS, facts=facts)


def test_a_comparison_survives_as_json() -> None:
    expected = ComparedTable("shop", "train", rows_before=40, rows_after=39, verdict="not-compared")
    assert tables_of(result(json.loads(json.dumps(asdict(WHOLE))))) == (expected,)


@pytest.mark.parametrize("change", [{"table": "a"}, {"table": "a", "verdict": "equal", "rows_before": "many"}, "a", 3])
def test_what_does_not_describe_a_table_counts_as_not_compared(change: JSON) -> None:
    (table,) = not_compared(tables_of(result(change)))
    assert table.table == ("a" if isinstance(change, dict) else "")


@pytest.mark.parametrize("changes", [None, "x", 3, {}])
def test_facts_without_tables_have_none(changes: JSON) -> None:
    facts: dict[str, JSON] = {"changes": changes}
    assert tables_of(Result(check=CHECK, target=Target(Kind.DATASET, "shop"), status=Status.PASS, facts=facts)) == ()


def test_the_evidence_of_a_finding_leaves_out_what_is_empty() -> None:
    assert WHOLE.evidence == {
        "rows_before": 40,
        "rows_after": 39,
        "by": "",
        "rows": asdict(RowCounts(missing=1)),
        "cells": {"amount": 1},
        "examples": [asdict(WHOLE.examples[0])],
        "altered_columns": ["amount"],
        "not_it": ["x.parquet is not what was there before"],
    }
