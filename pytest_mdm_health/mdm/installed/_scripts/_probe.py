"""Run by the interpreter that MDM is installed in: answers questions about that installation.

Started as `python -B _probe.py QUESTIONS ANSWERS`, two files of JSON, from a private folder that it lies in, beside
`_trial_confine.py`. Each answer is a line of its own, written at once, so that whatever is known before a crash or a
hang is kept. It needs nothing but Python 3.8.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

MESSAGE_LIMIT = 1000


def main(questions_file: str, answers_file: str) -> None:
    """Answer what is asked, in the order of the questions."""
    questions = json.loads(Path(questions_file).read_text(encoding="utf-8"))
    answers = Path(answers_file)
    _leave_no_trace(questions["private"], questions["examined"])

    def answer(kind: str, value: object) -> None:
        with answers.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "value": value}, default=str) + "\n")

    asked: dict[str, Callable[[], Any]] = {
        "python": python,
        "environment": marker_environment,
        "package": lambda: package(questions["name"]),
        "distributions": lambda: list(distributions()),
        "config_type": lambda: value_of(questions["config_type"]),
        "settings": lambda: settings(questions["settings"], re.compile(questions["secret"], re.IGNORECASE)),
        "found": lambda: {name: is_found(name) for name in questions["found"]},
        "apis": lambda: {name: is_there(name) for name in questions["apis"]},
        "commands": lambda: commands(questions["commands"]),
    }
    for question in questions["ask"]:
        if question == "modules":
            for name in questions["modules"]:
                answer("importing", name)
                answer("module", [name, failure_of(functools.partial(importlib.import_module, name))])
        else:
            answer(question, asked[question]())
    answer("done", True)


def _leave_no_trace(private: str, examined: str) -> None:
    """Give imported code a home of its own, and refuse it any writing in the one that is examined."""
    confinement = importlib.import_module("_trial_confine")
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]
    sys.argv = ["mdm"]
    sys.dont_write_bytecode = True
    # The user's own HOME was in force while Python started, for packages installed per user.
    os.environ.update(HOME=private, USERPROFILE=private)
    confinement.watch(examined, lambda _: None)


def python() -> str:
    """The interpreter's version."""
    return platform.python_version()


def marker_environment() -> dict[str, str]:
    """What the environment markers of requirements are compared with (PEP 508)."""
    info = sys.implementation.version
    stage = "" if info.releaselevel == "final" else f"{info.releaselevel[0]}{info.serial}"
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": f"{info.major}.{info.minor}.{info.micro}{stage}",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def package(name: str) -> str | None:
    """The folder of a top-level package, found without importing it."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec and spec.origin else []
    return str(Path(places[0]).absolute()) if places else None


def distributions() -> Iterator[dict[str, Any]]:
    """The installed distributions; of two with one name, the first is the one that counts."""
    for each in metadata.distributions():
        try:
            described = {
                "name": each.metadata["Name"],
                "version": each.version,
                "requires": list(each.requires or ()),
                "requires_python": each.metadata["Requires-Python"],
                "summary": each.metadata["Summary"],
                "origin": origin_of(each),
                "place": str(Path(str(each.locate_file(""))).absolute()),
            }
        except Exception:  # noqa: BLE001, S112 - a damaged description is as good as none
            continue
        if described["name"] and described["version"]:
            yield described


def origin_of(distribution: metadata.Distribution) -> str | None:
    """The address or folder that a distribution was installed from, if not from an index (PEP 610)."""
    try:
        url = json.loads(distribution.read_text("direct_url.json") or "{}")["url"]
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return str(url)


def failure_of(action: Callable[[], Any]) -> dict[str, Any] | None:
    """What goes wrong when this is done, or None."""
    try:
        action()
    except BaseException as error:  # noqa: BLE001 - a module may even raise SystemExit
        described = {"error": type(error).__name__, "message": str(error)[:MESSAGE_LIMIT], "where": _where(error)}
        described["missing"] = error.name if isinstance(error, ModuleNotFoundError) else None
        return described
    return None


def _where(error: BaseException) -> str | None:
    """The module whose code was running when it went wrong."""
    names = []
    trace = error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_globals.get("__name__") or "")
        trace = trace.tb_next
    ours = [name for name in names if name != __name__ and name.partition(".")[0] != "importlib"]
    return ours[-1] if ours else None


def resolve(name: str) -> Any:  # noqa: ANN401 - any object at all
    """The object of a dotted name, modules imported as far as needed.

    Raises:
        BaseException: whatever the import raises; AttributeError where there is no such thing.
    """
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for count, part in enumerate(parts[1:], start=2):
        if not hasattr(found, part):
            try:
                importlib.import_module(".".join(parts[:count]))
            except ModuleNotFoundError as error:
                if error.name != ".".join(parts[:count]):
                    raise
        found = getattr(found, part)
    return found


def is_there(name: str) -> bool:
    """Whether a dotted name can be had."""
    return failure_of(lambda: resolve(name)) is None


def value_of(name: str) -> str | None:
    """The text of a constant, if there is one."""
    return str(resolve(name)) if is_there(name) else None


def is_found(name: str) -> bool:
    """Whether a top-level module could be imported, without doing so."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def settings(names: list[str], secret: re.Pattern[str]) -> dict[str, Any]:
    """What the first of these that exists says is in force, without passwords; or why it does not say."""
    if failure := failure_of(functools.partial(importlib.import_module, names[0].rpartition(".")[0])):
        return {"source": None, "failure": failure, "values": None}
    for name in names:
        try:
            function = resolve(name)
        except BaseException:  # noqa: BLE001, S112 - the next one may be the one this version has
            continue
        values: list[object] = []
        failure = failure_of(functools.partial(_put_plain, function, values))
        return {"source": name, "failure": failure, "values": _without_secrets(values[0], secret) if values else None}
    return {"source": None, "failure": None, "values": None}


def _put_plain(function: Callable[[], Any], into: list[object]) -> None:
    found = function()
    if hasattr(found, "model_dump"):
        into.append(found.model_dump(mode="json"))
    else:
        into.append(found.dict() if hasattr(found, "dict") else dict(found))


def _without_secrets(value: object, secret: re.Pattern[str], name: str = "") -> object:
    if isinstance(value, dict):
        return {str(key): _without_secrets(each, secret, str(key)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(each, secret, name) for each in value]
    if secret.search(name) and value not in (None, ""):
        return "***"
    return re.sub(r"(://[^\s/@:]{0,100}):[^\s]{0,200}@", r"\1:***@", value) if isinstance(value, str) else value


def commands(program: dict[str, str]) -> list[str]:
    """The commands of MDM's command line, such as `dataset register`; none is run."""
    found: list[str] = []
    failure_of(functools.partial(_collect_commands, program, found))
    return sorted(found)


def _collect_commands(program: dict[str, str], found: list[str]) -> None:
    module = importlib.import_module(program["module"])
    failure_of(getattr(module, program["prepare"], lambda: None))  # subcommands are added late, to start fast
    typer_main = importlib.import_module("typer.main")
    _walk(typer_main.get_command(getattr(module, program["application"])), (), found)


def _walk(
    command: Any,  # noqa: ANN401 - a command or group of click
    path: tuple[str, ...],
    found: list[str],
) -> None:
    inner = getattr(command, "commands", None)
    if inner is None:
        found.append(" ".join(path))
        return
    for name, each in inner.items():
        _walk(each, (*path, name), found)


if __name__ == "__main__":
    main(*sys.argv[1:])
