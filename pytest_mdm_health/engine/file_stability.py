"""Files that change while they are looked at: what was seen is then neither the old state nor the new one.

A file is identified by device, inode, size and the time of its last change, which costs next to nothing. What
reading by itself changes is left out: a `-shm`, and a log or journal that is empty or not there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset, Inventory, take_inventory
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE
from pytest_mdm_health.mdm.settings import Settings

Identity = tuple[int, ...] | None
"""What tells one state of a file from another; None for nothing, or nothing that counts."""

Seen = Mapping[Path, Identity]
LOGS = tuple(suffix for suffix, kind in SUFFIXES if kind != "shm")
_AGAIN = "run again when nothing writes"


def inventory_with_files(root: Path, environ: Mapping[str, str]) -> tuple[Inventory, Seen]:
    """What the home at `root` holds, as `take_inventory`, and the files that say so, as they are now."""
    inventory = take_inventory(root, environ)
    files = (file for dataset in inventory.datasets for file in _registering(dataset))
    return inventory, seen_now((*_of_home(inventory.home), *files))


def files_of(values: Iterable[object]) -> tuple[Path, ...]:
    """The files that the values of a check's fixtures lead to."""
    return tuple(dict.fromkeys(file for value in values for file in _files_of(value)))


def seen_now(files: Iterable[Path]) -> dict[Path, Identity]:
    """The files at these paths, as they are now."""
    return {file: _identity(file) for file in files}


def what_changed(seen: Seen, when: str) -> str:
    """Why what was seen does not hold, if one of the files is not what it was; empty if all of them are.

    Args:
        seen: as `seen_now` had it.
        when: to follow "changed" in a sentence.
    """
    for file, was in seen.items():
        now = _identity(file)
        if now != was:
            what = "came into being" if was is None else "went away" if now is None else "changed"
            return f"{file} {what} {when}; {_AGAIN}"
    return ""


def _files_of(value: object) -> Iterator[Path]:
    if isinstance(value, Home):
        yield from _of_home(value)
    elif isinstance(value, Inventory):
        yield from _of_home(value.home)
    elif isinstance(value, Settings):
        yield value.file
    elif isinstance(value, Backend) and value.connection is None:
        yield from _with_logs(value.path)
    elif isinstance(value, Dataset):
        yield from _registering(value)
        if value.database is not None:
            yield from _with_logs(value.database)


def _of_home(home: Home) -> tuple[Path, ...]:
    return home.root, home.settings_file


def _registering(dataset: Dataset) -> Iterator[Path]:
    """The files that say what is registered, and where the JSON copy belongs."""
    yield dataset.folder / JSON_COPY_FILE
    registration = dataset.registration
    if registration is not None:
        yield registration.file
        yield from (copy.path for copy in (registration.pointed, registration.json_copy) if copy is not None)


def _with_logs(database: Path) -> Iterator[Path]:
    """A database file and its logs and journals, which for a link are beside the link or beside its target."""
    yield database
    for beside in dict.fromkeys((database, Path(os.path.realpath(database)))):
        yield from (beside.with_name(beside.name + suffix) for suffix in LOGS)


def _identity(path: Path) -> Identity:
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(info.st_mode):
        return info.st_dev, info.st_ino
    if not info.st_size and path.name.endswith(LOGS):
        return None
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
