"""The proof that new data has every row that could be read in the old."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from pytest_mdm_health.backends.base import literal, one_line, quote
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.engines import engine_of
from pytest_mdm_health.mdm.registrations import OWN_TABLES
from pytest_mdm_health.repair.step import NotDone

_ERRORS = (sqlite3.Error, duckdb.Error)
_SOME = 10_000


def refuse_lost_rows(old: Path, new: Path, engine: str) -> None:
    """Refuse new data that lacks a table, a column or a row of the old, as far as that can be read.

    MDM's own tables tell of the others and when they were made, so only that they are there is looked at.

    Raises:
        NotDone: what it lacks, or the new data cannot be read.
    """
    if not old.is_file() or engine_of(old) != engine:
        return  # nothing that could be read
    try:
        with _both(old, new, engine) as both:
            for table in both.tables("old"):
                if found := _lacks(both, table):
                    raise NotDone(f"the new data does not have all that is there now: {found}")
    except _ERRORS as error:
        raise NotDone(f"the new data cannot be compared with what is there now: {one_line(error)}") from error


def _lacks(both: _Both, table: str) -> str:
    """What the new data lacks of a table; empty if it has all of it."""
    rows = both.readable_rows(table)
    if not rows:
        return ""
    if table not in both.tables("new"):
        return f"table {table} with {counted(rows, 'row')} would be gone"
    if table in OWN_TABLES:
        return ""
    columns, there = both.columns("old", table), both.columns("new", table)
    lost = [column for column in columns if column not in there]
    if lost:
        return f"table {table} would lack the column {lost[0]}"
    lost_rows = both.lost_rows(table, columns, rows)
    return f"{counted(lost_rows, 'row')} of table {table} would be gone, or not as they are" if lost_rows else ""


@dataclass(frozen=True)
class _Both:
    """The old and the new data, as `old` and `new` of one connection."""

    connection: Any
    engine: str

    def tables(self, database: str) -> list[str]:
        """The tables; none if they cannot be read."""
        query = f"SELECT table_name FROM duckdb_tables() WHERE database_name = '{database}' AND schema_name = 'main'"  # noqa: S608 - one of two words
        if self.engine == "sqlite":
            query = f"SELECT name FROM {database}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"  # noqa: S608 - likewise
        try:
            return self._texts(query)
        except _ERRORS:
            if database == "new":
                raise
            return []

    def columns(self, database: str, table: str) -> list[str]:
        query = f"SELECT name FROM pragma_table_info({literal(table)}, '{database}')"  # noqa: S608 - quoted
        if self.engine == "duckdb":
            query = (
                f"SELECT column_name FROM duckdb_columns() WHERE database_name = '{database}' "  # noqa: S608 - quoted
                f"AND schema_name = 'main' AND table_name = {literal(table)} ORDER BY column_index"
            )
        return self._texts(query)

    def readable_rows(self, table: str) -> int:
        """How many rows of the old table can be read, from its beginning to where it is damaged."""
        count = 0
        try:
            cursor = self.connection.execute(f"SELECT * FROM {self._place('old', table)}")  # noqa: S608 - quoted
            while found := len(cursor.fetchmany(_SOME)):
                count += found
        except _ERRORS:
            return count
        return count

    def lost_rows(self, table: str, columns: list[str], rows: int) -> int:
        """How many of the first rows of the old table are not in the new one; equal rows count as often as they are."""
        listed = ", ".join(map(quote, columns))
        first = f"SELECT {listed} FROM {self._place('old', table)} LIMIT {rows}"  # noqa: S608 - quoted
        numbered = "SELECT {0}, row_number() OVER (PARTITION BY {0}) FROM {1}"
        before = numbered.format(listed, f"({first})")
        after = numbered.format(listed, self._place("new", table))
        ((count,),) = self.connection.execute(f"SELECT count(*) FROM ({before} EXCEPT {after})").fetchall()  # noqa: S608 - quoted
        return int(count)

    def _place(self, database: str, table: str) -> str:
        in_order = " NOT INDEXED" if self.engine == "sqlite" else ""
        schema = database if self.engine == "sqlite" else f"{database}.main"
        return f"{schema}.{quote(table)}{in_order}"

    def _texts(self, query: str) -> list[str]:
        found = self.connection.execute(query).fetchall()
        return [os.fsdecode(name) for (name,) in found]


@contextmanager
def _both(old: Path, new: Path, engine: str) -> Iterator[_Both]:
    with closing(sqlite3.connect(":memory:") if engine == "sqlite" else duckdb.connect()) as connection:
        if isinstance(connection, sqlite3.Connection):
            connection.text_factory = bytes
        read_only = "" if engine == "sqlite" else " (READ_ONLY)"
        connection.execute(f"ATTACH {literal(new)} AS new{read_only}")
        try:
            connection.execute(f"ATTACH {literal(old)} AS old{read_only}")
        except _ERRORS:
            connection.execute("ATTACH ':memory:' AS old")  # nothing of it can be read
        yield _Both(connection, engine)
