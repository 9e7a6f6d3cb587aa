"""The facts of backup-failure: the backups, the place for the next one, and who may do what in the home."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts, Phase
from pytest_mdm_health.integrity.backups import BackupAssessment, SingleFiles
from pytest_mdm_health.mdm.host.access import Access
from pytest_mdm_health.mdm.installed.backup_script import BackupScript

COMPRESSION = 10
"""How many times smaller a backup may become: there is nothing to go by, and no real home compresses better."""


@dataclass(frozen=True, kw_only=True)
class ServerDataset:
    """A dataset on a database server: where, as far as it is registered; no user and no password."""

    dataset: str
    host: str
    port: str
    database: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where backups go.

    Attributes:
        folder: the folder.
        kind: what stands there, as in `FileKind`.
        standing: the folder itself, or the nearest above that is there.
        refused: what the home's owner may not do there; empty if all is well.
        read_only: whether the file system is mounted so, here.
        mount: where that file system is mounted, if it is read-only and the system tells.
        needed: bytes of a new backup that is not compressed.
        beside: of these, bytes of write-ahead logs and journals.
        expected: bytes of a new backup if it packs like the newest one; None if there is none to go by.
        free: bytes that are free on its file system.
        full: whether the file system has no room for another file, whatever its size.
    """

    folder: str
    kind: str
    standing: str
    refused: str
    read_only: bool
    needed: int
    beside: int
    expected: int | None
    free: int
    full: bool
    mount: str = ""

    @property
    def usable(self) -> bool:
        """Whether the next backup can go there, as far as this is known."""
        likely = self.needed // COMPRESSION if self.expected is None else self.expected
        return not self.read_only and not self.full and self.free >= likely


@dataclass(frozen=True, kw_only=True)
class BackupFacts(Facts):
    """What was seen.

    Attributes:
        now: when, in seconds since 1970.
        phase: where the migration stands.
        home: the home's folder.
        datasets: how many are registered.
        on_servers: those whose data no copy of the home can contain, and of which there is no dump.
        outside: registered databases outside the home, and what belongs to them.
        place: where backups go.
        looked: the folders where backups were looked for.
        count: how many there are.
        old: those of the script that are older than the guide's age.
        recent: those of the script in the folder itself that are younger.
        from_the_future: the newest of those whose time has not come yet, as it can be printed; empty if there is none.
        assessed: those of a whole home that were looked into, newest first, up to the first that restores.
        files: those that are one file for each dataset.
        access: owners and modes; None where the system has no such thing.
        script: None if there is none.
        unlisted: what of the folders of backups could not be listed, each with its reason.
    """

    now: float
    phase: str
    home: str
    datasets: int
    on_servers: tuple[ServerDataset, ...]
    outside: tuple[str, ...]
    place: Place
    looked: tuple[str, ...]
    count: int
    old: int
    recent: int = 0
    from_the_future: str = ""
    assessed: tuple[BackupAssessment, ...]
    files: SingleFiles
    access: Access | None
    script: BackupScript | None
    unlisted: tuple[str, ...] = ()

    @property
    def before_migration(self) -> bool:
        """Whether a migration is about to begin."""
        return self.phase == Phase.PRE.value

    @property
    def proven(self) -> bool:
        """Whether there is a backup that was read to its end and would restore."""
        if self.assessed:
            return any(assessment.proven for assessment in self.assessed)
        return self.files.proven

    @property
    def undecided(self) -> tuple[str, ...]:
        """Why it is not known whether there is a good backup: a right or the time was missing."""
        if self.proven:
            return ()
        reasons = [*self.unlisted, *(reason for file in self.files.unread for reason in file.reasons)]
        reasons += [reason for backup in self.assessed if backup.undecided for reason in backup.unread]
        return tuple(dict.fromkeys(reasons))
