"""Backups of an MDM home: which there are in a folder, and how old they are.

What is a backup is told by its name, because one that was damaged must not fall out of the list. Nothing is opened
here, and no symbolic link in the folder is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups.archive import ENDINGS
from pytest_mdm_health.mdm.backups.archive.members import Problem
from pytest_mdm_health.mdm.backups.forms import closed_file, closed_folder, piece_of
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, is_same_file, kind_of
from pytest_mdm_health.mdm.home import SETTINGS_FILE, Home

ELSEWHERE = Path("/backup")
"""Where the guide puts backups that are not in the home."""

PATTERN = "mdm_backup_*.tar.gz"
"""How `backup_mdm_state.sh` calls its archives."""

TABLE_SUFFIXES = (".parquet", ".csv")
NAMED = "mdm_backup"
"""How the names of MDM's backups begin, whatever made them."""

BackupKind = Literal["archive", "folder", "dataset", "settings", "closed"]
_BY_SCRIPT = re.compile(r"mdm_backup_.*\.tar\.gz", re.DOTALL)
_DATASET_SUFFIXES = (*TABLE_SUFFIXES, *DATABASE_SUFFIXES)
_BESIDE_AN_ARCHIVE = (".md5", ".sha1", ".sha256", ".sha512", ".sig", ".asc", ".txt", ".log", ".json", ".md")
_PARTS_OF_A_HOME = ("datasets", "config", SETTINGS_FILE)
_PARTS_NEEDED = 2
_DEPTH = 2
_LONGEST = 4096


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup.

    Attributes:
        path: the archive, the folder that looks like a home, or the saved file.
        kind: `archive` and `folder` are of a whole home, `dataset` is a file with one dataset's data, `settings` a
            saved `mdm.yaml`, and `closed` cannot be looked into.
        made: when, in seconds since 1970: the time of its last change.
        size: in bytes; of a folder 0, because it is not gone through here.
        by_script: whether it is called as `backup_mdm_state.sh` calls its archives.
        closed: why it cannot be looked into, for one that cannot by its name.
    """

    path: Path
    kind: BackupKind
    made: float
    size: int
    by_script: bool = False
    closed: Problem | None = None

    @property
    def shown(self) -> str:
        """Its path as it can be printed."""
        return shortened(str(self.path), _LONGEST)

    def days(self, now: float) -> int:
        """Whole days since it was made, as `find -mtime` counts them."""
        return int((now - self.made) // 86400)

    @property
    def named(self) -> bool:
        """Whether its name says that it is a backup of MDM."""
        return self.path.name.startswith(NAMED)

    @property
    def whole(self) -> bool:
        """Whether it means to hold a whole home."""
        return self.kind in {"archive", "folder"}


@dataclass(frozen=True, kw_only=True)
class Backups:
    """What a folder of backups holds.

    Attributes:
        folder: the folder.
        found: newest first.
        looked: all folders that were looked at.
        certain: whether what is in the folder is there as a backup of MDM; where it is not, it may be of anything.
        gaps: what could not be looked at, each with its reason, as a sentence without a full stop.
    """

    folder: Path
    found: tuple[Backup, ...] = ()
    looked: tuple[Path, ...] = ()
    certain: bool = True
    gaps: tuple[str, ...] = ()


def look_for_backups(home: Home, given: Path | None, datasets: Collection[str]) -> Backups:
    """The backups of a home with these datasets: in the folder that is given, else in the home's own.

    Where the home has none, those at the guide's other place, if something there is called like one. Never raises.
    """
    if given is not None or kind_of(home.backup) is not FileKind.MISSING:
        return find_backups(given or home.backup, home.root)
    there = find_backups(ELSEWHERE, home.root)
    looked = (home.backup, ELSEWHERE)
    if any(each.kind not in {"archive", "closed"} or each.named for each in there.found if _is_named(each, datasets)):
        return replace(there, looked=looked, certain=False)
    return Backups(folder=home.backup, looked=looked, gaps=there.gaps)


def find_backups(folder: Path, home: Path) -> Backups:
    """The backups in a folder and a little below it, newest first. Never raises.

    Args:
        folder: where to look; where nothing is, there are none.
        home: the home itself, which is no backup of itself wherever it lies.
    """
    gaps: list[str] = []
    found = sorted(_found(folder, home, gaps), key=lambda backup: (-backup.made, str(backup.path)))
    return Backups(folder=folder, found=tuple(found), looked=(folder,), gaps=tuple(gaps))


def _is_named(backup: Backup, datasets: Collection[str]) -> bool:
    return backup.kind != "dataset" or backup.path.stem in datasets


def _found(folder: Path, home: Path, gaps: list[str], depth: int = 0) -> Iterator[Backup]:
    if is_same_file(folder, home):
        return
    names = _listed(folder, gaps)
    if len({*names} & {*_PARTS_OF_A_HOME}) >= _PARTS_NEEDED:
        parts = (folder, *(folder / part for part in _PARTS_OF_A_HOME))
        yield Backup(path=folder, kind="folder", made=max(map(_modified, parts)), size=0)
        return
    if (closed := closed_folder(names)) is not None:
        yield Backup(path=folder, kind="closed", made=_youngest(folder, names), size=0, closed=closed)
        return
    pieces: set[str] = set()
    for path in (folder / name for name in names):
        if (whole := piece_of(path.name)) in pieces and whole:
            continue
        pieces.add(whole)
        backup = _backup(path, names, gaps)
        if backup is not None:
            yield backup
        elif depth < _DEPTH and not path.is_symlink() and kind_of(path) is FileKind.FOLDER:
            yield from _found(path, home, gaps, depth + 1)


def _backup(path: Path, beside: Collection[str], gaps: list[str]) -> Backup | None:
    try:
        info = path.lstat()
    except OSError as error:
        gaps.append(f"{path} cannot be looked at: {error.strerror}")
        return None
    if stat.S_ISLNK(info.st_mode) or stat.S_ISDIR(info.st_mode):
        return None
    kind = _kind(path)
    closed = closed_file(path.name, beside, _DATASET_SUFFIXES) if kind is None else None
    if closed is None and kind is None:
        if not path.name.startswith(NAMED) or path.suffix.lower() in _BESIDE_AN_ARCHIVE:
            return None
        kind = "archive"  # what it is will be told by its first bytes
    size = info.st_size if stat.S_ISREG(info.st_mode) else 0
    by_script = _BY_SCRIPT.fullmatch(path.name) is not None
    return Backup(path=path, kind=kind or "closed", made=info.st_mtime, size=size, by_script=by_script, closed=closed)


def _kind(path: Path) -> BackupKind | None:
    if path.name.lower().endswith(ENDINGS):
        return "archive"
    if path.name == SETTINGS_FILE:
        return "settings"
    return "dataset" if path.suffix.lower() in _DATASET_SUFFIXES else None


def _youngest(folder: Path, names: Collection[str]) -> float:
    return max(map(_modified, (folder, *(folder / name for name in names))))


def _listed(folder: Path, gaps: list[str]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        gaps.append(f"{folder} cannot be listed: {getattr(error, 'strerror', None) or error}")
        return []


def _modified(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
