"""What postgres-slowdown concludes from a server's facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import literal, quote
from pytest_mdm_health.checks._shared.postgres import commands as repairs
from pytest_mdm_health.checks._shared.postgres.facts import (
    Blocked,
    DatabaseState,
    InvalidIndex,
    PostgresFacts,
    ServerState,
    TableState,
)
from pytest_mdm_health.checks._shared.postgres.next_step import next_step
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted, times

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
SLOW_CONNECTION_S = 1.0
MIB = 1024 * 1024
WAITS_S, HANGS_S = 1.0, 60.0
LARGE_TABLE = 8 * MIB
MANY_ROWS = 10_000
STALE_SHARE, DEAD_SHARE = 0.5, 0.3
READ_OFTEN, OFTENER_THAN_BY_INDEX = 20, 4
SETTLED_S = 3600.0
"""Seconds of statistics after which the server's own upkeep has had its chance."""

BLOCKS_WORTH_JUDGING, GOOD_HITS = 100_000, 0.9
OLD, AT_ITS_END = 1_000_000_000, 1_900_000_000
"""Transactions of 2^31; the second leaves days or hours until the server stops accepting them."""


def of_entry(check: Check, facts: PostgresFacts) -> Iterator[Finding]:
    """Whether the server can be reached, and as whom."""
    if facts.problem and facts.assumed:
        message = (
            f"{facts.server} {facts.reason}; no dataset is there: new ones would be, since PostgreSQL is the default "
            f"backend ({facts.assumed}) and no server is set, so that MDM's own default counts"
        )
        remedy = Remedy("Set `database.postgresql` in mdm.yaml to the server for new datasets, or another backend.")
        yield check.finding("unreachable", WARN, message, remedy, evidence={"why": facts.problem})
        return
    if facts.problem:
        message = f"{facts.server} {facts.reason}"
        remedy = next_step(facts, facts.problem, facts.reason, facts.way)
        yield check.finding("unreachable", FAIL, message, remedy, evidence={"why": facts.problem})
        return
    for each in facts.refused:
        whose = f", so {_listed(each.datasets)} cannot be used" if each.datasets else " of the settings"
        message = f"the server refuses the login {each.user or 'without a user'}{whose}: {each.reason}"
        remedy = next_step(facts, "refused", each.reason, each.way)
        evidence: dict[str, JSON] = {"datasets": list(each.datasets)}
        subject = " ".join((each.user, *each.datasets))
        yield check.finding("login-refused", FAIL, message, remedy, evidence=evidence, subject=subject)


def of_server(check: Check, facts: PostgresFacts) -> Iterator[Finding]:
    """The way to it and its memory."""
    state = facts.state
    if state is None:
        return
    if state.connect_s > SLOW_CONNECTION_S:
        message = f"connecting takes {state.connect_s:.1f} s"
        text = "Look at name resolution and the server's load; a pooler such as pgbouncer keeps connections open."
        evidence = {"seconds": state.connect_s}
        yield check.finding("slow-connection", WARN, message, Remedy(text), evidence=evidence)
    for setting, message, value in _memory(state, sum(each.size or 0 for each in facts.databases)):
        text = f"Let an administrator set {setting} to something like {value} (ALTER SYSTEM, or in postgresql.conf), "
        text += "after a note of what it was, and "
        text += "restart the server." if setting == "shared_buffers" else "reload the server's settings."
        where = f"SELECT name, setting, unit, source, sourcefile FROM pg_settings WHERE name = '{setting}'"  # noqa: S608
        remedy = Remedy(text, (repairs.psql(facts, where),))
        yield check.finding("memory-settings", NOTE, message, remedy, subject=setting)


def of_sessions(check: Check, facts: PostgresFacts) -> Iterator[Finding]:
    """Who waits for whom."""
    for each in facts.blocked:
        if each.waits_s >= WAITS_S:
            yield _blocked(check, facts, each)


def of_tables(check: Check, facts: PostgresFacts) -> Iterator[Finding]:
    """Statistics, dead rows, and how tables are read."""
    for table in facts.tables:
        severity = WARN if _settled(facts, table) else NOTE
        if table.size >= LARGE_TABLE and not table.analysed:
            message = f"{table.full_name} ({_size(table.size)}) has no statistics, so plans for it are guesses"
            yield _upkeep(check, facts, table, "never-analysed", severity, message)
        elif table.changed >= MANY_ROWS and table.changed > STALE_SHARE * table.rows:
            message = f"{table.changed} rows of {table.full_name} changed since its statistics were computed"
            message += f"; it has {table.rows}"
            yield _upkeep(check, facts, table, "stale-statistics", severity, message)
        if table.dead >= MANY_ROWS and table.dead > DEAD_SHARE * (table.rows + table.dead):
            message = f"{table.dead} dead rows take up space in {table.full_name}, which has {table.rows}"
            yield _upkeep(check, facts, table, "dead-rows", severity, message)
        yield from _read_through(check, facts, table)
    for index in facts.invalid_indexes:
        what = "does not keep double values out" if index.unique else "is never used"
        message = f"the index {index.name} on {index.database}.{index.table} was not finished: it {what}"
        subject = f"{index.database} {index.name}"
        yield check.finding("invalid-index", WARN, message, _index_again(facts, index), subject=subject)


def of_databases(check: Check, facts: PostgresFacts) -> Iterator[Finding]:
    """What the server counts per database."""
    for database in facts.databases:
        if database.checksum_failures:
            message = (
                f"{counted(database.checksum_failures, 'read')} in {database.name} met a page with a wrong checksum"
            )
            text = (
                "Stop what writes to the database. Let an administrator copy the server's data folder while the server "
                "is stopped, and test the disk and the memory; then restore the database from a backup beside the "
                "damaged one and compare what can still be read of both. Overwrite no older backup with a damaged one."
            )
            counted_by = "SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database"
            remedy = Remedy(text, (repairs.psql(facts, counted_by),))
            yield check.finding("checksum-failure", FAIL, message, remedy, subject=database.name)
        if database.age >= OLD:
            severity = FAIL if database.age >= AT_ITS_END else WARN
            message = (
                f"{database.name} has not been frozen for {database.age / 1e6:.0f} million transactions; "
                "at 2147 million the server refuses to write"
            )
            text = "Freeze it as an administrator, which changes no value; then find out why autovacuum did not."
            remedy = Remedy(text, (repairs.psql(facts, "VACUUM (FREEZE)", database.name, admin=True),))
            yield check.finding("wraparound", severity, message, remedy, subject=database.name)
        yield from _cache(check, facts, database)
        if database.ours and not database.datasets:
            yield _unregistered(check, facts, database)


def _blocked(check: Check, facts: PostgresFacts, each: Blocked) -> Finding:
    severity = FAIL if each.waits_s >= HANGS_S else WARN
    by = each.by[0]
    state = f", which is {each.by_state}" if each.by_state else ""
    application = f" ({each.by_application})" if each.by_application else ""
    message = f"process {each.pid} has waited {each.waits_s:.0f} s for process {by}{application}{state}"
    message += f": {each.statement}" if each.statement else ""
    message += f" behind {each.by_what}" if each.by_what else ""
    text = f"Let process {by} finish, or let its program end its transaction. {repairs.TO_END_A_SESSION}"
    remedy = Remedy(text, repairs.look_at_sessions(facts, {by: each.by_user}))
    evidence: dict[str, JSON] = {"pid": each.pid, "blocked_by": list(each.by), "seconds": each.waits_s}
    return check.finding("blocked-session", severity, message, remedy, evidence=evidence, subject=str(each.pid))


def _upkeep(
    check: Check, facts: PostgresFacts, table: TableState, code: str, severity: Severity, message: str
) -> Finding:
    statement = f"VACUUM (ANALYZE) {table.sql_name}"
    if code != "dead-rows":
        statement = f"ANALYZE {table.sql_name}"
    off = facts.state is not None and not facts.state.autovacuum
    text = "Let the server do it now; this changes no value."
    text += " Autovacuum is off, so it does not by itself." if off or table.neglected else ""
    remedy = Remedy(text, (repairs.psql(facts, statement, table.database),))
    return check.finding(code, severity, message, remedy, subject=table.full_name)


def _index_again(facts: PostgresFacts, index: InvalidIndex) -> Remedy:
    if index.unique:
        text = (
            "Look for the rows whose values are there twice, and find out which of them are right before any is "
            "removed; a registration that was repeated makes such rows. Then let the index be made again (REINDEX "
            "INDEX CONCURRENTLY), or drop it if nothing needs it."
        )
        definition = f"SELECT pg_get_indexdef({literal(index.sql_name)}::regclass)"
        return Remedy(text, (repairs.psql(facts, definition, index.database),))
    text = "Make it again; this changes no value, and takes time and room on the disk. Or drop it if nothing needs it."
    return Remedy(text, (repairs.psql(facts, f"REINDEX INDEX CONCURRENTLY {index.sql_name}", index.database),))


def _read_through(check: Check, facts: PostgresFacts, table: TableState) -> Iterator[Finding]:
    often = max(READ_OFTEN, OFTENER_THAN_BY_INDEX * table.index_reads, _hours(facts))
    if table.size < LARGE_TABLE or min(table.full_reads, table.filtered) < often or not table.filters:
        return
    column = table.filters[0]
    message = f"{table.full_name} ({_size(table.size)}) was read from end to end {table.full_reads} times"
    message += f", and statements looked for certain values of {column!r} {times(table.filtered)}"
    text = (
        f"Try an index on it (CREATE INDEX CONCURRENTLY ON {table.sql_name} ({quote(column)})), if none of those that "
        "there are begins with it and there is room on the disk. An index takes time at every write."
    )
    there = f"SELECT indexdef FROM pg_indexes WHERE tablename = {literal(table.name.rpartition('.')[2])}"  # noqa: S608
    remedy = Remedy(text, (repairs.psql(facts, there, table.database),))
    evidence: dict[str, JSON] = {
        "full_reads": table.full_reads,
        "index_reads": table.index_reads,
        "columns": list(table.filters),
    }
    yield check.finding("sequential-scan", WARN, message, remedy, evidence=evidence, subject=table.full_name)


def _cache(check: Check, facts: PostgresFacts, database: DatabaseState) -> Iterator[Finding]:
    state, asked = facts.state, database.hits + database.reads
    if state is None or not database.ours or asked < BLOCKS_WORTH_JUDGING or database.hits >= GOOD_HITS * asked:
        return
    buffers = state.memory["shared_buffers"]
    if (database.size or 0) <= buffers:  # it fits: what was read was read to fill the cache
        return
    fits = state.ram is not None and (database.size or 0) * 4 < state.ram
    message = f"{database.reads / asked:.0%} of what {database.name} needed was not in the server's cache"
    message += f" of {_size(buffers)}"
    message += f", though all of its {_size(database.size or 0)} would fit into memory" if fits else ""
    remedy = Remedy("Raise shared_buffers to a quarter of the machine's memory and restart the server.")
    evidence = {"hits": database.hits, "reads": database.reads}
    severity = WARN if fits else NOTE
    yield check.finding("cache-misses", severity, message, remedy, evidence=evidence, subject=database.name)


def _unregistered(check: Check, facts: PostgresFacts, database: DatabaseState) -> Finding:
    size = "" if database.size is None else f" ({_size(database.size)})"
    message = f"no registration of this home knows the database {database.name}{size}"
    text = (
        "MDM never drops the database of a dataset that is removed or whose registration failed. It may also belong to "
        "another home, or be the only copy of a dataset whose registration was lost: look at what is in it. Nothing "
        "has to be done about it; it takes room and nothing else."
    )
    tables = "SELECT schemaname, relname, n_live_tup, last_analyze FROM pg_stat_user_tables ORDER BY 1, 2"
    remedy = Remedy(text, (repairs.psql(facts, tables, database.name),))
    return check.finding("unregistered-database", NOTE, message, remedy, subject=database.name)


def _memory(state: ServerState, data: int) -> Iterator[tuple[str, str, str]]:
    """Each setting of memory that does not fit the machine: its name, what is wrong, and a value that would do."""
    ram = state.ram
    if ram is None:
        return
    buffers, cache, work = (state.memory[name] for name in ("shared_buffers", "effective_cache_size", "work_mem"))
    quarter, half = f"{ram // 4 // MIB}MB", f"{ram // 2 // MIB}MB"
    if buffers > ram // 2:
        yield "shared_buffers", f"shared_buffers is {_size(buffers)} of {_size(ram)} of memory", quarter
    elif buffers < ram // 16 and data > 8 * buffers:
        message = f"shared_buffers is {_size(buffers)}, for {_size(data)} of data and {_size(ram)} of memory"
        yield "shared_buffers", message, quarter
    if cache > ram:
        message = f"effective_cache_size is {_size(cache)}, and the machine has {_size(ram)}"
        yield "effective_cache_size", message, half
    if work * state.max_connections > ram:
        message = (
            f"{state.max_connections} connections with {_size(work)} of work_mem each exceed {_size(ram)} of memory"
        )
        yield "work_mem", message, f"{max(4, ram // 4 // state.max_connections // MIB)}MB"


def _settled(facts: PostgresFacts, table: TableState) -> bool:
    """Whether the server will not look after the table by itself: it may not, or had its time and did not."""
    state = facts.state
    return table.neglected or state is None or not state.autovacuum or state.watched_s > SETTLED_S


def _hours(facts: PostgresFacts) -> float:
    return facts.state.watched_s / 3600 if facts.state is not None else 0.0


def _size(size: int) -> str:
    for unit, limit in (("GiB", MIB * 1024), ("MiB", MIB), ("KiB", 1024)):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size} bytes"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)
