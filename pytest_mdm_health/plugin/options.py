"""The options of a run, from the command line, the ini file and the environment, as one typed object.

The command line wins over the ini file and the ini file over the environment. A value that
makes no sense is a usage error (exit code 4) of one line.

PYTEST_DONT_REWRITE: there is no assertion in it, and every pytest run loads it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.core.options import DECLARED, OUTPUTS, Declared, Options

if TYPE_CHECKING:
    import pytest


class UsageError(Exception):
    """An option with an invalid value; the text is one line."""


LONGEST_S = 1_000_000
WAIVERS_FILE = "mdm-waivers.yaml"
REQUIREMENTS_FILE = "requirements_migration.txt"


def declare(parser: pytest.Parser) -> None:
    """Declare every option and its ini key to pytest."""
    group = parser.getgroup("mdm-health", "health of an MDM home")
    kinds: Mapping[str, Mapping[str, Any]] = {
        "flag": {"action": "store_true", "default": None},
        "text": {"default": None},
        "list": {"action": "append", "default": None},
    }
    for option in DECLARED:
        more = {"metavar": option.metavar} if option.metavar else {}
        more |= {"metavar": "|".join(option.choices)} if option.choices else {}
        group.addoption(f"--{option.name}", dest=option.dest, help=option.help, **kinds[option.kind], **more)
        ini_type: Any = {"flag": "bool", "text": "string", "list": "linelist"}[option.kind]
        parser.addini(option.dest, option.help, type=ini_type, default=None)


def value_of(config: pytest.Config, name: str, environ: Mapping[str, str] = os.environ) -> Any:  # noqa: ANN401 - as declared
    """What the user gave for one option: command line, else ini file, else environment, else None.

    Raises:
        UsageError: the word is not one of the option's choices.
    """
    option = next(each for each in DECLARED if each.name == name)
    value = config.getoption(option.dest)
    if value is None:
        value = config.getini(option.dest)
    if value is None and option.variable in environ:
        value = _from_variable(option, environ[option.variable])
    if option.choices and value is not None and value not in option.choices:
        raise UsageError(f"--{name}: {value!r} is none of {', '.join(option.choices)}")
    return value


def refuse_without_suite(arguments: Iterable[str]) -> None:
    """Refuse options of the health suite on the command line of a run that does not have it.

    Raises:
        UsageError: the first of them.
    """
    names = {f"--{option.name}" for option in DECLARED}
    given = [name for name in (argument.partition("=")[0] for argument in arguments) if name in names]
    if given:
        raise UsageError(f"{given[0]} has no effect without --mdm-health; add it, or leave the option out")


def read_options(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> Options:
    """The options of this run, checked.

    Raises:
        UsageError: in one line, what is wrong with which option.
    """

    def given(name: str) -> Any:  # noqa: ANN401 - as declared
        return value_of(config, f"mdm-{name}", environ)

    def path(name: str) -> Path | None:
        value = given(name)
        return None if value is None else _absolute(value, name, _base(config, name))

    home = _home(path("home"), environ)
    symptom = given("symptom")
    if symptom is not None and not symptom.strip():
        raise UsageError("--mdm-symptom: an error message or a few words are needed, not an empty text")
    if given("fail-on") == "regression" and not given("baseline"):
        raise UsageError("--mdm-fail-on=regression needs --mdm-baseline: without it nothing is known to be worse")
    if given("expect") and not given("baseline"):
        raise UsageError("--mdm-expect needs --mdm-baseline: without it nothing is known to have changed")
    outputs = {name: _output(path(name), name, home) for name in OUTPUTS}
    _refuse_to_replace(path("baseline"), outputs)
    _refuse_clashes(outputs, config, home)
    required = _existing(path("requirements"), "requirements", Path.is_file, "file")
    return Options(
        home=home,
        python=given("python"),
        backup=_existing(path("backup"), "backup", Path.is_dir, "folder"),
        source=tuple(_each_source(given("source") or (), _base(config, "source"))),
        requirements=required or _default(REQUIREMENTS_FILE, config.rootpath, config.invocation_params.dir),
        phase=given("phase") or "any",
        depth=given("depth") or "standard",
        select=tuple(given("select") or ()),
        ignore=tuple(given("ignore") or ()),
        dataset=tuple(given("dataset") or ()),
        symptom=symptom,
        fail_on=given("fail-on") or "fail",
        strict=bool(given("strict")),
        timeout=_seconds(given("timeout")),
        run_scripts=bool(given("run-scripts")),
        show_values=bool(given("show-values")),
        json_facts=bool(given("json-facts")),
        baseline=path("baseline"),
        waivers=path("waivers") or _default(WAIVERS_FILE, config.rootpath, config.invocation_params.dir),
        expect=path("expect"),
        **{name.replace("-", "_"): output for name, output in outputs.items()},
    )


def _from_variable(option: Declared, text: str) -> Any:  # noqa: ANN401 - as declared
    if option.kind == "list":
        return [part for part in text.split(os.pathsep if option.metavar == "DIR" else ",") if part]
    if option.kind == "text":
        return text or None
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "": False,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in words:
        raise UsageError(f"{option.variable}: {text!r} is neither true nor false")
    return words[text.lower()]


def _home(given: Path | None, environ: Mapping[str, str]) -> Path:
    home = given or Path(environ.get("MDM_HOME_DIR") or "~/.mdm").expanduser().absolute()
    why = (
        ""
        if given
        else " (from MDM_HOME_DIR)"
        if environ.get("MDM_HOME_DIR")
        else " (the default; name another with --mdm-home)"
    )
    try:
        if not home.is_dir():
            state = "is not a folder" if home.exists() else "does not exist"
            raise UsageError(f"--mdm-home: {home} {state}{why}")
        with os.scandir(home):
            return home
    except OSError as error:
        raise UsageError(f"--mdm-home: {home} cannot be read: {error.strerror}{why}") from error
    except ValueError as error:
        raise UsageError(f"--mdm-home: {str(home)!r} is no path: {error}") from error


def _base(config: pytest.Config, name: str) -> Path:
    """What a relative path is relative to: the folder of the ini file that names it, else the current one."""
    dest = f"mdm_{name}".replace("-", "_")
    in_ini = config.getoption(dest) is None and config.getini(dest) is not None and config.inipath is not None
    return config.inipath.parent if in_ini and config.inipath else config.invocation_params.dir


def _absolute(text: str, name: str, base: Path) -> Path:
    if text == "":
        raise UsageError(f"--mdm-{name}: a path is needed, not an empty text")
    path = base / Path(text).expanduser()
    try:
        os.stat(path)  # noqa: PTH116 - Path.exists hides why not
    except FileNotFoundError:
        return path
    except (OSError, ValueError) as error:  # too long a name, a loop of links, no permission on the way
        if not isinstance(error, PermissionError):
            raise UsageError(f"--mdm-{name}: {text[:100]!r} is no path: {error.args[-1]}") from error
    return path


def _existing(path: Path | None, name: str, test: Callable[[Path], bool], word: str) -> Path | None:
    if path is not None and not test(path):
        state = f"is not a {word}" if path.exists() else "does not exist"
        raise UsageError(f"--mdm-{name}: {path} {state}")
    return path


def _each_source(given: tuple[str, ...], base: Path) -> list[Path]:
    paths = [_absolute(text, "source", base) for text in given]
    return [path for path in paths if _existing(path, "source", Path.exists, "folder")]


def _default(name: str, *folders: Path) -> Path | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _output(path: Path | None, name: str, home: Path) -> Path | None:
    if path is None:
        return None
    real = path.resolve()
    if real.is_dir():
        raise UsageError(f"--mdm-{name}: {path} is a folder; a file is needed")
    if real.exists() and not real.is_file():
        raise UsageError(f"--mdm-{name}: {path} is a device or the like; a file is needed")
    if real.is_relative_to(home.resolve()):
        raise UsageError(f"--mdm-{name}: {path} is in the home that is examined, where nothing is written")
    if (folder := missing_folder(real)) is not None:
        raise UsageError(f"--mdm-{name}: {path} cannot be written, because there is no folder {folder}")
    return real


def missing_folder(file: Path) -> Path | None:
    """The folder that has to be there before a report can be written; of its folders the last one only is made."""
    above = file.parent if file.parent.exists() else file.parent.parent
    return None if above.exists() else above


def _refuse_clashes(outputs: Mapping[str, Path | None], config: pytest.Config, home: Path) -> None:
    """Two reports in one file, or something in the home that is not ours to refuse otherwise."""
    given = [path for path in outputs.values() if path is not None]
    if len(set(given)) < len(given):
        raise UsageError(f"two reports cannot go into one file: {max(given, key=given.count)}")
    others = {"--junitxml": getattr(config.option, "xmlpath", None), "--html": getattr(config.option, "htmlpath", None)}
    others["the folder for temporary files"] = tempfile.gettempdir()
    for name, path in others.items():
        if path and Path(path).expanduser().resolve().is_relative_to(home.resolve()):
            raise UsageError(f"{name}: {path} is in the home that is examined, where nothing is written")


def _refuse_to_replace(baseline: Path | None, outputs: Mapping[str, Path | None]) -> None:
    """What a run is compared with must still be there for the next one."""
    for name, path in outputs.items():
        if baseline is not None and path is not None and baseline.resolve() == path:
            raise UsageError(f"--mdm-{name}: {path} is the baseline of this run; write another file")


def _seconds(given: str | None) -> float:
    try:
        seconds = 60.0 if given is None else float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_S:
        raise UsageError(f"--mdm-timeout: {given!r} is not a number of seconds above 0 and up to {LONGEST_S}")
    return seconds
