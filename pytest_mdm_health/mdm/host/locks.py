"""Locks on database files, read without taking one.

SQLite and DuckDB lock with POSIX record locks, and the byte that is locked tells what for. Linux lists them all in
`/proc/locks`; elsewhere `fcntl(F_GETLK)` is asked, which names one holder for each range.
"""

from __future__ import annotations

import math
import os
import struct
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from pytest_mdm_health.core.session import current

LOCK_TABLE = Path("/proc/locks")
TABLE_LASTS_S = 0.05
"""How long the table is good for once it was read."""

PENDING, RESERVED, SHARED, SHARED_LENGTH = 0x40000000, 0x40000001, 0x40000002, 510
"""Where SQLite locks a database with a rollback journal."""
WAL_WRITER, WAL_CHECKPOINT, WAL_RECOVERY, WAL_READERS, WAL_CONNECTED = 120, 121, 122, 123, 128
"""Where SQLite locks the `-shm` file of a database in WAL mode."""


class LockKind(str, Enum):
    """What a lock on a database is for, by the bytes that are locked."""

    NONE = ""
    WHOLE_FILE = "whole-file"
    """DuckDB's, or that of a program that is no database."""

    SHARED = "shared"
    RESERVED = "reserved"
    PENDING = "pending"
    EXCLUSIVE = "exclusive"
    WAL_WRITER = "wal-writer"
    WAL_CHECKPOINT = "wal-checkpoint"
    WAL_RECOVERY = "wal-recovery"
    WAL_READER = "wal-reader"
    WAL_CONNECTED = "wal-connected"
    OTHER = "other"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Lock:
    """One lock: whose (0 if that cannot be seen), of which kind, and whether it is one for writing."""

    pid: int
    kind: LockKind
    writes: bool


def locks_on(files: Iterable[Path]) -> tuple[list[Lock], str]:
    """The locks on these files and why there may be more; this process's own are there too."""
    present = list(files)
    if LOCK_TABLE.exists():
        found = list(_from_table(present))
        if found:
            return found, ""
        return list(_asked(present)), ""  # another container's or another machine's are not in the table
    if not _LAYOUTS.get(sys.platform):
        return [], f"locks cannot be read on {sys.platform}"
    return list(_asked(present)), ""


def _from_table(files: Sequence[Path]) -> Iterator[Lock]:
    """Lines look like `1: POSIX  ADVISORY  WRITE 8858 fe:00:2425240 0 EOF`; those that wait have an arrow in front."""
    places = dict(_places(files))
    for line in current().part(_LockTable).lines():
        words = line.split()
        if len(words) != 8 or words[1] not in ("POSIX", "OFDLCK"):  # noqa: PLR2004 - the columns of the table
            continue
        device, _, inode = words[5].rpartition(":")
        path, number = places.get(inode, (None, 0))
        if path is not None and _may_be(number, device):
            length = 0 if words[7] == "EOF" else int(words[7]) - int(words[6]) + 1
            writes = words[3] == "WRITE"
            yield Lock(max(int(words[4]), 0), _kind(path, int(words[6]), length, writes), writes)


class _LockTable:
    """The lines of the system's lock table, as they were read last."""

    def __init__(self) -> None:
        self._read_at = -math.inf
        self._lines: list[str] = []

    def lines(self) -> list[str]:
        """Its lines. Reading it takes the kernel milliseconds, so it is not done for every file of many."""
        if time.monotonic() - self._read_at > TABLE_LASTS_S:
            self._lines = LOCK_TABLE.read_text(encoding="utf-8").splitlines()
            self._read_at = time.monotonic()
        return self._lines


def _places(files: Sequence[Path]) -> Iterator[tuple[str, tuple[Path, int]]]:
    for path in files:
        with suppress(OSError):  # it is gone
            info = path.stat()
            yield str(info.st_ino), (path, info.st_dev)


def _may_be(number: int, device: str) -> bool:
    """Whether a device is that one; file systems with devices of their own, like btrfs, show another in the table."""
    major, _, minor = device.partition(":")
    return os.major(number) == 0 or (os.major(number), os.minor(number)) == (int(major, 16), int(minor, 16))


def _kind(path: Path, start: int, length: int, writes: bool) -> LockKind:
    """What a lock on these bytes is for; a length of 0 reaches to the end of the file."""
    if path.name.endswith("-shm"):
        return _WAL_KINDS.get(start, LockKind.WAL_READER)
    if start == 0 and length == 0:
        return LockKind.WHOLE_FILE
    if start < SHARED + SHARED_LENGTH and start + length > SHARED:
        return LockKind.EXCLUSIVE if writes else LockKind.SHARED
    return {RESERVED: LockKind.RESERVED, PENDING: LockKind.PENDING}.get(start, LockKind.OTHER)


_WAL_KINDS = {
    WAL_WRITER: LockKind.WAL_WRITER,
    WAL_CHECKPOINT: LockKind.WAL_CHECKPOINT,
    WAL_RECOVERY: LockKind.WAL_RECOVERY,
    WAL_CONNECTED: LockKind.WAL_CONNECTED,
}

# Where the fields of C's `struct flock` are: their order, and the positions of type, start, length and pid in it.
_LAYOUTS = {
    "linux": ("@hhqqi", ("type", "whence", "start", "length", "pid")),
    "darwin": ("@qqihh", ("start", "length", "pid", "type", "whence")),
}


def _asked(files: Sequence[Path]) -> Iterator[Lock]:
    """Ask for each range who would be in the way of a write lock.

    Closing a file drops this process's own locks on it, so on Linux this is asked only where there are none.
    """
    for path in files:
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError:
            continue
        try:
            yield from dict.fromkeys(_in_the_way(descriptor, path))
        finally:
            os.close(descriptor)


def _in_the_way(descriptor: int, path: Path) -> Iterator[Lock]:
    import fcntl

    layout, names = _LAYOUTS[sys.platform]
    for start, length in _WAL_RANGES if path.name.endswith("-shm") else _RANGES:
        question = {"type": fcntl.F_WRLCK, "whence": os.SEEK_SET, "start": start, "length": length, "pid": 0}
        packed = struct.pack(layout, *(question[name] for name in names))
        try:
            answer = dict(
                zip(names, struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, packed)), strict=True)
            )
        except OSError:  # a file system without locks
            return
        if answer["type"] != fcntl.F_UNLCK:
            writes = answer["type"] == fcntl.F_WRLCK
            yield Lock(max(answer["pid"], 0), _kind(path, answer["start"], answer["length"], writes), writes)


_RANGES = ((0, 0), (PENDING, 1), (RESERVED, 1), (SHARED, SHARED_LENGTH))
_WAL_RANGES = tuple((byte, 1) for byte in range(WAL_WRITER, WAL_CONNECTED + 1))
