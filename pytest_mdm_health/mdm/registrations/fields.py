"""The fields of a registration as two runs are compared in them, however MDM wrote them.

What changes by itself is left out: dates and statistics. So is what other checks compare: the backend and the path of
the data, and the settings that MDM copies into each registration. Secrets are never recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import PureWindowsPath

from pytest_mdm_health.core.secrets import HIDDEN, is_secret
from pytest_mdm_health.mdm.engines import ENGINES
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.json_copy import canonical
from pytest_mdm_health.mdm.settings.schema import BY_NAME

COLUMN_FIELDS = ("target_column", "time_column", "group_column", "id_columns")
DATE_COLUMNS = "metadata.datetime_columns"
TABLE_FIELDS = ("tables", "feature_tables")

_SECTIONS = ("database", "metadata")
"""Fields that are compared field by field of their own."""

_NOT_COMPARED = frozenset(
    {
        *("name", "registered_at", "created_at", "last_updated_at", "metadata.statistics"),
        *("path", "backend", "database.path", "database.backend", "database.type", "database.user"),
    }
)
_SERVER_FIELDS = ("host", "port", "database", "connection_string")
"""Fields below `database` that are compared although some are settings, too: they say where the data is."""

_UNORDERED = ("tags", "id_columns", DATE_COLUMNS)
_SHOWN = ("problem_type", "source", DATE_COLUMNS, *TABLE_FIELDS)
"""Fields whose values are recorded as they are: the others may hold what a person wrote, and only get a digest."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def is_compared(field: str) -> bool:
    """Whether a field, dotted below `database` and `metadata`, is compared between two runs by its value."""
    return not (field in _NOT_COMPARED or field in _SECTIONS or is_secret(field) or _is_copied_setting(field))


def is_shown(field: str) -> bool:
    """Whether the value of a field is recorded as it is, and may be printed."""
    return field in _SHOWN


def recorded_fields(registration: Registration) -> Mapping[str, Mapping[str, str]]:
    """By copy, `yaml` and `json`, the fields that have a value: a shown value as JSON, of any other a digest.

    The copy that is not in force is recorded too: MDM may read that one in the next run.
    """
    document = registration.pointed or registration.document
    copies = {
        "yaml": document.data if document is not None else None,
        "json": registration.json_copy.data if registration.json_copy is not None else None,
    }
    mappings = {name: data for name, data in copies.items() if isinstance(data, Mapping)}
    return {name: dict(_recorded(replace(registration, data=data))) for name, data in mappings.items()}


def recorded_value(field: str, value: object) -> str:
    """How the value of a field is recorded; empty if it counts as none."""
    plain = canonical(without_extras(field, value))
    if field in _UNORDERED and isinstance(plain, list):
        plain = sorted({_as_json(item) for item in plain})
        plain = [json.loads(item) for item in plain]
    if plain in (None, [], {}):
        return ""
    text = _as_json(plain)
    return text if is_shown(field) else hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def without_extras(field: str, value: object) -> object:
    """A value without what does not count: the user in an address, and the mapping that MDM 0.1.0 makes of a text."""
    if field == "database.connection_string" and isinstance(value, str):
        return value.rpartition("@")[2]
    if field == "description" and isinstance(value, Mapping):
        return value.get("description", value)
    return value


def is_same(field: str, one: str, other: str) -> bool:
    """Whether two recorded values of a field mean the same."""
    if one == other or HIDDEN in one:
        return True
    if field != "source" or not (one and other):
        return False
    return _is_same_path(str(json.loads(one)), str(json.loads(other)))


def _recorded(registration: Registration) -> Iterator[tuple[str, str]]:
    for field, value in _fields(registration):
        if is_compared(field) and field not in (*COLUMN_FIELDS, "version"):
            recorded = recorded_value(field, value)
            if recorded:
                yield field, recorded


def _fields(registration: Registration) -> Iterator[tuple[str, object]]:
    data = registration.data
    yield "tables", dict(registration.tables)
    yield "feature_tables", dict(registration.feature_tables)
    for key, value in data.items():
        if key in _SECTIONS and isinstance(value, Mapping):
            for name, item in value.items():
                yield f"{key}.{name}", item
        elif key == "display_name":  # MDM sets it to the name where nothing else is said
            yield key, None if value == data.get("name") else value
        elif key not in TABLE_FIELDS:
            yield str(key), value


def _is_copied_setting(field: str) -> bool:
    section, _, name = field.partition(".")
    if section != "database" or name in _SERVER_FIELDS:
        return False
    return any(f"database.{backend}.{name}" in BY_NAME for backend in ENGINES)


def _is_same_path(one: str, other: str) -> bool:
    """Whether two paths may mean the same: MDM records a source as it was typed, seen from wherever that was."""
    (first, first_absolute), (second, second_absolute) = _parts(one), _parts(other)
    if first_absolute and second_absolute:
        return first == second
    shorter, longer = sorted((first, second), key=len)
    if (first_absolute and len(first) < len(second)) or (second_absolute and len(second) < len(first)):
        return False
    return bool(shorter) and longer[len(longer) - len(shorter) :] == shorter


def _parts(path: str) -> tuple[list[str], bool]:
    """The names in a path, without those that lead up from a folder that is not known, and whether it is absolute."""
    windows = PureWindowsPath(path)
    return [part for part in windows.parts if part not in {windows.anchor, ".", ".."}], bool(windows.root)


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=_moment)


def _moment(value: object) -> str:
    return str(value - _EPOCH) if isinstance(value, datetime) else str(value)
