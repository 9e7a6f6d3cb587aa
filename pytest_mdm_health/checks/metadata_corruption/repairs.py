"""Commands that repair a registration without losing anything of it, and those that only look.

Each change keeps the file as it was beside it, under a name that MDM does not read. It does not happen if that name is
taken or the copy cannot be made, which the shell says, and it is one command: the summary shows the first one only.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pytest_mdm_health.checks.metadata_corruption.facts import LineEdit

KEPT = ".before"


def yaml_from_twin(yaml: str, twin: str) -> tuple[str, ...]:
    """Make the YAML file that is not there from its JSON copy, which every YAML reader reads as it is."""
    return (f"cp -n -- {shlex.quote(twin)} {shlex.quote(yaml)}",)


def yaml_completed(yaml: str, twin: str) -> tuple[str, ...]:
    """Put the JSON copy, which says all that the YAML file says and more, in the place of the YAML file."""
    return (f"{_kept(yaml)} && cat -- {shlex.quote(twin)} >| {shlex.quote(yaml)}",)


def lines_changed(edits: Sequence[LineEdit]) -> tuple[str, ...]:
    """Change these lines, each as long as it is what it was when it was looked at."""
    if not edits:
        return ()
    kept = [_kept(each.file) for each in edits]
    changes = [
        f"LC_ALL=C sed {shlex.quote(f'{each.line}s#^{_pattern(each.old)}$#{_replacement(each.new)}#')} "
        f"{shlex.quote(each.file + KEPT)} >| {shlex.quote(each.file)}"
        for each in edits
    ]
    return (" && ".join((*kept, *changes)),)


def renamed(old: str, new: str) -> tuple[str, ...]:
    """Give a file another name, unless there is one of that name."""
    return (f"mv -n -- {shlex.quote(old)} {shlex.quote(new)}",)


def both_seen(*files: str) -> tuple[str, ...]:
    """Look at size, time and content of files, to see which one is meant and whether they are the same."""
    named = shlex.join(files)
    return (f"ls -l -- {named}", f"sha256sum -- {named}")


def _kept(file: str) -> str:
    """Copy a file beside itself, and fail if there is such a copy already."""
    return f"(umask 077; set -C; cat -- {shlex.quote(file)} > {shlex.quote(file + KEPT)})"


def _pattern(text: str) -> str:
    return re.sub(r"([\\.*\[^$#])", r"\\\1", text)


def _replacement(text: str) -> str:
    return re.sub(r"([\\&#])", r"\\\1", text)
