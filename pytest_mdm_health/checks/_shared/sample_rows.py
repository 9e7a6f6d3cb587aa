"""A few rows of a dataset, as MDM's own code gets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from pytest_mdm_health.backends import Column, Database, quote
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.mdm.inventory import Dataset

ROWS = 100
"""Rows that MDM's own code is run on."""

ROWS_JUDGED = 2000
"""Rows that MDM examines to decide whether a feature is informative."""

_FEW = 20
"""Different texts among the rows up to which a column holds categories; MDM's own default."""


def sample_task(dataset: Dataset, database: Database, table: str) -> dict[str, Any]:
    """The first rows of a table with what is registered about its columns, as data for another process.

    Raises:
        QueryFailed: the rows cannot be read.
    """
    columns = database.columns(table)
    names = [column.name for column in columns]
    found = database.query(f"SELECT {', '.join(map(quote, names))} FROM {quote(table)} LIMIT {ROWS}")  # noqa: S608 - quoted
    rows = [[_plain(value) for value in row] for row in found]
    data = dataset.registration.data if dataset.registration is not None else {}
    times = registered_names(data, "datetime_columns")
    target, ids = data.get("target_column"), registered_names(data, "id_columns")
    texts = {name: {row[place] for row in rows} for place, name in enumerate(names)}
    special = {**dict.fromkeys(ids, "id"), **({target: "target"} if isinstance(target, str) else {})}
    types = {
        column.name: special.get(column.name) or _type(column, column.name in times, len(texts[column.name]))
        for column in columns
    }
    return {
        "dataset": dataset.name,
        "columns": names,
        "rows": rows,
        "times": [column.name for column in columns if types[column.name] == "datetime"],
        "types": types,
        "target": target if target in names else None,
        "ids": [name for name in ids if name in names],
    }


def first_base_table(dataset: Dataset, there: Sequence[str]) -> str | None:
    """The table that MDM makes features of first: that for training, if there is one."""
    registered = dataset.registration.tables if dataset.registration is not None else {}
    base = {role: name for role, name in registered.items() if name in there}
    return base.get("train") or next(iter(base.values()), None)


def registered_names(data: Mapping[str, object], field: str) -> list[str]:
    """The names in a field of a registration, or of its metadata."""
    metadata = data.get("metadata")
    value = data.get(field) or (metadata.get(field) if isinstance(metadata, Mapping) else None)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _type(column: Column, is_time: bool, different: int) -> str:
    """The type that MDM's generator gets told, in its own words."""
    kind = kind_of(column.type)
    if is_time or kind is Kind.TIME:
        return "datetime"
    if kind in NUMBERS:
        return "numeric"
    return "categorical" if kind is Kind.BOOLEAN or different <= _FEW else "text"


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
