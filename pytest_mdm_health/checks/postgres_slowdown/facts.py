"""What postgres-slowdown knows of a server: plain data, without passwords and without the values in statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.checks._shared.postgres.facts import ClosedDatabase, ConnectionAttempt, RefusedLogin
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts, Severity

SETTLED_S = 3600.0
"""Seconds of statistics after which autovacuum has had time to process every table."""


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """The server as a whole.

    Attributes:
        user: as whom it is examined.
        sees_all: whether this role sees the sessions and statements of others.
        connect_s: how long connecting took, the better of two attempts if the first was slow.
        watched_s: how long it has kept statistics, at the least.
        autovacuum: whether it cleans up and computes statistics by itself.
        ram: of the machine in bytes, where that is this one.
    """

    user: str
    sees_all: bool
    connect_s: float
    watched_s: float
    autovacuum: bool
    ram: int | None

    @property
    def settled(self) -> bool:
        """Whether what autovacuum has not done by now is left undone."""
        return not self.autovacuum or self.watched_s > SETTLED_S


@dataclass(frozen=True, kw_only=True)
class BlockedSession:
    """A session that waits for a lock, and the first of those that block it.

    Attributes:
        waits_s: for how long.
        statement: what it is about to do; empty if this role may not see it, as all that starts with `blocker_`.
        blocked_by: the process ids of all that block it.
        blocker_statement: the last statement of the first of these, `blocker_state` the state of its session.
        blocker_began: when its session began, as the server has it.
        blocker_wrote: whether it has written something that is not committed.
    """

    pid: int
    waits_s: float
    statement: str
    blocked_by: tuple[int, ...]
    blocker_statement: str = ""
    blocker_state: str = ""
    blocker_application: str = ""
    blocker_user: str = ""
    blocker_began: str = ""
    blocker_wrote: bool = False


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A recorded query that took more than a second on average, times in milliseconds."""

    database: str
    text: str
    calls: int
    mean_ms: float


@dataclass(frozen=True, kw_only=True)
class RecordedStatement:
    """What the server has counted of one statement, however fast it is: its runs and their time in milliseconds."""

    database: str
    query_id: str
    text: str
    calls: int
    total_ms: float

    @property
    def mean_ms(self) -> float:
        """Of one run."""
        return self.total_ms / self.calls


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A row that one of the queries in `rules` gave: a finding.

    Attributes:
        query: the query's name.
        values: what the sentences of its rule need.
        evidence: what was seen.
    """

    query: str
    severity: Severity
    subject: str
    values: Mapping[str, Any]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PostgresFacts(Facts):
    """One server.

    Attributes:
        server: host and port.
        login: the user to give to client programs.
        problem: one word for why the server could not be examined; empty if it could.
        reason: the same for a person.
        attempt: how the connection was attempted in vain; None if that was not the problem.
        assumed: the place that makes PostgreSQL the default backend, if that is all that leads to this server.
        state: None if it could not be examined.
        registrations: by database, the registration of a dataset in it.
        place: a registration of a dataset on this server, or `mdm.yaml` if there is none.
        logins: the roles that the home has a login of.
        hits: what the queries in `rules` found.
        recorded: the statements that took most time, to be compared with later ones.
        recorded_since: the moment from which on they were counted, as the server says; empty if it does not.
    """

    server: str
    host: str
    port: int
    login: str
    problem: str = ""
    reason: str = ""
    attempt: ConnectionAttempt | None = None
    assumed: str = ""
    refused: tuple[RefusedLogin, ...] = ()
    closed: tuple[ClosedDatabase, ...] = ()
    state: ServerState | None = None
    blocked_sessions: tuple[BlockedSession, ...] = ()
    statements: tuple[Statement, ...] = ()
    registrations: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    logins: tuple[str, ...] = ()
    hits: tuple[Hit, ...] = ()
    recorded: tuple[RecordedStatement, ...] = field(default=(), metadata=BASELINE_ONLY)
    recorded_since: str = field(default="", metadata=BASELINE_ONLY)

    def place_of(self, database: str) -> str:
        """By which file a database is reached: a registration of a dataset in it, else any of this server."""
        return self.registrations.get(database, self.place)
