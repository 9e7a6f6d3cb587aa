"""What sqlite-locking concludes. Pure; each function yields what is wrong in one respect."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from pytest_mdm_health.checks.sqlite_locking.facts import Beside, LockFacts
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import size, times
from pytest_mdm_health.mdm.host.processes import Holder

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_CONVERT = (
    "import os, pathlib, sqlite3, sys; sys.tracebacklimit = 0; path = pathlib.Path(sys.argv[1]).resolve(); "
    "beside = [path.name + end for end in ('-wal', '-journal') if os.path.lexists(f'{path}{end}')]; "
    "sys.exit(f'not converted, for there is {beside[0]}') if beside else "
    "print(sqlite3.connect(path.as_uri() + '?mode=rw', uri=True, timeout=0)"
    ".execute('PRAGMA journal_mode=WAL').fetchone()[0])"
)
"""Converts a file only where it is alone: neither makes one that is missing nor takes a journal or log over."""

_UNSAFE = ("OFF", "MEMORY")
_WHAT_WAITS = {
    "exclusive": "nobody can read or write it meanwhile",
    "pending": "nobody can read or write it meanwhile",
    "reserved": "nobody else can write to it meanwhile",
    "wal-writer": "nobody else can write to it meanwhile",
    "whole-file": "nobody can read or write it meanwhile",
}


def of_journal_mode(check: Check, facts: LockFacts) -> Iterator[Finding]:
    """The mode of the file, and errors that it would explain."""
    where = Location(facts.path)
    if facts.configured.upper() in _UNSAFE:
        mode = facts.configured.upper()
        message = f"the settings tell MDM to use the journal mode {mode}: a crash while it writes destroys the file"
        better = "DELETE (WAL mode does not work on a network file system)" if facts.network else "WAL"
        text = f"Set `database.sqlite.journal_mode` to {better} in mdm.yaml, and examine the home again."
        location = Location(facts.configured_in) if facts.configured_in else where
        yield check.finding("journal-mode", WARN, message, Remedy(text), location=location)
    elif not facts.wal:
        trouble = _trouble(facts)
        wanted = f", though the settings say {facts.configured}" if facts.configured.upper() == "WAL" else ""
        message = f"the file has a rollback journal{wanted}: readers and the writer keep each other waiting"
        message += f", and {trouble}" if trouble else ""
        yield check.finding("journal-mode", WARN if trouble else NOTE, message, _to_wal(facts), location=where)
    if facts.wal and facts.errors.count:
        yield _lock_errors(check, facts)


def of_left_over(check: Check, facts: LockFacts) -> Iterator[Finding]:
    """Journals and logs without a process that they belong to."""
    for each in facts.beside:
        if each.live:
            continue
        if each.kind == "wal":
            yield _foreign_log(check, each) if _is_foreign(each) else _left_over_log(check, each)
        elif each.kind == "journal":
            message = (
                f"a transaction was interrupted and left its journal of {size(each.size)}; "
                "whoever opens the file next undoes it"
            )
            text = (
                "Before anything opens the file, copy it together with its journal to another folder. The next command "
                "of MDM that opens the dataset undoes the transaction; do not delete the journal, without it the file "
                "stays half written. Then find out what was being written and whether that has to be done again."
            )
            yield check.finding("left-over-journal", WARN, message, _times_of(each, text), location=_at(each))


def _left_over_log(check: Check, each: Beside) -> Finding:
    if each.frames == 0:
        message = (
            f"the log of {size(each.size)} beside the file holds nothing that SQLite takes for valid: "
            "changes in it, if there were any, are lost"
        )
        text = (
            "Copy the file together with its log to another folder before anything opens it, since SQLite overwrites "
            "such a log. Then compare the dataset with a backup."
        )
    else:
        message = (
            f"changes of up to {size(each.size)} lie in the log beside the file, and the process that made them is "
            "gone; a copy of the file alone lacks them"
        )
        text = (
            "Copy the file together with its log to another folder. The next command of MDM that opens the dataset "
            "takes the changes over. Do not let it if the file was restored or replaced after the log was written: "
            "SQLite merges them all the same, and the times below may tell."
        )
    return check.finding("left-over-wal", WARN, message, _times_of(each, text), location=_at(each))


def _is_foreign(each: Beside) -> bool:
    """Whether the log shows that it is of another time, or spoils a file that is sound without it."""
    return each.frames != 0 and bool(each.another or (each.together and each.alone == ()))


def _foreign_log(check: Check, each: Beside) -> Finding:
    why = each.another or f"with it the file is damaged ({(each.together or ('',))[0]}), without it sound"
    message = (
        f"the log of {size(each.size)} beside the file is of another time than the file ({why}); whoever opens the "
        f"file next merges them all the same; the file alone is {_sound(each.alone)}, with the log "
        f"{_sound(each.together)}"
    )
    text = (
        "Let nothing open the file. Copy file and log together to another folder; then move the log beside the file "
        "away, so that nothing of it is merged"
    )
    text += (
        ", and compare the dataset with a backup: what was changed last may be missing."
        if each.alone == ()
        else ", and restore the dataset from a backup that is sound."
    )
    return check.finding("foreign-log", FAIL, message, _times_of(each, text), location=_at(each))


def _sound(problems: Sequence[str] | None) -> str:
    if problems is None:
        return "not verified"
    return f"damaged ({problems[0]})" if problems else "sound"


def _at(each: Beside) -> Location:
    return Location(each.path)


def _times_of(each: Beside, text: str) -> Remedy:
    """What to do, and a look at when file and log were written."""
    return Remedy(text, (f"ls -l -- {shlex.quote(each.path.removesuffix(f'-{each.kind}'))} {shlex.quote(each.path)}",))


def of_locks(check: Check, facts: LockFacts) -> Iterator[Finding]:
    """Who is in whose way now."""
    where, readers = Location(facts.path), facts.readers
    if facts.locked:
        message = (
            f"{_named(facts.locked_by)} kept the file locked for writing for the {facts.watched_s:g} s it was watched; "
            f"{_WHAT_WAITS[facts.locked]}"
        )
        text = "Wait until that is done. If it never is, end the process; what it did not commit is undone."
        yield check.finding(
            "locked-now", WARN, message, _ask(facts, text), evidence=_evidence(facts.locked_by), location=where
        )
    elif readers.refused:
        message = f"{readers.refused} of {readers.sent} readers at the same time were answered that the file is locked"
        message += f"; {_named(facts.holders)} has it open" if facts.holders else ""
        remedy = _to_wal(facts) if not facts.wal else _ask(facts, "Wait until whoever locks it is done.")
        evidence = _evidence(facts.holders)
        yield check.finding("readers-refused", WARN, message, remedy, evidence=evidence, location=where)
    elif facts.holders:
        message = f"{_named(facts.holders)} has the file open"
        yield check.finding(
            "held-open",
            NOTE,
            message,
            _ask(facts, "Nothing has to be done."),
            evidence=_evidence(facts.holders),
            location=where,
        )


def of_place(check: Check, facts: LockFacts) -> Iterator[Finding]:
    """The file system."""
    if facts.network:
        message = f"the file lies on a network file system ({facts.file_system}), where locks are not to be relied on"
        text = "Move the home to a local disk. With several machines, use the PostgreSQL backend."
        yield check.finding("network-file-system", WARN, message, Remedy(text), location=Location(facts.path))


def _lock_errors(check: Check, facts: LockFacts) -> Finding:
    errors = facts.errors
    when = f", last at {errors.last}" if errors.last else ""
    since = "; the file was written since" if errors.later_written else ""
    message = (
        f'"database is locked" stands {times(errors.count)} in the log{when}, though the file is in WAL mode{since}'
    )
    text = (
        "Two processes wrote at the same time, and one waited for less than the other took. Let connections wait "
        "longer (PRAGMA busy_timeout=30000), keep transactions short, and run one writing command of MDM at a time."
    )
    location = Location(errors.log, errors.line) if errors.log else Location(facts.path)
    return check.finding(
        "lock-errors", NOTE if errors.later_written else WARN, message, Remedy(text), location=location
    )


def _trouble(facts: LockFacts) -> str:
    """The evidence that somebody was kept waiting for too long."""
    if facts.errors.count:
        return f'"database is locked" stands {times(facts.errors.count)} in the log'
    if facts.locked:
        return "it is locked right now"
    return "readers got no answer" if facts.readers.refused else ""


def _to_wal(facts: LockFacts) -> Remedy:
    """How the file gets into WAL mode; in words only where that does not work, was not wanted or has to wait."""
    waiting = "Let connections wait longer (PRAGMA busy_timeout=30000), and open what only reads read-only."
    if facts.network:
        return Remedy(f"WAL mode does not work on a network file system. {waiting}")
    if facts.configured.upper() != "WAL":
        return Remedy(
            f"{waiting} If readers and the writer are to stop waiting for each other, set "
            "`database.sqlite.journal_mode` to WAL in mdm.yaml, and examine the home again."
        )
    if not facts.unaccompanied:
        return Remedy(
            "See first to the journal or log beside the file: a conversion to WAL mode would undo or merge what is in "
            f"it. {waiting}"
        )
    command = f"python3 -c {shlex.quote(_CONVERT)} {shlex.quote(facts.path)}"
    return Remedy(
        f"Convert it to WAL mode while nobody uses it; while somebody does, it is refused. {waiting}", (command,)
    )


def _ask(facts: LockFacts, text: str) -> Remedy:
    pids = sorted({holder.pid for holder in facts.holders if holder.pid})
    return Remedy(text, (f"ps -o pid,lstart,etime,args -p {','.join(map(str, pids))}",) if pids else ())


def _named(holders: Sequence[Holder]) -> str:
    each = {holder.pid: holder for holder in holders}.values()
    return " and ".join(f"{holder}{_since(holder)}" for holder in each)


def _since(holder: Holder) -> str:
    if holder.since is None:
        return ""
    started = datetime.fromtimestamp(holder.since, timezone.utc)
    return f", which runs since {started.isoformat(sep=' ', timespec='seconds')},"


def _evidence(holders: Sequence[Holder]) -> dict[str, JSON]:
    return {"holders": [{"pid": each.pid, "name": each.name, "mode": each.mode, "lock": each.lock} for each in holders]}
