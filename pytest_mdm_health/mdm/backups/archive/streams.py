"""Compressed archives, uncompressed as they are read: gzip, bzip2 and xz by Python itself, Zstandard by its program."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from typing_extensions import Buffer

ZSTD = "zstd"
"""The program that uncompresses Zstandard, which Python itself learned only with 3.14."""

_OPEN: dict[str, Callable[[BinaryIO], gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
    "tar.gz": lambda file: gzip.GzipFile(fileobj=file),
    "tar.bz2": bz2.BZ2File,
    "tar.xz": lzma.LZMAFile,
}
_END_MISSING = ("premature", "incomplete", "truncated", "unexpected end")
_MESSAGE_LIMIT = 2000


class NoProgram(Exception):
    """What uncompresses this form is not installed; the text says so, to follow the archive's name in a sentence."""


@contextmanager
def uncompressed(file: BinaryIO, form: str) -> Iterator[BinaryIO]:
    """What is in a compressed file, to be read from its beginning to its end.

    Raises:
        NoProgram: this form cannot be read here.
    """
    file.seek(0)
    if form == "tar.zst":
        with _unzstd(file) as stream:
            yield stream
        return
    with _OPEN[form](file) as opened:
        yield cast("BinaryIO", opened)


@contextmanager
def _unzstd(file: BinaryIO) -> Iterator[BinaryIO]:
    program = shutil.which(ZSTD)
    if program is None:
        raise NoProgram(f"is a tar.zst archive, which cannot be read here: there is no {ZSTD} on the PATH")
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # the program reads from where the descriptor stands
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [program, "-d", "-c", "-q"], stdin=file, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        except OSError as error:
            raise NoProgram(f"is a tar.zst archive, and {program} cannot be started: {error.strerror}") from error
        assert process.stdout is not None
        try:
            yield cast("BinaryIO", io.BufferedReader(_Output(process, cast("BinaryIO", errors))))
        finally:
            process.stdout.close()
            process.kill()
            process.wait()


class _Output(io.RawIOBase):
    """What a program writes; an end that it does not call a good one is an error instead of an end."""

    def __init__(self, process: subprocess.Popen[bytes], errors: BinaryIO) -> None:
        self._process, self._errors = process, errors

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Read on."""
        assert self._process.stdout is not None
        view = memoryview(buffer)
        chunk = self._process.stdout.read1(len(view))  # type: ignore[attr-defined] # a buffered pipe
        view[: len(chunk)] = chunk
        if not chunk and self._process.wait() != 0:
            self._errors.seek(0)
            text = self._errors.read(_MESSAGE_LIMIT).decode("utf-8", "replace").strip()
            if any(word in text.lower() for word in _END_MISSING):
                raise EOFError(text)
            raise OSError(text.rpartition(": ")[2] or "it cannot be uncompressed")
        return len(chunk)
