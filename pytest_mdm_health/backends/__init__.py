"""The databases of an MDM home behind one small read-only interface.

`Backend` says which database; it is a description that travels between processes. `Backend.open` opens it in this
process. A database stays open while it is in use, that is within a `with` block; one that is not may be closed as soon
as another is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    ConnectionLost,
    Database,
    IndexProblem,
    QueryFailed,
    Row,
    Unfinished,
    Unusable,
    Verification,
    Violated,
    literal,
    quote,
)
from pytest_mdm_health.backends.sidecars import SUFFIXES, Sidecar, sidecars
from pytest_mdm_health.core.session import current
from pytest_mdm_health.mdm.engines import FILE_ENGINES
from pytest_mdm_health.mdm.engines import engine_of as real_engine
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.servers import Connection, connection_of
from pytest_mdm_health.mdm.settings import Settings

__all__ = [
    "Backend",
    "CannotOpen",
    "Column",
    "ConnectionLost",
    "Database",
    "IndexProblem",
    "QueryFailed",
    "Row",
    "Sidecar",
    "Unfinished",
    "Unusable",
    "Verification",
    "Violated",
    "backend_of",
    "close_all",
    "literal",
    "quote",
    "real_engine",
    "server_backend",
    "sidecars",
]


@dataclass(frozen=True)
class Backend:
    """Which database.

    Attributes:
        engine: `sqlite`, `duckdb` or `postgresql`.
        path: its file, absolute; for one on a server its address, which is no path of this machine.
        connection: for one on a server, how it is reached.
    """

    engine: str
    path: Path
    connection: Connection | None = None

    def open(self) -> Database:
        """The database, open and read-only; in a `with` block it stays open, whatever else is opened meanwhile.

        Raises:
            CannotOpen: it cannot be opened, and why.
        """
        return current().part(_Pool).open(self)


def server_backend(connection: Connection) -> Backend:
    """The handle for a database on a PostgreSQL server."""
    return Backend("postgresql", Path(connection.address), connection)


def backend_of(dataset: Dataset, settings: Settings) -> Backend | None:
    """The handle for the dataset's data; None when it is not known what or where it is."""
    connection = connection_of(dataset, settings)
    if connection is not None:
        return server_backend(connection)
    if dataset.backend not in FILE_ENGINES or dataset.database is None:
        return None
    return Backend(dataset.backend, dataset.database)


def close_all() -> None:
    """Close what this process has open and remove what it copied."""
    current().part(_Pool).close()


@dataclass
class _Opened:
    """A database that is open in this process, and what told its file's state when it was opened."""

    backend: Backend
    state: object
    database: Database


class _Pool:
    """The databases that are open in this process: those in use, and the last one that was handed back.

    The checks on one dataset follow each other and share it, so the last one is worth keeping.
    """

    def __init__(self) -> None:
        self._open: list[_Opened] = []

    def open(self, backend: Backend) -> Database:
        state = _state(backend.path) if backend.connection is None else None
        self._open = [opened for opened in self._open if not opened.database.closed]
        same = [opened for opened in self._open if (opened.backend, opened.state) == (backend, state)]
        for opened in self._open:
            if opened not in same and not opened.database.in_use:
                opened.database.close()
        if not same:
            same = [_Opened(backend, state, _opened(backend))]
            self._open += same
        return same[0].database

    def close(self) -> None:
        opened, self._open = self._open, []
        for each in opened:
            each.database.close()


def _state(path: Path) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when somebody writes to a database or to what lies beside it."""
    return tuple(_stamp(path.with_name(path.name + suffix)) for suffix in ("", *(suffix for suffix, _ in SUFFIXES)))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return (info.st_ino, info.st_size, info.st_mtime_ns)


def _opened(backend: Backend) -> Database:
    if backend.connection is not None:
        from pytest_mdm_health.backends.postgresql import PostgresDatabase

        return PostgresDatabase(backend.connection)
    path = backend.path.absolute()
    if backend.engine == "sqlite":
        from pytest_mdm_health.backends.sqlite import SqliteDatabase

        return SqliteDatabase(path)
    if backend.engine == "duckdb":
        from pytest_mdm_health.backends.duckdb import DuckDBDatabase

        return DuckDBDatabase(path)
    raise CannotOpen("unreadable", f"cannot be opened: there is no reader for {backend.engine}")
