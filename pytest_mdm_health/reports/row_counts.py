"""Rows of each data table before and after, as data-corruption saw them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mdm_health.model import JSON
from pytest_mdm_health.reports.model import Report

_CHECK = "data-corruption"


@dataclass(frozen=True)
class RowCount:
    """One table; None where it was not there or not counted."""

    dataset: str
    table: str
    before: int | None
    after: int | None
    verdict: str

    @property
    def difference(self) -> int:
        """How many more rows there are; fewer if it is below zero."""
        return (self.after or 0) - (self.before or 0)


def row_counts(report: Report) -> tuple[RowCount, ...]:
    """Every table that was compared with the baseline; the largest loss first, then the largest gain."""
    found = [
        each
        for result in report.results
        if result.check.id == _CHECK
        for each in _of(result.target.name, result.facts.get("changes"))
    ]
    return tuple(sorted(found, key=lambda each: (each.difference >= 0, -abs(each.difference))))


def _of(dataset: str, changes: JSON) -> Iterator[RowCount]:
    for each in changes if isinstance(changes, (list, tuple)) else ():
        if isinstance(each, Mapping):
            before, after = _number(each.get("rows_before")), _number(each.get("rows_after"))
            if before is not None or after is not None:
                yield RowCount(dataset, str(each.get("table", "")), before, after, str(each.get("verdict", "")))


def _number(value: JSON) -> int | None:
    return value if isinstance(value, int) else None
