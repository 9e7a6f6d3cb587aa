"""The conditions under which types are reported."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import quote
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.checks.type_mismatch.facts import ExaminedColumn, TypeFacts
from pytest_mdm_health.checks.type_mismatch.findings import (
    BOOLEAN_SPELLINGS,
    CHANGED_TYPE,
    CHECK_NUMBERS,
    CONVERT_NUMBERS,
    CORRECT_NUMBERS,
    CORRECT_VALUES,
    DECIMALS_AS_TEXT,
    DECLARED_TYPE,
    FAIL,
    FLOAT_INTEGERS,
    HEADING_ROW,
    LOST_DIGITS,
    LOST_IDENTIFIERS,
    MIXED_DATE_ORDERS,
    MIXED_DATES,
    MIXED_TYPES,
    NOTE,
    NUMBERS_AMONG_TEXT,
    NUMBERS_AS_TEXT,
    ODD_DATES,
    ONE_DATE_FORMAT,
    ONE_ISO_FORMAT,
    RESTORE_TEXT,
    RESTORE_TIMES,
    ROUNDED_IDENTIFIERS,
    TABLES_DIFFER,
    WARN,
)
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.integrity.profiles.column_sql import ISO
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile
from pytest_mdm_health.integrity.profiles.heading_rows import is_heading
from pytest_mdm_health.integrity.profiles.text_formats import spelled_differently

MOSTLY_NUMBERS = 0.9
"""A column of texts is one of numbers if at least this share of them are numbers."""

FEW = 10
"""A share of fewer values says nothing."""

DATE_PARTS = 2
"""Digits of a number that may be padded without being an identifier, such as a month."""

SHOWN_ROWS = 100
SHOWN_NUMBERS = 3

KINDS_OF_TEXT = {
    "number": ("number", "numbers"),
    "decorated": ("number with separators, units or currencies", "numbers with separators, units or currencies"),
    "marker": ("word for a missing value", "words for a missing value"),
    "boolean": ("word for a truth value", "words for truth values"),
    "date": ("date", "dates"),
    "other": ("other text", "other texts"),
    **dict.fromkeys(ISO, ("date", "dates")),
}


def check_header_rows(facts: TypeFacts) -> Iterator[Finding]:
    """Rows that hold the names of the columns: one finding for a table rather than one for each column."""
    for table, headings in facts.headings.items():
        numbers = ", ".join(map(str, headings.rows[:SHOWN_NUMBERS]))
        if len(headings.rows) > SHOWN_NUMBERS:
            numbers += ", …"
        condition = is_heading(headings.columns)
        yield HEADING_ROW(
            subject=f"table {table}",
            evidence={"rows": list(headings.rows), "columns": list(headings.columns)},
            table=table,
            rows=f"row {numbers}" if len(headings.rows) == 1 else f"rows {numbers}",
            register_again=under_a_new_name(facts.source),
            program=facts.command_line,
            statement=f"SELECT * FROM {quote(table)} WHERE {condition} LIMIT {SHOWN_ROWS}",  # noqa: S608 - quoted
        )


def check_column(column: ExaminedColumn) -> Iterator[Finding]:
    """What is wrong with one column by itself."""
    if column.profile.values:
        yield from check_storage(column)
        yield from check_booleans(column)
        yield from check_numbers_as_text(column)
        yield from check_dates(column)
        yield from check_identifiers(column)


def check_storage(column: ExaminedColumn) -> Iterator[Finding]:
    """Values that are stored as another type than the column declares, which only SQLite allows."""
    profile, name, evidence = column.profile, column.name, column.evidence
    expected, strays = expected_and_strays(profile)
    if is_reported_otherwise(column, expected, strays):
        return
    stored = stored_types(profile)
    remedy = CORRECT_NUMBERS if profile.kind in NUMBERS else CORRECT_VALUES
    if expected and strays:
        yield MIXED_TYPES(subject=name, evidence=evidence, remedy=remedy, column=column, stored=stored)
    elif strays and profile.kind is not Kind.OTHER:
        severity = FAIL if profile.kind in NUMBERS else WARN
        yield DECLARED_TYPE(severity, subject=name, evidence=evidence, remedy=remedy, column=column, contents=stored)
    elif profile.kind is Kind.INTEGER and profile.reals:
        contents = counted(profile.reals, "number that is not an integer", "numbers that are not integers")
        yield DECLARED_TYPE(subject=name, evidence=evidence, column=column, contents=contents)
    elif profile.beyond_truth:
        contents = counted(profile.beyond_truth, "value that is neither 0 nor 1", "values that are neither 0 nor 1")
        yield DECLARED_TYPE(subject=name, evidence=evidence, column=column, contents=contents)


def expected_and_strays(profile: ColumnProfile) -> tuple[int, int]:
    """How many values are stored as the column declares, and how many are not."""
    numbers = profile.integers + profile.reals
    if profile.kind in {*NUMBERS, Kind.BOOLEAN}:
        return numbers, profile.texts + profile.blobs
    return profile.texts, numbers + profile.blobs


def is_reported_otherwise(column: ExaminedColumn, expected: int, strays: int) -> bool:
    """Whether any type is allowed, or the strays are reported as spellings of truth values or as headers."""
    profile = column.profile
    if profile.kind is Kind.OTHER and profile.declared:
        return True
    if profile.kind is Kind.BOOLEAN and profile.spellings:
        return True
    return expected > 0 and not profile.blobs and column.are_headings(strays)


def check_booleans(column: ExaminedColumn) -> Iterator[Finding]:
    """One truth value in several spellings."""
    profile = column.profile
    spellings = profile.spellings
    if spellings and profile.kind is Kind.BOOLEAN and profile.integers:
        spellings += ("1", "0")
    if spelled_differently(spellings):
        words = ", ".join(dict.fromkeys(spellings))
        yield BOOLEAN_SPELLINGS(subject=column.name, evidence=column.evidence, column=column, spellings=words)


def check_numbers_as_text(column: ExaminedColumn) -> Iterator[Finding]:
    """Numbers in a column of text that is not known to hold identifiers."""
    profile, name, evidence = column.profile, column.name, column.evidence
    plain = profile.looks.get("number", 0)
    others = profile.written - plain
    numbers = plain + profile.looks.get("decorated", 0)
    if profile.kind is not Kind.TEXT or column.is_identifier:
        return
    if plain and column.are_headings(others):
        return

    reason = reason_for_numbers(column)
    if plain and not others and reason:
        count = counted(plain, "number")
        converts = column.has_plain_numbers_only
        yield NUMBERS_AS_TEXT(
            subject=name,
            evidence=evidence,
            column=column,
            count=count,
            reason=reason,
            wanted=column.type_for(Kind.FLOAT if profile.decimals else Kind.INTEGER) if converts else "",
            remedy=CONVERT_NUMBERS if converts else None,
        )
    elif plain and others and profile.written >= FEW and numbers >= MOSTLY_NUMBERS * profile.written:
        contents = kinds_of_text(profile)
        yield NUMBERS_AMONG_TEXT(subject=name, evidence=evidence, column=column, contents=contents)
    elif profile.decimals:
        yield DECIMALS_AS_TEXT(subject=name, evidence=evidence, column=column, count=counted(numbers, "number"))


def reason_for_numbers(column: ExaminedColumn) -> str:
    """Why texts that are all numbers should be numbers; empty if nothing says so."""
    source = column.source
    if column.profile.name == column.facts.target:
        return "it is the target, to be predicted as a number"
    if source is not None and source.values and source.numbers == source.values:
        return "all of its values in the source are numbers, which MDM reads as such"
    return ""


def check_dates(column: ExaminedColumn) -> Iterator[Finding]:
    """Dates in several formats, and values among dates that are not dates."""
    name, evidence, dates = column.name, column.evidence, column.dates
    if dates is None:
        return
    if dates.both_orders:
        yield MIXED_DATE_ORDERS(subject=name, evidence=evidence, column=column)
    elif len(dates.formats) > 1:
        formats = ", ".join(f"{count} as {format_}" for format_, count in sorted(dates.formats.items()))
        remedy = ONE_ISO_FORMAT if set(dates.formats) <= set(ISO) else ONE_DATE_FORMAT
        yield MIXED_DATES(subject=name, evidence=evidence, remedy=remedy, column=column, formats=formats)

    odd, problems = dates.impossible + dates.others, []
    if dates.impossible:
        problems.append(counted(dates.impossible, "is", "are") + " not an existing date or time")
    if dates.others:
        problems.append(counted(dates.others, "does", "do") + " not look like a date")
    if odd and not column.are_headings(odd):
        count = odd + dates.written
        yield ODD_DATES(subject=name, evidence=evidence, column=column, count=count, problems=" and ".join(problems))


def check_identifiers(column: ExaminedColumn) -> Iterator[Finding]:
    """Numbers that were identifiers, and integers that missing values turned into floating-point numbers."""
    profile, source, name, evidence = column.profile, column.source, column.name, column.evidence
    if profile.kind not in NUMBERS or profile.texts:
        return
    if source is not None and source.padded and (column.is_identifier or source.widest > DATE_PARTS):
        severity = FAIL if column.is_identifier or source.merged else WARN
        values = counted(source.padded, "value has", "values have")
        merged = ", so that different ones became equal" if source.merged else ""
        yield LOST_IDENTIFIERS(severity, subject=name, evidence=evidence, column=column, values=values, merged=merged)
    elif source is not None and source.long and profile.kind is Kind.FLOAT:
        values = counted(source.long, "value has", "values have")
        yield LOST_DIGITS(subject=name, evidence=evidence, column=column, values=values)
    elif profile.inexact and column.is_identifier:
        yield ROUNDED_IDENTIFIERS(subject=name, evidence=evidence, column=column, count=profile.inexact)
    elif are_integers_with_gaps(column):
        severity = WARN if column.is_identifier else NOTE
        values = f"all {profile.reals} values are whole numbers"
        if profile.reals == 1:
            values = "its only value is a whole number"
        yield FLOAT_INTEGERS(severity, subject=name, evidence=evidence, column=column, values=values)


def are_integers_with_gaps(column: ExaminedColumn) -> bool:
    """Whether all values of a floating-point column are whole numbers, and some are missing."""
    profile, rows = column.profile, column.table.rows
    if profile.kind is not Kind.FLOAT or rows is None:
        return False
    return 0 < profile.reals == profile.whole and profile.values < rows


def check_tables(facts: TypeFacts) -> Iterator[Finding]:
    """Columns that have one type in one table and another type in another table."""
    first_by_name: dict[str, ExaminedColumn] = {}
    for column in facts.examined_columns():
        if not column.profile.values or not type_class(column.profile.kind):
            continue
        first = first_by_name.setdefault(column.profile.name, column)
        # SQLite stores text in any column: where both contain some, the declared types say nothing.
        both_have_text = facts.engine == "sqlite" and first.profile.texts and column.profile.texts
        if type_class(first.profile.kind) != type_class(column.profile.kind) and not both_have_text:
            yield TABLES_DIFFER(subject=column.name, column=column, other=first)


def check_recorded_types(facts: TypeFacts, baseline: TypeFacts | None) -> Iterator[Finding]:
    """Columns whose type is not that of the baseline or, if that has no such column, not the one that MDM recorded."""
    remedies = {
        ("number", "text"): CHECK_NUMBERS,
        ("text", "number"): RESTORE_TEXT,
        ("time", "number"): RESTORE_TIMES,
    }
    for column in facts.examined_columns():
        earlier = facts.recorded.get(column.table.table, {}).get(column.profile.name, "")
        when = "when MDM registered it"
        known = baseline_column(baseline, column.profile.name)
        if known is not None:
            earlier, when = known.declared, "in the baseline"
        remedy = remedies.get((type_class(kind_of(earlier)), type_class(column.profile.kind)))
        if remedy is None:
            continue
        wanted = ""
        if remedy is CHECK_NUMBERS and column.has_plain_numbers_only:
            same_engine = known is not None and baseline is not None and baseline.engine == facts.engine
            remedy, wanted = CONVERT_NUMBERS, earlier if same_engine else column.type_for(kind_of(earlier))
        yield CHANGED_TYPE(subject=column.name, remedy=remedy, column=column, earlier=earlier, when=when, wanted=wanted)


def baseline_column(baseline: TypeFacts | None, name: str) -> ExaminedColumn | None:
    """The first column of that name in the baseline, whatever its table, which may have been renamed."""
    if baseline is None:
        return None
    return next((column for column in baseline.examined_columns() if column.profile.name == name), None)


def type_class(kind: Kind) -> str:
    """What matters when types are compared; empty for a type that is not compared."""
    if kind in {*NUMBERS, Kind.BOOLEAN}:
        return "number"
    return {Kind.TEXT: "text", Kind.TIME: "time"}.get(kind, "")


def stored_types(profile: ColumnProfile) -> str:
    """How the values are stored, such as `3 integers and 1 text`."""
    counts = {"integer": profile.integers, "float": profile.reals, "text": profile.texts, "blob": profile.blobs}
    return " and ".join(counted(count, name) for name, count in counts.items() if count)


def kinds_of_text(profile: ColumnProfile) -> str:
    """What the texts look like, such as `30 numbers, 1 word for a missing value`."""
    known = {look: count for look, count in profile.looks.items() if look in KINDS_OF_TEXT}
    return ", ".join(counted(count, *KINDS_OF_TEXT[look]) for look, count in known.items())
