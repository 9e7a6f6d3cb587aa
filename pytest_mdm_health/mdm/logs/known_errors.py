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
    log_file: Path,
    finding: str,
    dataset: str,
    datasets: Iterable[str],
    gaps: list[str],
    not_understood: list[str],
) -> list[LoggedError]:
    """The records from the last week of the log that name this dataset, or none at all.

    Args:
        log_file: the log that is being written.
        finding: the finding of `logged-errors` whose message is searched for.
        dataset: the dataset.
        datasets: the names of all datasets: a record that names another one is left out.
        gaps: receives what could not be read.
        not_understood: receives the files with the message that have lines which MDM does not write: it may be in one.
    """
    modified_ns, size = _state(log_file)
    found = _search(log_file, finding, modified_ns, size)
    errors = found.errors
    gaps += found.gaps
    not_understood += found.not_understood
    others = set(datasets)
    about_dataset = [error for error in errors if dataset in error.names or others.isdisjoint(error.names)]
    log_end = datetime.fromtimestamp(modified_ns / 1e9, timezone.utc)
    return [error for error in about_dataset if error.time is None or log_end - error.time < RECENT]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """All records with an error, what could not be read, and what was not understood."""

    errors: tuple[LoggedError, ...]
    gaps: tuple[str, ...]
    not_understood: tuple[str, ...]


@kept_for_session(2)
def _search(log_file: Path, finding: str, _modified_ns: int, _size: int) -> _Found:
    """Search the log once for all datasets."""
    error = next(known for known in KNOWN_ERRORS if known.finding == finding)
    in_bytes = re.compile(error.pattern.encode(), re.IGNORECASE)
    found: list[LoggedError] = []
    gaps: list[str] = []
    not_understood: list[str] = []
    remaining = SEARCH_LIMIT
    for file in reversed(log_files(log_file)):
        remaining -= _state(file)[1]
        if remaining < 0:
            gaps.append(f"the log before {file.name} was not searched for errors")
            break
        if any(in_bytes.search(line) for _, line in lines_of(file, gaps.append)):
            found += _errors_in(file, error, not_understood)
    return _Found(errors=tuple(found), gaps=tuple(gaps), not_understood=tuple(not_understood))


def _errors_in(file: Path, error: KnownError, not_understood: list[str]) -> Iterator[LoggedError]:
    for record in read_file(file, without=_HARMLESS, not_understood=not_understood.append):
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
