"""Whether a write-ahead log belongs to the SQLite file that it lies beside, told from the first bytes of both.

SQLite merges whatever log it finds: nothing in a file names its log. But a file says whether it is in WAL mode at all,
and carries a counter in its first page, which whoever writes this page raises by one above what was read. The log holds
copies of the page: the first is at most one ahead of the file, and the last is not behind it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pytest_mdm_health.backends.base import CannotOpen
from pytest_mdm_health.backends.sqlite_header import HEADER_BYTES, read_header
from pytest_mdm_health.mdm.files import Unreadable, open_regular

_LOG_HEADER, _FRAME_HEADER = 32, 24
_MAGIC = (0x377F0682, 0x377F0683)
_COUNTER_AT = 24


def is_of_another_file(path: Path, log: Path) -> bool:
    """Whether the log cannot have been written for the file as it is; false where that cannot be told. Never raises."""
    try:
        header = read_header(path)
        with open_regular(path) as file, open_regular(log) as frames:
            (counter,) = struct.unpack_from(">I", file.read(HEADER_BYTES), _COUNTER_AT)
            committed, counters = _committed(frames, header.page_size)
    except (CannotOpen, Unreadable, OSError, struct.error):
        return False
    if not committed:
        return False
    if not header.wal:  # a file leaves this mode only when its log was taken over
        return True
    return bool(counters) and (counters[0] > counter + 1 or counters[-1] < counter)


def _committed(log: BinaryIO, page_size: int) -> tuple[bool, list[int]]:
    """Whether the log has a completed transaction, and the counters of the first page up to the last of them."""
    magic, _, pages, _, *salts = struct.unpack(">IIIIII", log.read(_LOG_HEADER)[:24])
    if magic not in _MAGIC or pages != page_size:
        return False, []
    committed, counters, pending = False, [], []
    for number, size, content in _frames(log, page_size, salts):
        if number == 1:
            pending.append(struct.unpack_from(">I", content, _COUNTER_AT)[0])
        if size:
            committed = True
            counters += pending
            pending = []
    return committed, counters


def _frames(log: BinaryIO, page_size: int, salts: list[int]) -> Iterator[tuple[int, int, bytes]]:
    """Each page in the log: its number, the size of the file if it completes a transaction, and its first bytes."""
    while len(head := log.read(_FRAME_HEADER)) == _FRAME_HEADER:
        number, size, *own = struct.unpack_from(">IIII", head)
        content = log.read(page_size)
        if own != salts or len(content) < page_size:
            return  # left from an earlier round of the log
        yield number, size, content
