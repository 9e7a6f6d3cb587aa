"""What a backup would have to hold of a home, and what of it one holds.

Backups are made from here or from there: the home lies at the top of an archive, in `.mdm/`, or in
`home/somebody/.mdm/`. Where it lies is told by what is recognised.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.mdm.backups.archive.members import Member
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES, FILE_ENGINES, LOG_SUFFIXES
from pytest_mdm_health.mdm.files import TEXT_LIMIT, FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.json_copy import moment

FEATURE_MODULES = 1000
"""How many custom feature modules of a home are looked for."""

_OF_ANY_HOME = re.compile(
    r"(?:^|(.*?)/)(?:config/datasets/[^/]+\.yaml|datasets/[^/]+/[^/]+\.(?:sqlite|duckdb|db)|mdm\.yaml)$", re.DOTALL
)


@dataclass(frozen=True, kw_only=True)
class WantedDataset:
    """A registered dataset, in paths relative to the home.

    Attributes:
        registration: its registration file.
        data: the database file; empty for a dataset on a server.
        live: where the data lies now; None if nothing is there.
        outside: for data that lies outside the home, where it lies, from the top of the file system.
        registered: when, in seconds since 1970; None if that is not known.
        tables: those that are registered.
        registered_as: the registration itself.
    """

    name: str
    backend: str | None
    registration: str
    data: str
    live: Path | None = None
    outside: str = ""
    registered: float | None = None
    tables: tuple[str, ...] = ()
    registered_as: Registration


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a backup has to hold.

    Attributes:
        home: the home.
        datasets: every one that is registered.
        files: settings and custom features that there are and that are not empty, relative to the home; each with where
            it is.
    """

    home: Home
    datasets: tuple[WantedDataset, ...]
    files: Mapping[str, Path]

    def restores(self, member: Member) -> bool:
        """Whether a member may be a database of this home, or what belongs to one, wherever the home lies in it."""
        folder, _, name = member.name.rpartition("/")
        base = next((name.removesuffix(ending) for ending in LOG_SUFFIXES if name.endswith(ending)), name)
        if folder.rpartition("/")[2] in self._folders and base.endswith(DATABASE_SUFFIXES):
            return True
        return base in self._names

    def is_metadata(self, member: Member) -> bool:
        """Whether a member may be a registration, the settings or a custom feature of this home."""
        return member.name.rpartition("/")[2] in self._metadata_names and member.size <= TEXT_LIMIT

    @property
    def paths(self) -> tuple[str, ...]:
        """All of it, relative to the home."""
        data = (path for each in self.datasets for path in (each.registration, each.data) if path)
        return (*data, *self.files)

    @cached_property
    def identities(self) -> frozenset[tuple[int, int]]:
        """What tells the home's own files from any copy of them, whatever their names."""
        data = (each.live for each in self.datasets if each.live is not None)
        near = (path.with_name(path.name + ending) for path in data for ending in ("", *LOG_SUFFIXES))
        registrations = (each.registered_as.file for each in self.datasets)
        return frozenset(found for path in (*near, *registrations, *self.files.values()) if (found := identity(path)))

    @cached_property
    def _metadata_names(self) -> frozenset[str]:
        return frozenset(Path(path).name for path in (*(each.registration for each in self.datasets), *self.files))

    @cached_property
    def _folders(self) -> frozenset[str]:
        return frozenset(Path(each.data).parent.name for each in self.datasets if each.data)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(Path(path).name for each in self.datasets for path in (each.data, each.outside) if path)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a backup holds of what is wanted.

    Attributes:
        root: where the home lies in it, empty for the top; None if nothing of a home was recognised.
        data: the member with the data of each dataset that it holds.
        registrations: the datasets whose registration it holds.
        files: what it holds of the settings and custom features.
        others: datasets that it has a registration of, and this home has not.
    """

    root: str | None
    data: Mapping[str, Member]
    registrations: frozenset[str]
    files: frozenset[str]
    others: tuple[str, ...] = ()

    def member_name(self, path: str) -> str:
        """A path of the home as the backup has it."""
        return _join(self.root or "", path)


def identity(path: Path) -> tuple[int, int] | None:
    """What all names of one file have in common, symbolic links followed; None if it cannot be looked at."""
    try:
        info = path.stat()
    except (OSError, ValueError):
        return None
    return (info.st_dev, info.st_ino)


def wanted_of(inventory: Inventory) -> Wanted:
    """What a backup of this home has to hold."""
    home = inventory.home
    modules = [home.custom_features / name for name in _modules(home.custom_features)]
    files = [path for path in (home.settings_file, home.feature_flags, *modules) if _holds_something(path)]
    datasets = tuple(_wanted_dataset(each, home.root) for each in inventory.datasets if each.registration)
    return Wanted(home=home, datasets=datasets, files={_relative(path, home.root, path.name): path for path in files})


def held_in(members: Mapping[str, Member], wanted: Wanted) -> Held:
    """What of it is among these members."""
    root = _root(members, wanted)
    if root is None:
        return Held(root=None, data={}, registrations=frozenset(), files=frozenset())
    by_folder: dict[str, list[Member]] = {}
    for member in members.values():
        if member.kind == "file" and member.name.endswith(DATABASE_SUFFIXES):
            by_folder.setdefault(member.name.rpartition("/")[0], []).append(member)
    found = {each.name: _data(members, by_folder, root, each) for each in wanted.datasets if each.data}
    registrations = (each.name for each in wanted.datasets if _has_content(members, _join(root, each.registration)))
    return Held(
        root=root,
        data={name: member for name, member in found.items() if member is not None},
        registrations=frozenset(registrations),
        files=frozenset(file for file in wanted.files if _has_content(members, _join(root, file))),
        others=tuple(sorted(_others(members, root, wanted))),
    )


def _wanted_dataset(dataset: Dataset, root: Path) -> WantedDataset:
    registration = dataset.registration
    assert registration is not None
    file = dataset.database or (registration.database if dataset.backend in FILE_ENGINES else None)
    on_files = dataset.backend in FILE_ENGINES and file is not None
    usual = f"{_relative(dataset.folder, root, f'datasets/{dataset.name}')}/{file.name}" if file else ""
    when = moment(registration.data.get("registered_at")) or moment(registration.data.get("created_at"))
    return WantedDataset(
        name=dataset.name,
        backend=dataset.backend,
        registration=_relative(registration.file, root, f"config/datasets/{registration.file.name}"),
        data=_relative(file, root, usual) if on_files and file else "",
        live=dataset.database,
        outside=_outside(dataset.database, root) if on_files and dataset.database else "",
        registered=when.timestamp() if when else None,
        tables=tuple(registration.tables.values()),
        registered_as=registration,
    )


def _relative(path: Path, root: Path, otherwise: str) -> str:
    """The path as seen from the home; what lies elsewhere is looked for where the home would have it."""
    for one, base in ((path, root), (Path(os.path.realpath(path)), Path(os.path.realpath(root)))):
        if one.is_relative_to(base):
            return one.relative_to(base).as_posix()
    return otherwise


def _outside(database: Path, root: Path) -> str:
    real = Path(os.path.realpath(database))
    inside = real.is_relative_to(os.path.realpath(root))
    return "" if inside else real.relative_to(real.anchor).as_posix()


def _root(members: Mapping[str, Member], wanted: Wanted) -> str | None:
    votes = Counter(_guesses(members, wanted))
    if not votes:
        return None
    return min(votes, key=lambda root: (-votes[root], len(root), root))


def _guesses(members: Mapping[str, Member], wanted: Wanted) -> Iterator[str]:
    """Where the home lies, as each member that is recognised says it."""
    sought: dict[str, list[str]] = {}
    for path in (*(each.registration for each in wanted.datasets), *(each.data for each in wanted.datasets)):
        sought.setdefault(path.rpartition("/")[2], []).append(path)
    for name, member in members.items():
        if member.kind != "file":
            continue
        if found := _OF_ANY_HOME.fullmatch(name):
            yield found[1] or ""
        else:
            paths = sought.get(name.rpartition("/")[2], ())
            yield from (name[: -len(path)].rstrip("/") for path in paths if _ends_with(name, path))


def _others(members: Mapping[str, Member], root: str, wanted: Wanted) -> Iterator[str]:
    known = {_join(root, each.registration) for each in wanted.datasets}
    folder = _join(root, _relative(wanted.home.registrations, wanted.home.root, "config/datasets")) + "/"
    for name, member in members.items():
        if member.kind == "file" and name.startswith(folder) and name.endswith(".yaml") and name not in known:
            yield name.removeprefix(folder).removesuffix(".yaml")


def _ends_with(name: str, path: str) -> bool:
    return bool(path) and (name == path or name.endswith(f"/{path}"))


def _data(
    members: Mapping[str, Member], by_folder: Mapping[str, list[Member]], root: str, dataset: WantedDataset
) -> Member | None:
    name = _join(root, dataset.data)
    if _is_file(members, name):
        return members[name]
    if dataset.outside and _is_file(members, dataset.outside):
        return members[dataset.outside]
    alone = by_folder.get(name.rpartition("/")[0], [])
    return alone[0] if len(alone) == 1 else None


def _is_file(members: Mapping[str, Member], name: str) -> bool:
    return name in members and members[name].kind in {"file", "hard link"}


def _has_content(members: Mapping[str, Member], name: str) -> bool:
    return _is_file(members, name) and (members[name].size > 0 or members[name].kind == "hard link")


def _join(root: str, path: str) -> str:
    return f"{root}/{path}" if root else path


def _holds_something(path: Path) -> bool:
    try:
        return kind_of(path) is FileKind.FILE and path.stat().st_size > 0
    except OSError:
        return False


def _modules(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.endswith(".py"))[:FEATURE_MODULES]
    except (OSError, ValueError):
        return []
