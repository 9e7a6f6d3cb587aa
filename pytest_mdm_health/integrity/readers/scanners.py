"""DuckDB's extensions that read other databases, where they are installed for this DuckDB; none is downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb

from pytest_mdm_health.backends import literal

FAILURES = (duckdb.Error, ValueError, RuntimeError, OverflowError, TypeError)
"""What DuckDB raises."""


def load(connection: duckdb.DuckDBPyConnection, engine: str) -> bool:
    """Load the extension that reads `sqlite` or `postgres`, if there is one that fits."""
    spec = importlib.util.find_spec(f"duckdb_extension_{engine}_scanner")
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}"
    try:
        connection.execute(f"LOAD {literal(folder / f'{engine}_scanner.duckdb_extension')}")
    except FAILURES:
        return False
    return True
