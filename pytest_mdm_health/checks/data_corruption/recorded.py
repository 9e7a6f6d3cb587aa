"""What MDM recorded about a dataset's tables: in the registration, in `statistics.json`, in the database itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pytest_mdm_health.backends import Database, QueryFailed
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, read_bytes
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import Registration

OWN_TABLES = ("_metadata", "_columns", "_statistics")
"""What MDM 1.0 keeps in each dataset's database for itself."""

COUNTED_ROLES = ("train", "test", "validation", "data")
"""The tables whose rows MDM adds up at registration; it leaves out all others."""

STATISTICS = Path("metadata", "statistics.json")
_STATISTICS_LIMIT = 64 * 1024 * 1024
_WHOLE_DATASET = "data"


@dataclass(frozen=True)
class Record:
    """One record: its source, the role or table it is about (empty for the whole dataset), and what it says.

    Attributes:
        rows: how many rows were counted; None if the record does not say.
        columns: the columns that there were.
        had_rows: whether it tells of values, which an empty table does not have.
        outdated: whether the dataset was registered again since.
    """

    source: str
    about: str
    rows: int | None = None
    columns: tuple[str, ...] = ()
    had_rows: bool = False
    outdated: bool = field(default=False)


def records(dataset: Dataset, database: Database, gaps: list[str]) -> Iterator[Record]:
    """All that MDM recorded about the dataset's rows and columns. What was never computed is no record."""
    registration = dataset.registration
    if registration is not None and registration.recorded_rows:
        yield Record("the registration", "", registration.recorded_rows)
    yield from _of_statistics_file(dataset, gaps)
    yield from _of_database(database, gaps)


def _of_statistics_file(dataset: Dataset, gaps: list[str]) -> Iterator[Record]:
    """`mdm dataset stats` writes it; a dataset that is registered again keeps the old one."""
    path = dataset.folder / STATISTICS
    if kind_of(path) is FileKind.MISSING:
        return
    try:
        content = json.loads(read_bytes(path, _STATISTICS_LIMIT))
    except Unreadable as error:
        gaps.append(f"{path} {error.reason}")
        return
    except (ValueError, RecursionError) as error:
        gaps.append(f"{path} cannot be read: {str(error).partition(chr(10))[0]}")
        return
    outdated = _is_before(_mapping(content).get("computed_at"), dataset.registration)
    for role, table in _mapping(_mapping(content).get("tables")).items():
        columns, rows = _mapping(_mapping(table).get("columns")), _whole(_mapping(table).get("row_count"))
        yield Record(STATISTICS.name, str(role), rows, tuple(columns), bool(rows), outdated)


def _of_database(database: Database, gaps: list[str]) -> Iterator[Record]:
    own = set(database.tables()).intersection(OWN_TABLES)
    try:
        if "_statistics" in own:
            yield from _statistics(database)
        if "_columns" in own:
            yield from _columns(database)
    except QueryFailed as error:
        gaps.append(f"what MDM recorded in the database cannot be read: {error}")


def _statistics(database: Database) -> Iterator[Record]:
    rows = database.query("SELECT table_name, row_count FROM _statistics ORDER BY id DESC LIMIT 100")
    newest: dict[object, object] = dict(reversed(rows))
    for table, count in newest.items():
        if isinstance(table, str) and _whole(count):
            yield Record("the table _statistics", "" if table == _WHOLE_DATASET else table, _whole(count))


def _columns(database: Database) -> Iterator[Record]:
    rows = database.query("SELECT table_name, column_name, cardinality, missing_count FROM _columns")
    columns: dict[str, list[str]] = {}
    with_values = set()
    for table, column, different, missing in rows:
        if isinstance(table, str) and isinstance(column, str):
            columns.setdefault(table, []).append(column)
            with_values |= {table} if _whole(different) or _whole(missing) else set()
    for table, names in columns.items():
        yield Record("the table _columns", table, None, tuple(names), table in with_values)


def _is_before(moment: object, registration: Registration | None) -> bool:
    """Whether something was recorded before the dataset was registered."""
    registered = _moment(registration.data.get("registered_at")) if registration is not None else None
    recorded = _moment(moment)
    return recorded is not None and registered is not None and recorded < registered


def _moment(value: object) -> datetime | None:
    """A point in time; MDM writes local times without a zone in some places, UTC with one in others."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
