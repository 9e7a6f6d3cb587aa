"""The look at a file before an engine gets it: a FIFO would hang it, and an empty file it takes for a new database."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen, Why, why_refused
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular


def first_bytes(path: Path, count: int) -> tuple[bytes, int]:
    """The first bytes of a file, and its size.

    Raises:
        CannotOpen: nothing is there, it is no file, it cannot be read, or it is empty.
    """
    try:
        with open_regular(path) as file:
            head, size = file.read(count), os.fstat(file.fileno()).st_size
    except Unreadable as error:
        raise CannotOpen(_why(error), error.reason) from error
    except OSError as error:
        raise CannotOpen(why_refused(error.errno), f"cannot be read: {error.strerror}") from error
    if not head:
        raise CannotOpen("empty", "is empty: it has 0 bytes")
    return head, size


def begins_like(head: bytes, needed: int, fits: bool, engine: str) -> None:
    """Hold the first bytes to what an engine's files begin with.

    Raises:
        CannotOpen: they do not fit, or there are fewer than needed.
    """
    if not fits:
        raise CannotOpen("wrong-format", f"is no {engine} database: it does not begin like one")
    if len(head) < needed:
        raise CannotOpen("truncated", f"is cut off: it ends after {len(head)} bytes, within its header")


def _why(error: Unreadable) -> Why:
    if error.kind in {FileKind.MISSING, FileKind.BROKEN_LINK}:
        return "missing"
    return why_refused(error.errno) if error.kind in {FileKind.FILE, FileKind.UNREACHABLE} else "not-a-file"
