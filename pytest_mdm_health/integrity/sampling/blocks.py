"""Which rows of a table are looked at: all of a small one, an even and repeatable choice from a large one.

Choosing costs a few milliseconds however large the table is, so nothing here counts or reads all of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_mdm_health.backends import Database, QueryFailed, quote

ROWS, FEWEST_ROWS, CELLS = 8192, 500, 1_000_000
"""How many rows of a large table are looked at: fewer if it is wide."""

_BLOCKS, _FEW_BLOCKS = 32, 8
"""How many blocks of rows: each costs SQLite next to nothing, and DuckDB a few milliseconds."""

_SEEKING = (1, 3)
"""The DuckDB from which on row ids lead straight to the rows."""

_VECTOR = 2048
"""Rows that DuckDB keeps together."""


@dataclass(frozen=True)
class Sample:
    """Rows of a table, as SQL that stands for a table.

    Attributes:
        relation: the SQL, to follow FROM.
        complete: whether these are all rows.
        of: how many rows the table has, more or less; None if that is not known without counting.
    """

    relation: str
    complete: bool
    of: int | None = None


def sample_of(database: Database, table: str, columns: int, *, everything: bool = False) -> Sample:
    """The rows of a table to look at.

    Args:
        database: where the table is.
        table: its name.
        columns: how many columns it has.
        everything: all rows, however many.

    Raises:
        QueryFailed: the table cannot be read.
    """
    name = f"main.{quote(table)}" if database.engine == "sqlite" else quote(table)
    rows = max(min(ROWS, CELLS // max(columns, 1)), FEWEST_ROWS)
    if everything or _has_at_most(database, name, rows):
        return Sample(name, complete=True)
    if database.engine == "sqlite":
        return _from_sqlite(database, name, rows)
    return _from_duckdb(database, name, rows) if database.engine == "duckdb" else _from_postgres(database, name, rows)


def _has_at_most(database: Database, name: str, rows: int) -> bool:
    ((found,),) = database.query(f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {rows + 1}) AS s")  # noqa: S608 - quoted
    return int(found) <= rows


def _from_sqlite(database: Database, name: str, rows: int) -> Sample:
    """Blocks of rows spread evenly over the row ids, each found by seeking."""
    try:
        ((first, last),) = database.query(f"SELECT (SELECT min(rowid) FROM {name}), (SELECT max(rowid) FROM {name})")  # noqa: S608 - quoted
    except QueryFailed:  # a view, or a table without row ids
        return _first(name, rows)
    if not isinstance(first, int) or not isinstance(last, int):
        return _first(name, rows)
    width = (last - first) // _BLOCKS + 1
    starts = range(first, last + 1, width)
    blocks = " UNION ALL ".join(
        f"SELECT * FROM (SELECT * FROM {name} WHERE rowid >= {start} AND rowid < {start + width} "  # noqa: S608 - numbers
        f"ORDER BY rowid LIMIT {rows // _BLOCKS})"
        for start in starts
    )
    return Sample(f"({blocks}) AS s", complete=False, of=last - first + 1)


def _from_duckdb(database: Database, name: str, rows: int) -> Sample:
    """Blocks of rows, which newer versions find by seeking and older ones by going through the row ids."""
    try:
        ((rowid,),) = database.query(f"SELECT typeof(rowid) FROM {name} LIMIT 1")  # noqa: S608 - quoted
    except QueryFailed:  # a view
        return _first(name, rows)
    if rowid != "BIGINT":
        return _first(name, rows)
    count = int(database.query(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - quoted; known without counting
    ((version,),) = database.query("SELECT version()")
    if _numbers(str(version)) >= _SEEKING:
        starts = range(0, count, max(count // _FEW_BLOCKS, 1))
        blocks = " UNION ALL ".join(
            f"SELECT * FROM {name} WHERE rowid BETWEEN {start} AND {start + rows // _FEW_BLOCKS - 1}"  # noqa: S608 - numbers
            for start in starts
        )
        return Sample(f"({blocks}) AS s", complete=False, of=count)
    every = max(count // max(rows, _FEW_BLOCKS * _VECTOR), 1)
    chosen = f"SELECT * FROM {name} WHERE (rowid // {_VECTOR}) % {every} = 0"  # noqa: S608 - numbers
    return Sample(f"({chosen}) AS s", complete=False, of=count)


def _from_postgres(database: Database, name: str, rows: int) -> Sample:
    """The first rows and some whole pages, if the server knows how many rows there are."""
    known = database.query("SELECT reltuples FROM pg_class WHERE oid = to_regclass(?) AND relkind = 'r'", (name,))
    count = int(known[0][0]) if known else 0
    if count <= 0:
        return _first(name, rows)
    head = f"SELECT * FROM (SELECT * FROM {name} LIMIT {rows // 4}) AS head"  # noqa: S608 - quoted
    pages = f"SELECT * FROM {name} TABLESAMPLE SYSTEM ({min(rows * 100 / count, 100):.12f}) REPEATABLE (1)"  # noqa: S608 - a number
    return Sample(f"({head} UNION ALL {pages}) AS s", complete=False, of=count)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _first(name: str, rows: int) -> Sample:
    return Sample(f"(SELECT * FROM {name} LIMIT {rows}) AS s", complete=False)  # noqa: S608 - quoted
