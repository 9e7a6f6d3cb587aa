"""How much memory a table's rows take as a pandas data frame, from a small sample that the engine itself measures."""

from __future__ import annotations

from pytest_mdm_health.backends.base import Column, Database, QueryFailed, quote

SAMPLE = 200
"""Rows that are measured: the first ones."""

PLAIN, TEXT, NESTED = 8, 57, 120
"""Bytes of a number or date, and what a text or a nested value takes beside its characters."""

_LEAST_ROW = 8
"""Bytes of a file that no row can do without."""


def row_width(database: Database, table: str) -> float | None:
    """Bytes of a row of a data frame on average; None if the table is empty.

    Raises:
        QueryFailed: the table cannot be read.
    """
    columns = database.columns(table)
    if not columns:
        return None
    measures = ", ".join(f"avg({_measure(database.engine, column)})" for column in columns)
    sampled = f"(SELECT * FROM {quote(table)} LIMIT {SAMPLE}) AS sampled"  # noqa: S608 - quoted
    ((*widths,),) = database.query(f"SELECT {measures} FROM {sampled}")  # noqa: S608 - made of quoted names
    return None if widths[0] is None else float(sum(widths))


def row_count(database: Database, table: str, file_size: int) -> int:
    """The rows of a table, at once: SQLite numbers them, and counting would read the whole table.

    Raises:
        QueryFailed: the table cannot be read.
    """
    if database.engine == "sqlite":
        try:
            ((last,),) = database.query(f"SELECT max(rowid) FROM {quote(table)}")  # noqa: S608 - quoted
        except QueryFailed:  # a view, or a table that numbers nothing
            last = None
        if isinstance(last, int) and 0 <= last * _LEAST_ROW <= file_size:
            return last
    return database.count(table)


def _measure(engine: str, column: Column) -> str:
    name = quote(column.name)
    if engine == "sqlite":  # which keeps the type with each value
        size = f"length(CAST({name} AS BLOB))"
        return f"CASE WHEN typeof({name}) IN ('text', 'blob') THEN {TEXT} + {size} ELSE {PLAIN} END"
    declared = column.type.upper()
    if declared == "VARCHAR":
        return f"{TEXT} + coalesce(strlen({name}), 0)"
    if declared == "BLOB":
        return f"{TEXT} + coalesce(octet_length({name}), 0)"
    if declared.endswith("]") or declared.startswith(("STRUCT", "MAP", "UNION", "JSON", "VARIANT")):
        return f"{NESTED} + coalesce(strlen(CAST({name} AS VARCHAR)), 0)"
    return str(PLAIN)
