"""Whether two databases hold the same, table by table, and whether a file with one table can be read to its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Unfinished, real_engine
from pytest_mdm_health.integrity.shared_session import shared_workbench
from pytest_mdm_health.mdm.files import Unreadable

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.digest.tables import TableDigest
    from pytest_mdm_health.integrity.readers.base import Source

Failures = (CannotOpen, QueryFailed, Unfinished, Unreadable)
"""What reading a database or a file may raise."""

TIME_IS_UP = "the time was up"


def contents_differ(one: Path, other: Path, engine: str | None, until: float) -> bool:
    """Whether the tables of two database files differ in anything.

    Raises:
        CannotOpen, QueryFailed, Unreadable, Unfinished: one of them cannot be read to its end in the time.
    """
    first, second = (_digests(Backend(real_engine(path) or engine or "sqlite", path), until) for path in (one, other))
    return first != second


def rows_of(file: Path, until: float) -> int:
    """Read a Parquet or CSV file to its end; how many rows it has.

    Raises:
        QueryFailed, Unreadable, Unfinished: as `contents_differ`.
    """
    from pytest_mdm_health.integrity.readers.base import TableFile

    return _digest(TableFile(file), until).rows


def rows_in(database: Backend, tables: tuple[str, ...]) -> tuple[int, ...]:
    """How many rows each of these tables has that is there.

    Raises:
        CannotOpen, QueryFailed: it cannot be read.
    """
    with database.open() as opened:
        wanted = {name.casefold() for name in tables}
        return tuple(opened.count(name) for name in opened.tables() if name.casefold() in wanted)


def _digests(backend: Backend, until: float) -> dict[str, object]:
    from pytest_mdm_health.integrity.readers.base import TableIn

    with backend.open() as database:
        tables = database.tables()
    found: dict[str, object] = {}
    for table in tables:
        digest = _digest(TableIn(backend, table), until)
        found[table] = (digest.columns, digest.rows, digest.buckets, dict(digest.fine))
    return found


def _digest(source: Source, until: float) -> TableDigest:
    from pytest_mdm_health.backends.interrupting import interrupting
    from pytest_mdm_health.integrity.digest.tables import digested

    left = until - time.monotonic()
    if left <= 0:
        raise Unfinished(TIME_IS_UP)
    try:
        with (
            shared_workbench(source) as workbench,
            interrupting(workbench.connection.interrupt, left),
            digested(workbench, source) as (digest, _),
        ):
            return digest
    except QueryFailed as error:
        raise (error if time.monotonic() < until else Unfinished(TIME_IS_UP)) from error
