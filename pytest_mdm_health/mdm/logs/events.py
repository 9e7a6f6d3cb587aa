"""What the log tells of registrations and of features, from one pass over all of its files for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.session import kept_for_session
from pytest_mdm_health.mdm.logs import read_log
from pytest_mdm_health.mdm.logs.features import FeatureRun, FeatureRuns
from pytest_mdm_health.mdm.logs.files import log_files
from pytest_mdm_health.mdm.logs.registrations import History, Registrations


@dataclass(frozen=True, kw_only=True)
class LogEvents:
    """What a log tells.

    Attributes:
        history: the registrations.
        feature_runs: for each dataset, the last time that its features were generated.
        gaps: what could not be read, each as a sentence without a full stop.
        not_understood: files with lines that MDM does not write, likewise: any of them may be an event that is missing
            here, so that a check which relies on the log has not examined what it should.
    """

    history: History
    feature_runs: Mapping[str, FeatureRun]
    gaps: tuple[str, ...]
    not_understood: tuple[str, ...]


def read_events(log_file: Path) -> LogEvents:
    """What a log tells, its rotated files included. While they stay as they are, they are read once. Never raises."""
    return _read_events(log_file, tuple(_state(file) for file in log_files(log_file)))


@kept_for_session(1)
def _read_events(log_file: Path, _states: tuple[object, ...]) -> LogEvents:
    gaps: list[str] = []
    not_understood: list[str] = []
    registrations, feature_runs = Registrations(), FeatureRuns()
    for record in read_log(log_file, gaps.append, not_understood=not_understood.append):
        registrations.hear(record)
        feature_runs.hear(record)
    return LogEvents(
        history=registrations.history(),
        feature_runs=feature_runs.last,
        gaps=tuple(gaps),
        not_understood=tuple(not_understood),
    )


def _state(file: Path) -> tuple[str, int, int]:
    try:
        info = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), info.st_size, info.st_mtime_ns
