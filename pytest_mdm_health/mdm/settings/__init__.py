"""MDM's settings as they are in force: defaults, then `mdm.yaml`, then the environment, each value with its origin.

This is the reading of the nested tree, which all released versions use; what other generations would understand is
reported as a problem of its own kind. Where MDM itself would refuse to start, the value in force is the default.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.settings.environment import (
    NO_SETTINGS,
    IgnoredVariable,
    Landing,
    apply_variables,
    explain,
    sets_a_flag,
)
from pytest_mdm_health.mdm.settings.marks import marks_in
from pytest_mdm_health.mdm.settings.problems import (
    Origin,
    SettingsProblem,
    Value,
    kind_in_words,
    refused,
    trap,
    unknown_key,
    wrong_section,
)
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, SECTIONS, Refused, accepted, default_of, flat_name
from pytest_mdm_health.mdm.yaml_file import HARMLESS, YamlDocument, load_yaml

__all__ = ["Origin", "Settings", "SettingsProblem", "Value", "read_settings"]

FILE = "mdm.yaml"
_SWITCHES = {
    True: ("on", "yes", "true", "On", "Yes", "ON", "YES"),
    False: ("off", "no", "false", "Off", "No", "OFF", "NO"),
}
State = Literal["present", "missing", "empty", "unusable"]
Generation = Literal["nested", "flat", "mixed", "none"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one home.

    Attributes:
        file: `mdm.yaml` of the home, whether it is there or not.
        state: whether there is a file, whether it says anything, and whether MDM can read it at all.
        document: the file as read; None if there is none.
        values: each known key's value in force, by its dotted name.
        problems: what is wrong, in the file first, then in the environment.
        generation: whose names the file uses, where they differ.
        variables: the variables that set a known key, by that key.
        ignored_variables: the variables that set nothing.
    """

    file: Path
    state: State
    document: YamlDocument | None = field(repr=False)
    values: Mapping[str, Value] = field(repr=False)
    problems: tuple[SettingsProblem, ...] = ()
    generation: Generation = "none"
    variables: Mapping[str, str] = field(default_factory=dict)
    ignored_variables: tuple[IgnoredVariable, ...] = ()

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - each key has a type of its own, which the schema holds
        """The value in force of a known key; of any other, KeyError."""
        return self.values[key].value

    @property
    def starts(self) -> bool:
        """Whether MDM starts with these settings."""
        return not any(problem.fatal for problem in self.problems)


def read_settings(root: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the home at `root` under this environment, whatever state they are in. Never raises."""
    file = root / FILE
    document = load_yaml(file)
    state = _state(document, kind_of(file))
    said = document.data if state == "present" and isinstance(document.data, dict) else {}
    tree: dict[Any, Any] = copy.deepcopy(said)
    reading = _Reading(file, document, said, tree, apply_variables(tree, environ))
    landed = {landing.name: landing.variable for landing in reading.landings}
    return Settings(
        file=file,
        state=state,
        document=document if state != "missing" else None,
        values={name: reading.value_of(name) for name in BY_NAME},
        problems=(*_file_problems(document, state), *_marks(document, state), *reading.problems()),
        generation=_generation(said),
        variables={name: variable for name, variable in landed.items() if name in BY_NAME},
        ignored_variables=tuple(_ignored(reading.landings)),
    )


@dataclass(frozen=True)
class _Reading:
    """The settings while they are put together: what the file says, and what is there with the environment."""

    file: Path
    document: YamlDocument
    said: Mapping[Any, Any]
    tree: Mapping[Any, Any]
    landings: list[Landing]

    def value_of(self, name: str) -> Value:
        found, value = _look_up(self.tree, name)
        taken = accepted(name, value) if found else None
        if not found or isinstance(taken, Refused):
            taken, origin = default_of(name, section_given=self._section_given(name)), Origin("default")
        else:
            origin = self.origin_of(name)
        return Value(name, taken, origin, BY_NAME[name].secret)

    def origin_of(self, name: str) -> Origin:
        by_name = {landing.name: landing.variable for landing in self.landings}
        below = [landing.variable for landing in self.landings if landing.name.startswith(f"{name}.")]
        if name in by_name:
            return Origin("environment", by_name[name])
        if below and not _look_up(self.said, name)[0]:
            return Origin("environment", below[-1])
        return self._in_file(name)

    def problems(self) -> Iterator[SettingsProblem]:
        yield from self._unknown("", self.said)
        for name in sorted(SECTIONS):
            found, value = _look_up(self.tree, name)
            if found and not isinstance(value, Mapping):
                yield wrong_section(name, value, self.origin_of(name))
        for name in BY_NAME:
            yield from self._problems_of(name)

    def _problems_of(self, name: str) -> Iterator[SettingsProblem]:
        found, value = _look_up(self.tree, name)
        if not found:
            return
        origin, taken = self.origin_of(name), accepted(name, value)
        raw = self.document.raw.get(name) if origin.kind == "file" else None
        if isinstance(taken, Refused):
            yield refused(name, value, taken, origin, raw)
        else:
            yield from trap(name, value, taken, origin, raw)

    def _unknown(self, prefix: str, mapping: Mapping[Any, Any]) -> Iterator[SettingsProblem]:
        for key, value in mapping.items():
            name = f"{prefix}{key}"
            if not isinstance(key, str):
                yield self._odd_key(self._as_written(prefix, key), fatal=not prefix)
            elif name in SECTIONS or name in BY_NAME:
                below = value if name in SECTIONS and isinstance(value, Mapping) else {}
                yield from self._unknown(f"{name}.", below)
            else:
                yield from self._unknown_or_guides(name, value)

    def _unknown_or_guides(self, name: str, value: object) -> Iterator[SettingsProblem]:
        """A section that only the guide has is gone through; of any other unknown one only the section is named."""
        inside = [f"{name}.{key}" for key in value] if isinstance(value, Mapping) else []
        if any(each in ALIASES for each in inside):
            yield from (unknown_key(each, self._in_file(each)) for each in inside)
        else:
            yield unknown_key(name, self._in_file(name))

    def _as_written(self, prefix: str, key: object) -> str:
        words = _SWITCHES.get(key, ()) if isinstance(key, bool) else ()
        names = (f"{prefix}{word}" for word in words)
        return next((name for name in names if name in self.document.positions), f"{prefix}{key}")

    def _odd_key(self, name: str, *, fatal: bool) -> SettingsProblem:
        message = f"the key `{name}` is not text, and {'MDM refuses that' if fatal else 'MDM ignores it'}"
        return SettingsProblem("key-not-text", name, message, self._in_file(name), "take it out", fatal)

    def _in_file(self, name: str) -> Origin:
        line, column = self.document.positions.get(name, (None, None))
        return Origin("file", str(self.file), line, column)

    def _section_given(self, name: str) -> bool:
        return _look_up(self.tree, name.rpartition(".")[0])[0]


def _look_up(tree: Mapping[Any, Any], name: str) -> tuple[bool, object]:
    current: object = tree
    for part in name.split("."):
        if not isinstance(current, Mapping) or part not in current:
            return False, None
        current = current[part]
    return True, current


def _state(document: YamlDocument, kind: FileKind) -> State:
    if kind in {FileKind.MISSING, FileKind.BROKEN_LINK}:  # to MDM, a broken link is no file
        return "missing"
    if not document.usable:
        return "unusable"
    if not document.data:
        return "empty"
    return "present" if isinstance(document.data, dict) else "unusable"


def _file_problems(document: YamlDocument, state: State) -> Iterator[SettingsProblem]:
    file = str(document.path)
    for problem in document.problems:
        if problem.code != "missing":
            origin = Origin("file", file, problem.line, problem.column)
            message = f"`{problem.key}` {problem.message}" if problem.key else problem.message
            fatal = problem.code not in HARMLESS and state != "missing"
            yield SettingsProblem(problem.code, problem.key, message, origin, fatal=fatal)
    if document.data and not isinstance(document.data, dict):
        message = f"holds {kind_in_words(document.data)} where MDM takes sections of keys and values"
        yield SettingsProblem("not-a-mapping", "", message, Origin("file", file, 1, 1), fatal=True)


def _marks(document: YamlDocument, state: State) -> Iterator[SettingsProblem]:
    if state in {"present", "unusable"}:
        yield from marks_in(document.path, usable=document.usable)


def _generation(said: Mapping[Any, Any]) -> Generation:
    names = set(_names("", said))
    flat = any(alias.source == "flat" and alias.name in names for alias in ALIASES.values())
    nested = any(name in names for name in BY_NAME if flat_name(name) != name)
    if flat:
        return "mixed" if nested else "flat"
    return "nested" if nested or names & set(BY_NAME) else "none"


def _names(prefix: str, mapping: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        yield name
        if isinstance(value, Mapping) and name in SECTIONS:
            yield from _names(f"{name}.", value)


def _ignored(landings: list[Landing]) -> Iterator[IgnoredVariable]:
    known = SECTIONS | set(BY_NAME)
    for landing in landings:
        reaches = any(".".join(landing.path[:length]) in BY_NAME for length in range(1, len(landing.path) + 1))
        counts = landing.variable in NO_SETTINGS or sets_a_flag(landing.variable)
        if landing.name not in known and not reaches and not counts:
            yield explain(landing.variable)
