"""What the plan of a migration (`--mdm-expect`) says about changes: as planned, not planned, or not done. Pure.

Predicates over findings decide what a plan excuses; only renamed and recomputed columns alter what is compared.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.findings import (
    ADDED_COLUMNS,
    ADDED_ROWS,
    ADDED_TABLE,
    AS_PLANNED,
    BACKEND_CHANGED,
    DROPPED_COLUMNS,
    DUPLICATED_ROWS,
    FEWER_ROWS_THAN_RECORDED,
    LOST_COLUMNS,
    LOST_TABLE,
    MISSING_ROWS,
    MISSING_TABLE,
    NOT_DONE,
    RETYPED,
    UNPLANNED_CHANGE,
)
from pytest_mdm_health.core.expected import EVERY_TABLE, ExpectedDataset, ExpectedTable, RowsExpected
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.integrity.stored_tables import StoredTable
from pytest_mdm_health.integrity.table_comparison import Retyped, RowCounts, TableComparison

T = TypeVar("T")
HARMLESS = {rule.full_code for rule in (BACKEND_CHANGED, ADDED_TABLE, ADDED_COLUMNS, RETYPED)}
"""Changes that do no harm, and fail where there is a plan that does not have them."""

ROWS = {rule.full_code for rule in (MISSING_ROWS, ADDED_ROWS, DUPLICATED_ROWS)}
_SIMILAR = 0.5
_CHANCE = 3
"""By how many standard deviations a sample may have more changed rows than their share of the whole table."""


def applied(findings: Iterable[Finding], facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """The findings about changes, each as the plan has it; as they are without one."""
    for finding in findings:
        about = f"{finding.subject} ({finding.code.partition('.')[2]})"
        if facts.plan is None:
            yield finding
        elif is_planned(finding, facts, before):
            yield AS_PLANNED(at=facts.location, subject=about, message=finding.message)
        elif finding.code in HARMLESS:
            yield UNPLANNED_CHANGE(at=facts.location, subject=about, message=finding.message)
        else:
            yield finding


def is_planned(finding: Finding, facts: DataFacts, before: DataFacts) -> bool:
    """Whether the plan has the change that a finding reports."""
    plan, table = facts.expected, finding.subject.removeprefix("table ")
    expected, columns = plan.table(table), _columns_of(finding)
    if finding.code in ROWS:
        return allows_rows(expected, _change_of(table, facts))
    if finding.code == RETYPED.full_code:
        change = _change_of(table, facts)
        retyped = [column for column in change.retyped if column.column in columns]
        return all(is_planned_type(column, change, facts, before) for column in retyped)
    return {
        BACKEND_CHANGED.full_code: plan.backend == facts.engine,
        ADDED_TABLE.full_code: table in plan.added_tables,
        LOST_TABLE.full_code: table in plan.dropped_tables,
        ADDED_COLUMNS.full_code: columns <= set(expected.added),
        DROPPED_COLUMNS.full_code: columns <= set(expected.dropped),
    }.get(finding.code, False)


def excuses(finding: Finding, facts: DataFacts) -> bool:
    """Whether MDM's own records tell of a change that is planned and happened, so that the finding says nothing new."""
    plan, table = facts.plan, finding.subject.removeprefix("table ")
    if plan is None:
        return False
    if finding.code == MISSING_TABLE.full_code:
        return table in plan.dropped_tables
    if finding.code == LOST_COLUMNS.full_code:
        expected = plan.table(table)
        gone = {name.casefold() for name in (*expected.dropped, *expected.renamed)}
        return {name.casefold() for name in _columns_of(finding)} <= gone
    if finding.code == FEWER_ROWS_THAN_RECORDED.full_code:
        about = [change for change in facts.changes if change.table == table]
        changes = about or [change for change in facts.changes if change.rows_before != change.rows_after]
        return bool(changes) and all(allows_rows(plan.table(change.table), change) for change in changes)
    return False


def _columns_of(finding: Finding) -> set[str]:
    columns = finding.evidence.get("columns")
    return set(map(str, columns)) if isinstance(columns, list) else set()


def _change_of(table: str, facts: DataFacts) -> TableComparison:
    return next(change for change in facts.changes if change.table == table)


def is_planned_type(column: Retyped, change: TableComparison, facts: DataFacts, before: DataFacts) -> bool:
    """Whether a column is meant to have the type that it has, or has it because of the backend that is planned."""
    planned = facts.expected.table(change.table).types.get(column.column)
    moved_as_planned = before.engine != facts.engine == facts.expected.backend
    return moved_as_planned or (planned is not None and planned.casefold() == column.after.casefold())


def allows_rows(expected: ExpectedTable, change: TableComparison) -> bool:
    """Whether the number of rows is as planned; which ones are missing and new included, where that is known."""
    planned, before, after = expected.rows, change.rows_before, change.rows_after
    if planned is None or before is None or after is None or not planned.allows(before, after):
        return False
    if change.rows is None:
        return True  # which rows these are was not examined: see `allows_only_their_number`
    return _allows_sampled(planned, change.rows) if change.rows.of else _allows_compared(planned, change.rows, before)


def allows_only_their_number(expected: ExpectedTable, change: TableComparison) -> bool:
    """Whether so many rows are as planned, and nothing tells which of them are the earlier ones."""
    return change.rows is None and change.rows_before != change.rows_after and allows_rows(expected, change)


def _allows_compared(planned: RowsExpected, rows: RowCounts, before: int) -> bool:
    more = rows.added + rows.duplicated
    if planned.change is not None:
        return rows.missing == max(-planned.change, 0) and more == max(planned.change, 0)
    return max(rows.missing, more) <= (planned.at_most or 0) * before


def _allows_sampled(planned: RowsExpected, rows: RowCounts) -> bool:
    """Whether a sample agrees: it shows some of the missing and new rows, or about its share of them."""
    more = rows.added + rows.duplicated
    if planned.change is not None:
        return rows.missing <= max(-planned.change, 0) and more <= max(planned.change, 0)
    share = (planned.at_most or 0) * (rows.of or 0)
    return max(rows.missing, more) <= share + _CHANCE * math.sqrt(share)


def split(things: Iterable[T], planned: Callable[[T], bool]) -> Iterator[tuple[T, ...]]:
    """Those that are planned, then the others; each only if there are some."""
    things = tuple(things)
    meant = tuple(thing for thing in things if planned(thing))
    others = tuple(thing for thing in things if not planned(thing))
    return (some for some in (meant, others) if some)


def check_plan(facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """What is planned and did not happen, or cannot happen."""
    for subject, message in (*not_done(facts), *impossible(facts, before)):
        yield NOT_DONE(at=facts.location, subject=subject, message=message)


def not_done(facts: DataFacts) -> Iterator[tuple[str, str]]:
    """What is planned and has not happened: what it is about, and a sentence."""
    if facts.plan is None:
        return
    plan = facts.plan
    if plan.backend is not None and plan.backend != facts.engine:
        yield "backend", f"the data was to be on {plan.backend}, and is on {facts.engine}"
    known = {table.name for table in facts.known}
    for name in sorted(known.intersection(plan.dropped_tables)):
        yield f"table {name}", f"the table {name} still exists"
    for name in sorted({*plan.added_tables} - known - {table.name for table in facts.tables if table.present}):
        yield f"table {name}", f"the table {name} was not added"
    for change in facts.changes:
        if change.verdict not in {"lost", "added"}:
            of_table = _not_done_in(change, plan.table(change.table), facts)
            for column, message in (*of_table, *_not_recomputed(change)):
                yield f"table {change.table}{column and ', column '}{column}", message


def _not_done_in(change: TableComparison, plan: ExpectedTable, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Of one table, with the column that it is about."""
    of = f"of the table {change.table}"
    columns = next((table.columns for table in facts.known if table.name.casefold() == change.table.casefold()), ())
    types = {column.name: column.type for column in columns}
    yield from ((name, f"the column {name} {of} still exists") for name in plan.dropped if name in types)
    for old, new in plan.renamed.items():
        if old not in change.renamed and old in {*types, *change.dropped}:
            yield old, f"the column {old} {of} was not renamed to {new}"
    yield from ((name, f"the column {name} {of} was not added") for name in plan.added if name not in types)
    for name, wanted in plan.types.items():
        if types.get(name, wanted).casefold() != wanted.casefold():
            yield name, f"the column {name} {of} was to be {wanted}, and is {types[name]}"
    expected = plan.rows.change if plan.rows is not None else None
    if expected and change.rows_before is not None and change.rows_after == change.rows_before:
        yield "", f"the number of rows {of} was to change by {expected}, and is {change.rows_after} as before"


def _not_recomputed(change: TableComparison) -> Iterator[tuple[str, str]]:
    """Columns of one table whose values were to change."""
    for name in change.unaltered:
        yield name, f"the values of the column {name} of the table {change.table} did not change"


def impossible(facts: DataFacts, before: DataFacts) -> Iterator[tuple[str, str]]:
    """What is planned under the dataset's own name for what is not there, or was so before; as of `not_done`.

    A pattern may mean datasets that differ in their tables, so its plan is not held against each of them.
    """
    plan = facts.own_plan
    if plan is None or not facts.known or not before.known:
        return
    yield from _impossible_tables(plan, _tables(facts), _tables(before))
    now = {table.name.casefold(): table for table in facts.known}
    then = {table.name: table for table in before.known}
    for change in facts.changes:
        if change.table in then and (table := now.get(change.table.casefold())) is not None:
            yield from _impossible_columns(plan, change, table, then[change.table])
    columns = {column.name for table in (*facts.known, *before.known) for column in table.columns}
    yield from _unknown_columns(plan.table(EVERY_TABLE), columns)


def _tables(facts: DataFacts) -> set[str]:
    return {table.name for table in facts.known} | {table.name for table in facts.tables if table.present}


def _impossible_tables(plan: ExpectedDataset, now: set[str], before: set[str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*plan.tables, *plan.dropped_tables} - {*now, *before, *plan.added_tables}):
        yield f"table {name}", f"no table is or was called {name}{_nearest(name, now | before)}"
    for name in sorted({*plan.added_tables} & now & before):
        yield f"table {name}", f"the table {name} was to be added, and existed before"


def _impossible_columns(
    plan: ExpectedDataset, change: TableComparison, table: StoredTable, old: StoredTable
) -> Iterator[tuple[str, str]]:
    name = change.table
    now, before = ({column.name: column.type for column in each.columns} for each in (table, old))
    types, added = plan.types.get(name, {}), plan.added.get(name, ())
    planned = (*plan.dropped.get(name, ()), *plan.renamed.get(name, {}), *types, *plan.values.get(name, ()))
    known = {*now, *before, *added, *plan.renamed.get(name, {}).values()}
    for column in dict.fromkeys(column for column in planned if column not in known):
        nearest = _nearest(column, {**before, **now})
        yield f"table {name}, column {column}", f"no column of the table {name} is or was called {column}{nearest}"
    for column in added:
        if column in before and column in now:
            message = f"the column {column} of the table {name} was to be added, and existed before"
            yield f"table {name}, column {column}", message
    then = {change.renamed.get(column, column): type_ for column, type_ in before.items()}
    for column, wanted in types.items():
        subject = f"table {name}, column {column}"
        message = f"the column {column} of the table {name} was to be {wanted}, and"
        if column in before and column not in now:
            yield subject, f"{message} does not exist"
        elif now.get(column, "").casefold() == then.get(column, "").casefold() == wanted.casefold():
            yield subject, f"{message} was so before"


def _unknown_columns(plan: ExpectedTable, columns: set[str]) -> Iterator[tuple[str, str]]:
    known = {*columns, *plan.added, *plan.renamed.values()}
    planned = chain(plan.dropped, plan.renamed, plan.types, plan.values)
    for column in dict.fromkeys(column for column in planned if column not in known):
        yield f"column {column}", f"no column of any table is or was called {column}{_nearest(column, columns)}"


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=_SIMILAR)
    return f" (the nearest name is {near[0]})" if near else ""
