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
    """Make the YAML file that is not there from a JSON copy that YAML readers take for the same values."""
    return (f"cp -n -- {shlex.quote(twin)} {shlex.quote(yaml)}",)


def yaml_completed(yaml: str, twin: str) -> tuple[str, ...]:
    """Put a JSON copy that says all that the YAML file says, and reads alike as YAML, in its place."""
    return (f"{_kept(yaml)} && cat -- {shlex.quote(twin)} >| {shlex.quote(yaml)}",)


def lines_changed(edits: Sequence[LineEdit]) -> tuple[str, ...]:
    """Change these lines in all files or in none.

    Nothing is written unless every line is still what it was when it was examined, no file has an older copy beside
    it, and every file may be written to.
    """
    if not edits:
        return ()
    checks = [
        f"{{ test -w {shlex.quote(edit.file)} && test ! -e {shlex.quote(edit.file + KEPT)} && "
        f"LC_ALL=C sed -n '{edit.line}p' {shlex.quote(edit.file)} | LC_ALL=C grep -Fqx -- {shlex.quote(edit.old)}; }}"
        for edit in edits
    ]
    kept = [_kept(edit.file) for edit in edits]
    changes = [
        f"LC_ALL=C sed {shlex.quote(f'{edit.line}s#^{_pattern(edit.old)}$#{_replacement(edit.new)}#')} "
        f"{shlex.quote(edit.file + KEPT)} >| {shlex.quote(edit.file)}"
        for edit in edits
    ]
    refused = (
        "{ echo 'nothing was changed: a file is not as it was, is read-only, or has an older .before' >&2; false; }"
    )
    return (f"if {' && '.join(checks)}; then {' && '.join((*kept, *changes))}; else {refused}; fi",)


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
