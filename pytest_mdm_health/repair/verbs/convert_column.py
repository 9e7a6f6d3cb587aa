"""`convert-column FILE TABLE COLUMN TYPE`: give a column of a database file another type, if every value fits exactly.

On a copy, in which then each row has the same values in all other columns, and the same value in another type in this
one; every other table is compared whole. If one value does not fit, nothing is changed and the first of them are shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import duckdb

from pytest_mdm_health.backends.base import literal, quote
from pytest_mdm_health.core.text import counted, one_line, shortened
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.conversion import Rule, rule_for
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    changing_duckdb,
    changing_sqlite,
    database_file,
    refuse_damaged,
    refuse_logs,
    refuse_other_data,
    row_number,
    working_copy,
)
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.table_sql import with_type

_NEW = "mdm-health-new"
_SHOWN, _SHOWN_CHARACTERS = 3, 40
_BATCH = 10_000
Columns = Sequence[tuple[str, str]]
"""The columns of a table, each with its declared type."""


@dataclass(frozen=True)
class ConvertColumn:
    """The step; see the module."""

    repair: Repair
    table: str
    column: str
    type_: str

    def outline(self) -> Outline:
        """See `Step`."""
        database, _ = self._premise()
        return Outline(
            f"convert {self._name} of {database.path} to {self.type_}, if every value fits exactly",
            touches=database.files,
            details=(f"on a copy that then takes the place of {database.path}; every other value stays as it is",),
            room=4 * database.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database, rule = self._premise()
        before, converted = working_copy(database, work / "before"), working_copy(database, work / "converted")
        if database.engine == "sqlite":
            self._convert_sqlite(converted, rule)
            with changing_sqlite(before) as old, changing_sqlite(converted) as new:
                rows = f"SELECT * FROM {quote(self.table)} NOT INDEXED"  # noqa: S608 - quoted
                self._compare(_sqlite_columns(old, self.table), _sqlite_columns(new, self.table))
                self._compare_rows(_sqlite_columns(old, self.table), old.execute(rows), new.execute(rows), rule)
        else:
            self._convert_duckdb(converted, rule)
            self._compare_duckdb(before, converted, rule)
        refuse_damaged(converted, database.engine)
        refuse_other_data(before, converted, database.engine, but=self.table)
        return Changes({database.path: converted, **database.beside()})

    @property
    def _name(self) -> str:
        return f"{self.table}.{self.column}"

    def _premise(self) -> tuple[DatabaseFile, Rule]:
        database = database_file(Path(self.repair.place))
        refuse_logs(database)
        rule = rule_for(self.type_, database.engine)
        if rule is None or not _is_type(self.type_):
            raise NotDone(f"nothing is converted to {self.type_} here")
        return database, rule

    def _position(self, columns: Columns) -> int:
        """Where the column is in its table, which must have it and with another type."""
        names = [name for name, _ in columns]
        if self.column not in names:
            raise NotDone(f"{self.repair.place} has no column {self._name}")
        at = names.index(self.column)
        if columns[at][1].upper() == self.type_.upper():
            raise NotDone(f"{self._name} of {self.repair.place} is {self.type_} already")
        return at

    def _refuse_misfits(self, values: Iterable[tuple[Any, ...]], rule: Rule) -> None:
        misfits, shown = 0, list[str]()
        for number, (value,) in enumerate(values, 1):
            if value is not None and not _fits(value, rule):
                misfits += 1
                if len(shown) < _SHOWN:
                    shown.append(f"row {number} has {shortened(one_line(repr(value)), _SHOWN_CHARACTERS)}")
        if misfits:
            values_do = counted(misfits, "value does", "values do")
            more = ", …" if misfits > len(shown) else ""
            raise NotDone(
                f"{values_do} not fit {self.type_} exactly, so {self._name} stays as it is: {', '.join(shown)}{more}; "
                "find out what these mean, and correct them in the source"
            )

    def _convert_sqlite(self, path: Path, rule: Rule) -> None:
        table, column = quote(self.table), quote(self.column)
        with changing_sqlite(path) as connection:
            self._position(_sqlite_columns(connection, self.table))
            statement = self._new_sqlite_table(connection)
            values = connection.execute(f"SELECT {column} FROM {table} NOT INDEXED")  # noqa: S608 - quoted
            self._refuse_misfits(values, rule)
            connection.create_function("mdm_health_converted", 1, _or_null(rule), deterministic=True)
            own = (
                "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('index', 'trigger') AND sql IS NOT NULL"
            )
            dependent = [sql for (sql,) in connection.execute(own, (self.table,))]
            plain = [name for name, _ in _sqlite_columns(connection, self.table)]
            names = list(map(quote, plain))
            found = [f"mdm_health_converted({name})" if name == column else name for name in names]
            numbered = [number] if (number := row_number(connection, table, plain)) else []
            connection.execute("PRAGMA foreign_keys=OFF")
            connection.execute("PRAGMA legacy_alter_table=ON")  # views and other tables go on naming the old name
            connection.execute("BEGIN")
            connection.execute(statement)
            into, select = ", ".join([*numbered, *names]), ", ".join([*numbered, *found])
            connection.execute(f"INSERT INTO {quote(_NEW)} ({into}) SELECT {select} FROM {table} NOT INDEXED")  # noqa: S608 - quoted
            connection.execute(f"DROP TABLE {table}")
            connection.execute(f"ALTER TABLE {quote(_NEW)} RENAME TO {table}")
            for sql in dependent:
                connection.execute(sql)
            connection.execute("COMMIT")

    def _new_sqlite_table(self, connection: sqlite3.Connection) -> str:
        """The statement that makes the table again."""
        found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (self.table,))
        statement: str | None = next((sql for (sql,) in found), None)
        details = connection.execute(f"PRAGMA table_xinfo({quote(self.table)})").fetchall()
        is_key = any(name == self.column and key for _, name, _, _, _, key, _ in details)
        generated = any(hidden for *_, hidden in details)
        edited = with_type(statement, _NEW, self.column, self.type_) if statement else None
        if not statement or not edited or is_key or generated or "AUTOINCREMENT" in statement.upper():
            raise NotDone(f"the table {self.table} is of a kind that is not made again here, so it stays as it is")
        return edited

    def _convert_duckdb(self, path: Path, rule: Rule) -> None:
        table, column = quote(self.table), quote(self.column)
        with changing_duckdb(path) as connection:
            self._position(_duckdb_columns(connection, "", self.table))
            values = connection.execute(f"SELECT {column} FROM {table}")  # noqa: S608 - quoted
            self._refuse_misfits(_fetched(values), rule)
            connection.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {self.type_}")

    def _compare_duckdb(self, before: Path, converted: Path, rule: Rule) -> None:
        with duckdb.connect() as old, duckdb.connect() as new:
            for connection, path in ((old, before), (new, converted)):
                connection.execute(f"ATTACH {literal(path)} AS compared (READ_ONLY)")
            was, now = (_duckdb_columns(connection, "compared", self.table) for connection in (old, new))
            self._compare(was, now)
            rows = f"SELECT * FROM compared.{quote(self.table)}"  # noqa: S608 - quoted
            self._compare_rows(was, _fetched(old.execute(rows)), _fetched(new.execute(rows)), rule)

    def _compare(self, before: Columns, after: Columns) -> None:
        at = self._position(before)
        if [*before[:at], *before[at + 1 :]] != [*after[:at], *after[at + 1 :]] or after[at][0] != self.column:
            raise NotDone(f"the columns of {self.table} would not be what they were")

    def _compare_rows(
        self, columns: Columns, old: Iterable[tuple[Any, ...]], new: Iterable[tuple[Any, ...]], rule: Rule
    ) -> None:
        at = self._position(columns)
        for number, (was, now) in enumerate(zip_longest(old, new), 1):
            if was is None or now is None or repr((*was[:at], *was[at + 1 :])) != repr((*now[:at], *now[at + 1 :])):
                raise NotDone(f"row {number} of {self.table} would not be what it was")
            if not _is_same(was[at], now[at], rule):
                raise NotDone(f"{self._name} in row {number} would not be the same value as {self.type_}")


def step(repair: Repair, home: Home) -> ConvertColumn:
    """The step that a call means; see `step_of`."""
    del home
    return ConvertColumn(repair, *repair.words)


def _fits(value: object, rule: Rule) -> bool:
    try:
        rule(value)
    except (ValueError, OverflowError):
        return False
    return True


def _is_same(was: object, now: object, rule: Rule) -> bool:
    if was is None:
        return now is None
    expected = rule(was)
    return repr(expected) == repr(now) or (now is not None and not isinstance(now, str | bytes) and expected == now)


def _or_null(rule: Rule) -> Callable[[Any], Any]:
    return lambda value: None if value is None else rule(value)


def _is_type(type_: str) -> bool:
    """Whether it is the name of a type and nothing that a statement could go on with."""
    return all(char.isalnum() or char in " ,()_" for char in type_)


def _sqlite_columns(connection: sqlite3.Connection, table: str) -> list[tuple[str, str]]:
    return [(name, type_) for _, name, type_, *_ in connection.execute(f"PRAGMA table_xinfo({quote(table)})")]


def _duckdb_columns(connection: duckdb.DuckDBPyConnection, database: str, table: str) -> list[tuple[str, str]]:
    listing = (
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND schema_name = 'main' AND "
        "database_name = coalesce(nullif(?, ''), current_database()) ORDER BY column_index"
    )
    return [(name, type_) for name, type_ in connection.execute(listing, [table, database]).fetchall()]


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := cursor.fetchmany(_BATCH):
        yield from rows
