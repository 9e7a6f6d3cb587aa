"""SQLite files, read without a trace.

How a file is opened depends on what lies beside it. Nothing that holds changes: nobody writes, so it is opened as
immutable, without locks and without `-wal` and `-shm` coming into being. A journal or log, and a process that locks
the database: it is read like any reader would. The same, and nobody: a private copy is opened, because the first
reader of the original would recover it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    HandedBack,
    How,
    QueryFailed,
    Row,
    Unfinished,
    one_line,
    quote,
    surplus_sentence,
)
from pytest_mdm_health.backends.private_copy import PrivateCopy
from pytest_mdm_health.backends.sidecars import Sidecar, holding_changes, sidecars
from pytest_mdm_health.backends.sqlite_header import SqliteHeader, read_header
from pytest_mdm_health.mdm.processes import lock_holders

PROBLEMS = 20
"""How many problems of a damaged file are told."""

_ATTEMPTS = 3
_PATIENCE_S = 1.0
_TIMED_FROM = 16 * 1024 * 1024
"""Bytes of a file below which verifying it takes no time worth watching."""

_DAMAGED = ("malformed", "not a database", "disk I/O error", "corrupt")
_T = TypeVar("_T")
_Failure = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)


class SqliteDatabase(HandedBack):
    """An open SQLite file; a `base.Database`."""

    engine = "sqlite"
    closed = False

    def __init__(self, path: Path) -> None:
        """Open the file, read-only and without changing it or anything beside it.

        Raises:
            CannotOpen: it cannot be opened, and why.
        """
        self._path = path
        self._opened = _open(path)

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

    def close(self) -> None:
        """As `Database.close`."""
        self.closed = True
        self._opened.close()

    def _limit(self, within_s: float | None) -> float | None:
        return within_s if self._opened.header.size > _TIMED_FROM else None

    def _steadily(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        """An answer from a file that did not change meanwhile; if it did, it is opened anew and asked again."""
        for _ in range(_ATTEMPTS):
            try:
                answer = ask(self._opened.connection)
            except _Failure as error:
                if not self._opened.outdated:
                    raise _query_failed(error) from error
            else:
                if not self._opened.outdated:
                    return answer
            self._reopen()
        raise QueryFailed("it is being changed while it is read")

    def _reopen(self) -> None:
        self._opened.close()
        try:
            self._opened = _open(self._path)
        except CannotOpen as error:
            raise QueryFailed(str(error), damaged=error.code in {"damaged", "truncated", "wrong-format"}) from error


@dataclass(frozen=True)
class _Opened:
    """One way in."""

    connection: sqlite3.Connection
    how: How
    header: SqliteHeader
    stamp: object
    path: Path
    copy: PrivateCopy | None = field(default=None)

    @property
    def outdated(self) -> bool:
        """Whether somebody wrote to the file since, and what was read may be half old and half new."""
        return self.how == "immutable" and _stamp(self.path) != self.stamp

    def close(self) -> None:
        self.connection.close()
        if self.copy is not None:
            self.copy.remove()


def _open(path: Path) -> _Opened:
    header, stamp = read_header(path), _stamp(path)
    beside = sidecars(path)
    for each in beside:
        if each.size < 0 and each.kind != "duckdb-wal":
            raise CannotOpen("not-a-file", f"cannot be opened: {each.path.name} beside it is no file")
    needed = holding_changes(beside, "sqlite")
    if not needed:
        _must_be_whole(header)
        return _immutable(path, header, stamp)
    if any(each.live for each in needed):
        with contextlib.suppress(_NotReadable):
            return _connected(path, path, "live", "mode=ro", header)
    return _copied(path, needed, header)


def _must_be_whole(header: SqliteHeader) -> None:
    if header.surplus < 0:
        raise CannotOpen(
            "truncated", f"is cut off: {-header.surplus} of its {header.size - header.surplus} bytes are missing"
        )


def _immutable(path: Path, header: SqliteHeader, stamp: object) -> _Opened:
    opened = _connected(path, path, "immutable", "mode=ro&immutable=1", header)
    return _Opened(opened.connection, "immutable", header, stamp, path)


def _copied(path: Path, needed: Sequence[Sidecar], header: SqliteHeader) -> _Opened:
    real = Path(os.path.realpath(path))
    copy = PrivateCopy([real, *(each.path for each in needed)])
    try:
        opened = _connected(path, copy.path_of(real), "copy", "mode=rw", header)
    except BaseException:
        copy.remove()
        raise
    return _Opened(opened.connection, "copy", header, None, path, copy)


class _NotReadable(Exception):
    """SQLite cannot open the original as it lies there; a copy may do."""


def _connected(path: Path, file: Path, how: How, mode: str, header: SqliteHeader) -> _Opened:
    """Connect and read the schema, so that what cannot be read is known at once."""
    connection = None
    try:
        address = f"{file.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(
            address, uri=True, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = _text
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except _Failure as error:
        if connection is not None:
            connection.close()
        raise _cannot_open(error, path, how) from error
    return _Opened(connection, how, header, None, path)


def _cannot_open(error: BaseException, path: Path, how: How) -> Exception:
    text = one_line(error)
    if "locked" in text or "busy" in text:
        holders = tuple(each for each in lock_holders([path]) if each.mode == "writes")
        by = f" by {', '.join(map(str, holders))}" if holders else ""
        return CannotOpen("locked", f"is locked{by}", holders)
    if how == "live" and "unable to open" in text:
        return _NotReadable(text)
    if any(word in text for word in _DAMAGED):
        return CannotOpen("damaged", f"is damaged: {text}")
    return CannotOpen("unreadable", f"cannot be opened: {text}")


def _query_failed(error: BaseException) -> QueryFailed:
    text = one_line(error)
    return QueryFailed(text, damaged=any(word in text for word in _DAMAGED))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _stamp(path: Path) -> object:
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_ino, info.st_size, info.st_mtime_ns)


def _run(
    connection: sqlite3.Connection, sql: str, parameters: Sequence[object], within_s: float | None = None
) -> list[Row]:
    if within_s is None:
        return connection.execute(sql, parameters).fetchall()
    with _interrupting(connection, within_s):
        return connection.execute(sql, parameters).fetchall()


@contextlib.contextmanager
def _interrupting(connection: sqlite3.Connection, within_s: float) -> Iterator[None]:
    timer = threading.Timer(within_s, connection.interrupt)
    timer.start()
    try:
        yield
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise Unfinished(f"did not finish within {within_s:g} s") from error
        raise
    finally:
        timer.cancel()
