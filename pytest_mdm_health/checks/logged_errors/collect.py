"""Reads the log and all its rotated files record by record, and groups the errors in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pytest_mdm_health.checks.logged_errors.facts import ErrorGroup, LogFacts
from pytest_mdm_health.core.model import Location
from pytest_mdm_health.core.secrets import redact, without_values
from pytest_mdm_health.knowledge.messages import known_error
from pytest_mdm_health.mdm.host.rights import missing_right
from pytest_mdm_health.mdm.logs import LogRecord, read_log
from pytest_mdm_health.mdm.logs.files import log_files

MAX_GROUPS = 100
EXAMPLE_LENGTH = 400
DATASETS_NAMED = 10
DATASETS_FOLLOWED = 5000

_SEARCHED_LENGTH = 8 * 1024
"""How much of a message, and of the end of its traceback, is searched for known errors."""

_LEVELS = ("", "TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
_IGNORED_LEVELS = ("TRACE", "DEBUG")
_ERROR_LEVELS = {"ERROR", "CRITICAL"}
_SEARCHED_LEVELS = {*_ERROR_LEVELS, "WARNING", ""}
_NEW_PROCESS = "MDM logging initialized"
_ABOUT_DATASET = re.compile(r"\b[Dd]ataset '(?P<name>[^']+)'")
_START = re.compile(r"(?:Starting|Generating|Computing) .*\bdataset '(?P<name>[^']+)'")
_SUCCESS = re.compile(
    r"Dataset '(?P<name>[^']+)' (?:registered|updated|deleted|removed) successfully"
    r"|Statistics saved (?:for dataset '(?P<name2>[^']+)'|to .*?(?P<name3>[^/\\]+)[/\\]metadata[/\\])"
    r"|Completed .+ in [\d.]+ ?m?s\b"
)
_VARYING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|0x[0-9a-f]+|(?<![\w.])(?:/[^\s:,;'\"]+)+|\d+(?:\.\d+)?", re.IGNORECASE)
"""What differs between messages that report the same error: names, paths, numbers."""


def read_errors(log_file: Path) -> LogFacts:
    """Read the log and all its rotated files to the end."""
    unreadable: list[str] = []
    not_understood: list[str] = []
    tally = _Tally()
    for record in read_log(log_file, unreadable.append, without=_IGNORED_LEVELS, not_understood=not_understood.append):
        tally.add(record)
    closed = [path for path in log_files(log_file) if missing_right(path) is not None]
    unreadable = [reason for reason in unreadable if not any(reason.startswith(f"{path} ") for path in closed)]
    gaps = [] if log_files(log_file) else [f"there is no log at {log_file}"]
    if tally.not_counted:
        gaps.append(f"{tally.not_counted} more records report errors of further kinds")
    groups = [group.as_facts() for group in tally.groups.values()]
    return LogFacts(
        examined=tally.records + len(unreadable),
        gaps=tuple(gaps),
        unexamined=tuple(not_understood),
        errors=tuple(sorted(groups, key=lambda group: (not group.open, -group.count, group.code, group.example))),
        unreadable=tuple(redact(reason) for reason in unreadable),
    )


@dataclass
class _OpenGroup:
    """A group of errors while the log is being read; `open` counts by dataset."""

    code: str
    latest: LogRecord
    level: str = ""
    first: datetime | None = None
    last: datetime | None = None
    count: int = 0
    open: dict[str, int] = field(default_factory=dict)
    datasets: dict[str, None] = field(default_factory=dict)

    def add(self, record: LogRecord, dataset: str) -> None:
        """Count one more record, which is about this dataset; empty if that is unknown."""
        if dataset not in self.open and len(self.open) >= DATASETS_FOLLOWED:
            dataset = ""
        self.count += 1
        self.level = max(self.level, record.level, key=_rank)
        self.latest = record
        self.first = self.first or record.time
        self.last = record.time or self.last
        self.open[dataset] = self.open.get(dataset, 0) + 1
        if dataset and len(self.datasets) < DATASETS_NAMED:
            self.datasets[dataset] = None

    def as_facts(self) -> ErrorGroup:
        last_line = (self.latest.exception or "").strip().rpartition("\n")[2]
        return ErrorGroup(
            code=self.code,
            level=self.level,
            logger=self.latest.logger,
            count=self.count,
            open=sum(self.open.values()),
            first=_iso(self.first),
            last=_iso(self.last),
            example=_shortened(self.latest.message),
            error=_shortened(last_line) or None,
            datasets=tuple(self.datasets),
            at=Location(str(self.latest.file), self.latest.line),
        )


class _Tally:
    """Counts errors by group, in memory that does not grow with the log."""

    def __init__(self) -> None:
        self.records = 0
        self.not_counted = 0
        self.groups: dict[tuple[str, str, str], _OpenGroup] = {}
        self._dataset = ""

    def add(self, record: LogRecord) -> None:
        self.records += 1
        if record.level in _SEARCHED_LEVELS or record.exception:
            self._add_error(record)
        elif record.message.startswith(_NEW_PROCESS):
            self._dataset = ""
        elif success := _SUCCESS.match(record.message):
            self._close(success["name"] or success["name2"] or success["name3"] or self._dataset)
        elif start := _START.match(record.message):
            self._dataset = start["name"]

    def _add_error(self, record: LogRecord) -> None:
        key = _group_of(record)
        if key is None:
            return
        if key not in self.groups:
            if len(self.groups) >= MAX_GROUPS:
                self.not_counted += 1
                return
            self.groups[key] = _OpenGroup(key[0], record)
        about = _ABOUT_DATASET.search(record.message)
        self.groups[key].add(record, about["name"] if about else self._dataset)

    def _close(self, dataset: str) -> None:
        """A success ends the errors of this dataset, and those that are about no dataset."""
        self._dataset = ""
        for group in self.groups.values():
            for closed in {"", dataset} & group.open.keys():
                del group.open[closed]


def _group_of(record: LogRecord) -> tuple[str, str, str] | None:
    """The code of the finding, and what tells the group from others with that code; None if it is no error."""
    text = f"{record.message[:_SEARCHED_LENGTH]}\n{(record.exception or '')[-_SEARCHED_LENGTH:]}"
    known = known_error(text)
    if known is not None:
        return known.finding, "", ""
    if record.level in _ERROR_LEVELS:
        code = record.level.lower()
    elif record.exception or "Traceback (most" in text:
        code = "traceback"
    else:
        return None
    return code, record.logger, _VARYING.sub("…", record.message)[:200]


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else 0


def _shortened(text: str) -> str:
    clean = without_values(redact(text.strip())[: 4 * EXAMPLE_LENGTH])  # a secret must not be cut before it is masked
    return clean if len(clean) <= EXAMPLE_LENGTH else f"{clean[:EXAMPLE_LENGTH]}…"


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(sep=" ", timespec="seconds") if time else None
