"""One visit to a PostgreSQL server: a connection, questions, and what could not be examined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pytest_mdm_health.backends import CannotOpen, ConnectionLost, QueryFailed, Row, Unfinished, server_backend
from pytest_mdm_health.checks._shared.postgres.facts import ConnectionAttempt, RefusedLogin
from pytest_mdm_health.checks._shared.postgres.places import attempt_of
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Connection, Server

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

ANSWER_S = 5.0
"""Seconds that a question about the server may take; what is asked is cheap, so that a slow answer is a slow server."""

FINAL = {"away", "starting", "full", "dropped", "foreign"}
"""The answers after which another login is not worth trying."""

_ABOUT_THE_DATABASE = ("pg_hba", "for database", "is not currently accepting connections", "invalid database")
"""In a refusal: another database of the server may be open to the same login."""


class NoWayIn(Exception):
    """The server cannot be examined: the last answer that it gave, or did not give, and to which attempt."""

    def __init__(
        self, last: CannotOpen, attempt: ConnectionAttempt | None, refused: Sequence[RefusedLogin] = ()
    ) -> None:
        super().__init__(str(last))
        self.last, self.attempt, self.refused = last, attempt, tuple(refused)


@dataclass
class Look:
    """One visit, with what could not be examined.

    Attributes:
        gaps: what this role, or this server, does not show; a sound server may have some.
        missed: questions that the server did not answer although it should have.
        let_in: the login that it accepted, for one database at least.
    """

    server: Server
    inventory: Inventory
    gaps: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    let_in: tuple[object, ...] = ()

    def enter(self) -> tuple[Connection, tuple[RefusedLogin, ...]]:
        """The first login that the server accepts, and those that it refused before.

        Raises:
            NoWayIn: it accepts none.
        """
        refused: dict[tuple[object, ...], RefusedLogin] = {}
        last, attempt = CannotOpen("away", "cannot be opened: nothing says how"), None
        for connection in (*self.server.logins, *self.server.databases.values()):
            known = refused.get(connection.login)
            if known is not None and not _is_about_the_database(known.reason):
                continue
            error = connection_error(connection)
            if error is None:
                refused.pop(connection.login, None)
                self.let_in = connection.login
                return connection, tuple(refused.values())
            if attempt is None or error.code != "no-database":  # that a database is missing says least of the server
                last, attempt = error, attempt_of(connection, self.inventory)
            if error.code in FINAL and not _is_about_the_database(error.reason):
                break
            if error.code != "no-database":
                refused[connection.login] = self.refusal(connection, error)
        raise NoWayIn(last, attempt, tuple(refused.values()))

    def refusal(self, connection: Connection, error: CannotOpen) -> RefusedLogin:
        """What a refused login means, and for which datasets."""
        databases = self.server.databases.items()
        alike = [dataset for dataset, other in databases if self.is_refused_too(other, connection, error)]
        return RefusedLogin(
            user=connection.user or "",
            datasets=tuple(sorted(alike)),
            reason=error.reason,
            attempt=attempt_of(connection, self.inventory),
        )

    def is_refused_too(self, other: Connection, connection: Connection, error: CannotOpen) -> bool:
        """Whether the server refuses the one like the other, which it refused with this error.

        A login that it let in elsewhere is not what it refuses, in whatever language it says so.
        """
        about_database = connection.login == self.let_in or _is_about_the_database(error.reason)
        return other.login == connection.login and (other.database == connection.database or not about_database)

    def ask(
        self, database: PostgresDatabase, statement: str, what: str, parameters: Sequence[object] = ()
    ) -> list[Row]:
        """The rows that a statement gives; if the server could not answer, none, and what was missed.

        Raises:
            ConnectionLost: the server closed the connection.
        """
        try:
            return database.query(statement, parameters, ANSWER_S)
        except ConnectionLost:
            raise
        except (QueryFailed, Unfinished) as error:
            missed = f"{what} could not be looked at: {error}"
            if missed not in self.missed:
                self.missed.append(missed)
            return []


def _is_about_the_database(reason: str) -> bool:
    return any(words in reason for words in _ABOUT_THE_DATABASE)


def opened(connection: Connection) -> PostgresDatabase:
    """The database, open.

    Raises:
        CannotOpen: it cannot be opened, and why.
    """
    return cast("PostgresDatabase", server_backend(connection).open())


def connection_error(connection: Connection) -> CannotOpen | None:
    """Connect, and stay connected for the next one who opens it; why not, if it cannot be done."""
    try:
        server_backend(connection).open()
    except CannotOpen as error:
        return error
    return None
