"""The facts of `config-not-loading`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.host.permissions import Barrier
from pytest_mdm_health.mdm.repair_marker import Marker
from pytest_mdm_health.mdm.settings import Origin, SettingsProblem
from pytest_mdm_health.mdm.settings.environment import IgnoredVariable

Plain = bool | int | float | str | tuple[int, ...] | None
PATHS, LOG_FILE = "paths.", "logging.file"

Edit = Literal["move", "set", "remove"]


@dataclass(frozen=True)
class Difference:
    """A setting whose value in the installed MDM is not the one that file, environment and known defaults give.

    Attributes:
        key: dotted, in the nested tree.
        name: its name in the installed MDM.
        said: the value by file and environment, or the default of the released versions.
        origin: where that value comes from.
        effective: the value that MDM uses.
    """

    key: str
    name: str
    said: str
    origin: Origin
    effective: str


@dataclass(frozen=True)
class LiteralPath:
    """A path that MDM takes literally, although it is written to be expanded.

    Attributes:
        key: the setting.
        value: as it is written.
        why: what MDM does not do with it, as a clause.
        folder: the folder of exactly that name, which MDM uses.
        there: whether that folder exists; it is empty then, because MDM itself creates it.
        source: the file or variable that sets it.
        line: the line in the file.
        expanded: the folder that is meant, if it exists and the file can be made to name it; else empty.
    """

    key: str
    value: str
    why: str
    folder: str
    there: bool
    source: str
    line: int | None
    expanded: str = ""


@dataclass(frozen=True)
class Planned:
    """A setting with a planned value.

    Attributes:
        key: dotted, in the nested tree; as in the plan if there is no such setting.
        value: as text, secrets hidden.
        done: whether it has that value.
        wrong: why it cannot have that value; empty if it can.
        implied: whether the value follows from the backend planned for a dataset.
    """

    key: str
    value: str
    done: bool
    wrong: str = ""
    implied: bool = False


@dataclass(frozen=True, kw_only=True)
class ConfigFacts(Facts):
    """What file, environment and the installed MDM say about the settings.

    Attributes:
        home: the home.
        file: its `mdm.yaml`.
        state: present, missing, empty or unusable.
        generation: the configuration system whose names the file uses.
        spare: a readable copy of the file with settings, among the backups; empty if there is none.
        archive: the newest backup of the home that holds the file, if neither the file nor a copy of it can be read.
        only_zeros: whether the file holds nothing but zero bytes.
        barrier: the missing permission that keeps the file from being read.
        problems: what is wrong with the file and with variables.
        edits: what `set-setting` can do about a problem of the file, by its key: `move`, `set` or `remove`.
        ignored: the variables that have no effect.
        home_variable: the value of `MDM_HOME_DIR`; None if it is not set.
        names_this_home: whether that value leads to the home that is examined.
        in_force: every key's value by file, environment and default, without secrets.
        validate: whether the installed MDM has `mdm config validate`.
        show: whether it has `mdm config show`.
        version: the version of the installed MDM.
        refusal: why the installed MDM does not load the settings; empty if it does or was not asked.
        differences: settings for which the installed MDM has another value.
        origins: the keys that are set, secrets included, with the name of the file or variable that sets them.
        effective: values of the installed MDM that are not those of `in_force`.
        told: whether the installed MDM reported its settings.
        plan_given: whether there is a plan.
        planned: the planned settings.
        encoding: the encoding that the file names and in which it can be read; empty for UTF-8.
        log_file: the log that MDM opens when it starts.
        log_refusal: why the owner of the home may not write it, as a clause; empty if nothing shows that.
        literal_paths: paths that MDM takes literally, although they are written to be expanded.
        repair: a repair by `mdm-health` that is not over, if the home says that there is one.
    """

    home: str
    file: str
    state: str
    generation: str
    spare: str = ""
    archive: str = ""
    only_zeros: bool = False
    barrier: Barrier | None = None
    problems: tuple[SettingsProblem, ...] = ()
    edits: Mapping[str, Edit] = field(default_factory=dict)
    ignored: tuple[IgnoredVariable, ...] = ()
    home_variable: str | None = None
    names_this_home: bool = True
    in_force: Mapping[str, Plain]
    validate: bool = False
    show: bool = False
    version: str = ""
    refusal: str = ""
    differences: tuple[Difference, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    effective: Mapping[str, Plain] = field(default_factory=dict)
    told: bool = False
    plan_given: bool = False
    planned: tuple[Planned, ...] = ()
    encoding: str = ""
    literal_paths: tuple[LiteralPath, ...] = ()
    log_file: str = ""
    log_refusal: str = ""
    repair: Marker | None = None

    @property
    def loads(self) -> bool:
        """Whether MDM starts with these settings."""
        return not self.refusal and not any(problem.fatal for problem in self.problems)

    def value_of(self, key: str) -> object:
        """The value in effect of a key without secrets; None for a key that has none."""
        return self.effective.get(key, self.in_force.get(key))


def shown(value: object) -> str:
    """A value as it is printed: lists with commas, secrets hidden."""
    return redact(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))


def canonical(home: str, key: str, value: object) -> object:
    """A form that is equal for values with the same meaning: paths as seen from the home, lists as tuples."""
    if key.startswith(PATHS):
        return target_of(home, value)
    if key == LOG_FILE:
        return os.path.normpath(str(value))
    return tuple(value) if isinstance(value, list) else value


def target_of(home: str, value: object) -> str:
    """Where a path in the settings leads: relative to the home if that is inside of it, else absolute."""
    text = str(value)
    if text.startswith("~"):
        return text
    whole = os.path.normpath(os.path.join(home, text))  # noqa: PTH118 - of text, which need not be of this machine
    return os.path.relpath(whole, home) if PurePath(whole).is_relative_to(os.path.normpath(home)) else whole
