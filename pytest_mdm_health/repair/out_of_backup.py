"""Files taken out of a backup of any kind that is read here, and databases among them seen to be sound."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_mdm_health.backends import (
    Backend,
    CannotOpen,
    Database,
    QueryFailed,
    Unfinished,
    close_all,
    real_engine,
)
from pytest_mdm_health.backends.sqlite.log import is_of_another_file
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.archive.members import BROKEN
from pytest_mdm_health.mdm.backups.archive.restoring import Restored
from pytest_mdm_health.mdm.backups.search import SavedData, saved_in, why_unlisted
from pytest_mdm_health.mdm.files import is_same_file
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset, take_inventory
from pytest_mdm_health.repair.files import copy_content
from pytest_mdm_health.repair.step import NotDone


def backup_of(repair: Repair) -> Path:
    """The backup that a call names.

    Raises:
        NotDone: it names none.
    """
    given = repair.option("from")
    if not given:
        raise NotDone("name the backup with --from")
    return Path(os.path.abspath(given))  # noqa: PTH100 - a link at its end stays one


def held_by(backup: Path, home: Home, name: str, place: Path) -> SavedData:
    """A file of the home as this backup holds it; `name` is that of the dataset, if it is one's data.

    Raises:
        NotDone: the backup cannot be read, or does not hold it.
    """
    if not backup.exists():
        raise NotDone(f"{backup} does not exist")
    if is_same_file(backup, place):
        raise NotDone(f"{backup} is the file itself, not a backup of it")
    saved = saved_in(backup, home, name, place, math.inf)
    if saved is None:
        why = "" if backup.is_dir() else why_unlisted(backup, math.inf)
        raise NotDone(f"{backup} {why}" if why else f"{backup} does not hold {place.name} of this home")
    if any(is_same_file(Path(part), place) for part in (saved.member, *saved.beside) if not saved.backup):
        raise NotDone(f"{saved.member} is the file itself under another name (a link), not a backup of it")
    return saved


def sources_of(saved: SavedData) -> tuple[Path, ...]:
    """The files that are read for it: the archive, or the copies."""
    return (Path(saved.backup),) if saved.backup else tuple(map(Path, (saved.member, *saved.beside)))


def take_out(wanted: Mapping[Path, SavedData], work: Path) -> None:
    """Take files with what is beside them out of one backup; an archive is read to its end for that.

    Args:
        wanted: by where it goes, below `work`.
        work: the folder of the step.

    Raises:
        NotDone: the archive is damaged, or one of them cannot be had.
        OSError: a file cannot be read or written.
    """
    archives = {saved.backup for saved in wanted.values() if saved.backup}
    parts = {part: path for target, saved in wanted.items() for part, path in _parts(saved, target)}
    if not archives:
        for part, path in parts.items():
            copy_content(Path(part), path)
        return
    (archive,) = archives
    with Restored(lambda member: member.written in parts, work) as restored:
        reading = read_archive(Path(archive), math.inf, restored)
        reasons = [problem.message for problem in reading.problems if problem.code in BROKEN] + [*reading.gaps]
        if reasons or not reading.complete:
            raise NotDone(f"{archive} {(*reasons, 'could not be read to its end')[0]}")
        names = {member.written: member.name for member in reading.members.values()}
        for part, path in parts.items():
            name = names.get(part, "")
            if name not in restored.files:
                raise NotDone(f"{part} in {archive}: {restored.refused.get(name, 'it could not be taken out')}")
            restored.files[name].replace(path)


def _parts(saved: SavedData, target: Path) -> Iterator[tuple[str, Path]]:
    for part in (saved.member, *saved.beside):
        yield part, target.with_name(target.name + part[len(saved.member) :])


def logs_of(saved: SavedData, target: Path) -> dict[str, Path]:
    """Where the logs and journals beside a file are after it was taken out, by what their names add to its own."""
    return {part[len(saved.member) :]: path for part, path in _parts(saved, target) if part != saved.member}


def registered_at(home: Home, place: Path) -> Dataset | None:
    """The dataset that is registered with this file as its data, whether or not the file is there."""
    real = os.path.realpath(place)
    for dataset in take_inventory(home.root, os.environ).datasets:
        registered = dataset.registration.database if dataset.registration is not None else None
        known = (path for path in (registered, dataset.database) if path is not None)
        if dataset.registration is not None and any(os.path.realpath(path) == real for path in known):
            return dataset
    return None


def refuse_unsound(file: Path, tables: Sequence[str]) -> dict[str, int]:
    """Refuse a database that does not open, is damaged or lacks a table; what it has, with its rows.

    Raises:
        NotDone: what is wrong with it.
    """
    log = file.with_name(f"{file.name}-wal")
    if log.exists() and is_of_another_file(file, log):
        raise NotDone(f"the log in the backup does not belong to {file.name} there")
    try:
        found = _rows_of(file)
    except (CannotOpen, QueryFailed, Unfinished) as error:
        raise NotDone(f"{file.name} in the backup {_after_its_name(error)}") from error
    there = {name.casefold() for name in found}
    lacking = [table for table in tables if table.casefold() not in there]
    if lacking:
        raise NotDone(f"{file.name} in the backup lacks the registered table {lacking[0]!r}")
    return found


def rows_if_sound(file: Path) -> dict[str, int]:
    """The tables of a database with their rows; nothing if it is not sound or is not there."""
    try:
        return _rows_of(file)
    except (CannotOpen, QueryFailed, Unfinished):
        return {}


def _rows_of(file: Path) -> dict[str, int]:
    """The tables of a database, and how many rows each has, after all of it was verified.

    Raises:
        CannotOpen, QueryFailed, Unfinished: it cannot be read, or is damaged.
    """
    engine = real_engine(file)
    if engine is None:
        raise CannotOpen("wrong-format", "is a file of neither SQLite nor DuckDB")
    try:
        with Backend(engine, file).open() as database:
            problems = _problems(database)
            if problems:
                raise QueryFailed(f"is damaged: {problems[0]}", "damaged")
            return {table: database.count(table) for table in database.tables()}
    finally:
        close_all()


def _problems(database: Database) -> tuple[str, ...]:
    problems = database.integrity(True)
    return problems[:-1] if database.surplus else problems  # that is the last of them, and does no harm


def _after_its_name(error: Exception) -> str:
    text = str(error)
    return text if isinstance(error, CannotOpen) or text.startswith("is ") else f"cannot be read: {text}"
