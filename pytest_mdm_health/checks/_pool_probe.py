"""Filling a connection pool for real, with SQLAlchemy's own QueuePool as MDM has it."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import CannotOpen
from pytest_mdm_health.backends.postgresql import connect
from pytest_mdm_health.checks._pool_facts import Probe
from pytest_mdm_health.mdm.servers import Connection

if TYPE_CHECKING:
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

FILLED = 200
"""Connections to a private SQLite file that are opened at most."""

SAFE, SHARE = 5, 10
"""On a server: connections that are opened at most, and that at most this part (a tenth) of the free ones."""

_WAIT_S = 0.05
_ON_FILE, _ON_SERVER = "SELECT count(*) FROM sqlite_master", "SELECT 1"


def fill_private(size: int, overflow: int) -> Probe:
    """Fill a pool of this size with connections to a throw-away SQLite file."""
    with tempfile.TemporaryDirectory(prefix="mdm-health-") as folder:
        file = Path(folder) / "pool.sqlite"
        return _fill(lambda: sqlite3.connect(file, check_same_thread=False), min(size, FILLED), overflow, _ON_FILE)


def fill_from(connection: Connection, most: int, free: int) -> Probe | None:
    """Fill a pool with connections to a server, as many as is safe; None if not even one is."""
    wanted = min(most, SAFE, free // SHARE)
    return _fill(lambda: connect(connection), wanted, 0, _ON_SERVER) if wanted > 0 else None


def _fill(open_one: Callable[[], Any], size: int, overflow: int, statement: str) -> Probe:
    from sqlalchemy.pool import QueuePool

    overflow = min(overflow, FILLED - size)
    pool = QueuePool(open_one, pool_size=size, max_overflow=overflow, timeout=_WAIT_S)
    started = time.perf_counter()
    taken: list[PoolProxiedConnection] = []
    opened, reason = 0, ""
    try:
        while opened < size + overflow:
            taken.append(pool.connect())
            _use(taken[-1], statement)
            opened += 1
    except (sqlite3.Error, OSError, CannotOpen) as error:
        reason = str(error).partition("\n")[0]
    seconds = time.perf_counter() - started
    held = not reason and _holds(pool, taken)
    for each in taken:
        with contextlib.suppress(Exception):  # what cannot be returned is closed with the pool
            each.close()
    pool.dispose()
    return Probe(wanted=size + overflow, opened=opened, held=held, seconds=round(seconds, 3), reason=reason)


def _holds(pool: QueuePool, taken: list[PoolProxiedConnection]) -> bool:
    """Whether the full pool makes a caller wait, and gives out again what is returned."""
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    try:
        pool.connect().close()
    except PoolTimeoutError:
        taken.pop().close()
        taken.append(pool.connect())
        return True
    return False


def _use(connection: PoolProxiedConnection, statement: str) -> None:
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.fetchall()
    cursor.close()
