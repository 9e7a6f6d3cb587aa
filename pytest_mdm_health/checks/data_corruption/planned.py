"""What the plan of a migration says about a dataset's data: told as a change, excused, or missed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_mdm_health.checks.data_corruption.change_facts import Retyped, TableChange
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.core.expected import ExpectedDataset, ExpectedTable
from pytest_mdm_health.core.model import Finding


@dataclass(frozen=True)
class Planned:
    """The plan for a dataset; without a file nothing is planned, and nothing is held against a harmless change."""

    plan: ExpectedDataset
    given: bool

    def table(self, name: str) -> ExpectedTable:
        """The plan for a table."""
        return self.plan.table(name)

    def moves(self, facts: DataFacts) -> bool:
        """Whether the data is to be where it is, on the backend."""
        return self.plan.backend == facts.engine

    def retypes(self, table: str, column: Retyped) -> bool:
        """Whether a column is to have the type that it has."""
        planned = self.table(table).types.get(column.column, "")
        return planned.casefold() == column.after.casefold() and bool(planned)

    def allows_rows(self, change: TableChange) -> bool:
        """Whether the number of rows is as planned; which ones came and went included, where that is known."""
        planned, before, after = self.table(change.table).rows, change.rows_before, change.rows_after
        if planned is None or before is None or after is None or not planned.allows(before, after):
            return False
        rows = change.rows
        if rows is None or rows.of is not None:
            return True
        if planned.change is not None:
            return rows.missing == max(-planned.change, 0) and rows.added + rows.duplicated == max(planned.change, 0)
        return max(rows.missing, rows.added + rows.duplicated) <= (planned.at_most or 0) * before


def planned_for(facts: DataFacts) -> Planned:
    """The plan for a dataset, if there is a file with one."""
    return Planned(facts.plan or ExpectedDataset(), facts.plan is not None)


def unexcused(findings: Iterable[Finding], facts: DataFacts) -> Iterator[Finding]:
    """The findings without what MDM's records say of changes that are planned and happened."""
    planned = planned_for(facts)
    changes = {change.table: change for change in facts.changes}
    for finding in findings:
        table = finding.subject.removeprefix("table ")
        if not (planned.given and _is_excused(finding, table, planned, changes.get(table), facts)):
            yield finding


def _is_excused(finding: Finding, table: str, planned: Planned, change: TableChange | None, facts: DataFacts) -> bool:
    code = finding.code.rpartition(".")[2]
    if code == "missing-table":
        return table in planned.plan.dropped_tables
    if code == "lost-columns":
        columns = finding.evidence.get("columns")
        meant = {*planned.table(table).dropped, *planned.table(table).renamed}
        return isinstance(columns, list) and {str(each).casefold() for each in columns} <= set(map(str.casefold, meant))
    if code == "row-count":
        counted = [each for each in facts.changes if each.rows_before != each.rows_after]
        about = [change] if change is not None else counted
        return bool(about) and all(planned.allows_rows(each) for each in about)
    return False


def not_done(facts: DataFacts) -> Iterator[tuple[str, str]]:
    """What is planned and has not happened: what it is about, and a sentence."""
    if facts.plan is None:
        return
    plan = facts.plan
    if plan.backend is not None and plan.backend != facts.engine:
        yield "backend", f"the data was to be on {plan.backend}, and is on {facts.engine}"
    there = {table.name for table in facts.known}
    for name in sorted(there.intersection(plan.dropped_tables)):
        yield f"table {name}", f"the table {name} was to go, and is there"
    for name in sorted({*plan.added_tables} - there - {table.name for table in facts.tables if table.present}):
        yield f"table {name}", f"the table {name} was to come, and is not there"
    for change in facts.changes:
        if change.verdict not in {"lost", "added"}:
            found = (*_not_done_in(change, plan.table(change.table), facts), *_not_recomputed(change))
            for column, message in found:
                yield f"table {change.table}{column and ', column '}{column}", message


def _not_done_in(change: TableChange, plan: ExpectedTable, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Of one table, with the column that it is about."""
    of = f"of the table {change.table}"
    columns = next((table.columns for table in facts.known if table.name.casefold() == change.table.casefold()), ())
    types = {column.name: column.type for column in columns}
    for name in (each for each in plan.dropped if each in types):
        yield name, f"the column {name} {of} was to go, and is there"
    for old, new in plan.renamed.items():
        if old not in change.renamed and old in {*types, *change.dropped}:
            yield old, f"the column {old} {of} was to be called {new}, and is not"
    for name in (each for each in plan.added if each not in types):
        yield name, f"the column {name} {of} was to come, and is not there"
    for name, wanted in plan.types.items():
        if types.get(name, wanted).casefold() != wanted.casefold():
            yield name, f"the column {name} {of} was to be {wanted}, and is {types[name]}"
    rows = plan.rows.change if plan.rows is not None else None
    if rows and change.rows_before is not None and change.rows_after == change.rows_before:
        yield "", f"the number of rows {of} was to change by {rows}, and is {change.rows_after} as before"


def _not_recomputed(change: TableChange) -> Iterator[tuple[str, str]]:
    """Columns of one table whose values were to change."""
    for name in change.unaltered:
        yield name, f"the values of the column {name} of the table {change.table} were to change, and are as they were"


def split(names: Iterable[str], meant: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those that are meant, and the others."""
    known = set(meant)
    names = tuple(names)
    return tuple(each for each in names if each in known), tuple(each for each in names if each not in known)
