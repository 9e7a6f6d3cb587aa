"""The findings of postgres-slowdown. The value `server` is an address, which commands need."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.postgres.commands import (
    ADMINISTRATOR,
    SESSION_COLUMNS,
    SESSIONS,
    TO_END_A_SESSION,
    TO_END_AN_IDLE_ONE,
    psql_template,
)
from pytest_mdm_health.checks._shared.postgres.remedies import CORRECT_THE_LOGIN
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="postgres-slowdown",
    issue="3.3",
    title="Slow, neglected or unreachable PostgreSQL server",
    per=Kind.SERVER,
    tags=("postgresql", "storage", "performance"),
)
RULES = Rules(CHECK)

IN_DATABASE = psql_template(database="{database!q}")
"""Run the value `statement` in the value `database`."""

ANALYZE = Call("analyze", "{place}", (), (("database", "{database}"),))
_UPKEEP = (
    "Let the server catch up now; this changes no value. While autovacuum is off, for the server or for this "
    "table, it does not do so by itself."
)
ANALYZE_TABLE = Steps(_UPKEEP, (Call("analyze", "{place}", ("{sql_name}",)),))
VACUUM_TABLE = Steps(_UPKEEP, (Call("vacuum", "{place}", ("{sql_name}",)),))
SLOW = "slow connection establishment"
SLOWER = "queries slower than before migration"
HIGH_LOAD = "high CPU or memory on database server"

UNREACHABLE = RULES.declare(
    "unreachable",
    FAIL,
    means=(
        "the server does not answer, is starting up, is full, accepts no login of this home, or closed the connection; "
        "a warning where no dataset is on it and nothing names it, so that it is MDM's default for new ones"
    ),
    message="{name} {reason}",
    remedy=CORRECT_THE_LOGIN,
    answers=(SLOW,),
)
UNREACHABLE_DEFAULT = RULES.reworded(
    UNREACHABLE,
    WARN,
    message=(
        "{name} {reason}; no dataset is on it, but new ones would be: PostgreSQL is the default backend ({assumed}) "
        "and no server is set, so MDM uses its own default"
    ),
    remedy="Set `database.postgresql` in mdm.yaml to the server for new datasets, or choose another backend.",
)
LOGIN_REFUSED = RULES.declare(
    "login-refused",
    FAIL,
    means="the server accepts one of the home's users and refuses another",
    message="the server refuses the login {user}{affected}: {reason}",
    remedy=CORRECT_THE_LOGIN,
)
_DATABASE_STATES = (
    psql_template("SELECT datname, datallowconn, datconnlimit FROM pg_database ORDER BY datname", user=ADMINISTRATOR),
)
RESTORE_DATABASE = Steps(
    "Nothing can be read from it any more, and nothing opens it again. Look for a backup of it first, and look into "
    "that; then an administrator drops the invalid database and restores it from there. The other databases of the "
    "server are not concerned.",
    _DATABASE_STATES,
)
OPEN_DATABASE = Steps(
    "Ask the administrator why it is closed, as for a migration or a restore, and to open it again when the reason is "
    "gone (ALTER DATABASE ... ALLOW_CONNECTIONS true). The other databases of the server are not concerned.",
    _DATABASE_STATES,
)
LIFT_LIMIT = Steps(
    "Ask the administrator why it is limited, and to lift the limit when the reason is gone (ALTER DATABASE ... "
    "CONNECTION LIMIT), after a note of the former one. The other databases of the server are not concerned.",
    _DATABASE_STATES,
)
FREE_CONNECTION = Steps(
    "Stop programs that hold its sessions and are not needed, or let an administrator raise the limit (ALTER DATABASE "
    "... CONNECTION LIMIT), after a note of the former one. The other databases of the server are not concerned.",
    (psql_template(SESSIONS, user=ADMINISTRATOR),),
)
CLOSED_DATABASE = RULES.declare(
    "closed-database",
    FAIL,
    means="one database accepts no connections, because it is invalid, closed or at its own limit of "
    "connections; the server's others are not concerned",
    message="the database {database} accepts no connections, so {datasets} cannot be used: {reason}",
    remedy=OPEN_DATABASE,
)
SLOW_CONNECTION = RULES.declare(
    "slow-connection",
    WARN,
    means="connecting takes more than a second",
    message="opening a connection takes {seconds:.1f} s",
    remedy="Check name resolution and the server's load; a pooler such as pgbouncer keeps connections open.",
    answers=(SLOW,),
)
_LET_FINISH = "Let process {blocker} finish, or let its program end its transaction."
_LOOK_AT_BLOCKER = (
    psql_template(
        f"SELECT {SESSION_COLUMNS} FROM pg_stat_activity WHERE pid IN ({{blocker}})",  # noqa: S608 - a number
        user="{looks_as!q}",
    ),
)
BLOCKED_SESSION = RULES.declare(
    "blocked-session",
    FAIL,
    WARN,
    means="a session waits for a lock that another one holds; a failure after a minute",
    message="process {pid} has waited {seconds:.0f} s for process {blocker}{blocker_details}{statements}",
    remedy=f"{_LET_FINISH} {TO_END_A_SESSION}",
    commands=_LOOK_AT_BLOCKER,
    answers=("hanging queries",),
)
END_BLOCKER = Steps(
    f"{_LET_FINISH} {TO_END_AN_IDLE_ONE}",
    (*_LOOK_AT_BLOCKER, Call("end-session", "{place}", ("{blocker}", "{began}"), (("as", "{server.login}"),))),
)
SLOWER_STATEMENTS = RULES.declare(
    "slower-statements",
    WARN,
    means=(
        "statements take at least twice as long on average as in the baseline, and at least 50 ms more, with at least "
        "10 runs on both sides"
    ),
    message=(
        "a statement in {database} takes {after_ms:.0f} ms on average ({runs}), {factor:.0f} times the {before_ms:.0f} "
        "ms in the baseline: {text}{others}"
    ),
    remedy=(
        "Compare its plan with EXPLAIN (ANALYZE, BUFFERS), and the indexes with those on the former server. A database "
        "that was restored or loaded again has no planner statistics until they are computed, and no indexes unless "
        "they were created again."
    ),
    commands=(
        ANALYZE,
        psql_template(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1, 2",
            database="{database!q}",
        ),
    ),
    change=("statement", Change.WORSE),
    answers=(SLOWER,),
)
SLOW_STATEMENT = RULES.declare(
    "slow-statement",
    WARN,
    NOTE,
    means="a recorded statement takes more than a second on average; a note if it ran only once or twice",
    message="a statement in {database} takes {seconds:.1f} s on average ({runs}): {text}",
    remedy="See its plan with EXPLAIN (ANALYZE, BUFFERS); statistics, an index or more work_mem may help.",
    commands=(ANALYZE,),
    answers=(SLOWER,),
)
NEVER_ANALYSED = RULES.declare(
    "never-analysed",
    WARN,
    NOTE,
    means="a large table has no planner statistics; a note while the server is about to compute them",
    message="{database}.{table} ({size:size}) has no planner statistics",
    remedy=ANALYZE_TABLE,
)
STALE_STATISTICS = RULES.declare(
    "stale-statistics",
    WARN,
    NOTE,
    means=(
        "most rows of a table changed since its statistics were computed; a note while the server is about to compute "
        "them"
    ),
    message="{changed} rows of {database}.{table} changed since its statistics were computed; it has {rows:rows}",
    remedy=ANALYZE_TABLE,
)
DEAD_ROWS = RULES.declare(
    "dead-rows",
    WARN,
    NOTE,
    means="deleted rows make up much of a table; a note while the server is about to clean up",
    message="{dead} dead rows take up space in {database}.{table}, which has {rows:rows}",
    remedy=VACUUM_TABLE,
    answers=(HIGH_LOAD,),
)
SEQUENTIAL_SCAN = RULES.declare(
    "sequential-scan",
    WARN,
    means="a large table is read from end to end again and again for certain values of a column",
    message=(
        "{table} ({size:size}) was read from end to end {scans:times}, and statements filtered it by {column!r} "
        "{filtered:times}"
    ),
    remedy=(
        "Try an index on it (CREATE INDEX CONCURRENTLY ON {sql_name} ({sql_column})), if no existing index begins with "
        "this column and there is room on the disk. An index takes time at every write."
    ),
    commands=(IN_DATABASE,),
    answers=(SLOWER,),
)
INVALID_INDEX = RULES.declare(
    "invalid-index",
    WARN,
    means="building an index was interrupted; it costs time and is never used",
    message="the index {index} on {database}.{table} is incomplete and never used",
    remedy="Rebuild it; this changes no value, and takes time and room on the disk. Or drop it if nothing needs it.",
    commands=(Call("reindex", "{place}", ("{sql_name}",)),),
)
LEFT_OVER_INDEX = RULES.reworded(
    INVALID_INDEX,
    message="the index {index} on {database}.{table} is left over from a REINDEX that broke off; the table has the "
    "index that it was to replace",
    remedy="Let the table's owner drop it (DROP INDEX CONCURRENTLY); it costs time and is never used.",
    commands=(IN_DATABASE,),
)
INVALID_UNIQUE_INDEX = RULES.reworded(
    INVALID_INDEX,
    message="the unique index {index} on {database}.{table} is incomplete and does not enforce uniqueness",
    remedy=(
        "Look for rows with duplicate values, and find out which of them are right before any is removed; a repeated "
        "registration makes such rows. Then rebuild the index (REINDEX INDEX CONCURRENTLY), or drop it if nothing "
        "needs it."
    ),
    commands=(IN_DATABASE,),
)
PREPARED_TRANSACTION = RULES.declare(
    "prepared-transaction",
    WARN,
    means="a prepared transaction was never ended; it holds its locks and keeps dead rows from being removed",
    message="the prepared transaction {name} in {database} was left {seconds:duration} ago by {owner}; it holds its "
    "locks, through restarts too, and keeps dead rows from being removed",
    remedy="Ask who runs the program that prepared it: COMMIT PREPARED keeps its changes, and ROLLBACK PREPARED "
    "discards them. Nothing here can tell which of the two is right.",
    commands=(IN_DATABASE,),
    answers=(SLOWER,),
)
READ_ONLY = RULES.declare(
    "read-only",
    WARN,
    means="MDM can only read: sessions are read-only by a setting of the database or the role, or the server is a "
    "standby",
    message="MDM cannot write to {database}: {reason}",
    remedy="If that is intended for the time of a migration, wait until it is over. Otherwise let an administrator "
    "remove the setting, or register datasets on the primary server.",
    commands=(psql_template(),),
)
COLLATION_VERSION = RULES.declare(
    "collation-version",
    WARN,
    means="the operating system sorts text in another way than when indexes were built, so that they may miss rows",
    message="{name} in {database} was built with version {recorded} of its collation, and the system has {actual}: "
    "indexes on text may miss rows, and unique ones may accept duplicates",
    remedy="Let an administrator rebuild the indexes that depend on it (REINDEX), and only then record the new version "
    "({refresh}). The other way round, the warning ends and the indexes stay wrong.",
    commands=(IN_DATABASE,),
)
UNLOGGED_TABLE = RULES.declare(
    "unlogged-table",
    WARN,
    means="a table is UNLOGGED: a crash of the server empties it",
    message="{database}.{table} is UNLOGGED: a crash of the server empties it, and physical backups and standbys lack "
    "its rows",
    remedy="Let its owner make it a logged one (ALTER TABLE ... SET LOGGED), which changes no value, and writes the "
    "table once more while it is locked.",
    commands=(IN_DATABASE,),
)
SEQUENCE_BEHIND = RULES.declare(
    "sequence-behind",
    WARN,
    means="a sequence is behind the column that it numbers, as after a copy of the rows alone",
    message="the sequence of {database}.{table}.{column} is at {last}, and the column has values up to {highest}: "
    "the next rows get numbers that exist",
    remedy="Let the table's owner set the sequence to the highest number of the column (setval) while nothing writes "
    "to it.",
    commands=(IN_DATABASE,),
)
HIDDEN_ROWS = RULES.declare(
    "hidden-rows",
    FAIL,
    means="row-level security hides rows from the role that MDM uses; nothing is missing or empty because of it",
    message="row-level security is active on {database}.{table} for {role}: rows that its policies do not show look "
    "as if they were missing",
    remedy="Let the table's owner give the role a policy that shows all rows, or BYPASSRLS, or use another role in the "
    "registration. Do not register the dataset again: its rows are there.",
    commands=(IN_DATABASE,),
)
NO_PRIVILEGE = RULES.declare(
    "no-privilege",
    FAIL,
    means="the role that MDM uses may not read a table",
    message="{role} may not read {database}.{table}, which belongs to {owner}",
    remedy="Let {owner} or an administrator grant the right: {grant}. Do not register the dataset again: its rows are "
    "there.",
    commands=(IN_DATABASE,),
)
GRANTED_BY_US = Steps(
    "The home has the login of {owner}, who may grant the right: {grant}. Do not register the dataset again: its rows "
    "are there.",
    (Call("grant", "{place}", ("{sql_name}", "{role}"), (("as", "{owner}"),)),),
)
MEMORY_SETTINGS = RULES.declare(
    "memory-settings",
    NOTE,
    means="a memory setting does not fit the machine or the data",
    message=("{setting} is {size:size}{per}; the machine has {ram:size} of memory, and the databases take {data:size}"),
    remedy=(
        "Let an administrator set {setting} to something like {better} (ALTER SYSTEM, or in postgresql.conf), after a "
        "note of what it was, and {effective_after}."
    ),
    commands=(psql_template(),),
    answers=(HIGH_LOAD,),
)
CACHE_MISSES = RULES.declare(
    "cache-misses",
    WARN,
    NOTE,
    means=(
        "much of what was read was not in the server's cache; a note if the data is too large for the machine, or the "
        "machine is not this one"
    ),
    message="{percent} % of what was read in {database} ({size:size}) was not in the server's cache of "
    "{cache:size}{would_fit}",
    remedy="Raise shared_buffers to a quarter of the machine's memory and restart the server.",
    answers=(HIGH_LOAD,),
)
CHECKSUM_FAILURE = RULES.declare(
    "checksum-failure",
    FAIL,
    means="pages did not match their checksum; data on the disk is damaged",
    message="pages in {database} did not match their checksum {failures:times}",
    remedy=(
        "Stop what writes to the database. Let an administrator copy the server's data folder while the server is "
        "stopped, and test the disk and the memory; then restore the database from a backup beside the damaged one and "
        "compare what can still be read of both. Overwrite no older backup with a damaged one."
    ),
    commands=(psql_template("SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database"),),
    answers=("checksum failures",),
)
WRAPAROUND = RULES.declare(
    "wraparound",
    FAIL,
    WARN,
    means="the oldest transaction is so old that the server will stop accepting writes; a warning before",
    message=(
        "{database} has not been frozen for {millions} million transactions; at 2147 million the server refuses to "
        "write"
    ),
    remedy="Freeze it as an administrator, which changes no value; then find out why autovacuum did not. The password "
    "is that of the environment (PGPASSWORD or ~/.pgpass).",
    commands=(Call("vacuum", "{place}", (), (("database", "{database}"), ("as", ADMINISTRATOR))),),
)
UNREGISTERED_DATABASE = RULES.declare(
    "unregistered-database",
    NOTE,
    means="a database is named as MDM names those of datasets, and no registration refers to it",
    message="no registration of this home refers to the database {database} ({size:size})",
    remedy=(
        "MDM never drops the database of a dataset that is removed or whose registration failed. It may also belong to "
        "another home, or be the only copy of a dataset whose registration was lost: look at what is in it. No action "
        "is required; it only takes up space."
    ),
    commands=(
        psql_template(
            "SELECT schemaname, relname, n_live_tup, last_analyze FROM pg_stat_user_tables ORDER BY 1, 2",
            database="{database!q}",
        ),
    ),
)
