"""Where a backup holds one file of the home, such as a dataset's data, told from names alone.

An archive is listed once, however many datasets are looked for in it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mdm_health.core.session import clock, kept_for_session
from pytest_mdm_health.mdm.backups import Backup, Backups, look_for_backups
from pytest_mdm_health.mdm.backups.archive import is_archive, read_archive
from pytest_mdm_health.mdm.backups.archive.members import BROKEN, CLOSED, Form, Member
from pytest_mdm_health.mdm.engines import LOG_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home

_LOOKED_INTO = 3


@dataclass(frozen=True, kw_only=True)
class SavedData:
    """A file of the home in a backup, such as a dataset's data.

    Attributes:
        backup: the archive; for a plain copy empty.
        form: what the archive is; empty for a plain copy.
        member: the file, as it is written in the archive; for a plain copy the path of the copy.
        beside: likewise what belongs to it: logs and journals.
        origin: what a person calls it by: the archive, the folder, or the copy itself.
        size: bytes of all of it.
        mode: the permission bits that the file has there; None where that is not known.
    """

    backup: str
    form: str
    member: str
    beside: tuple[str, ...] = ()
    origin: str = ""  # which older baselines do not say
    size: int = 0
    mode: int | None = None


@dataclass(frozen=True)
class Saved:
    """A file that a backup holds, and where it belongs; what is beside it belongs beside that."""

    data: SavedData
    file: str


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
        found = _in_backup(backup, name, data, places, within_s)
        if found is not None:
            return found, tuple(map(str, there.looked))
    return None, tuple(map(str, there.looked))


def saved_in(backup: Path, home: Home, name: str, path: Path, within_s: float) -> SavedData | None:
    """A file of the home as one backup holds it: an archive, a copy of the home, or a copy of the file itself.

    Args:
        backup: the backup.
        home: the home.
        name: of the dataset, if the file is one's data.
        path: the file, there or not.
        within_s: how long listing an archive may take.
    """
    places = tuple(_places(home, name, path))
    if backup.is_dir():
        return _in_folder(backup, places)
    return _in_archive(backup, places, within_s) if is_archive(backup) else plain_copy(backup)


def why_unlisted(backup: Path, within_s: float) -> str:
    """What keeps an archive from being taken apart, to follow its name; empty if nothing is known to."""
    return _listing(backup, _state(backup), within_s)[2]


def _in_backup(backup: Backup, name: str, data: Path, places: tuple[str, ...], within_s: float) -> SavedData | None:
    path = backup.path
    if backup.kind == "archive":
        return _in_archive(path, places, within_s)
    if backup.kind == "folder":
        return _in_folder(path, places)
    single = backup.kind == "dataset" and path.stem == name and path.suffix.lower() == data.suffix.lower()
    return plain_copy(path) if single else None


def _in_folder(folder: Path, places: tuple[str, ...]) -> SavedData | None:
    found = (plain_copy(folder / place) for place in places)
    return next((replace(saved, origin=str(folder)) for saved in found if saved), None)


def _places(home: Home, name: str, data: Path) -> Iterator[str]:
    """Where a backup would hold the file: from the top of the system, as seen from the home, or where MDM puts it."""
    yield data.relative_to(data.anchor).as_posix()
    for path, root in ((data, home.root), (Path(os.path.realpath(data)), Path(os.path.realpath(home.root)))):
        if path.is_relative_to(root):
            yield path.relative_to(root).as_posix()
    yield f"datasets/{name}/{data.name}"


@kept_for_session(8)
def _backups(home: Home, given: Path | None, state: tuple[int, ...]) -> Backups:  # noqa: ARG001 - until it changes
    return look_for_backups(home, given, frozenset())


@kept_for_session(8)
def _listing(
    path: Path,
    state: tuple[int, ...],  # noqa: ARG001 - until it changes
    within_s: float,
) -> tuple[Form | None, Mapping[str, list[Member]], str]:
    """The files in an archive, by the last part of their names; none if it would not unpack, and then why."""
    reading = read_archive(path, clock() + within_s)
    broken = next((each.message for each in reading.problems if each.code in BROKEN | CLOSED), "")
    by_name: dict[str, list[Member]] = defaultdict(list)
    if not any(each.code in BROKEN for each in reading.problems):
        for member in reading.members.values():
            if member.kind == "file" and member.size:
                by_name[_last(member.name)].append(member)
    return reading.form, dict(by_name), broken or next(iter(reading.gaps), "")


def _in_archive(path: Path, places: tuple[str, ...], within_s: float) -> SavedData | None:
    form, by_name, _ = _listing(path, _state(path), within_s)
    for place in places:
        members = by_name.get(_last(place), [])
        fitting = [each for each in members if each.name == place or each.name.endswith(f"/{place}")]
        if fitting:
            main = min(fitting, key=lambda each: (len(each.name), each.name))
            near = ((ending, each) for ending in LOG_SUFFIXES for each in by_name.get(_last(place) + ending, []))
            beside = [each for ending, each in near if each.name == main.name + ending]
            return SavedData(
                backup=str(path),
                form=form or "",
                member=main.written,
                beside=tuple(each.written for each in beside),
                origin=str(path),
                size=sum(each.size for each in (main, *beside)),
                mode=main.mode,
            )
    return None


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def plain_copy(path: Path) -> SavedData | None:
    """A file that is a copy by itself, with what is beside it; None if nothing is in it."""
    if kind_of(path) is not FileKind.FILE or not path.stat().st_size:
        return None
    near = (path.with_name(path.name + ending) for ending in LOG_SUFFIXES)
    beside = [each for each in near if kind_of(each) is FileKind.FILE]
    return SavedData(
        backup="",
        form="",
        member=str(path),
        beside=tuple(map(str, beside)),
        origin=str(path),
        size=sum(each.stat().st_size for each in (path, *beside)),
        mode=path.stat().st_mode & 0o777,
    )


def _state(path: Path) -> tuple[int, ...]:
    try:
        info = path.stat()
    except (OSError, ValueError):
        return ()
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
