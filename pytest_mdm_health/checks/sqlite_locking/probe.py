"""Trying how a SQLite file is locked, without taking a lock that anybody could have to wait for."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_mdm_health.backends import CannotOpen, sidecars
from pytest_mdm_health.backends.sqlite.header import read_header
from pytest_mdm_health.backends.sqlite.open import a_reader
from pytest_mdm_health.checks.sqlite_locking.facts import Readers
from pytest_mdm_health.mdm.host.processes import Holder, lock_holders

READERS = 10
WATCH_S = 1.0
"""How long a lock has to be held to be more than a write that just happens to be under way."""

_LOOK_EVERY_S = 0.06
_FOR_WRITING = ("exclusive", "pending", "reserved", "wal-writer")
_FOR_WRITING_IN_WAL = ("whole-file", *_FOR_WRITING)


def watch(files: Sequence[Path], holders: Sequence[Holder], *, wal: bool) -> tuple[tuple[Holder, ...], float]:
    """Those of the holders that lock for writing as long as it is worth watching, and how many seconds that was."""
    staying, started = _writers(holders, wal=wal), time.monotonic()
    if not staying:
        return (), 0.0
    while staying and time.monotonic() - started < WATCH_S:
        time.sleep(_LOOK_EVERY_S)
        now = _writers(lock_holders(files), wal=wal)
        staying = {pid: now[pid] for pid in staying if pid in now}
    return tuple(staying.values()), round(time.monotonic() - started, 1)


def _writers(holders: Sequence[Holder], *, wal: bool) -> dict[int, Holder]:
    """The holders that keep others from writing, by process, each with its strongest lock.

    Who locks the whole file is no SQLite. With a rollback journal the readers show what that does; in WAL mode they
    are sent past all locks.
    """
    kinds = _FOR_WRITING_IN_WAL if wal else _FOR_WRITING
    strongest: dict[int, Holder] = {}
    for kind in kinds:
        for holder in holders:
            if holder.lock == kind and holder.mode == "writes":
                strongest.setdefault(holder.pid, holder)
    return strongest


def read_at_once(path: Path, gaps: list[str]) -> Readers:
    """Have readers read at the same time; why one failed for another reason than a lock goes to `gaps`.

    What is beside the file is looked at here, just before: with a rollback journal they take the lock that every reader
    takes, which is of use only where none of them finds something to take over or to undo.
    """
    failures: list[str] = []
    slowest = 0.0
    with contextlib.ExitStack() as reading:
        for _ in range(READERS):
            started = time.perf_counter()
            try:
                connection = a_reader(path, read_header(path), sidecars(path))
                _begin(reading.enter_context(contextlib.closing(connection)))
            except CannotOpen as error:
                gaps.append(f"readers were not sent: {error.reason}")
                return Readers()
            except sqlite3.Error as error:
                failures.append(str(error).partition("\n")[0])
            slowest = max(slowest, time.perf_counter() - started)
    locked_out = [reason for reason in failures if "locked" in reason or "busy" in reason]
    gaps += [f"reading failed ({reason})" for reason in dict.fromkeys(failures) if reason not in locked_out]
    return Readers(sent=READERS, refused=len(locked_out), slowest_ms=round(slowest * 1000, 1))


def _begin(connection: sqlite3.Connection) -> None:
    """Read, and keep the lock that this takes until the connection is closed."""
    connection.execute("BEGIN")
    connection.execute("PRAGMA schema_version").fetchone()  # the cheapest that reads from the file
