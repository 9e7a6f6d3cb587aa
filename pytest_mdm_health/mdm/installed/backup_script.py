"""The guide's `backup_mdm_state.sh`: where it is, and what its dry run says. No released MDM has it."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.commands import CannotRun, run
from pytest_mdm_health.mdm.installed.search import UnusableInterpreter, find_interpreter

NAME = "backup_mdm_state.sh"
_DRY = ("--dry-run", "--verbose")
_OUTPUT = 2000
_USUAL_HOME = ".mdm"


@dataclass(frozen=True, kw_only=True)
class BackupScript:
    """The guide's `backup_mdm_state.sh`.

    Attributes:
        path: where it is.
        ran: whether it was tried.
        code: its exit code; None if it was not run or not to its end.
        how: how it ended, in words.
        output: the end of what it wrote, without passwords.
    """

    path: str
    ran: bool = False
    code: int | None = None
    how: str = ""
    output: str = ""


def find_script(home: Home, options: Options) -> Path | None:
    """The script, if the home, a source tree, MDM's environment or the PATH has it."""
    return next((path for path in _places(home, options) if kind_of(path) is FileKind.FILE), None)


def dry_run(script: Path, home: Home, timeout_s: float, gaps: list[str]) -> BackupScript:
    """Let the script say what it would do, in a folder of its own."""
    skip_reason = _skip_reason(script)
    if skip_reason:
        gaps.append(f"{script} was not run: {skip_reason}")
        return BackupScript(path=str(script))
    with tempfile.TemporaryDirectory(prefix="mdm-health-", ignore_cleanup_errors=True) as folder:
        try:
            command = (str(script), *_DRY)
            outcome = run(command, cwd=Path(folder), environ=_environment(home, os.environ), timeout_s=timeout_s)
        except CannotRun as error:
            return BackupScript(path=str(script), ran=True, how=f"cannot be run: {error}")
    output = redact(outcome.output).strip()[-_OUTPUT:]
    return BackupScript(path=str(script), ran=True, code=outcome.code, how=outcome.how, output=output)


def _places(home: Home, options: Options) -> Iterator[Path]:
    yield home.root / "scripts" / NAME
    for tree in options.source:
        for folder in (tree, *list(tree.parents)[:2]):
            yield folder / NAME
            yield folder / "scripts" / NAME
    with suppress(UnusableInterpreter):
        interpreter = find_interpreter(options.python)
        if interpreter is not None:
            yield interpreter.parent / NAME
    if found := shutil.which(NAME):
        yield Path(found)


def _skip_reason(script: Path) -> str:
    info = script.stat()
    if info.st_mode & stat.S_IWOTH:
        return "everybody may change it"
    return "" if os.access(script, os.X_OK) else f"it may not be executed (chmod +x {shlex.quote(str(script))})"


def _environment(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    """The script speaks of `~/.mdm`, and is to look at the home that is examined."""
    own = {"HOME": str(home.root.parent)} if home.root.name == _USUAL_HOME else {}
    return {**environ, "MDM_HOME_DIR": str(home.root), **own}
