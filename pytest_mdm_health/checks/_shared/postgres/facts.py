"""What the checks of PostgreSQL servers see: plain data, without passwords and without the values in statements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import BASELINE_ONLY, Facts


@dataclass(frozen=True, kw_only=True)
class Way:
    """How it was tried to get in.

    Attributes:
        user: as whom; empty where nothing says.
        sslmode: the encryption that was asked for; empty where nothing says.
        written: by field of the connection, the first places that set it, such as `/home/ml/.mdm/mdm.yaml, line 3`.
        more: by field, how many further places there are.
    """

    user: str
    database: str
    sslmode: str
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RefusedLogin:
    """A user of the home whom the server does not let in, and the datasets that depend on that."""

    user: str
    datasets: tuple[str, ...]
    reason: str
    way: Way | None = None


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """The server as a whole.

    Attributes:
        version: as it calls itself.
        user: as whom we see it.
        sees_all: whether this role sees the sessions and statements of others.
        connect_s: how long connecting took, the better of two if the first was slow.
        watched_s: how long it has kept statistics, at the least.
        max_connections: how many there can be, and how many of those are kept for administrators.
        memory: sizes in bytes: `shared_buffers`, `effective_cache_size`, `work_mem`.
        autovacuum: whether it cleans up and computes statistics by itself.
        ram: of the machine in bytes, where that is this one.
    """

    version: str
    user: str
    sees_all: bool
    connect_s: float
    watched_s: float
    max_connections: int
    reserved: int
    memory: Mapping[str, int]
    autovacuum: bool
    ram: int | None


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """One database of the server.

    Attributes:
        size: in bytes; None if this role may not know.
        hits: blocks found in the server's own cache, and `reads` those that were not.
        checksum_failures: pages that did not fit their checksum; None where checksums are off.
        age: transactions since the oldest one that is still told apart; at 2^31 the server stops.
        datasets: the datasets that are registered with it.
        ours: whether it is called as MDM calls its databases.
    """

    name: str
    size: int | None
    hits: int
    reads: int
    checksum_failures: int | None
    age: int
    datasets: tuple[str, ...] = ()
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """How many sessions there are alike; what this role may not see is empty."""

    application: str
    user: str
    state: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Blocked:
    """A session that waits for a lock, and those that are in its way.

    Attributes:
        waits_s: for how long.
        statement: what it wants to do, `by` the process ids in its way, `by_what` the last statement of the first of
            those, `by_state` its state; the latter three empty if this role may not see them.
        by_user: whose session the first of those is.
    """

    pid: int
    waits_s: float
    statement: str
    by: tuple[int, ...]
    by_what: str
    by_state: str
    by_application: str
    by_user: str = ""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A recorded query that took more than a second on average, times in milliseconds."""

    database: str
    text: str
    calls: int
    mean_ms: float


@dataclass(frozen=True, kw_only=True)
class RecordedStatement:
    """What the server has counted of one statement, whatever it took: its runs and their time in milliseconds."""

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
class TableState:
    """A table of a dataset.

    Attributes:
        sql_name: the name as statements take it.
        size: in bytes, without indexes.
        rows: as the server reckons.
        dead: rows that were deleted or replaced and still take space.
        changed: rows changed since statistics were last computed.
        analysed: whether statistics were ever computed.
        neglected: whether the server does not look after it by itself.
        full_reads: how often it was read from end to end; `index_reads` how often through an index.
        filters: columns that recorded statements on it compare with something, the most frequent first.
        filtered: how often statements were run that compare the first of them.
    """

    database: str
    name: str
    sql_name: str
    size: int
    rows: int
    dead: int
    changed: int
    analysed: bool
    neglected: bool
    full_reads: int
    index_reads: int
    filters: tuple[str, ...] = ()
    filtered: int = 0

    @property
    def full_name(self) -> str:
        """Database and table."""
        return f"{self.database}.{self.name}"


@dataclass(frozen=True, kw_only=True)
class InvalidIndex:
    """An index that was not finished: kept up to date and never used; `sql_name` is how statements name it."""

    database: str
    name: str
    sql_name: str
    table: str
    unique: bool


@dataclass(frozen=True, kw_only=True)
class PostgresFacts(Facts):
    """One server.

    Attributes:
        server: host and port.
        login: the user to give to client programs.
        problem: one word for why the server could not be examined; empty if it could.
        reason: the same for a person.
        way: how it was tried in vain to get in; None if that was not the trouble.
        assumed: the place that makes PostgreSQL the default backend, if that is all that leads to this server.
        state: None if it could not be examined.
        recorded: the statements that took most time, to be compared with later ones.
        recorded_since: the moment from which on they were counted, as the server tells it; empty if it does not.
    """

    server: str
    host: str
    port: int
    login: str
    problem: str = ""
    reason: str = ""
    way: Way | None = None
    assumed: str = ""
    refused: tuple[RefusedLogin, ...] = ()
    state: ServerState | None = None
    databases: tuple[DatabaseState, ...] = ()
    sessions: tuple[Sessions, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    statements: tuple[Statement, ...] = ()
    tables: tuple[TableState, ...] = ()
    invalid_indexes: tuple[InvalidIndex, ...] = ()
    recorded: tuple[RecordedStatement, ...] = field(default=(), metadata=BASELINE_ONLY)
    recorded_since: str = field(default="", metadata=BASELINE_ONLY)
