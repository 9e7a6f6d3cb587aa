"""`set-aside PATH`: move a file or a folder out of the home, into the folder of the repair.

A database goes with the logs beside it; a log goes alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.core.text import counted, size
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.databases import refuse_held
from pytest_mdm_health.repair.out_of_backup import registered_at
from pytest_mdm_health.repair.step import Changes, NotDone, Outline


@dataclass(frozen=True)
class SetAside:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        files, folders = self._parts()
        total = sum(path.lstat().st_size for path in files)
        more = f" with {counted(len(files), 'file')}" if folders else ""
        return Outline(
            f"move {self.repair.place}{more} ({size(total)}) out of the home",
            touches=files,
            details=tuple(str(path) for path in files),
            room=total,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        del work
        files, folders = self._parts()
        return Changes(dict.fromkeys(files), folders=folders)

    def _parts(self) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The files to move, and the folders that are empty then."""
        path = Path(self.repair.place)
        if not os.path.lexists(path):
            raise NotDone(f"{path} does not exist")
        if path == self.home.root or self.home.root.is_relative_to(path):
            raise NotDone(f"{path} is the home itself")
        if not _is_part_of(self.home, path):
            raise NotDone(f"{path} is neither in {self.home.root} nor data that is registered there")
        if path.is_dir() and not path.is_symlink():
            files, folders = _below(path)
        else:
            files, folders = (path, *_beside(path)), ()
        refuse_held(files)
        return files, folders


def step(repair: Repair, home: Home) -> SetAside:
    """The step that a call means; see `step_of`."""
    return SetAside(repair, home)


def _is_part_of(home: Home, path: Path) -> bool:
    """Whether something is in the home or a folder that its settings name, or is registered data or a log of it."""
    folders = (home.root, home.datasets, home.registrations, home.backup, home.custom_features, home.logs, home.cache)
    real = Path(os.path.realpath(path.parent), path.name)
    if any(path.is_relative_to(folder) or real.is_relative_to(os.path.realpath(folder)) for folder in folders):
        return True
    names = {path.name, *(path.name.removesuffix(suffix) for suffix, _ in SUFFIXES)}
    return any(registered_at(home, path.with_name(name)) is not None for name in names)


def _beside(path: Path) -> Iterator[Path]:
    if path.suffix in DATABASE_SUFFIXES:
        beside = (path.with_name(path.name + suffix) for suffix, _ in SUFFIXES)
        yield from (file for file in beside if file.is_file())


def _below(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    files: list[Path] = []
    folders: list[Path] = []
    for place, names, here in os.walk(folder, topdown=False):
        links = [name for name in names if Path(place, name).is_symlink()]
        files += [Path(place, name) for name in (*here, *links)]
        folders.append(Path(place))
    return tuple(files), tuple(folders)
