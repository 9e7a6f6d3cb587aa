"""What is wrong with the types in a dataset's data."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.type_mismatch.facts import TypeFacts
from pytest_mdm_health.checks.type_mismatch.repairs import Repair, without_headings
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.integrity.profiles.column_sql import ISO
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile
from pytest_mdm_health.integrity.profiles.text_formats import Dates, spelled_differently

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
MOSTLY = 0.9
"""The share of numbers from which on a column of texts is meant to hold numbers."""

FEW = 10
"""Values of which no share is taken."""

MOSTLY_DATES = 0.8
_SHOWN = 3
NUMBERS_AS_TEXT = "type-mismatch.numbers-as-text"
DATE_PARTS = 2
"""Digits of a number that may be padded without being an identifier, such as a month."""


class ColumnJudge:
    """The findings about one column."""

    def __init__(self, check: Check, facts: TypeFacts, table: TableProfile, column: ColumnProfile) -> None:
        self._check, self._facts, self._table, self._column = check, facts, table, column
        self._repair = Repair(facts, table, column)
        self._source = facts.source_of(table, column)

    def findings(self) -> Iterator[Finding]:
        """All of them."""
        if self._column.values:
            yield from self._stored()
            yield from self._truth()
            yield from self._numbers_as_text()
            yield from self._dates()
            yield from self._identifiers()

    def _stored(self) -> Iterator[Finding]:
        """Values that are stored in another way than the column declares, which only SQLite lets happen."""
        column = self._column
        numbers = column.integers + column.reals
        usual, stray = (numbers, column.texts) if column.kind in {*NUMBERS, Kind.BOOLEAN} else (column.texts, numbers)
        stray += column.blobs
        severity = FAIL if column.kind in NUMBERS else WARN
        if (column.kind is Kind.OTHER and column.declared) or (column.spellings and column.kind is Kind.BOOLEAN):
            return
        if usual and self._are_headings(stray) and not column.blobs:
            return
        if usual and stray:
            message = f"holds {_stored_as(column)} in one column"
            yield self._finding("mixed-types", FAIL, message, self._without_strays())
        elif stray and column.kind is not Kind.OTHER:
            message = f"is declared {column.declared} and holds {_stored_as(column)}"
            yield self._finding("declared-type", severity, message, self._without_strays())
        elif column.kind is Kind.INTEGER and column.reals:
            what = counted(column.reals, "number that is no integer", "numbers that are no integers")
            message = f"is declared {column.declared} and holds {what}"
            yield self._finding("declared-type", WARN, message, self._look_at("typeof({c}) = 'real'"))
        elif column.beyond_truth:
            what = counted(column.beyond_truth, "value that is neither 0 nor 1", "values that are neither 0 nor 1")
            message = f"is declared {column.declared} and holds {what}"
            yield self._finding("declared-type", WARN, message, self._look_at("{c} NOT IN (0, 1)"))

    def _are_headings(self, strays: int) -> bool:
        """Whether these values are those of rows that are told to be headings."""
        headings = self._facts.headings.get(self._table.table)
        return headings is not None and self._column.name in headings.columns and 0 < strays <= len(headings.rows)

    def _without_strays(self) -> Remedy:
        if self._column.kind in NUMBERS:
            return self._repair.without_texts()
        return self._look_at(f"typeof({{c}}) <> '{'integer' if self._column.kind is Kind.BOOLEAN else 'text'}'")

    def _look_at(self, condition: str) -> Remedy:
        return self._repair.looked_at(condition, "Look at these values, and correct them in the source.")

    def _truth(self) -> Iterator[Finding]:
        column = self._column
        spellings = column.spellings + (("1", "0") if column.kind is Kind.BOOLEAN and column.integers else ())
        if column.spellings and spelled_differently(spellings):
            message = f"spells truth values in several ways: {', '.join(dict.fromkeys(spellings))}"
            yield self._finding("boolean-spellings", WARN, message, self._repair.as_truth())

    def _numbers_as_text(self) -> Iterator[Finding]:
        column, looks = self._column, self._column.looks
        if column.kind is not Kind.TEXT or self._facts.names_things(column):
            return
        plain, others = looks.get("number", 0), column.written - looks.get("number", 0)
        meant, severity = plain + looks.get("decorated", 0), WARN
        if plain and self._are_headings(others):
            return
        if plain and not others and (why := self._meant_as_number()):
            message = f"keeps {counted(plain, 'number')} as text; {why}"
        elif plain and others and column.written >= FEW and meant >= MOSTLY * column.written:
            what = ", ".join(counted(count, *_LOOKS[look]) for look, count in looks.items() if look in _LOOKS)
            message = f"keeps numbers as text, mixed with other texts: {what}"
        elif column.decimals:
            severity = NOTE
            message = (
                f"keeps {counted(meant, 'number')} as text, written with a point, an exponent, a sign or separators"
            )
        else:
            return
        yield self._finding("numbers-as-text", severity, message, self._repair.as_numbers())

    def _meant_as_number(self) -> str:
        """Why texts that are all numbers are meant as such."""
        if self._column.name == self._facts.target:
            return "it is the target, to be predicted as a number"
        if self._source is not None and self._source.values and self._source.numbers == self._source.values:
            return "all of its values in the source are numbers, which MDM reads as such"
        return ""

    def _dates(self) -> Iterator[Finding]:
        dates = self._column.dates
        written = self._column.written
        if dates is None or not dates.written or dates.written + dates.impossible < MOSTLY_DATES * written:
            return
        if dates.both_orders:
            message = "writes the day first in some dates and the month first in others"
            yield self._finding("mixed-dates", WARN, message, self._repair.one_format(iso=False))
        elif len(dates.formats) > 1:
            ways = ", ".join(f"{count} as {name}" for name, count in sorted(dates.formats.items()))
            iso = set(dates.formats) <= set(ISO)
            yield self._finding(
                "mixed-dates", WARN, f"writes dates in several ways: {ways}", self._repair.one_format(iso=iso)
            )
        yield from self._no_dates(dates)

    def _no_dates(self, dates: Dates) -> Iterator[Finding]:
        odd = dates.impossible + dates.others
        if odd and not self._are_headings(odd):
            kinds = [counted(dates.impossible, "is", "are") + " no day or hour that exists"] if dates.impossible else []
            kinds += [counted(dates.others, "does", "do") + " not look like dates"] if dates.others else []
            message = f"holds dates, and of {odd + dates.written} values {' and '.join(kinds)}"
            advice = "Find the values that are no dates, and correct them in the source."
            yield self._finding("odd-dates", WARN, message, self._repair.registered(advice))

    def _identifiers(self) -> Iterator[Finding]:
        column, source = self._column, self._source
        if column.kind not in NUMBERS or column.texts:
            return
        named = self._facts.names_things(column)
        lost = source is not None and source.padded > 0 and (named or source.widest > DATE_PARTS)
        if source is not None and lost:
            severity = FAIL if named or source.merged else WARN
            width = source.widest if source.widest == source.narrowest else 0
            merged = ", so that different ones became the same" if source.merged else ""
            padded = counted(source.padded, "value has", "values have")
            message = f"has lost the leading zeros that {padded} in the source{merged}"
            yield self._finding("lost-identifiers", severity, message, self._repair.as_text(width))
        elif source is not None and source.long and column.kind is Kind.FLOAT:
            long = counted(source.long, "value has", "values have")
            message = f"has lost digits: {long} more in the source than a floating point number keeps"
            yield self._finding("lost-identifiers", FAIL, message, self._repair.as_text(0))
        elif column.inexact and named:
            message = f"keeps identifiers as {column.declared}, which rounds {column.inexact} of them"
            yield self._finding("rounded-identifiers", FAIL, message, self._repair.as_text(0))
        elif self._from_integers():
            severity = WARN if named else NOTE
            whole = (
                "its only value is a whole number"
                if column.reals == 1
                else f"all {column.reals} values are whole numbers"
            )
            message = f"is {column.declared} though {whole}; the missing ones made it so"
            yield self._finding("float-integers", severity, message, self._repair.as_integers())

    def _from_integers(self) -> bool:
        column, rows = self._column, self._table.rows
        return (
            column.kind is Kind.FLOAT and 0 < column.reals == column.whole and rows is not None and column.values < rows
        )

    def _finding(self, code: str, severity: Severity, message: str, remedy: Remedy) -> Finding:
        subject = f"{self._table.table}.{self._column.name}"
        looked = {"rows": self._table.rows, "values": self._column.values, "complete": self._table.complete}
        return self._check.finding(code, severity, f"{subject} {message}", remedy, evidence=looked, subject=subject)


def of_headings(check: Check, facts: TypeFacts) -> Iterator[Finding]:
    """Rows that hold the names of the columns, told once for a table instead of once for each column."""
    for table in facts.tables:
        headings = facts.headings.get(table.table)
        if headings is None:
            continue
        numbers = ", ".join(map(str, headings.rows[:_SHOWN])) + (", …" if len(headings.rows) > _SHOWN else "")
        one = len(headings.rows) == 1
        where = f"row {numbers} of {table.table} holds" if one else f"rows {numbers} of {table.table} hold"
        message = f"{where} the names of its columns: a heading among the data"
        evidence: dict[str, JSON] = {"rows": list(headings.rows), "columns": list(headings.columns)}
        remedy = without_headings(facts, table)
        yield check.finding("heading-row", FAIL, message, remedy, evidence=evidence, subject=f"table {table.table}")


def of_unexamined(check: Check, facts: TypeFacts) -> Iterator[Finding]:
    """What should have been looked at and could not be."""
    for why in facts.unexamined:
        text = (
            "Remove what keeps it from being read (a lock, a right that the registered role lacks, damage that "
            "data-corruption tells of), then run this check again: until then nothing is known of its types."
        )
        yield check.finding("not-examined", WARN, why, Remedy(text), subject=why.partition(" could")[0])


def of_tables(check: Check, facts: TypeFacts) -> Iterator[Finding]:
    """Columns that are of one type in one table and of another in another one."""
    seen: dict[str, tuple[TableProfile, ColumnProfile]] = {}
    for table, column in facts.each_column():
        if not column.values or _class(column.kind) is None:
            continue
        first_table, first = seen.setdefault(column.name, (table, column))
        if _class(first.kind) != _class(column.kind) and not (
            facts.engine == "sqlite" and first.texts and column.texts
        ):
            subject = f"{table.table}.{column.name}"
            message = f"{subject} is {column.declared}, and {first_table.table}.{column.name} is {first.declared}"
            remedy = Repair(facts, table, column).registered(
                "Find out which values made the difference, and correct them in the source."
            )
            yield check.finding("tables-differ", WARN, message, remedy, subject=subject)


def of_recorded(check: Check, facts: TypeFacts, before: TypeFacts | None) -> Iterator[Finding]:
    """Columns that have another type than in the baseline, or than MDM recorded when it registered the dataset."""
    for table, column in facts.each_column():
        earlier = facts.recorded.get(table.table, {}).get(column.name, "")
        since = "when MDM registered it"
        known = [each for _, each in before.each_column() if each.name == column.name] if before is not None else []
        if known:
            earlier, since = known[0].declared, "in the baseline"
        now, then = _class(column.kind), _class(kind_of(earlier))
        if (then, now) in {("number", "text"), ("text", "number"), ("time", "number")}:
            subject = f"{table.table}.{column.name}"
            message = f"{subject} is {column.declared} and was {earlier} {since}"
            repair = Repair(facts, table, column)
            remedies = {"number": repair.as_numbers, "time": repair.as_moments}
            remedy = remedies.get(then or "", repair.as_text)()
            yield check.finding("changed-type", WARN, message, remedy, subject=subject)


def _class(kind: Kind) -> str | None:
    if kind in {*NUMBERS, Kind.BOOLEAN}:
        return "number"
    return {Kind.TEXT: "text", Kind.TIME: "time"}.get(kind)


def _stored_as(column: ColumnProfile) -> str:
    counts = {"integer": column.integers, "float": column.reals, "text": column.texts, "blob": column.blobs}
    return " and ".join(counted(count, name) for name, count in counts.items() if count)


_LOOKS = {
    "number": ("number", "numbers"),
    "decorated": ("number with separators, units or currencies", "numbers with separators, units or currencies"),
    "marker": ("word for a missing value", "words for a missing value"),
    "boolean": ("word for a truth value", "words for truth values"),
    "date": ("date", "dates"),
    "other": ("other text", "other texts"),
    **dict.fromkeys(ISO, ("date", "dates")),
}
