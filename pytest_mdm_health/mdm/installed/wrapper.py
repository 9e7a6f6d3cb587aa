"""Asking a `mdm` command that is a script of its own what it starts: only running it tells.

It runs with `--help` in a temporary home. Where only its interpreter is wanted, a `sitecustomize` module reports that
and ends it before MDM is imported.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.installed.commands import CannotRun, Outcome, run
from pytest_mdm_health.mdm.installed.interpreter import private_environment
from pytest_mdm_health.mdm.installed.search import Command

_REPORTING = """import os, sys
with open({file!r}, "w", encoding="utf-8", errors="surrogateescape") as file:
    file.write(sys.executable)
os._exit(0)
"""
_NAME_IN_HELP = "ml data manager"
_LINE_LIMIT = 300


@dataclass(frozen=True)
class WrapperAnswer:
    """What a script called `mdm` does when it is asked for its help.

    Attributes:
        start_problem: why it cannot start, to follow its path in a sentence; empty if it starts.
        unfinished: how it ended if it was stopped before it answered; empty otherwise.
        is_mdm: whether its help is that of the ML Data Manager.
    """

    start_problem: str = ""
    unfinished: str = ""
    is_mdm: bool = False


def ask_wrapper(command: Command, timeout_s: float, environ: Mapping[str, str] = os.environ) -> WrapperAnswer:
    """Run an `opaque` command with `--help`, in the environment that MDM would run in."""
    try:
        with _private_folder(environ) as (folder, private_environ):
            outcome = _ask_for_help(command, folder, private_environ, timeout_s)
    except CannotRun as error:
        return WrapperAnswer(start_problem=f"is refused by the system: {error}")
    if outcome.code is None:
        return WrapperAnswer(unfinished=f"`{command.path} --help` {outcome.how}")
    return WrapperAnswer(_start_problem_of(outcome), is_mdm=_NAME_IN_HELP in outcome.output.lower())


def interpreter_behind(command: Command, timeout_s: float, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The interpreter that an `opaque` command starts; None if it starts none, or none that reports itself."""
    with contextlib.suppress(CannotRun), _private_folder(environ) as (folder, private_environ):
        modules, reported = folder / "modules", folder / "interpreter"
        modules.mkdir()
        (modules / "sitecustomize.py").write_text(_REPORTING.format(file=str(reported)), encoding="utf-8")
        paths = [str(modules), *filter(None, [private_environ.get("PYTHONPATH")])]
        _ask_for_help(command, folder, {**private_environ, "PYTHONPATH": os.pathsep.join(paths)}, timeout_s)
        with contextlib.suppress(Unreadable):
            return Path(os.fsdecode(read_bytes(reported)))
    return None


@contextlib.contextmanager
def _private_folder(environ: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """A temporary folder with an empty home, and the environment that makes MDM use it."""
    with tempfile.TemporaryDirectory(prefix="mdm-health-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        home = folder / "home" / ".mdm"
        home.mkdir(parents=True)
        yield folder, private_environment(environ, folder, home)


def _ask_for_help(command: Command, folder: Path, environ: Mapping[str, str], timeout_s: float) -> Outcome:
    # A script without a first line that names its interpreter is run by the shell that it is typed in.
    words = [command.path, "--help"] if command.names_interpreter else ["/bin/sh", command.path, "--help"]
    return run(words, cwd=folder, environ=environ, timeout_s=timeout_s)


def _start_problem_of(outcome: Outcome) -> str:
    last_line = outcome.output.strip().rpartition("\n")[2]
    if outcome.code != 0:
        return f"{outcome.how} when asked for --help" + (f": {redact(last_line)[:_LINE_LIMIT]}" if last_line else "")
    return "" if last_line else "prints nothing when asked for --help"
