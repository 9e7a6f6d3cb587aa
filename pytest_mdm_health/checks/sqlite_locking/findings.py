"""What sqlite-locking can find: every code with its wording and its remedy."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="sqlite-locking",
    issue="3.2",
    title='SQLite reports "database is locked"',
    per=Kind.DATASET,
    requires=("metadata-corruption",),
    tolerates=DATA_IS_READABLE,
    backends=("sqlite",),
    live=True,
    reads=("log",),
    tags=("storage", "locks"),
)
RULES = Rules(CHECK)

_WAIT_LONGER = "Let connections wait longer (PRAGMA busy_timeout=30000), and open read-only what only reads."
_LIST_FILES = ("ls -l -- {file!q} {sidecar!q}",)
_SET_WAL_ASIDE = Call("set-aside", "{sidecar}")
_LIST_PROCESSES = ("ps -o pid,lstart,etime,args -p {pids}",)

CONVERT = Steps(
    f"Convert the file to WAL mode while no process uses it; the command refuses if one does. {_WAIT_LONGER}",
    (Call("journal-mode", "{file}"),),
)
NO_WAL_ON_NETWORK = Steps(f"WAL mode does not work on a network file system. {_WAIT_LONGER}")
WAL_NOT_CONFIGURED = Steps(
    f"{_WAIT_LONGER} If readers and writers should not block each other, set `database.sqlite.journal_mode` to WAL in "
    "mdm.yaml, and examine the home again."
)
JOURNAL_OR_WAL_FIRST = Steps(
    "Deal with the journal or WAL beside the file first: a conversion to WAL mode would roll it back or merge it. "
    f"{_WAIT_LONGER}"
)

JOURNAL_MODE = RULES.declare(
    "journal-mode",
    NOTE,
    WARN,
    means="the file is not in WAL mode; a warning if a process was refused a lock",
    message="the file uses a rollback journal{despite_settings}: readers and writers block each other{refusals}",
    remedy=CONVERT,
    answers=("slow writes",),
)
UNSAFE_JOURNAL_MODE = RULES.declare(
    "unsafe-journal-mode",
    WARN,
    means="the settings select a journal mode (OFF or MEMORY) in which a crash during a write corrupts the file",
    message="the settings select journal mode {mode}: a crash during a write corrupts the file",
    remedy="Set `database.sqlite.journal_mode` to {safe_mode}, where it is set now, and examine the home again.{why}",
)
SET_SAFE_MODE = Steps(
    "Set `database.sqlite.journal_mode` to {safe_mode} in mdm.yaml, and examine the home again.{why}",
    (Call("set-setting", "{settings_file}", ("database.sqlite.journal_mode", "{safe_mode}"), (("was", "{mode}"),)),),
)
LEFT_OVER_WAL = RULES.declare(
    "left-over-wal",
    WARN,
    means="a process that did not end cleanly left changes in the WAL; a copy of the database file alone lacks them",
    message="leftover WAL: up to {size:size} of changes are only in {sidecar}, and the process that wrote them is "
    "gone; a copy of the database file alone lacks them",
    remedy="Merge the WAL into the file; the command keeps a copy of both, and refuses a WAL of another "
    "file. Decide first whether the file was restored or replaced after the WAL was written, which the modification "
    "times can help with: then its changes must not be merged.",
    commands=(*_LIST_FILES, Call("checkpoint", "{file}")),
)
OLDER_WAL = RULES.reworded(
    LEFT_OVER_WAL,
    message="leftover WAL: up to {size:size} of changes are only in {sidecar}, which was last written before the file "
    "came to its place, as with a file that was restored; SQLite merges it on next open",
    remedy="Let no program open the file until you know whether it was restored or replaced. If it was, move the WAL "
    "out of the home (mdm-health set-aside, which keeps it). If it was not, copy both files to another folder, and let "
    "the next MDM command merge them.",
    commands=_LIST_FILES,
)
INVALID_WAL = RULES.reworded(
    LEFT_OVER_WAL,
    message="leftover WAL of {size:size} without a valid page: any changes in it are lost",
    remedy="Move the WAL out of the home, where it is kept, before anything opens the file, because SQLite overwrites "
    "such a WAL. Then compare the dataset with a backup.",
    commands=(*_LIST_FILES, _SET_WAL_ASIDE),
)
LARGE_WAL = RULES.declare(
    "large-wal",
    WARN,
    NOTE,
    means="the WAL in use is larger than the file, although SQLite should have moved its changes there; a note if no "
    "reader prevents that",
    message="the WAL of {size:size} is {factor} times as large as the file, which lacks those changes: {processes} "
    "kept a read transaction open (observed for {watched_s:g} s), so SQLite cannot move them into the file and reuse "
    "the WAL",
    remedy="Let the reader end its transaction (close its results, commit or roll back), or end the process once you "
    "know what it is; the next write then moves the changes. Until then include the WAL in every copy of the file.",
    commands=_LIST_PROCESSES,
    answers=("slow writes",),
)
LARGE_WAL_WITHOUT_READER = RULES.reworded(
    LARGE_WAL,
    NOTE,
    message="the WAL of {size:size} is {factor} times as large as the file; no reader was seen to keep its changes "
    "from being moved into the file",
    remedy="No action required: SQLite deletes the WAL when the last process closes the file. Until then include it in "
    "every copy of the file.",
)
FOREIGN_LOG = RULES.declare(
    "foreign-log",
    FAIL,
    means="the WAL beside the file was not written for the file as it is now, and SQLite will merge it nevertheless",
    message="the WAL of {size:size} does not belong to the file as it is now ({mismatch}), and SQLite merges it on "
    "next open; the file alone is {without}, with the WAL {together}",
    remedy="Let no program open the file. Move the WAL away from the file, so that it is not merged; the command keeps "
    "it. Then compare the dataset with a backup: the latest changes may be missing.",
    commands=(*_LIST_FILES, _SET_WAL_ASIDE),
)
FOREIGN_LOG_OF_DAMAGED_FILE = RULES.reworded(
    FOREIGN_LOG,
    message=FOREIGN_LOG.message,
    remedy="Let no program open the file. Restore the dataset from a backup that is intact, which moves the WAL away "
    "too: it must not be merged with the restored file.",
    commands=_LIST_FILES,
)
LEFT_OVER_JOURNAL = RULES.declare(
    "left-over-journal",
    WARN,
    means="a transaction was interrupted; SQLite rolls it back when the file is opened next",
    message="hot journal of {size:size}: a transaction was interrupted, and SQLite rolls it back on next open",
    remedy="Before anything opens the file, copy it together with its journal to another folder. The next MDM command "
    "that opens the dataset rolls the transaction back. Do not delete the journal: without it the file stays "
    "half written. Then find out what was being written, and whether to repeat it.",
    commands=_LIST_FILES,
)
LOCKED_NOW = RULES.declare(
    "locked-now",
    WARN,
    means="another process keeps the file locked for writing",
    message="the file is locked for writing by {processes} (observed for {watched_s:g} s): {effect}",
    remedy="Wait until the process is done. If it never is, end it; SQLite rolls back what it did not commit.",
    commands=_LIST_PROCESSES,
    answers=("database is locked",),
)
READERS_REFUSED = RULES.declare(
    "readers-refused",
    WARN,
    means='of ten concurrent readers, some got "database is locked"',
    message='{refused} of {tried} concurrent readers got "database is locked"{open_in}',
    remedy=CONVERT,
    answers=("intermittent failures under load",),
)
NETWORK_FILE_SYSTEM = RULES.declare(
    "network-file-system",
    WARN,
    means="the file is on a network file system",
    message="the file is on a network file system ({file_system}), where locks are unreliable",
    remedy="Move the home to a local disk. To use it from several machines, choose the PostgreSQL backend.",
    answers=("slow writes",),
)
LOCK_ERRORS = RULES.declare(
    "lock-errors",
    WARN,
    NOTE,
    means="the log has lock errors although the file is in WAL mode, or while the settings select a mode without a "
    "journal file; a note if the file was written after the last one",
    message='"database is locked" appears {count:times} in the log{last}{despite_wal}{written_later}',
    remedy="Two processes wrote at the same time, and one timed out before the other was done. Let connections wait "
    "longer (PRAGMA busy_timeout=30000), keep transactions short, and run one MDM command that writes at a time.",
    answers=("database is locked", "intermittent failures under load"),
)
HELD_OPEN = RULES.declare(
    "held-open",
    NOTE,
    means="other processes have the file open",
    message="the file is open in {processes}",
    remedy="No action required.",
    commands=_LIST_PROCESSES,
)
