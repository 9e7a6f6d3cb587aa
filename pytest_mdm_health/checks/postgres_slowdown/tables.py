"""Looking at the tables of one dataset's database on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import quote
from pytest_mdm_health.backends.sql_text import compared_columns
from pytest_mdm_health.checks._shared.postgres import sql
from pytest_mdm_health.checks._shared.postgres.entry import Look
from pytest_mdm_health.checks._shared.postgres.facts import InvalidIndex, TableState

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

_FILTERS = 3


def tables_of(database: PostgresDatabase, name: str, look: Look) -> Iterator[TableState]:
    """The largest tables of the database that is open, called `name`."""
    asked = look.ask(database, sql.TABLES, f"the tables of {name}")
    for schema, table, size, rows, dead, changed, analysed, off, full, index, columns in asked:
        calls = _filters(table, columns, (each for each in look.recorded if each[0] == name))
        yield TableState(
            database=name,
            **_names(schema, table),
            size=size,
            rows=max(rows, 0),
            dead=dead or 0,
            changed=changed or 0,
            analysed=analysed,
            neglected=off,
            full_reads=full,
            index_reads=index,
            filters=tuple(calls)[:_FILTERS],
            filtered=max(calls.values(), default=0),
        )


def _filters(table: str, columns: Iterable[str], recorded: Iterable[tuple[str, str, int, float]]) -> dict[str, int]:
    """The columns of a table that statements which mention it compare with something, with how often they ran."""
    known, calls = set(columns), dict[str, int]()
    for _, text, times, _ in recorded:
        if table in text:
            for column in known.intersection(compared_columns(text)):
                calls[column] = calls.get(column, 0) + times
    return {column: calls[column] for column in sorted(calls, key=lambda column: (-calls[column], column))}


def invalid_indexes(database: PostgresDatabase, name: str, look: Look) -> Iterator[InvalidIndex]:
    """The indexes of the database that were not finished and are not being made now."""
    for schema, index, table, unique in look.ask(database, sql.INVALID_INDEXES, f"the indexes of {name}"):
        yield InvalidIndex(database=name, **_names(schema, index), table=table, unique=unique)


def _names(schema: str, name: str) -> dict[str, str]:
    shown = name if schema == "public" else f"{schema}.{name}"
    return {"name": shown, "sql_name": f"{quote(schema)}.{quote(name)}"}
