"""What a migration is meant to change: the plan that its user wrote down, and what of it holds for one dataset.

Plain frozen data, compared by value, so that it travels to the child process that looks and into the facts it brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatchcase
from typing import Any

EVERY_TABLE = "*"
"""In place of a table's name: what is said holds for each table."""


@dataclass(frozen=True, kw_only=True)
class RowsExpected:
    """How the number of rows of a table is meant to change; exactly one of the two is given.

    Attributes:
        change: by how many rows exactly; negative for rows that go.
        at_most: by which fraction of the earlier number at most, up or down; 0.01 is one in a hundred.
    """

    change: int | None = None
    at_most: float | None = None

    def allows(self, before: int, after: int) -> bool:
        """Whether so many rows after so many are as planned."""
        if self.change is not None:
            return after - before == self.change
        return self.at_most is None or abs(after - before) <= self.at_most * before


@dataclass(frozen=True, kw_only=True)
class ExpectedTable:
    """What is planned for one table.

    Attributes:
        renamed: old name of a column to its new one.
        dropped: columns that go.
        added: columns that come.
        types: column, by its name afterwards, to its new type.
        values: columns, by their names afterwards, whose values change.
        rows: how the number of rows changes; None: not at all.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    rows: RowsExpected | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedDataset:
    """What is planned for one dataset; tables by name, `*` for every table.

    Attributes:
        backend: the one it is on afterwards; None: the same as before.
        removed: whether it is gone afterwards; None: nothing is said, so it stays.
        added_tables: tables that come.
        dropped_tables: tables that go.
        registration: field of the registration, dotted below `database` and `metadata`, to its value afterwards.
        changed_fields: fields of the registration that get other values.
        renamed: table to old and new names of columns.
        dropped: table to columns that go.
        added: table to columns that come.
        types: table to columns, by their names afterwards, and their new types.
        values: table to columns, by their names afterwards, whose values change.
        rows: table to how its number of rows changes.
    """

    backend: str | None = None
    removed: bool | None = None
    added_tables: tuple[str, ...] = ()
    dropped_tables: tuple[str, ...] = ()
    registration: Mapping[str, Any] = field(default_factory=dict)
    changed_fields: tuple[str, ...] = ()
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    added: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, RowsExpected] = field(default_factory=dict)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that something is said about by name, sorted."""
        named = {name for each in fields(ExpectedTable) for name in getattr(self, each.name)}
        return tuple(sorted(named - {EVERY_TABLE}))

    def table(self, name: str) -> ExpectedTable:
        """What is planned for a table: what holds for every table, and what is said about this one, which wins."""
        return _later_wins(_said(self, EVERY_TABLE), _said(self, name))


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The whole plan.

    Attributes:
        given: whether there is one; without it nothing is planned, and nothing is held against a change.
        datasets: pattern of dataset names (as of a shell) to what is planned for those, in the order of the file.
        settings: dotted key to its planned value, plain data as from JSON.
    """

    given: bool = False
    datasets: Mapping[str, ExpectedDataset] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def of(self, dataset: str) -> ExpectedDataset:
        """What is planned for a dataset: all that matches its name together; of two that disagree the later wins."""
        merged = ExpectedDataset()
        for glob, planned in self.datasets.items():
            if matches(glob, dataset):
                merged = _merged(merged, planned)
        return merged

    def matching_none(self, datasets: Iterable[str]) -> tuple[str, ...]:
        """The patterns that match none of these names, in the order of the file: they are probably misspelt."""
        names = tuple(datasets)
        return tuple(glob for glob in self.datasets if not any(matches(glob, name) for name in names))


def matches(glob: str, name: str) -> bool:
    """Whether a name is meant by a pattern: by being it, or as a shell would match them, capitals being capitals."""
    return glob == name or (any(mark in glob for mark in "*?[") and fnmatchcase(name, glob))


def _merged(earlier: ExpectedDataset, later: ExpectedDataset) -> ExpectedDataset:
    names = {name for each in fields(ExpectedTable) for plan in (earlier, later) for name in getattr(plan, each.name)}
    tables = {name: _later_wins(_said(earlier, name), _said(later, name)) for name in names}
    by_field = {
        each.name: {name: said for name in sorted(tables) if (said := getattr(tables[name], each.name))}
        for each in fields(ExpectedTable)
    }
    return replace(
        earlier,
        backend=later.backend or earlier.backend,
        removed=earlier.removed if later.removed is None else later.removed,
        added_tables=_together(earlier.added_tables, later.added_tables, but=later.dropped_tables),
        dropped_tables=_together(earlier.dropped_tables, later.dropped_tables, but=later.added_tables),
        registration={
            **{name: value for name, value in earlier.registration.items() if name not in later.changed_fields},
            **later.registration,
        },
        changed_fields=_together(earlier.changed_fields, later.changed_fields, but=later.registration),
        **by_field,
    )


def _said(plan: ExpectedDataset, table: str) -> ExpectedTable:
    by_field = {each.name: getattr(plan, each.name) for each in fields(ExpectedTable)}
    return ExpectedTable(**{name: tables[table] for name, tables in by_field.items() if table in tables})


def _later_wins(earlier: ExpectedTable, later: ExpectedTable) -> ExpectedTable:
    """Both together; what the later one says about a column replaces what the earlier one said about it."""
    decided = {*later.renamed, *later.dropped}
    kept = {old: new for old, new in earlier.renamed.items() if old not in decided}
    return ExpectedTable(
        renamed={**kept, **later.renamed},
        dropped=_together(earlier.dropped, later.dropped, but=later.renamed),
        added=_together(earlier.added, later.added),
        types={**earlier.types, **later.types},
        values=_together(earlier.values, later.values, but=decided - {*later.renamed.values()}),
        rows=later.rows or earlier.rows,
    )


def _together(earlier: Iterable[str], later: Iterable[str], but: Iterable[str] = ()) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*(each for each in earlier if each not in set(but)), *later)))
