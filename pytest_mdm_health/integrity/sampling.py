"""Which rows of a table are looked at: all of a small one, an even and repeatable choice from a large one.

Choosing costs a few milliseconds however large the table is, so nothing here counts or reads all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.backends import Database, QueryFailed, quote

ROWS, FEWEST_ROWS, CELLS = 8192, 500, 1_000_000
"""How many rows of a large table are looked at: fewer if it is wide."""

_BLOCKS = 32
_VECTOR = 2048
"""DuckDB chooses rows in vectors of this many, as PostgreSQL does in pages, and only whole ones."""


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
    count = _known_count(database, name)
    return _spread(name, rows, count, database.engine) if count is not None else _first(name, rows)


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


def _known_count(database: Database, name: str) -> int | None:
    """How many rows a table has, as far as DuckDB's or PostgreSQL's catalogue knows."""
    if database.engine == "duckdb":
        return int(database.query(f"SELECT count(*) FROM {name}")[0][0])  # noqa: S608 - quoted; answered from the catalogue
    rows = database.query("SELECT reltuples FROM pg_class WHERE oid = to_regclass(?) AND relkind = 'r'", (name,))
    return int(rows[0][0]) if rows and rows[0][0] > 0 else None


def _spread(name: str, rows: int, count: int, engine: str) -> Sample:
    """The first rows and some whole vectors or pages: fewer would too often be none at all."""
    percent = f"{min(max(rows, 4 * _VECTOR) * 100 / count, 100):.12f}{'%' if engine == 'duckdb' else ''}"
    head = f"SELECT * FROM (SELECT * FROM {name} LIMIT {_VECTOR}) AS head"  # noqa: S608 - quoted
    spread = f"SELECT * FROM {name} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)"  # noqa: S608 - a number
    return Sample(f"({head} UNION ALL {spread}) AS s", complete=False, of=count)


def _first(name: str, rows: int) -> Sample:
    return Sample(f"(SELECT * FROM {name} LIMIT {rows}) AS s", complete=False)  # noqa: S608 - quoted
