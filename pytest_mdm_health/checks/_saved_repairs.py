"""Commands that take files out of a backup and put them where they belong."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from pytest_mdm_health.mdm.backup_search import SavedData


@dataclass(frozen=True)
class Saved:
    """A file that a backup holds, and where it belongs; what lies beside it belongs beside that."""

    data: SavedData
    file: str

    @property
    def backup(self) -> str:
        """The backup; for a plain copy the copy itself."""
        return self.data.backup or self.data.member


def put_back(saved: Iterable[Saved], home: str) -> tuple[str, ...]:
    """Take files out of their backups; those that come out of one archive in their places come out together."""
    commands: list[str] = []
    for (backup, unpack), group in groupby(saved, key=_unpacking):
        each = list(group)
        if unpack:
            members = shlex.join(member for one in each for member in _members(one.data))
            commands.append(f"{unpack}f {shlex.quote(backup)} -C {shlex.quote(home)} -- {members}")
        else:
            commands += (command for one in each for command in _one_by_one(one))
    return tuple(dict.fromkeys(commands))


def _unpacking(saved: Saved) -> tuple[str, str]:
    """An archive and how to unpack it in the home; no command if that would not put the file in its place."""
    data = saved.data
    return data.backup, _tar(data) if data.form not in {"", "zip"} and data.in_place else ""


def _one_by_one(saved: Saved) -> Iterator[str]:
    data = saved.data
    yield f"mkdir -p -- {shlex.quote(posixpath.dirname(saved.file))}"
    for member in _members(data):
        written, to = shlex.quote(member), shlex.quote(saved.file + member[len(data.member) :])
        if not data.form:
            yield f"cp -p -- {written} {to}"
        elif data.form == "zip":
            yield f"unzip -p {shlex.quote(data.backup)} {written} > {to}"
        else:
            yield f"{_tar(data)}Of {shlex.quote(data.backup)} -- {written} > {to}"


def _tar(data: SavedData) -> str:
    return f"tar -x{'z' if data.form == 'tar.gz' else ''}"


def _members(data: SavedData) -> tuple[str, ...]:
    return (data.member, *data.beside)
