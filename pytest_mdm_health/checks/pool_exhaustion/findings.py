"""What pool-exhaustion concludes from the pool and from the servers. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_mdm_health.checks._shared.postgres import commands as repairs
from pytest_mdm_health.checks._shared.postgres.next_step import next_step
from pytest_mdm_health.checks.pool_exhaustion.facts import Idle, PoolFacts, ServerUse
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted, duration, times

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
NEARLY_FULL = 0.8
IDLE_SHARE = 0.5
"""The part of a server's connections from which on idle ones are more than untidy."""

NEVER_RECYCLED_S = 3600
_NAMED = 5


def of_settings(check: Check, facts: PoolFacts) -> Iterator[Finding]:
    """The pool as it is set against what one process does at the same time."""
    pool = facts.pool
    if facts.operations > pool.most:
        message = (
            f"{facts.operations} operations may run at the same time ({facts.operations_from}), and the pool has "
            f"{pool.size} + {pool.overflow} connections ({pool.origin})"
        )
        text = f"Set `{facts.operations_key}` in mdm.yaml to {pool.most}"
        text += "." if facts.fixed else f", or `{_size_key(facts)}` to {facts.operations}. No variable can set them."
        yield check.finding("pool-too-small", WARN, message, Remedy(text))
    for ignored in facts.ignored:
        message = f"{ignored.name} was meant for the pool and sets nothing; the pool has {pool.size} + {pool.overflow}"
        remedy = Remedy(f"Write `{ignored.key}` into mdm.yaml, in its sections.")
        location = Location(ignored.file, ignored.line) if ignored.file else None
        yield check.finding("ignored-setting", NOTE, message, remedy, location=location, subject=ignored.name)


def of_probe(check: Check, facts: PoolFacts) -> Iterator[Finding]:
    """The pool as it could be filled."""
    probe = facts.probe
    if probe is None or probe.held:
        return
    limit = f"; a process may have {counted(facts.open_files, 'file')} open" if facts.open_files else ""
    message = (
        f"of {counted(probe.wanted, 'connection')} of the pool only {probe.opened} came about: {probe.reason}{limit}"
    )
    text = "Make the pool smaller, or let processes open more files: the limit of the shell that starts MDM is raised "
    text += f"with `ulimit -Sn`, to {max(4 * facts.pool.most, 2 * (facts.open_files or 0))} for instance."
    commands = ("ulimit -Sn; ulimit -Hn",)
    evidence: dict[str, JSON] = {"opened": probe.opened, "wanted": probe.wanted}
    yield check.finding("probe-failed", WARN, message, Remedy(text, commands), evidence=evidence)


def of_log(check: Check, facts: PoolFacts) -> Iterator[Finding]:
    """Connections that ran out before."""
    logged = facts.logged
    if logged is None:
        return
    since = "" if logged.open else "; it went well afterwards"
    message = f"connections ran out {times(logged.count)}, last {logged.last or 'at an unknown time'}{since}"
    severity = WARN if logged.open and logged.recent else NOTE
    text = (
        "Give connections back: use sessions and connections in `with`, dispose of engines that are done with; then "
        "compare the pool with what runs at the same time."
    )
    look = f"sed -n {max(1, logged.line - 5)},{logged.line + 5}p {shlex.quote(logged.file)}"
    location = Location(logged.file, logged.line)
    yield check.finding("logged-exhaustion", severity, message, Remedy(text, (look,)), location=location)


def of_server(check: Check, facts: PoolFacts, use: ServerUse) -> Iterator[Finding]:
    """What a server can give against what is asked of it."""
    if use.problem == "full":  # the failure is postgres-slowdown's, which keeps others from failing for it too
        message = f"{use.server} {use.reason}"
        yield check.finding("server-full", WARN, message, _room(facts, use), subject=use.server)
    if use.problem or not use.usable:
        return
    evidence: dict[str, JSON] = {"in_use": use.in_use, "usable": use.usable, "sessions": _by_program(use)}
    usable = counted(use.usable, "connection")
    taken = f"of {usable} of {use.server}, {use.in_use} are taken ({use.limited_by}): {_top(use)}"
    if use.in_use >= use.usable:
        yield check.finding("server-full", FAIL, taken, _room(facts, use), evidence=evidence, subject=use.server)
    elif use.in_use >= NEARLY_FULL * use.usable:
        yield check.finding("server-nearly-full", WARN, taken, _room(facts, use), evidence=evidence, subject=use.server)
    wanted = use.most * max(1, facts.processes)
    if wanted > use.usable:
        message = (
            f"{counted(max(1, facts.processes), 'MDM process', 'MDM processes')} with "
            f"{counted(use.most, 'connection')} each may want {wanted}, and {use.server} gives {use.usable} "
            f"({use.limited_by})"
        )
        yield check.finding("exceeds-server", WARN, message, _room(facts, use), evidence=evidence, subject=use.server)
    yield from _leaks(check, facts, use)
    probe = use.probe
    if probe is not None and not probe.held:
        message = f"of {counted(probe.wanted, 'connection')}, {use.server} gave only {probe.opened}: {probe.reason}"
        yield check.finding("probe-refused", FAIL, message, _room(facts, use), subject=use.server)


def _leaks(check: Check, facts: PoolFacts, use: ServerUse) -> Iterator[Finding]:
    pool = facts.pool
    recycle = pool.recycle_s if pool.recycle_s >= 0 else NEVER_RECYCLED_S
    left_open = [each for each in use.idle if each.in_transaction and each.seconds > pool.timeout_s]
    forgotten = [each for each in use.idle if not each.in_transaction and each.seconds > recycle]
    if left_open:
        what = counted(len(left_open), "transaction was", "transactions were")
        message = f"{what} left open and nothing is done there, on {use.server}: {_listed(left_open)}"
        known = all(each.in_the_way for each in left_open)  # postgres-slowdown warns of what waits for them
        message += "; others wait, as postgres-slowdown tells" if known else ""
        severity = NOTE if known else WARN
        yield check.finding("leaked-transaction", severity, message, _end(use, left_open), subject=use.server)
    if forgotten:
        severity = WARN if len(forgotten) >= IDLE_SHARE * use.usable else NOTE
        what = counted(len(forgotten), "connection has", "connections have")
        message = f"{what} done nothing for long on {use.server}: {_listed(forgotten)}"
        yield check.finding("leaked-connection", severity, message, _end(use, forgotten), subject=use.server)


def _end(use: ServerUse, idle: list[Idle]) -> Remedy:
    text = (
        "See which programs hold them, let those finish or stop them where they were started, and let them use "
        f"connections in `with`. {repairs.TO_END_A_SESSION}"
    )
    return Remedy(text, repairs.look_at_sessions(use, {each.pid: each.user for each in idle}))


def _room(facts: PoolFacts, use: ServerUse) -> Remedy:
    fitting = max(1, use.usable // max(1, facts.processes))
    smaller = "set `database.postgresql.pool_size` and `database.sqlalchemy.max_overflow` in mdm.yaml so that they "
    smaller += f"add up to {fitting} at most" if use.usable else "add up to less"
    if facts.fixed:
        smaller = "run fewer MDM processes at once"
    if use.problem:
        step = next_step(use, use.problem, use.reason, None)
        return Remedy(f"{step.text} Then {smaller}.", step.commands)
    text = f"See which programs hold sessions and stop those that nobody needs; {smaller}; raise max_connections; or "
    text += "put pgbouncer between."
    return Remedy(text, (repairs.psql(use, repairs.SESSIONS),))


def _size_key(facts: PoolFacts) -> str:
    return f"database.{'postgresql' if facts.backend == 'postgresql' else 'sqlalchemy'}.pool_size"


def _by_program(use: ServerUse) -> list[JSON]:
    return [
        {"application": each.application, "user": each.user, "state": each.state, "count": each.count}
        for each in use.sessions
    ]


def _top(use: ServerUse) -> str:
    named = [
        f"{each.count} by {each.application or each.user or 'somebody'}{f' ({each.state})' if each.state else ''}"
        for each in use.sessions[:_NAMED]
    ]
    return ", ".join(named)


def _listed(idle: list[Idle]) -> str:
    named = [_described(each) for each in idle[:_NAMED]]
    more = len(idle) - len(named)
    return "; ".join([*named, *([f"and {more} more"] if more else [])])


def _described(each: Idle) -> str:
    who = each.application or each.user or "somebody"
    where = f" from {each.client}" if each.client else ""
    last = f" after {each.last}" if each.last else ""
    return f"process {each.pid} of {who}{where} for {duration(each.seconds)}{last}"
