"""What pool-exhaustion looks at: the pool as it is set, what is asked of it, and what the servers can give."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.checks._shared.postgres.facts import Sessions
from pytest_mdm_health.core.model import Facts


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool of connections as it is set.

    Attributes:
        size: connections that are kept.
        overflow: further ones at need.
        timeout_s: how long a caller waits for one.
        recycle_s: the age at which one is replaced; -1 for never.
        origin: where the size comes from.
    """

    size: int
    overflow: int
    timeout_s: int
    recycle_s: int
    origin: str

    @property
    def most(self) -> int:
        """All connections that one process can have."""
        return self.size + self.overflow


@dataclass(frozen=True)
class Ignored:
    """A setting of the pool under a name that MDM does not read: that name, its file if any, and the setting meant."""

    name: str
    file: str
    line: int | None
    key: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A pool that was really filled.

    Attributes:
        wanted: connections that were asked for; at most what was safe.
        opened: those that came about, each answering a statement.
        held: whether a caller beyond the last one was made to wait, and a returned connection was given out again.
        seconds: for all of them.
        reason: why there were no more, as a sentence without a full stop.
    """

    wanted: int
    opened: int
    held: bool
    seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Idle:
    """A session of MDM that does nothing.

    Attributes:
        in_transaction: whether it left one open.
        seconds: since when.
        last: what it did last.
        in_the_way: whether others wait for what it holds.
    """

    pid: int
    application: str
    user: str
    client: str
    in_transaction: bool
    seconds: float
    last: str
    in_the_way: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerUse:
    """How a server's connections are used.

    Attributes:
        problem: one word for why it could not be looked at; empty if it could.
        usable: connections that the home's role can have at the most, by the limit of the server, the role, or the
            database.
        limited_by: which of the three.
        in_use: those of them that are taken.
        most: what one MDM process may take.
    """

    server: str
    host: str
    port: int
    login: str
    most: int
    problem: str = ""
    reason: str = ""
    usable: int = 0
    limited_by: str = ""
    in_use: int = 0
    sessions: tuple[Sessions, ...] = ()
    idle: tuple[Idle, ...] = ()
    probe: Probe | None = None


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What the log tells of connections that ran out: how often, how often nothing went well since, and where."""

    count: int
    open: int
    last: str
    recent: bool
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class PoolFacts(Facts):
    """One home.

    Attributes:
        pool: as set for the default backend.
        fixed: the version of the installed MDM, if that opens its pools with sizes of its own.
        operations: what MDM may do at the same time in one process.
        operations_from: the setting that says so, and `operations_key` its name.
        processes: MDM processes that run now.
        open_files: how many files a process may have open; None without a limit.
    """

    backend: str
    pool: Pool
    fixed: str
    operations: int
    operations_from: str
    operations_key: str = "performance.max_concurrent_operations"
    processes: int
    open_files: int | None
    ignored: tuple[Ignored, ...] = ()
    probe: Probe | None = None
    servers: tuple[ServerUse, ...] = ()
    logged: Logged | None = None
