"""How `config-not-loading` collects its facts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import cast

from pytest_mdm_health.checks.config_not_loading.facts import (
    LOG_FILE,
    PATHS,
    ConfigFacts,
    Difference,
    Edit,
    LiteralPath,
    Plain,
    Planned,
    canonical,
    shown,
)
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.secrets import HIDDEN, redact
from pytest_mdm_health.mdm.backups.search import search_backups
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.permissions import barrier, write_refusal
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.repair_marker import read_marker
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.edits import can_be_moved, can_be_removed, can_be_set
from pytest_mdm_health.mdm.settings.environment import PREFIX, IgnoredVariable, converted
from pytest_mdm_health.mdm.settings.runtime import Told, told_by
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, Refused, accepted
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, load_yaml, readable_as

HOME_VARIABLE = "MDM_HOME_DIR"
DEFAULT_BACKEND = "database.default_backend"
MAX_REFUSAL, MAX_VALUE = 500, 300
"""How many characters of an error message and of a value are stored."""

_SHARE_OF_TIME = 0.2
"""How much of the check's time listing an archive may take."""
_NO_ANSWER = frozenset({"ModuleNotFoundError", "ImportError", "Unfinished", "Crash"})
_READS_OTHERWISE = frozenset({"unseen", "no-blank", "conflict"})
_VARIABLE = re.compile(r"\$\{\w+\}|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")


def collect(
    home: Home,
    settings: Settings,
    environ: Mapping[str, str],
    options: Options,
    installation: Installation | None,
    expected: Expected,
) -> ConfigFacts:
    """Collect what file, environment and the installed MDM say."""
    runtime = told_by(installation) if settings.starts else {}
    refusal, gap = _answer(installation, settings)
    home_variable = environ.get(HOME_VARIABLE)
    spare = _readable_copy(settings.file.name, [options.backup, home.backup])
    return ConfigFacts(
        examined=1 + sum(name.startswith(PREFIX) for name in environ) + len(runtime),
        gaps=(gap,) if gap else (),
        home=str(home.root),
        file=str(settings.file),
        state=settings.state,
        generation=settings.generation,
        spare=spare,
        only_zeros=settings.state == "unusable" and _holds_only_zeros(settings.file),
        archive=_archive(home, options) if settings.state == "unusable" and not spare else "",
        barrier=barrier(settings.file),
        problems=tuple(problem for problem in settings.problems if problem.code != "other-generation"),
        edits=dict(_edits(settings)),
        ignored=tuple(_ignored_variables(settings, runtime, environ)),
        home_variable=home_variable,
        names_this_home=home_variable is None or _is_same_folder(home_variable, home.root),
        in_force={key: _limited(value.value) for key, value in settings.values.items() if not value.secret},
        origins=dict(_origins(settings, runtime, environ)),
        effective={key: _limited(setting.value) for key, setting in runtime.items() if setting.value != settings[key]},
        told=bool(runtime),
        plan_given=expected.given,
        planned=tuple(_planned_settings(expected, settings, runtime)),
        encoding=readable_as(settings.file) if settings.state == "unusable" else "",
        log_file=str(home.log_file),
        log_refusal=_log_refusal(home),
        repair=read_marker(home.root),
        literal_paths=tuple(_literal_paths(home, settings)),
        validate=installation is not None and installation.offers("config validate"),
        show=installation is not None and installation.offers("config show"),
        version=(installation.version or "") if installation is not None else "",
        refusal=refusal,
        differences=tuple(_differences(settings, runtime)),
    )


def _edits(settings: Settings) -> Iterator[tuple[str, Edit]]:
    """What can be done about the problems of the file by changing one key of it."""
    if any(problem.code in _READS_OTHERWISE for problem in settings.problems):
        return  # the keys may not be those that a person sees
    for problem in settings.problems:
        key = problem.key
        if problem.origin.kind == "environment":
            continue
        if problem.code == "unknown-key" and can_be_moved(settings.file, key, problem.suggestion):
            yield key, "move"
        elif problem.meant and can_be_set(settings.file, key, problem.meant):
            yield key, "set"
        elif problem.code == "null" and can_be_removed(settings.file, key):
            yield key, "remove"


def _log_refusal(home: Home) -> str:
    """Why the user that the home belongs to, who runs MDM, may not write its log."""
    try:
        owner = home.root.stat().st_uid
    except OSError:
        return ""
    if home.log_file.is_dir():
        return f"{home.log_file} is a folder"
    return write_refusal(home.log_file, owner)


def _answer(installation: Installation | None, settings: Settings) -> tuple[str, str]:
    """Why the installed MDM refuses the settings, and why its settings are unknown; both empty if it reports them."""
    if installation is None:
        return "", "no installed MDM was found to report its settings"
    failure = installation.settings.failure
    if failure is None:
        reported = installation.settings.values is not None
        return "", "" if reported else "the installed MDM has no function that reports its settings"
    if failure.error in _NO_ANSWER:
        return "", f"the installed MDM could not be asked for its settings: {failure}"
    return (" ".join(str(failure).split())[:MAX_REFUSAL], "") if settings.starts else ("", "")


def _differences(settings: Settings, runtime: Mapping[str, Told]) -> Iterator[Difference]:
    for key, setting in runtime.items():
        value = settings.values[key]
        known = [value.value]
        if value.origin.kind == "default":
            if setting.name != key:  # a flat name has defaults of its own
                continue
            known.append(BY_NAME[key].older)
        if setting.value not in known:
            yield Difference(key, setting.name, shown(value.value), value.origin, shown(setting.value))


def _origins(settings: Settings, runtime: Mapping[str, Told], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each key that is set, with what sets it; the installed MDM may read it under another name."""
    for key, value in settings.values.items():
        if value.origin.kind == "environment":
            yield key, value.origin.name
        elif value.origin.kind == "file":
            yield key, settings.file.name
    written = settings.document.positions if settings.document is not None else {}
    for key, setting in runtime.items():
        if setting.name != key and setting.name in written:
            yield key, settings.file.name
    for variable in settings.ignored_variables:
        if variable.key is not None and _is_effective(variable, runtime, environ):
            yield variable.key, variable.name


def _ignored_variables(
    settings: Settings, runtime: Mapping[str, Told], environ: Mapping[str, str]
) -> Iterator[IgnoredVariable]:
    for variable in settings.ignored_variables:
        if not _is_effective(variable, runtime, environ):
            yield variable


def _is_effective(variable: IgnoredVariable, runtime: Mapping[str, Told], environ: Mapping[str, str]) -> bool:
    """Whether the installed MDM, which may use the other configuration system, does read this variable."""
    if variable.key is None or variable.key not in runtime:
        return False
    value = runtime[variable.key].value
    return value != BY_NAME[variable.key].default and value == accepted(variable.key, converted(environ[variable.name]))


def _readable_copy(name: str, folders: list[Path | None]) -> str:
    for folder in folders:
        if folder is not None:
            document = load_yaml(folder / name)
            if document.usable and isinstance(document.data, dict) and document.data:
                return str(folder / name)
    return ""


def _holds_only_zeros(file: Path) -> bool:
    try:
        content = read_bytes(file, SIZE_LIMIT)
    except Unreadable:
        return False
    return bool(content) and not content.strip(b"\0")


def _archive(home: Home, options: Options) -> str:
    found, _ = search_backups(home, options.backup, "", home.settings_file, options.timeout * _SHARE_OF_TIME)
    return found.origin if found is not None else ""


def _is_same_folder(given: str, root: Path) -> bool:
    """Whether MDM, which resolves the path against the working directory, uses this home."""
    try:
        return os.path.realpath(given) == os.path.realpath(root)
    except (OSError, ValueError):
        return False


def _limited(value: object) -> Plain:
    """The value as it is stored: only the beginning of a long text."""
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    return cast("Plain", value)


def _literal_paths(home: Home, settings: Settings) -> Iterator[LiteralPath]:
    """The paths that MDM takes literally and whose folder of exactly that name is missing or empty."""
    for key, value in settings.values.items():
        if value.origin.kind == "default" or not (key.startswith(PATHS) or key == LOG_FILE):
            continue
        text, origin = str(value.value), value.origin
        reason = _not_expanded(text)
        if not reason or "\0" in text:
            continue
        folder = (home.logs / text).parent if key == LOG_FILE else home.root / text
        exists = _exists(folder)
        if not exists or (key != LOG_FILE and _is_empty(folder)):
            meant = _expanded(text) if origin.kind == "file" and can_be_set(settings.file, key, text) else ""
            yield LiteralPath(key, redact(text), reason, redact(str(folder)), exists, origin.name, origin.line, meant)


def _not_expanded(text: str) -> str:
    """What MDM does not do with a path, as a clause; empty if it is not written to be expanded."""
    if text.startswith("~"):
        return "MDM does not expand `~`"
    variable = _VARIABLE.search(text)
    if variable is not None:
        return f"MDM does not expand `{variable[0]}`"
    if os.name != "nt" and _WINDOWS.match(text):
        return "a Windows path is a plain name on this system"
    return ""


def _expanded(text: str) -> str:
    """The path that a shell would make of a text, if it leads somewhere; else nothing."""
    path = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111 - a user that does not exist is no error
    if not os.path.isabs(path) or redact(path) != path:  # noqa: PTH117 - as it is written
        return ""
    return path if _exists(Path(path)) else ""


def _exists(folder: Path) -> bool:
    try:
        return folder.exists()
    except (OSError, ValueError):
        return False


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return not list(islice(entries, 1))
    except OSError:  # not a folder, or not readable, which other checks report
        return False


def _planned_settings(expected: Expected, settings: Settings, runtime: Mapping[str, Told]) -> Iterator[Planned]:
    """The planned settings, then the default backend that follows from the backend planned for a dataset."""
    for name, value in expected.settings.items():
        alias = ALIASES.get(name)
        yield _planned(alias.key if alias is not None and alias.key else name, value, settings, runtime)
    backends = {dataset.backend for dataset in expected.datasets.values() if dataset.backend}
    if DEFAULT_BACKEND not in expected.settings and settings[DEFAULT_BACKEND] in backends:
        yield Planned(DEFAULT_BACKEND, str(settings[DEFAULT_BACKEND]), done=True, implied=True)


def _planned(key: str, value: object, settings: Settings, runtime: Mapping[str, Told]) -> Planned:
    if key not in BY_NAME:
        text = redact(f"{key}: {value}").removeprefix(f"{key}: ")  # a value is hidden by its name
        return Planned(key, text, done=False, wrong="MDM has no such setting")
    text = HIDDEN if BY_NAME[key].secret else shown(value)
    wanted = accepted(key, value)
    if isinstance(wanted, Refused):
        return Planned(key, text, done=False, wrong=f"MDM accepts {wanted.wanted}")
    current = runtime[key].value if key in runtime else settings[key]
    home = str(settings.file.parent)
    return Planned(key, text, done=canonical(home, key, current) == canonical(home, key, wanted))
