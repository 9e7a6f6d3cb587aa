"""Commands that take files out of a backup and put them where they belong, without writing over anything.

What is taken out goes into a new folder in the home first, and from there into its place only once all of it is there:
an archive that breaks off, a full disk or a wrong name leave everything as it was.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pytest_mdm_health.mdm.backups.search import SavedData
from pytest_mdm_health.mdm.engines import LOG_SUFFIXES

_UNPACKED = '"$d"'
_WILD = re.compile(r"([\[\]*?\\])")


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
    """Put files that are missing in their places, one command for each backup; it does nothing if one is there."""
    return tuple(_command(list(group), home, "") for _, group in groupby(saved, key=_origin))


def in_exchange(saved: Saved, home: str, kept: str) -> str:
    """Put a file in the place of another one, which is kept with its logs under its name and this ending."""
    return _command([saved], home, kept)


def _origin(saved: Saved) -> tuple[str, str]:
    return saved.data.backup, saved.data.form


def _command(saved: Sequence[Saved], home: str, kept: str) -> str:
    """A command in a subshell: take out, see that nothing is in the way, put aside, put in place."""
    folder = shlex.quote(posixpath.join(home, ".restore-XXXXXX"))
    files = shlex.join(dict.fromkeys(each.file for each in saved))
    endings = " ".join(("''", *LOG_SUFFIXES, *(("-shm",) if kept else ())))
    taken = f"d=$(mktemp -d {folder}) && trap 'rm -rf -- {_UNPACKED}' EXIT && {_taken_out(saved)} || exit 1"
    told = '{ echo "$n is there already; nothing was changed" >&2; exit 1; }'
    free = f'n="$f{kept}$e"; [ ! -e "$n" ] && [ ! -L "$n" ] || {told}'
    aside = f'n="$f$e"; [ ! -e "$n" ] && [ ! -L "$n" ] || mv -- "$n" "$f{kept}$e" || exit 1'
    loops = [f"for f in {files}; do for e in {endings}; do {step}; done; done" for step in (free, aside)]
    placed = " && ".join(step for each in saved for step in _placed(each, saved))
    return f"({'; '.join((taken, *loops[: 2 if kept else 1], placed))})"


def _taken_out(saved: Sequence[Saved]) -> str:
    data = saved[0].data
    members = list(dict.fromkeys(member for each in saved for member in _members(each.data)))
    if not data.form:
        copies = (f"cp -p -- {shlex.quote(each)} {_inside(each, saved)}" for each in members)
        return " && ".join(copies)
    backup = shlex.quote(data.backup)
    if data.form == "zip":
        literally = shlex.join(_WILD.sub(r"\\\1", each) for each in members)
        return f"unzip -q {backup} {literally} -d {_UNPACKED}"
    return f"tar -x{'z' if data.form == 'tar.gz' else ''}pf {backup} -C {_UNPACKED} -- {shlex.join(members)}"


def _placed(each: Saved, saved: Sequence[Saved]) -> Iterator[str]:
    """The log first: a log without its file is nothing, a file without its log is not complete."""
    yield f"mkdir -p -- {shlex.quote(posixpath.dirname(each.file))}"
    for member in reversed(_members(each.data)):
        to = shlex.quote(each.file + member[len(each.data.member) :])
        yield f"mv -- {_inside(member, saved)} {to}"


def _inside(member: str, saved: Sequence[Saved]) -> str:
    """Where a member is once it was taken out; plain copies are numbered, for they may share a name."""
    if saved[0].data.form:
        inside = posixpath.normpath(member).lstrip("/")
    else:
        number = next(at for at, each in enumerate(saved) if member in _members(each.data))
        inside = f"{number}-{posixpath.basename(member)}"
    return f"{_UNPACKED}/{shlex.quote(inside)}"


def _members(data: SavedData) -> tuple[str, ...]:
    return (data.member, *data.beside)
