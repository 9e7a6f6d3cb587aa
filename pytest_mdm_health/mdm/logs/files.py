"""The files of a log: the one that is written now and those that were rotated away, compressed or not, line by line.

Lines of any length and files of any size are read in bounded memory.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular
from pytest_mdm_health.mdm.logs.wrapped import encoding_of, unwrap

LINE_LIMIT = 256 * 1024
"""Bytes of one line that are kept; the rest is passed over."""

DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the readers of compressed files raise over damaged or encrypted ones."""

_BYTES_OF_MARK = 4
_PACKED = ("gz", "zip", "bz2", "xz")
_WHEN = r"\d{4}-\d{2}-\d{2}[\w.:-]*|\d{8}(?:-\d{1,10})?|\d{1,6}"


def log_files(log_file: Path) -> tuple[Path, ...]:
    """The files of a log that are there, whatever they are: rotated ones by name, the one in use last."""
    stem, suffix = re.escape(log_file.stem), re.escape(log_file.suffix)
    packed = rf"(?:\.(?:{'|'.join(_PACKED)}))"
    rotated = re.compile(
        rf"{stem}(?:{suffix}[.-](?:{_WHEN}){packed}?|[.-](?:{_WHEN}){suffix}{packed}?|{suffix}{packed}|{suffix}\.old)"
    )
    try:
        found = sorted(path for path in log_file.parent.iterdir() if rotated.fullmatch(path.name))
    except OSError:
        found = []
    return (*found, *([log_file] if kind_of(log_file) is not FileKind.MISSING else []))


def lines_of(file: Path, gap: Callable[[str], None]) -> Iterator[tuple[int, bytes]]:
    """The lines of one file, unpacked if need be, numbered from 1, each cut at `LINE_LIMIT`.

    What cannot be read ends the lines and is told to `gap`, as a sentence without a full stop.
    """
    number = 0
    try:
        with _unpacked(file) as stream:
            for number, line in enumerate(_lines(stream), start=1):
                yield number, unwrap(line)
    except Unreadable as error:
        gap(str(error))
    except DAMAGE as error:
        gap(f"{file} cannot be read behind line {number}: {getattr(error, 'strerror', None) or error}")


@contextlib.contextmanager
def _unpacked(file: Path) -> Iterator[IO[bytes]]:
    with open_regular(file) as packed:
        suffix = file.suffix.lower()
        if suffix == ".gz":
            with gzip.open(packed) as stream:
                yield cast("BinaryIO", stream)
        elif suffix == ".bz2":
            with bz2.open(packed) as stream:
                yield cast("BinaryIO", stream)
        elif suffix == ".xz":
            with lzma.open(packed) as stream:
                yield cast("BinaryIO", stream)
        elif suffix == ".zip":
            with zipfile.ZipFile(packed) as archive, archive.open(_only_member(archive)) as stream:
                yield stream
        else:
            yield packed


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise zipfile.BadZipFile(f"it has {len(members)} files instead of one log")
    return members[0]


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    encoding = encoding_of(stream.read(_BYTES_OF_MARK))
    stream.seek(0)
    if encoding != "utf-8-sig":
        yield from _recoded_lines(stream, encoding)
        return
    if stream.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        stream.seek(0)
    while line := stream.readline(LINE_LIMIT):
        while not line.endswith(b"\n") and not line.strip(b"\0") and len(line) == LINE_LIMIT:
            line = stream.readline(LINE_LIMIT)  # a crash of the machine leaves zeros in front of the next line
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(LINE_LIMIT)
        yield line.strip(b"\0\r\n")


def _recoded_lines(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    text = io.TextIOWrapper(cast("BinaryIO", stream), encoding, "replace", newline="\n")
    while line := text.readline(LINE_LIMIT):
        yield line.strip("\0\r\n").encode("utf-8", "surrogatepass")
    text.detach()
