"""What is known about the locking of one SQLite file."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.backends import Sidecar
from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.host.processes import Holder
from pytest_mdm_health.mdm.logs.known_errors import LoggedError


@dataclass(frozen=True, kw_only=True)
class LeftoverWal:
    """A write-ahead log (WAL) with changes that no running process uses.

    Attributes:
        mismatch: what shows that it was not written for the file as it is now. Empty if nothing does, which is no proof
            that it was.
        valid_frames: how many of its pages SQLite accepts; None if unknown.
        problems_without: what is wrong with the file without the WAL; None if it was not verified.
        problems_with: what is wrong with the file and the WAL together; None if they were not verified.
        is_older: whether the file came to its place after the WAL was last written, as a restored file does.
    """

    sidecar: Sidecar
    mismatch: str
    valid_frames: int | None
    problems_without: tuple[str, ...] | None
    problems_with: tuple[str, ...] | None
    is_older: bool = False

    @property
    def is_foreign(self) -> bool:
        """Whether it does not belong to the file: it says so, or it corrupts a file that is intact without it."""
        corrupts = bool(self.problems_with) and self.problems_without == ()
        return self.valid_frames != 0 and (bool(self.mismatch) or corrupts)


@dataclass(frozen=True, kw_only=True)
class LargeWal:
    """A WAL in use that is larger than SQLite would let it become if nothing kept it from being emptied.

    Attributes:
        size: bytes of the WAL.
        file_size: bytes of the database file.
        pinned_by: processes that kept a read transaction open all the time the file was watched.
        watched_s: how long that was, in seconds.
    """

    size: int
    file_size: int
    pinned_by: tuple[Holder, ...]
    watched_s: float


@dataclass(frozen=True, kw_only=True)
class LockFacts(Facts):
    """How one SQLite file is locked, and how it is configured for concurrent access.

    Attributes:
        wal: whether the file is in WAL mode rather than one with a rollback journal.
        configured: the journal mode in the settings, in upper case.
        configured_in: the file that sets it; empty for MDM's default.
        leftover_wal: a WAL with changes whose writer has ended.
        hot_journal: the journal of a transaction whose process ended before it did.
        has_journal_or_wal: whether there is a journal or WAL of any kind beside the file, even an empty one.
        holders: the other processes that have the file open.
        locked_by: those of them that held a write lock all the time the file was watched, the strongest lock first.
        watched_s: how long that was, in seconds.
        large_wal: the WAL, if it is in use and larger than it should be.
        readers: how many concurrent readers were tried.
        refused_readers: how many of them got "database is locked".
        file_system: the type of the file system, such as `ext4`; empty if unknown.
        network: whether that is a network file system.
        errors: how many recent records of the log with "database is locked" name this dataset or none.
        last_error: the last of them.
        written_after_error: whether the file was written after that, so that it is not locked for good.
    """

    path: str
    wal: bool
    configured: str
    configured_in: str
    leftover_wal: LeftoverWal | None
    hot_journal: Sidecar | None
    has_journal_or_wal: bool
    holders: tuple[Holder, ...]
    locked_by: tuple[Holder, ...]
    watched_s: float
    readers: int
    refused_readers: int
    file_system: str
    network: bool
    errors: int
    last_error: LoggedError | None
    written_after_error: bool
    large_wal: LargeWal | None = None
