"""The installed MDM, asked through its own interpreter: in another process, with a time-out, leaving no trace.

MDM creates folders and log files wherever it believes its home to be. So while it is asked, its home is a temporary
folder: an empty one while its modules are imported, and one with copies of the settings to learn what it makes of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from pytest_mdm_health.core.secrets import NAMES, redact
from pytest_mdm_health.core.text import size
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.host.memory_limit import address_space_limit
from pytest_mdm_health.mdm.installed import installation as known
from pytest_mdm_health.mdm.installed.commands import CannotRun, Outcome, run
from pytest_mdm_health.mdm.installed.import_graph import Package, Use
from pytest_mdm_health.mdm.installed.installation import Distribution, Effective, Failure, Installation, Module
from pytest_mdm_health.mdm.installed.search import UnusableInterpreter, find_interpreter

__all__ = ["Installation", "UnusableInterpreter", "find_interpreter", "private_environment", "probe"]

SETTINGS_FILES = ("mdm.yaml", "feature_flags.yaml")
ANSWERS_LIMIT = 32 * 1024 * 1024
CRASHES_BORNE = 5
_SCRIPTS = ("_probe.py", "_trial_confine.py")
_KEPT_BACK = (
    *("PYTEST_", "COV_CORE_", "COVERAGE_", "PYTHONINSPECT", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"),
    "PYTHONWARNINGS",  # of whoever tests: with `error` a sound package fails over a deprecation
)
_OUT_OF_MEMORY = re.compile(
    "cannot allocate memory|failed to map segment|unable to allocate|out of memory|can't start new thread",
    re.IGNORECASE,
)

_KNOWN = {
    "name": known.NAME,
    "settings": known.SETTINGS,
    "config_type": "mdm.config.CONFIG_TYPE",
    "secret": NAMES,
    "apis": known.APIS,
    "commands": known.PROGRAM,
}


@dataclass(frozen=True)
class _Answers:
    """What one run of the probe told: values by question, failures by module, and how it ended."""

    values: Mapping[str, Any]
    modules: Mapping[str, Failure | None]
    unfinished: str | None
    stopped: bool
    how: str

    @property
    def failure(self) -> Failure:
        """What the end of the interpreter means for what it was doing."""
        return _unless_own_limit(
            Failure(known.UNFINISHED if self.stopped else known.CRASHED, f"the interpreter {self.how}")
        )


@dataclass(frozen=True)
class _Interpreter:
    """Who is asked, about which home, until when."""

    python: Path
    root: Path
    environ: Mapping[str, str]
    deadline: float

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def ask(
        self, questions: Sequence[str], *, timeout_s: float, with_settings: bool = False, **details: object
    ) -> _Answers:
        """Run the probe once.

        Raises:
            CannotRun: the interpreter cannot be started.
        """
        with tempfile.TemporaryDirectory(prefix="mdm-health-", ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve()
            home = folder / "home" / ".mdm"  # where MDM looks both with MDM_HOME_DIR and without
            home.mkdir(parents=True)
            if with_settings:
                _copy_settings(self.root, home)
            for script in _SCRIPTS:
                shutil.copy(Path(__file__).parent / "_scripts" / script, folder)
            asked = {"ask": questions, "private": str(home.parent), "examined": str(self.root), **_KNOWN, **details}
            (folder / "questions").write_text(json.dumps(asked), encoding="utf-8")
            outcome = run(
                [str(self.python), "-B", str(folder / _SCRIPTS[0]), "questions", "answers"],
                cwd=folder,
                environ=private_environment(self.environ, folder, home, with_settings=with_settings),
                timeout_s=timeout_s,
            )
            return _read_answers(folder / "answers", outcome)


def probe(python: Path, root: Path, timeout_s: float, environ: Mapping[str, str] = os.environ) -> Installation:
    """What an interpreter says about the MDM in it, and that MDM about the settings of a home.

    Args:
        python: the interpreter; it may be anything, or nothing.
        root: the home, which stays untouched.
        timeout_s: seconds for all of it; what is known by then is returned.
        environ: the environment that MDM would run in.
    """
    interpreter = _Interpreter(python, root, environ, time.monotonic() + timeout_s)
    try:
        questions = ["python", "environment", "distributions", "found", "package"]
        answers = interpreter.ask(questions, timeout_s=timeout_s, found=[known.NAME])
    except CannotRun as error:
        return Installation(python=python, error=str(error))
    if "package" not in answers.values:
        return Installation(python=python, error=f"{python} does not answer as a Python does: it {answers.how}")
    installation = _installation(python, answers.values)
    return _with_its_modules(installation, interpreter) if installation.is_ml_data_manager else installation


def _installation(python: Path, values: Mapping[str, Any]) -> Installation:
    distributions: dict[str, Distribution] = {}
    for each in values["distributions"]:
        described = Distribution(
            **{**each, "requires": tuple(each["requires"]), "origin": redact(each["origin"] or "") or None}
        )
        distributions.setdefault(canonicalize_name(each["name"]), described)
    folder = Path(values["package"]) if values["package"] else None
    ours = folder is not None and known.is_ml_data_manager(folder)
    named = distributions.get(known.NAME)
    shadowed = _shadowed(named, folder) if ours and folder is not None else None
    return Installation(
        python=python,
        python_version=values["python"],
        environment=values["environment"],
        folder=folder,
        found=bool(values["found"].get(known.NAME)),
        is_ml_data_manager=ours,
        version=named.version if named and ours and shadowed is None else None,
        shadowed=shadowed,
        other_distribution=None if ours else _other(named, folder),
        distributions=distributions,
    )


def _shadowed(named: Distribution | None, folder: Path) -> Path | None:
    """The folder of the package that is installed, if it is not the one that is imported: `PYTHONPATH` comes first."""
    if named is None:
        return None
    places = [Path(named.place) / known.NAME] if named.place else []
    if named.origin and named.origin.startswith("file:"):
        source = Path(unquote(urlsplit(named.origin).path))
        places += [source / known.NAME, source / "src" / known.NAME]
    there = [place for place in places if (place / "__init__.py").is_file()]
    imported = os.path.realpath(folder)
    if not there or any(os.path.realpath(place) == imported for place in there):
        return None
    return there[0]


def _other(named: Distribution | None, folder: Path | None) -> str | None:
    if named is None:
        return str(folder) if folder else None
    return f"{named.name} {named.version}" + (f" ({named.summary})" if named.summary else "")


def _with_its_modules(installation: Installation, interpreter: _Interpreter) -> Installation:
    assert installation.folder is not None
    package = Package(known.NAME, installation.folder)
    uses = package.uses(known.ENTRIES)
    settings = interpreter.ask(["config_type", "settings"], timeout_s=interpreter.seconds_left / 2, with_settings=True)
    foreign = sorted({name.partition(".")[0] for name in uses} - {known.NAME})
    answers = _ask_for_modules(interpreter, list(package.modules), foreign)
    own_missing = {name for name in uses if name.startswith(f"{known.NAME}.") and name not in package.modules}
    foreign_missing = {name for name, found in answers.values.get("found", {}).items() if not found}
    return replace(
        installation,
        modules={name: Module(uses[name], failure) for name, failure in answers.modules.items()},
        missing={name: _soonest(name, uses) for name in sorted(own_missing | foreign_missing)},
        settings=_effective(settings),
        config_type=settings.values.get("config_type"),
        apis=answers.values.get("apis", {}),
        commands=tuple(answers.values.get("commands", ())),
        error=None if "done" in answers.values else answers.how,
    )


def _ask_for_modules(interpreter: _Interpreter, modules: list[str], foreign: list[str]) -> _Answers:
    """Import every module; one that kills the interpreter is noted, and another interpreter goes on behind it."""
    known_so_far: dict[str, Failure | None] = {}
    for _ in range(CRASHES_BORNE):
        left = [name for name in modules if name not in known_so_far]
        answers = interpreter.ask(
            ["found", "modules", "apis", "commands"], timeout_s=interpreter.seconds_left, modules=left, found=foreign
        )
        known_so_far |= answers.modules
        if answers.unfinished is None:
            break
        known_so_far[answers.unfinished] = answers.failure
        if answers.stopped:
            break
    return replace(answers, modules=known_so_far)


def _soonest(missing: str, uses: Mapping[str, Use]) -> Use:
    always = any(use is Use.ALWAYS and name.partition(".")[0] == missing for name, use in uses.items())
    return Use.ALWAYS if always else uses.get(missing, Use.ON_CALL)


def _effective(answers: _Answers) -> Effective:
    told = answers.values.get("settings")
    if told is None:
        return Effective(failure=answers.failure)
    return Effective(told["source"], told["values"], _failure(told["failure"]))


def _failure(told: Mapping[str, Any] | None) -> Failure | None:
    if not told:
        return None
    return _unless_own_limit(Failure(told["error"], redact(told["message"]), told["missing"], told["where"]))


def _unless_own_limit(failure: Failure) -> Failure:
    """The failure; not finished where this process, and so its child, may use little memory (`ulimit -v`)."""
    limit = address_space_limit()
    lacks_memory = failure.error in {"MemoryError", known.CRASHED} or _OUT_OF_MEMORY.search(failure.message)
    if limit is None or not lacks_memory:
        return failure
    why = f"this run may use no more than {size(limit)} of memory (ulimit -v), and it ended with {failure}"
    return Failure(known.UNFINISHED, why)


def _copy_settings(root: Path, home: Path) -> None:
    for name in SETTINGS_FILES:
        with contextlib.suppress(Unreadable):  # MDM gets what it can read; other checks say what is wrong with the rest
            (home / name).write_bytes(read_bytes(root / name))


def private_environment(
    environ: Mapping[str, str], folder: Path, home: Path, *, with_settings: bool = False
) -> dict[str, str]:
    """The environment of a program that takes `home` for MDM's home and keeps its temporary files in `folder`.

    `MDM_*` variables are passed on only together with copies of the settings.
    """
    kept_back = _KEPT_BACK if with_settings else (*_KEPT_BACK, "MDM_")
    temporary = str(folder)
    own = {
        "MDM_HOME_DIR": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "YDATA_PROFILING_NO_ANALYTICS": "True",  # a profiling library that MDM imports reports its use over the network
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary),
    }
    passed_on = {name: value for name, value in environ.items() if not name.startswith(kept_back)}
    if path := passed_on.get("PYTHONPATH"):  # relative to the user's working directory, which is not the probe's
        passed_on["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep))
    return {**passed_on, **own}


def _read_answers(file: Path, outcome: Outcome) -> _Answers:
    values: dict[str, Any] = {}
    modules: dict[str, Failure | None] = {}
    unfinished: str | None = None
    for kind, value in _answer_lines(file):
        if kind == "importing":
            unfinished = value
        elif kind == "module":
            modules[value[0]], unfinished = _failure(value[1]), None
        else:
            values[kind] = value
    last = outcome.output.strip().rpartition("\n")[2]
    how = outcome.how + (f": {redact(last)[:300]}" if last else "")
    return _Answers(values, modules, unfinished, outcome.code is None, how)


def _answer_lines(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = read_bytes(file, ANSWERS_LIMIT).decode("utf-8", "replace")
    except Unreadable:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError, KeyError):  # the line that was being written when it ended
            answer = json.loads(line)
            yield answer["kind"], answer["value"]
