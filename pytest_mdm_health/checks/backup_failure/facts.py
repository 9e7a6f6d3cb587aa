"""What backup-failure sees: the backups, the place for the next one, and who may do what in the home."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.model import Facts, Phase
from pytest_mdm_health.mdm.backups.archive.members import CLOSED, Problem

OLD_DAYS = 30
"""The guide's age from which backups are deleted."""

PACKS_AT_BEST = 10
"""How many times smaller a backup may become: nothing is known to go by, and no real home packs better."""

SOME = 20
"""How many of many paths are named."""


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Paths that have something in common.

    Attributes:
        count: how many there are.
        some: the first of them, as they can be printed and typed.
    """

    count: int = 0
    some: tuple[str, ...] = ()

    @property
    def all_named(self) -> bool:
        """Whether none is left out."""
        return self.count == len(self.some)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A backup that is there, as it looks from outside.

    Attributes:
        kind: as in `mdm.backups.Backup`.
        age_s: seconds since it was made; negative if it lies in the future.
        by_script: whether it is called as the guide's script calls it.
    """

    path: str
    kind: str
    age_s: float
    size: int
    by_script: bool

    @property
    def days(self) -> int:
        """Whole days since it was made, as `find -mtime` counts them."""
        return int(self.age_s // 86400)


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """A dataset that a backup does not hold.

    Attributes:
        what: the parts that are missing.
        since: whether it was registered after the backup was made.
    """

    dataset: str
    what: tuple[str, ...]
    since: bool


@dataclass(frozen=True, kw_only=True)
class OnServer:
    """A dataset on a database server: where, as far as it is registered; no user and no password."""

    dataset: str
    host: str
    port: str
    database: str


@dataclass(frozen=True, kw_only=True)
class Unsound:
    """Data in a backup that would be of no use.

    Attributes:
        file: where it is in the backup.
        problems: why, each to follow the file's name in a sentence.
    """

    dataset: str
    file: str
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Unlogged:
    """A database in a backup that lacks what the log or journal beside the home's database holds.

    Attributes:
        file: where it is in the backup.
        log: what lies beside the home's database.
        newer: whether the home's was written to after the backup was made.
    """

    dataset: str
    file: str
    log: str
    newer: bool


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A file of one dataset that could not be read to its end, with the reasons, as sentences without a full stop."""

    dataset: str
    file: str
    why: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """A backup of a whole home that was looked into.

    Attributes:
        form: what it is by its first bytes; empty if it is nothing known.
        called: what its name says it is.
        root: where the home lies in it; None if nothing of a home was recognised.
        members: how many there are, as far as it was read.
        unpacked: bytes that came out.
        complete: whether all of it was read.
        opened: how many databases were opened and verified.
        verified: whether nothing was left unread that this depth asks for.
        problems: of the archive.
        lacking: datasets that it does not hold.
        lacking_files: settings and custom features that it does not hold, relative to the home.
        unsound: data in it that would be of no use.
        outdated: datasets and files that were changed since, by name.
        unread: what of it could not be looked at, each with its reason, as a sentence without a full stop.
        unlogged: databases in it that lack what is in the log beside the home's.
        unlike: databases in it without tables, columns or rows that the home's had when it was made.
        metadata: registrations, settings and custom features in it that could not take the place of the home's.
        shared: what of it is a file of the home itself: a further name of one, or a link to one.
        others: datasets that it has a registration of, and this home has not.
    """

    backup: Found
    form: str
    called: str
    root: str | None
    members: int
    unpacked: int
    complete: bool
    opened: int
    verified: bool
    problems: tuple[Problem, ...]
    lacking: tuple[Lacking, ...]
    lacking_files: tuple[str, ...]
    unsound: tuple[Unsound, ...]
    outdated: tuple[str, ...]
    unread: tuple[str, ...] = ()
    unlogged: tuple[Unlogged, ...] = ()
    unlike: tuple[Unsound, ...] = ()
    metadata: tuple[Unsound, ...] = ()
    shared: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def restores(self) -> bool:
        """Whether nothing speaks against restoring it."""
        wrong = self.unsound or self.unlike or self.metadata or self.broken or self.closed
        return self.root is not None and not wrong

    def is_foreign(self, datasets: int) -> bool:
        """Whether it is of another home: it has datasets, and none of the many of this home."""
        lacking = sum(set(each.what) >= {"registration", "data"} for each in self.lacking)
        return bool(self.others) and 0 < datasets == lacking

    @property
    def broken(self) -> bool:
        """Whether the archive itself is damaged or would do harm."""
        bad = {"unknown-format", "truncated", "damaged", "escape", "bomb"}
        return any(each.code in bad for each in self.problems)

    @property
    def open(self) -> bool:
        """Whether nothing else is wrong than that not all of it was read."""
        return bool(self.unread) and not (self.broken or self.closed)

    @property
    def proven(self) -> bool:
        """Whether it was read to its end and nothing speaks against restoring it."""
        return self.restores and self.complete and not (self.unread or self.unlogged or self.shared)

    @property
    def closed(self) -> tuple[Problem, ...]:
        """What is encrypted, or of a form that is not read here."""
        return tuple(each for each in self.problems if each.code in CLOSED)


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
        likely = self.needed // PACKS_AT_BEST if self.expected is None else self.expected
        return not self.read_only and not self.full and self.free >= likely


@dataclass(frozen=True, kw_only=True)
class Access:
    """Owners and modes in the home.

    Attributes:
        owner: the home's owner, who is taken for the one that runs MDM.
        private: whether the home is closed to others.
        foreign: belong to somebody else, and the owner may use them all the same.
        foreign_barred: belong to somebody else, and are data, registrations or settings that the owner may not use.
        foreign_barred_others: likewise, other things.
        barred: data, registrations or settings that the owner may not use.
        barred_others: other things that the owner may not use.
        open_to_all: everybody may write.
        open_to_group: a group may write that is not the owner's alone.
        odd_folders: neither 755 nor 700.
        passwords: files with a password in them that others may read.
        shielded: whether folders above keep others out of all of those that are open to all or hold a password.
    """

    owner: str
    private: bool
    foreign: Paths = Paths()
    foreign_barred: Paths = Paths()
    foreign_barred_others: Paths = Paths()
    barred: Paths = Paths()
    barred_others: Paths = Paths()
    open_to_all: Paths = Paths()
    open_to_group: Paths = Paths()
    odd_folders: Paths = Paths()
    passwords: Paths = Paths()
    shielded: bool = False


@dataclass(frozen=True, kw_only=True)
class Script:
    """The guide's `backup_mdm_state.sh`.

    Attributes:
        path: where it is.
        ran: whether it was tried.
        code: its exit code; None if it was not run or not to its end.
        how: how it ended, in words.
        output: the end of what it wrote, without passwords.
    """

    path: str
    ran: bool = False
    code: int | None = None
    how: str = ""
    output: str = ""


@dataclass(frozen=True, kw_only=True)
class BackupFacts(Facts):
    """What was seen.

    Attributes:
        phase: where the migration stands.
        home: the home's folder.
        datasets: how many are registered.
        on_servers: those whose data no copy of the home can hold, and of which there is no dump.
        outside: registered databases that lie outside the home, and what belongs to them.
        cache_is_needed: whether the settings or a registration put something into the cache that is no cache.
        place: where backups go.
        looked: the folders where backups were looked for.
        backups: the newest of those that are there.
        count: how many there are.
        old: those of the script that are older than the guide's age.
        assessed: those of a whole home that were looked into, newest first, up to the first that restores.
        parts: files that hold one dataset each, or the settings.
        lacking: datasets that are in none of those files, where there is no backup of the whole home.
        lacking_files: settings and custom features that are in none, likewise.
        outdated: datasets that were changed since the file was made, likewise.
        unsound: files of those that would be of no use.
        access: owners and modes; None where the system has no such thing.
        script: None if there is none.
        unread: files of single datasets that could not be read to their end.
        unlisted: what of the folders of backups could not be listed, each with its reason.
        unlike: files of single datasets without columns or rows that the home's data had when they were made.
        shared: those that are files of the home itself under another name.
    """

    phase: str
    home: str
    datasets: int
    on_servers: tuple[OnServer, ...]
    outside: tuple[str, ...]
    cache_is_needed: bool = False
    place: Place
    looked: tuple[str, ...]
    backups: tuple[Found, ...]
    count: int
    old: int
    assessed: tuple[Assessed, ...]
    parts: int
    lacking: tuple[Lacking, ...]
    lacking_files: tuple[str, ...]
    outdated: tuple[str, ...]
    unsound: tuple[Unsound, ...]
    access: Access | None
    script: Script | None
    unread: tuple[Unread, ...] = ()
    unlisted: tuple[str, ...] = ()
    unlike: tuple[Unsound, ...] = ()
    shared: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether there is a backup that was read to its end and would restore."""
        in_parts = bool(self.parts) and not self.assessed
        return any(each.proven for each in self.assessed) or (
            in_parts and not (self.lacking or self.unsound or self.unlike or self.shared or self.unread)
        )

    @property
    def not_known(self) -> tuple[str, ...]:
        """Before a migration, why it is not known whether there is a backup: a right or the time was missing."""
        if self.phase != Phase.PRE.value or self.proven:
            return ()
        reasons = [*self.unlisted, *(reason for file in self.unread for reason in file.why)]
        reasons += [reason for one in self.assessed if one.open for reason in one.unread]
        return tuple(dict.fromkeys(reasons))
