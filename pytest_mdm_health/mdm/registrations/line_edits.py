"""Changes of single lines that make both copies of a registration name another path, and the command that makes them.

Each is tried on the text first: it is offered only if the file then says the same as before, but for the path.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, parse_yaml

KEPT = ".before"
"""What is added to the name of a file for the copy of it that a command keeps."""

_LINE = re.compile(r'(\s*"?path"?: +)(.*?)(,?)')


@dataclass(frozen=True, kw_only=True)
class LineEdit:
    """The change of one line of a file, counted from 1, after which only one field has another value."""

    file: str
    line: int
    old: str
    new: str


def edits_of_path(registration: Registration, old: str, new: str) -> tuple[LineEdit, ...]:
    """One for each copy that names the old path; none unless all are sure to change that and nothing else."""
    document = registration.pointed or registration.document
    if document is None or not isinstance(document.data, Mapping):
        return ()
    in_yaml = _edit(document.path, document.data, old, new, is_json=False)
    copied = registration.json_copy
    if in_yaml is None or copied is None or copied.data is None or path_in(copied.data) != old:
        return (in_yaml,) if in_yaml is not None else ()
    in_json = _edit(copied.path, copied.data, old, new, is_json=True)
    return (in_yaml, in_json) if in_json is not None else ()


def path_in(data: Mapping[str, object]) -> object:
    """What a registration has as the path of its data."""
    database = data.get("database")
    return (database if isinstance(database, Mapping) else data).get("path")


def command_for(edits: Sequence[LineEdit]) -> str:
    """A shell command that changes these lines in all files or in none.

    Nothing is written unless every line is still what it was when it was examined, no file has an older copy beside
    it, and every file is writable.
    """
    checks = [
        f"{{ test -w {shlex.quote(edit.file)} && test ! -e {shlex.quote(edit.file + KEPT)} && "
        f"LC_ALL=C sed -n '{edit.line}p' {shlex.quote(edit.file)} | LC_ALL=C grep -Fqx -- {shlex.quote(edit.old)}; }}"
        for edit in edits
    ]
    copies = [
        f"(umask 077; set -C; cat -- {shlex.quote(edit.file)} > {shlex.quote(edit.file + KEPT)})" for edit in edits
    ]
    changes = [
        f"LC_ALL=C sed {shlex.quote(f'{edit.line}s#^{_pattern(edit.old)}$#{_replacement(edit.new)}#')} "
        f"{shlex.quote(edit.file + KEPT)} >| {shlex.quote(edit.file)}"
        for edit in edits
    ]
    refused = (
        "{ echo 'nothing was changed: a file is not as it was, is read-only, or has an older .before' >&2; false; }"
    )
    return f"if {' && '.join(checks)}; then {' && '.join((*copies, *changes))}; else {refused}; fi"


def _edit(file: Path, data: Mapping[str, object], old: str, new: str, *, is_json: bool) -> LineEdit | None:
    """The change of one line after which the file says the same as before, but for the path."""
    try:
        text = read_bytes(file, SIZE_LIMIT).decode("utf-8")
    except (Unreadable, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    if path_in(data) != old or "\r" in text or _parsed(text, file, is_json=is_json) != data:
        return None
    wanted = _with_path(data, new)
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        changed = f"{match[1]}{json.dumps(new, ensure_ascii=False)}{match[3]}"
        if _parsed("\n".join((*lines[:number], changed, *lines[number + 1 :])), file, is_json=is_json) == wanted:
            return LineEdit(file=str(file), line=number + 1, old=line, new=changed)
    return None


def _parsed(text: str, file: Path, *, is_json: bool) -> object:
    if not is_json:
        document = parse_yaml(text.encode(), file)
        return document.data if not document.problems else None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _with_path(data: Mapping[str, object], new: str) -> dict[str, object]:
    database = data.get("database")
    return {**data, "database": {**database, "path": new}} if isinstance(database, Mapping) else {**data, "path": new}


def _pattern(text: str) -> str:
    return re.sub(r"([\\.*\[^$#])", r"\\\1", text)


def _replacement(text: str) -> str:
    return re.sub(r"([\\&#])", r"\\\1", text)
