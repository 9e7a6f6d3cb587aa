"""What `config-not-loading` sees."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pytest_mdm_health.checks.config_not_loading.paths import LiteralPath, literal_paths
from pytest_mdm_health.checks.config_not_loading.plan import Planned, planned
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.permissions import Barrier, barrier
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings import Origin, Settings, SettingsProblem
from pytest_mdm_health.mdm.settings.environment import IgnoredVariable, converted
from pytest_mdm_health.mdm.settings.runtime import Told, told_by
from pytest_mdm_health.mdm.settings.schema import BY_NAME, accepted
from pytest_mdm_health.mdm.yaml_file import load_yaml, readable_as

Plain = bool | int | float | str | tuple[int, ...] | None
HOME_VARIABLE = "MDM_HOME_DIR"
_REFUSAL_SHOWN = 500
_VALUE_KEPT = 300
_NO_ANSWER = frozenset({"ModuleNotFoundError", "ImportError", "Unfinished", "Crash"})


@dataclass(frozen=True)
class Difference:
    """A setting that the installed MDM has otherwise.

    Attributes:
        key: dotted, in the nested tree.
        name: what the installed MDM calls it.
        said: the value by file and environment, or the default of the released versions.
        origin: where that comes from.
        effective: the value that MDM works with.
    """

    key: str
    name: str
    said: str
    origin: Origin
    effective: str


@dataclass(frozen=True, kw_only=True)
class ConfigFacts(Facts):
    """What was seen.

    Attributes:
        home: the home.
        file: its `mdm.yaml`.
        state: present, missing, empty or unusable.
        generation: whose names the file uses.
        spare: a copy of the file among the backups that can be read and has settings; empty if there is none.
        encoding: the encoding that the file says it has and that it can be read in as settings; empty for UTF-8.
        literal_paths: paths that MDM takes literally although they are written for somebody who expands them.
        barrier: the missing permission that keeps the file from being read.
        problems: what is wrong with the file and what variables set.
        variables: key to the variable that sets it.
        ignored: the variables that set nothing.
        home_variable: the value of `MDM_HOME_DIR`; None if it is not set.
        names_this_home: whether that value leads MDM to the home that is examined.
        in_force: every key's value by file, environment and default, without secrets.
        origins: the keys that somebody set, secrets too, with the name of the file or variable that did.
        effective: what the installed MDM has otherwise than `in_force`.
        told: whether the installed MDM told its settings.
        plan_given: whether there is a plan of what is meant to change.
        planned: the settings in it.
        validate: whether the installed MDM has `mdm config validate`; likewise `show`.
        version: of the installed MDM.
        refusal: why the installed MDM does not load the settings; empty if it does or was not asked.
        differences: settings that it has otherwise than file and environment say.
        other_defaults: settings that nothing sets and that it has otherwise than the released versions.
    """

    home: str
    file: str
    state: str
    generation: str
    spare: str = ""
    barrier: Barrier | None = None
    problems: tuple[SettingsProblem, ...] = ()
    variables: Mapping[str, str]
    ignored: tuple[IgnoredVariable, ...] = ()
    home_variable: str | None = None
    names_this_home: bool = True
    in_force: Mapping[str, Plain]
    validate: bool = False
    show: bool = False
    version: str = ""
    refusal: str = ""
    differences: tuple[Difference, ...] = ()
    other_defaults: tuple[Difference, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    effective: Mapping[str, Plain] = field(default_factory=dict)
    told: bool = False
    plan_given: bool = False
    planned: tuple[Planned, ...] = ()
    encoding: str = ""
    literal_paths: tuple[LiteralPath, ...] = ()


def gather(
    home: Home,
    settings: Settings,
    environ: Mapping[str, str],
    backup: Path | None,
    installation: Installation | None,
    expected: Expected,
) -> ConfigFacts:
    """Put together what file, environment and installed MDM say."""
    told = told_by(installation) if settings.starts else {}
    refusal, gap = _answer(installation, settings)
    given = environ.get(HOME_VARIABLE)
    return ConfigFacts(
        examined=1 + sum(name.startswith("MDM_") for name in environ) + len(told),
        gaps=(gap,) if gap else (),
        home=str(home.root),
        file=str(settings.file),
        state=settings.state,
        generation=settings.generation,
        spare=_spare_copy([folder / settings.file.name for folder in (backup, home.backup) if folder is not None]),
        barrier=barrier(settings.file),
        problems=tuple(problem for problem in settings.problems if problem.code != "other-generation"),
        variables=dict(settings.variables),
        ignored=tuple(each for each in settings.ignored_variables if not _works(each, told, environ)),
        home_variable=given,
        names_this_home=given is None or _leads_to(given, home.root),
        in_force={key: _plain(value.value) for key, value in settings.values.items() if not value.secret},
        origins=dict(_origins(settings, told, environ)),
        effective={key: _plain(each.value) for key, each in told.items() if each.value != settings[key]},
        told=bool(told),
        plan_given=expected.given,
        planned=tuple(planned(expected, settings, told)),
        encoding=readable_as(settings.file) if settings.state == "unusable" else "",
        literal_paths=tuple(literal_paths(home, settings)),
        validate=installation is not None and installation.offers("config validate"),
        show=installation is not None and installation.offers("config show"),
        version=(installation.version or "") if installation is not None else "",
        refusal=refusal,
        differences=tuple(_differences(settings, told, by_default=False)),
        other_defaults=tuple(_differences(settings, told, by_default=True)),
    )


def _answer(installation: Installation | None, settings: Settings) -> tuple[str, str]:
    """Why the installed MDM refuses the settings, or why what it makes of them is not known."""
    if installation is None:
        return "", "no installed MDM was found to ask what it makes of the settings"
    failure = installation.settings.failure
    if failure is None:
        said = installation.settings.values is not None
        return "", "" if said else "the installed MDM has no function that tells its settings"
    if failure.error in _NO_ANSWER:
        return "", f"the installed MDM could not be asked for its settings: {failure}"
    return (" ".join(str(failure).split())[:_REFUSAL_SHOWN], "") if settings.starts else ("", "")


def _differences(settings: Settings, told: Mapping[str, Told], *, by_default: bool) -> Iterator[Difference]:
    for key, each in told.items():
        ours = settings.values[key]
        is_default = ours.origin.kind == "default"
        expected = (ours.value, BY_NAME[key].older) if is_default else (ours.value,)
        # A setting that another generation calls otherwise has a default of its own there.
        if is_default is by_default and each.value not in expected and not (by_default and each.name != key):
            yield Difference(key, each.name, _shown(ours.value), ours.origin, _shown(each.value))


def _origins(settings: Settings, told: Mapping[str, Told], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each key that is set, with what sets it; the installed MDM may take it under a name of its own."""
    for key, value in settings.values.items():
        if value.origin.kind != "default":
            yield key, value.origin.name if value.origin.kind == "environment" else settings.file.name
    written = settings.document.positions if settings.document is not None else {}
    for key, each in told.items():
        if each.name != key and each.name in written:
            yield key, settings.file.name
    for variable in settings.ignored_variables:
        if variable.key is not None and _works(variable, told, environ):
            yield variable.key, variable.name


def _works(variable: IgnoredVariable, told: Mapping[str, Told], environ: Mapping[str, str]) -> bool:
    """Whether the installed MDM, of another generation, does take this variable."""
    if variable.key is None or variable.key not in told:
        return False
    value = told[variable.key].value
    return value != BY_NAME[variable.key].default and value == accepted(variable.key, converted(environ[variable.name]))


def _spare_copy(candidates: list[Path]) -> str:
    return next((str(file) for file in candidates if _is_settings(file)), "")


def _is_settings(file: Path) -> bool:
    document = load_yaml(file)
    return document.usable and isinstance(document.data, dict) and bool(document.data)


def _leads_to(given: str, root: Path) -> bool:
    try:
        return os.path.realpath(given) == os.path.realpath(root)  # MDM takes it as it is, seen from where it is started
    except (OSError, ValueError):
        return False


def _shown(value: object) -> str:
    return redact(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))


def _plain(value: object) -> Plain:
    """The value as facts keep it; of a text that goes on and on only the beginning."""
    if isinstance(value, str) and len(value) > _VALUE_KEPT:
        return f"{value[:_VALUE_KEPT]}… ({len(value)} characters)"
    return cast("Plain", value)
