"""Rows that hold the names of the columns: headings of files that were put together with them."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_mdm_health.backends import Column, Database, literal, quote
from pytest_mdm_health.integrity.profiles.column_types import Kind, kind_of

MOST = 100
"""How many such rows are told by their numbers."""

_FEWEST = 2
"""Columns that must hold their own names, where there are so many: one alone may do so by chance."""


def headed_columns(columns: Sequence[Column], engine: str) -> tuple[str, ...]:
    """The columns in which a heading could be kept: in SQLite all, elsewhere those of texts."""
    names = tuple(each.name for each in columns if engine == "sqlite" or kind_of(each.type) is Kind.TEXT)
    return names if len(names) >= min(_FEWEST, len(columns)) else ()


def is_heading(names: Sequence[str]) -> str:
    """The condition that a row holds these names, each in its own column, whatever case and blanks they have."""
    return " AND ".join(f"lower(trim(CAST({quote(name)} AS TEXT))) = lower({literal(name)})" for name in names)


def heading_rows(database: Database, table: str) -> tuple[int, ...]:
    """The numbers of those rows, counted from 1 as the engine reads the table.

    Raises:
        QueryFailed: the table cannot be read.
        Unfinished: it was broken off.
    """
    names = headed_columns(database.columns(table), database.engine)
    if not names:
        return ()
    columns = ", ".join(map(quote, names))
    numbered = f"SELECT row_number() OVER () AS mdm_row, {columns} FROM {quote(table)}"  # noqa: S608 - quoted
    where = f"WHERE {is_heading(names)} ORDER BY 1 LIMIT {MOST}"
    rows = database.query(f"SELECT mdm_row FROM ({numbered}) AS numbered {where}")  # noqa: S608 - quoted
    return tuple(int(number) for (number,) in rows)
