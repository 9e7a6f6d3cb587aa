"""What looking into backups brings: whether each would restore, and whether it holds what the home had."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.mdm.backups import Backup
from pytest_mdm_health.mdm.backups.archive.members import BROKEN, CLOSED, Problem, Reading


@dataclass(frozen=True, kw_only=True)
class MissingDataset:
    """A dataset that a backup lacks.

    Attributes:
        parts: what of it is missing.
        later: whether it was registered after the backup was made.
    """

    dataset: str
    parts: tuple[str, ...]
    later: bool


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """A file of a backup that could not take the place of the home's.

    Attributes:
        subject: the dataset, or the file of the home.
        file: where it is in the backup, as it can be printed.
        problems: why, each to follow the file's name in a sentence.
    """

    subject: str
    file: str
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MissingLog:
    """A database in a backup that lacks what the log or journal beside the home's database contains.

    Attributes:
        file: where it is in the backup.
        log: what is beside the home's database.
        newer: whether the home's was written to after the backup was made.
    """

    dataset: str
    file: str
    log: str
    newer: bool


@dataclass(frozen=True, kw_only=True)
class UnreadFile:
    """A file of one dataset that could not be read to its end, with the reasons, as sentences without a full stop."""

    dataset: str
    file: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BackupAssessment:
    """A backup of a whole home that was looked into.

    Attributes:
        reading: what reading it brought, without its members.
        members: how many it has, as far as it was read.
        root: where the home is in it; None if no part of a home was recognised.
        opened: how many databases were opened and verified.
        verified: whether nothing was left unread that this depth asks for.
        missing: datasets that it lacks.
        missing_files: settings and custom features that it lacks, relative to the home.
        damaged: databases in it that are of no use.
        unlike: databases in it without tables, columns or rows that the home's had when it was made.
        metadata: registrations, settings and custom features in it that could not take the place of the home's.
        missing_logs: databases in it that lack what is in the log beside the home's.
        outdated: datasets and files that were changed since, by name.
        shared: what of it is a file of the home itself: a further name of one, or a link to one.
        others: datasets that it has a registration of, and this home has not.
        unread: what of it could not be read, each with its reason, as a sentence without a full stop.
    """

    backup: Backup
    reading: Reading
    members: int
    root: str | None
    opened: int
    verified: bool
    missing: tuple[MissingDataset, ...]
    missing_files: tuple[str, ...]
    damaged: tuple[BadFile, ...]
    unlike: tuple[BadFile, ...]
    metadata: tuple[BadFile, ...]
    missing_logs: tuple[MissingLog, ...]
    outdated: tuple[str, ...]
    shared: tuple[str, ...]
    others: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def packed(self) -> float:
        """How large it is compared with what is in it; 0 where that is not known."""
        return self.backup.size / self.reading.unpacked if self.reading.unpacked else 0.0

    @property
    def broken(self) -> tuple[Problem, ...]:
        """What is wrong with the archive itself, or would do harm."""
        return tuple(problem for problem in self.reading.problems if problem.code in BROKEN)

    @property
    def closed(self) -> tuple[Problem, ...]:
        """What is encrypted, or of a form that is not read here."""
        return tuple(problem for problem in self.reading.problems if problem.code in CLOSED)

    @property
    def undecided(self) -> bool:
        """Whether nothing else is wrong than that not all of it was read."""
        return bool(self.unread) and not (self.broken or self.closed)

    @property
    def restores(self) -> bool:
        """Whether nothing speaks against restoring it."""
        wrong = self.damaged or self.unlike or self.metadata or self.broken or self.closed
        return self.root is not None and not wrong

    @property
    def proven(self) -> bool:
        """Whether it was read to its end and nothing speaks against restoring it."""
        return self.restores and self.reading.complete and not (self.unread or self.missing_logs or self.shared)

    def is_foreign(self, datasets: int) -> bool:
        """Whether it is of another home: it has datasets, and none of the many of this home."""
        whole = {"registration", "data"}
        return bool(self.others) and 0 < datasets == sum(whole <= set(dataset.parts) for dataset in self.missing)


@dataclass(frozen=True, kw_only=True)
class SingleFiles:
    """Backups that are one file for each dataset, and the settings.

    Attributes:
        count: how many there are.
        missing: datasets without a file.
        missing_files: settings and custom features without a file.
        damaged: those that are of no use.
        unlike: those without columns or rows that the home's data had when they were made.
        outdated: datasets that were changed since.
        shared: those that are files of the home itself under another name.
        unread: those that could not be read to their end.
    """

    count: int = 0
    missing: tuple[MissingDataset, ...] = ()
    missing_files: tuple[str, ...] = ()
    damaged: tuple[BadFile, ...] = ()
    unlike: tuple[BadFile, ...] = ()
    outdated: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    unread: tuple[UnreadFile, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether there is a good file of each dataset."""
        return bool(self.count) and not (self.missing or self.damaged or self.unlike or self.shared or self.unread)
