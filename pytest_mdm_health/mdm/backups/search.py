"""Where a backup holds one dataset's data, told from names alone.

An archive is listed once, however many datasets are looked for in it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.session import clock, kept_for_session
from pytest_mdm_health.mdm.backups import Backup, Backups, look_for_backups
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.archive.members import BROKEN, Form, Member
from pytest_mdm_health.mdm.engines import LOG_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home

_LOOKED_INTO = 3


@dataclass(frozen=True, kw_only=True)
class SavedData:
    """A dataset's data in a backup.

    Attributes:
        backup: the archive; for a plain copy empty.
        form: what the archive is; empty for a plain copy.
        member: the database, as it is written in the archive; for a plain copy the path of its file.
        beside: likewise what belongs to it: logs and journals.
        in_place: whether it would come out in its place if the archive were unpacked in the home.
    """

    backup: str
    form: str
    member: str
    beside: tuple[str, ...] = ()
    in_place: bool = False


def search_backups(
    home: Home, given: Path | None, name: str, data: Path, within_s: float
) -> tuple[SavedData | None, tuple[str, ...]]:
    """The newest backup that holds the data of a dataset, and the folders that were looked at. Never raises.

    Args:
        home: where the dataset is registered.
        given: the folder of backups, if it is not the home's own.
        name: of the dataset.
        data: its database file, there or not.
        within_s: how long listing an archive may take.
    """
    folder = given or home.backup
    there = _backups(home, given, _state(folder))
    places = tuple(_places(home, name, data))
    whole = 0
    for backup in there.found:
        whole += backup.whole
        if whole > _LOOKED_INTO:
            break
        found = _in_backup(backup, home.root, name, data, places, within_s)
        if found is not None:
            return found, tuple(map(str, there.looked))
    return None, tuple(map(str, there.looked))


def _in_backup(
    backup: Backup, home: Path, name: str, data: Path, places: tuple[str, ...], within_s: float
) -> SavedData | None:
    path = backup.path
    if backup.kind == "archive":
        return _in_archive(path, home, data, places, within_s)
    if backup.kind == "folder":
        return next((saved for place in places if (saved := _plain(path / place))), None)
    single = backup.kind == "dataset" and path.stem == name and path.suffix.lower() == data.suffix.lower()
    return _plain(path) if single else None


def _places(home: Home, name: str, data: Path) -> Iterator[str]:
    """Where a backup would hold the file: as seen from the home, where MDM puts it, or from the top of the system."""
    for path, root in ((data, home.root), (Path(os.path.realpath(data)), Path(os.path.realpath(home.root)))):
        if path.is_relative_to(root):
            yield path.relative_to(root).as_posix()
    yield f"datasets/{name}/{data.name}"
    yield data.relative_to(data.anchor).as_posix()


@kept_for_session(8)
def _backups(home: Home, given: Path | None, state: tuple[int, ...]) -> Backups:  # noqa: ARG001 - until it changes
    return look_for_backups(home, given, frozenset())


@kept_for_session(8)
def _listing(
    path: Path,
    state: tuple[int, ...],  # noqa: ARG001 - until it changes
    within_s: float,
) -> tuple[Form | None, Mapping[str, list[Member]]]:
    """The files in an archive, by the last two parts of their names; none if it would not unpack."""
    reading = read_archive(path, clock() + within_s)
    by_name: dict[str, list[Member]] = defaultdict(list)
    if not any(each.code in BROKEN for each in reading.problems):
        for member in reading.members.values():
            if member.kind == "file" and member.size:
                by_name[_last_two(member.name)].append(member)
    return reading.form, dict(by_name)


def _in_archive(path: Path, home: Path, data: Path, places: tuple[str, ...], within_s: float) -> SavedData | None:
    form, by_name = _listing(path, _state(path), within_s)
    for place in places:
        members = by_name.get(_last_two(place), [])
        fitting = [each for each in members if each.name == place or each.name.endswith(f"/{place}")]
        if fitting:
            main = min(fitting, key=lambda each: (len(each.name), each.name))
            last = _last_two(place)
            near = ((ending, each) for ending in LOG_SUFFIXES for each in by_name.get(last + ending, []))
            beside = tuple(each.written for ending, each in near if each.name == main.name + ending)
            in_place = str(home / main.name) == str(data)
            return SavedData(backup=str(path), form=form or "", member=main.written, beside=beside, in_place=in_place)
    return None


def _last_two(name: str) -> str:
    return "/".join(name.rsplit("/", 2)[-2:])


def _plain(path: Path) -> SavedData | None:
    if kind_of(path) is not FileKind.FILE or not path.stat().st_size:
        return None
    near = (path.with_name(path.name + ending) for ending in LOG_SUFFIXES)
    beside = tuple(str(each) for each in near if kind_of(each) is FileKind.FILE)
    return SavedData(backup="", form="", member=str(path), beside=beside)


def _state(path: Path) -> tuple[int, ...]:
    try:
        info = path.stat()
    except (OSError, ValueError):
        return ()
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
