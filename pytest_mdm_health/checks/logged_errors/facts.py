"""What check 8.3 reads out of the logs: kinds of trouble, how often, when, and whether it went well since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.core.secrets import redact, without_values
from pytest_mdm_health.knowledge.messages import known_error
from pytest_mdm_health.mdm.logs import LogRecord, read_log
from pytest_mdm_health.mdm.logs.files import log_files

KINDS_KEPT = 100
EXAMPLE_LENGTH = 400
DATASETS_NAMED = 10
DATASETS_FOLLOWED = 5000
UNINTERESTING = ("TRACE", "DEBUG")

_TEXT_SEARCHED = 8 * 1024
_SEVERE = {"ERROR", "CRITICAL"}
_TELLING = {*_SEVERE, "WARNING", ""}
_NEW_PROCESS = "MDM logging initialized"
_ABOUT = re.compile(r"\b[Dd]ataset '(?P<name>[^']+)'")
_BEGINNING = re.compile(r"(?:Starting|Generating|Computing) .*\bdataset '(?P<name>[^']+)'")
_SUCCESS = re.compile(
    r"Dataset '(?P<name>[^']+)' (?:registered|updated|deleted|removed) successfully"
    r"|Statistics saved (?:for dataset '(?P<name2>[^']+)'|to .*?(?P<name3>[^/\\]+)[/\\]metadata[/\\])"
    r"|Completed .+ in [\d.]+ ?m?s\b"
)
_VARYING = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|0x[0-9a-f]+|(?<![\w.])(?:/[^\s:,;'\"]+)+|\d+(?:\.\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """One kind of trouble in the log.

    Attributes:
        finding: the finding that reports it.
        known: the message of the guide's table that it shows; empty for others.
        level: the worst level it was logged with.
        logger: who logged it last.
        count: how often; `open` how often nothing went well afterwards.
        first: the time of the first, in ISO 8601, where known; `last` that of the last.
        example: the last one, or the last that is open, without secrets or values of data, and cut.
        error: the last line of its traceback, if it has one.
        datasets: those that MDM was working on.
        file: where the example stands, with its line.
    """

    finding: str
    known: str
    level: str
    logger: str
    count: int
    open: int
    first: str | None
    last: str | None
    example: str
    error: str | None
    datasets: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class LogFacts(Facts):
    """What was seen.

    Attributes:
        log: the file that MDM writes now.
        files: all files of the log.
        kinds: kinds of trouble, those that are open first, then the most frequent.
        unreadable: what could not be read, each as a sentence without a full stop.
    """

    log: str
    files: tuple[str, ...]
    kinds: tuple[Kind, ...]
    unreadable: tuple[str, ...]


def gather(log_file: Path) -> LogFacts:
    """Read the log and all its rotated files to the end."""
    unreadable: list[str] = []
    tally = _Tally()
    for record in read_log(log_file, unreadable.append, without=UNINTERESTING):
        tally.hear(record)
    files = tuple(str(file) for file in log_files(log_file))
    gaps = [] if files else [f"there is no log at {log_file}"]
    if tally.left_out:
        gaps.append(f"{tally.left_out} more records tell of trouble of further kinds")
    return LogFacts(
        examined=tally.records + len(unreadable),
        gaps=tuple(gaps),
        log=str(log_file),
        files=files,
        kinds=tuple(sorted(tally.kinds(), key=lambda kind: (not kind.open, -kind.count, kind.finding, kind.example))),
        unreadable=tuple(redact(reason) for reason in unreadable),
    )


@dataclass
class _Trouble:
    """One kind of trouble while the log is being read."""

    finding: str
    known: str
    latest: LogRecord
    first: datetime | None
    last: datetime | None
    level: str = ""
    count: int = 0
    open: dict[str, int] = field(default_factory=dict)
    open_example: LogRecord | None = None
    datasets: dict[str, None] = field(default_factory=dict)


class _Tally:
    """Counts trouble by kind, in memory that does not grow with the log."""

    def __init__(self) -> None:
        self.records = 0
        self.left_out = 0
        self._troubles: dict[tuple[str, str, str], _Trouble] = {}
        self._dataset = ""

    def hear(self, record: LogRecord) -> None:
        self.records += 1
        if record.level in _TELLING or record.exception:
            self._count(record)
        elif record.message.startswith(_NEW_PROCESS):
            self._dataset = ""
        elif success := _SUCCESS.match(record.message):
            self._went_well(success["name"] or success["name2"] or success["name3"] or self._dataset)
        elif beginning := _BEGINNING.match(record.message):
            self._dataset = beginning["name"]

    def kinds(self) -> Iterator[Kind]:
        return (_described(each) for each in self._troubles.values())

    def _count(self, record: LogRecord) -> None:
        text = f"{record.message[:_TEXT_SEARCHED]}\n{(record.exception or '')[-_TEXT_SEARCHED:]}"
        known = known_error(text)
        if known is None and record.level not in _SEVERE and not record.exception and "Traceback (most" not in text:
            return
        finding = known.finding if known else _finding(record)
        key = (finding, "", "") if known else (finding, record.logger, _VARYING.sub("…", record.message)[:200])
        if key not in self._troubles and len(self._troubles) >= KINDS_KEPT:
            self.left_out += 1
            return
        trouble = self._troubles.setdefault(
            key, _Trouble(finding, known.name if known else "", record, record.time, record.time)
        )
        self._add(trouble, record)

    def _add(self, trouble: _Trouble, record: LogRecord) -> None:
        about = _ABOUT.search(record.message)
        dataset = about["name"] if about else self._dataset
        if dataset not in trouble.open and len(trouble.open) >= DATASETS_FOLLOWED:
            dataset = ""
        trouble.count += 1
        trouble.level = _worse(trouble.level, record.level)
        trouble.latest = record
        trouble.last = record.time or trouble.last
        trouble.first = trouble.first or record.time
        trouble.open[dataset] = trouble.open.get(dataset, 0) + 1
        trouble.open_example = record
        if dataset and len(trouble.datasets) < DATASETS_NAMED:
            trouble.datasets[dataset] = None

    def _went_well(self, dataset: str) -> None:
        """What happened with this dataset, or with none that is known, is over."""
        self._dataset = ""
        for trouble in self._troubles.values():
            for over in {"", dataset} & trouble.open.keys():
                del trouble.open[over]


def _finding(record: LogRecord) -> str:
    if record.level == "CRITICAL":
        return "critical"
    return "error" if record.level == "ERROR" else "traceback"


def _worse(one: str, other: str) -> str:
    order = ("", "TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL")
    return max(one, other, key=lambda level: order.index(level) if level in order else 0)


def _described(trouble: _Trouble) -> Kind:
    still_open = sum(trouble.open.values())
    example = trouble.open_example if still_open and trouble.open_example else trouble.latest
    trace = (example.exception or "").strip().rpartition("\n")[2]
    return Kind(
        finding=trouble.finding,
        known=trouble.known,
        level=trouble.level,
        logger=example.logger,
        count=trouble.count,
        open=still_open,
        first=_iso(trouble.first),
        last=_iso(trouble.last),
        example=_cut(example.message),
        error=_cut(trace) or None,
        datasets=tuple(trouble.datasets),
        file=str(example.file),
        line=example.line,
    )


def _cut(text: str) -> str:
    clean = without_values(redact(text.strip())[: 4 * EXAMPLE_LENGTH])  # a secret must not be cut before it is masked
    return clean if len(clean) <= EXAMPLE_LENGTH else f"{clean[:EXAMPLE_LENGTH]}…"


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(sep=" ", timespec="seconds") if time else None
