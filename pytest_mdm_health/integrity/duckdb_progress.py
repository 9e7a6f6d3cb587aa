"""How far DuckDB is with a statement, which it tells in percent of the rows that it has to read."""

from __future__ import annotations

import contextlib

import duckdb

from pytest_mdm_health.core.pace import PARTS
from pytest_mdm_health.core.session import progress

_PARTS = 1000


def keep_account(connection: duckdb.DuckDBPyConnection) -> None:
    """Have it keep account of how far a statement is, and print nothing of it."""
    with contextlib.suppress(duckdb.Error):  # one that cannot is as it was
        connection.execute("SET enable_progress_bar_print = false")
        connection.execute("SET enable_progress_bar = true")


def say_how_far(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Say how far the statement is that is running, of something that a person knows by this name."""
    part = connection.query_progress() if hasattr(connection, "query_progress") else 0.0
    if part > 0:
        progress(name, min(int(part * _PARTS / 100), _PARTS), _PARTS, PARTS)
