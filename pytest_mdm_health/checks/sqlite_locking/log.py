"""What the log tells about one dataset's locks."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

from pytest_mdm_health.checks.sqlite_locking.facts import LockErrors
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.mdm.logs import read_file
from pytest_mdm_health.mdm.logs.files import lines_of, log_files

RECENT = timedelta(days=7)
"""How long before the end of the log an error is worth a word."""

SEARCHED = 256 * 1024 * 1024
"""Bytes of log that are searched at most, the newest."""

_LOCKED = next(error for error in KNOWN_ERRORS if error.finding == "database-locked")
_LOCKED_BYTES = re.compile(_LOCKED.pattern.encode(), re.IGNORECASE)
_UNIMPORTANT = ("TRACE", "DEBUG", "INFO", "SUCCESS")
_NAMES = re.compile(r"['\"`]([^'\"`\s/]+)['\"`]|([^'\"`\s/]+)\.(?:sqlite3?|db)\b|/datasets/([^'\"`\s/]+)")


@dataclass(frozen=True)
class _Error:
    """One record: when, where, and what could be the names of datasets in it."""

    time: datetime | None
    file: str
    line: int
    names: frozenset[str]


def lock_errors(log_file: Path, name: str, others: AbstractSet[str], written: float, gaps: list[str]) -> LockErrors:
    """The recent lock errors that are about this dataset, or about none in particular.

    Args:
        log_file: the log that is written now.
        name: the dataset.
        others: the names of all datasets.
        written: when the dataset's file was last written, in seconds since the epoch.
        gaps: takes what could not be read.
    """
    errors, ended, missed = _errors(log_file, _stamp(log_file))
    gaps += missed
    ours = [each for each in errors if name in each.names or each.names.isdisjoint(others)]
    recent = [each for each in ours if each.time is None or ended - each.time < RECENT]
    if not recent:
        return LockErrors()
    last = max(recent, key=lambda each: each.time.timestamp() if each.time else 0.0)
    return LockErrors(
        count=len(recent),
        last=last.time.astimezone(timezone.utc).isoformat(timespec="seconds") if last.time else "",
        later_written=last.time is not None and last.time.timestamp() < written,
        log=last.file,
        line=last.line,
    )


@lru_cache(maxsize=2)
def _errors(log_file: Path, stamp: tuple[int, int]) -> tuple[tuple[_Error, ...], datetime, tuple[str, ...]]:
    """All lock errors of a log, when the log ends, and what could not be read; the same for all datasets."""
    found: list[_Error] = []
    gaps: list[str] = []
    left = SEARCHED
    for file in reversed(log_files(log_file)):
        left -= _size(file)
        if left < 0:
            gaps.append(f"the log before {file.name} was not searched for lock errors")
            break
        if any(_LOCKED_BYTES.search(line) for _, line in lines_of(file, gaps.append)):
            found += _errors_in(file)
    ended = datetime.fromtimestamp(stamp[0] / 1e9, timezone.utc)
    return tuple(found), ended, tuple(gaps)


def _errors_in(file: Path) -> list[_Error]:
    texts = (
        (record, f"{record.message}\n{record.exception or ''}") for record in read_file(file, without=_UNIMPORTANT)
    )
    return [
        _Error(record.time, str(file), record.line, frozenset(_names(text)))
        for record, text in texts
        if _LOCKED.is_in(text)
    ]


def _names(text: str) -> set[str]:
    return {name for match in _NAMES.finditer(text) for name in match.groups() if name}


def _stamp(path: Path) -> tuple[int, int]:
    try:
        info = path.stat()
    except OSError:
        return (0, 0)
    return (info.st_mtime_ns, info.st_size)


def _size(path: Path) -> int:
    return _stamp(path)[1]
