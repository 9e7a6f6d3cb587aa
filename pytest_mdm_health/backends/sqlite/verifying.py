"""What SQLite's own checks say, sorted: damaged pages, indexes that disagree, broken constraints, what it cannot use.

SQLite tells all of it as lines of one list. Only damaged pages make a file unsound: an index is made again from its
table, and a constraint is broken by rows that are there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pytest_mdm_health.backends.base import (
    IndexProblem,
    QueryFailed,
    Row,
    Unusable,
    Verification,
    Violated,
    literal,
)

PROBLEMS = 20
"""How many problems of a damaged file are reported."""

_MANY = 100_000
"""Lines that are asked for where harmless ones may stand before those of damage."""

_OF_INDEX = (
    re.compile(r"row \d+ missing from index (?P<index>.+)"),
    re.compile(r"row \d+ values differ from index (?P<index>.+)"),
    re.compile(r"rowid not at end-of-record for row \d+ of index (?P<index>.+)"),
    re.compile(r"(?P<surplus>wrong # of entries in index) (?P<index>.+)"),
)
_NOT_UNIQUE = re.compile(r"non-unique entry in index (?P<index>.+)")
_OF_ROWS = (
    (re.compile(r"NULL value in (?P<table>.+)\.(?P<detail>[^.]+)"), "NOT NULL"),
    (re.compile(r"CHECK constraint failed in (?P<table>.+)(?P<detail>)"), "CHECK"),
    (re.compile(r"(?:non-)?(?:[A-Z]+) value in (?P<table>.+)\.(?P<detail>[^.]+)"), "type"),
)
_COLLATION = re.compile(r"no such collation sequence: (?P<name>.+)")
_FUNCTION = re.compile(r"(?:no such|unknown) function: (?P<name>\w+)")
_UNKNOWN_COLLATIONS = """
SELECT DISTINCT m.name, m.tbl_name, x.coll FROM sqlite_master m, pragma_index_xinfo(m.name) x
WHERE m.type = 'index' AND upper(x.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM') ORDER BY m.name
"""
_BROKEN_REFERENCES = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'
_USABLE_IN_SPITE = frozenset({"lacking", "restricted", "broken"})
"""The words for what keeps SQLite from checking a table and is no damage."""


@dataclass
class _Sorted:
    """The lines of SQLite's list by what they are about."""

    damage: list[str] = field(default_factory=list)
    indexes: dict[str, list[str]] = field(default_factory=dict)
    surplus: set[str] = field(default_factory=set)
    not_unique: Counter[str] = field(default_factory=Counter)
    violated: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def add(self, line: str) -> None:
        for pattern in _OF_INDEX:
            if match := pattern.fullmatch(line):
                self.indexes.setdefault(match["index"], []).append(line)
                if "surplus" in match.groupdict():
                    self.surplus.add(match["index"])
                return
        if match := _NOT_UNIQUE.fullmatch(line):
            self.not_unique[match["index"]] += 1
            return
        for pattern, constraint in _OF_ROWS:
            if match := pattern.fullmatch(line):
                self.violated[constraint, match["table"], match["detail"]] += 1
                return
        self.damage.append(line)


@dataclass
class Verifier:
    """One verification.

    Attributes:
        ask: gives the rows of a statement.
        standing_in: a block in which a collation of this name exists.
        ask_writable: as `ask`, of a copy that SQLite may write; None if the file is too large for one. SQLite does not
            look at CHECK in a file that it may only read.
    """

    ask: Callable[[str], list[Row]]
    standing_in: Callable[[str], AbstractContextManager[None]]
    ask_writable: Callable[[str], list[Row]] | None
    _lacking: dict[str, None] = field(default_factory=dict)
    _unverified: list[str] = field(default_factory=list)

    def verified(self, complete: bool) -> Verification:
        """All that SQLite finds.

        Raises:
            Unfinished: it would have taken longer.
        """
        try:
            lines = self._lines(complete)
        except QueryFailed as error:
            return Verification(damage=(str(error),))
        found = _sorted(lines)
        if found.damage:  # entries that an index lacks, or has too many, may then be rows that are lost
            sure = [line for line in lines if not any(pattern.fullmatch(line) for pattern, _ in _OF_ROWS)]
            return Verification(damage=tuple(sure[:PROBLEMS]), unverified=tuple(self._unverified))
        return Verification(
            indexes=tuple(self._indexes(found)),
            violated=(*self._violated(found), *self._failed_checks(), *self._references()),
            unusable=tuple(self._unusable()),
            unverified=tuple(self._unverified),
        )

    def _lines(self, complete: bool) -> list[str]:
        """The lines of SQLite's list without the headings; table by table where something keeps it from the whole."""
        pragma = "integrity_check" if complete else "quick_check"
        try:
            lines = self._told(pragma, str(PROBLEMS))
            return self._told(pragma, str(_MANY)) if _may_hide_damage(lines) else lines
        except QueryFailed as error:
            if error.why not in _USABLE_IN_SPITE:
                raise
            self._lacking[str(error)] = None
        tables = self.ask("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name")
        return [line for (name,) in tables for line in self._lines_of(str(name), pragma)]

    def _lines_of(self, table: str, pragma: str) -> list[str]:
        """The lines about one table: about its indexes too if SQLite can use them, else about its pages."""
        for wanted in dict.fromkeys((pragma, "quick_check")):
            try:
                return self._told(wanted, literal(table))
            except QueryFailed as error:
                if error.why not in _USABLE_IN_SPITE:
                    raise
                self._lacking[str(error)] = None
                reason, collation = str(error), _COLLATION.fullmatch(str(error))
            if collation is not None:
                return self._lines_with(collation["name"], table)
        self._unverified.append(f"the table {table} could not be verified: {reason}")
        return []

    def _lines_with(self, collation: str, table: str) -> list[str]:
        """The lines about the pages of a table with an order of its own, which is not looked at."""
        with self.standing_in(collation):
            lines = self._lines_of(table, "quick_check")
        return [line for line in lines if "PRIMARY KEY order" not in line]

    def _told(self, pragma: str, argument: str) -> list[str]:
        rows = self.ask(f"PRAGMA {pragma}({argument})")
        lines = [line for (text,) in rows for line in str(text).splitlines()]
        return [line for line in lines if line != "ok" and not line.startswith("*** in database")]

    def _indexes(self, found: _Sorted) -> Iterator[IndexProblem]:
        for name, lines in found.indexes.items():
            found.not_unique.pop(name, None)  # entries that do not belong there say nothing of the rows
            problems = tuple(lines[:PROBLEMS])
            yield IndexProblem(name=name, table=self._table_of(name), problems=problems, surplus=name in found.surplus)

    def _violated(self, found: _Sorted) -> Iterator[Violated]:
        for (constraint, table, detail), count in sorted(found.violated.items()):
            if constraint != "CHECK":  # told of the copy, where it is always looked at
                yield Violated(constraint=constraint, table=table, detail=detail, count=count)
        for index, count in sorted(found.not_unique.items()):
            yield Violated(constraint="UNIQUE", table=self._table_of(index), detail=index, count=count)

    def _failed_checks(self) -> Iterator[Violated]:
        if not self.ask("SELECT 1 FROM sqlite_master WHERE type = 'table' AND sql LIKE '%CHECK%' LIMIT 1"):
            return
        if self.ask_writable is None:
            self._unverified.append(
                "CHECK constraints were not checked: SQLite does so only in a file that it may write"
            )
            return
        try:
            lines = [str(text) for (text,) in self.ask_writable(f"PRAGMA quick_check({_MANY})")]
        except QueryFailed as error:
            if error.why in _USABLE_IN_SPITE:
                self._lacking[str(error)] = None
            self._unverified.append(f"CHECK constraints were not checked: {error}")
            return
        for (constraint, table, detail), count in sorted(_sorted(lines).violated.items()):
            if constraint == "CHECK":
                yield Violated(constraint=constraint, table=table, detail=detail, count=count)

    def _references(self) -> Iterator[Violated]:
        try:
            if self.ask("SELECT 1 FROM sqlite_master WHERE type = 'table' AND sql LIKE '%REFERENCES%' LIMIT 1"):
                for table, parent, count in self.ask(_BROKEN_REFERENCES):
                    yield Violated(constraint="FOREIGN KEY", table=str(table), detail=str(parent), count=int(count))
        except QueryFailed as error:
            self._unverified.append(f"foreign keys were not checked: {error}")

    def _table_of(self, index: str) -> str:
        rows = self.ask(f"SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND name = {literal(index)}")  # noqa: S608 - quoted
        return str(rows[0][0]) if rows else index  # the index of a table WITHOUT ROWID is the table

    def _unusable(self) -> Iterator[Unusable]:
        for name, table, collation in self.ask(_UNKNOWN_COLLATIONS):
            yield Unusable(kind="index", name=name, table=table, reason=f"no such collation sequence: {collation}")
        for reason in self._lacking:
            if function := _FUNCTION.match(reason):
                yield from self._with_function(function["name"], reason)

    def _with_function(self, function: str, reason: str) -> Iterator[Unusable]:
        called = re.compile(rf"\b{re.escape(function)}[\"'`\]]?\s*\(", re.IGNORECASE)
        rows: Sequence[Row] = self.ask(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('table', 'index')"
        )
        for kind, name, table, sql in rows:
            if called.search(str(sql)):
                yield Unusable(kind=kind, name=name, table=table, reason=reason)


def _may_hide_damage(lines: Sequence[str]) -> bool:
    """Whether SQLite stopped telling before it came to damage, if there is any."""
    return len(lines) >= PROBLEMS and not _sorted(lines).damage


def _sorted(lines: Sequence[str]) -> _Sorted:
    found = _Sorted()
    for line in lines:
        found.add(line)
    return found
