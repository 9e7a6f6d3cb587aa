"""Telling what a database file is from its first bytes, whatever it is called."""

from __future__ import annotations

from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, open_regular

FILE_ENGINES = ("sqlite", "duckdb")
ENGINES = (*FILE_ENGINES, "postgresql")
"""The backends that MDM knows, as registrations spell them."""

DATABASE_SUFFIXES = (".sqlite", ".sqlite3", ".duckdb", ".db")
"""How MDM and the guide call the files that hold a dataset's data."""

LOG_SUFFIXES = ("-wal", "-journal", ".wal", ".wal.checkpoint")
"""Endings of the files beside a database that it is not complete without; SQLite can make its `-shm` again."""

HEAD_BYTES = 16
_SQLITE = b"SQLite format 3\x00"
_DUCKDB, _DUCKDB_AT = b"DUCK", 8  # the first eight bytes are a checksum


def engine_of(path: Path) -> str | None:
    """`sqlite` or `duckdb` if the file begins like one of theirs; None for anything else, readable or not."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except (Unreadable, OSError):
        return None
    if head == _SQLITE:
        return "sqlite"
    return "duckdb" if head[_DUCKDB_AT : _DUCKDB_AT + len(_DUCKDB)] == _DUCKDB else None
