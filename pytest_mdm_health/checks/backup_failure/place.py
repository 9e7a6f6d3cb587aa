"""The place where the next backup goes: whether its writer may write there, and whether there is room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_mdm_health.backends import sidecars
from pytest_mdm_health.checks.backup_failure.facts import Assessed, Place
from pytest_mdm_health.checks.backup_failure.walk import Walk
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.host.accounts import ENTER, POSIX, READ, WRITE, Account
from pytest_mdm_health.mdm.host.mounts import mount_of
from pytest_mdm_health.mdm.inventory import Inventory


def place_of(folder: Path, owner: Account, gone_through: Walk, assessed: Sequence[Assessed]) -> Place:
    """The place for a backup of what was gone through."""
    kind = kind_of(folder)
    standing = _standing(folder)
    free, full = _free(standing)
    packed = next((each for each in assessed if each.complete and each.unpacked and each.backup.size), None)
    needed = gone_through.size
    read_only = POSIX and bool(os.statvfs(standing).f_flag & os.ST_RDONLY)
    return Place(
        folder=str(folder),
        kind=kind.value,
        standing=str(standing),
        refused=_refused(standing, owner) if POSIX and kind in {FileKind.FOLDER, FileKind.MISSING} else "",
        read_only=read_only,
        needed=needed,
        beside=gone_through.beside,
        expected=round(needed * packed.backup.size / packed.unpacked) if packed else None,
        free=free,
        full=full,
        mount=mount_of(standing) if read_only else "",
    )


def needs_cache(inventory: Inventory) -> bool:
    """Whether something that has to be restored is in the folder of the cache, which a backup otherwise leaves out."""
    home = inventory.home
    places = [home.datasets, home.registrations, home.custom_features, home.log_file]
    places += [dataset.database for dataset in inventory.datasets if dataset.database is not None]
    cache = home.cache.resolve()
    return any(place.resolve().is_relative_to(cache) for place in places)


def outside(inventory: Inventory) -> Iterator[tuple[Path, int]]:
    """Databases that are registered outside the home, and what belongs to them, with their sizes."""
    root = os.path.realpath(inventory.home.root)
    for dataset in inventory.datasets:
        database = dataset.database
        if dataset.registration is None or database is None:
            continue
        real = Path(os.path.realpath(database))
        for path in () if real.is_relative_to(root) else (real, *(each.path for each in sidecars(real))):
            with suppress(OSError):
                yield path, path.stat().st_size


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
