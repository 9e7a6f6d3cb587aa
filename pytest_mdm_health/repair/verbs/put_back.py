"""`put-back FILE --from=BACKUP`: a file of the home out of a backup, with the logs that the backup has for it.

What is there now goes, with every log beside it, so that none of another time is merged. With `--table` only one table
of a database is put back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mdm_health.backends import real_engine
from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.core.text import join_names, size
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.backups.metadata import file_problem
from pytest_mdm_health.mdm.backups.search import SavedData
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.registrations import Registration, read_registration
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE, moment, read_json_copy
from pytest_mdm_health.repair.databases import refuse_held
from pytest_mdm_health.repair.files import state_of
from pytest_mdm_health.repair.out_of_backup import (
    backup_of,
    held_by,
    logs_of,
    refuse_unsound,
    registered_at,
    rows_if_sound,
    sources_of,
    take_out,
)
from pytest_mdm_health.repair.step import Changes, FileStep, NotDone, Outline
from pytest_mdm_health.repair.table_out_of_backup import PutBackTable

_REPLACED = {FileKind.MISSING, FileKind.FILE, FileKind.FIFO}


@dataclass(frozen=True)
class PutBack:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        saved, there = self._saved(), self._there()
        now = sum(path.lstat().st_size for path in there)
        details = [f"{saved.member} → {self._place}"]
        details += [f"{part} beside it" for part in saved.beside]
        details += [f"{path} ({size(path.lstat().st_size)}) goes, and is kept" for path in there]
        json_copy = self._json_copy()
        if json_copy is not None:
            details.append(f"{json_copy[1].member} → {json_copy[0]}")
        return Outline(
            f"put {self._place} ({size(saved.size)}) back out of {self._backup}",
            touches=(*there, *sources_of(saved)),
            details=tuple(details),
            room=now + 3 * saved.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        saved, place, json_copy = self._saved(), self._place, self._json_copy()
        taken = _new_folder(work / "file") / self._given.name
        wanted = {taken: saved}
        second = _new_folder(work / "json") / JSON_COPY_FILE
        if json_copy is not None:
            wanted[second] = json_copy[1]
        take_out(wanted, work)
        self._verify(taken)
        for file, data in wanted.items():
            if data.mode is not None:
                file.chmod(data.mode)
        logs = {place.with_name(place.name + ending): log for ending, log in logs_of(saved, taken).items()}
        changes: dict[Path, Path | None] = {path: None for path in self._there() if path not in {place, *logs}}
        changes |= {place: taken, **logs}  # a log is never older than its file
        if all(new is not None and _is_same(path, new) for path, new in changes.items()):
            raise NotDone(f"{place} is as in the backup already")
        if json_copy is not None and _read_json(second):
            changes[json_copy[0]] = second
        return Changes(changes)

    @property
    def _place(self) -> Path:
        """The file itself, where a link leads to one."""
        place = Path(self.repair.place)
        return Path(os.path.realpath(place)) if place.is_symlink() and place.is_file() else place

    @property
    def _backup(self) -> Path:
        return backup_of(self.repair)

    @property
    def _given(self) -> Path:
        """The file as it is called in the home."""
        return Path(self.repair.place)

    def _saved(self) -> SavedData:
        place = self._place
        kind = kind_of(place)
        if kind not in _REPLACED:
            raise NotDone(f"{place} is a {kind.value}: find out what it is, and set it aside first")
        dataset = registered_at(self.home, place)
        in_home = Path(os.path.realpath(self._given.parent)).is_relative_to(os.path.realpath(self.home.root))
        if dataset is None and not ((in_home and self._is_database()) or self._is_known_text()):
            raise NotDone(f"{place} is no database, registration, settings or custom feature of {self.home.root}")
        saved = held_by(self._backup, self.home, dataset.name if dataset else place.parent.name, self._given)
        refuse_held(self._there())
        return saved

    def _there(self) -> tuple[Path, ...]:
        """The file that is there now, and every log beside it: SQLite puts them beside the file, DuckDB by the link."""
        places = dict.fromkeys((self._place, self._given))
        logs = (place.with_name(place.name + ending) for place in places for ending, _ in SUFFIXES)
        found = (self._place, *logs) if self._is_database() else (self._place,)
        return tuple(path for path in found if os.path.lexists(path))

    def _is_database(self) -> bool:
        return self._given.suffix.lower() in DATABASE_SUFFIXES or registered_at(self.home, self._given) is not None

    def _is_known_text(self) -> bool:
        given, home = self._given, self.home
        if any(given.name == file.name and _same(given.parent, home.root) for file in _files_of(home)):
            return True
        if given.name == JSON_COPY_FILE:
            return _same(given.parent.parent, home.datasets)
        is_module = given.suffix == ".py" and _same(given.parent, home.custom_features)
        return is_module or self._is_registration()

    def _is_registration(self) -> bool:
        return self._given.suffix == ".yaml" and _same(self._given.parent, self.home.registrations)

    def _json_copy(self) -> tuple[Path, SavedData] | None:
        """The JSON copy of a registration and where it belongs, if the home's is of no use and the backup has it."""
        if not self._is_registration() or not (self._backup.is_dir() or self._saved().backup):
            return None
        place = self.home.datasets / self._given.stem / JSON_COPY_FILE
        own = read_json_copy(place)
        if (own is not None and own.data is not None) or kind_of(place) not in _REPLACED:
            return None
        try:
            return place, held_by(self._backup, self.home, self._given.stem, place)
        except NotDone:
            return None

    def _verify(self, taken: Path) -> None:
        """Refuse what could not take the place of the file, or would lose rows that are there now.

        Raises:
            NotDone: why.
        """
        if self._is_database():
            self._verify_database(taken)
        elif self._is_registration():
            self._verify_registration(taken)
        elif taken.name == JSON_COPY_FILE:
            if not _read_json(taken):
                raise NotDone(f"{taken.name} in the backup cannot be used as a registration")
        else:
            self._verify_text(taken)

    def _verify_text(self, taken: Path) -> None:
        try:
            problem = file_problem(taken, self._place)
        except Unreadable as error:
            raise NotDone(f"{taken.name} in the backup {error.reason}") from error
        if problem is not None and problem.unusable:
            raise NotDone(f"{taken.name} in the backup {problem.text}")

    def _verify_database(self, taken: Path) -> None:
        dataset = registered_at(self.home, self._place)
        registration = dataset.registration if dataset is not None else None
        tables = tuple(registration.tables.values()) if registration is not None else ()
        saved = refuse_unsound(taken, tables)
        engine = real_engine(taken)
        if dataset is not None and dataset.backend != engine:
            raise NotDone(f"{taken.name} in the backup is of {engine}, and {dataset.backend} is registered")
        if not saved:
            raise NotDone(f"{taken.name} in the backup has no table")
        kept = {name.casefold(): rows for name, rows in saved.items()}
        for table, rows in rows_if_sound(self._place).items():
            if rows > kept.get(table.casefold(), 0):
                raise NotDone(
                    f"{self._place} is sound, and its table {table!r} has {rows} rows, of which the backup has "
                    f"{kept.get(table.casefold(), 0)}; put back single tables with --table, or set the file aside first"
                )

    def _verify_registration(self, taken: Path) -> None:
        alone = replace(self.home, root=taken.parent, datasets=taken.parent)
        saved = read_registration(taken, alone)
        document = saved.document
        if document is None or not document.usable:
            why = document.problems[0].message if document is not None and document.problems else "it has no fields"
            raise NotDone(f"{taken.name} in the backup is no registration: {why}")
        if saved.missing and saved.shape != "pointer":
            raise NotDone(f"{taken.name} in the backup lacks {join_names(saved.missing)}")
        name = saved.data.get("name")
        if saved.shape != "pointer" and str(name).lower() != self._given.stem.lower():
            raise NotDone(f"{taken.name} in the backup registers {name!r}, not {self._given.stem!r}")
        own = read_json_copy(self.home.datasets / self._given.stem / JSON_COPY_FILE)
        if own is not None and own.data is not None and (later := _is_later(own.data.get("registered_at"), saved)):
            raise NotDone(
                f"{own.path} is of {later}, after the registration in the backup: the dataset was registered again; "
                "make the YAML file of that copy"
            )


def step(repair: Repair, home: Home) -> FileStep:
    """The step that a call means; see `step_of`."""
    table = repair.option("table")
    return PutBack(repair, home) if table is None else PutBackTable(repair, home, table)


def _is_later(registered_at_: object, saved: Registration) -> str:
    """When a dataset was registered, if that is later than a registration says; else empty."""
    own, earlier = moment(registered_at_), moment(saved.data.get("registered_at"))
    return f"{own:%Y-%m-%d %H:%M}" if own and earlier and own > earlier else ""


def _files_of(home: Home) -> tuple[Path, ...]:
    return (home.settings_file, home.feature_flags)


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _read_json(path: Path) -> bool:
    copy = read_json_copy(path)
    return copy is not None and copy.usable


def _new_folder(path: Path) -> Path:
    path.mkdir(mode=0o700)
    return path


def _is_same(one: Path, other: Path) -> bool:
    state = state_of(one)
    return state is not None and state.is_like(state_of(other))
