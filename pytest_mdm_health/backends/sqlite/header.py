"""The first hundred bytes of a SQLite file: what it says of itself before anything is opened."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen
from pytest_mdm_health.backends.file_header import begins_like, first_bytes

HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\x00"
_WAL_VERSION = 2
_LATEST_SCHEMA_FORMAT = 4
_PAGE_SIZES = {512 << power for power in range(8)}


@dataclass(frozen=True)
class SqliteHeader:
    """What a SQLite file says of itself.

    Attributes:
        wal: whether it is in WAL mode; the rollback modes (delete, truncate, persist) cannot be distinguished.
        page_size: bytes.
        pages: how many pages belong to the database; None if a very old SQLite wrote it last, which did not record it.
        size: the file's size in bytes.
    """

    wal: bool
    page_size: int
    pages: int | None
    size: int

    @property
    def surplus(self) -> int:
        """Bytes after the last page that belongs to the database; negative if that many are missing."""
        return 0 if self.pages is None else self.size - self.pages * self.page_size


def read_header(path: Path) -> SqliteHeader:
    """The header of a SQLite file.

    Raises:
        CannotOpen: there is no file, or none of a format that SQLite 3 reads.
    """
    head, size = first_bytes(path, HEADER_BYTES)
    begins_like(head, HEADER_BYTES, head.startswith(_MAGIC), "SQLite")
    return _parsed(head, size)


def _parsed(head: bytes, size: int) -> SqliteHeader:
    page_size, read_version = struct.unpack_from(">HxB", head, 16)
    change_counter, pages = struct.unpack_from(">II", head, 24)
    (schema_format,) = struct.unpack_from(">I", head, 44)
    (valid_for,) = struct.unpack_from(">I", head, 92)
    page_size = 65536 if page_size == 1 else page_size
    if page_size not in _PAGE_SIZES:
        raise CannotOpen(
            "damaged", f"is damaged: its header names pages of {page_size} bytes, which SQLite does not have"
        )
    if read_version > _WAL_VERSION or schema_format > _LATEST_SCHEMA_FORMAT:
        raise CannotOpen("newer-format", "was written by a SQLite newer than the one here, or its header is damaged")
    return SqliteHeader(read_version == _WAL_VERSION, page_size, pages if change_counter == valid_for else None, size)
