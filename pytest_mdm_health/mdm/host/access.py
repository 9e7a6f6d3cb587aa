"""One walk through a home: how large it is, and who may do what in it."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.core.session import clock
from pytest_mdm_health.mdm.engines import LOG_SUFFIXES
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.accounts import (
    ENTER,
    POSIX,
    READ,
    WRITE,
    Account,
    readable_by_others,
    shielded,
    writable_by_group,
)

SOME = 20
"""How many of many paths are named."""

_MOST = 200_000


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Paths that have something in common.

    Attributes:
        count: how many there are.
        some: the first of them, as they can be printed and typed.
    """

    count: int = 0
    some: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def all_named(self) -> bool:
        """Whether none is left out."""
        return self.count == len(self.some)


@dataclass(frozen=True, kw_only=True)
class Access:
    """Owners and modes in a home.

    Attributes:
        owner: the home's owner, who is taken for the one that runs MDM.
        foreign: belong to another user, and the owner may use them all the same.
        foreign_barred: belong to another user, and are data, registrations or settings that the owner may not use.
        foreign_barred_others: likewise, other things.
        barred: data, registrations or settings that the owner may not use.
        barred_others: other things that the owner may not use.
        open_to_all: everybody may write.
        open_to_group: a group may write that is not the owner's alone.
        passwords: files with a password in them that others may read.
        shielded: whether folders above keep others out of all of those that are open to all or have a password in them.
    """

    owner: str
    foreign: Paths = Paths()
    foreign_barred: Paths = Paths()
    foreign_barred_others: Paths = Paths()
    barred: Paths = Paths()
    barred_others: Paths = Paths()
    open_to_all: Paths = Paths()
    open_to_group: Paths = Paths()
    passwords: Paths = Paths()
    shielded: bool = False


@dataclass
class Walk:
    """What the way through the home brought.

    Attributes:
        entries: how many files and folders there are.
        size: bytes that a backup would hold: all but the cache and the backups themselves.
        beside: of these, write-ahead logs and journals.
        groups: the paths that have something in common, by the names that `Access` has for them.
        counts: how many there are of each.
        gaps: what could not be looked at.
    """

    entries: int = 0
    size: int = 0
    beside: int = 0
    groups: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    gaps: list[str] = field(default_factory=list)

    def note(self, group: str, path: Path) -> None:
        """Note a path down in a group."""
        self.counts[group] += 1
        text = str(path)
        if len(self.groups[group]) < SOME and text.isprintable():
            self.groups[group].append(text)

    def paths(self, group: str) -> Paths:
        """The paths of a group."""
        return Paths(count=self.counts[group], some=tuple(self.groups[group]))

    def add_size(self, path: Path, size: int) -> None:
        """Count bytes that a backup would hold."""
        self.size += size
        if path.name.endswith(LOG_SUFFIXES):
            self.beside += size


def walk(home: Home, backups: Path, owner: Account, until: float) -> Walk:
    """Go through the home without following links. Never raises."""
    result = Walk()
    left_out = [_seen_from(home.root, each) for each in (backups, home.cache)]
    vital = (home.datasets, home.registrations, home.custom_features, home.settings_file)
    for path, info, counts in _entries(home.root, left_out, result.gaps):
        if result.entries >= _MOST or clock() > until:
            result.gaps.append(f"{home.root} was gone through only as far as {path}")
            break
        result.entries += 1
        if counts and stat.S_ISREG(info.st_mode):
            result.add_size(path, info.st_size)
        if POSIX and not stat.S_ISLNK(info.st_mode):
            important = path == home.root or any(path == each or each in path.parents for each in vital)
            _judge(result, path, info, owner, important=important)
    return result


def access_of(result: Walk, owner: Account, passwords: list[Path]) -> Access:
    """Owners and modes, of the home and of the files that hold a password."""
    exposed = [path for path in passwords if _exposed(path, owner)]
    for path in exposed:
        result.note("passwords", path)
    barred = ("barred", "barred_others", "foreign_barred", "foreign_barred_others")
    names = ("foreign", *barred, "open_to_all", "open_to_group", "passwords")
    return Access(
        owner=owner.name,
        shielded=all(shielded(path, owner) for path in (*exposed, *map(Path, result.groups["open_to_all"]))),
        **{name: result.paths(name) for name in names},
    )


def _judge(result: Walk, path: Path, info: os.stat_result, owner: Account, *, important: bool) -> None:
    foreign = info.st_uid != owner.uid
    folder = stat.S_ISDIR(info.st_mode)
    to_use = READ | ENTER if folder else READ
    if not owner.may(info, to_use):
        result.note(f"{'foreign_' if foreign else ''}barred{'' if important else '_others'}", path)
        return
    if foreign:
        result.note("foreign", path)
    if not foreign and not owner.may(info, WRITE) and (folder or important):
        result.note("barred_others", path)
    elif info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        result.note("open_to_all", path)
    elif writable_by_group(info, owner):
        result.note("open_to_group", path)


def _exposed(path: Path, owner: Account) -> bool:
    try:
        return readable_by_others(path, owner)
    except OSError:
        return False


def _seen_from(root: Path, folder: Path) -> str:
    """A folder as a path that begins like the home's, if it is in there by whatever path; empty if it is the home."""
    real, real_root = os.path.realpath(folder), os.path.realpath(root)
    if real == real_root:
        return ""
    return str(root / os.path.relpath(real, real_root)) if Path(real).is_relative_to(real_root) else str(folder)


def _entries(root: Path, left_out: list[str], gaps: list[str]) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Everything in the home, and whether a backup would hold it."""

    def unreadable(error: OSError) -> None:
        gaps.append(f"{error.filename} cannot be listed: {error.strerror}")

    yield root, root.stat(), True
    for parent, folders, files in os.walk(root, onerror=unreadable):
        counts = not any(each and (each == parent or parent.startswith(f"{each}{os.sep}")) for each in left_out)
        for name in sorted((*folders, *files)):
            path = Path(parent, name)
            try:
                yield path, path.lstat(), counts
            except OSError as error:
                gaps.append(f"{path} cannot be looked at: {error.strerror}")
