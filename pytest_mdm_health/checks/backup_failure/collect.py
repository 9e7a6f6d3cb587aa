"""How backup-failure collects its facts, within the time that a check has."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.checks.backup_failure.facts import BackupFacts, Place, ServerDataset
from pytest_mdm_health.core.model import Depth, Phase
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.integrity.backups import BackupAssessment
from pytest_mdm_health.integrity.backups.assess import Assessor
from pytest_mdm_health.integrity.backups.packing import outside_of
from pytest_mdm_health.integrity.backups.single_files import assess_files, newest_files
from pytest_mdm_health.mdm.backups import Backups, look_for_backups
from pytest_mdm_health.mdm.backups.contents import wanted_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.host.access import SOME, Walk, access_of, walk
from pytest_mdm_health.mdm.host.accounts import ENTER, POSIX, READ, WRITE, Account, owner_of
from pytest_mdm_health.mdm.host.mounts import mount_of
from pytest_mdm_health.mdm.installed.backup_script import NAME, BackupScript, dry_run, find_script
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations.passwords import files_with_passwords

OLD_DAYS = 30
"""The guide's age from which backups are deleted."""

FUTURE_S = 600
"""How far a clock may be wrong."""

_LOOKED_INTO = 3
"""How many backups are looked into, from the newest on, until one would restore."""

_WALK_SHARE, _READ_SHARE, _OPEN_SHARE, _ALL_SHARE = 0.15, 0.5, 0.7, 0.9
_DUMPS = (".dump", ".sql", ".sql.gz", ".pgdump")
_SERVER = "postgresql"


class Collector:
    """Looks at the backups, at the place for the next one, and at the home."""

    def __init__(self, inventory: Inventory, options: Options) -> None:
        """Prepare to look; the time begins now."""
        self._inventory, self._home, self._options = inventory, inventory.home, options
        self._now, self._started = time.time(), clock()
        self._assessor = Assessor(
            wanted=wanted_of(inventory),
            depth=Depth(options.depth),
            phase=Phase(options.phase),
            read_until=self._until(_READ_SHARE),
            open_until=self._until(_OPEN_SHARE),
        )

    def collect(self) -> BackupFacts:
        """Everything."""
        wanted, gaps = self._assessor.wanted.datasets, self._assessor.gaps
        there = look_for_backups(self._home, self._options.backup, frozenset(dataset.name for dataset in wanted))
        owner = owner_of(self._home.root)
        walked = walk(self._home, there.folder, owner, self._until(_WALK_SHARE))
        elsewhere = dict(outside_of(self._inventory))
        for path, size in elsewhere.items():
            walked.add_size(path, size)
        newest = newest_files(there, self._assessor)
        files = assess_files(newest, self._assessor)
        useless = {file.subject for file in (*files.damaged, *files.unlike)}
        useless |= {file.dataset for file in files.unread}
        assessed = self._assess(there, frozenset(newest) - useless)
        script = self._script()
        passwords = [*files_with_passwords(self._inventory)]
        passwords += [backup.path for backup in there.found[:SOME] if backup.kind == "archive"] if passwords else []
        future = (backup.shown for backup in there.found if backup.made > self._now + FUTURE_S)
        facts = BackupFacts(
            examined=walked.entries + len(there.found),
            gaps=(*walked.gaps, *there.gaps, *gaps),
            now=self._now,
            phase=self._options.phase,
            home=str(self._home.root),
            datasets=len(wanted),
            on_servers=tuple(_on_servers(self._inventory, there.folder)),
            outside=tuple(map(str, elsewhere)),
            place=_place(there.folder, owner, walked, assessed),
            looked=tuple(map(str, there.looked)),
            count=len(there.found),
            old=sum(backup.by_script and backup.days(self._now) > OLD_DAYS for backup in there.found),
            recent=sum(
                backup.by_script and backup.path.parent == there.folder and backup.days(self._now) <= OLD_DAYS
                for backup in there.found
            ),
            from_the_future=next(future, ""),
            assessed=assessed,
            files=files,
            access=access_of(walked, owner, passwords) if POSIX else None,
            script=script,
            unlisted=there.gaps,
        )
        undecided = facts.undecided
        return replace(facts, unexamined=undecided, gaps=tuple(gap for gap in facts.gaps if gap not in undecided))

    def _until(self, share: float) -> float:
        return self._started + share * self._options.timeout

    def _assess(self, there: Backups, saved: frozenset[str]) -> tuple[BackupAssessment, ...]:
        """From the newest on until one is proven; an archive without a home in it need not be one of MDM's."""
        assessed: list[BackupAssessment] = []
        for backup in there.found:
            if not (backup.whole or backup.kind == "closed"):
                continue
            gaps = len(self._assessor.gaps)
            result = self._assessor.assess(backup, saved)
            if result.root is None and not backup.named and (result.reading.complete or not there.certain):
                del self._assessor.gaps[gaps:]
                continue
            assessed.append(result)
            if result.proven or len(assessed) == _LOOKED_INTO or clock() > self._assessor.read_until:
                break
        if not any(result.proven for result in assessed):
            return tuple(assessed)
        # with a proven one at hand, what need not be of MDM is taken for something else
        return tuple(each for each in assessed if each.backup.named or not each.closed or each.members)

    def _script(self) -> BackupScript | None:
        path = find_script(self._home, self._options)
        if path is not None and self._options.run_scripts:
            remaining = self._until(_ALL_SHARE) - clock()
            return dry_run(path, self._home, max(remaining, 1.0), self._assessor.gaps)
        if self._options.run_scripts:
            self._assessor.gaps.append(
                f"{NAME} is not there to be run: no home, source tree or folder of the PATH has it"
            )
        return BackupScript(path=str(path)) if path is not None else None


def _on_servers(inventory: Inventory, folder: Path) -> Iterator[ServerDataset]:
    """The datasets on servers of which there is no dump."""
    for dataset in inventory.datasets:
        if dataset.backend != _SERVER or dataset.registration is None:
            continue
        if not any(_is_filled(folder / f"{dataset.name}{ending}") for ending in _DUMPS):
            host, port, name = dataset.registration.server or ("", "", "")
            yield ServerDataset(dataset=dataset.name, host=host, port=port, database=name)


def _is_filled(path: Path) -> bool:
    return kind_of(path) is FileKind.FILE and path.stat().st_size > 0


def _place(folder: Path, owner: Account, walked: Walk, assessed: Sequence[BackupAssessment]) -> Place:
    """The place for a backup of what was walked through."""
    kind = kind_of(folder)
    standing = _standing(folder)
    free, full = _free(standing)
    packed = next((each for each in assessed if each.reading.complete and each.packed), None)
    needed = walked.size
    read_only = POSIX and bool(os.statvfs(standing).f_flag & os.ST_RDONLY)
    return Place(
        folder=str(folder),
        kind=kind.value,
        standing=str(standing),
        refused=_refused(standing, owner) if POSIX and kind in {FileKind.FOLDER, FileKind.MISSING} else "",
        read_only=read_only,
        needed=needed,
        beside=walked.beside,
        expected=round(needed * packed.packed) if packed else None,
        free=free,
        full=full,
        mount=mount_of(standing) if read_only else "",
    )


def _standing(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if kind_of(each) is FileKind.FOLDER), Path(folder.anchor))


def _refused(folder: Path, owner: Account) -> str:
    info = folder.stat()
    if not owner.reaches(folder):
        return f"cannot be reached by {owner.name}, who owns the home: a folder above is closed"
    wrong = {"listed": READ | ENTER, "written to": WRITE | ENTER}
    for word, what in wrong.items():
        if not owner.may(info, what):
            return f"cannot be {word} by {owner.name}, who owns the home"
    return ""


def _free(folder: Path) -> tuple[int, bool]:
    """Bytes that are free for everybody, and whether there is no room for another file at all."""
    if not POSIX:
        return shutil.disk_usage(folder).free, False
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize, bool(state.f_files) and not state.f_favail
