"""The data tables before and after, as data-corruption compared them, in groups of what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from pytest_mdm_health.core.model import JSON, Result
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.integrity.table_comparison import TableComparison
from pytest_mdm_health.reports.model import Report

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
"""By verdict and what told it: what is said of such tables, and whether somebody has to look at them."""

READERS = {
    "direct": "DuckDB",
    "scanner": "an extension of DuckDB",
    "batches": "rows in batches",
    "copy": "text from the server",
}
"""By `Reader.how`."""


_INVALID = TableComparison(table="", verdict="not-compared")
_adapter = TypeAdapter(TableComparison)


@dataclass(frozen=True)
class TableGroup:
    """Tables of which the same became, each with its dataset; `striking` if somebody has to look at them."""

    said: str
    striking: bool
    tables: tuple[tuple[str, TableComparison], ...]

    @property
    def sentence(self) -> str:
        """How many there are and what became of them."""
        return f"{counted(len(self.tables), 'data table')} {self.said}"


def compared_tables(report: Report) -> tuple[TableGroup, ...]:
    """The tables that were compared with the baseline, the striking groups first; in each the largest loss first."""
    found: dict[tuple[str, bool], list[tuple[str, TableComparison]]] = {kind: [] for kind in _SENTENCES.values()}
    for result in report.results:
        for table in _tables_of(result):
            found[_kind(table)].append((result.target.name, table))
    return tuple(
        TableGroup(said, striking, tuple(sorted(tables, key=_largest_loss_first)))
        for (said, striking), tables in found.items()
        if tables
    )


def not_compared(result: Result) -> tuple[TableComparison, ...]:
    """The tables of a result that the baseline could not be compared with."""
    return tuple(table for table in _tables_of(result) if table.verdict in {"not-compared", "incomparable"})


def _largest_loss_first(row: tuple[str, TableComparison]) -> tuple[bool, int]:
    difference = row[1].difference
    return difference >= 0, -abs(difference)


def _kind(table: TableComparison) -> tuple[str, bool]:
    return _SENTENCES.get((table.verdict, table.by)) or _SENTENCES.get((table.verdict, "")) or _UNKNOWN


_UNKNOWN = _SENTENCES["not-compared", ""]


def _tables_of(result: Result) -> Iterator[TableComparison]:
    """What the facts have, also those that were read back from JSON."""
    changes = result.facts.get("changes") if result.check.id == _CHECK else ()
    return map(_table, changes if isinstance(changes, (list, tuple)) else ())


def _table(change: JSON) -> TableComparison:
    """A table; one that is not described as this version does it counts as not compared."""
    try:
        return _adapter.validate_python(change)
    except ValidationError:
        return replace(_INVALID, table=str(change.get("table", ""))) if isinstance(change, Mapping) else _INVALID
