"""Commands for PostgreSQL's own client programs. They ask for a password; none is ever written into a command.

They look, or do what changes no value: statistics, vacuum, an index made again. Rights, limits, settings, roles,
databases and sessions are changed by nobody but an administrator who has looked, so a text names the statement.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Protocol

from pytest_mdm_health.mdm.servers import MAINTENANCE

ADMINISTRATOR = "postgres"
"""The usual name of the role that may do everything."""

TO_END_A_SESSION = (
    "As a last resort an administrator ends a session with pg_terminate_backend, after a look that it is still the "
    "same one and whose program it is; what it has not committed is lost."
)
SESSIONS = "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC"
"""Who holds a server's connections."""

_USUAL_SSLMODE = "prefer"
"""What the client library does by itself."""


class Address(Protocol):
    """Where a server is, and as whom the home goes there."""

    @property
    def host(self) -> str:
        """Its name or address."""

    @property
    def port(self) -> int:
        """Its port."""

    @property
    def login(self) -> str:
        """The role."""


def psql(server: Address, statement: str, database: str = MAINTENANCE, *, admin: bool = False) -> str:
    """Run one statement, as the home's own role or as an administrator."""
    return _program("psql", server, database, "-c", statement, admin=admin)


def enter(server: Address, user: str, database: str, sslmode: str) -> str:
    """Go a certain way into a database; without a user, as the client library would."""
    whom = ("-U", user) if user else ()
    command = shlex.join(["psql", *_at(server), *whom, "-d", database, "-c", "SELECT 1"])
    return command if sslmode in {"", _USUAL_SSLMODE} else f"PGSSLMODE={shlex.quote(sslmode)} {command}"


def list_databases(server: Address, user: str) -> str:
    """Which databases there are; `template1` is one that every server has."""
    whom = ("-U", user) if user else ()
    return shlex.join(["psql", *_at(server), *whom, "-d", "template1", "-l"])


def look_up(server: Address) -> str:
    """Which address a host's name stands for."""
    return shlex.join(["getent", "hosts", "--", server.host])


def ready(server: Address) -> str:
    """Ask whether anybody answers."""
    return shlex.join(["pg_isready", *_at(server)])


def look_at_sessions(server: Address, users: Mapping[int, str]) -> tuple[str, ...]:
    """Look at sessions: as the home's own role where they are its own, else as an administrator.

    No command ends one: a process id is given to another session once it is free, and neither the name of a program
    nor that of a database proves that a session belongs to this home.

    Args:
        server: where they are.
        users: the role of each session, by its process id.
    """
    admin = any(user != server.login for user in users.values())
    shown = "pid, usename, application_name, client_addr, backend_start, state, state_change, query"
    look = f"SELECT {shown} FROM pg_stat_activity WHERE pid IN ({', '.join(map(str, users))})"  # noqa: S608 - numbers
    return (psql(server, look, admin=admin),)


def _program(program: str, server: Address, database: str, *words: str, admin: bool = False) -> str:
    user = ADMINISTRATOR if admin else server.login
    return shlex.join([program, *_at(server), "-U", user, "-d", database, *words])


def _at(server: Address) -> tuple[str, ...]:
    return ("-h", server.host, "-p", str(server.port))
