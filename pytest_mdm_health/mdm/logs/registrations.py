"""Registrations as MDM's log tells them: when each began, what it loaded, how it ended, or that it never did.

MDM writes which dataset a registration is for only when it begins, generates features and ends. What is in between
is taken to belong to the registration that was heard of last. Where memory ran out is noted beside them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from pytest_mdm_health.core.model import Location
from pytest_mdm_health.core.secrets import without_values
from pytest_mdm_health.mdm.logs import LogRecord

LOAD, FEATURES, STATISTICS = "load", "features", "statistics"
"""The stages of a registration."""


class Outcome(str, Enum):
    """How a registration ended, as far as the log tells."""

    COMPLETED = "completed"
    FAILED = "failed"
    UNFINISHED = "unfinished"


@dataclass(kw_only=True)
class RegistrationRun:
    """One registration.

    Attributes:
        dataset: as MDM stores the name, in lower case.
        began: when it began; None if the log tells no time.
        place: where the log says so.
        last: when it was last heard of; for one that ended, its end.
        step: what it was doing then, to follow "while".
        sources: the files that it loaded, as MDM was given them.
        rows: rows loaded, by table.
        feature_tables: how many it generated; None if it did not get to that.
        stages: seconds spent in `LOAD`, `FEATURES` and `STATISTICS`, as far as known.
        error: why it failed, without values of data.
    """

    dataset: str
    began: datetime | None
    place: Location
    last: datetime | None = None
    outcome: Outcome = Outcome.UNFINISHED
    step: str = "starting"
    sources: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    feature_tables: int | None = None
    stages: dict[str, float] = field(default_factory=dict)
    error: str = ""
    _entered: dict[str, datetime | None] = field(default_factory=dict, repr=False)

    @property
    def seconds(self) -> float | None:
        """How long it took, or was heard of."""
        return _between(self.began, self.last)

    def enter(self, stage: str, step: str, time: datetime | None) -> None:
        """It begins with a stage, or with another part of it."""
        self._entered.setdefault(stage, time)
        self.step = step

    def leave(self, stage: str, time: datetime | None) -> None:
        """It ends with a stage, or with a part of it."""
        seconds = _between(self._entered.get(stage), time)
        if seconds is not None:
            self.stages[stage] = seconds


@dataclass(frozen=True, kw_only=True)
class MemoryRanOut:
    """A record that tells of it: its first line, and the dataset that was being registered, if one was."""

    time: datetime | None
    message: str
    dataset: str
    place: Location


@dataclass(frozen=True, kw_only=True)
class History:
    """What a log tells.

    Attributes:
        runs: in the order in which they began.
        records: how many there are.
    """

    runs: tuple[RegistrationRun, ...]
    memory_ran_out: tuple[MemoryRanOut, ...]
    records: int

    def succeeded_after(self, time: datetime | None, dataset: str) -> bool:
        """Whether a registration, of this dataset if it is known, has ended well after that time."""
        return any(
            run.outcome is Outcome.COMPLETED and run.last is not None and time is not None and run.last > time
            for run in self.runs
            if dataset in {"", run.dataset}
        )


class Registrations:
    """Records in their order become the history of registrations."""

    def __init__(self) -> None:
        self._log = _Log()

    def hear(self, record: LogRecord) -> None:
        """Take the next record into account."""
        self._log.hear(record)

    def history(self) -> History:
        """What all of them tell."""
        log = self._log
        return History(runs=tuple(log.runs), memory_ran_out=tuple(log.memory_ran_out), records=log.records)


class _Log:
    """What has been heard so far."""

    def __init__(self) -> None:
        self.runs: list[RegistrationRun] = []
        self.memory_ran_out: list[MemoryRanOut] = []
        self.records = 0
        self._open: dict[str, RegistrationRun] = {}
        self._heard_of: RegistrationRun | None = None
        self._another_process = False

    def hear(self, record: LogRecord) -> None:
        self.records += 1
        if record.level not in _QUIET and _NO_MEMORY.search(f"{record.message}\n{record.exception or ''}"):
            self._memory_ran_out(record)
        for pattern, act in _EVENTS.get(record.message.partition(" ")[0], ()):
            match = pattern.match(record.message)
            if match:
                act(self, record, match)
                break
        if self._heard_of is not None:
            self._heard_of.last = record.time or self._heard_of.last

    def _memory_ran_out(self, record: LogRecord) -> None:
        dataset = self._heard_of.dataset if self._heard_of else ""
        message = without_values(record.message.partition("\n")[0]) or "MemoryError"
        place = Location(str(record.file), record.line)
        self.memory_ran_out.append(MemoryRanOut(time=record.time, message=message, dataset=dataset, place=place))

    def process_began(self, _record: LogRecord, _match: re.Match[str]) -> None:
        self._another_process, self._heard_of = True, None

    def begin(self, record: LogRecord, match: re.Match[str]) -> None:
        """MDM says up to three times that a registration begins; only another process begins another one."""
        name = match["name"].lower()
        run = self._open.get(name)
        if run is None or self._another_process or run.step != RegistrationRun.step:
            run = self._open[name] = RegistrationRun(
                dataset=name, began=record.time, place=Location(str(record.file), record.line)
            )
            self.runs.append(run)
        self._another_process, self._heard_of = False, run

    def end(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            self._open.pop(run.dataset, None)
            run.leave(STATISTICS, record.time)
            run.error = without_values(match.groupdict().get("error") or "")
            run.outcome = Outcome.FAILED if run.error else Outcome.COMPLETED
            run.last = record.time or run.last
            self._heard_of = None

    def load(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            run.sources.append(match["file"])
            run.enter(LOAD, f"loading {match['file']}", record.time)

    def loaded(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            run.rows[match["table"]] = int(match["rows"])
            run.leave(LOAD, record.time)
            run.step = "working on what it had loaded"

    def generate(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            run.enter(FEATURES, "generating features", record.time)

    def generated(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            run.feature_tables = int(match["tables"])
            run.leave(FEATURES, record.time)
            run.step = "storing what it had made"

    def compute(self, record: LogRecord, match: re.Match[str]) -> None:
        run = self._meant(match)
        if run is not None:
            run.enter(STATISTICS, "computing statistics", record.time)

    def _meant(self, match: re.Match[str]) -> RegistrationRun | None:
        """The registration that a line is about."""
        name = match.groupdict().get("name")
        if name is not None:
            self._heard_of = self._open.get(name.lower())
        return self._heard_of


_QUIET = {"TRACE", "DEBUG", "INFO", "SUCCESS"}
_NO_MEMORY = re.compile(
    r"\bMemoryError\b|Unable to allocate \d|Cannot allocate memory"
    r"|Out of Memory Error|OutOfMemoryException|std::bad_alloc"
)
_COARSEST_S = 1.0
"""The text formats round times to this, each in its own way."""

_Act = Callable[[_Log, LogRecord, "re.Match[str]"], None]
_MESSAGES: Mapping[str, _Act] = {
    r"MDM logging initialized": _Log.process_began,
    r"Starting registration (?:of|for) dataset '(?P<name>.*)'": _Log.begin,
    r"Validated name: .* -> (?P<name>.*)": _Log.begin,
    r"Loading (?P<file>.+) as table '.*'": _Log.load,
    r"Loaded (?P<rows>\d{1,18}) rows into '(?P<table>.*)'": _Log.loaded,
    r"Generating features for dataset '(?P<name>.*)'": _Log.generate,
    r"Generated (?P<tables>\d{1,9}) feature tables": _Log.generated,
    r"Computing initial statistics for dataset '(?P<name>.*)'": _Log.compute,
    r"Dataset '(?P<name>.*)' registered successfully": _Log.end,
    r"Saved dataset configuration": _Log.end,
    r"Registration failed: (?P<error>.+)": _Log.end,
    r"Legacy registration failed: (?P<error>.+)": _Log.end,
    r"Step '.*' failed: (?P<error>.+)": _Log.end,
    r"Failed to (?:register dataset|load data files): (?P<error>.+)": _Log.end,
}


def _by_first_word() -> Mapping[str, list[tuple[re.Pattern[str], _Act]]]:
    events = defaultdict(list)
    for message, act in _MESSAGES.items():
        events[message.partition(" ")[0]].append((re.compile(message), act))
    return dict(events)


_EVENTS = _by_first_word()


def _between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one time to another; None if one is not known or a clock was set back in between."""
    if start is None or end is None:
        return None
    seconds = (end - start).total_seconds()
    return max(0.0, seconds) if seconds > -_COARSEST_S else None
