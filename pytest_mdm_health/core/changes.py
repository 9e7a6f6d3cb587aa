"""How a home has changed since its baseline: pure data, made by `compare`, shown by every report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Change(str, Enum):
    """How something has changed, in the words of the contract."""

    NEW = "new"
    FIXED = "fixed"
    UNCHANGED = "unchanged"
    WORSE = "worse"
    LOST = "lost"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Changed:
    """One thing that is not as it was.

    Attributes:
        change: how it has changed.
        what: `check`, `finding`, `home`, `dataset`, `table`, `column`, `feature`, `setting`, `duration` or `statement`.
        code: the finding's code, or the check's id.
        target: the target's name.
        subject: what in the target; empty when it is the target as such.
        message: one sentence.
        severity: of the finding: `fail`, `warn` or `note`; empty where it is none.
    """

    change: Change
    what: str
    code: str
    target: str
    subject: str
    message: str
    severity: str = ""


@dataclass(frozen=True)
class ComparedTable:
    """One data table and how it has changed; without a number of rows where it was not there or not counted.

    Attributes:
        dataset: the name of its dataset.
        table: its name.
        rows_before: in the baseline.
        rows_after: in this run.
        verdict: `equal`, `differs`, `incomparable`, `lost`, `added` or `not-compared`.
        by: what it was decided by: `digest`, `columns`, `sample`, `count` or `types`; empty where nothing was read.
        reader: how its rows were read; empty if they were not.
    """

    dataset: str
    table: str
    rows_before: int | None
    rows_after: int | None
    verdict: str
    by: str = ""
    reader: str = ""

    @property
    def difference(self) -> int:
        """How many more rows there are; fewer if it is below zero."""
        return (self.rows_after or 0) - (self.rows_before or 0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A run compared with an earlier one.

    Attributes:
        file: the baseline, or the earlier results.
        created_at: when that run started, as ISO 8601.
        home: the home that it examined.
        moved: whether that is another place than now.
        recorded_by: the version of this product that made it.
        same_checks: whether that version looked for the same things.
        counts: how many results of this run became what; removed ones are those that only the earlier run had.
        changes: what is not as it was, the worst first.
        regressions: results that are worse than they were, or newly bad.
        lost: results that were examined then and could not be now.
        unknown: what is neither better nor worse, because one of the two runs could not examine it, a line each.
        unasked: how many results of the earlier run were not asked for in this one.
        tables: the data tables that were compared.
    """

    file: str
    created_at: str
    home: str
    moved: bool
    recorded_by: str
    same_checks: bool
    counts: dict[str, int]
    changes: tuple[Changed, ...]
    regressions: int
    lost: int
    unknown: tuple[str, ...] = ()
    unasked: int = 0
    tables: tuple[ComparedTable, ...] = ()
