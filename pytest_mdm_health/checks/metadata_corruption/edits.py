"""Changes of single lines that make a registration name the right file, each tried on the text before it is offered."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed
from pytest_mdm_health.checks.metadata_corruption.facts import LineEdit
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, read_bytes
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.placement import Place, name_in
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT, parse_yaml

_LINE = re.compile(r'(\s*"?path"?: +)(.*?)(,?)')
_GONE = {FileKind.MISSING.value, FileKind.BROKEN_LINK.value}


def owner_of(dataset: Dataset, place: Place | None, inventory: Inventory) -> str:
    """The other dataset whose file is registered as this one's; empty if it is nobody else's."""
    if place is None or place.kind != FileKind.FILE.value or not place.instead:
        return ""
    folder = os.path.realpath(Path(place.path).parent)
    others = (each for each in inventory.datasets if each.name in dataset.shared_with)
    owners = (each.name for each in others if _real(each.folder) == folder != _real(dataset.folder))
    return next(owners, "")


def path_edits(dataset: Dataset, place: Place | None, owner: str) -> tuple[LineEdit, ...]:
    """What makes both copies name the dataset's own file; nothing if that is not proven to be the right one."""
    registration = dataset.registration
    if place is None or registration is None or registration.in_force != "yaml":
        return ()
    right = _right_path(registration, place, owner)
    if not right or not _holds(registration, right):
        return ()
    return _edits(registration, place.written, right)


def _right_path(registration: Registration, place: Place, owner: str) -> str:
    """The file that is meant: of a relative path, of one whose place moved, or what only the JSON copy has right."""
    if place.relative and place.kind == FileKind.FILE.value:
        return place.path
    if owner:
        return place.instead if _path_in(_copy_of(registration)) == place.instead else ""
    moved = place.kind in _GONE and Path(place.instead).name == name_in(place.written)
    return place.instead if place.instead and moved and not place.relative else ""


def _holds(registration: Registration, path: str) -> bool:
    """Whether a file is a database of the registered kind with all the registered tables."""
    tables = {*registration.tables.values(), *registration.feature_tables.values()}
    file = Path(path)
    engine = engine_of(file) if kind_of(file) is FileKind.FILE else None
    if not tables or engine not in FILE_ENGINES or engine != registration.backend:
        return False
    try:
        with Backend(str(engine), file).open() as database:
            return tables <= set(database.tables())
    except (CannotOpen, QueryFailed):
        return False


def _edits(registration: Registration, old: str, new: str) -> tuple[LineEdit, ...]:
    """One for each copy that names the old path; nothing unless all are sure to change that and nothing else."""
    document = registration.pointed or registration.document
    if document is None or not isinstance(document.data, Mapping):
        return ()
    in_yaml = _edit(document.path, document.data, old, new, is_json=False)
    copy = _copy_of(registration)
    if in_yaml is None or registration.json_copy is None or _path_in(copy) != old:
        return (in_yaml,) if in_yaml is not None else ()
    in_json = _edit(registration.json_copy.path, copy, old, new, is_json=True)
    return (in_yaml, in_json) if in_json is not None else ()


def _edit(file: Path, data: Mapping[str, object], old: str, new: str, *, is_json: bool) -> LineEdit | None:
    """The change of one line after which the file says the same as before, but for the path."""
    try:
        text = read_bytes(file, SIZE_LIMIT).decode("utf-8")
    except (Unreadable, UnicodeDecodeError):
        return None
    wanted = _with_path(data, new)
    lines = text.split("\n")
    if _path_in(data) != old or "\r" in text or _said(text, file, is_json=is_json) != data:
        return None
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        changed = f"{match[1]}{json.dumps(new, ensure_ascii=False)}{match[3]}"
        if _said("\n".join((*lines[:number], changed, *lines[number + 1 :])), file, is_json=is_json) == wanted:
            return LineEdit(file=str(file), line=number + 1, old=line, new=changed)
    return None


def _said(text: str, file: Path, *, is_json: bool) -> object:
    if not is_json:
        document = parse_yaml(text.encode(), file)
        return document.data if not document.problems else None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _with_path(data: Mapping[str, object], new: str) -> dict[str, object]:
    below = data.get("database")
    return {**data, "database": {**below, "path": new}} if isinstance(below, Mapping) else {**data, "path": new}


def _path_in(data: Mapping[str, object]) -> object:
    below = data.get("database")
    return (below if isinstance(below, Mapping) else data).get("path")


def _copy_of(registration: Registration) -> Mapping[str, object]:
    return registration.json_copy.data or {} if registration.json_copy is not None else {}


def _real(folder: Path) -> str:
    return os.path.realpath(folder)
