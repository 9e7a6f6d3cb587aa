"""SQLite files, read without a trace."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    How,
    QueryFailed,
    Row,
    SharedConnection,
    Unfinished,
    one_line,
    quote,
    surplus_sentence,
)
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.backends.sqlite.arrow import ArrowConnection
from pytest_mdm_health.backends.sqlite.open import ATTEMPTS, FAILURES, is_damage, open_alone, open_sqlite

PROBLEMS = 20
"""How many problems of a damaged file are told."""

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

    def columns(self, table: str) -> tuple[Column, ...]:
        """As `Database.columns`."""
        rows = self.query("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (table,))
        if not rows:
            raise QueryFailed(f"no such table: {table}")
        return tuple(Column(name, type_) for name, type_ in rows)

    def count(self, table: str) -> int:
        """As `Database.count`."""
        return int(self.query(f"SELECT count(*) FROM main.{quote(table)}")[0][0])  # noqa: S608 - quoted

    def integrity(self, complete: bool, within_s: float | None = None) -> tuple[str, ...]:
        """As `Database.integrity`: `PRAGMA integrity_check` if complete, else `quick_check`."""
        pragma = f"PRAGMA {'integrity_check' if complete else 'quick_check'}({PROBLEMS})"
        try:
            lines = self._steadily(lambda connection: _run(connection, pragma, (), self._limit(within_s)))
            problems = tuple(line for (text,) in lines for line in str(text).splitlines() if line != "ok")
        except QueryFailed as error:
            problems = (str(error),)
        return (*problems, surplus_sentence(self.surplus)) if self.surplus else problems

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
                    raise _query_failed(error) from error
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
            raise QueryFailed(str(error), damaged=error.code in {"damaged", "truncated", "wrong-format"}) from error


def _query_failed(error: BaseException) -> QueryFailed:
    text = one_line(error)
    return QueryFailed(text, damaged=is_damage(text))


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
