"""Looking into one backup of a whole home: what it is, what it holds, and whether that would be of use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, Unfinished, real_engine, sidecars
from pytest_mdm_health.checks._backup_facts import Assessed, Found, Lacking, Unsound
from pytest_mdm_health.mdm.archive_members import Member, shown
from pytest_mdm_health.mdm.archives import Reading, form_by_name, read_archive
from pytest_mdm_health.mdm.backup_contents import Held, Wanted, WantedDataset, held_in
from pytest_mdm_health.mdm.backup_folders import read_folder
from pytest_mdm_health.mdm.backups import Backup
from pytest_mdm_health.mdm.restoring import Restored
from pytest_mdm_health.model import Depth

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
        with Restored(self._restores) as restored:
            if backup.kind == "folder":
                reading = read_folder(backup.path, self.read_until)
            else:
                reading = read_archive(backup.path, self.read_until, restored)
            self.gaps += (f"{found.path} {gap}" for gap in reading.gaps)
            held = held_in(reading.members, self.wanted)
            before = len(self.gaps)
            opened, unsound = self._data(backup, held, restored) if held.root is not None else (0, ())
        return Assessed(
            backup=found,
            form=reading.form or "",
            called=form_by_name(backup.path.name) or "" if backup.kind == "archive" else "",
            root=held.root,
            members=len(reading.members),
            unpacked=reading.unpacked,
            complete=reading.complete,
            opened=opened,
            verified=reading.complete and self.depth is not Depth.QUICK and len(self.gaps) == before,
            problems=reading.problems,
            lacking=tuple(self._lacking(backup, reading, held, saved)),
            lacking_files=tuple(each for each in self.wanted.files if each not in held.files | saved)
            if reading.listed and held.root is not None
            else (),
            unsound=unsound,
            outdated=tuple(_outdated(self.wanted, held, backup.made)),
        )

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
        return self.depth is not Depth.QUICK and self.wanted.restores(member)

    def _data(self, backup: Backup, held: Held, restored: Restored) -> tuple[int, tuple[Unsound, ...]]:
        opened, unsound = 0, []
        for dataset in self.wanted.datasets:
            member = held.data.get(dataset.name)
            if member is None:
                continue
            problems: tuple[str, ...] | None = ()
            if member.kind == "file" and not member.size:
                problems = ("is empty: it has 0 bytes",)
            elif self.depth is not Depth.QUICK:
                file = backup.path / member.name if backup.kind == "folder" else restored.files.get(member.name)
                where = f"{shown(member.name)} in {shown(str(backup.path))}"
                if file is None:
                    why = restored.refused.get(member.name, "it is a hard link")
                    self.gaps.append(f"{where} was not opened: {why}")
                    continue
                problems = self.problems_of(file, where, dataset)
                opened += problems is not None
            if problems:
                unsound.append(Unsound(dataset=dataset.name, file=shown(member.name), problems=problems))
        return opened, tuple(unsound)

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


def _without_tables(database: Database, dataset: WantedDataset) -> tuple[str, ...]:
    there = {name.casefold() for name in database.tables()}
    if dataset.tables and not any(table.casefold() in there for table in dataset.tables):
        return ("has none of the tables that are registered",)
    return ()


def _outdated(wanted: Wanted, held: Held, made: float) -> Iterator[str]:
    for dataset in wanted.datasets:
        member = held.data.get(dataset.name)
        if member is not None and dataset.live is not None:
            then = made if member.modified is None else member.modified
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
