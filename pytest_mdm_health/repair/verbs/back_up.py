"""`back-up HOME`: a new archive of the whole home, made while nothing in it changes, and read back before it counts.

A SQLite file that a process has open comes into it by SQLite's own backup, every other file as it is, with its logs.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends import close_all, real_engine
from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.core.model import Depth, Phase
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.core.text import counted, size
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.integrity.backups.assess import Assessor
from pytest_mdm_health.integrity.backups.packing import left_out, outside_of
from pytest_mdm_health.integrity.backups.proof import doubt_about
from pytest_mdm_health.mdm.backups import Backup
from pytest_mdm_health.mdm.backups.contents import wanted_of
from pytest_mdm_health.mdm.files import FileKind, is_same_file, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.mdm.inventory import Inventory, take_inventory
from pytest_mdm_health.mdm.repair_marker import MARKER
from pytest_mdm_health.repair.databases import refuse_held
from pytest_mdm_health.repair.step import Changes, NotDone, Outline

_LIKELY = 3
"""How many times smaller an archive is as a rule; where it is not, a full disk says so and nothing is changed."""
_LONG_S = 30 * 24 * 3600
"""Reading it back takes as long as it takes."""

_PACKED = {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}


@dataclass(frozen=True)
class BackUp:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        self._refuse_place()
        inventory = self._inventory()
        packed = _packed(inventory, self._folder)
        held = _held_sqlite(packed)
        for path in packed.values():
            if real_engine(path) == "duckdb":
                refuse_held((path,))
        files = [path for path in packed.values() if path.is_symlink() or path.is_file()]
        total = sum(path.lstat().st_size for path in files)
        apart = {path for database in held for path in _with_logs(database)}
        steady = (path for path in files if path not in apart and not _is_log(path, self.home))
        return Outline(
            f"back up {self.home.root} ({counted(len(files), 'file')}, {size(total)}) to {self._folder}",
            touches=tuple(steady),
            details=(
                f"{self._folder}/mdm_backup_<time>.tar.gz, which only its owner may read",
                *(f"{path} is in use, and copied by SQLite's own backup" for path in held),
                f"left out: {', '.join(sorted(left_out(inventory, self._folder)))}",
            ),
            room=total // _LIKELY + sum(path.stat().st_size for path in held),
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        self._refuse_place()
        inventory = self._inventory()
        archive = work / "archive.tar.gz"
        _pack(archive, inventory, self._folder, work)
        self._verify(archive, inventory)
        return Changes({self._new_name(): archive})

    @property
    def _folder(self) -> Path:
        given = self.repair.option("to")
        return Path(os.path.abspath(given)) if given else self.home.backup  # noqa: PTH100 - a link at its end stays one

    def _refuse_place(self) -> None:
        place, folder = Path(self.repair.place), self._folder
        if not is_same_file(place, self.home.root):
            raise NotDone(f"{place} is not the home, which is {self.home.root}")
        if os.path.realpath(folder) == os.path.realpath(self.home.root):
            raise NotDone(f"{folder} is the home itself; name another folder with --to")
        kind = kind_of(folder)
        if kind not in {FileKind.FOLDER, FileKind.MISSING}:
            raise NotDone(f"{folder} is a {kind.value}; name another folder with --to")

    def _inventory(self) -> Inventory:
        inventory = take_inventory(self.home.root, os.environ)
        if inventory.not_examined:
            raise NotDone(inventory.not_examined[0])
        return inventory

    def _new_name(self) -> Path:
        """A name that nothing has yet."""
        stem = f"mdm_backup_{time.strftime('%Y%m%d_%H%M%S')}"
        path, number = self._folder / f"{stem}.tar.gz", 1
        while os.path.lexists(path):
            number += 1
            path = self._folder / f"{stem}_{number}.tar.gz"
        return path

    def _verify(self, archive: Path, inventory: Inventory) -> None:
        """Read the archive back, and compare what is in it with the home.

        Raises:
            NotDone: it is not what a backup has to be.
        """
        info = archive.stat()
        backup = Backup(path=archive, kind="archive", made=info.st_mtime, size=info.st_size)
        until = clock() + _LONG_S
        assessor = Assessor(wanted_of(inventory), Depth.FULL, Phase.PRE, until, until)
        try:
            found = assessor.assess(backup, frozenset())
        finally:
            close_all()
        if why := doubt_about(found):
            raise NotDone(f"the archive would not be good: {why}; repair that first")
        if found.missing_files:
            raise NotDone(f"the archive would lack {found.missing_files[0]}")


def step(repair: Repair, home: Home) -> BackUp:
    """The step that a call means; see `step_of`."""
    return BackUp(repair, home)


def _packed(inventory: Inventory, folder: Path) -> dict[str, Path]:
    """Files, links and folders of the home by their names in the archive, and the databases that lie outside of it."""
    root = inventory.home.root
    found = {f"./{path.relative_to(root).as_posix()}": path for path in _below(root, left_out(inventory, folder))}
    outside = {path.relative_to(path.anchor).as_posix(): path for path, _ in outside_of(inventory)}
    return found | outside


def _below(root: Path, excluded: frozenset[str]) -> Iterator[Path]:
    """Files, links and folders below the home; nothing else is for an archive.

    Raises:
        NotDone: a folder cannot be listed.
    """

    def unreadable(error: OSError) -> None:
        raise NotDone(f"{error.filename} cannot be listed: {error.strerror}")

    for parent, folders, files in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if os.path.realpath(Path(parent, name)) not in excluded)
        for path in (Path(parent, name) for name in sorted((*files, *folders))):
            if stat.S_IFMT(path.lstat().st_mode) in _PACKED and path != root / MARKER:
                yield path


def _held_sqlite(packed: dict[str, Path]) -> tuple[Path, ...]:
    """The SQLite files that a process has open, whose content may change at any moment."""
    databases = [path for path in packed.values() if not path.is_symlink() and real_engine(path) == "sqlite"]
    return tuple(path for path in databases if holders(_with_logs(path)).answer)


def _with_logs(database: Path) -> tuple[Path, ...]:
    beside = (database.with_name(database.name + ending) for ending, _ in SUFFIXES)
    return (database, *(path for path in beside if path.is_file()))


def _is_log(path: Path, home: Home) -> bool:
    """Whether MDM goes on writing to it whatever is done: what is packed is then its beginning."""
    return path.is_relative_to(home.logs) or path == home.log_file


def _pack(archive: Path, inventory: Inventory, folder: Path, work: Path) -> None:
    """Write the archive, which only its owner may read.

    Raises:
        NotDone: a database cannot be copied.
        OSError: a file cannot be read or written, or became shorter.
    """
    packed = _packed(inventory, folder)
    copies = {
        path: _copied_by_sqlite(path, work / f"{number}.sqlite") for number, path in enumerate(_held_sqlite(packed))
    }
    without = {path for database in copies for path in _with_logs(database) if path != database}
    descriptor = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
        for name, path in packed.items():
            if path not in without:
                _add(tar, name, path, copies.get(path, path))
    for copy in copies.values():
        copy.unlink()


def _add(tar: tarfile.TarFile, name: str, path: Path, content: Path) -> None:
    info = tar.gettarinfo(path, name)
    if not info.isreg() and not info.islnk():
        tar.addfile(info)
        return
    info.type, info.linkname = tarfile.REGTYPE, ""  # a further name of a file has its content here, too
    with content.open("rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        tar.addfile(info, file)


def _copied_by_sqlite(path: Path, copy: Path) -> Path:
    try:
        address = f"{path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise NotDone(f"{path} is in use and cannot be copied: {one_line(error)}") from error
    return copy
