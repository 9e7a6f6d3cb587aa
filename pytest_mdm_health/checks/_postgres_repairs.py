"""Commands for PostgreSQL's own client programs. They ask for a password; none is ever written into a command."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Protocol

from pytest_mdm_health.backends import quote
from pytest_mdm_health.mdm.servers import MAINTENANCE

ADMINISTRATOR = "postgres"
"""The usual name of the role that may do everything."""

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


def create_database(server: Address) -> str:
    """Make the database that clients go to for what concerns the whole server."""
    return shlex.join(["createdb", *_at(server), "-U", ADMINISTRATOR, "--maintenance-db=template1", MAINTENANCE])


def create_role(server: Address, name: str) -> str:
    """Make a role that logs in; asks for its password."""
    return shlex.join(["createuser", *_at(server), "-U", ADMINISTRATOR, "--login", "--pwprompt", "--", name])


def look_up(server: Address) -> str:
    """Which address a host's name stands for."""
    return shlex.join(["getent", "hosts", "--", server.host])


def dump(server: Address, database: str) -> str:
    """Keep a database in a file beside."""
    return _program("pg_dump", server, database, "-Fc", "-f", f"{database}.dump")


def ready(server: Address) -> str:
    """Ask whether anybody answers."""
    return shlex.join(["pg_isready", *_at(server)])


def end_sessions(server: Address, users: Mapping[int, str]) -> tuple[str, str]:
    """Look at sessions, then end them: as the home's own role where they are its own, else as an administrator.

    Args:
        server: where they are.
        users: the role of each session, by its process id.
    """
    admin = any(user != server.login for user in users.values())
    shown = "pid, usename, application_name, state, query"
    look = f"SELECT {shown} FROM pg_stat_activity WHERE pid IN ({', '.join(map(str, users))})"  # noqa: S608 - numbers
    end = "SELECT " + ", ".join(f"pg_terminate_backend({pid})" for pid in users)
    return psql(server, look, admin=admin), psql(server, end, admin=admin)


def drop(server: Address, database: str) -> str:
    """Destroy a database."""
    return psql(server, f"DROP DATABASE {quote(database)}")


def _program(program: str, server: Address, database: str, *words: str, admin: bool = False) -> str:
    user = ADMINISTRATOR if admin else server.login
    return shlex.join([program, *_at(server), "-U", user, "-d", database, *words])


def _at(server: Address) -> tuple[str, ...]:
    return ("-h", server.host, "-p", str(server.port))
