"""Looking into one backup of a whole home: what it is, what it holds, and whether that would be of use."""

from __future__ import annotations

import filecmp
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, Unfinished, real_engine, sidecars
from pytest_mdm_health.backends.sidecars import SUFFIXES, Sidecar, holding_changes
from pytest_mdm_health.checks.backup_failure.compare import Failures, contents_differ
from pytest_mdm_health.checks.backup_failure.facts import Assessed, Found, Lacking, Unlogged, Unsound
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups import Backup
from pytest_mdm_health.mdm.backups.archive import Reading, form_by_name, read_archive
from pytest_mdm_health.mdm.backups.archive.members import Member
from pytest_mdm_health.mdm.backups.archive.restoring import Restored
from pytest_mdm_health.mdm.backups.contents import BESIDE, Held, Wanted, WantedDataset, held_in
from pytest_mdm_health.mdm.backups.folders import read_folder
from pytest_mdm_health.mdm.files import Unreadable, open_regular, read_bytes

_SLACK_S = 2.0
"""Archives keep times in whole seconds, some in every second one."""

_HEADING = "***"  # SQLite's, over the problems of one file
_NOT_ITS_FAULT = ("newer-format", "no-room", "locked", "unreadable")


@dataclass
class Looking:
    """Looking into backups, with what could not be looked at.

    Attributes:
        depth: how closely.
        read_until: when reading archives has to stop, by the monotonic clock.
        open_until: when opening databases has to stop.
        gaps: grows.
    """

    wanted: Wanted
    depth: Depth
    read_until: float
    open_until: float
    gaps: list[str] = field(default_factory=list)

    def assess(self, backup: Backup, found: Found, saved: frozenset[str]) -> Assessed:
        """Look into a backup; what is `saved` by itself, datasets and settings, need not be in it."""
        start = len(self.gaps)
        with Restored(self._restores) as restored:
            reading = self._reading(backup, restored)
            self.gaps += (f"{found.path} {gap}" for gap in reading.gaps)
            held = held_in(reading.members, self.wanted)
            if backup.kind == "folder":
                self._read_small(backup.path, held)
            looked = self._data(backup, held, restored) if held.root is not None else _Data()
        unread = tuple(self.gaps[start:])
        return Assessed(
            backup=found,
            form=reading.form or "",
            called=form_by_name(backup.path.name) or "" if backup.kind == "archive" else "",
            root=held.root,
            members=len(reading.members),
            unpacked=reading.unpacked,
            complete=reading.complete,
            opened=looked.opened,
            verified=reading.complete and self.depth is not Depth.QUICK and not unread,
            problems=reading.problems,
            lacking=tuple(self._lacking(backup, reading, held, saved)),
            lacking_files=tuple(each for each in self.wanted.files if each not in held.files | saved)
            if reading.listed and held.root is not None
            else (),
            unsound=tuple(looked.unsound),
            outdated=tuple(_outdated(self.wanted, reading, held, backup.made)),
            unread=unread,
            unlogged=tuple(looked.unlogged),
        )

    def _reading(self, backup: Backup, restored: Restored) -> Reading:
        if backup.closed is not None:
            return Reading(form=None, members={}, problems=(backup.closed,))
        if backup.kind == "folder":
            return read_folder(backup.path, self.read_until)
        return read_archive(backup.path, self.read_until, restored)

    def _read_small(self, folder: Path, held: Held) -> None:
        """Read what of a plain copy no archive reader reads: settings, registrations, custom features."""
        names = [each.registration for each in self.wanted.datasets if each.name in held.registrations]
        for name in (*names, *sorted(held.files)):
            with self._noting_unreadable():
                read_bytes(folder / (held.root or "") / name)

    @contextmanager
    def _noting_unreadable(self) -> Iterator[None]:
        try:
            yield
        except Unreadable as error:
            self.gaps.append(f"{shortened(str(error.path))} {error.reason}")

    def problems_of(self, path: Path, where: str, dataset: WantedDataset) -> tuple[str, ...] | None:
        """What is wrong with a database file of a backup; None if that could not be found out."""
        remaining = self.open_until - time.monotonic()
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
        database = Backend(real_engine(path) or dataset.backend or "sqlite", path).open()
        try:
            problems = database.integrity(self.depth is Depth.FULL, within_s)
            problems = problems[:-1] if database.surplus else problems  # that is the last of them, and does no harm
            found = tuple(f"is damaged: {each}" for each in problems if not each.startswith(_HEADING))
            return found or _without_tables(database, dataset)
        except QueryFailed as error:
            return (f"cannot be read: {error}",)
        finally:
            database.close()

    def _restores(self, member: Member) -> bool:
        return (self.depth is not Depth.QUICK or bool(self._logged)) and self.wanted.restores(member)

    @cached_property
    def _logged(self) -> Mapping[str, Sequence[Sidecar]]:
        """The logs and journals beside the home's databases that hold changes, by dataset."""
        live = ((each.name, each.live) for each in self.wanted.datasets if each.live is not None)
        found = ((name, holding_changes(sidecars(path), real_engine(path) or "sqlite")) for name, path in live)
        return {name: logs for name, logs in found if logs}

    def _data(self, backup: Backup, held: Held, restored: Restored) -> _Data:
        looked = _Data()
        for dataset in self.wanted.datasets:
            member = held.data.get(dataset.name)
            if member is None:
                continue
            problems: tuple[str, ...] | None = ()
            file = backup.path / member.name if backup.kind == "folder" else restored.files.get(member.name)
            where = f"{shortened(member.name)} in {shortened(str(backup.path))}"
            if member.kind == "file" and not member.size:
                problems = ("is empty: it has 0 bytes",)
            elif self.depth is Depth.QUICK and dataset.name not in self._logged:
                with self._noting_unreadable():
                    _must_open(file)
            elif file is None:
                why = restored.refused.get(member.name, "it is a hard link")
                self.gaps.append(f"{where} was not opened: {why}")
            else:
                problems = self.problems_of(file, where, dataset)
                looked.opened += problems is not None
                if problems == () and self._lacks_log(file, where, dataset, backup.made):
                    log = self._logged[dataset.name][0].path
                    newer = dataset.live is not None and changed_since(dataset.live, backup.made)
                    looked.unlogged.append(
                        Unlogged(
                            dataset=dataset.name, file=shortened(member.name), log=shortened(str(log)), newer=newer
                        )
                    )
            if problems:
                looked.unsound.append(Unsound(dataset=dataset.name, file=shortened(member.name), problems=problems))
        return looked

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

    def _lacking(self, backup: Backup, reading: Reading, held: Held, saved: frozenset[str]) -> Iterator[Lacking]:
        if not reading.listed or held.root is None:
            return
        for dataset in self.wanted.datasets:
            has_data = not dataset.data or dataset.name in held.data or dataset.name in saved
            parts = {"registration": dataset.name in held.registrations, "data": has_data}
            what = tuple(part for part, there in parts.items() if not there)
            if what:
                since = dataset.registered is not None and dataset.registered > backup.made
                yield Lacking(dataset=dataset.name, what=what, since=since)


@dataclass
class _Data:
    """What looking at the databases in a backup brought."""

    opened: int = 0
    unsound: list[Unsound] = field(default_factory=list)
    unlogged: list[Unlogged] = field(default_factory=list)


def _must_open(file: Path | None) -> None:
    """A plain copy's file has to be one that may be read, however little of it is."""
    if file is not None:
        open_regular(file).close()


def _ending(log: Sidecar) -> str:
    return next(suffix for suffix, kind in SUFFIXES if kind == log.kind)


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _without_tables(database: Database, dataset: WantedDataset) -> tuple[str, ...]:
    there = {name.casefold() for name in database.tables()}
    if dataset.tables and not any(table.casefold() in there for table in dataset.tables):
        return ("has none of the tables that are registered",)
    return ()


def _outdated(wanted: Wanted, reading: Reading, held: Held, made: float) -> Iterator[str]:
    for dataset in wanted.datasets:
        member = held.data.get(dataset.name)
        if member is not None and dataset.live is not None:
            near = (reading.members.get(f"{member.name}{ending}") for ending in BESIDE)
            times = [each.modified for each in (member, *near) if each is not None and each.modified is not None]
            then = max(times, default=made)
            if changed_since(dataset.live, then):
                yield dataset.name


def changed_since(database: Path, then: float) -> bool:
    """Whether a database, or the log beside it, was written to after a moment."""
    files = [database, *(each.path for each in sidecars(database) if each.kind != "shm")]
    return max(map(_mtime, files)) > then + _SLACK_S


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
