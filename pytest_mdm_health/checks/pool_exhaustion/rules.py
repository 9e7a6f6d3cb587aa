"""The conditions of pool-exhaustion, from the settings to the servers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_mdm_health.checks._shared.log_excerpt import show_record
from pytest_mdm_health.checks._shared.postgres import commands
from pytest_mdm_health.checks._shared.postgres.next_step import next_step
from pytest_mdm_health.checks.pool_exhaustion.facts import IdleSession, PoolFacts, ServerUse
from pytest_mdm_health.checks.pool_exhaustion.findings import (
    END_OWN_SESSIONS,
    END_SESSIONS,
    EXCEEDS_SERVER,
    FEWER_OPERATIONS,
    IGNORED_SETTING,
    LEAKED_CONNECTION,
    LEAKED_TRANSACTION,
    LOGGED_EXHAUSTION,
    NOTE,
    POOL_TOO_SMALL,
    PROBE_FAILED,
    PROBE_REFUSED,
    SERVER_FULL,
    SERVER_NEARLY_FULL,
    SERVER_REFUSES,
    WARN,
)
from pytest_mdm_health.core.findings import remedy_of
from pytest_mdm_health.core.model import JSON, Finding, Remedy
from pytest_mdm_health.core.text import counted, duration

NEARLY_FULL = 0.8
IDLE_SHARE = 0.5
"""The part of a server's connections from which on idle ones are more than untidy."""

NEVER_RECYCLED_S = 3600
"""How long a connection may be idle where the pool never replaces one."""

SHOWN = 5
ENDED = 20
"""How many sessions are ended at once; the rest is reported the next time."""

UNKNOWN_PROGRAM = "an unknown program"


def check_settings(facts: PoolFacts) -> Iterator[Finding]:
    """The pool as it is configured against what one process does at the same time."""
    pool = facts.pool
    if facts.operations > pool.most:
        yield POOL_TOO_SMALL(
            operations=facts.operations,
            operations_from=facts.operations_from,
            operations_key=facts.operations_key,
            size=pool.size,
            overflow=pool.overflow,
            size_from=pool.origin,
            size_key=f"database.{'postgresql' if facts.backend == 'postgresql' else 'sqlalchemy'}.pool_size",
            most=pool.most,
            remedy=FEWER_OPERATIONS if facts.fixed else POOL_TOO_SMALL.remedy,
        )
    for setting in facts.ignored:
        yield IGNORED_SETTING(
            at=setting.at,
            subject=setting.name,
            name=setting.name,
            key=setting.key,
            size=pool.size,
            overflow=pool.overflow,
        )


def check_probe(facts: PoolFacts) -> Iterator[Finding]:
    """The pool as it could be filled."""
    probe = facts.probe
    if probe is None or probe.held:
        return
    limit = f"; a process may have {counted(facts.open_files, 'file')} open" if facts.open_files else ""
    yield PROBE_FAILED(
        evidence={"opened": probe.opened, "wanted": probe.wanted},
        opened=probe.opened,
        connections=counted(probe.wanted, "connection"),
        reason=probe.reason,
        limit=limit,
        files=max(4 * facts.pool.most, 2 * (facts.open_files or 0)),
    )


def check_log(facts: PoolFacts) -> Iterator[Finding]:
    """Whether connections ran out before."""
    logged = facts.logged
    if logged is None:
        return
    yield LOGGED_EXHAUSTION(
        WARN if logged.open and facts.logged_recently else NOTE,
        at=logged.at,
        count=logged.count,
        last=logged.last or "an unknown time",
        outcome="" if logged.open else "; a later operation succeeded",
        show_record=show_record(logged.at),
    )


def check_server(facts: PoolFacts, use: ServerUse) -> Iterator[Finding]:
    """What a server can give against what is requested of it."""
    fewer = _fewer_connections(facts, use)
    if use.problem == "full":  # the failure is postgres-slowdown's, which keeps others from failing for it too
        step = next_step(use, use.problem, use.reason, None)
        text = SERVER_REFUSES.remedy.fill({"next_step": step.text, "fewer": fewer})
        remedy = replace(text, commands=step.commands)
        yield SERVER_REFUSES(subject=use.server, server=use.server, reason=use.reason, remedy=remedy)
    if use.problem or not use.usable:
        return
    yield from _check_usage(facts, use, fewer)
    yield from _check_leaks(facts, use)
    probe = use.probe
    if probe is not None and not probe.held:
        yield PROBE_REFUSED(
            subject=use.server,
            server=use.server,
            opened=probe.opened,
            connections=counted(probe.wanted, "connection"),
            reason=probe.reason,
            fewer=fewer,
            show_sessions=commands.psql(use, commands.SESSIONS),
        )


def _check_usage(facts: PoolFacts, use: ServerUse, fewer: str) -> Iterator[Finding]:
    """The connections that are in use, and those that MDM may open."""
    show_sessions = commands.psql(use, commands.SESSIONS)
    evidence: dict[str, JSON] = {"in_use": use.in_use, "usable": use.usable, "sessions": _by_program(use)}
    if use.in_use >= NEARLY_FULL * use.usable:
        rule = SERVER_FULL if use.in_use >= use.usable else SERVER_NEARLY_FULL
        yield rule(
            subject=use.server,
            evidence=evidence,
            server=use.server,
            in_use=use.in_use,
            connections=counted(use.usable, "connection"),
            limited_by=use.limited_by,
            programs=_largest_programs(use),
            fewer=fewer,
            show_sessions=show_sessions,
        )
    processes = max(1, facts.processes)
    wanted = use.most * processes
    if wanted > use.usable:
        yield EXCEEDS_SERVER(
            subject=use.server,
            evidence=evidence,
            processes=counted(processes, "MDM process", "MDM processes"),
            connections=counted(use.most, "connection"),
            wanted=wanted,
            server=use.server,
            usable=use.usable,
            limited_by=use.limited_by,
            fewer=fewer,
            show_sessions=show_sessions,
        )


def _check_leaks(facts: PoolFacts, use: ServerUse) -> Iterator[Finding]:
    """Sessions of MDM that have been idle for too long, in a transaction or not."""
    pool = facts.pool
    recycle_s = pool.recycle_s if pool.recycle_s >= 0 else NEVER_RECYCLED_S
    open_ones = [session for session in use.idle if session.in_transaction and session.seconds > pool.timeout_s]
    forgotten = [session for session in use.idle if not session.in_transaction and session.seconds > recycle_s]
    if open_ones:
        blocking = all(session.blocks_others for session in open_ones)  # postgres-slowdown warns of what waits for them
        yield LEAKED_TRANSACTION(
            NOTE if blocking else WARN,
            subject=use.server,
            sessions=counted(len(open_ones), "session is", "sessions are"),
            server=use.server,
            described=_described(open_ones),
            blocking="; other sessions wait for them, see postgres-slowdown" if blocking else "",
            remedy=_end(use, open_ones),
        )
    if forgotten:
        yield LEAKED_CONNECTION(
            WARN if len(forgotten) >= IDLE_SHARE * use.usable else NOTE,
            subject=use.server,
            sessions=counted(len(forgotten), "session is", "sessions are"),
            server=use.server,
            described=_described(forgotten),
            remedy=_end(use, forgotten),
        )


def _fewer_connections(facts: PoolFacts, use: ServerUse) -> str:
    """How MDM needs fewer connections, as a part of a sentence."""
    if facts.fixed:
        return "run fewer MDM processes at once"
    settings = "set `database.postgresql.pool_size` and `database.sqlalchemy.max_overflow` in mdm.yaml so that they"
    if not use.usable:
        return f"{settings} add up to less"
    return f"{settings} add up to {max(1, use.usable // max(1, facts.processes))} at most"


def _end(use: ServerUse, sessions: Sequence[IdleSession]) -> Remedy:
    """Look at sessions, and end those that are MDM's own and hold nothing."""
    show = commands.look_at_sessions(use, {session.pid: session.user for session in sessions})
    ending = [
        repair
        for session in sessions
        for repair in commands.end_session(
            use.place,
            use.login,
            session.pid,
            session.began,
            application=session.application,
            state="idle",
            user=session.user,
            wrote=session.wrote,
        )
    ]
    steps = END_OWN_SESSIONS if ending else END_SESSIONS
    return remedy_of(steps.text, [*show, *ending[:ENDED]])


def _by_program(use: ServerUse) -> list[JSON]:
    return [
        {"application": group.application, "user": group.user, "state": group.state, "count": group.count}
        for group in use.sessions
    ]


def _largest_programs(use: ServerUse) -> str:
    shown = []
    for group in use.sessions[:SHOWN]:
        state = f" ({group.state})" if group.state else ""
        shown.append(f"{group.count} by {group.application or group.user or UNKNOWN_PROGRAM}{state}")
    return ", ".join(shown)


def _described(sessions: Sequence[IdleSession]) -> str:
    shown = []
    for session in sessions[:SHOWN]:
        program = session.application or session.user or UNKNOWN_PROGRAM
        client = f" from {session.client}" if session.client else ""
        last = f" after {session.last}" if session.last else ""
        shown.append(f"process {session.pid} of {program}{client} for {duration(session.seconds)}{last}")
    if len(sessions) > SHOWN:
        shown.append(f"and {len(sessions) - SHOWN} more")
    return "; ".join(shown)
