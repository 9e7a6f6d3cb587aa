"""Commands for PostgreSQL's own client programs. They ask for a password; none is ever written into a command."""

from __future__ import annotations

import shlex
from typing import Protocol

from pytest_mdm_health.backends import quote

ADMINISTRATOR = "postgres"
"""The usual name of the role that may do everything."""


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


def psql(server: Address, statement: str, database: str = "postgres", *, admin: bool = False) -> str:
    """Run one statement, as the home's own role or as an administrator."""
    return _program("psql", server, database, "-c", statement, admin=admin)


def dump(server: Address, database: str) -> str:
    """Keep a database in a file beside."""
    return _program("pg_dump", server, database, "-Fc", "-f", f"{database}.dump")


def ready(server: Address) -> str:
    """Ask whether anybody answers."""
    return shlex.join(["pg_isready", "-h", server.host, "-p", str(server.port)])


def drop(server: Address, database: str) -> str:
    """Destroy a database."""
    return psql(server, f"DROP DATABASE {quote(database)}")


def literal(text: str) -> str:
    """A text as SQL takes it."""
    return "'" + text.replace("'", "''") + "'"


def _program(program: str, server: Address, database: str, *words: str, admin: bool = False) -> str:
    user = ADMINISTRATOR if admin else server.login
    return shlex.join([program, "-h", server.host, "-p", str(server.port), "-U", user, "-d", database, *words])
