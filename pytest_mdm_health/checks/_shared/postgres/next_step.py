"""What to do next about a server that cannot be used, told from what it said. Pure.

`pg_isready` is the answer only where nobody answered: it says nothing of users, passwords, encryption and databases.
A server says why it refuses in its own language; what does not match the English words gets the general answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.checks._shared.postgres import commands as repairs
from pytest_mdm_health.checks._shared.postgres.commands import Address
from pytest_mdm_health.checks._shared.postgres.facts import Way
from pytest_mdm_health.checks._shared.postgres.refusals import REFUSALS, Case, Step, Steps, let_in
from pytest_mdm_health.core.model import Remedy

_UNKNOWN_WAY = Way(user="", database="postgres", sslmode="")


def next_step(server: Address, problem: str, reason: str, way: Way | None) -> Remedy:
    """What to do about a server that cannot be used.

    Args:
        server: where it is.
        problem: the one word for it, as in `CannotOpen.code`.
        reason: what the server, or the driver in its stead, said.
        way: how it was tried to get in.
    """
    case = Case(server, reason, way or _UNKNOWN_WAY)
    folded = reason.casefold()
    for words, step in _STEPS.get(problem, ()):
        if any(word in folded for word in words):
            return step(case)
    return _OTHERWISE.get(problem, let_in)(case)


def _no_database(case: Case) -> Remedy:
    text = (
        f"Look at the databases that there are; correct `database` in the registration, or restore {case.way.database} "
        "from a backup: an empty database of that name would hide that its data is lost. The database `postgres`, "
        "which clients go to for what concerns the whole server, holds no data: an administrator makes it with "
        "createdb."
    )
    return Remedy(text, (repairs.list_databases(case.server, case.way.user),))


def _unknown_host(case: Case) -> Remedy:
    text = f"No address is known for {case.server.host}: correct the host{case.where('host')}, or name resolution."
    return Remedy(text, (repairs.look_up(case.server),))


def _nobody_listens(case: Case) -> Remedy:
    text = f"Nobody listens there: start the server, or correct host and port{case.where('host')}."
    return Remedy(text, (repairs.ready(case.server),))


def _something_else(case: Case) -> Remedy:
    text = f"Something else answers there: correct host and port{case.where('host', 'port')}."
    return Remedy(text, (repairs.ready(case.server),))


def _no_way_there(case: Case) -> Remedy:
    text = (
        "Nothing came back: see whether the machine is up, whether a firewall is in between and, where a pooler stands "
        f"there, whether the server behind it runs; or correct host and port{case.where('host')}."
    )
    return Remedy(text, (repairs.ready(case.server),))


def _behind_the_pooler(case: Case) -> Remedy:
    host = f"{case.server.host}:{case.server.port}"
    return Remedy(
        f"If a pooler stands at {host}, see its log, and start or correct the server behind it, which its section "
        "[databases] names; else look into the server's own log."
    )


def _starting(case: Case) -> Remedy:
    text = "Wait until it has started (or stopped, then start it); its log says what it is doing."
    return Remedy(text, (repairs.ready(case.server),))


def _dropped(case: Case) -> Remedy:
    text = "Look into the server's log for why it stopped or broke the connection off; see whether it answers again."
    return Remedy(text, (repairs.ready(case.server),))


def _full(case: Case) -> Remedy:
    text = (
        "An administrator gets in even now and sees who holds the connections: stop the programs that nobody needs, or "
        "raise max_connections and restart the server."
    )
    return Remedy(text, (case.ask(repairs.SESSIONS),))


def _full_role(case: Case) -> Remedy:
    text = (
        f"The role {case.user} has a limit of its own: stop the programs that hold its sessions and that nobody needs, "
        "or let an administrator raise the limit (ALTER ROLE ... CONNECTION LIMIT), after a note of what it was."
    )
    limits = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolconnlimit >= 0"
    return Remedy(text, (case.ask(repairs.SESSIONS), case.ask(limits)))


def _full_database(case: Case) -> Remedy:
    text = (
        f"The database {case.way.database} has a limit of its own: stop the programs that hold its sessions and that "
        "nobody needs, or let an administrator raise the limit (ALTER DATABASE ... CONNECTION LIMIT), after a note of "
        "what it was."
    )
    limits = "SELECT datname, datconnlimit FROM pg_database WHERE datconnlimit >= 0"
    return Remedy(text, (case.ask(repairs.SESSIONS), case.ask(limits)))


def _full_pooler(case: Case) -> Remedy:
    return Remedy(
        f"The pooler at {case.server.host}:{case.server.port} takes no more clients: end programs that hold "
        "connections, or raise its max_client_conn."
    )


_STEPS: Mapping[str, Steps] = {
    "refused": REFUSALS,
    "away": (
        (("resolve host", "translate host", "not known", "nodename nor", "name resolution"), _unknown_host),
        (("server login",), _behind_the_pooler),
        (("timeout expired", "timed out", "no route", "unreachable"), _no_way_there),
    ),
    "dropped": ((("server login", "query_wait_timeout", "pooler"), _behind_the_pooler),),
    "full": (
        (("for role",), _full_role),
        (("for database",), _full_database),
        (("no more connections allowed",), _full_pooler),
    ),
}
_OTHERWISE: Mapping[str, Step] = {
    "away": _nobody_listens,
    "starting": _starting,
    "full": _full,
    "dropped": _dropped,
    "no-database": _no_database,
    "foreign": _something_else,
}
