"""The second copy of a registration, `dataset_info.json`: what it holds and how it differs from the YAML file.

MDM writes both when a dataset is registered. Its `update` command writes the YAML file only, and its Python API
silently reads the copy whenever no dataset can be made of the YAML file. So a copy may lag behind, and then counts for
nothing or for everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.registrations.schema import Refusal, missing_fields, refusals

JSON_COPY_FILE = "dataset_info.json"
UPDATED_BY_COMMAND = frozenset(
    {"description", "target_column", "problem_type", "id_columns", "tags", "last_updated_at"}
)
"""What `mdm dataset update` changes in the YAML file and leaves as it was in the copy."""

_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d")
_MOMENT = TypeAdapter(datetime)
_DEEPEST = 10
_ADVICE_ONLY = ("display_name", "description", "last_updated_at", "registered_at", "tags", "source", "metadata")


@dataclass(frozen=True)
class JsonCopy:
    """A `dataset_info.json`.

    Attributes:
        path: the file.
        data: what is in it; None if it cannot be read. May hold a password.
        problem: why it cannot be read; empty if it can.
        refused: the fields that MDM's model refuses.
        missing: the fields that MDM's model cannot do without.
    """

    path: Path
    data: Mapping[str, object] | None = field(default=None, repr=False)
    problem: str = ""
    refused: tuple[Refusal, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether MDM can make a dataset of it."""
        return self.data is not None and not self.refused and not {"name", "database"} & set(self.missing)


def read_json_copy(path: Path) -> JsonCopy | None:
    """The copy at this path, whatever state it is in; None if nothing is there."""
    try:
        data = json.loads(read_bytes(path).decode("utf-8"))
    except Unreadable as error:
        return JsonCopy(path, problem=error.reason) if error.kind.value != "missing" else None
    except UnicodeDecodeError as error:
        return JsonCopy(path, problem=f"is not UTF-8: byte {error.start + 1}")
    except json.JSONDecodeError as error:
        return JsonCopy(path, problem=f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}")
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets within brackets
        return JsonCopy(path, problem="is not JSON that can be read: absurd numbers or nesting")
    if not isinstance(data, dict):
        return JsonCopy(path, problem="holds no JSON object")
    return JsonCopy(path, data, refused=refusals(data, "full"), missing=missing_fields(data, "full"))


def differences(yaml: Mapping[str, object], json_copy: Mapping[str, object]) -> tuple[str, ...]:
    """The fields, dotted below `database`, that say different things, however dates and numbers are written."""
    found = [
        name
        for name in _all(yaml, json_copy)
        if name != "database" and canonical(yaml.get(name)) != canonical(json_copy.get(name))
    ]
    ours, theirs = yaml.get("database"), json_copy.get("database")
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        below = [key for key in _all(ours, theirs) if canonical(ours.get(key)) != canonical(theirs.get(key))]
        return (*found, *(f"database.{key}" for key in below))
    return tuple(found) if ours == theirs else (*found, "database")


def absent_fields(yaml: Mapping[str, object], json_copy: Mapping[str, object]) -> tuple[str, ...]:
    """The fields that have a value in the copy and are not in the YAML file at all, as when its end is lost.

    MDM writes every field, with or without a value. Where nothing but text for people is absent, nothing is.
    """
    absent = [
        name for name in _all(json_copy, {}) if name not in yaml and canonical(json_copy[name]) not in (None, [], {})
    ]
    return tuple(absent) if set(absent) - set(_ADVICE_ONLY) else ()


def is_contained(yaml: object, json_copy: object, depth: int = 0) -> bool:
    """Whether the copy says all that the YAML file says, so that nothing is lost where it takes its place."""
    if depth <= _DEEPEST and isinstance(yaml, Mapping) and isinstance(json_copy, Mapping):
        return all(
            canonical(item) is None or (key in json_copy and is_contained(item, json_copy[key], depth + 1))
            for key, item in yaml.items()
        )
    return canonical(yaml) == canonical(json_copy)


def explained(
    fields: tuple[str, ...], yaml: Mapping[str, object], json_copy: Mapping[str, object], *, in_force: bool = True
) -> bool:
    """Whether these differences are harmless: text for people only, or what `mdm dataset update` leaves behind.

    The latter only as long as the YAML file is `in_force`.
    """
    if set(fields) <= set(_ADVICE_ONLY):
        return True
    ours, theirs = moment(yaml.get("last_updated_at")), moment(json_copy.get("last_updated_at"))
    updated = ours is not None and (theirs is None or theirs < ours)
    return in_force and updated and set(fields) <= UPDATED_BY_COMMAND | set(_ADVICE_ONLY)


def moment(value: object) -> datetime | None:
    """A date as registrations write it, as an aware moment (UTC where it says nothing); None if it is none."""
    if isinstance(value, str) and _DATE.match(value):
        try:
            value = _MOMENT.validate_python(value.strip())
        except ValidationError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)


def _all(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    return sorted({str(key) for key in (*one, *other)})


def canonical(value: object, depth: int = 0) -> object:
    """What a value means: dates as moments, everything else as text, because MDM writes numbers in both ways."""
    when = moment(value)
    if when is not None:
        return when
    if depth > _DEEPEST:  # YAML can put a mapping into itself
        return "..."
    if isinstance(value, Mapping):
        return {str(key): canonical(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical(item, depth + 1) for item in value]
    return None if value is None or value == "" else str(value)
