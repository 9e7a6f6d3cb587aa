"""Planned changes of tables and columns that are not there, or that were so before: they cannot happen. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from itertools import chain

from pytest_mdm_health.checks.data_corruption.change_facts import TableChange, TableRecord
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.core.expected import EVERY_TABLE, ExpectedDataset

_SIMILAR = 0.5


def cannot_happen(facts: DataFacts, before: DataFacts) -> Iterator[tuple[str, str]]:
    """What is planned under the dataset's own name and cannot happen: what it is about, and a sentence.

    A pattern may mean datasets that differ in their tables, so its plan is not held against each of them.
    """
    plan = facts.own_plan
    if plan is None or not facts.known or not before.known:
        return
    yield from _of_tables(plan, _tables(facts), _tables(before))
    now = {table.name.casefold(): table for table in facts.known}
    then = {table.name: table for table in before.known}
    for change in facts.changes:
        if change.table in then and (table := now.get(change.table.casefold())) is not None:
            yield from _of_columns(plan, change, table, then[change.table])
    yield from _of_every_table(
        plan, {column.name for table in (*facts.known, *before.known) for column in table.columns}
    )


def _tables(facts: DataFacts) -> set[str]:
    return {table.name for table in facts.known} | {table.name for table in facts.tables if table.present}


def _of_tables(plan: ExpectedDataset, now: set[str], before: set[str]) -> Iterator[tuple[str, str]]:
    for name in sorted({*plan.tables, *plan.dropped_tables} - {*now, *before, *plan.added_tables}):
        yield f"table {name}", f"no table is or was called {name}{_near(name, now | before)}"
    for name in sorted({*plan.added_tables} & now & before):
        yield f"table {name}", f"the table {name} was to come, and was there before"


def _of_columns(
    plan: ExpectedDataset, change: TableChange, table: TableRecord, old: TableRecord
) -> Iterator[tuple[str, str]]:
    name = change.table
    now, before = ({column.name: column.type for column in each.columns} for each in (table, old))
    types, added = plan.types.get(name, {}), plan.added.get(name, ())
    planned = (*plan.dropped.get(name, ()), *plan.renamed.get(name, {}), *types, *plan.values.get(name, ()))
    known = {*now, *before, *added, *plan.renamed.get(name, {}).values()}
    for column in dict.fromkeys(each for each in planned if each not in known):
        yield (
            f"table {name}, column {column}",
            f"no column of the table {name} is or was called {column}{_near(column, {**before, **now})}",
        )
    for column in (each for each in added if each in before and each in now):
        yield (
            f"table {name}, column {column}",
            f"the column {column} of the table {name} was to come, and was there before",
        )
    then = {change.renamed.get(column, column): type_ for column, type_ in before.items()}
    for column, wanted in types.items():
        about = f"table {name}, column {column}", f"the column {column} of the table {name} was to be {wanted}, and"
        if column in before and column not in now:
            yield about[0], f"{about[1]} is not there"
        elif now.get(column, "").casefold() == then.get(column, "").casefold() == wanted.casefold():
            yield about[0], f"{about[1]} was so before"


def _of_every_table(plan: ExpectedDataset, columns: set[str]) -> Iterator[tuple[str, str]]:
    said = plan.table(EVERY_TABLE)
    known = {*columns, *said.added, *said.renamed.values()}
    planned = chain(said.dropped, said.renamed, said.types, said.values)
    for column in dict.fromkeys(each for each in planned if each not in known):
        yield f"column {column}", f"no column of any table is or was called {column}{_near(column, columns)}"


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=_SIMILAR)
    return f" (the nearest name is {near[0]})" if near else ""
