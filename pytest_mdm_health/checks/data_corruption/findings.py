"""What data-corruption can find: every code with its wording and its remedy.

What changes anything takes the data out of a backup that was opened and found sound, or makes it from its source again
where no backup holds it.
"""

from __future__ import annotations

from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE, ROWS_ARE_VISIBLE, SERVER_LETS_IN
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="data-corruption",
    issue="5.1",
    title="Damaged, incomplete or altered data",
    per=Kind.DATASET,
    requires=(
        *SERVER_LETS_IN,
        *ROWS_ARE_VISIBLE,
        "metadata-corruption",
    ),
    tolerates=DATA_IS_READABLE,
    backends=("sqlite", "duckdb", "postgresql"),
    tags=("data", "storage"),
)
RULES = Rules(CHECK)

_RUN_AGAIN = "then run this check again: until the table is read, its state is unknown."

RESTORE_DUMP = Steps(
    "Keep a dump of the database as it is, and restore it from an earlier dump. Without one, {facts.register_again}."
)
RESTORE_BACKUP = Steps(
    "Put it back out of {facts.backup}, which was opened and holds the registered tables, while no process uses the "
    "file. What changed since the backup is not in there.",
    (Call("put-back", "{facts.file.path}", options=(("from", "{facts.backup}"),)),),
)
RESTORE_OVER_FOLDER = Steps(
    "Find out what the folder is. Then move it out of the home, and put the data back out of {facts.backup}, which was "
    "opened and holds the registered tables.",
    (Call("set-aside", "{facts.file.path}"), *RESTORE_BACKUP.commands),
)
RESTORE_AFTERWARDS = Steps(
    "Find out what made it, and remove it by hand; then run this again: {facts.backup} holds the data."
)
RESTORE_TABLE = Steps(
    "Put this table back out of {facts.backup}, which was opened and holds the registered tables, while no process "
    "uses the file; the other tables stay as they are. What changed in it since the backup is not in there.",
    (Call("put-back", "{facts.file.path}", options=(("from", "{facts.backup}"), ("table", "{table}"))),),
)
KEEP_COPY = Steps("Keep the file with its logs as they are, in a copy. {facts.other_sources}")
MAKE_AGAIN = Steps(
    "{facts.no_backup} The MDM that is installed can make the data from its source again, {facts.source}. Nothing is "
    "changed if a row that can be read now would be missing then, and the registration stays.",
    (Call("register-again", "{facts.registration}", (), (("python", "{facts.mdm_python}"),)),),
)
READ_AROUND_DAMAGE = Steps(
    "{facts.other_sources} What is around the damaged pages is read into a new file, table by table and by ranges of "
    "`rowid`. It takes the place of this one only if no row is lost; otherwise it is kept outside the home, and what "
    "may be missing is listed: count and compare its rows before they are used.",
    (Call("rescue", "{facts.file.path}"),),
)
MOVE_LOG_FIRST = Steps(
    "Before anything is opened or restored there, move {logs} to a folder outside the home, and keep it: it holds "
    "changes, and goes only with the very file that it was written for. Search for that file first; a disk or link "
    "that is missing may be all."
)
COMPARE_COPIES = Steps(
    "Keep the file: it can be read. Compare it with any other copy before you restore one. {facts.other_sources}"
)
LEAVE_FILE = Steps("{facts.other_file}", ("grep -n 'path:\\|\"path\"' -- {facts.registrations}",))
LEAVE_UNREGISTERED = Steps("{facts.other_file}")
KEEP_ROWS = Steps(
    "If rows were added on purpose, have them counted again: `mdm dataset stats`. Else compare the file with an "
    "earlier copy: there is nothing to restore in it, only to take out."
)

GRANT_SELECT = Steps(
    "Ask the owner of the table, or of its database, to let the registered role read it (GRANT SELECT); " + _RUN_AGAIN
)
WAIT_FOR_TABLE = Steps(
    "Wait until whoever locks or changes it is done, or allow more time with --mdm-timeout; " + _RUN_AGAIN
)
END_PREPARED = Steps(
    "No session holds a prepared transaction, and a restart does not end it: ask who runs the program that prepared it "
    "whether it is to be kept (COMMIT PREPARED) or discarded (ROLLBACK PREPARED); " + _RUN_AGAIN
)
REACH_REMOTE = Steps(
    "Its rows are on another server, or in a file beside the database: start that server, or put the file back where "
    "the foreign table names it, and see its user mapping. Do not register the dataset again; " + _RUN_AGAIN
)
HAVE_WHAT_IT_NEEDS = Steps(
    "The database is not damaged, and is not to be restored: what the message names is in no database, but in the "
    "program that made this one. Find out whether MDM's own Python has it, and read the table with that program; until "
    "then its state is unknown."
)
READ_IT_ELSEWHERE = Steps(
    "This is no fault of the data: this suite reads no file beside a database, loads no extension, and runs no "
    "function that may have effects. Read the table with MDM; until then its state is unknown here."
)
FREE_SPACE = Steps(
    "Give the machine the memory or the room that it lacks; TMPDIR names another folder for temporary files; "
    + _RUN_AGAIN
)
KEEP_ROWS = Steps(
    "Where the data as it was still exists, record the baseline of it again, at --mdm-depth=full, or name its folder "
    "with --mdm-backup; then compare at --mdm-depth=full. Without either, look through the table yourself."
)
REMOVE_OBSTACLE = Steps("Remove what the message names; " + _RUN_AGAIN)

WAIT_FOR_FILE = Steps(
    "Wait until whoever holds the file{holders} is done, or close it the usual way; then run this check again."
)
NEWER_ENGINE = Steps("Run this with the release of the database engine that MDM uses, or a newer one.")
MAKE_ROOM = Steps("Make room, or name a folder on another file system in TMPDIR.")
OLDER_ENGINE = Steps(
    "Export the data with a release of the database engine that reads it, and import it with the one that MDM uses."
)
DECRYPT = Steps(
    "MDM has no key to give to the engine, so it cannot open the file either. Find out who encrypted it; with the key, "
    "the engine copies it into a file without (ATTACH with ENCRYPTION_KEY, then COPY FROM DATABASE)."
)
RAISE_LIMIT = Steps(
    "Let this process open more files (`ulimit -n`; `lsof -p` shows what has them), then run this check again."
)
FREE_MEMORY = Steps("Give the machine or this process the memory that it lacks, then run this check again.")
READ_ERROR = Steps(
    "The disk or the file server does not deliver the file: see what the kernel's log says (`dmesg`). Copy the home "
    "while it can be read, and restore what cannot be read on another disk."
)
SERVER_ACCESS = Steps(
    "See what postgres-slowdown reports about the server, and whether the registered role may connect."
)
FILE_ACCESS = Steps("Run this as the user that MDM runs as, or let that user read the file.")
LOOK_AT_FILE = Steps(
    "Remove what the message names as the reason, then run this check again: until the file is read, its state is "
    "unknown.",
    ("ls -ld -- {facts.file.path!q}",),
)

PLAN_IT = "If it was intended, write it into a file of expectations (--mdm-expect)."
PUT_BACK = Steps("{change.copy} holds the rows as they were: put them back from there. " + PLAN_IT)
UNPACK = Steps(
    "{change.packed} may hold the rows as they were. Unpack it into a folder of its own beside the home, never into "
    "the home, and run this again with --mdm-backup={facts.unpacked!q}: then it names the rows that differ. " + PLAN_IT,
    ("{unpack_command}",),
)
COMPARE_OR_PLAN = Steps(f"{COMPARE_COPIES.text} {PLAN_IT}")
NO_ACTION = Steps("No action required.")
NO_ACTION_IF_INTENDED = Steps("No action required if it was intended.")

_FILE = "{facts.file.path} {facts.file.reason}"

MISSING_FILE = RULES.declare(
    "missing-file",
    FAIL,
    means="the dataset is registered, but its data, a file or a database on a server, does not exist",
    message=_FILE,
    remedy=RESTORE_BACKUP,
)
MISSING_FILE_BESIDE_LOG = RULES.reworded(
    MISSING_FILE,
    message=f"{_FILE}, but {{logs}} is still there: whoever opens the dataset makes an empty file and deletes the log, "
    "and a file that is restored beside it is merged with a log that is not its own",
    remedy=RESTORE_BACKUP,
)
NOT_A_FILE = RULES.declare(
    "not-a-file",
    FAIL,
    means="there is a folder, FIFO, socket or device where the data belongs",
    message=_FILE,
    remedy=RESTORE_BACKUP,
)
EMPTY_FILE = RULES.declare(
    "empty-file", FAIL, means="the file has no content at all", message=_FILE, remedy=RESTORE_BACKUP
)
WRONG_FORMAT = RULES.declare(
    "wrong-format",
    FAIL,
    means="the file does not have the header of a database of its engine",
    message=_FILE,
    remedy=RESTORE_BACKUP,
)
TRUNCATED = RULES.declare(
    "truncated", FAIL, means="the file is shorter than its header says", message=_FILE, remedy=RESTORE_BACKUP
)
UNREADABLE_DATABASE = RULES.declare(
    "damaged",
    FAIL,
    means="the engine finds damage in the file, or cannot read a table",
    message=_FILE,
    remedy=RESTORE_BACKUP,
    answers=("checksum failures",),
)
DAMAGED = RULES.reworded(
    UNREADABLE_DATABASE, message="{facts.engine} finds the data damaged: {problems}", remedy=RESTORE_BACKUP
)
_DEFINITION = ("{facts.command_line} {statement!q}",)
_NOT_REGISTERED = "; MDM does not read it"

BROKEN_OBJECT = RULES.declare(
    "broken-object",
    FAIL,
    means="a view or virtual table cannot be read, or an index not be used, because it names what is not in the "
    "database; nothing is damaged. A failure for a registered table, a warning for an index of one, a note for others",
    message="the registered table {table} cannot be read, although nothing in it is damaged: {reason}",
    remedy="Leave the database where it is, and do not register the dataset again: what {table} names is missing, and "
    "the other tables are not concerned. Look at how it is defined, and bring back what it names: a table from an "
    "earlier copy of the database, which is opened beside this one and never put in its place, or the file from where "
    "it went.",
    commands=_DEFINITION,
)
BROKEN_UNREGISTERED = RULES.reworded(
    BROKEN_OBJECT,
    NOTE,
    message="{table} cannot be read: {reason}" + _NOT_REGISTERED,
    remedy="No action is required for MDM. Find out which program made it before anything removes it.",
    commands=_DEFINITION,
)
UNUSABLE_INDEX = RULES.reworded(
    BROKEN_OBJECT,
    WARN,
    NOTE,
    message="the {kind} {name} of {table} needs what is not in the database: {reason}",
    remedy="The rows are sound, and can be read without it: do not restore the file. Statements fail where the engine "
    "would use it. Use the program that made it where it is needed; let its owner remove it in a copy first if nothing "
    "needs it.",
    commands=_DEFINITION,
)
_CHECK_INTEGRITY = "{facts.command_line} 'PRAGMA integrity_check'"
INDEX_DISAGREES = RULES.declare(
    "index-disagrees",
    FAIL,
    WARN,
    means="an index does not have what its table has, so that what is looked up or counted by it is wrong; the table "
    "itself is sound. A warning for a table that is not registered",
    message="the index {index} disagrees with its table {table}: {problems}",
    remedy="The rows of {table} are sound: do not restore the file because of this. Build the index again, which "
    "changes no row of any table, while no process uses the file.",
    commands=(_CHECK_INTEGRITY, Call("reindex", "{facts.file.path}", ("{index}",))),
)
INDEX_HAS_MORE = Steps(
    "The rows of {table} are sound: do not restore the file because of this. Compare the number of rows with an "
    "earlier copy before the index is built again (mdm-health reindex, which refuses as long as it is so): the index "
    "may have entries of rows that the table does not have any more, and they are the last trace of them.",
    (_CHECK_INTEGRITY,),
)
BROKEN_CONSTRAINT = RULES.declare(
    "broken-constraint",
    WARN,
    NOTE,
    means="rows break a constraint of their table (NOT NULL, UNIQUE, CHECK, a foreign key); nothing is damaged. A note "
    "for a table that is not registered",
    message="{what}",
    remedy="The file is not damaged, and is not to be restored because of this. Look at these rows, find out what "
    "wrote them, and correct them at their source: another database that they are copied to refuses them.",
    commands=_DEFINITION,
)
SURPLUS = RULES.declare(
    "surplus",
    WARN,
    means="the file has bytes after the end of the database that do not belong to it",
    message="{facts.file.surplus} bytes after the end of the database do not belong to it",
    remedy="Find out what appended to the file, and whether that is still wanted; the database does not read it. "
    "Restore the file from a backup, or have its last {facts.file.surplus} bytes cut off in a copy that takes its "
    "place once this check finds nothing about it.",
    commands=("tail -c {facts.file.surplus} -- {facts.file.path!q} | od -A d -c | head -n 20",),
)
DATA_NOT_EXAMINED = RULES.declare(
    "not-examined",
    WARN,
    means="the data could not be examined, because it is locked, encrypted, of a newer or much older format, not "
    "readable for this user, because the disk does not deliver it, because memory, open files or the room for the copy "
    "that reading it without a trace needs are lacking, or because a server refuses; or a registered table could not "
    "be read, because of a missing permission, a lock, or the time; the result is an error",
    message=f"the data could not be examined: {_FILE}",
    remedy=LOOK_AT_FILE,
)
TABLE_NOT_EXAMINED = RULES.reworded(DATA_NOT_EXAMINED, message="{reason}", remedy=REMOVE_OBSTACLE)
MISSING_TABLE = RULES.declare(
    "missing-table",
    FAIL,
    means="a registered data table is not in the database",
    message="the registered table {table} is not in the database",
    remedy=RESTORE_TABLE,
)
EMPTY_TABLE = RULES.declare(
    "empty-table",
    FAIL,
    WARN,
    means="a registered table has no rows; a failure if MDM recorded that it had some",
    message="the table {table} is empty{recorded}",
    remedy=RESTORE_TABLE,
    answers=("missing or altered values",),
)
LOST_COLUMNS = RULES.declare(
    "lost-columns",
    FAIL,
    means="a table does not have columns that MDM recorded",
    message="the table {table} lost {columns} that MDM recorded: {names}",
    remedy=RESTORE_BACKUP,
    answers=("missing or altered values",),
)
FEWER_ROWS_THAN_RECORDED = RULES.declare(
    "row-count",
    FAIL,
    means="there are fewer rows than MDM counted; a warning if there are more",
    message="{what} has {found} rows, and had {recorded} according to {sources}: {missing} missing",
    remedy=RESTORE_BACKUP,
    answers=("row counts differ",),
)
MORE_ROWS_THAN_RECORDED = RULES.reworded(
    FEWER_ROWS_THAN_RECORDED,
    WARN,
    message="{what} has {found} rows, and had {recorded} according to {sources}: {surplus} too many",
    remedy=KEEP_ROWS,
)
_LIST_FILES = ("ls -l -- {facts.file.path!q} {paths}",)
FOREIGN_LOG = RULES.declare(
    "foreign-log",
    FAIL,
    means="a log or journal beside the file belongs to another copy of it; the file is sound without it",
    message="{logs} does not belong to the file beside it, but to another copy of it: the file is sound without it, "
    "and damaged with it",
    remedy="Let nothing open the dataset before that, neither MDM nor a database's command line: whoever opens it "
    "first merges the log, and the file is damaged for good. Move the log out of the home, where it is kept, and "
    "compare the rows with a backup: the log came with another copy of the file, and one of the two does not belong "
    "here.",
    commands=_LIST_FILES,
)
_MOVE_LOGS = (
    "Let nothing open the dataset before that. Move its logs out of the home, where they are kept: DuckDB then opens "
    "the file as it was at its last checkpoint."
)
FOREIGN_DUCKDB_LOG = RULES.reworded(
    FOREIGN_LOG,
    message="{logs} does not belong to the file beside it, but to another copy or another state of it, and DuckDB "
    "refuses to open the file with it ({facts.reason_with_logs}); the file is sound without it",
    remedy=f"{_MOVE_LOGS} Compare the rows with a backup: the log came with another copy of the file, and one of the "
    "two is not what belongs here.",
    commands=_LIST_FILES,
)
UNREPLAYABLE_LOG = RULES.declare(
    "unreplayable-log",
    FAIL,
    means="a DuckDB log is damaged, so that DuckDB refuses to open the file with it; the file is sound without it",
    message="DuckDB cannot replay {logs} and refuses to open the file with it ({facts.reason_with_logs}); the file is "
    "sound without it, and lacks the changes that are only in there",
    remedy=f"{_MOVE_LOGS} Keep the logs, and compare the rows with a backup or with what the dataset was registered "
    "from: what was written after the checkpoint is missing.",
    commands=_LIST_FILES,
)
LEFT_OVER_LOG = RULES.declare(
    "left-over-log",
    WARN,
    means="changes are only in a DuckDB log that a process left behind",
    message="leftover WAL: {size:size} of changes are only in {logs}, left by a process that did not end cleanly; "
    "copying the database file alone loses them, and DuckDB silently drops a log that is truncated",
    remedy="Merge the log into the file; the command keeps a copy of both. Do not if the file was restored or replaced "
    "after the log was written: in older formats nothing in a log names its file, and DuckDB merges it nevertheless.",
    commands=(*_LIST_FILES, Call("checkpoint", "{facts.file.path}")),
)
IGNORED_LOG = RULES.reworded(
    LEFT_OVER_LOG,
    message="{logs} ({size:size}) was left by a process that did not end cleanly, and DuckDB opens the file without "
    "taking anything from it: changes that were only in there are missing",
    remedy="Copy the file and the log to a folder outside the home before anything writes to the dataset: DuckDB may "
    "write over the log. Then compare the rows with a backup, or with what the dataset was registered from.",
    commands=_LIST_FILES,
)
INTERRUPTED_WRITE = RULES.declare(
    "interrupted-write",
    NOTE,
    means="a SQLite journal was left behind; SQLite rolls the transaction back on next open",
    message="hot journal: a transaction was interrupted, and SQLite rolls it back on next open; what is reported here "
    "is the state before it",
    remedy="Find out what was being written, and whether to repeat it.",
)
ORPHAN_DATA = RULES.declare(
    "orphan-data",
    NOTE,
    means="the data is not registered, so there is little to compare it with",
    message="{facts.file.path} is not registered, so there is nothing to compare its tables with",
    remedy="Find out whether a registration is running or broke off. Then register the dataset, or move the file out "
    "of the datasets once it is clear that no user misses it.",
)
EXTRA_FILE = RULES.declare(
    "extra-file",
    NOTE,
    means="there is another database in the dataset's folder",
    message="{other} is in the dataset's folder, but is not the data that is registered",
    remedy="MDM does not read it. Move it out of the datasets once it is clear that no user misses it.",
)
UNREGISTERED_TABLE = RULES.declare(
    "unregistered-table",
    NOTE,
    means="the database has a table that is not registered",
    message="the table {table} is in the database, but not registered: MDM does not show it",
    remedy="No action required. An interrupted registration may have left it.",
)

_ROWS = "in {rows_of} {count:rows}"
_MORE = "{first}{details}"
_KNOWN_BY_COUNT = "; without an earlier copy it is unknown whether the others are as they were{details}"

ALTERED_ROWS = RULES.declare(
    "altered-rows",
    FAIL,
    means="rows are not as they were when the baseline was recorded",
    message=f"{_ROWS} {{are}} altered since the baseline{{cells}}{_MORE}",
    remedy=PUT_BACK,
    change=("table", Change.WORSE),
    answers=("checksum failures", "missing or altered values"),
)
OTHER_ROWS = RULES.reworded(
    ALTERED_ROWS,
    message="the table {change.table} has {change.rows_after:rows} as before, but not the same ones{columns}{details}",
    remedy=PUT_BACK,
)
MISSING_ROWS = RULES.declare(
    "missing-rows",
    FAIL,
    means="rows are missing that the baseline has",
    message=f"{_ROWS} {{are}} missing since the baseline{_MORE}",
    remedy=PUT_BACK,
    change=("table", Change.WORSE),
    answers=("row counts differ", "missing or altered values"),
)
FEWER_ROWS = RULES.reworded(
    MISSING_ROWS,
    message="the table {change.table} had {change.rows_before:rows} in the baseline, and has {change.rows_after}: "
    "{fewer} fewer" + _KNOWN_BY_COUNT,
    remedy=PUT_BACK,
)
ADDED_ROWS = RULES.declare(
    "added-rows",
    FAIL,
    means="there are rows that the baseline does not have; MDM writes a table when it registers it and never after",
    message=f"{_ROWS} {{are}} new since the baseline{_MORE}",
    remedy=PUT_BACK,
    change=("table", Change.WORSE),
    answers=("row counts differ",),
)
MORE_ROWS = RULES.reworded(
    ADDED_ROWS,
    message="the table {change.table} had {change.rows_before:rows} in the baseline, and has {change.rows_after}: "
    "{more} more" + _KNOWN_BY_COUNT,
    remedy=PUT_BACK,
)
DUPLICATED_ROWS = RULES.declare(
    "duplicated-rows",
    FAIL,
    means="rows appear more often than in the baseline",
    message=f"{_ROWS} {{are}} duplicated since the baseline{_MORE}",
    remedy=PUT_BACK,
    change=("table", Change.WORSE),
    answers=("row counts differ",),
)
MULTIPLIED_ROWS = RULES.reworded(
    DUPLICATED_ROWS,
    message="the table {change.table} had {change.rows_before:rows} in the baseline, and has {change.rows_after}: each "
    "appears {factor} times as often{details}",
    remedy=PUT_BACK,
)
LOST_TABLE = RULES.declare(
    "lost-table",
    FAIL,
    means="a table that the baseline has is missing, and so is its registration",
    message="the table {change.table} of the baseline{had_rows} is missing",
    remedy=COMPARE_OR_PLAN,
    change=("table", Change.REMOVED),
)
DROPPED_COLUMNS = RULES.declare(
    "dropped-columns",
    FAIL,
    means="a table does not have columns that the baseline has",
    message="the table {change.table} lost {columns} since the baseline: {names}{renamed}{others}",
    remedy=COMPARE_OR_PLAN,
    change=("column", Change.REMOVED),
    answers=("missing or altered values",),
)
ADDED_TABLE = RULES.declare(
    "added-table",
    NOTE,
    means="there is a table that the baseline does not have",
    message="the table {change.table} is new since the baseline",
    remedy=NO_ACTION_IF_INTENDED,
    change=("table", Change.ADDED),
)
ADDED_COLUMNS = RULES.declare(
    "added-columns",
    NOTE,
    means="a table has columns that the baseline does not have",
    message="the table {change.table} has {columns} more since the baseline: {names}",
    remedy=NO_ACTION_IF_INTENDED,
    change=("column", Change.ADDED),
)
RETYPED = RULES.declare(
    "retyped",
    NOTE,
    means="columns are declared with another type; whether their values changed is reported with the rows",
    message="in the table {change.table} {retyped}{values}",
    remedy=NO_ACTION_IF_INTENDED,
    change=("column", Change.NEW),
)
LOSSY_BACKEND = RULES.declare(
    "lossy-backend",
    NOTE,
    means="values differ in what the backend cannot keep, and in nothing else",
    message="the table {change.table} differs in what {backend} cannot keep: {losses}",
    remedy="No action required: all other values are as they were.",
    change=("table", Change.NEW),
)
BACKEND_CHANGED = RULES.declare(
    "backend-changed",
    NOTE,
    means="the data is on another backend than before",
    message="the data was on {before.engine}, and is on {facts.engine}",
    remedy=NO_ACTION_IF_INTENDED,
    change=("dataset", Change.NEW),
)
MOVED_HOME = RULES.declare(
    "moved",
    NOTE,
    means="the home or the file is at another place than before",
    message="the home was at {before.home} when the baseline was recorded, and is at {facts.home}",
    remedy=NO_ACTION,
)
MOVED_DATA = RULES.reworded(
    MOVED_HOME, message="the data was at {before.place.path}, and is at {facts.place.path}", remedy=NO_ACTION
)
INCOMPARABLE = RULES.declare(
    "incomparable",
    WARN,
    means="the baseline cannot be compared with, because it was made with another hash function or has no valid "
    "digest; the result is an error",
    message="the table {change.table} cannot be compared with the baseline: {change.reason}",
    remedy="Run this with the release of DuckDB that recorded the baseline; the name of the hash function in a "
    "baseline changes with it. Where the home of before still exists, record it again with this one.",
)
NOT_COMPARED = RULES.declare(
    "not-compared",
    WARN,
    means="a table could not be read for the comparison, or not in time; the result is an error",
    message="the table {change.table} could not be compared with the baseline: {change.reason}",
    remedy="Remove what is in the way; allow more time with --mdm-timeout, if that is what it takes.",
)
AS_PLANNED = RULES.declare(
    "as-planned",
    NOTE,
    means="a change that the file of expectations has",
    message="as planned, {message}",
    remedy=NO_ACTION,
)
RENAMED_AS_PLANNED = RULES.reworded(
    AS_PLANNED, message="as planned, in the table {change.table} {renamed}", remedy=NO_ACTION
)
VALUES_AS_PLANNED = RULES.reworded(
    AS_PLANNED,
    message="as planned, in the table {change.table} the values of {columns} were not compared{others}",
    remedy=NO_ACTION,
)
UNPLANNED_CHANGE = RULES.declare(
    "unplanned-change",
    FAIL,
    means="a harmless change that the file of expectations does not have",
    message="{message}, which is not planned",
    remedy="Find out what did it. If it was intended, write it into the file of expectations (--mdm-expect).",
)
NOT_DONE = RULES.declare(
    "not-done",
    FAIL,
    means="a change that the file of expectations has, and that did not happen",
    message="{message}, although it is planned",
    remedy="Find out why the migration did not do it, or take it out of the file of expectations.",
)
