"""SQLite answers "database is locked".

Symptoms
--------
`sqlite3.OperationalError: database is locked`; writes that take seconds; failures under load that come and go.

Causes
------
SQLite lets one process write at a time. With a rollback journal, writing also keeps readers out, and every reader
keeps the writer waiting; in WAL mode readers and the writer do not see each other. Whoever waits longer than the busy
time-out gets the error. So it takes a long transaction, several writers, or a program that forgets to close its
connections. On a network file system locks are not to be relied on, and WAL mode does not work at all.

MDM's settings say WAL, and MDM asks for it on every connection. A file can still be in another mode: one that another
program made or converted, or one that was in use when MDM asked.

Diagnosis
---------
Bytes 18 and 19 of the file are 2 in WAL mode and 1 in all others (`PRAGMA journal_mode` says `delete` of every file
that is opened as immutable, which is how to look without leaving a trace). A log beside a file is merged by whoever
opens the file next, also if the file is in another mode or was restored since: nothing in a log names its file. The
system's table of locks says who writes, who reads and who only has the file open; without privileges it says nothing
of other users' processes. Ten readers at the same time show whether reading works. SQLite keeps no busy time-out in
the file: each connection has its own, 5 seconds in Python unless the program says otherwise.

Solutions
---------
`PRAGMA journal_mode=WAL`, once, while nobody uses the file. `PRAGMA busy_timeout=30000` on every connection. Opening
what only reads read-only. Trying again with growing pauses. Ending the process that keeps a transaction open. What was
left beside a file is copied together with it before anything opens it; a log of another time is moved away.

Findings
--------
* `journal-mode` (note/warn): the file is not in WAL mode; a warning if locks were in somebody's way, or if the settings
  ask for a mode in which a crash destroys the file.
* `left-over-wal` (warn): a process that did not end well left changes in the log; a copy of the file alone lacks them.
* `foreign-log` (fail): the log beside the file is of another time than the file, and will be merged with it.
* `left-over-journal` (warn): a transaction was interrupted and will be undone by whoever opens the file next.
* `locked-now` (warn): somebody keeps the file locked for writing.
* `readers-refused` (warn): of ten readers at the same time, some got no answer.
* `network-file-system` (warn): the file lies on another machine.
* `lock-errors` (warn/note): the log has lock errors though the file is in WAL mode; a note if it was written since.
* `held-open` (note): processes have the file open.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE
from pytest_mdm_health.checks.sqlite_locking import findings
from pytest_mdm_health.checks.sqlite_locking.facts import LockFacts
from pytest_mdm_health.checks.sqlite_locking.look import gather
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.mdm.inventory import Dataset, Inventory

CHECK = Check(
    id="sqlite-locking",
    issue="3.2",
    title="SQLite answers that the database is locked",
    per=Kind.DATASET,
    requires=("metadata-corruption",),
    despite=DATA_IS_READABLE,
    backends=("sqlite",),
    live=True,
    tags=("storage", "locks"),
)


def observe(mdm_dataset: Dataset, mdm_inventory: Inventory) -> LockFacts:
    """Look at the file, at what lies beside it, at who locks it, and at the log."""
    return gather(mdm_dataset, mdm_inventory)


def judge(facts: LockFacts, before: LockFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """How the file is set up, what was left beside it, and who is in whose way."""
    yield from findings.of_journal_mode(CHECK, facts)
    yield from findings.of_left_over(CHECK, facts)
    yield from findings.of_locks(CHECK, facts)
    yield from findings.of_place(CHECK, facts)
