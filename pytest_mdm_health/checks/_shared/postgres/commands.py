"""Commands for PostgreSQL's own client programs. They ask for a password; none is ever written into a command.

They only read. What changes no value is a verb of `mdm-health`: statistics, vacuum, an index that is rebuilt, an idle
session of MDM that is ended, a right that a role of the home may grant. Limits, settings, roles, databases and the
sessions of others are changed by an administrator who has looked first, so a text names the statement.

A template of a command needs the value `server`, an `Address`, and those that its own parts name.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Protocol

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.servers import MAINTENANCE, OF_MDM, OURS

ADMINISTRATOR = "postgres"
"""The usual name of the role that may do everything."""

TO_END_A_SESSION = (
    "As a last resort an administrator ends a session with pg_terminate_backend, after checking that it is still the "
    "same session and whose program it belongs to; what it has not committed is lost."
)
TO_END_AN_IDLE_ONE = (
    "A session of MDM itself is ended only if it is still the same, idle, and has nothing that is not committed."
)
SESSIONS = "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC"
"""Which users and programs hold a server's connections."""

SESSION_COLUMNS = "pid, usename, application_name, client_addr, backend_start, state, state_change, query"
IS_READY = "pg_isready -h {server.host!q} -p {server.port}"
_PSQL = "psql -h {{server.host!q}} -p {{server.port}} -U {user} -d {database} -c {statement}"
_USUAL_SSLMODE = "prefer"
"""What the client library does by itself."""


class Address(Protocol):
    """Where a server is, and as whom the home connects to it."""

    @property
    def host(self) -> str:
        """Its name or address."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def login(self) -> str:
        """The role."""


def psql_template(statement: str = "", *, database: str = MAINTENANCE, user: str = "{server.login!q}") -> str:
    """The template of a psql command that runs one statement, by default the value `statement`.

    Args:
        statement: SQL; a field in it, such as `{pid}`, has to be a number.
        database: a name, or a field such as `{database!q}`.
        user: likewise; by default the home's own role.
    """
    quoted = shlex.quote(statement) if statement else "{statement!q}"
    return _PSQL.format(user=user, database=database, statement=quoted)


def admin_template(statement: str) -> str:
    """The template of a psql command that an administrator runs."""
    return psql_template(statement, user=ADMINISTRATOR)


def psql(server: Address, statement: str, database: str = MAINTENANCE, *, admin: bool = False) -> str:
    """Run one statement, as the home's own role or as an administrator."""
    user = ADMINISTRATOR if admin else server.login
    return shlex.join(["psql", *_at(server), "-U", user, "-d", database, "-c", statement])


def connect(server: Address, user: str, database: str, sslmode: str) -> str:
    """Connect to a database in a certain way; without a user, as the client library would."""
    role = ("-U", user) if user else ()
    command = shlex.join(["psql", *_at(server), *role, "-d", database, "-c", "SELECT 1"])
    return command if sslmode in {"", _USUAL_SSLMODE} else f"PGSSLMODE={shlex.quote(sslmode)} {command}"


def list_databases(server: Address, user: str) -> str:
    """List the databases; `template1` is one that every server has."""
    role = ("-U", user) if user else ()
    return shlex.join(["psql", *_at(server), *role, "-d", "template1", "-l"])


def look_at_sessions(server: Address, users: Mapping[int, str]) -> tuple[str, ...]:
    """Show sessions: as the home's own role where they are its own, else as an administrator.

    No command ends one: a process id is given to another session once it is free, and neither the name of a program
    nor that of a database proves that a session belongs to this home.

    Args:
        server: where they are.
        users: the role of each session, by its process id.
    """
    admin = any(user != server.login for user in users.values())
    pids = ", ".join(map(str, users))
    show = f"SELECT {SESSION_COLUMNS} FROM pg_stat_activity WHERE pid IN ({pids})"  # noqa: S608 - numbers
    return (psql(server, show, admin=admin),)


def end_session(
    place: str, login: str, pid: int, began: str, *, application: str, state: str, user: str, wrote: bool
) -> tuple[Repair, ...]:
    """The call that ends a session; empty for one that is not to be ended from here.

    Args:
        place: a registration of a dataset on its server, or `mdm.yaml`.
        login: the role that the home uses there.
        pid: the process that serves it.
        began: when, as the server has it.
        application: what its program calls itself.
        state: what it does.
        user: its role.
        wrote: whether it has written something that is not committed.
    """
    is_of_mdm = application.startswith(OF_MDM) and application != OURS
    if not (began and user == login and is_of_mdm and state.startswith("idle")) or wrote:
        return ()
    return (Repair("end-session", place, (str(pid), began), (("as", login),)),)


def _at(server: Address) -> tuple[str, ...]:
    return ("-h", server.host, "-p", str(server.port))
