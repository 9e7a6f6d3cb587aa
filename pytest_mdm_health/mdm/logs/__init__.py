"""MDM's logs, record by record, in whichever of its formats a line is written.

Before the refactoring a line is one JSON document; after it, two text formats stand mixed in one file. What belongs to
no record by itself (a traceback, the SQL of a failed statement) belongs to the one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.logs.files import lines_of, log_files
from pytest_mdm_health.mdm.logs.wrapped import looks_like_a_record

TEXT_LIMIT = 32 * 1024
"""Characters of a message or a traceback that are kept, besides its last line."""

TRACEBACK = "Traceback (most recent call last):"
_LINES_TO_FIND_A_TIME = 200
_TIME_LENGTH = len("2026-11-22 08:17:57")

_TEXT = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,6}))?"
    r"(?: - (?P<logger>[^ ]+) - (?P<level>[A-Z]+) - "
    r"| \| (?P<level2>[A-Z]+) *\| (?P<logger2>[^\s:]*):(?P<function>[^\s:]*):(?P<at>\d*) (?:-|\|) )"
    r"(?P<message>.*)",
    re.DOTALL,
)
_JSON_TEXT = re.compile(r'\{"text": "(?P<text>(?:[^"\\]|\\.)*)', re.DOTALL)


class LogRecord(NamedTuple):
    """One record of the log.

    Attributes:
        time: when, with a time zone; None where the line does not tell. Text formats mean the local time of the machine
            that wrote them, which is taken to be this one's.
        level: as MDM writes it; empty where the line does not tell.
        logger: such as `mdm.dataset.registrar`; empty where the line does not tell.
        message: with further lines that belong to it.
        exception: the text of the traceback or, where only that is known, type and message.
        file: where it was found.
        line: the number of its first line, from 1.
        function: the function that wrote it, where the line tells.
    """

    time: datetime | None
    level: str
    logger: str
    message: str
    exception: str | None
    file: Path
    line: int
    function: str | None = None


def _ignore(_reason: str) -> None:
    pass


def read_log(
    log_file: Path,
    gap: Callable[[str], None] = _ignore,
    *,
    without: Iterable[str] = (),
    not_understood: Callable[[str], None] = _ignore,
) -> Iterator[LogRecord]:
    """All records of a log, those of rotated files first, oldest first. Never raises.

    Args:
        log_file: the file that is written now.
        gap: is told what could not be read, as a sentence without a full stop.
        without: levels whose records may be left out where that saves time.
        not_understood: receives each file that has records in another form, likewise.
    """
    files = log_files(log_file)
    for file in files if len(files) < 2 else sorted(files, key=_began):  # noqa: PLR2004 - one needs no order
        yield from read_file(file, gap, without=without, not_understood=not_understood)


def read_file(
    file: Path,
    gap: Callable[[str], None] = _ignore,
    *,
    without: Iterable[str] = (),
    not_understood: Callable[[str], None] = _ignore,
) -> Iterator[LogRecord]:
    """The records of one file of a log, in their order; see `read_log`. Never raises."""
    pending: _Pending | None = None
    records, other_lines, foreign_records = 0, 0, 0
    for line, record in _begun(file, gap, tuple(f" | {level} ".encode() for level in without)):
        if record is None:
            assert pending is not None
            pending.add(line)
            other_lines += bool(line.strip())
            foreign_records += looks_like_a_record(line)
        else:
            if pending and pending.wanted:
                yield pending.complete()
            pending = _Pending(record)
            of_mdm = record is _UNWANTED or bool(record.level)
            records += of_mdm
            other_lines += not of_mdm
            foreign_records += not of_mdm and looks_like_a_record(line)
    if pending and pending.wanted:
        yield pending.complete()
    foreign = foreign_records if records else other_lines
    if foreign:
        not_understood(f"{file} has {counted(foreign, 'line')} in a form that MDM does not write")


_UNWANTED = LogRecord(None, "", "", "", None, Path(), 0)


def _begun(
    file: Path, gap: Callable[[str], None], unwanted: tuple[bytes, ...]
) -> Iterator[tuple[str, LogRecord | None]]:
    """Each line with the record that begins there; with None where it continues the one before."""
    first = True
    for number, raw in lines_of(file, gap):
        record: LogRecord | None = _UNWANTED
        line = ""
        if not (unwanted and raw.startswith(unwanted, _TIME_LENGTH)):
            line = raw.decode("utf-8", "replace")
            record = _parse(line, file, number)
            if record is None and first:
                if not line.strip():
                    continue
                record = LogRecord(None, "", "", line, None, file, number)
        first = False
        yield line, record


class _Pending:
    """A record whose further lines may still come."""

    def __init__(self, record: LogRecord) -> None:
        self._record = record
        self._more: list[str] = []
        self._length = 0
        self._last = ""

    @property
    def wanted(self) -> bool:
        return self._record is not _UNWANTED

    def add(self, line: str) -> None:
        self._length += len(line)
        if self._length <= TEXT_LIMIT:
            self._more.append(line)
        elif line.strip():
            self._last = line

    def complete(self) -> LogRecord:
        if not self._more and not self._last:
            return self._record
        lines = [*self._more, "…", self._last[:TEXT_LIMIT]] if self._last else self._more
        start = next((number for number, line in enumerate(lines) if line.startswith(TRACEBACK)), len(lines))
        message = "\n".join((self._record.message, *lines[:start])).rstrip()
        exception = "\n".join(lines[start:]).rstrip() or self._record.exception
        return self._record._replace(message=message, exception=exception)


def _began(file: Path) -> tuple[float, str]:
    """When a file of a log begins, by its first record that has a time, else by its own time."""
    for record, _ in zip(read_file(file), range(_LINES_TO_FIND_A_TIME), strict=False):
        if record.time:
            return record.time.timestamp(), file.name
    try:
        return file.stat().st_mtime, file.name
    except OSError:
        return 0.0, file.name


def _parse(line: str, file: Path, number: int) -> LogRecord | None:
    """The record that begins with this line; None if none does."""
    if line.startswith('{"text":') or (line.startswith("{") and '"record"' in line):
        return _parse_json(line, file, number) or _parse_damaged_json(line, file, number)
    match = _TEXT.match(line)
    return _from_text(match, file, number) if match else None


def _from_text(match: re.Match[str], file: Path, number: int) -> LogRecord:
    time, fraction, logger, level, level2, logger2, function, _, message = match.groups()
    moment = _local(time)
    if moment and fraction:
        moment += timedelta(microseconds=int(fraction.ljust(6, "0")))
    return LogRecord(moment, level or level2, logger or logger2, message, None, file, number, function)


@lru_cache(maxsize=64)
def _local(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):  # no such day, or no such hour in this time zone
        return None


def _parse_json(line: str, file: Path, number: int) -> LogRecord | None:
    try:
        document = json.loads(line)
        record: dict[str, Any] = document["record"]
        return LogRecord(
            datetime.fromtimestamp(record["time"]["timestamp"], tz=timezone.utc),
            record["level"]["name"],
            record["name"] or "",
            str(record["message"]),
            _exception(record.get("exception"), str(document.get("text", ""))),
            file,
            number,
            record.get("function"),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
        return None


def _exception(described: dict[str, Any] | None, text: str) -> str | None:
    if not described:
        return None
    _, found, rest = text.partition(TRACEBACK)
    return (found + rest).rstrip() if found else f"{described.get('type')}: {described.get('value')}"


def _parse_damaged_json(line: str, file: Path, number: int) -> LogRecord:
    """A document that was cut off begins with the record as text, which is what matters of it."""
    cut = _JSON_TEXT.match(line)
    text = cut["text"].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\") if cut else ""
    match = _TEXT.match(text)
    if match is None:
        return LogRecord(None, "", "", line[:TEXT_LIMIT], None, file, number)
    record = _from_text(match, file, number)
    return record._replace(message=record.message.rstrip())
