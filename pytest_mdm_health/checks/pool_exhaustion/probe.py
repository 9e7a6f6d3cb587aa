"""Fills a connection pool for real: SQLAlchemy's QueuePool, which MDM uses."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import CannotOpen
from pytest_mdm_health.checks.pool_exhaustion.facts import Probe
from pytest_mdm_health.mdm.servers import Connection

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

    Use = Callable[[PoolProxiedConnection], None]

FILLED = 200
"""Connections to a private SQLite file that are opened at most."""

SAFE, SHARE = 5, 10
"""On a server, at most so many connections are opened, and at most a tenth of the free ones."""

_WAIT_S = 0.05
_ON_FILE, _ON_SERVER = "SELECT count(*) FROM sqlite_master", "SELECT 1"


def fill_private(size: int, overflow: int) -> Probe:
    """Fill a pool of this size with connections to a temporary SQLite file."""
    with tempfile.TemporaryDirectory(prefix="mdm-health-") as folder:
        file = Path(folder) / "pool.sqlite"
        return _fill(lambda: sqlite3.connect(file, check_same_thread=False), min(size, FILLED), overflow, _use_file)


def fill_from(connection: Connection, most: int, free: int) -> Probe | None:
    """Fill a pool with connections to a server, as many as is safe; None if not even one is."""
    from pytest_mdm_health.backends.postgresql import connect, connecting

    def use(taken: PoolProxiedConnection) -> None:
        with connecting(connection):
            _ask(taken, _ON_SERVER)

    wanted = min(most, SAFE, free // SHARE)
    return _fill(functools.partial(connect, connection), wanted, 0, use) if wanted > 0 else None


def _fill(open_one: Callable[[], Any], size: int, overflow: int, use: Use) -> Probe:
    from sqlalchemy.pool import QueuePool

    overflow = min(overflow, FILLED - size)
    # Nothing was changed that a reset would undo, and one that fails is logged with its traceback.
    pool = QueuePool(open_one, pool_size=size, max_overflow=overflow, timeout=_WAIT_S, reset_on_return=None)
    taken: list[PoolProxiedConnection] = []
    try:
        return _filled(pool, taken, size + overflow, use)
    finally:
        for connection in taken:
            with contextlib.suppress(Exception):  # what cannot be returned is closed with the pool
                connection.close()
        pool.dispose()


def _filled(pool: QueuePool, taken: list[PoolProxiedConnection], wanted: int, use: Use) -> Probe:
    started = time.perf_counter()
    opened, reason = 0, ""
    try:
        while opened < wanted:
            taken.append(pool.connect())
            use(taken[-1])
            opened += 1
    except (sqlite3.Error, OSError, CannotOpen) as error:
        if isinstance(error, CannotOpen) and error.code != "full":
            raise  # the server is down, which says nothing about how many connections it allows
        reason = str(error).partition("\n")[0]
    seconds = time.perf_counter() - started
    held = not reason and _holds(pool, taken)
    return Probe(wanted=wanted, opened=opened, held=held, seconds=round(seconds, 3), reason=reason)


def _holds(pool: QueuePool, taken: list[PoolProxiedConnection]) -> bool:
    """Whether the full pool makes a caller wait, and gives out a returned connection again."""
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    try:
        pool.connect().close()
    except PoolTimeoutError:
        taken.pop().close()
        taken.append(pool.connect())
        return True
    return False


def _use_file(connection: PoolProxiedConnection) -> None:
    _ask(connection, _ON_FILE)


def _ask(connection: PoolProxiedConnection, statement: str) -> None:
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.fetchall()
    cursor.close()
