"""The data tables before and after, in groups by how they changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_mdm_health.core.changes import ComparedTable, Comparison
from pytest_mdm_health.core.model import JSON, Result
from pytest_mdm_health.core.text import counted

_CHECK = "data-corruption"
_SENTENCES: Mapping[tuple[str, str], tuple[str, bool]] = {
    ("differs", ""): ("not as before", True),
    ("lost", ""): ("gone", True),
    ("incomparable", ""): ("could not be compared", True),
    ("not-compared", ""): ("could not be compared", True),
    ("equal", "types"): ("with the same columns; no row was compared (--mdm-depth=full compares all)", True),
    ("equal", "sample"): ("with the same rows in a sample; --mdm-depth=full compares all", False),
    ("equal", "columns"): (
        "with the same values in each column; no row was compared as such",
        False,
    ),
    ("equal", "digest"): ("with the same rows and values; every row was compared", False),
    ("added", ""): ("not in the baseline", False),
}
"""By verdict and what it was decided by: what is said of such tables, and whether they need attention."""
_UNKNOWN = _SENTENCES["not-compared", ""]

READERS = {
    "direct": "DuckDB",
    "adbc": "SQLite's ADBC driver",
    "copy": "text from the server",
}
"""By `Reader.how`, what read the rows, in words."""


_VERDICTS = {verdict for verdict, _ in _SENTENCES}


@dataclass(frozen=True)
class TableGroup:
    """Tables of which the same became; `striking` if they need attention."""

    said: str
    striking: bool
    tables: tuple[ComparedTable, ...]

    @property
    def sentence(self) -> str:
        """How many there are and how they changed."""
        return f"{counted(len(self.tables), 'data table')} {self.said}"


def grouped(comparison: Comparison | None) -> tuple[TableGroup, ...]:
    """The tables that were compared, the striking groups first; in each the largest loss first."""
    found: dict[tuple[str, bool], list[ComparedTable]] = {kind: [] for kind in _SENTENCES.values()}
    for table in comparison.tables if comparison else ():
        found[_kind(table)].append(table)
    return tuple(
        TableGroup(said, striking, tuple(sorted(some, key=lambda each: (each.difference >= 0, -abs(each.difference)))))
        for (said, striking), some in found.items()
        if some
    )


def tables_of(result: Result) -> tuple[ComparedTable, ...]:
    """The tables that a result compared with the baseline, as its facts have them."""
    changes = result.facts.get("changes") if result.check.id == _CHECK else ()
    every = changes if isinstance(changes, (list, tuple)) else ()
    return tuple(_table(result.target.name, change) for change in every)


def not_compared(tables: tuple[ComparedTable, ...]) -> tuple[ComparedTable, ...]:
    """Those of which the baseline does not tell whether they are the same."""
    return tuple(each for each in tables if each.verdict in {"not-compared", "incomparable"})


def _kind(table: ComparedTable) -> tuple[str, bool]:
    return _SENTENCES.get((table.verdict, table.by)) or _SENTENCES.get((table.verdict, "")) or _UNKNOWN


def _table(dataset: str, change: JSON) -> ComparedTable:
    """A table; one that is not described as this version describes it counts as not compared."""
    described = change if isinstance(change, Mapping) else {}
    before, after, verdict = (described.get(key) for key in ("rows_before", "rows_after", "verdict"))
    rows_are_valid = all(rows is None or isinstance(rows, int) for rows in (before, after))
    return ComparedTable(
        dataset=dataset,
        table=str(described.get("table", "")),
        rows_before=before if isinstance(before, int) else None,
        rows_after=after if isinstance(after, int) else None,
        verdict=str(verdict) if verdict in _VERDICTS and rows_are_valid else "not-compared",
        by=str(described.get("by") or ""),
        reader=str(described.get("reader") or ""),
    )
