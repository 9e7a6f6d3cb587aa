"""Finding the interpreter that MDM is installed in, without running or importing anything."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular
from pytest_mdm_health.mdm.installed.installation import NAME, is_ml_data_manager

COMMAND = "mdm"
_SCRIPT_START = 16 * 1024
_NAMES = ("python.exe",) if os.name == "nt" else ("python3", "python")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ENTRY = re.compile(rb"\b(mdm\.cli(?:\.[A-Za-z_]\w*)*)")
_LONG_SHEBANG = re.compile(rb"""^'''exec' ["']?([^"'\n]+?)["']? "\$0" "\$@"$""", re.MULTILINE)


class UnusableInterpreter(ValueError):
    """The interpreter that the user named is none; the text says why, in one line."""


def find_interpreter(option: str | None) -> Path | None:
    """The interpreter that MDM is installed in.

    That is the one the user names; else the one that runs the `mdm` command on the PATH; else this one, if it has the
    ML Data Manager; else None. A command called `mdm` that is not the ML Data Manager's comes last. What its first line
    names is returned whether it exists or not: a command whose interpreter is gone is worth a finding.

    Raises:
        UnusableInterpreter: what the user names is not there or cannot be executed.
    """
    if option is not None:
        return _named(option)
    script = shutil.which(COMMAND)
    start = _start_of(Path(script)) if script else b""
    behind_command = _interpreter_of(Path(script), start) if script else None
    if behind_command and re.search(rb"\bmdm\.cli\b", start):
        return behind_command
    return Path(sys.executable) if _is_here() else behind_command


@dataclass(frozen=True)
class Command:
    """The `mdm` command on the PATH.

    Attributes:
        path: where it is.
        module: the module of the ML Data Manager that it starts, such as `mdm.cli.main`; empty for another program.
        start_problem: why it cannot start, as far as the file itself tells, to follow its path in a sentence; empty if
            nothing speaks against it.
        opaque: whether it is a script in another language than Python, so that only running it tells what it starts.
        names_interpreter: whether its first line names what runs it.
    """

    path: str
    module: str = ""
    start_problem: str = ""
    opaque: bool = False
    names_interpreter: bool = True


def find_command() -> Command | None:
    """The `mdm` command on the PATH, whether or not it can be started; nothing is run. None: there is none."""
    script = shutil.which(COMMAND)
    if script is None:
        return next((found for each in _on_the_path() if (found := _stray(each))), None)
    start = _start_of(Path(script))
    entry = _ENTRY.search(start)
    if entry:
        return Command(script, os.fsdecode(entry[1]), _start_problem_of(start))
    if b"\0" in start or _names_python(start):  # a program, or a script, that is not the ML Data Manager's
        return Command(script)
    start_problem = _start_problem_of(start)
    return Command(
        script, start_problem=start_problem, opaque=not start_problem, names_interpreter=start.startswith(b"#!")
    )


def _on_the_path() -> Iterator[Path]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if folder:
            yield Path(folder, COMMAND)


def _stray(path: Path) -> Command | None:
    """What is called like the command and is none, because it cannot be executed or leads nowhere."""
    kind = kind_of(path)
    if kind is FileKind.BROKEN_LINK:
        return Command(str(path), start_problem=f"is a link to {path.readlink()}, which is not there")
    entry = _ENTRY.search(_start_of(path)) if kind is FileKind.FILE else None
    return Command(str(path), os.fsdecode(entry[1]), "may not be executed") if entry else None


def _start_problem_of(start: bytes) -> str:
    """Why the system would not start a script that begins like this."""
    if start.startswith(_BYTE_ORDER_MARK):
        return "begins with a byte order mark, so that its first line is not taken for the name of an interpreter"
    first_line = start.partition(b"\n")[0]
    if not first_line.startswith(b"#!"):
        return ""
    if first_line.endswith(b"\r"):
        return "has a first line that ends with a carriage return, which is taken for a part of the interpreter's name"
    words = os.fsdecode(first_line[2:]).split()
    return _missing(words) if words else "names no interpreter in its first line"


def _missing(words: list[str]) -> str:
    if kind_of(Path(words[0])) is not FileKind.FILE:
        return f"names the interpreter {words[0]} in its first line, which is not there"
    program = next((each for each in words[1:] if not each.startswith("-") and "=" not in each), "")
    if Path(words[0]).name == "env" and program and shutil.which(program) is None:
        return f"names the interpreter {program} in its first line, which is not on the PATH"
    return ""


def _named(option: str) -> Path:
    found = shutil.which(Path(option).expanduser()) if option else None
    if found:
        return Path(found).absolute()
    kind = kind_of(Path(option).expanduser()) if option else FileKind.MISSING
    why = {FileKind.MISSING: "does not exist", FileKind.FILE: "cannot be executed"}.get(kind, f"is a {kind.value}")
    raise UnusableInterpreter(f"{option!r} {why}")


def _start_of(script: Path) -> bytes:
    try:
        with open_regular(script) as file:
            return file.read(_SCRIPT_START)
    except (Unreadable, OSError):
        return b""


def _names_python(start: bytes) -> bool:
    words = _first_words(start)
    return bool(words) and (_is_python(words[0]) or _is_python(words[-1]))


def _first_words(start: bytes) -> list[str]:
    """The interpreter that a script names in its first line, with its arguments; empty if it names none."""
    first_line = start.partition(b"\n")[0]
    return os.fsdecode(first_line[2:]).split() if first_line.startswith(b"#!") else []


def _interpreter_of(script: Path, start: bytes) -> Path | None:
    if long := _LONG_SHEBANG.search(start):  # how installers write an interpreter whose path is long or has spaces
        return Path(os.fsdecode(long[1]))
    words = _first_words(start)
    if words and _is_python(words[0]):
        return Path(words[0])
    by_name = shutil.which(words[-1]) if words and Path(words[0]).name == "env" and _is_python(words[-1]) else None
    return Path(by_name) if by_name else _beside(script)


def _is_python(program: str) -> bool:
    return Path(program).name.lower().startswith(("python", "pypy"))


def _beside(script: Path) -> Path | None:
    candidates = (script.with_name(name) for name in _NAMES)
    return next((each for each in candidates if kind_of(each) is FileKind.FILE), None)


def _is_here() -> bool:
    try:
        spec = importlib.util.find_spec(NAME)  # of a top-level name, so nothing is imported
    except (ImportError, ValueError):
        return False
    places = list(spec.submodule_search_locations or ()) if spec and spec.origin else []
    return any(is_ml_data_manager(Path(place)) for place in places)
