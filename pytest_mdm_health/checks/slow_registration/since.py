"""What takes longer than when the baseline was recorded. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_mdm_health.checks.slow_registration.facts import Measured, Query, SlowFacts, Timing

TIMES = 2
"""So many times as long as in the baseline is slower; less may be the machine's mood."""

REGISTRATION_S, QUERY_S = 5.0, 1.0
"""Seconds that a registration, or a query, must have lost; twice of next to nothing is no loss."""


@dataclass(frozen=True)
class Slower:
    """What takes so many seconds and would have taken fewer, by what the baseline has."""

    before_s: float
    after_s: float

    @property
    def times(self) -> float:
        """How many times as long it takes."""
        return self.after_s / self.before_s


def registration_since(each: Timing, before: SlowFacts | None) -> Slower | None:
    """How much slower, row for row, a registration was than those that the baseline has of the dataset."""
    if before is None or each.rows is None or each.ended <= _newest(before):
        return None
    known = [other.per_row for other in before.timings if other.dataset == each.dataset and other.per_row]
    return _slower(statistics.median(known) * each.rows, each.seconds, REGISTRATION_S) if known else None


def queries_since(facts: SlowFacts, before: SlowFacts | None) -> Iterator[tuple[Query, Slower]]:
    """The queries that take longer, by the medians, than the baseline has them."""
    if before is None:
        return
    cutoff = _newest(before)
    earlier = {(query.operation, query.dataset): query.measured for query in before.queries}
    for query in facts.queries:
        since = [each for each in query.measured if each.ended > cutoff]
        slower = _compared(earlier.get((query.operation, query.dataset), ()), since)
        if slower is not None:
            yield query, slower


def _newest(before: SlowFacts) -> str:
    """When the last thing was measured that the baseline knows of; what is not newer may have been known to it."""
    registrations = [each.ended for each in before.timings]
    return max([*registrations, *(each.ended for query in before.queries for each in query.measured)], default="")


def _compared(before: Sequence[Measured], since: Sequence[Measured]) -> Slower | None:
    """Row for row where rows are known on both sides, run for run where MDM never counted them."""
    rows = [each.rows for each in since if each.rows]
    known = [each.seconds / each.rows for each in before if each.rows]
    if not before or not since or bool(rows) != bool(known):
        return None
    if not rows:
        return _slower(_median(before), _median(since), QUERY_S)
    typical = statistics.median(rows)
    now = statistics.median(each.seconds / each.rows for each in since if each.rows)
    return _slower(statistics.median(known) * typical, now * typical, QUERY_S)


def _median(measured: Sequence[Measured]) -> float:
    return statistics.median(each.seconds for each in measured)


def _slower(before_s: float, after_s: float, least_s: float) -> Slower | None:
    worse = after_s >= TIMES * before_s > 0 and after_s - before_s >= least_s
    return Slower(before_s, after_s) if worse else None
