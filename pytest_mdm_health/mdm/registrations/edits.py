"""One field of a registration changed in both of its copies, so that nothing else in them is another.

Nothing here writes a file: a check finds out whether it can be done, and `mdm-health set-field` does it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from pytest_mdm_health.core.secrets import is_secret
from pytest_mdm_health.mdm.edits import CannotEdit, changed, is_same, json_text, value_at, yaml_text
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.fields import DATE_COLUMNS
from pytest_mdm_health.mdm.registrations.schema import Shape, is_dataset_name, missing_fields, refusals, shape_of
from pytest_mdm_health.mdm.settings.schema import BY_NAME, Refused, accepted
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT

TEXTS = frozenset(
    {
        *("name", "display_name", "description", "problem_type", "target_column", "time_column", "group_column"),
        *("registered_at", "last_updated_at", "created_at", "source", "version", "path", "backend"),
    }
)
LISTS = frozenset({"id_columns", "tags", DATE_COLUMNS})
_IN_DATABASE = frozenset({"backend", "type", "path", "host", "database"})
_WRITTEN_OUT = frozenset({"password", "connection_string"})


@dataclass(frozen=True)
class FieldEdit:
    """A field with another value.

    Attributes:
        field: dotted, from the top of the YAML file.
        was: what it was in the YAML file; None if it was not there.
        value: what it is then.
        files: the new content of each file that changes.
        left: why the JSON copy is left as it is; empty where it is not, or where there is none.
    """

    field: str
    was: object
    value: object
    files: Mapping[Path, bytes]
    left: str = ""


def edit_of(registration: Registration, field: str, value: object) -> FieldEdit:
    """What sets a field in the YAML file, and in the JSON copy where that can be read.

    Raises:
        CannotEdit: it cannot be done without touching more than the field, or MDM would not take the result.
    """
    document = registration.pointed or registration.document
    if document is None:
        raise CannotEdit("has no YAML file")
    if not document.usable or not isinstance(document.data, Mapping):
        raise CannotEdit("cannot be read; correct that first")
    name = full_name(field, document.data)
    keys = name.split(".")
    found, was = value_at(document.data, keys)
    files: dict[Path, bytes] = {}
    if not (found and is_same(was, value)):
        files[document.path] = yaml_text.with_value(_content(document.path), keys, value)
    _refuse_new_problems(document.data, changed(document.data, keys, value))
    left = ""
    copied = registration.json_copy if registration.shape != "flat" else None
    if copied is not None:
        found_there, there = value_at(copied.data, keys)
        if copied.data is None or not copied.usable:
            left = "the JSON copy is damaged"
        elif not (found_there and is_same(there, value)):
            files[copied.path] = json_text.with_value(_content(copied.path), keys, value)
            _refuse_new_problems(copied.data, changed(copied.data, keys, value))
    return FieldEdit(name, was, value, files, left)


def full_name(field: str, data: Mapping[str, object]) -> str:
    """The dotted name of a field: `path` and `backend` are below `database` where there is that.

    Raises:
        CannotEdit: MDM has no such field, or it is no single value.
    """
    in_database = isinstance(data.get("database"), Mapping)
    name = f"database.{field}" if field in {"path", "backend"} and in_database else field
    section, _, key = name.partition(".")
    if is_secret(name) or key in _WRITTEN_OUT:
        raise CannotEdit("has a password there, which does not belong on a command line: write it in an editor")
    if name in TEXTS or name in LISTS:
        return name
    if section == "database" and in_database and (key in _IN_DATABASE or _setting(key, data)):
        return name
    raise CannotEdit(f"has no single field `{field}` that could be set")


def value_from(field: str, text: str | None, data: Mapping[str, object]) -> object:
    """What a text means as the value of a field; None means that it has none.

    Raises:
        CannotEdit: the field does not take it.
    """
    name = full_name(field, data)
    if name in LISTS:
        return _list_from(text)
    setting = _setting(name.partition(".")[2], data) if name.startswith("database.") else ""
    if not setting or text is None:
        return text
    value = accepted(setting, _parsed(text))
    if isinstance(value, Refused):
        raise CannotEdit(f"takes {value.wanted} as `{name}`")
    return value


def as_text(value: object) -> str:
    """A value as a word on a command line; `value_from` is the way back."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _setting(key: str, data: Mapping[str, object]) -> str:
    """The setting that MDM copied into this field below `database`; empty if it is none."""
    database = data.get("database")
    backend = (database.get("backend") or database.get("type")) if isinstance(database, Mapping) else None
    name = f"database.{backend}.{key}"
    return name if name in BY_NAME else ""


def _list_from(text: str | None) -> list[str]:
    if not text:
        return []
    if not text.startswith("["):
        return [text]
    try:
        items = json.loads(text)
    except ValueError:
        raise CannotEdit('takes a list there, such as ["a", "b"]') from None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise CannotEdit('takes a list of texts there, such as ["a", "b"]')
    return items


def _parsed(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _content(path: Path) -> bytes:
    try:
        return read_bytes(path, SIZE_LIMIT)
    except Unreadable as error:
        raise CannotEdit(error.reason) from None


def _refuse_new_problems(before: Mapping[str, object], after: Mapping[object, object]) -> None:
    shape: Shape = shape_of(after)
    known = {refusal.field for refusal in refusals(before, shape)}
    for refusal in refusals(after, shape):
        if refusal.field not in known:
            raise CannotEdit(f"would not be taken by MDM: `{refusal.field}` takes {refusal.takes}")
    lost = set(missing_fields(after, shape)) - set(missing_fields(before, shape))
    if lost or not is_dataset_name(str(after.get("name", "a"))):
        raise CannotEdit(f"would not be taken by MDM: it needs {', '.join(sorted(lost)) or 'a name'}")
