"""Archives, read from the first byte to the last: what is in them, and whether all of it would come out again."""

from __future__ import annotations

import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups.archive.members import (
    Entry,
    Form,
    Ledger,
    Limits,
    Problem,
    ProblemCode,
    Reading,
    Stopped,
)
from pytest_mdm_health.mdm.backups.archive.restoring import Take
from pytest_mdm_health.mdm.backups.archive.streams import NoProgram, uncompressed
from pytest_mdm_health.mdm.backups.archive.tar_archive import Truncated, tar_entries
from pytest_mdm_health.mdm.backups.archive.zip_archive import zip_entries
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular

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
_TRUNCATED = ("unexpected end", "empty file", "end-of-stream", "truncated header", "its end is missing")
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


_BEING_WRITTEN = Reading(form=None, members={}, gaps=("is being written to",))


def form_by_name(name: str) -> Form | None:
    """What an archive is called."""
    return next((form for ending, form in _ENDINGS.items() if name.lower().endswith(ending)), None)


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its name or by its first bytes, whatever state it is in. Never raises."""
    if form_by_name(path.name) is not None:
        return True
    try:
        with open_regular(path) as file:
            return _form_of(file.read(_HEAD)) is not None
    except (Unreadable, OSError):
        return False


def read_archive(path: Path, until: float, take: Take | None = None, limits: Limits | None = None) -> Reading:
    """Read an archive to its end, or until the time is up. Never raises, writes nothing beside it.

    Args:
        path: the archive; a link is followed, a FIFO never waited for.
        until: when to stop, by the clock of the session, which stands still while bytes of it come.
        take: says which members are restored on the way.
        limits: where to stop, if not at the usual ones.
    """
    try:
        with open_regular(path) as file:
            before = _state(file)
            reading = _read(path, file, until, take, limits or Limits())
            return reading if _state(file) == before else _BEING_WRITTEN
    except Unreadable as error:
        if error.kind is FileKind.FILE:
            return Reading(form=None, members={}, gaps=(error.reason,))
        problem = Problem(code="unknown-format", message=error.reason)
        return Reading(form=None, members={}, problems=(problem,))


def _read(path: Path, file: BinaryIO, until: float, take: Take | None, limits: Limits) -> Reading:
    head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
    form = _form_of(head)
    if form is None and (closed := _closed(head)) is not None:
        return Reading(form=None, members={}, problems=(closed,))
    file.seek(0)
    ledger = Ledger(size, until, limits, str(path))
    ledger.position = file.tell
    try:
        with _entries(file, form, head, ledger) as entries:
            _read_entries(entries, ledger, take)
    except NoProgram as missing:
        return ledger.reading(form, str(missing))
    except Stopped as stopped:
        ledger.problems += [stopped.problem] if stopped.problem else []
        return ledger.reading(form, f"was not read to its end: {stopped}{ledger.far}")
    except (EOFError, Truncated, *_Broken) as error:
        if not _is_surplus(error, ledger):
            ledger.note(*_problem_of(error, size))
            return ledger.reading(form)
    return ledger.reading(form, listed=True, complete=not ledger.closed)


def _form_of(head: bytes) -> Form | None:
    return next((form for at, magic, form in _MAGIC if head[at : at + len(magic)] == magic), None)


def closed_form(code: ProblemCode, what: str) -> Problem:
    """The problem that something is encrypted or of a form that is not read here."""
    more = "cannot be read" if code == "encrypted" else "is not read"
    return Problem(code=code, message=f"is {what}: what is in it {more} here")


def _closed(head: bytes) -> Problem | None:
    return next((closed_form(code, what) for magic, code, what in _CLOSED if head.startswith(magic)), None)


def _state(file: BinaryIO) -> tuple[int, int]:
    info = os.fstat(file.fileno())
    return (info.st_size, info.st_mtime_ns)


def _read_entries(entries: Iterator[Entry], ledger: Ledger, take: Take | None) -> None:
    """Read the content of every member to its end; what is chosen is restored on the way."""
    for entry, content in entries:
        member = ledger.add(entry)
        receiving = take(member) if take is not None and member is not None and content is not None else None
        with receiving or nullcontext(_ignore) as receive:
            for chunk in content or ():
                ledger.spend(len(chunk))
                receive(chunk)


def _ignore(_: bytes) -> None:
    """Receive content that was not chosen, and drop it."""


@contextmanager
def _entries(file: BinaryIO, form: Form | None, head: bytes, ledger: Ledger) -> Iterator[Iterator[Entry]]:
    if form == "zip":
        yield zip_entries(file, ledger)
    elif form == "tar" or (form is None and _is_old_tar(head)):
        yield tar_entries(file, ledger)
    elif form is not None:
        with uncompressed(file, form) as stream:
            yield tar_entries(stream, ledger)
    else:
        raise _NoArchive


class _NoArchive(ValueError):
    """It begins like no archive."""


def _is_old_tar(head: bytes) -> bool:
    with suppress(tarfile.TarError, ValueError):
        return bool(tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape").name)
    return False


def _is_surplus(error: BaseException, ledger: Ledger) -> bool:
    """Whether it is only that something follows the end of a compressed archive, which does no harm."""
    return ledger.ended and isinstance(error, gzip.BadGzipFile) and "Not a gzipped file" in str(error)


def _problem_of(error: BaseException, size: int) -> tuple[ProblemCode, str]:
    """What an error says of an archive, to follow its name in a sentence."""
    text = str(error)
    if not size:
        return "truncated", "is empty: it has 0 bytes"
    if isinstance(error, _NoArchive):
        return "unknown-format", "is no archive that is known here"
    if isinstance(error, Truncated):
        return "truncated", f"is truncated: it {text}"
    if isinstance(error, EOFError) or any(words in text for words in _TRUNCATED):
        return "truncated", "is truncated: its end is missing"
    detail = getattr(error, "strerror", None) or text.partition("\n")[0] or type(error).__name__
    return "damaged", f"is damaged: {shortened(detail)}"
