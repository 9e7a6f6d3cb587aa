"""What a registration has to hold, in each of its shapes, and what MDM's model of a dataset refuses.

MDM builds its `DatasetInfo` from the whole mapping; one field that does not fit, and the whole file counts for
nothing. The model here takes and refuses the same values. It reports fields and kinds of values, never values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

Shape = Literal["full", "flat", "pointer", "unknown", "unusable"]
PROBLEM_TYPES = ("binary_classification", "multiclass_classification", "regression", "time_series", "clustering")

_FLAT_FIELDS = ("name", "path", "created_at", "backend", "version")
_FLAT_TEXTS = ("path", "backend", "version")
_FLAT_ONLY = {"created_at", "backend"}
_FULL_ONLY = {
    "tables",
    "feature_tables",
    "problem_type",
    "target_column",
    "id_columns",
    "registered_at",
    "display_name",
}
_TAKES = {
    "name": "a text of letters, digits, _ and -",
    "database": "a mapping",
    "tables": "a mapping of texts to texts",
    "feature_tables": "a mapping of texts to texts",
    "problem_type": f"one of {', '.join(PROBLEM_TYPES)}",
    "id_columns": "a list of texts",
    "tags": "a list of texts",
    "registered_at": "a date and time",
    "last_updated_at": "a date and time",
    "created_at": "a date and time",
    "metadata": "a mapping with texts as keys",
}


@dataclass(frozen=True)
class Refusal:
    """A field that MDM's model refuses.

    Attributes:
        field: dotted, from the top of the file.
        takes: what belongs there.
        got: the kind of value that is there, or `nothing`.
    """

    field: str
    takes: str
    got: str


class _Lenient(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True, extra="ignore")


class _Named(_Lenient):
    name: str

    @field_validator("name")
    @classmethod
    def _characters(cls, name: str) -> str:
        if not is_dataset_name(name):
            raise ValueError("characters")
        return name


class _Full(_Named):
    display_name: str | None = None
    description: str | None = None
    database: dict[Any, Any]
    tables: dict[str, str] = {}
    problem_type: Literal[PROBLEM_TYPES] | None = None  # type: ignore[valid-type]  # the words, spelled once
    target_column: str | None = None
    id_columns: list[str] = []
    time_column: str | None = None
    group_column: str | None = None
    feature_tables: dict[str, str] = {}
    registered_at: datetime = datetime.min  # noqa: DTZ901 - only ever compared with nothing
    last_updated_at: datetime | None = None
    tags: list[str] = []
    source: str | None = None
    version: str = "1.0.0"
    metadata: dict[str, Any] = {}


class _Flat(_Named):
    path: str
    created_at: datetime
    backend: str
    version: str


class _Pointer(_Lenient):
    path: str


_MODELS: Mapping[str, type[BaseModel]] = {"full": _Full, "flat": _Flat, "pointer": _Pointer, "unknown": _Full}


def is_dataset_name(name: str) -> bool:
    """Whether MDM takes it for a dataset's name, letter case aside."""
    return bool(name) and all(c.isalnum() or c in "_-" for c in name.lower())


def shape_of(data: object) -> Shape:
    """Which of the three shapes a registration has, told by its fields."""
    if not isinstance(data, Mapping):
        return "unusable"
    if "database" in data:
        return "full"
    if _FLAT_ONLY & data.keys():
        return "flat"
    if _FULL_ONLY & data.keys():
        return "full"
    return "pointer" if "path" in data else "unknown"


def refusals(data: Mapping[Any, object], shape: Shape) -> tuple[Refusal, ...]:
    """The fields, in the order of the model, that are there and that MDM refuses; missing ones are `missing_fields`."""
    odd_keys = tuple(Refusal(str(key), "a text as its name", _kind(key)) for key in data if not isinstance(key, str))
    if shape == "unusable" or odd_keys:
        return odd_keys
    try:
        _MODELS[shape].model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        return tuple(_refusal(problem["loc"], problem["input"]) for problem in problems if problem["type"] != "missing")
    return ()


def missing_fields(data: Mapping[Any, object], shape: Shape) -> tuple[str, ...]:
    """The fields, dotted, that a registration of this shape cannot do without and that are not there or empty.

    One that is there and of the wrong kind is among the `refusals` instead. What leads to a server may stand in the
    settings instead, so nothing of that is needed here.
    """
    if shape == "pointer":
        return () if data.get("path", "") != "" else ("path",)
    if shape == "flat":
        required = [field for field in _FLAT_FIELDS if field != "path" or data.get("backend") != "postgresql"]
        return tuple(field for field in required if field not in data or (field in _FLAT_TEXTS and data[field] == ""))
    needed = [field for field in ("name", "database") if field not in data]
    database = data.get("database")
    if isinstance(database, Mapping):
        needed += [f"database.{field}" for field in _missing_in_database(database)]
    return (*needed, *(("tables",) if data.get("tables", {}) == {} else ()))


def _missing_in_database(database: Mapping[Any, object]) -> list[str]:
    backend = database.get("backend", database.get("type"))
    missing = [] if backend else ["backend"]
    if backend in ("sqlite", "duckdb") and not database.get("path"):
        missing.append("path")
    return missing


def _refusal(place: tuple[int | str, ...], value: object) -> Refusal:
    parts = [str(part) for part in place if part != "[key]"]
    takes = _TAKES.get(parts[0], "text") if len(parts) == 1 else "text"
    return Refusal(".".join(parts), takes, _kind(value))


def _kind(value: object) -> str:
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "another text" if value else "an empty text"),
        (Mapping, "a mapping"),
        (list, "a list"),
        (date, "a date"),
    )
    return next(
        (word for kind, word in kinds if isinstance(value, kind)), "nothing" if value is None else type(value).__name__
    )
