"""Records of the log with a known error, such as "database is locked", and which datasets they name.

The log is searched for the bytes of the message first: most files of a log do not contain it, and parsing records takes
much longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pytest_mdm_health.core.model import Location
from pytest_mdm_health.core.session import kept_for_session
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS, KnownError
from pytest_mdm_health.mdm.logs import read_file
from pytest_mdm_health.mdm.logs.files import lines_of, log_files

RECENT = timedelta(days=7)
"""How long before the end of the log an error is still reported."""

SEARCH_LIMIT = 256 * 1024 * 1024
"""How many bytes of the log are searched; the newest files come first."""

_HARMLESS = ("TRACE", "DEBUG", "INFO", "SUCCESS")
_DATASET_NAMES = re.compile(r"['\"`]([^'\"`\s/]+)['\"`]|([^'\"`\s/]+)\.(?:sqlite3?|db)\b|/datasets/([^'\"`\s/]+)")


@dataclass(frozen=True)
class LoggedError:
    """One record with a known error.

    Attributes:
        time: when it was written; None if the record does not say.
        place: its first line.
        names: words in it that may be names of datasets.
    """

    time: datetime | None
    place: Location
    names: tuple[str, ...]

    @property
    def timestamp(self) -> float:
        """Seconds since the epoch; 0 if the time is unknown."""
        return self.time.timestamp() if self.time else 0.0


def recent_errors(
    log_file: Path, finding: str, dataset: str, datasets: Iterable[str], gaps: list[str]
) -> list[LoggedError]:
    """The records from the last week of the log that name this dataset, or none at all.

    Args:
        log_file: the log that is being written.
        finding: the finding of `logged-errors` whose message is searched for.
        dataset: the dataset.
        datasets: the names of all datasets: a record that names another one is left out.
        gaps: receives what could not be read.
    """
    modified_ns, size = _state(log_file)
    errors, unread = _search(log_file, finding, modified_ns, size)
    gaps += unread
    others = set(datasets)
    about_dataset = [error for error in errors if dataset in error.names or others.isdisjoint(error.names)]
    log_end = datetime.fromtimestamp(modified_ns / 1e9, timezone.utc)
    return [error for error in about_dataset if error.time is None or log_end - error.time < RECENT]


@kept_for_session(2)
def _search(
    log_file: Path, finding: str, _modified_ns: int, _size: int
) -> tuple[tuple[LoggedError, ...], tuple[str, ...]]:
    """All records with the error, and what could not be read: searched once for all datasets."""
    error = next(known for known in KNOWN_ERRORS if known.finding == finding)
    in_bytes = re.compile(error.pattern.encode(), re.IGNORECASE)
    found: list[LoggedError] = []
    gaps: list[str] = []
    remaining = SEARCH_LIMIT
    for file in reversed(log_files(log_file)):
        remaining -= _state(file)[1]
        if remaining < 0:
            gaps.append(f"the log before {file.name} was not searched for errors")
            break
        if any(in_bytes.search(line) for _, line in lines_of(file, gaps.append)):
            found += _errors_in(file, error)
    return tuple(found), tuple(gaps)


def _errors_in(file: Path, error: KnownError) -> Iterator[LoggedError]:
    for record in read_file(file, without=_HARMLESS):
        text = f"{record.message}\n{record.exception or ''}"
        if error.is_in(text):
            yield LoggedError(record.time, Location(str(file), record.line), _dataset_names(text))


def _dataset_names(text: str) -> tuple[str, ...]:
    names = (name for match in _DATASET_NAMES.finditer(text) for name in match.groups() if name)
    return tuple(dict.fromkeys(names))


def _state(path: Path) -> tuple[int, int]:
    """When a file was last modified, in nanoseconds, and its size; zeros if it is missing."""
    try:
        info = path.stat()
    except OSError:
        return 0, 0
    return info.st_mtime_ns, info.st_size
