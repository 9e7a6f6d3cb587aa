"""Opening files that may be anything: damaged, huge, in the way, or no files at all.

A FIFO or a device where a file belongs must be an answer, never a hang, so everything is looked at before it is
opened, opened without waiting, and looked at again once open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from enum import Enum
from pathlib import Path
from typing import BinaryIO

TEXT_LIMIT = 4 * 1024 * 1024
"""Bytes of a settings or registration file that are read at most; real ones have a few kilobytes."""
_FICLONE = 0x40049409


class FileKind(str, Enum):
    """What stands at a path, symbolic links followed."""

    MISSING = "missing"
    FILE = "file"
    FOLDER = "folder"
    FIFO = "FIFO"
    SOCKET = "socket"
    DEVICE = "device"
    BROKEN_LINK = "broken symbolic link"
    UNREACHABLE = "unreachable"


class Unreadable(Exception):
    """A file that cannot be read.

    Attributes:
        path: the file.
        kind: what stands there.
        reason: why it cannot be read, to follow the path in a sentence ("is a FIFO").
        errno: the system's number for that, if it refused it.
    """

    def __init__(self, path: Path, kind: FileKind, reason: str, errno: int | None = None) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.kind, self.reason, self.errno = path, kind, reason, errno


def kind_of(path: Path) -> FileKind:
    """What stands at this path. Opens nothing."""
    try:
        return _kind_of_mode(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return FileKind.BROKEN_LINK if path.is_symlink() else FileKind.MISSING
    except OSError as error:
        leads_nowhere = error.errno == errno.ELOOP and path.is_symlink()
        return FileKind.BROKEN_LINK if leads_nowhere else FileKind.UNREACHABLE  # as without permission on the way there
    except ValueError:  # a name that no file system takes
        return FileKind.UNREACHABLE


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading without ever waiting for it.

    Raises:
        Unreadable: nothing is there, it is no regular file, or the permission is missing.
    """
    kind = kind_of(path)
    if kind is FileKind.UNREACHABLE:
        raise _unreachable(path)
    if kind is not FileKind.FILE:
        raise Unreadable(path, kind, _in_words(kind))
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise Unreadable(path, kind, f"cannot be opened: {error.strerror}", error.errno) from error
    opened = _kind_of_mode(os.fstat(descriptor).st_mode)
    if opened is not FileKind.FILE:  # it was swapped between the look and the opening
        os.close(descriptor)
        raise Unreadable(path, opened, _in_words(opened))
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int = TEXT_LIMIT) -> bytes:
    """The whole of a small regular file.

    Raises:
        Unreadable: as `open_regular`, or the file has more than `limit` bytes, or reading fails.
    """
    with open_regular(path) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise Unreadable(path, FileKind.FILE, f"cannot be read: {error.strerror}", error.errno) from error
    if len(content) > limit:
        raise Unreadable(path, FileKind.FILE, f"is larger than {limit} bytes, too large for what it should be")
    return content


def _unreachable(path: Path) -> Unreadable:
    try:
        path.stat()
    except OSError as error:
        return Unreadable(path, FileKind.UNREACHABLE, f"cannot be reached: {error.strerror}", error.errno)
    except ValueError as error:
        return Unreadable(path, FileKind.UNREACHABLE, f"cannot be reached: {error}")
    return Unreadable(path, FileKind.UNREACHABLE, "could not be reached a moment ago")


def _kind_of_mode(mode: int) -> FileKind:
    if stat.S_ISREG(mode):
        return FileKind.FILE
    if stat.S_ISDIR(mode):
        return FileKind.FOLDER
    if stat.S_ISFIFO(mode):
        return FileKind.FIFO
    return FileKind.SOCKET if stat.S_ISSOCK(mode) else FileKind.DEVICE


def _in_words(kind: FileKind) -> str:
    if kind is FileKind.MISSING:
        return "does not exist"
    return f"is a {kind.value}"


def clone(source: int, destination: int) -> bool:
    """Let an empty file have the content of another by sharing its blocks; false if the file system cannot."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.ioctl(destination, _FICLONE, source)
            return os.fstat(destination).st_size == os.fstat(source).st_size
    return False


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder; where one cannot be read, whether they are written alike."""
    try:
        return one == other or one.samefile(other)
    except (OSError, ValueError):
        return False
