"""Archives, read from the first byte to the last: what is in them, and whether all of it would come out again."""

from __future__ import annotations

import contextlib
import gzip
import os
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

from pytest_mdm_health.mdm.archive_members import Ledger, Limits, Member, Problem, ProblemCode, Stopped, shown
from pytest_mdm_health.mdm.archive_tar import Truncated, read_tar
from pytest_mdm_health.mdm.archive_zip import read_zip
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular
from pytest_mdm_health.mdm.restoring import Take

Form = Literal["tar", "tar.gz", "zip", "tar.bz2", "tar.xz", "tar.zst"]
NOT_READ: tuple[Form, ...] = ("tar.bz2", "tar.xz", "tar.zst")
"""Forms that are recognised and not looked into: MDM and the guide make none of them."""

_HEAD = 512
_MAGIC: tuple[tuple[int, bytes, Form], ...] = (
    (0, b"\x1f\x8b", "tar.gz"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
    (0, b"BZh", "tar.bz2"),
    (0, b"\xfd7zXZ\x00", "tar.xz"),
    (0, b"\x28\xb5\x2f\xfd", "tar.zst"),
    (257, b"ustar", "tar"),
)
_ENDINGS: dict[str, Form] = {
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar": "tar",
    ".zip": "zip",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
    ".tar.zst": "tar.zst",
}
ENDINGS = tuple(_ENDINGS)
_Broken = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    ValueError,
    OverflowError,
    RecursionError,
    LookupError,
    RuntimeError,
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What reading an archive brought.

    Attributes:
        form: what it is by its first bytes; None if it is no archive.
        members: by their names.
        unpacked: bytes that came out.
        problems: what is wrong with it.
        listed: whether all members are known.
        complete: whether every byte of it was read, and so its check sums hold.
        gaps: what could not be read, each with its reason, to follow the archive's name in a sentence.
    """

    form: Form | None
    members: dict[str, Member]
    unpacked: int = 0
    problems: tuple[Problem, ...] = ()
    listed: bool = False
    complete: bool = False
    gaps: tuple[str, ...] = ()


_BEING_WRITTEN = Reading(form=None, members={}, gaps=("is being written to",))


def form_by_name(name: str) -> Form | None:
    """What an archive is called."""
    return next((form for ending, form in _ENDINGS.items() if name.lower().endswith(ending)), None)


def read_archive(path: Path, until: float, take: Take | None = None, limits: Limits | None = None) -> Reading:
    """Read an archive to its end, or until the time is up. Never raises, writes nothing beside it.

    Args:
        path: the archive; a link is followed, a FIFO never waited for.
        until: when to stop, by the monotonic clock.
        take: says which members are restored on the way.
        limits: where to stop, if not at the usual ones.
    """
    try:
        with open_regular(path) as file:
            before = _state(file)
            reading = _read(file, until, take, limits or Limits())
            return reading if _state(file) == before else _BEING_WRITTEN
    except Unreadable as error:
        if error.kind is FileKind.FILE:
            return Reading(form=None, members={}, gaps=(error.reason,))
        problem = Problem(code="unknown-format", message=error.reason)
        return Reading(form=None, members={}, problems=(problem,))


def _read(file: BinaryIO, until: float, take: Take | None, limits: Limits) -> Reading:
    head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
    form = next((form for at, magic, form in _MAGIC if head[at : at + len(magic)] == magic), None)
    if form in NOT_READ:
        return Reading(form=form, members={}, gaps=(f"is a {form} archive, which is not looked into",))
    file.seek(0)
    ledger = Ledger(size, until, limits)
    gaps: tuple[str, ...] = ()
    end: ProblemCode | None = None
    try:
        gaps = _read_form(file, form, head, ledger, take)
    except Stopped as stopped:
        ledger.problems += [stopped.problem] if stopped.problem else []
        return _reading(form, ledger, (f"was read as far as byte {file.tell()} of {size}: {stopped}",))
    except (EOFError, Truncated) as error:
        end = "truncated"
        ledger.note(end, f"is cut off: it {error}" if isinstance(error, Truncated) else "is cut off")
    except _Broken as error:
        end = _code_of(error, size, ledger.ended)
        ledger.note(end, _words_of(error, end))
    return _reading(form, ledger, gaps, listed=end in {None, "surplus"}, complete=end in {None, "surplus"} and not gaps)


def _state(file: BinaryIO) -> tuple[int, int]:
    info = os.fstat(file.fileno())
    return (info.st_size, info.st_mtime_ns)


def _reading(
    form: Form | None, ledger: Ledger, gaps: tuple[str, ...], *, listed: bool = False, complete: bool = False
) -> Reading:
    return Reading(
        form=form,
        members=ledger.members,
        unpacked=ledger.unpacked,
        problems=ledger.conclusions(),
        listed=listed,
        complete=complete,
        gaps=gaps,
    )


def _read_form(file: BinaryIO, form: Form | None, head: bytes, ledger: Ledger, take: Take | None) -> tuple[str, ...]:
    if form == "zip":
        return read_zip(file, ledger, take)
    if form == "tar.gz":
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            read_tar(cast("BinaryIO", unpacked), ledger, take)
    elif form == "tar" or _is_old_tar(head):
        read_tar(file, ledger, take)
    else:
        raise _NoArchive
    return ()


class _NoArchive(ValueError):
    """It begins like no archive."""


def _is_old_tar(head: bytes) -> bool:
    with contextlib.suppress(tarfile.TarError, ValueError):
        return bool(tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").name)
    return False


def _code_of(error: BaseException, size: int, ended: bool) -> ProblemCode:
    text = str(error)
    if isinstance(error, _NoArchive):
        return "unknown-format" if size else "truncated"
    if any(words in text for words in ("unexpected end", "empty file", "truncated header", "its end is missing")):
        return "truncated"
    behind = ended and isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in text
    return "surplus" if behind else "damaged"


def _words_of(error: BaseException, code: ProblemCode) -> str:
    if isinstance(error, _NoArchive):
        return "is no archive that is known here" if code == "unknown-format" else "is empty: it has 0 bytes"
    if code == "surplus":
        return "goes on after its end with what is no part of it"
    if code == "truncated":
        return "is cut off: its end is missing"
    detail = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    return f"is damaged: {shown(detail)}"
