"""What slow-registration concludes from how long registrations and queries took. Pure."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_mdm_health.backends import literal
from pytest_mdm_health.checks.slow_registration.baseline import Slower, slower_queries, slower_registration
from pytest_mdm_health.checks.slow_registration.collect import QUERY_TYPES
from pytest_mdm_health.checks.slow_registration.facts import Query, SlowFacts, Timing
from pytest_mdm_health.checks.slow_registration.findings import (
    FEATURES_TAKE_MOST,
    LARGER_BATCHES,
    NOTE,
    PROFILE,
    SLOWER_QUERIES,
    SLOWER_THAN_BEFORE,
    SLOWER_THAN_OTHERS,
    TO_DUCKDB,
    TOOK_HOURS,
    WARN,
    WITHOUT_FEATURES,
)
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import JSON, Finding, Severity
from pytest_mdm_health.core.text import counted, moment
from pytest_mdm_health.mdm.logs.registrations import FEATURES, LOAD

LONG_S, HOUR_S = 60, 3600
SLOWER_THAN_EARLIER, SLOWER_THAN_MOST = 3, 10
"""How many times as long for each row is more than chance and the kind of data explain."""

SLOW_ROWS_PER_S = 1000
"""The real homes load ten to a hundred times as many on two slow cores, and generate features for some hundreds."""

_COMPARABLE_ROWS = 1000
_GUIDES_BATCH = 5000


@dataclass(frozen=True)
class Reason:
    """A rule that applies to a registration, and why."""

    rule: Rule
    severity: Severity
    words: str


def check_registrations(facts: SlowFacts, before: SlowFacts | None) -> Iterator[Finding]:
    """Compare the newest registration of each dataset with the baseline, with earlier ones and with other datasets."""
    newest = {timing.dataset: timing for timing in facts.timings}
    for timing in newest.values():
        reasons = [
            *_slower_than_before(timing, facts, before),
            *_takes_long(timing),
            *_slower_than_others(timing, facts),
        ]
        if reasons:
            yield _slow_registration(facts, timing, sorted(reasons, key=lambda reason: reason.severity is NOTE))


def _slower_than_before(timing: Timing, facts: SlowFacts, before: SlowFacts | None) -> Iterator[Reason]:
    slower = slower_registration(timing, before)
    earlier = [other for other in facts.timings if other.dataset == timing.dataset and other is not timing]
    factor = _factor(timing, earlier)
    if slower is not None:
        words = f"{slower.factor:.0f} times as long for each row as in the baseline"
        yield Reason(SLOWER_THAN_BEFORE, WARN, words)
    elif factor >= SLOWER_THAN_EARLIER and timing.seconds >= LONG_S / 2:
        yield Reason(SLOWER_THAN_BEFORE, WARN, f"{factor:.0f} times as long for each row as before")


def _takes_long(timing: Timing) -> Iterator[Reason]:
    if timing.seconds >= HOUR_S and timing.rows:
        rate = timing.rows / timing.seconds
        yield Reason(TOOK_HOURS, WARN if rate < SLOW_ROWS_PER_S else NOTE, f"{counted(round(rate), 'row')} a second")
    elif timing.seconds >= HOUR_S:
        yield Reason(TOOK_HOURS, NOTE, "an hour or more")
    if timing.seconds >= LONG_S and timing.stages.get(FEATURES, 0.0) > timing.seconds / 2:
        yield Reason(FEATURES_TAKE_MOST, NOTE, "more than half of it for features")


def _slower_than_others(timing: Timing, facts: SlowFacts) -> Iterator[Reason]:
    others = {other.dataset: other for other in facts.timings if _comparable(timing, other)}
    factor = _factor(timing, list(others.values()))
    if factor >= SLOWER_THAN_MOST and timing.seconds >= LONG_S:
        yield Reason(SLOWER_THAN_OTHERS, WARN, f"{factor:.0f} times as long for each row as the others")


def _factor(timing: Timing, others: Sequence[Timing]) -> float:
    """How many times as long as with the others a row took; 0 if unknown."""
    known = [other.per_row for other in others if other.per_row]
    return timing.per_row / statistics.median(known) if timing.per_row and known else 0.0


def _comparable(timing: Timing, other: Timing) -> bool:
    """Whether these are two datasets that are large enough, and that were loaded alike."""
    large = min(timing.rows or 0, other.rows or 0) >= _COMPARABLE_ROWS
    loaded_alike = timing.features == other.features or None in {timing.features, other.features}
    return timing.dataset != other.dataset and large and loaded_alike


def _slow_registration(facts: SlowFacts, timing: Timing, reasons: Sequence[Reason]) -> Finding:
    evidence: dict[str, JSON] = {
        "seconds": round(timing.seconds, 1),
        "rows": timing.rows,
        "stages": {stage: round(seconds, 1) for stage, seconds in timing.stages.items()},
    }
    if len(reasons) > 1:
        evidence["also"] = [reason.rule.code for reason in reasons[1:]]
    steps, values = _remedy(facts, timing)
    return reasons[0].rule(
        reasons[0].severity,
        subject=timing.dataset,
        evidence=evidence,
        remedy=steps,
        dataset=timing.dataset,
        ended=f" that ended {moment(datetime.fromisoformat(timing.ended))}" if timing.ended else "",
        seconds=timing.seconds,
        rows=f" for {counted(timing.rows, 'row')}" if timing.rows else "",
        reasons=", ".join(reason.words for reason in reasons),
        **values,
    )


def _remedy(facts: SlowFacts, timing: Timing) -> tuple[Steps, Mapping[str, Any]]:
    """What helps most, and what its text needs: no features, larger batches, another backend, or else a profile."""
    loading_s, features_s = timing.stages.get(LOAD, 0.0), timing.stages.get(FEATURES, 0.0)
    if facts.features_enabled and timing.features is not False and features_s >= loading_s:
        return WITHOUT_FEATURES, {}
    if facts.batch_size < _GUIDES_BATCH:
        return LARGER_BATCHES, {"better": _GUIDES_BATCH, "home": facts.home}
    if any(size.dataset.lower() == timing.dataset and size.backend == "sqlite" for size in facts.datasets):
        return TO_DUCKDB, {}
    return PROFILE, {"home": facts.home}


def check_queries(facts: SlowFacts, before: SlowFacts | None, warned: Collection[str]) -> Iterator[Finding]:
    """Compare queries with the baseline; `warned` are the datasets whose registration is already a warning."""
    by_dataset: dict[str, list[tuple[Query, Slower]]] = defaultdict(list)
    for query, slower in slower_queries(facts, before):
        by_dataset[query.dataset].append((query, slower))
    for dataset, queries in by_dataset.items():
        query, worst = max(queries, key=lambda compared: compared[1].factor)
        others = counted(len(queries) - 1, "more kind of query", "more kinds of queries")
        yield SLOWER_QUERIES(
            NOTE if dataset in warned else WARN,
            subject=f"queries {dataset}".strip(),
            evidence={
                other.operation: [round(slower.before_s, 3), round(slower.after_s, 3)] for other, slower in queries
            },
            operation=query.operation,
            dataset=f" on {dataset!r}" if dataset else "",
            seconds=worst.after_s,
            factor=worst.factor,
            others=f"; {others} became slower" if len(queries) > 1 else "",
            metrics=f"{facts.home}/metrics.db",
            statement=_runs_of(dataset),
        )


def _runs_of(dataset: str) -> str:
    """SQL that lists the queries of a dataset as MDM recorded them."""
    types = ", ".join(map(literal, QUERY_TYPES))
    return (
        f"SELECT timestamp, operation, duration_ms, row_count FROM metrics WHERE metric_type IN ({types})"  # noqa: S608 - quoted
        f" AND lower(coalesce(dataset_name, '')) = {literal(dataset)} ORDER BY id"
    )
