"""How long past registrations took, from the log and from the metrics that MDM keeps since 0.2.0."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pytest_mdm_health.checks.slow_registration.facts import Timing
from pytest_mdm_health.checks.slow_registration.metrics import Metric, Metrics, iso
from pytest_mdm_health.mdm.logs.registrations import FEATURES, History, Outcome, RegistrationRun

KEPT = 10
"""How many timings of one dataset are kept: the newest."""

_SAME_S = 5.0
"""The log and the metrics may tell the end of one registration so far apart."""


def timings_of(history: History, metrics: Metrics) -> tuple[Timing, ...]:
    """All registrations that ended well and whose duration is known, oldest first, of each dataset the newest."""
    runs = [run for run in history.runs if run.outcome is Outcome.COMPLETED]
    found: list[tuple[float, Timing]] = []
    for metric in metrics.registrations:
        same = _same(metric, runs)
        if same is not None:
            runs.remove(same)
        found.append((_stamp(metric.ended), _from_metric(metric, same)))
    found += [(_stamp(run.last), _from_log(run, run.seconds)) for run in runs if run.seconds is not None]
    return tuple(_newest(timing for _, timing in sorted(found, key=lambda each: each[0])))


def _same(metric: Metric, runs: Sequence[RegistrationRun]) -> RegistrationRun | None:
    def apart(run: RegistrationRun) -> float:
        return abs(_stamp(run.last) - _stamp(metric.ended))

    near = [run for run in runs if run.dataset == metric.dataset and apart(run) <= _SAME_S]
    return min(near, key=apart, default=None)


def _from_metric(metric: Metric, run: RegistrationRun | None) -> Timing:
    return Timing(
        dataset=metric.dataset,
        ended=iso(metric.ended),
        seconds=metric.seconds,
        rows=(sum(run.rows.values()) or None if run else None) or metric.rows,
        features=_with_features(run) if run else None,
        stages=dict(run.stages) if run else {},
        told_by="metrics.db",
    )


def _from_log(run: RegistrationRun, seconds: float) -> Timing:
    return Timing(
        dataset=run.dataset,
        ended=iso(run.last),
        seconds=seconds,
        rows=sum(run.rows.values()) or None,
        features=_with_features(run),
        stages=dict(run.stages),
        told_by="log",
    )


def _with_features(run: RegistrationRun) -> bool:
    return bool(run.feature_tables) or FEATURES in run.stages


def _stamp(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0


def _newest(timings: Iterable[Timing]) -> Iterator[Timing]:
    every = list(timings)
    left: dict[str, int] = defaultdict(int)
    for each in every:
        left[each.dataset] += 1
    for each in every:
        if left[each.dataset] <= KEPT:
            yield each
        left[each.dataset] -= 1
