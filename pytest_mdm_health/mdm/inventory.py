"""What an MDM home holds: every dataset that is registered, and every one whose data only lies there.

Looks at names and first bytes; opens no database. The time is linear in the number of datasets, and nothing that
stands where a file belongs can hold it up.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES, ENGINES, FILE_ENGINES, LOG_SUFFIXES, engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home, is_home, locate
from pytest_mdm_health.mdm.logs.files import log_files
from pytest_mdm_health.mdm.registrations import Registration, read_registration, registration_of_json_copy
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE, read_json_copy
from pytest_mdm_health.mdm.settings import Settings, read_settings

MANY = 10
"""How many names of datasets that share a file are given."""

_UNNAMED_LOOKED_AT = 50
_NO_DATABASE = (*LOG_SUFFIXES, "-shm", ".json", ".yaml", ".parquet", ".csv", ".txt", ".log", ".tmp")
_PUT_ASIDE = (".damaged", ".before", ".rescued", ".bak")


def is_put_aside(name: str) -> bool:
    """Whether a file's name says that it is kept and is no data any more, as repairs name what they put aside."""
    return name.lower().endswith(_PUT_ASIDE)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One dataset.

    Attributes:
        name: the registration's file name without its ending, else the name of the folder or of the stray file.
        registration: what is registered; None if the data only lies there.
        folder: where its files belong.
        files: the database files in the folder, by name or by their first bytes.
        backend: as registered, else what the data is; None if MDM knows no such backend.
        database: where the data is to be read: the registered file if it exists, else the one in the folder; None if
            there is neither, and for data on a server. For a remembered dataset where it was.
        shared_with: other datasets registered with the same data, at most `MANY` of them.
        overlooked: further files that mean to register it and that MDM does not look at (`.yml`).
        remembered: whether only a baseline knows it, and this home has neither a registration nor data of its name.
    """

    name: str
    registration: Registration | None
    folder: Path
    files: tuple[Path, ...] = ()
    backend: str | None = None
    database: Path | None = None
    shared_with: tuple[str, ...] = ()
    overlooked: tuple[Path, ...] = ()
    remembered: bool = False


@dataclass(frozen=True, kw_only=True)
class Unlisted:
    """A folder of the home that could not be listed, and why."""

    folder: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.folder} cannot be listed: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What a home holds.

    Attributes:
        datasets: sorted by name.
        unlisted: folders that could not be listed.
        unreadable: what checks read besides, and this process may not, each as a sentence without a full stop.
        is_home: whether anything of MDM's was found, or may be where something could not be listed.
    """

    home: Home
    settings: Settings
    datasets: tuple[Dataset, ...]
    unlisted: tuple[Unlisted, ...] = ()
    unreadable: tuple[str, ...] = ()
    is_home: bool = True

    @property
    def not_examined(self) -> tuple[str, ...]:
        """All that this process could not list or may not read, as sentences without a full stop."""
        return (*map(str, self.unlisted), *self.unreadable)

    def could_list(self, folder: Path) -> bool:
        """Whether what is in this folder is known."""
        return all(each.folder != folder for each in self.unlisted)


def take_inventory(root: Path, environ: Mapping[str, str]) -> Inventory:
    """All that the home at `root` holds, under its settings and these environment variables. Never raises."""
    settings = read_settings(root, environ)
    home = locate(root, settings)
    unlisted: list[Unlisted] = []
    registered = [_registered(home, *files) for files in _registration_files(home, unlisted)]
    lying = list(_only_on_disk(home, registered, unlisted))
    datasets = sorted(_with_sharing([*registered, *lying]), key=lambda dataset: dataset.name)
    found = bool(datasets or unlisted) or is_home(home)
    return Inventory(
        home=home,
        settings=settings,
        datasets=tuple(datasets),
        unlisted=tuple(unlisted),
        unreadable=tuple(_unreadable(home)),
        is_home=found,
    )


def remembered_dataset(home: Home, name: str, backend: str | None, database: Path | None) -> Dataset:
    """A dataset that an inventory of the home does not have, and a baseline does: on which backend and where it was.

    Without a file it is taken to have been where MDM puts it, unless its data was on a server.
    """
    folder = home.datasets / name.lower()
    if database is None and backend in FILE_ENGINES:
        database = folder / f"{name.lower()}.{backend}"
    return Dataset(name=name, registration=None, folder=folder, backend=backend, database=database, remembered=True)


def _registration_files(home: Home, unlisted: list[Unlisted]) -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """For each name, the file that registers it and those that mean to and are overlooked."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for entry in _listed(home.registrations, unlisted):
        path = home.registrations / entry.name
        if path.suffix.lower() in {".yaml", ".yml"}:
            by_name[path.stem].append(path)
    for files in by_name.values():
        first, *others = sorted(files, key=lambda path: (path.suffix != ".yaml", path.name))
        yield first, tuple(others)


def _registered(home: Home, file: Path, overlooked: tuple[Path, ...]) -> Dataset:
    registration = read_registration(file, home)
    return replace(_dataset(file.stem, _folder(registration, home), registration), overlooked=overlooked)


def _folder(registration: Registration, home: Home) -> Path:
    usual = home.datasets / registration.name.lower()
    if kind_of(usual) is FileKind.MISSING and kind_of(home.datasets / registration.name) is FileKind.FOLDER:
        usual = home.datasets / registration.name  # MDM's commands take the name as it is, its API lower-cased
    if registration.shape == "pointer" and registration.pointed is not None:
        return registration.pointed.path.parent
    named = registration.database
    return named if registration.shape == "flat" and named is not None and kind_of(named) is FileKind.FOLDER else usual


def _only_on_disk(home: Home, registered: Iterable[Dataset], unlisted: list[Unlisted]) -> Iterator[Dataset]:
    names = {dataset.name for dataset in registered}
    taken = {name.lower() for name in names}
    known = {_identity(path) for dataset in registered for path in (dataset.folder, dataset.database) if path}
    for entry in _listed(home.datasets, unlisted):
        path = home.datasets / entry.name
        if entry.name in taken or _identity(path) in known:
            continue
        if kind_of(path) is FileKind.FOLDER:
            name = f"{entry.name} (folder)" if entry.name in names else entry.name
            json_copy = read_json_copy(path / JSON_COPY_FILE)
            dataset = _dataset(
                name, path, registration_of_json_copy(entry.name, json_copy, home) if json_copy else None
            )
            if json_copy or any(_identity(file) not in known for file in dataset.files):
                taken.add(name)
                yield dataset
        elif path.stem not in taken and path.suffix in DATABASE_SUFFIXES and (engine := engine_of(path)):
            taken.add(path.stem)
            yield Dataset(
                name=path.stem, registration=None, folder=home.datasets, files=(path,), backend=engine, database=path
            )


def _dataset(name: str, folder: Path, registration: Registration | None) -> Dataset:
    files = _database_files(folder)
    backend = registration.backend if registration else None
    database = _database(registration, files) if backend not in set(ENGINES) - set(FILE_ENGINES) else None
    if backend not in ENGINES:
        backend = engine_of(database) if database else None
    return Dataset(name=name, registration=registration, folder=folder, files=files, backend=backend, database=database)


def _database(registration: Registration | None, files: tuple[Path, ...]) -> Path | None:
    registered = registration.database if registration else None
    kind = kind_of(registered) if registered else FileKind.MISSING
    if kind is FileKind.FOLDER and registered:
        files = _database_files(registered)
    elif kind not in {FileKind.MISSING, FileKind.BROKEN_LINK, FileKind.UNREACHABLE}:
        return registered
    named = [path for path in files if registered and path.name == registered.name]
    return (named or list(files))[0] if named or len(files) == 1 else None


def _database_files(folder: Path) -> tuple[Path, ...]:
    """The database files in a folder: called like one, or else beginning like one."""
    named: list[Path] = []
    unnamed: list[Path] = []
    for entry in _listed(folder, []):
        path = folder / entry.name
        if path.suffix.lower() in DATABASE_SUFFIXES:
            named.append(path)
        elif not (path.name.endswith(_NO_DATABASE) or is_put_aside(path.name)) and len(unnamed) < _UNNAMED_LOOKED_AT:
            unnamed.append(path)
    return tuple(sorted((*named, *(path for path in unnamed if engine_of(path)))))


def _with_sharing(datasets: Iterable[Dataset]) -> Iterator[Dataset]:
    keys = [(dataset, _data_key(dataset.registration)) for dataset in datasets]
    groups: dict[Hashable, list[str]] = defaultdict(list)
    for dataset, key in keys:
        groups[key].append(dataset.name)
    for dataset, key in keys:
        others = [name for name in sorted(groups[key])[: MANY + 1] if name != dataset.name] if key is not None else []
        yield replace(dataset, shared_with=tuple(others[:MANY])) if others else dataset


def _data_key(registration: Registration | None) -> Hashable:
    if registration is None or registration.in_force is None:
        return None
    return registration.server or (_identity(registration.database) if registration.database else None)


def _identity(path: Path) -> Hashable:
    """What two paths to one thing have in common, there or not."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return os.path.normpath(path)
    return (info.st_dev, info.st_ino)


def _listed(folder: Path, unlisted: list[Unlisted]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        unlisted.append(Unlisted(folder=folder, reason=getattr(error, "strerror", None) or str(error)))
        return []


def _unreadable(home: Home) -> Iterator[str]:
    """What several checks read of a home, and this process has no permission for."""
    for folder in (home.logs, home.custom_features):
        if kind_of(folder) is FileKind.FOLDER and not _may(folder, os.R_OK | os.X_OK):
            yield f"{folder} cannot be listed: permission denied; run pytest as the user that MDM runs as"
    for file in (*log_files(home.log_file), home.metrics, *_python_files(home.custom_features)):
        if kind_of(file) is FileKind.FILE and not _may(file, os.R_OK):
            yield f"{file} cannot be read: permission denied; run pytest as the user that MDM runs as"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _python_files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.glob("*.py"))
    except OSError:
        return []
