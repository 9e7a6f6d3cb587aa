"""The data tables before and after, as data-corruption compared them, in groups of what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mdm_health.core.model import JSON, Result
from pytest_mdm_health.core.text import counted
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

_READERS = {
    "direct": "DuckDB",
    "adbc": "SQLite's ADBC driver",
    "copy": "text from the server",
}
"""By `Reader.how`."""


@dataclass(frozen=True)
class ComparedTable:
    """One table; a number of rows is None where it was not there or not counted.

    Attributes:
        reader: by what its rows were read, in words; empty if they were not.
    """

    dataset: str
    table: str
    before: int | None
    after: int | None
    verdict: str
    by: str
    reader: str = ""

    @property
    def difference(self) -> int:
        """How many more rows there are; fewer if it is below zero."""
        return (self.after or 0) - (self.before or 0)


@dataclass(frozen=True)
class TableGroup:
    """Tables of which the same became; `striking` if somebody has to look at them."""

    said: str
    striking: bool
    tables: tuple[ComparedTable, ...]

    @property
    def sentence(self) -> str:
        """How many there are and what became of them."""
        return f"{counted(len(self.tables), 'data table')} {self.said}"


def compared_tables(report: Report) -> tuple[TableGroup, ...]:
    """The tables that were compared with the baseline, the striking groups first; in each the largest loss first."""
    found: dict[tuple[str, bool], list[ComparedTable]] = {kind: [] for kind in _SENTENCES.values()}
    for result in report.results:
        if result.check.id == _CHECK:
            for each in _of(result.target.name, result.facts.get("changes")):
                found[_kind(each)].append(each)
    return tuple(
        TableGroup(said, striking, tuple(sorted(some, key=lambda each: (each.difference >= 0, -abs(each.difference)))))
        for (said, striking), some in found.items()
        if some
    )


def not_compared(result: Result) -> tuple[ComparedTable, ...]:
    """The tables of a result of which the baseline does not tell whether they are the same."""
    tables = _of(result.target.name, result.facts.get("changes")) if result.check.id == _CHECK else ()
    return tuple(each for each in tables if each.verdict in {"not-compared", "incomparable"})


def _kind(table: ComparedTable) -> tuple[str, bool]:
    return _SENTENCES.get((table.verdict, table.by)) or _SENTENCES.get((table.verdict, "")) or _UNKNOWN


_UNKNOWN = _SENTENCES["not-compared", ""]


def _of(dataset: str, changes: JSON) -> Iterator[ComparedTable]:
    for each in changes if isinstance(changes, (list, tuple)) else ():
        if isinstance(each, Mapping):
            yield ComparedTable(
                dataset=dataset,
                table=str(each.get("table", "")),
                before=_number(each.get("rows_before")),
                after=_number(each.get("rows_after")),
                verdict=str(each.get("verdict", "")),
                by=str(each.get("by", "")),
                reader=_READERS.get(str(each.get("reader", "")), str(each.get("reader", ""))),
            )


def _number(value: JSON) -> int | None:
    return value if isinstance(value, int) else None
