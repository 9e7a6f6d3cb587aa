"""A PostgreSQL server is slow, neglected, or cannot be reached at all.

Symptoms
--------
Queries that take longer than before a migration; a server with high load or memory; connections that take seconds to
establish; `TimeoutError: Operation timed out`; statements that wait and never end.

Causes
------
Tables whose statistics are missing or old, because data was loaded and never analysed. No index for what is searched.
A transaction that was left open and holds its locks. Memory settings as the server was delivered. A server that is
away, full, or refuses the user that a registration names. And what accumulates: dead rows, indexes that were never
finished, databases of datasets that are long gone.

Diagnosis
---------
Look at `pg_stat_statements` for statements whose mean time is above a second, or above that in the baseline, which
stores the 200 that took most time (where the server says that it counted on, only the runs after the baseline are
compared); at `pg_stat_activity` for sessions by state, at `pg_locks` for locks that are waited for, at
`pg_stat_user_tables` for statistics, dead rows and sequential scans, at `pg_stat_database` for cache hits and
checksums, and at the age of the oldest transaction. Everything is judged by the size of tables and by how long the
server has counted: a server that has just been started is healthy. The examination is a session of its own, called
`mdm-health`, that cannot write and waits for nothing longer than seconds. What the home's role may not see is
reported, with the GRANT that shows it.

Solutions
---------
`ANALYZE`, `VACUUM`, an index on the column that statements filter by; `work_mem`, `effective_cache_size` and
`shared_buffers` to fit the machine; ending a session that blocks others; a pooler such as pgbouncer. The guide's
`analyze_query_performance.py` is part of no released MDM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks._shared.postgres.commands import ADMINISTRATOR, end_session
from pytest_mdm_health.checks._shared.postgres.next_step import next_step
from pytest_mdm_health.checks.postgres_slowdown.baseline import SlowerStatement, slower_statements
from pytest_mdm_health.checks.postgres_slowdown.collect import SLOW_CONNECTION_S, collect
from pytest_mdm_health.checks.postgres_slowdown.facts import BlockedSession, Hit, PostgresFacts
from pytest_mdm_health.checks.postgres_slowdown.findings import (
    BLOCKED_SESSION,
    CHECK,
    CLOSED_DATABASE,
    END_BLOCKER,
    FAIL,
    FREE_CONNECTION,
    GRANTED_BY_US,
    LIFT_LIMIT,
    LOGIN_REFUSED,
    NO_PRIVILEGE,
    NOTE,
    OPEN_DATABASE,
    RESTORE_DATABASE,
    RULES,
    SLOW_CONNECTION,
    SLOW_STATEMENT,
    SLOWER_STATEMENTS,
    UNREACHABLE,
    UNREACHABLE_DEFAULT,
    WARN,
)
from pytest_mdm_health.checks.postgres_slowdown.rules import QUERIES
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Server

__all__ = ["CHECK", "RULES", "judge", "observe"]

SHARE_OF_TIME = 0.5
"""How much of a check's time examining databases may take; the rest is left for the last of them."""

WAITS_S, HANGS_S = 1.0, 60.0
REPEATED = 3
"""Runs of a statement from which on its mean time is no accident."""

EVIDENCE = 10
"""How many slower statements of one database are listed."""


def observe(mdm_server: Server, mdm_inventory: Inventory, mdm_options: Options) -> PostgresFacts:
    """Connect to the server, then to each of its datasets' databases, one at a time."""
    return collect(mdm_server, mdm_inventory, mdm_options.timeout * SHARE_OF_TIME)


def judge(facts: PostgresFacts, before: PostgresFacts | None) -> Iterator[Finding]:
    """From the connection to what has accumulated."""
    yield from _connection(facts)
    yield from _closed_databases(facts)
    if facts.state is not None and facts.state.connect_s > SLOW_CONNECTION_S:
        yield SLOW_CONNECTION(seconds=facts.state.connect_s, evidence={"seconds": facts.state.connect_s})
    for session in facts.blocked_sessions:
        if session.waits_s >= WAITS_S:
            yield _blocked_session(facts, session)
    yield from _statements(facts, before)
    for hit in facts.hits:
        yield _hit(facts, hit)


def _hit(facts: PostgresFacts, hit: Hit) -> Finding:
    rule, values = QUERIES[hit.query].rule, hit.values
    return rule(
        hit.severity,
        subject=hit.subject,
        evidence=hit.evidence,
        remedy=GRANTED_BY_US if rule is NO_PRIVILEGE and values["owner"] in facts.logins else None,
        server=facts,
        place=facts.place_of(values.get("database", "")),
        **values,
    )


def _connection(facts: PostgresFacts) -> Iterator[Finding]:
    """Whether the server can be reached, and as whom."""
    evidence = {"why": facts.problem}
    if facts.problem and facts.assumed:
        yield UNREACHABLE_DEFAULT(name=facts.server, reason=facts.reason, assumed=facts.assumed, evidence=evidence)
        return
    if facts.problem:
        remedy = next_step(facts, facts.problem, facts.reason, facts.attempt)
        yield UNREACHABLE(name=facts.server, reason=facts.reason, remedy=remedy, evidence=evidence)
        return
    for login in facts.refused:
        affected = f", so {', '.join(login.datasets)} cannot be used" if login.datasets else " of the settings"
        yield LOGIN_REFUSED(
            subject=" ".join((login.user, *login.datasets)),
            user=login.user or "without a user",
            affected=affected,
            reason=login.reason,
            remedy=next_step(facts, "refused", login.reason, login.attempt),
            evidence={"datasets": list(login.datasets)},
        )


CLOSED_BECAUSE = {
    "invalid": ("it is invalid (datconnlimit is -2), because its removal was interrupted", RESTORE_DATABASE),
    "closed": ("it is closed (datallowconn is false)", OPEN_DATABASE),
    "limited": ("its limit of connections is 0 (datconnlimit)", LIFT_LIMIT),
    "full": ("as many connections as its limit allows are in use", FREE_CONNECTION),
}
"""Why a database accepts no connections and what to do, by its state."""


def _closed_databases(facts: PostgresFacts) -> Iterator[Finding]:
    for closed in facts.closed:
        reason, remedy = CLOSED_BECAUSE[closed.state]
        yield CLOSED_DATABASE(
            subject=closed.database,
            evidence={"datasets": list(closed.datasets), "limit": closed.limit},
            remedy=remedy,
            database=closed.database,
            datasets=", ".join(closed.datasets),
            reason=reason,
            server=facts,
        )


def _blocked_session(facts: PostgresFacts, session: BlockedSession) -> Finding:
    application = f" ({session.blocker_application})" if session.blocker_application else ""
    state = f", which is {session.blocker_state}" if session.blocker_state else ""
    statement = f": {session.statement}" if session.statement else ""
    ending = end_session(
        facts.place,
        facts.login,
        session.blocked_by[0],
        session.blocker_began,
        application=session.blocker_application,
        state=session.blocker_state,
        user=session.blocker_user,
        wrote=session.blocker_wrote,
    )
    behind = f" behind {session.blocker_statement}" if session.blocker_statement else ""
    return BLOCKED_SESSION(
        FAIL if session.waits_s >= HANGS_S else WARN,
        subject=str(session.pid),
        pid=session.pid,
        seconds=session.waits_s,
        blocker=session.blocked_by[0],
        blocker_details=application + state,
        statements=statement + behind,
        looks_as=facts.login if session.blocker_user == facts.login else ADMINISTRATOR,
        place=facts.place,
        began=session.blocker_began,
        remedy=END_BLOCKER if ending else None,
        evidence={"pid": session.pid, "blocked_by": list(session.blocked_by), "seconds": session.waits_s},
        server=facts,
    )


def _statements(facts: PostgresFacts, before: PostgresFacts | None) -> Iterator[Finding]:
    """What became slower since the baseline, then what takes long anyway."""
    slower = slower_statements(facts, before)
    reported = set()
    for database, statements in slower.items():
        reported |= {(database, shown(statement.text)) for statement in statements}
        yield _slower_statements(facts, database, statements)
    for slow in facts.statements:
        if (slow.database, slow.text) in reported:
            continue
        yield SLOW_STATEMENT(
            WARN if slow.calls >= REPEATED else NOTE,
            subject=f"{slow.database} {slow.text}",
            database=slow.database,
            seconds=slow.mean_ms / 1000,
            runs=counted(slow.calls, "run"),
            text=slow.text,
            evidence={"mean_ms": slow.mean_ms, "calls": slow.calls},
            place=facts.place_of(slow.database),
        )


def _slower_statements(facts: PostgresFacts, database: str, statements: Sequence[SlowerStatement]) -> Finding:
    worst, others = statements[0], len(statements) - 1
    return SLOWER_STATEMENTS(
        subject=database,
        database=database,
        before_ms=worst.before_ms,
        after_ms=worst.after_ms,
        factor=worst.after_ms / worst.before_ms,
        runs=counted(worst.calls, "run"),
        text=shown(worst.text),
        others=f"; {counted(others, 'more statement')} became slower" if others else "",
        evidence={
            shown(statement.text): [round(statement.before_ms, 1), round(statement.after_ms, 1), statement.calls]
            for statement in statements[:EVIDENCE]
        },
        server=facts,
        place=facts.place_of(database),
    )
