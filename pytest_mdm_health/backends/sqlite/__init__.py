"""SQLite files, read without a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    Failure,
    How,
    QueryFailed,
    Row,
    SharedConnection,
    Unfinished,
    Verification,
    quote,
    surplus_sentence,
)
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.backends.sqlite.arrow import ArrowConnection
from pytest_mdm_health.backends.sqlite.open import (
    ATTEMPTS,
    FAILURES,
    copied_to_memory,
    open_alone,
    open_sqlite,
    query_failed,
)
from pytest_mdm_health.backends.sqlite.verifying import Verifier
from pytest_mdm_health.core.session import clock

_COMPLETE_UP_TO = 32 * 1024 * 1024
"""Bytes of a file up to which comparing its indexes with its tables takes no time worth saving."""

_TIMED_FROM = 16 * 1024 * 1024
"""Bytes of a file below which verifying it takes no time worth watching."""

_T = TypeVar("_T")


class SqliteDatabase(SharedConnection):
    """An open SQLite file; a `base.Database`."""

    engine = "sqlite"
    closed = False

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        """Open the file, read-only and without changing it or anything beside it.

        Args:
            path: the file.
            alone: look away from the journal or log beside it.

        Raises:
            CannotOpen: it cannot be opened, and why.
        """
        self._path = path
        self._open = open_alone if alone else open_sqlite
        self._opened = self._open(path)

    @property
    def how(self) -> How:  # type: ignore[override]  # it may be opened another way when it changes
        """How it was opened."""
        return self._opened.how

    @property
    def surplus(self) -> int:
        """Bytes after the last page."""
        return max(self._opened.header.surplus, 0) if self._opened.how == "immutable" else 0

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the `sqlite3` module."""
        return self._opened.connection

    def tables(self) -> tuple[str, ...]:
        """As `Database.tables`."""
        rows = self.query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
        return tuple(name for (name,) in rows if not name.startswith("sqlite_"))

    def derived(self) -> frozenset[str]:
        """As `Database.derived`."""
        sql = "SELECT name FROM sqlite_master WHERE type = 'view' OR sql LIKE 'CREATE VIRTUAL%'"
        return frozenset(name for (name,) in self.query(sql))

    def columns(self, table: str) -> tuple[Column, ...]:
        """As `Database.columns`."""
        rows = self.query("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (table,))
        if not rows:
            raise QueryFailed(f"no such table: {table}")
        return tuple(Column(name, type_) for name, type_ in rows)

    def count(self, table: str) -> int:
        """As `Database.count`."""
        # SQLite would count the entries of an index, which may disagree with the table or need a collation
        return int(self.query(f"SELECT count(*) FROM main.{quote(table)} NOT INDEXED")[0][0])  # noqa: S608 - quoted

    def verify(self, complete: bool, within_s: float | None = None) -> Verification:
        """As `Database.verify`: `PRAGMA integrity_check` if complete or the file is small, else `quick_check`."""
        small = self._opened.header.size <= _COMPLETE_UP_TO
        deadline = None if within_s is None else clock() + within_s

        def ask(sql: str) -> list[Row]:
            left = None if deadline is None else self._limit(max(deadline - clock(), 0.001))
            return self._steadily(lambda connection: _run(connection, sql, (), left))

        found = Verifier(ask, self._standing_in, self._ask_a_copy if small else None).verified(complete or small)
        return replace(found, damage=(*found.damage, surplus_sentence(self.surplus))) if self.surplus else found

    def _ask_a_copy(self, sql: str) -> list[Row]:
        """The rows that a statement gives of a copy in memory, which SQLite may write."""

        def ask(connection: sqlite3.Connection) -> list[Row]:
            with closing(copied_to_memory(connection)) as copy:
                return _run(copy, sql, ())

        return self._steadily(ask)

    @contextmanager
    def _standing_in(self, collation: str) -> Iterator[None]:
        """Have a collation that only another program knows for a moment; what it orders means nothing then."""
        connection = self._opened.connection
        connection.create_collation(collation, lambda one, other: (one > other) - (one < other))
        try:
            yield
        finally:
            connection.create_collation(collation, None)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """As `Database.query`. Text that is not UTF-8 comes with surrogate escapes."""
        return self._steadily(lambda connection: _run(connection, sql, parameters))

    @contextmanager
    def arrow(self) -> Iterator[ArrowConnection]:
        """A connection whose rows come as Arrow arrays, to what is open here; of a live file it takes the place.

        Raises:
            QueryFailed: it cannot be opened.
        """
        live = self.how == "live"
        address = self._opened.address
        if live:
            self._opened.close()
        try:
            with ArrowConnection(address) as connection:
                yield connection
        finally:
            if live:
                self._open_again()

    def close(self) -> None:
        """As `Database.close`."""
        self.closed = True
        self._opened.close()

    def _limit(self, within_s: float | None) -> float | None:
        return within_s if self._opened.header.size > _TIMED_FROM else None

    def _steadily(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        """An answer from a file that did not change meanwhile; if it did, it is opened anew and asked again."""
        for _ in range(ATTEMPTS):
            try:
                answer = ask(self._opened.connection)
            except FAILURES as error:
                if not self._opened.outdated:
                    raise query_failed(error) from error
            else:
                if not self._opened.outdated:
                    return answer
            self._reopen()
        raise QueryFailed("it is being changed while it is read")

    def _open_again(self) -> None:
        """As it was; else the next one to open it gets the reason."""
        try:
            self._opened = self._open(self._path)
        except CannotOpen:
            self.closed = True

    def _reopen(self) -> None:
        self._opened.close()
        try:
            self._opened = self._open(self._path)
        except CannotOpen as error:
            why: Failure = "damaged" if error.code in {"damaged", "truncated", "wrong-format"} else "other"
            raise QueryFailed(str(error), why) from error


def _run(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object], within_s: float | None = None
) -> list[Row]:
    with interrupting(connection.interrupt, within_s):
        try:
            return connection.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                limit = "in the time given" if within_s is None else f"within {within_s:g} s"
                raise Unfinished(f"did not finish {limit}") from error
            if "decode" not in str(error):
                raise
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.text_factory = str
