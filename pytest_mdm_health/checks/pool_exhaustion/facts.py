"""What pool-exhaustion sees: the pool as it is configured, the demand for it, and what the servers can give."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.checks._shared.postgres.facts import Sessions
from pytest_mdm_health.checks.logged_errors.facts import ErrorGroup
from pytest_mdm_health.core.model import Facts, Location


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pool of connections as it is configured.

    Attributes:
        size: connections that are kept open.
        overflow: further ones on demand.
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
class IgnoredSetting:
    """A setting of the pool under a name that MDM does not read; `key` is the setting that was meant."""

    name: str
    at: Location | None
    key: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A pool that was really filled.

    Attributes:
        wanted: connections that were requested; at most what was safe.
        opened: those that could be opened, each answering a statement.
        held: whether a caller beyond the last one had to wait, and a returned connection was given out again.
        seconds: for all of them.
        reason: why there were no more, as a sentence without a full stop.
    """

    wanted: int
    opened: int
    held: bool
    seconds: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class IdleSession:
    """A session of MDM that does nothing.

    Attributes:
        in_transaction: whether it left one open.
        seconds: for how long.
        last: its last statement, without values.
        blocks_others: whether others wait for what it holds.
        began: when it began, as the server has it.
        wrote: whether it has written something that is not committed.
    """

    pid: int
    application: str
    user: str
    client: str
    in_transaction: bool
    seconds: float
    last: str
    blocks_others: bool = False
    began: str = ""
    wrote: bool = False


@dataclass(frozen=True, kw_only=True)
class ServerUse:
    """How a server's connections are used.

    Attributes:
        most: what one MDM process may open.
        place: a registration of a dataset on it, or `mdm.yaml` if there is none.
        problem: one word for why it could not be examined; empty if it could.
        reason: the same for a person, to follow the server's name.
        usable: connections that the home's role can have at most, by the limit of the server, the role, or the
            database.
        limited_by: which of the three.
        in_use: how many of them are in use.
    """

    server: str
    host: str
    port: int
    login: str
    most: int
    place: str
    problem: str = ""
    reason: str = ""
    usable: int = 0
    limited_by: str = ""
    in_use: int = 0
    sessions: tuple[Sessions, ...] = ()
    idle: tuple[IdleSession, ...] = ()
    probe: Probe | None = None


@dataclass(frozen=True, kw_only=True)
class PoolFacts(Facts):
    """One home.

    Attributes:
        pool: as configured for the default backend.
        fixed: the version of the installed MDM, if that opens its pools with sizes of its own.
        operations: what MDM may do at the same time in one process.
        operations_from: where that is set.
        operations_key: the setting that says so.
        processes: MDM processes that run now.
        open_files: how many files a process may have open; None without a limit.
        logged: the records of the log which report that connections ran out.
        logged_recently: whether the last of them is from the log's last week.
    """

    backend: str
    pool: Pool
    fixed: str
    operations: int
    operations_from: str
    operations_key: str
    processes: int
    open_files: int | None
    ignored: tuple[IgnoredSetting, ...]
    probe: Probe | None
    servers: tuple[ServerUse, ...]
    logged: ErrorGroup | None
    logged_recently: bool
