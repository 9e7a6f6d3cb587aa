"""What the columns of a source file look like before anything made numbers of them.

Only text tells: a CSV file, compressed or not. Parquet and Excel have types of their own.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import os
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.integrity.profiles.column_sql import DIGITS_KEPT
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular
from pytest_mdm_health.mdm.registrations.sources import suffix_of

HEAD = 64 * 1024
"""Characters of a source that are looked at, unless it is to be all."""

_TELLING = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_DELIMITERS = ",;\t|"
_REMEMBERED, _LONGEST = 100_000, 100
_ROWS_BETWEEN_LOOKS = 1000
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_Damaged = (OSError, EOFError, zlib.error, csv.Error)


@dataclass(frozen=True, kw_only=True)
class SourceColumn:
    """One column of a source.

    Attributes:
        values: how many rows have a value in it.
        numbers: how many of these are numbers.
        padded: how many are digits after a zero.
        long: how many have more digits than a floating point number keeps.
        narrowest: the fewest digits of a value that is nothing but digits; 0 if there is none.
        widest: the most.
        merged: whether two different texts are one number.
    """

    values: int = 0
    numbers: int = 0
    padded: int = 0
    long: int = 0
    narrowest: int = 0
    widest: int = 0
    merged: bool = False


@dataclass(frozen=True)
class SourceLook:
    """What was seen of a source.

    Attributes:
        columns: those of the wanted columns that it has.
        complete: whether it was read to its end.
    """

    columns: Mapping[str, SourceColumn]
    complete: bool


def look_at(file: Path, wanted: Collection[str], *, within_s: float | None = None) -> SourceLook:
    """What the wanted columns of a source hold.

    Args:
        file: a file that MDM loads.
        wanted: names of columns.
        within_s: read all of it, but for no longer than this; None reads the beginning.

    Raises:
        Unreadable: it cannot be read, does not tell, or has other columns.
    """
    if suffix_of(file) not in _TELLING:
        raise Unreadable(file, FileKind.FILE, "is no text, in which an identifier could be told from a number")
    try:
        with _opened(file) as (stream, raw):
            if within_s is not None:
                return _read(file, stream, wanted, clock() + within_s, raw)
            text, complete = _head(stream)
            return SourceLook(_read(file, io.StringIO(text), wanted).columns, complete)
    except _Damaged as error:
        raise Unreadable(file, FileKind.FILE, f"cannot be read: {error}") from error


@contextmanager
def _opened(file: Path) -> Iterator[tuple[TextIO, BinaryIO]]:
    """A source as text, and as a file."""
    with open_regular(file) as raw:
        plain = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if file.name.lower().endswith(".gz") else raw
        with io.TextIOWrapper(plain, encoding="utf-8-sig", errors="replace", newline="") as stream:
            yield stream, raw


def _head(stream: TextIO) -> tuple[str, bool]:
    """The first lines, and whether there are no more."""
    text = stream.read(HEAD)
    if len(text) < HEAD:
        return text, True
    return text[: text.rfind("\n") + 1], False


def _read(
    file: Path, stream: TextIO, wanted: Collection[str], deadline: float | None = None, raw: BinaryIO | None = None
) -> SourceLook:
    header = stream.readline()
    delimiter = max(_DELIMITERS, key=lambda each: len(set(wanted) & set(_names(header, each))))
    places = {name: place for place, name in enumerate(_names(header, delimiter)) if name in wanted}
    if not places or len(places) * 2 < len(wanted):
        raise Unreadable(file, FileKind.FILE, "has other columns than the table")
    counters = {name: _Counter() for name in places}
    rows = csv.reader(stream, delimiter=delimiter)
    size = 0 if raw is None else os.fstat(raw.fileno()).st_size
    while some := list(itertools.islice(rows, _ROWS_BETWEEN_LOOKS)):
        for name, place in places.items():
            add = counters[name].add
            for row in some:
                if place < len(row) and (text := row[place].strip()):
                    add(text)
        if raw is not None:
            progress(str(file), raw.tell(), size)
        if deadline is not None and clock() > deadline:
            return SourceLook(_counted(counters), complete=False)
    return SourceLook(_counted(counters), complete=True)


class _Counter:
    """What one column held so far."""

    def __init__(self) -> None:
        self._values = self._numbers = self._padded = self._long = self._narrowest = self._widest = 0
        self._merged = False
        self._texts: dict[int, str] = {}

    def add(self, text: str) -> None:
        self._values += 1
        if not (text.isascii() and text.isdigit()):
            self._numbers += _NUMBER.fullmatch(text) is not None
            return
        width = len(text)
        self._numbers += 1
        self._padded += width > 1 and text[0] == "0"
        self._long += width > DIGITS_KEPT
        self._narrowest, self._widest = min(self._narrowest or width, width), max(self._widest, width)
        if width <= _LONGEST and len(self._texts) < _REMEMBERED:
            self._merged |= self._texts.setdefault(int(text), text) != text

    def column(self) -> SourceColumn:
        return SourceColumn(
            values=self._values,
            numbers=self._numbers,
            padded=self._padded,
            long=self._long,
            narrowest=self._narrowest,
            widest=self._widest,
            merged=self._merged,
        )


def _counted(counters: Mapping[str, _Counter]) -> Mapping[str, SourceColumn]:
    return {name: counter.column() for name, counter in counters.items()}


def _names(header: str, delimiter: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
