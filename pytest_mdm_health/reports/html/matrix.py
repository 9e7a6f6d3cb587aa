"""Go or no-go for each dataset: how every check on it ended, datasets with the same row taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_mdm_health.core.model import Check, Kind, Result, Status

_GO: Mapping[str, tuple[Status, ...]] = {
    "no-go": (Status.FAIL,),
    "not known": (Status.ERROR, Status.BLOCKED),
    "with care": (Status.WARN, Status.WAIVED),
    "go": (Status.PASS,),
}
"""The worst first; what was skipped altogether is not known."""


@dataclass(frozen=True)
class Row:
    """Targets with the same row.

    Attributes:
        go: `no-go`, `not known`, `with care` or `go`.
        targets: their names, sorted.
        cells: for each check of the matrix the status, None where it was not run.
    """

    go: str
    targets: tuple[str, ...]
    cells: tuple[Status | None, ...]


@dataclass(frozen=True)
class Matrix:
    """Targets of one kind and the checks that were run on them."""

    checks: tuple[Check, ...]
    rows: tuple[Row, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """How many targets may go on, by the word; zeros left out."""
        counts = {go: sum(len(row.targets) for row in self.rows if row.go == go) for go in _GO}
        return {go: count for go, count in counts.items() if count}


def matrix(results: Sequence[Result], kind: Kind) -> Matrix:
    """The matrix of all targets of this kind, the worst rows first."""
    ours = [result for result in results if result.target.kind is kind]
    checks = {result.check.id: result.check for result in ours}
    by_target: dict[str, dict[str, Status]] = {}
    for result in ours:
        by_target.setdefault(result.target.name, {})[result.check.id] = result.status
    grouped: dict[tuple[Status | None, ...], list[str]] = {}
    for target, statuses in sorted(by_target.items()):
        grouped.setdefault(tuple(statuses.get(id_) for id_ in checks), []).append(target)
    rows = [Row(go(cells), tuple(targets), cells) for cells, targets in grouped.items()]
    return Matrix(tuple(checks.values()), tuple(sorted(rows, key=_badness)))


def go(statuses: Sequence[Status | None]) -> str:
    """The word for a row of statuses."""
    return next((word for word, some in _GO.items() if any(status in some for status in statuses)), "not known")


def _badness(row: Row) -> tuple[int, int, int]:
    words = list(_GO)
    return words.index(row.go), -sum(status is Status.FAIL for status in row.cells), -len(row.targets)
