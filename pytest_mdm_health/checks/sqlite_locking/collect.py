"""How one SQLite file is locked and configured, collected without taking a lock that a process could wait for."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Sidecar, Unfinished, sidecars
from pytest_mdm_health.backends.sqlite import SqliteDatabase
from pytest_mdm_health.backends.sqlite.header import SqliteHeader, read_header
from pytest_mdm_health.backends.sqlite.log import is_older_than_its_file, of_another_time
from pytest_mdm_health.backends.sqlite.open import a_reader
from pytest_mdm_health.checks.sqlite_locking.facts import LargeWal, LeftoverWal, LockFacts
from pytest_mdm_health.core.model import NotApplicable, NotExamined
from pytest_mdm_health.core.text import size
from pytest_mdm_health.mdm.host.locks import LockKind
from pytest_mdm_health.mdm.host.mounts import file_system_of, is_network
from pytest_mdm_health.mdm.host.processes import Holder, holders, lock_holders
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.known_errors import LoggedError, recent_errors

READERS = 10
WATCH_S = 1.0
"""How long a lock must be held to be more than an ordinary write in progress."""

CHECKPOINT_PAGES = 1000
"""Pages in the WAL after which SQLite, unless told otherwise, moves them into the file with every commit."""

LARGE_FACTOR = 100
"""How many times as large as its file even a WAL below that limit must be to be worth a look."""

_FRAME_HEADER = 24
_WATCH_INTERVAL_S = 0.06
_VERIFY_LIMIT_S = 10.0
_DAMAGE = ("damaged", "truncated", "wrong-format")
"""Reasons for which a file cannot be opened that are damage of the file."""

_WRITE_LOCKS = (LockKind.EXCLUSIVE, LockKind.PENDING, LockKind.RESERVED, LockKind.WAL_WRITER)
_WRITE_LOCKS_IN_WAL_MODE = (LockKind.WHOLE_FILE, *_WRITE_LOCKS)
"""The strongest lock first. A program that locks the whole file is not SQLite. With a rollback journal the readers show
what that does; in WAL mode they are opened without locks."""


def collect(dataset: Dataset, inventory: Inventory) -> LockFacts:
    """Examine the file, its journal or WAL, the processes that use it, and the log."""
    path, header = _sqlite_file(dataset)
    gaps: list[str] = []
    beside = sidecars(path)
    files = [path, *(sidecar.path for sidecar in beside)]
    found = holders(files)
    if not found.complete:
        gaps.append(f"other processes may have the file open: {found.why_incomplete}")
    readers, refused = read_concurrently(path, gaps)
    locked_by, watched_s = watch(files, found.answer, _writers_in_wal_mode if header.wal else _writers)
    mode = inventory.settings.values["database.sqlite.journal_mode"]
    file_system = file_system_of(path)
    names = [other.name for other in inventory.datasets]
    not_understood: list[str] = []
    errors = recent_errors(inventory.home.log_file, "database-locked", dataset.name, names, gaps, not_understood)
    last_error = max(errors, key=lambda error: error.timestamp, default=None)
    wal, journal = (_left_over(beside, kind) for kind in ("wal", "journal"))
    changes = [sidecar.path for sidecar in beside if sidecar.holds_changes]  # readers make the others, too
    return LockFacts(
        examined=1,
        path=str(path),
        wal=header.wal,
        configured=str(mode.value).upper(),
        configured_in=str(inventory.settings.file) if mode.origin.kind == "file" else "",
        leftover_wal=_assess(wal, path, header) if wal else None,
        hot_journal=journal,
        has_journal_or_wal=any(sidecar.kind in {"wal", "journal"} for sidecar in beside),
        holders=found.answer,
        locked_by=locked_by,
        watched_s=watched_s,
        readers=readers,
        refused_readers=refused,
        file_system=file_system,
        network=is_network(file_system),
        errors=len(errors),
        last_error=last_error,
        written_after_error=last_error is not None and _is_written_after(last_error, [path, *changes]),
        large_wal=_large_wal(beside, header, files, found.answer),
        gaps=tuple(gaps),
        unexamined=(*_truncated(path, header, wal), *not_understood),
    )


def _truncated(path: Path, header: SqliteHeader, wal: Sidecar | None) -> tuple[str, ...]:
    """What a file that lost its end keeps from being examined; a WAL may hold the pages that it lacks."""
    if header.surplus >= 0 or wal is not None:
        return ()
    return (f"{path} is truncated: {size(-header.surplus)} missing; only its locks could be examined",)


def _sqlite_file(dataset: Dataset) -> tuple[Path, SqliteHeader]:
    if dataset.database is None:
        raise NotApplicable("there is no file to examine")
    try:
        return dataset.database, read_header(dataset.database)
    except CannotOpen as error:
        reason = f"{dataset.database} {error.reason}"
        raise (NotApplicable if error.code == "missing" else NotExamined)(reason) from error


def _left_over(beside: Sequence[Sidecar], kind: str) -> Sidecar | None:
    """The sidecar of a kind that holds changes and that no running process uses."""
    return next((each for each in beside if each.kind == kind and each.holds_changes and not each.live), None)


def _assess(wal: Sidecar, path: Path, header: SqliteHeader) -> LeftoverWal:
    valid_frames, problems_with = _verify_with_wal(path)
    return LeftoverWal(
        sidecar=wal,
        mismatch=of_another_time(path, header, wal.path),
        valid_frames=valid_frames,
        problems_without=_verify_without_wal(path),
        problems_with=problems_with,
        is_older=is_older_than_its_file(path, wal.path),
    )


def _verify_with_wal(path: Path) -> tuple[int | None, tuple[str, ...] | None]:
    """How many frames SQLite accepts, and what is wrong with the merged file; tried on a private copy."""
    try:
        with Backend("sqlite", path).open() as database:
            if database.how != "copy":  # a process opened it in the meantime
                return None, None
            ((_, frames, _),) = database.query("PRAGMA wal_checkpoint(PASSIVE)")
            return int(frames), database.integrity(complete=False, within_s=_VERIFY_LIMIT_S)
    except CannotOpen as error:
        return None, (error.reason,) if error.code in _DAMAGE else None
    except (QueryFailed, Unfinished):
        return None, None


def _verify_without_wal(path: Path) -> tuple[str, ...] | None:
    try:
        with contextlib.closing(SqliteDatabase(path, alone=True)) as database:
            return database.integrity(complete=False, within_s=_VERIFY_LIMIT_S)
    except CannotOpen as error:
        return (error.reason,) if error.code in _DAMAGE else None
    except Unfinished:
        return None


Owners = Mapping[tuple[int, LockKind], Holder]
"""Holders by what tells them apart.

A process is known by its PID. Where only locks can be seen (PID 0: another container's, or one that belongs to an open
file and no process), two of them may be two processes', so each lock counts by itself.
"""


def watch(
    files: Sequence[Path], found: Sequence[Holder], choose: Callable[[Sequence[Holder]], Owners]
) -> tuple[tuple[Holder, ...], float]:
    """The holders that are chosen for `WATCH_S`, without interruption, and how many seconds the files were watched."""
    owners, started = choose(found), time.monotonic()
    if not owners:
        return (), 0.0
    while owners and time.monotonic() - started < WATCH_S:
        time.sleep(_WATCH_INTERVAL_S)
        current = choose(lock_holders(files))
        owners = {owner: current[owner] for owner in owners if owner in current}
    return tuple(owners.values()), round(time.monotonic() - started, 1)


def _owner(holder: Holder) -> tuple[int, LockKind]:
    return holder.pid, LockKind.NONE if holder.pid else holder.lock


def _writers(found: Sequence[Holder], locks: Sequence[LockKind] = _WRITE_LOCKS) -> Owners:
    """Who keeps others from writing, each with its strongest lock."""
    strongest: dict[tuple[int, LockKind], Holder] = {}
    for lock in locks:
        for holder in found:
            if holder.lock is lock and holder.mode == "writes":
                strongest.setdefault(_owner(holder), holder)
    return strongest


def _writers_in_wal_mode(found: Sequence[Holder]) -> Owners:
    return _writers(found, _WRITE_LOCKS_IN_WAL_MODE)


def _readers(found: Sequence[Holder]) -> Owners:
    """Who has a read transaction open on a file in WAL mode and does not write: a writer has both locks."""
    writers = {holder.pid for holder in found if holder.pid and holder.lock is LockKind.WAL_WRITER}
    return {
        _owner(holder): holder for holder in found if holder.lock is LockKind.WAL_READER and holder.pid not in writers
    }


def _large_wal(
    beside: Sequence[Sidecar], header: SqliteHeader, files: Sequence[Path], found: Sequence[Holder]
) -> LargeWal | None:
    """The WAL that running processes use, if it is larger than the file, and who may keep it from being emptied.

    One transaction may need more than SQLite's limit, so that a WAL of up to twice that is nothing; one that holds
    nearly all there is of a small file is worth a look too, but only a reader makes it more than that.
    """
    wal = next((sidecar for sidecar in beside if sidecar.kind == "wal" and sidecar.live), None)
    if wal is None or not header.wal:
        return None
    limit = CHECKPOINT_PAGES * (header.page_size + _FRAME_HEADER)
    is_beyond_limit = wal.size > max(header.size, 2 * limit)
    if not is_beyond_limit and wal.size < LARGE_FACTOR * header.size:
        return None
    readers, watched_s = watch(files, found, _readers)
    if not readers and not is_beyond_limit:
        return None
    return LargeWal(size=wal.size, file_size=header.size, pinned_by=readers, watched_s=watched_s)


def read_concurrently(path: Path, gaps: list[str]) -> tuple[int, int]:
    """How many readers were tried at the same time, and how many were refused. Other failures go to `gaps`.

    The sidecars are examined again just before each reader: with a rollback journal it takes the lock of every reader,
    which is harmless only if it finds nothing to merge or to roll back.
    """
    with contextlib.ExitStack() as reading:
        try:
            failures = [_start_reader(path, reading) for _ in range(READERS)]
        except CannotOpen as error:
            gaps.append(f"concurrent reads were not tried: {error.reason}")
            return 0, 0
    locked_out = [reason for reason in failures if "locked" in reason or "busy" in reason]
    gaps += [f"reading failed ({reason})" for reason in dict.fromkeys(failures) if reason and reason not in locked_out]
    return READERS, len(locked_out)


def _start_reader(path: Path, reading: contextlib.ExitStack) -> str:
    """Start a transaction that keeps its lock until `reading` ends. Returns why that failed; empty if it did not.

    Raises:
        CannotOpen: a reader would change something, or wait.
    """
    try:
        connection = a_reader(path, read_header(path), sidecars(path))
        reading.enter_context(contextlib.closing(connection))
        connection.execute("BEGIN")
        connection.execute("PRAGMA schema_version").fetchone()  # the cheapest query that reads the file
    except sqlite3.Error as error:
        return str(error).partition("\n")[0]
    return ""


def _is_written_after(error: LoggedError, files: Sequence[Path]) -> bool:
    written = 0.0
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # the last connection deletes a WAL when it is closed
            written = max(written, file.stat().st_mtime)
    return error.time is not None and error.timestamp < written
