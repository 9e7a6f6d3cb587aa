"""Whether a write-ahead log belongs to the SQLite file that it is beside, as far as the two files tell.

SQLite does not ask: whatever valid log it finds beside a file it merges with it, also with a file that is not in WAL
mode or was restored from an older copy, and nothing in either names the other. So that a log belongs to its file cannot
be shown; that it does not, sometimes can. What counts the changes of a file is in its first page, and a log that holds
this page continues that count.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from pytest_mdm_health.backends.base import CannotOpen
from pytest_mdm_health.backends.sqlite.header import HEADER_BYTES, SqliteHeader, read_header
from pytest_mdm_health.mdm.files import Unreadable, open_regular

_MAGICS = (0x377F0682, 0x377F0683)
_LOG_HEADER, _FRAME_HEADER = 32, 24
_COUNTER_AT = 24
_CLOCKS_APART_S = 1.0
"""Two times that differ by less may be of one moment."""
_FRAMES = 500_000
"""Frames that are looked at, at most."""


def is_of_another_file(path: Path, log: Path) -> bool:
    """Whether the log cannot have been written for the file as it is; false where that cannot be told. Never raises."""
    try:
        return bool(of_another_time(path, read_header(path), log))
    except CannotOpen:
        return False


def of_another_time(path: Path, header: SqliteHeader, log: Path) -> str:
    """How it shows that the log was not written for the file as it is now, as a sentence; empty if it does not."""
    try:
        with open_regular(log) as reading, open_regular(path) as file:
            page_size, salts = _head_of(reading)
            if page_size < HEADER_BYTES or not (completed := _completed(reading, page_size, salts)):
                return ""
            first, found = file.read(page_size), [_page_at(reading, place, page_size) for place in completed[1:]]
    except (Unreadable, OSError):
        return ""
    if not header.wal:
        return "the file is not in WAL mode, and SQLite removes the log before it takes a file out of that mode"
    if page_size != header.page_size:
        return f"its pages have {page_size} bytes, those of the file {header.page_size}"
    if not found or first in found or _counter(found[0]) - _counter(first) in {0, 1}:
        return ""
    return f"it continues the file after change {_counter(found[0]) - 1}, and the file is at change {_counter(first)}"


def is_older_than_its_file(path: Path, log: Path) -> bool:
    """Whether the file came to its place after the log was written last, so that the log may be of another one.

    SQLite itself writes to the file after the log only when it has merged the log, which is then merged again without
    a change. Where both were copied, their times say nothing.
    """
    try:
        file, written = path.stat(), log.stat()
    except OSError:
        return False
    untouched = written.st_ctime - written.st_mtime < _CLOCKS_APART_S
    return untouched and max(file.st_mtime, file.st_ctime) > written.st_mtime + _CLOCKS_APART_S


def _head_of(log: BinaryIO) -> tuple[int, bytes]:
    """The size of its pages and what its frames are marked with; nothing if SQLite would not read it."""
    head = log.read(_LOG_HEADER)
    if len(head) < _LOG_HEADER or struct.unpack_from(">I", head)[0] not in _MAGICS:
        return 0, b""
    return struct.unpack_from(">I", head, 8)[0], head[16:24]


def _completed(log: BinaryIO, page_size: int, salts: bytes) -> list[int]:
    """Where the log has the first page of the file, in transactions that were completed; nothing if none was.

    The first place is that of the log's own head, so that there is one as soon as there is a transaction.
    """
    size, places, committed = os.fstat(log.fileno()).st_size, [0], 0
    for number in range(min((size - _LOG_HEADER) // (_FRAME_HEADER + page_size), _FRAMES)):
        start = _LOG_HEADER + number * (_FRAME_HEADER + page_size)
        log.seek(start)
        page, pages_after, marks = struct.unpack(">II8s8x", log.read(_FRAME_HEADER))
        if marks != salts:  # left from the log's round before
            break
        if page == 1:
            places.append(start + _FRAME_HEADER)
        committed = len(places) if pages_after else committed
    return places[:committed]


def _page_at(log: BinaryIO, place: int, page_size: int) -> bytes:
    log.seek(place)
    return log.read(page_size)


def _counter(page: bytes) -> int:
    return int(struct.unpack_from(">I", page, _COUNTER_AT)[0])
