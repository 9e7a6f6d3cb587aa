"""Looking into one backup of a whole home: what it is, what it holds, and whether that would be of use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.backends import CannotOpen, Database, QueryFailed, Unfinished, real_engine, sidecars
from pytest_mdm_health.backends.sidecars import SUFFIXES, Sidecar, holding_changes
from pytest_mdm_health.core.model import Depth, Phase
from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.integrity.backups import BackupAssessment, BadFile, MissingDataset, MissingLog
from pytest_mdm_health.integrity.backups.shapes import (
    Failures,
    TableDifference,
    contents_differ,
    file_backend,
    shape_differences,
    shapes_of,
)
from pytest_mdm_health.mdm.backups import Backup
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.archive.members import CHUNK, Member, Reading, inside
from pytest_mdm_health.mdm.backups.archive.restoring import Restored
from pytest_mdm_health.mdm.backups.contents import Held, Wanted, WantedDataset, held_in, identity
from pytest_mdm_health.mdm.backups.folders import read_folder
from pytest_mdm_health.mdm.backups.metadata import MetadataProblem, file_problem, registration_problem
from pytest_mdm_health.mdm.engines import LOG_SUFFIXES
from pytest_mdm_health.mdm.files import Unreadable, open_regular

_SLACK_S = 2.0
"""Archives keep times in whole seconds, some in every second one."""

_HEADING = "***"  # SQLite's, over the problems of one file
_NOT_ITS_FAULT = (
    *("newer-format", "older-format", "encrypted", "locked", "unreadable"),
    *("no-room", "no-permission", "no-descriptors", "no-memory", "io-error"),
)


@dataclass
class Assessor:
    """Looks into backups, and notes what it could not look at.

    Attributes:
        wanted: what they should contain.
        depth: how closely it looks.
        phase: where the migration stands: databases are opened at any depth before one, and compared until one.
        read_until: when reading archives has to stop, by the clock of the session.
        open_until: when opening databases has to stop.
        gaps: grows.
    """

    wanted: Wanted
    depth: Depth
    phase: Phase
    read_until: float
    open_until: float
    gaps: list[str] = field(default_factory=list)

    def assess(self, backup: Backup, saved: frozenset[str]) -> BackupAssessment:
        """Look into a backup; what is `saved` by itself, datasets and settings, need not be in it."""
        start = len(self.gaps)
        with Restored(self._restores) as restored:
            reading = self._read(backup, restored)
            self.gaps += (f"{backup.shown} {gap}" for gap in reading.gaps)
            held = held_in(reading.members, self.wanted)
            opened = _Opened(backup, reading, held, restored)
            looked = self._data(opened) if held.root is not None else _Data()
            metadata = tuple(self._metadata(opened, looked)) if held.root is not None else ()
        unread = tuple(self.gaps[start:])
        listed = reading.listed and held.root is not None
        return BackupAssessment(
            backup=backup,
            reading=replace(reading, members={}),
            members=len(reading.members),
            root=held.root,
            opened=looked.opened,
            verified=reading.complete and self.depth is not Depth.QUICK and not unread,
            missing=tuple(self._missing(backup, held, saved)) if listed else (),
            missing_files=tuple(file for file in self.wanted.files if file not in held.files | saved) if listed else (),
            damaged=tuple(looked.damaged),
            unlike=tuple(looked.unlike),
            metadata=metadata,
            missing_logs=tuple(looked.missing_logs),
            outdated=tuple(dict.fromkeys((*_outdated(opened, self.wanted), *looked.outdated))),
            shared=tuple(self._shared(opened)),
            others=held.others,
            unread=unread,
        )

    def _read(self, backup: Backup, restored: Restored) -> Reading:
        if backup.closed is not None:
            return Reading(form=None, members={}, problems=(backup.closed,))
        if backup.kind == "folder":
            return read_folder(backup.path, self.read_until)
        return read_archive(backup.path, self.read_until, restored)

    def _shared(self, opened: _Opened) -> Iterator[str]:
        """What of a plain copy is a file of the home under another name, or a link to one in the place of a copy."""
        backup, held = opened.backup, opened.held
        if backup.kind != "folder":
            return
        home = os.path.realpath(self.wanted.home.root)
        needed = [held.member_name(path) for path in self.wanted.paths]
        for member in opened.reading.members.values():
            if member.kind == "link" and any(f"{path}/".startswith(f"{member.name}/") for path in needed):
                target = Path(os.path.realpath(backup.path / member.name))
                if target.is_relative_to(home) or identity(target) in self.wanted.identities:
                    yield shortened(member.name)
            elif member.identity in self.wanted.identities:
                yield shortened(member.name)

    def _metadata(self, opened: _Opened, looked: _Data) -> Iterator[BadFile]:
        """Registrations, settings and custom features of a backup that could not take the place of the home's."""
        for dataset in self.wanted.datasets:
            own = dataset.registered_as
            if dataset.name in opened.held.registrations:
                with self._noting_unreadable():
                    if copy := self._restored(opened, dataset.registration):
                        problem = registration_problem(copy, own, self.wanted.home, opened.backup.made)
                        yield from self._judged(opened, dataset.registration, own.file, problem, looked)
        for name, path in self.wanted.files.items():
            if name in opened.held.files:
                with self._noting_unreadable():
                    if copy := self._restored(opened, name):
                        yield from self._judged(opened, name, path, file_problem(copy, path), looked)

    def _restored(self, opened: _Opened, name: str) -> Path | None:
        """Where a file of a backup can be read; an archive has the content of a hard link under its other name."""
        member = opened.held.member_name(name)
        copy = opened.path_of(member) or opened.path_of(inside(opened.reading.members[member].target) or "")
        if copy is None and opened.reading.complete:
            self.gaps.append(f"{shortened(member)} in {shortened(str(opened.backup.path))} was not read")
        return copy

    def _judged(
        self, opened: _Opened, name: str, own: Path, problem: MetadataProblem | None, looked: _Data
    ) -> Iterator[BadFile]:
        if problem is None:
            return
        member = opened.held.member_name(name)
        if problem.unusable or not _was_changed(_mtime(own), opened, [member]):
            if problem.unusable or self.phase is not Phase.POST:
                yield BadFile(subject=name, file=shortened(member), problems=(problem.text,))
        elif self.phase is not Phase.POST:
            looked.outdated.append(name)

    @contextmanager
    def _noting_unreadable(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            self.gaps.append(f"{shortened(str(error.path))} {error.reason}")

    def problems_of(self, path: Path, where: str, dataset: WantedDataset) -> tuple[str, ...] | None:
        """What is wrong with a database file of a backup; None if that could not be found out."""
        remaining = self.open_until - clock()
        if remaining <= 0:
            self.gaps.append(f"{where} was not opened: the time was up")
            return None
        try:
            return self._verified(path, dataset, remaining)
        except CannotOpen as error:
            if error.code not in _NOT_ITS_FAULT:
                return (error.reason,)
            self.gaps.append(f"{where} {error.reason}")
        except Unfinished as error:
            self.gaps.append(f"verifying {where} {error}")
        return None

    def _verified(self, path: Path, dataset: WantedDataset, within_s: float) -> tuple[str, ...]:
        database = file_backend(path, dataset.backend).open()
        try:
            problems = database.integrity(self.depth is Depth.FULL, within_s) if self.depth is not Depth.QUICK else ()
            problems = problems[:-1] if database.surplus else problems  # that is the last of them, and does no harm
            found = tuple(f"is damaged: {each}" for each in problems if not each.startswith(_HEADING))
            return found or _without_tables(database, dataset)
        except QueryFailed as error:
            return (f"cannot be read: {error}",)
        finally:
            database.close()

    def _restores(self, member: Member) -> bool:
        return self.wanted.is_metadata(member) or ((self.opens or bool(self._logged)) and self.wanted.restores(member))

    @property
    def opens(self) -> bool:
        """Whether databases are opened: not at the depth `quick`, unless a migration is about to begin."""
        return self.depth is not Depth.QUICK or self.phase is Phase.PRE

    @cached_property
    def _logged(self) -> Mapping[str, Sequence[Sidecar]]:
        """The logs and journals beside the home's databases that hold changes, by dataset."""
        live = ((each.name, each.live) for each in self.wanted.datasets if each.live is not None)
        found = ((name, holding_changes(sidecars(path), real_engine(path) or "sqlite")) for name, path in live)
        return {name: logs for name, logs in found if logs}

    def _data(self, opened: _Opened) -> _Data:
        looked = _Data()
        for dataset in self.wanted.datasets:
            member = opened.held.data.get(dataset.name)
            if member is not None:
                problems = self._examine(opened, dataset, member, looked)
                if problems:
                    file = shortened(member.name)
                    looked.damaged.append(BadFile(subject=dataset.name, file=file, problems=problems))
        return looked

    def _examine(
        self, opened: _Opened, dataset: WantedDataset, member: Member, looked: _Data
    ) -> tuple[str, ...] | None:
        """What is wrong with a database in a backup by itself; None if that is not known."""
        file = opened.path_of(member.name)
        where = f"{shortened(member.name)} in {shortened(str(opened.backup.path))}"
        if member.kind == "file" and not member.size:
            return ("is empty: it has 0 bytes",)
        if not self.opens and dataset.name not in self._logged:
            with self._noting_unreadable():
                _must_open(file)
            return None
        if file is None:
            why = opened.restored.refused.get(member.name, "it is a hard link")
            self.gaps.append(f"{where} was not opened: {why}")
            return None
        problems = self.problems_of(file, where, dataset)
        looked.opened += problems is not None
        if problems != ():
            return problems
        made = opened.backup.made
        if self._lacks_log(file, where, dataset, made):
            log = shortened(str(self._logged[dataset.name][0].path))
            newer = dataset.live is not None and changed_since(dataset.live, made)
            looked.missing_logs.append(
                MissingLog(dataset=dataset.name, file=shortened(member.name), log=log, newer=newer)
            )
        else:
            self._compare(opened, dataset, member, file, looked)
        return ()

    def _compare(self, opened: _Opened, dataset: WantedDataset, member: Member, file: Path, looked: _Data) -> None:
        """Compare a sound database of a backup with the home's, unless that was migrated."""
        live = dataset.live
        if live is None or self.phase is Phase.POST:
            return
        changed = _was_changed(
            written_at(live), opened, [member.name, *(f"{member.name}{end}" for end in LOG_SUFFIXES)]
        )
        where = f"{shortened(member.name)} in {shortened(str(opened.backup.path))}"
        unlike, explained = self.differences_of(file, where, dataset, changed=changed, made=opened.backup.made)
        if unlike:
            looked.unlike.append(BadFile(subject=dataset.name, file=shortened(member.name), problems=unlike))
        elif explained:
            looked.outdated.append(dataset.name)

    def differences_of(
        self, copy: Path, where: str, dataset: WantedDataset, *, changed: bool, made: float
    ) -> tuple[tuple[str, ...], bool]:
        """What a copy lacks of the home's database for no good reason, and whether it lacks anything for a good one.

        Args:
            copy: the database, in a backup or restored from one.
            where: it, for a person.
            dataset: what it is of.
            changed: whether the home's was written to since.
            made: when the backup was made, in seconds since 1970.
        """
        live = dataset.live
        if live is None:
            return (), False
        try:
            there, saved = (shapes_of(file_backend(path, dataset.backend), self.open_until) for path in (live, copy))
            found = list(shape_differences(there, saved))
            if not found and not changed and self.depth is Depth.FULL and real_engine(live) == real_engine(copy):
                differ = contents_differ(live, copy, dataset.backend, self.open_until)
                return (("has other values than the home's",) if differ else ()), False
        except Failures as error:
            self.gaps.append(f"{where} was not compared with {shortened(str(live))}: {error}")
            return (), False
        registered = {table.casefold() for table in dataset.tables}
        found.sort(key=lambda difference: difference.table not in registered)
        unlike = [each.text for each in found if not _is_explained(each, dataset, changed=changed, made=made)]
        return tuple(unlike), bool(found)

    def _lacks_log(self, file: Path, where: str, dataset: WantedDataset, made: float) -> bool:
        """Whether a sound database lacks what the log or journal beside the home's holds.

        That depends on what is in it: a copy made by the engine holds the changes and needs no log.
        """
        logs, live = self._logged.get(dataset.name, ()), dataset.live
        if not logs or live is None:
            return False
        if all(_same_bytes(each.path, file.with_name(file.name + _ending(each))) for each in logs):
            return False
        if changed_since(live, made) and not _same_bytes(live, file):
            return False  # the home has moved on, which is said by itself
        try:
            return contents_differ(live, file, dataset.backend, self.open_until)
        except Failures as error:
            self.gaps.append(f"{where} was not compared with what is in {shortened(str(logs[0].path))}: {error}")
            return False

    def _missing(self, backup: Backup, held: Held, saved: frozenset[str]) -> Iterator[MissingDataset]:
        for dataset in self.wanted.datasets:
            has_data = not dataset.data or dataset.name in held.data or dataset.name in saved
            there = {"registration": dataset.name in held.registrations, "data": has_data}
            parts = tuple(part for part, is_there in there.items() if not is_there)
            if parts:
                later = dataset.registered is not None and dataset.registered > backup.made
                yield MissingDataset(dataset=dataset.name, parts=parts, later=later)


@dataclass
class _Data:
    """What looking at the databases in a backup brought."""

    opened: int = 0
    damaged: list[BadFile] = field(default_factory=list)
    missing_logs: list[MissingLog] = field(default_factory=list)
    unlike: list[BadFile] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    """A backup that was read, while what was restored from it is there."""

    backup: Backup
    reading: Reading
    held: Held
    restored: Restored

    def path_of(self, member: str) -> Path | None:
        """Where a member can be read; None if it was not restored."""
        return self.backup.path / member if self.backup.kind == "folder" else self.restored.files.get(member)


def _is_explained(difference: TableDifference, dataset: WantedDataset, *, changed: bool, made: float) -> bool:
    """Whether a change of the home since explains that a copy is unlike it.

    Rows come and go, and tables of features are made again. The tables that were registered have their columns, and
    some rows, from the beginning on, so that a copy without these was never good, whatever the times of files say.
    """
    if not changed:
        return False
    again = dataset.registered is not None and dataset.registered > made
    registered = {table.casefold() for table in dataset.tables}
    return again or difference.only_rows or difference.table not in registered


def _was_changed(home: float, opened: _Opened, members: Sequence[str]) -> bool:
    """Whether a file of the home, last written to at a moment, was changed after it was copied to a member.

    A copy that was written to last is no older state of the home's. Archives cut times to seconds; where that leaves it
    open, the time of the archive decides.
    """
    found = (opened.reading.members.get(name) for name in members)
    times = [member.modified for member in found if member is not None and member.modified is not None]
    if not times:
        return home > opened.backup.made
    exact = opened.backup.kind == "folder"
    return home > max(times) and (exact or home > max(times) + _SLACK_S or home > opened.backup.made)


def _must_open(file: Path | None) -> None:
    """A plain copy's file has to be one that may be read, however little of it is."""
    if file is not None:
        open_regular(file).close()


def _ending(log: Sidecar) -> str:
    return next(suffix for suffix, kind in SUFFIXES if kind == log.kind)


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        with open_regular(one) as first, open_regular(other) as second:
            size = os.fstat(first.fileno()).st_size
            if size != os.fstat(second.fileno()).st_size:
                return False
            while (chunk := first.read(CHUNK)) == second.read(CHUNK):
                progress(f"{one} beside {other}", first.tell(), size)
                if not chunk:
                    return True
            return False
    except (OSError, Unreadable):
        return False


def _without_tables(database: Database, dataset: WantedDataset) -> tuple[str, ...]:
    there = {name.casefold() for name in database.tables()}
    if dataset.tables and not any(table.casefold() in there for table in dataset.tables):
        return ("has none of the tables that are registered",)
    return ()


def _outdated(opened: _Opened, wanted: Wanted) -> Iterator[str]:
    members = opened.reading.members
    for dataset in wanted.datasets:
        member = opened.held.data.get(dataset.name)
        if member is not None and dataset.live is not None:
            near = (members.get(f"{member.name}{ending}") for ending in LOG_SUFFIXES)
            times = [each.modified for each in (member, *near) if each is not None and each.modified is not None]
            if changed_since(dataset.live, max(times, default=opened.backup.made)):
                yield dataset.name


def changed_since(database: Path, then: float) -> bool:
    """Whether a database, or the log beside it, was written to after a moment."""
    return written_at(database) > then + _SLACK_S


def written_at(database: Path) -> float:
    """When a database, or the log beside it, was written to last."""
    files = [database, *(each.path for each in sidecars(database) if each.kind != "shm")]
    return max(map(_mtime, files))


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
