"""How features were generated, as MDM's log tells it: MDM logs what goes wrong and goes on as if nothing had happened.

MDM writes which dataset it generates features for only when it begins; what follows belongs to it until
something else begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import Location
from pytest_mdm_health.mdm.logs import LogRecord

ERRORS_KEPT = 50
"""Different errors of one run that are kept."""

UNINTERESTING = ("TRACE", "DEBUG")
_BEGIN = re.compile(r"Generating features for (?:dataset '(?P<name>[^']+)'|(?P<name2>\S+) \(\d+ rows\))")
_GENERATED = re.compile(r"Generated (?P<tables>\d{1,9}) feature tables")
_FAILED = re.compile(r"Failed to generate features(?: for \S+)?: (?P<error>.+)", re.DOTALL)
_NAMED = re.compile(r"(?:Failed to load custom features for|Error in \S+ for) (?P<name>[^\s:]+): ")
_CUSTOM = re.compile(r"Loading custom features from (?P<file>.+)")
_OTHER_BEGINNING = re.compile(r"MDM logging initialized|Starting registration |Dataset '[^']*' registered")
_SEVERE = {"ERROR", "CRITICAL"}


@dataclass(frozen=True)
class LoggedError:
    """One error that was logged while features were generated: its text, where it stands, and how often it does."""

    message: str
    place: Location
    count: int = 1


@dataclass
class FeatureRun:
    """One generation of a dataset's features.

    Attributes:
        dataset: as MDM stores the name, in lower case.
        place: where the log says that it begins.
        tables: how many feature tables it made; None if it did not get to that.
        failure: why it failed as a whole; empty if it did not.
        errors: what went wrong on the way, by message.
        custom: the file of custom features that was loaded; empty if none was.
    """

    dataset: str
    place: Location
    tables: int | None = None
    failure: str = ""
    errors: dict[str, LoggedError] = field(default_factory=dict)
    custom: str = ""

    @property
    def ended(self) -> bool:
        """Whether it came to an end, good or bad."""
        return self.tables is not None or bool(self.failure)

    def add(self, record: LogRecord) -> None:
        """Take an error into account."""
        known = self.errors.get(record.message)
        if known is not None or len(self.errors) < ERRORS_KEPT:
            place = Location(str(record.file), record.line)
            self.errors[record.message] = LoggedError(record.message, place, 1 + (known.count if known else 0))


class FeatureRuns:
    """What has been heard of the generation of features so far.

    Attributes:
        last: for each dataset, the last time that its features were generated.
    """

    def __init__(self) -> None:
        self.last: dict[str, FeatureRun] = {}
        self._current: FeatureRun | None = None

    def hear(self, record: LogRecord) -> None:
        """Take the next record into account."""
        if record.level in UNINTERESTING:
            return
        begun, current = _BEGIN.match(record.message), self._current
        if begun is not None:
            self._current = _begun(self.last, current, begun, record)
        elif _OTHER_BEGINNING.match(record.message):
            self._current = None
        elif record.level in _SEVERE or current is not None:
            _hear(self.last, current, record)
            self._current = None if current is not None and current.ended else current


def _begun(
    runs: dict[str, FeatureRun], current: FeatureRun | None, begun: re.Match[str], record: LogRecord
) -> FeatureRun:
    """MDM says it for the dataset, then again for each of its tables."""
    name = (begun["name"] or begun["name2"]).lower()
    if begun["name"] is None and current is not None and current.dataset == name:
        return current
    runs[name] = FeatureRun(name, Location(str(record.file), record.line))
    return runs[name]


def _hear(runs: Mapping[str, FeatureRun], current: FeatureRun | None, record: LogRecord) -> None:
    named = _NAMED.match(record.message)
    run = runs.get(named["name"].lower()) if named else current
    if run is None:
        return
    if generated := _GENERATED.match(record.message):
        run.tables = int(generated["tables"])
    elif failed := _FAILED.match(record.message):
        run.failure = failed["error"].partition("\n")[0]
    elif custom := _CUSTOM.match(record.message):
        run.custom = custom["file"]
    elif record.level in _SEVERE:
        run.add(record)
