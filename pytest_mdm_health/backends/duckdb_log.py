"""Logs from which DuckDB takes nothing, although it opens their database silently."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen
from pytest_mdm_health.backends.private_copy import PrivateCopy

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "512MB",
}


def ignored_logs(path: Path, logs: Sequence[Path]) -> tuple[Path, ...]:
    """Those of the logs that are still there after DuckDB opened the database for writing, as MDM would.

    DuckDB merges a log and deletes it, but one that does not begin like a log, or the second log of a checkpoint
    without its first, it leaves alone. Tried on a private copy; without room for one, nothing is said of any.
    """
    import duckdb

    try:
        copy = PrivateCopy([path, *logs])
    except CannotOpen:
        return ()
    try:
        duckdb.connect(str(copy.path_of(path)), config=_CONFIG).close()
        return tuple(log for log in logs if copy.path_of(log).exists() and copy.path_of(log).stat().st_size)
    except duckdb.Error:
        return ()
    finally:
        copy.remove()
