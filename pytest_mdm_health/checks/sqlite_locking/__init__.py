"""SQLite answers "database is locked".

Symptoms
--------
`sqlite3.OperationalError: database is locked`; writes that take seconds; intermittent failures under load.

Causes
------
SQLite lets one process write at a time. With a rollback journal, a writer also blocks readers, and every reader blocks
the writer; in WAL mode readers and the writer do not affect each other. A process that waits longer than its busy
timeout gets the error. The usual causes are a long transaction, several writers, or a program that does not close its
connections. On a network file system locks are unreliable, and WAL mode does not work at all.

MDM's settings say WAL, and MDM requests it on every connection. A file can still be in another mode: one that another
program created or converted, or one that was in use when MDM made the request.

Diagnosis
---------
Bytes 18 and 19 of the file are 2 in WAL mode and 1 in all others (`PRAGMA journal_mode` says `delete` for every file
that is opened as immutable, which is how to examine it without leaving a trace). SQLite merges a WAL beside a file when
the file is opened next, even if the file is in another mode or was restored in the meantime: nothing in a WAL names its
file. The system's lock table shows which processes write, which read and which only have the file open; without
privileges it does not show the processes of other users. Ten concurrent readers show whether reading works. SQLite
stores no busy timeout in the file: each connection has its own, 5 seconds in Python by default.

Solutions
---------
`PRAGMA journal_mode=WAL`, once, while no process uses the file. `PRAGMA busy_timeout=30000` on every connection.
Read-only connections for what only reads. Retries with growing pauses. Ending the process that keeps a transaction
open. A journal or WAL that was left beside a file is copied together with it before anything opens it; a WAL that
belongs to another state of the file is moved away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

from pytest_mdm_health.backends import Sidecar
from pytest_mdm_health.checks.sqlite_locking.collect import collect
from pytest_mdm_health.checks.sqlite_locking.facts import LargeWal, LeftoverWal, LockFacts
from pytest_mdm_health.checks.sqlite_locking.findings import (
    CHECK,
    CONVERT,
    FOREIGN_LOG,
    FOREIGN_LOG_OF_DAMAGED_FILE,
    HELD_OPEN,
    INVALID_WAL,
    JOURNAL_MODE,
    JOURNAL_OR_WAL_FIRST,
    LARGE_WAL,
    LARGE_WAL_WITHOUT_READER,
    LEFT_OVER_JOURNAL,
    LEFT_OVER_WAL,
    LOCK_ERRORS,
    LOCKED_NOW,
    NETWORK_FILE_SYSTEM,
    NO_WAL_ON_NETWORK,
    NOTE,
    OLDER_WAL,
    READERS_REFUSED,
    RULES,
    SET_SAFE_MODE,
    UNSAFE_JOURNAL_MODE,
    WAL_NOT_CONFIGURED,
    WARN,
)
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import moment, times
from pytest_mdm_health.mdm.host.locks import LockKind
from pytest_mdm_health.mdm.host.processes import Holder
from pytest_mdm_health.mdm.inventory import Dataset, Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]

_UNSAFE_MODES = ("OFF", "MEMORY")
_WHOLE_FROM = 10
_EFFECTS = {
    LockKind.WHOLE_FILE: "no other process can read or write it",
    LockKind.EXCLUSIVE: "no other process can read or write it",
    LockKind.PENDING: "no other process can read or write it",
    LockKind.RESERVED: "no other process can write to it",
    LockKind.WAL_WRITER: "no other process can write to it",
}
"""What each kind of write lock does to others."""


def observe(mdm_dataset: Dataset, mdm_inventory: Inventory) -> LockFacts:
    """Examine the file, its journal or WAL, the processes that use it, and the log."""
    return collect(mdm_dataset, mdm_inventory)


def judge(facts: LockFacts) -> Iterator[Finding]:
    """How the file is configured, what was left beside it, and which processes block others."""
    yield from _check_configuration(facts)
    yield from _check_sidecars(facts)
    yield from _check_processes(facts)
    if facts.network:
        yield NETWORK_FILE_SYSTEM(at=facts.path, file_system=facts.file_system)


def _check_configuration(facts: LockFacts) -> Iterator[Finding]:
    is_unsafe = facts.configured in _UNSAFE_MODES
    if is_unsafe:
        yield UNSAFE_JOURNAL_MODE(
            at=facts.configured_in or facts.path,
            remedy=SET_SAFE_MODE if facts.configured_in else UNSAFE_JOURNAL_MODE.remedy,
            mode=facts.configured,
            safe_mode="DELETE" if facts.network else "WAL",
            why=" WAL mode does not work on a network file system." if facts.network else "",
            settings_file=facts.configured_in,
        )
    elif not facts.wal:
        refusals = _refusals(facts)
        yield JOURNAL_MODE(
            WARN if refusals else NOTE,
            at=facts.path,
            remedy=_conversion(facts),
            despite_settings=", although the settings say WAL" if facts.configured == "WAL" else "",
            refusals=f", and {refusals}" if refusals else "",
            file=facts.path,
        )
    if (facts.wal or is_unsafe) and facts.last_error is not None:  # else they are in the finding above
        last = facts.last_error
        yield LOCK_ERRORS(
            NOTE if facts.written_after_error else WARN,
            at=last.place,
            count=facts.errors,
            last=f", last at {moment(last.time)}" if last.time else "",
            despite_wal=", although the file is in WAL mode" if facts.wal else "",
            written_later="; the file was written after that" if facts.written_after_error else "",
        )


def _refusals(facts: LockFacts) -> str:
    """What shows that a process waited too long for a lock; empty if nothing does."""
    if facts.errors:
        return f'"database is locked" appears {times(facts.errors)} in the log'
    if facts.locked_by:
        return "it is locked at present"
    return "concurrent readers were refused" if facts.refused_readers else ""


def _conversion(facts: LockFacts) -> Steps:
    """How the file gets into WAL mode, or why it should not be converted now."""
    if facts.network:
        return NO_WAL_ON_NETWORK
    if facts.configured != "WAL":
        return WAL_NOT_CONFIGURED
    return JOURNAL_OR_WAL_FIRST if facts.has_journal_or_wal else CONVERT


def _check_sidecars(facts: LockFacts) -> Iterator[Finding]:
    if facts.leftover_wal is not None:
        yield _check_wal(facts.leftover_wal)
    if facts.large_wal is not None:
        yield _check_large_wal(facts.large_wal, facts.path)
    if facts.hot_journal is not None:
        sidecar, size = facts.hot_journal.path, facts.hot_journal.size
        yield LEFT_OVER_JOURNAL(at=str(sidecar), size=size, file=_database_of(facts.hot_journal), sidecar=sidecar)


def _check_wal(wal: LeftoverWal) -> Finding:
    sidecar, size, file = wal.sidecar.path, wal.sidecar.size, _database_of(wal.sidecar)
    if wal.is_foreign:
        rule = FOREIGN_LOG if wal.problems_without == () else FOREIGN_LOG_OF_DAMAGED_FILE
        return rule(
            at=str(sidecar),
            size=size,
            mismatch=wal.mismatch or "it corrupts a file that is intact without it",
            without=_condition(wal.problems_without),
            together=_condition(wal.problems_with),
            file=file,
            sidecar=sidecar,
        )
    if wal.valid_frames == 0:
        return INVALID_WAL(at=str(sidecar), size=size, file=file, sidecar=sidecar)
    if wal.is_older:
        return OLDER_WAL(at=str(sidecar), size=size, file=file, sidecar=sidecar)
    return LEFT_OVER_WAL(at=str(sidecar), size=size, file=file, sidecar=sidecar)


def _check_large_wal(wal: LargeWal, path: str) -> Finding:
    pids = _pids(wal.pinned_by)
    rule = LARGE_WAL if wal.pinned_by else LARGE_WAL_WITHOUT_READER
    return rule(
        at=path,
        evidence={"wal": wal.size, "file": wal.file_size, **_evidence(wal.pinned_by)},
        remedy=_with_known_pids(rule, pids),
        size=wal.size,
        factor=_factor(wal.size, wal.file_size),
        processes=_described(wal.pinned_by),
        watched_s=wal.watched_s,
        pids=pids,
    )


def _factor(size: int, other: int) -> str:
    """How many times as large one is, with a digit after the point where that matters."""
    factor = size / other
    return f"{factor:.0f}" if factor >= _WHOLE_FROM else f"{factor:.1f}"


def _database_of(sidecar: Sidecar) -> str:
    """The file that it is beside, which is not the registered path where that is a symbolic link."""
    return str(sidecar.path).removesuffix(f"-{sidecar.kind}")


def _condition(problems: Sequence[str] | None) -> str:
    if problems is None:
        return "not verified"
    return f"damaged ({problems[0]})" if problems else "intact"


def _check_processes(facts: LockFacts) -> Iterator[Finding]:
    pids = _pids(facts.holders)
    if facts.locked_by:
        yield LOCKED_NOW(
            at=facts.path,
            evidence=_evidence(facts.locked_by),
            remedy=_with_known_pids(LOCKED_NOW, pids),
            watched_s=facts.watched_s,
            processes=_described(facts.locked_by),
            effect=_EFFECTS[facts.locked_by[0].lock],
            pids=pids,
        )
    elif facts.refused_readers:
        yield READERS_REFUSED(
            at=facts.path,
            evidence=_evidence(facts.holders),
            remedy=_conversion(facts),
            refused=facts.refused_readers,
            tried=facts.readers,
            open_in=f"; the file is open in {_described(facts.holders)}" if facts.holders else "",
            file=facts.path,
        )
    elif facts.holders:
        yield HELD_OPEN(
            at=facts.path,
            evidence=_evidence(facts.holders),
            remedy=_with_known_pids(HELD_OPEN, pids),
            processes=_described(facts.holders),
            pids=pids,
        )


def _pids(holders: Sequence[Holder]) -> str:
    """Those that can be seen, as `ps` takes them."""
    return ",".join(str(pid) for pid in sorted({holder.pid for holder in holders if holder.pid}))


def _with_known_pids(rule: Rule, pids: str) -> Steps:
    """The remedy of a rule; without its `ps` command where only locks can be seen, not the processes."""
    return rule.remedy if pids else Steps(rule.remedy.text)


def _described(holders: Sequence[Holder]) -> str:
    """Each process once: one that has several locks is there several times.

    Those that cannot be seen share the PID 0, so they are told apart by their locks.
    """
    seen = {holder.pid: f"{holder}{_running_since(holder)}" for holder in holders if holder.pid}
    unseen = dict.fromkeys(f"{holder} ({holder.lock} lock)" for holder in holders if not holder.pid)
    return " and ".join((*seen.values(), *unseen))


def _running_since(process: Holder) -> str:
    if process.since is None:
        return ""
    return f", running since {moment(datetime.fromtimestamp(process.since, timezone.utc))}"


def _evidence(holders: Sequence[Holder]) -> Mapping[str, JSON]:
    return {
        "holders": [
            {"pid": holder.pid, "name": holder.name, "mode": holder.mode, "lock": holder.lock} for holder in holders
        ]
    }
