"""The conditions under which differences from the baseline are reported."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_mdm_health.checks.data_corruption.baseline import plan
from pytest_mdm_health.checks.data_corruption.conditions import SHOWN, restore_or_compare
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.findings import (
    ADDED_COLUMNS,
    ADDED_ROWS,
    ADDED_TABLE,
    ALTERED_ROWS,
    BACKEND_CHANGED,
    DROPPED_COLUMNS,
    DUPLICATED_ROWS,
    FEWER_ROWS,
    INCOMPARABLE,
    LOSSY_BACKEND,
    LOST_TABLE,
    MISSING_ROWS,
    MORE_ROWS,
    MOVED_DATA,
    MOVED_HOME,
    MULTIPLIED_ROWS,
    NOT_COMPARED,
    OTHER_ROWS,
    PLAN_IT,
    PUT_BACK,
    RENAMED_AS_PLANNED,
    RETYPED,
    UNPACK,
    VALUES_AS_PLANNED,
)
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.integrity.table_comparison import Retyped, TableComparison
from pytest_mdm_health.mdm.backups.archive import form_by_name

_LONGEST = 60
_COMPARED_VALUES = {"digest", "columns", "sample"}
_LOSSY_IN_SQLITE = {"boolean-as-number", "time-as-text"}
_NO_KEY = (
    "more rows differ than were read again, and no column tells which are the same: as many as are missing and new are "
    "counted as altered"
)


def check_changes(facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """From the place of the data to its rows, whatever is planned."""
    yield from check_place(facts, before)
    for change in facts.changes:
        if change.verdict == "incomparable":
            yield INCOMPARABLE(at=facts.location, subject=subject_of(change), change=change)
        elif change.verdict == "failed":
            yield NOT_COMPARED(at=facts.location, subject=subject_of(change), change=change)
        elif change.verdict == "lost":
            yield from check_lost_table(change, facts)
        elif change.verdict == "added":
            yield ADDED_TABLE(at=facts.location, subject=subject_of(change), change=change)
        else:
            yield from check_columns(change, facts)
            yield from check_types(change, facts, before)
            yield from check_rows(change, facts)


def subject_of(change: TableComparison) -> str:
    """What a finding about a table is about."""
    return f"table {change.table}"


def check_place(facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """Where the data is."""
    if before.engine != facts.engine:
        yield BACKEND_CHANGED(at=facts.location, subject="backend", facts=facts, before=before)
    if before.home != facts.home:
        yield MOVED_HOME(at=facts.location, subject="home", facts=facts, before=before)
    if before.place is None or facts.place is None or before.engine != facts.engine:
        return
    if before.place.relative != facts.place.relative:
        yield MOVED_DATA(at=facts.location, subject="data", facts=facts, before=before)


def check_lost_table(change: TableComparison, facts: DataFacts) -> Iterator[Finding]:
    """A table that the baseline has; one that is registered is reported as missing, unless it is planned."""
    is_reported = any(table.name == change.table and not table.present for table in facts.tables)
    if is_reported and change.table not in facts.expected.dropped_tables:
        return
    had_rows = ""
    if change.rows_before is not None:
        had_rows = f", which had {counted(change.rows_before, 'row')},"
    yield LOST_TABLE(
        at=facts.location,
        subject=subject_of(change),
        remedy=with_plan(restore_or_compare(facts)),
        facts=facts,
        change=change,
        had_rows=had_rows,
    )


def check_columns(change: TableComparison, facts: DataFacts) -> Iterator[Finding]:
    """Columns that went, came, were renamed, or were left out because their values are planned to change."""
    at, subject, others = facts.location, subject_of(change), remaining_columns(change)
    planned = facts.expected.table(change.table)
    for columns in plan.split(change.dropped, planned.dropped.__contains__):
        yield DROPPED_COLUMNS(
            at=at,
            subject=subject,
            evidence={"columns": list(columns)},
            remedy=with_plan(restore_or_compare(facts)),
            facts=facts,
            change=change,
            columns=counted(len(columns), "column"),
            names=join_names(columns, SHOWN),
            renamed=rename_candidates(change),
            others=others,
        )
    for columns in plan.split(change.added, planned.added.__contains__):
        yield ADDED_COLUMNS(
            at=at,
            subject=subject,
            evidence={"columns": list(columns)},
            change=change,
            columns=counted(len(columns), "column"),
            names=join_names(columns, SHOWN),
        )
    if change.renamed:
        names = [f"{old} is now called {new}" for old, new in change.renamed.items()]
        yield RENAMED_AS_PLANNED(at=at, subject=f"{subject} (renamed)", change=change, renamed=join_names(names, SHOWN))
    left_out = [column for column in change.recomputed if column not in change.unaltered]
    if left_out and change.by in _COMPARED_VALUES:
        yield VALUES_AS_PLANNED(
            at=at,
            subject=f"{subject} (values)",
            evidence={"columns": list(left_out)},
            change=change,
            columns=join_names(left_out, SHOWN),
            others=others,
        )


def remaining_columns(change: TableComparison) -> str:
    """What is known of the columns that could be compared, as a clause."""
    if change.verdict != "equal":
        return ""
    if change.by == "columns":
        return "; each of the others has the same values as before, taken by itself, which proves nothing of the rows"
    return f"; in the others every row is as it was, as compared with {change.copy}" if change.copy else ""


def rename_candidates(change: TableComparison) -> str:
    """The columns that look as if they had only been renamed, as a clause."""
    pairs = [f"{new} has the values that {old} had" for old, new in change.alike.items()]
    return f"; {join_names(pairs, SHOWN)}, so it may have been renamed" if pairs else ""


def check_types(change: TableComparison, facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """Columns that are declared with another type, apart from those that the backend cannot declare."""
    at, subject = facts.location, subject_of(change)
    lossy: list[Retyped] = []
    if before.engine != facts.engine == "sqlite":
        lossy = [column for column in change.retyped if column.code in _LOSSY_IN_SQLITE]
    if lossy or change.losses:
        losses = [f"{column.column} ({column.before}) is {column.after}" for column in lossy]
        yield LOSSY_BACKEND(
            at=at,
            subject=subject,
            evidence={"columns": [column.column for column in lossy], "losses": list(change.losses)},
            change=change,
            backend="SQLite" if "sqlite" in {before.engine, facts.engine} else facts.engine,
            losses=join_names([*losses, *change.losses], SHOWN),
        )
    others = [column for column in change.retyped if column not in lossy]
    for columns in plan.split(others, lambda column: plan.is_planned_type(column, change, facts, before)):
        names = [column.column for column in columns]
        unchanged = change.verdict == "equal" and not set(names) & set(change.recomputed)
        types = [f"{column.column} was {column.before} and is {column.after}" for column in columns]
        yield RETYPED(
            at=at,
            subject=subject,
            evidence={"columns": list(names)},
            change=change,
            retyped=join_names(types, SHOWN),
            values="; the values are as they were" if unchanged else "",
        )


def check_rows(change: TableComparison, facts: DataFacts) -> Iterator[Finding]:
    """Rows that are not as they were: exactly where they could be compared, else by their number."""
    if change.verdict != "differs":
        return
    if change.rows is None or change.rows.none:
        yield check_number_of_rows(change, facts)
        return
    rows = change.rows
    rows_of = f"the table {change.table}"
    if rows.of is not None:
        rows_of = f"a sample of {counted(rows.of, 'row')} of {rows_of}"
    if rows.altered:
        cells = ""
        if change.cells:
            cells = f": {'' if rows.complete else 'in those read again '}{altered_cells(change.cells)}"
        yield _rows(ALTERED_ROWS, change, facts, rows_of=rows_of, count=rows.altered, cells=cells)
    for rule, count in ((MISSING_ROWS, rows.missing), (ADDED_ROWS, rows.added), (DUPLICATED_ROWS, rows.duplicated)):
        if count:
            yield _rows(rule, change, facts, rows_of=rows_of, count=count)


def _rows(rule: Rule, change: TableComparison, facts: DataFacts, *, count: int, **values: str) -> Finding:
    kind = rule.code.partition("-")[0]
    are = "is" if count == 1 else "are"
    return _finding(rule, change, facts, first=first_row(change, kind), count=count, are=are, **values)


def _finding(rule: Rule, change: TableComparison, facts: DataFacts, **values: Any) -> Finding:  # noqa: ANN401 - what a template takes
    command = unpack_command(facts, change.packed) if change.packed else ""
    return rule(
        at=facts.location,
        subject=subject_of(change),
        evidence=change.evidence,
        remedy=repair(change, facts),
        facts=facts,
        change=change,
        details=details(change),
        unpack_command=command,
        **values,
    )


def check_number_of_rows(change: TableComparison, facts: DataFacts) -> Finding:
    """What can be concluded without the earlier rows."""
    before, after = change.rows_before or 0, change.rows_after or 0
    if before == after:
        columns = ""
        if change.altered_columns:
            columns = f": other values are in {join_names(change.altered_columns, SHOWN)}"
        elif change.altered_columns == ():
            columns = ": each column has the values that it had, so values were swapped between rows"
        return _finding(OTHER_ROWS, change, facts, columns=columns)
    if {"rows-doubled", "rows-repeated"} & {*change.patterns}:
        return _finding(MULTIPLIED_ROWS, change, facts, factor=after // before)
    if after < before:
        return _finding(FEWER_ROWS, change, facts, fewer=before - after)
    return _finding(MORE_ROWS, change, facts, more=after - before)


def altered_cells(cells: Mapping[str, int]) -> str:
    """The columns with altered cells, those with most of them first."""
    ranked = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    return join_names([f"{counted(count, 'cell')} of {column}" for column, count in ranked], SHOWN)


def first_row(change: TableComparison, kind: str) -> str:
    """The first row of a kind: where it is, its key, and the first of its cells."""
    row = next((row for row in change.examples if row.kind == kind), None)
    if row is None:
        return ""
    place = row.before if row.after is None else row.after
    parts = [f"row {place}", *(f"{name} {value}" for name, value in zip(change.key, row.key, strict=False))]
    cells = [f"{cell.column} was {shown(cell.before)} and is {shown(cell.after)}" for cell in row.cells]
    return f" (the first: {', '.join(parts)}{': ' if cells else ''}{join_names(cells, SHOWN)})"


def shown(value: str | None) -> str:
    """A value on one line, cut if it is long."""
    if value is None:
        return "NULL"
    line = " ".join(value.split()) or repr(value)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def details(change: TableComparison) -> str:
    """What else is known, as clauses: what the difference looks like, and what was compared with what."""
    clauses = []
    if change.patterns:
        clauses.append(f"this looks like {join_names(change.patterns, SHOWN)}")
    if change.rows is not None and not change.rows.complete:
        clauses.append(_NO_KEY)
    if change.copy:
        clauses.append(f"as compared with {change.copy}")
    clauses += change.not_it[:SHOWN]
    return "".join(f"; {clause}" for clause in clauses)


def repair(change: TableComparison, facts: DataFacts) -> Steps:
    """Where the earlier rows are, or how another copy takes the place of the data."""
    if change.copy:
        return PUT_BACK
    return UNPACK if change.packed else with_plan(restore_or_compare(facts))


def with_plan(steps: Steps) -> Steps:
    """The steps for a change that may have been intended."""
    return Steps(f"{steps.text} {PLAN_IT}", steps.commands)


def unpack_command(facts: DataFacts, archive: str) -> str:
    """Unpack a backup beside the home, to compare with what is in it."""
    place = posixpath.join(facts.unpacked, posixpath.basename(archive).partition(".")[0] or "backup")
    quoted, to = shlex.quote(archive), shlex.quote(place)
    form = form_by_name(archive)
    unpack = f"unzip -q {quoted} -d {to}"
    if form != "zip":
        unpack = f"tar -x{'z' if form == 'tar.gz' else ''}f {quoted} -C {to}"
    return f"mkdir -p -m 700 -- {shlex.quote(facts.unpacked)} && mkdir -- {to} && {unpack}"


def unexamined(changes: Sequence[TableComparison], plan_of_dataset: ExpectedDataset) -> Iterator[str]:
    """What should have been compared, and could not be: whether it is as it was, or as planned, is unknown."""
    for change in changes:
        if change.beyond_depth:
            continue
        if change.verdict == "not-compared":
            yield f"the table {change.table} could not be compared with the baseline: {change.reason}"
        elif change.verdict == "differs" and plan.allows_only_their_number(plan_of_dataset.table(change.table), change):
            why = change.reason or "no copy of the earlier rows was found"
            yield (
                f"of the table {change.table} only the number of rows, which is as planned, could be compared with the "
                f"baseline: {why}"
            )


def gaps(changes: Sequence[TableComparison]) -> Iterator[str]:
    """What the depth leaves out, and where less than each row was compared."""
    for change in changes:
        if change.verdict == "not-compared" and change.beyond_depth:
            yield f"the table {change.table} was not compared with the baseline: {change.reason}"
        elif change.by == "sample" and change.rows is not None:
            of = f"{change.rows_after} rows of the table {change.table}"
            yield f"of {of} a sample of {change.rows.of} was compared with the baseline (--mdm-depth=full compares all)"
            if change.recomputed:
                yield (
                    f"of the table {change.table} only the keys of rows were compared, as values of "
                    f"{join_names(change.recomputed, SHOWN)} are planned to change; what is in the other columns is "
                    "not known"
                )
        elif change.verdict == "differs" and change.by == "count":
            why = f": {change.reason}" if change.reason else ""
            yield f"of the table {change.table} only the number of rows was compared with the baseline{why}"
