"""The switches of the migration: `feature_flags.yaml` and `MDM_FEATURE_*`, as 0.2.0 reads them.

It reads the file in the user's `~/.mdm`, whatever `MDM_HOME_DIR` says, takes any value that Python counts as true for
on, and does not understand the file that it writes itself, which has the switches below `flags`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.settings.environment import FLAG_PREFIX, FLAGS
from pytest_mdm_health.mdm.settings.problems import Origin
from pytest_mdm_health.mdm.yaml_file import YamlDocument, load_yaml

SWITCHES = ("use_new_backend", "use_new_registrar", "use_new_features")
"""The switches between the old and the new code; each is off by default."""

_ON = frozenset({"true", "1", "yes", "on"})
_OFF = frozenset({"false", "0", "no", "off"})
_NEW, _LEGACY = "use_new_", "use_legacy_"
_WRITTEN = frozenset({"flags", "history", "last_updated"})
_PARTS = "rollout_percentage"


@dataclass(frozen=True)
class Flag:
    """One switch as it is in force.

    Attributes:
        name: of the switch.
        on: as MDM takes it.
        origin: the file, a variable or the default.
    """

    name: str
    on: bool
    origin: Origin

    @property
    def part(self) -> str:
        """The part of MDM that it switches."""
        return self.name.removeprefix(_NEW).removeprefix(_LEGACY)

    @property
    def new(self) -> bool:
        """Whether it makes the new code do the work."""
        return self.on is not self.name.startswith(_LEGACY)


@dataclass(frozen=True)
class Misread:
    """Something in the file that MDM takes otherwise than it is written.

    Attributes:
        name: the key.
        what: a clause.
        line: counted from 1.
        column: counted from 1.
        meant: `false` for a text that says so and counts as true; else empty.
    """

    name: str
    what: str
    line: int | None = None
    column: int | None = None
    meant: str = ""


@dataclass(frozen=True)
class Flags:
    """The switches of a home under an environment.

    Attributes:
        file: where the file belongs.
        there: whether something exists at that path.
        damage: why MDM cannot use the file, as a clause; empty if it can or there is none.
        line: of the damage.
        given: whether the file or a variable says anything about a switch between old and new.
        switches: those between old and new, as they are in force or were meant to be.
        misread: what MDM takes otherwise than it is written.
    """

    file: str
    there: bool
    damage: str
    line: int | None
    given: bool
    switches: tuple[Flag, ...]
    misread: tuple[Misread, ...]

    @property
    def mixed(self) -> bool:
        """Whether part of MDM is switched to the new code and part is not."""
        return len({flag.new for flag in self.switches}) > 1


def read_flags(file: Path, environ: Mapping[str, str]) -> Flags:
    """The switches, whatever state the file is in. Never raises."""
    there = kind_of(file) not in {FileKind.MISSING, FileKind.BROKEN_LINK}
    document = load_yaml(file)
    damage, line = _damage(document) if there else ("", None)
    said = document.data if there and not damage and isinstance(document.data, dict) else {}
    given = {flag.name: flag for flag in (*_of_file(said, document), *_of_environment(environ))}
    defaults = {name: Flag(name, on=False, origin=Origin("default")) for name in SWITCHES}
    switches = tuple((defaults | given).values())
    misread = tuple(_misread(said, document))
    return Flags(str(file), there, damage, line, bool(given), switches, misread)


def _damage(document: YamlDocument) -> tuple[str, int | None]:
    for problem in document.problems:
        if not document.usable:
            return problem.message, problem.line
    if document.data and not isinstance(document.data, dict):
        return "holds no switches but something else", 1
    return "", None


def _of_file(said: Mapping[object, object], document: YamlDocument) -> Iterator[Flag]:
    below = said.get("flags")
    every = {**(below if isinstance(below, Mapping) else {}), **said}
    for name, value in every.items():
        if isinstance(name, str) and name.startswith((_NEW, _LEGACY)):
            place = name if name in document.positions else f"flags.{name}"
            line, column = document.positions.get(place, (None, None))
            yield Flag(name, bool(value), Origin("file", str(document.path), line, column))


def _of_environment(environ: Mapping[str, str]) -> Iterator[Flag]:
    for name in SWITCHES:
        variable = FLAG_PREFIX + name.upper()
        if variable in environ:
            yield Flag(name, environ[variable].lower() in _ON, Origin("environment", variable))


def _misread(said: Mapping[object, object], document: YamlDocument) -> Iterator[Misread]:
    for name, value in said.items():
        what = _how_misread(str(name), value)
        if what:
            line, column = document.positions.get(str(name), (None, None))
            says_off = name in FLAGS and isinstance(value, str) and value.lower() in _OFF
            yield Misread(str(name), what, line, column, "false" if says_off else "")


def _how_misread(name: str, value: object) -> str:
    if name == "flags" and isinstance(value, Mapping):
        return "MDM wrote the switches below this key and does not read them there"
    if name == _PARTS:
        return "MDM takes the percentages for plain true, and asking for one then fails"
    if name not in FLAGS:
        return "" if name in _WRITTEN else "MDM has no such switch and ignores it"
    return "this text counts as true, as any text does" if isinstance(value, str) and value.lower() not in _ON else ""
