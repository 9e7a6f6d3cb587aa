"""What a baseline stores of each data table, so that a later one can be compared with it when the old one is gone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.integrity.deadline import READ_FAILURES, Deadline, unless_it_fails

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.readers.base import Source

_TIMES = 3
"""Figures of columns are only made with so many times the time left that reading the table took."""


@dataclass(frozen=True, kw_only=True)
class StoredColumn:
    """One column; the figures are as in `digest.columns`, None if they were not made."""

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    least: str | None = None
    greatest: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoredTable:
    """One data table.

    Attributes:
        key: columns that identify a row, as registered.
        digest: `TableDigest` as plain data; None if none was made.
        sample: `Sample` as plain data, of a large table.
        hashed_by: the release of DuckDB that hashed it.
        why_not: why there is no digest.
    """

    name: str
    rows: int | None
    columns: tuple[StoredColumn, ...]
    key: tuple[str, ...] = ()
    digest: Mapping[str, Any] | None = None
    sample: Mapping[str, Any] | None = None
    hashed_by: str = ""
    why_not: str = ""


def with_digest(table: StoredTable, source: Source, options: Options, deadline: Deadline) -> StoredTable:
    """The table with what its rows are compared by, or with the reason why it has nothing of that."""
    try:
        return _with_digest(table, source, options, deadline)
    except READ_FAILURES as error:
        return replace(table, why_not=str(error))


def _with_digest(table: StoredTable, source: Source, options: Options, deadline: Deadline) -> StoredTable:
    import duckdb

    from pytest_mdm_health.integrity.digest.columns import profiled
    from pytest_mdm_health.integrity.digest.tables import digested
    from pytest_mdm_health.integrity.sampling.by_hash import STANDARD_ROWS, sampled

    table = replace(table, hashed_by=duckdb.__version__)
    if (table.rows or 0) > STANDARD_ROWS:
        if table.key and deadline.left > 0:
            with deadline.workbench(source) as workbench:
                sample = sampled(workbench, source, table.key, table.rows or 0)
            table = replace(table, sample=sample.to_plain())
        if Depth(options.depth) is not Depth.FULL:
            no_key = "" if table.key else ", and no key to sample it by is registered"
            return replace(table, why_not=f"it has {table.rows} rows{no_key}; --mdm-depth=full keeps all of them")
    with deadline.workbench(source) as workbench:
        started = time.monotonic()
        with digested(workbench, source) as (digest, _):
            took = time.monotonic() - started
        columns = table.columns
        if deadline.allows(took, _TIMES):
            profile = unless_it_fails(lambda: profiled(workbench, source, digest, show_values=options.show_values))
            if profile is not None:
                digest, figures = profile
                columns = tuple(replace(column, **vars(figures[column.name])) for column in columns)
    return replace(table, rows=digest.rows, columns=columns, digest=digest.to_plain())
