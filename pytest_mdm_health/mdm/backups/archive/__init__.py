"""Archives, read from the first byte to the last: what is in them, and whether all of it would come out again."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups.archive.members import Ledger, Limits, Member, Problem, ProblemCode, Stopped
from pytest_mdm_health.mdm.backups.archive.restoring import Take
from pytest_mdm_health.mdm.backups.archive.streams import NoProgram, uncompressed
from pytest_mdm_health.mdm.backups.archive.tar_archive import Truncated, read_tar
from pytest_mdm_health.mdm.backups.archive.zip_archive import read_zip
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular

Form = Literal["tar", "tar.gz", "zip", "tar.bz2", "tar.xz", "tar.zst"]
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
_CLOSED: tuple[tuple[bytes, ProblemCode, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", "unknown-form", "a 7z archive"),
    (b"Rar!\x1a\x07", "unknown-form", "a RAR archive"),
    (b"LZIP", "unknown-form", "a file that lzip compressed"),
    (b"\x04\x22\x4d\x18", "unknown-form", "a file that lz4 compressed"),
    (b"\x89LZO\x00\r\n\x1a\n", "unknown-form", "a file that lzop compressed"),
    (b"\x1f\x9d", "unknown-form", "a file that compress made"),
    (b"hsqs", "unknown-form", "a SquashFS image"),
    (b"0707", "unknown-form", "a cpio archive"),
    (b"Salted__", "encrypted", "encrypted with OpenSSL"),
    (b"age-encryption.org/", "encrypted", "encrypted with age"),
    (b"-----BEGIN AGE ENCRYPTED FILE", "encrypted", "encrypted with age"),
    (b"-----BEGIN PGP MESSAGE", "encrypted", "encrypted with OpenPGP"),
)
"""What is recognised and cannot be looked into, by its first bytes."""

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
    lzma.LZMAError,
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
    if form is None and (closed := _closed(head)) is not None:
        return Reading(form=None, members={}, problems=(closed,))
    file.seek(0)
    ledger = Ledger(size, until, limits)
    end: ProblemCode | None = None
    try:
        _read_form(file, form, head, ledger, take)
    except NoProgram as missing:
        return _reading(form, ledger, (str(missing),))
    except Stopped as stopped:
        ledger.problems += [stopped.problem] if stopped.problem else []
        return _reading(form, ledger, (f"was read as far as byte {file.tell()} of {size}: {stopped}",))
    except (EOFError, Truncated) as error:
        end = "truncated"
        ledger.note(end, f"is cut off: it {error}" if isinstance(error, Truncated) else "is cut off")
    except _Broken as error:
        if not _is_surplus(error, ledger):
            end = _code_of(error, size)
            ledger.note(end, _words_of(error, end))
    return _reading(form, ledger, (), listed=end is None, complete=end is None and not ledger.closed)


def closed_form(code: ProblemCode, what: str) -> Problem:
    """The problem that something is encrypted or of a form that is not read here."""
    more = "cannot be read" if code == "encrypted" else "is not read"
    return Problem(code=code, message=f"is {what}: what is in it {more} here")


def _closed(head: bytes) -> Problem | None:
    return next((closed_form(code, what) for magic, code, what in _CLOSED if head.startswith(magic)), None)


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


def _read_form(file: BinaryIO, form: Form | None, head: bytes, ledger: Ledger, take: Take | None) -> None:
    if form == "zip":
        read_zip(file, ledger, take)
    elif form == "tar" or (form is None and _is_old_tar(head)):
        read_tar(file, ledger, take)
    elif form is not None:
        with uncompressed(file, form) as stream:
            read_tar(stream, ledger, take)
    else:
        raise _NoArchive


class _NoArchive(ValueError):
    """It begins like no archive."""


def _is_old_tar(head: bytes) -> bool:
    with contextlib.suppress(tarfile.TarError, ValueError):
        return bool(tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").name)
    return False


def _is_surplus(error: BaseException, ledger: Ledger) -> bool:
    """Whether it is only that something follows the end of a compressed archive, which does no harm."""
    return ledger.ended and isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error)


def _code_of(error: BaseException, size: int) -> ProblemCode:
    text = str(error)
    if isinstance(error, _NoArchive):
        return "unknown-format" if size else "truncated"
    if any(
        words in text
        for words in ("unexpected end", "empty file", "end-of-stream", "truncated header", "its end is missing")
    ):
        return "truncated"
    return "damaged"


def _words_of(error: BaseException, code: ProblemCode) -> str:
    if isinstance(error, _NoArchive):
        return "is no archive that is known here" if code == "unknown-format" else "is empty: it has 0 bytes"
    if code == "truncated":
        return "is cut off: its end is missing"
    detail = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    return f"is damaged: {shortened(detail)}"
