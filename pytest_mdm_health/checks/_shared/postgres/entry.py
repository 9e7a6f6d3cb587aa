"""One look at a PostgreSQL server: the way in, what was recorded so far, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pytest_mdm_health.backends import CannotOpen, ConnectionLost, QueryFailed, Row, Unfinished, server_backend
from pytest_mdm_health.checks._shared.postgres.facts import RecordedStatement, RefusedLogin, Way
from pytest_mdm_health.checks._shared.postgres.places import way_of
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Connection, Server

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

ANSWER_S = 5.0
"""Seconds that a question about the server may take; what is asked is cheap, so that a slow answer is a slow server."""

FINAL = {"away", "starting", "full", "dropped", "foreign"}
"""The answers after which another login is not worth trying."""

_ABOUT_THE_DATABASE = ("pg_hba", "permission denied for database")
"""In a refusal: another database of the server may be open to the same login."""


class NoWayIn(Exception):
    """The server cannot be examined: the last answer it gave, or did not give, and to whom."""

    def __init__(self, last: CannotOpen, way: Way | None, refused: Sequence[RefusedLogin] = ()) -> None:
        super().__init__(str(last))
        self.last, self.way, self.refused = last, way, tuple(refused)


@dataclass
class Look:
    """What one look gathers, and what it could not.

    Attributes:
        gaps: what this role, or this server, does not show; a sound server may have some.
        missed: questions that the server did not answer although it should have.
    """

    server: Server
    inventory: Inventory
    gaps: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    recorded: list[tuple[str, str, int, float]] = field(default_factory=list)
    measured: list[RecordedStatement] = field(default_factory=list)
    recorded_since: str = ""
    recording: bool = False
    why_not_recording: str = ""
    missed_statements: bool = False

    def enter(self) -> tuple[Connection, tuple[RefusedLogin, ...]]:
        """The first login that gets in, and those that the server refused before.

        Raises:
            NoWayIn: none does.
        """
        refused: dict[tuple[object, ...], RefusedLogin] = {}
        last, way = CannotOpen("away", "cannot be opened: nothing says how"), None
        for connection in (*self.server.logins, *self.server.databases.values()):
            known = refused.get(connection.login)
            if known is not None and not _is_about_the_database(known.reason):
                continue
            answer = attempt(connection)
            if answer is None:
                refused.pop(connection.login, None)
                return connection, tuple(refused.values())
            last, way = answer, way_of(connection, self.inventory)
            if answer.code in FINAL:
                break
            if answer.code != "no-database":
                refused[connection.login] = self.refusal(connection, answer)
        raise NoWayIn(last, way, tuple(refused.values()))

    def refusal(self, connection: Connection, error: CannotOpen) -> RefusedLogin:
        """What a refused login means for whom."""
        servers = self.server.databases.items()
        alike = [name for name, each in servers if is_refused_too(each, connection, error)]
        return RefusedLogin(
            user=connection.user or "",
            datasets=tuple(sorted(alike)),
            reason=error.reason,
            way=way_of(connection, self.inventory),
        )

    def ask(
        self, database: PostgresDatabase, statement: str, what: str, parameters: Sequence[object] = ()
    ) -> list[Row]:
        """The rows that a statement gives; if the server could not answer, none, and what was missed.

        Raises:
            ConnectionLost: the server broke the connection off.
        """
        try:
            return database.query(statement, parameters, ANSWER_S)
        except ConnectionLost:
            raise
        except (QueryFailed, Unfinished) as error:
            self.missed.append(f"{what} could not be looked at: {error}")
            return []


def is_refused_too(other: Connection, connection: Connection, error: CannotOpen) -> bool:
    """Whether the server refuses the one like the other, which it refused with this error."""
    return other.login == connection.login and (
        other.database == connection.database or not _is_about_the_database(error.reason)
    )


def _is_about_the_database(reason: str) -> bool:
    return any(words in reason for words in _ABOUT_THE_DATABASE)


def opened(connection: Connection) -> PostgresDatabase:
    """The database, open.

    Raises:
        CannotOpen: it cannot be opened, and why.
    """
    return cast("PostgresDatabase", server_backend(connection).open())


def attempt(connection: Connection) -> CannotOpen | None:
    """Connect, and stay connected for the next one who opens it; why not, if it cannot be done."""
    try:
        server_backend(connection).open()
    except CannotOpen as error:
        return error
    return None
