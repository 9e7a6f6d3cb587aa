"""What is known of one SQLite file's locking: the facts of sqlite-locking."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.host.processes import Holder


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A journal or log beside the file: left over, unless it is live.

    Attributes:
        another: of a log that was left over, how it shows that it is of another time than the file; empty if it does
            not, which is no proof that it belongs to it.
        frames: of such a log, how many pages in it SQLite would take for valid; -1 if that is not known.
        alone: what is wrong with the file without the log; None if that is not known.
        together: what is wrong with file and log; None if that is not known.
    """

    path: str
    kind: str
    size: int
    live: bool
    another: str = ""
    frames: int = -1
    alone: tuple[str, ...] | None = None
    together: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Readers:
    """Readers that were sent at the same time: how many, how many were locked out, and how long the slowest took."""

    sent: int = 0
    refused: int = 0
    slowest_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LockErrors:
    """Lines in the log that say "database is locked".

    Attributes:
        count: how often, recently, as far as it is not about other datasets.
        last: when last; empty if the log does not tell.
        later_written: whether the file was written since, so that whoever was refused was not refused for long.
        log: the file and the line of the last one.
    """

    count: int = 0
    last: str = ""
    later_written: bool = False
    log: str = ""
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class LockFacts(Facts):
    """How one SQLite file is locked, and how it is set up for several users.

    Attributes:
        wal: whether the file is in WAL mode rather than one with a rollback journal.
        configured: the journal mode that the settings tell MDM to use.
        configured_in: where they do.
        registered: the journal mode in the registration.
        unaccompanied: whether there is neither a journal nor a log beside the file, not even an empty one.
        holders: who has it open.
        holders_known: whether these are all.
        locked: the kind of lock for writing that somebody held all the time that was watched; empty if nobody did.
        locked_by: who.
        watched_s: how long.
        file_system: such as `ext4`; empty if it is not known.
        network: whether that lies on another machine.
    """

    path: str
    size: int
    wal: bool
    configured: str
    configured_in: str
    registered: str
    beside: tuple[Beside, ...] = ()
    unaccompanied: bool = True
    holders: tuple[Holder, ...] = ()
    holders_known: bool = True
    locked: str = ""
    locked_by: tuple[Holder, ...] = ()
    watched_s: float = 0.0
    readers: Readers = Readers()
    file_system: str = ""
    network: bool = False
    errors: LockErrors = LockErrors()
