"""Backups of an MDM home: which there are in a folder, and how old they are.

What is a backup is told by its name, because one that was damaged must not fall out of the list. Nothing is opened
here, and no symbolic link in the folder is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.home import SETTINGS_FILE, Home

ELSEWHERE = Path("/backup")
"""Where the guide puts backups that are not in the home."""

Kind = Literal["archive", "folder", "dataset", "settings"]
_ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|tar\.bz2|tbz2|tar\.xz|txz|zip)$", re.IGNORECASE)
_BY_SCRIPT = re.compile(r"mdm_backup_.*\.(tar\.gz|tgz)$", re.IGNORECASE)
_DATASET_SUFFIXES = (".parquet", ".csv", *DATABASE_SUFFIXES)
_PARTS_OF_A_HOME = ("datasets", "config", SETTINGS_FILE)


@dataclass(frozen=True, kw_only=True)
class Backup:
    """One backup.

    Attributes:
        path: the archive, the folder that looks like a home, or the saved file.
        kind: `archive` and `folder` are of a whole home, `dataset` is a file with one dataset's data, `settings` a
            saved `mdm.yaml`.
        made: when, in seconds since 1970: the time of its last change.
        size: in bytes; of a folder 0, because it is not gone through here.
        by_script: whether it is called as `backup_mdm_state.sh` calls its archives.
    """

    path: Path
    kind: Kind
    made: float
    size: int
    by_script: bool = False

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
        gaps: what could not be looked at, each with its reason, as a sentence without a full stop.
    """

    folder: Path
    found: tuple[Backup, ...] = ()
    gaps: tuple[str, ...] = ()


def backup_folder(home: Home, given: Path | None = None) -> Path:
    """Where backups are: as given, else in the home, else at the guide's other place if that is there."""
    if given is not None:
        return given
    return ELSEWHERE if not home.backup.exists() and ELSEWHERE.is_dir() else home.backup


def find_backups(folder: Path) -> Backups:
    """The backups in a folder, newest first; none if there is no such folder. Never raises."""
    gaps: list[str] = []
    found = sorted(_found(folder, gaps), key=lambda backup: (-backup.made, backup.path.name))
    return Backups(folder=folder, found=tuple(found), gaps=tuple(gaps))


def _found(folder: Path, gaps: list[str]) -> Iterator[Backup]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        gaps.append(f"{folder} cannot be listed: {getattr(error, 'strerror', None) or error}")
        return
    for path in (folder / name for name in names):
        try:
            info = path.lstat()
        except OSError as error:
            gaps.append(f"{path} cannot be looked at: {error.strerror}")
            continue
        kind = _kind(path, info.st_mode)
        if kind is not None:
            size = info.st_size if stat.S_ISREG(info.st_mode) else 0
            by_script = kind == "archive" and _BY_SCRIPT.match(path.name) is not None
            yield Backup(path=path, kind=kind, made=info.st_mtime, size=size, by_script=by_script)


def _kind(path: Path, mode: int) -> Kind | None:
    if stat.S_ISLNK(mode):
        return None
    if stat.S_ISDIR(mode):
        return "folder" if sum(os.path.lexists(path / part) for part in _PARTS_OF_A_HOME) > 1 else None
    if _ARCHIVE.search(path.name):
        return "archive"
    if path.name == SETTINGS_FILE:
        return "settings"
    return "dataset" if path.suffix.lower() in _DATASET_SUFFIXES else None
