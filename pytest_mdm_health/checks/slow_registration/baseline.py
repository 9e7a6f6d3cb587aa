"""What takes longer than when the baseline was recorded. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_mdm_health.checks.slow_registration.facts import Measured, Query, SlowFacts, Timing

FACTOR = 2
"""How many times as long as in the baseline is slower; less may be chance."""

REGISTRATION_S, QUERY_S = 5.0, 1.0
"""How many seconds longer a registration, or a query, must take; twice very little is no loss."""


@dataclass(frozen=True)
class Slower:
    """How long something takes, and would have taken at the speed of the baseline."""

    before_s: float
    after_s: float

    @property
    def factor(self) -> float:
        """How many times as long it takes."""
        return self.after_s / self.before_s


def slower_registration(timing: Timing, before: SlowFacts | None) -> Slower | None:
    """How much slower, row for row, a registration was than those of the dataset in the baseline."""
    if before is None or timing.rows is None or timing.ended <= _last_measured(before):
        return None
    known = [other.per_row for other in before.timings if other.dataset == timing.dataset and other.per_row]
    return _slower(statistics.median(known) * timing.rows, timing.seconds, REGISTRATION_S) if known else None


def slower_queries(facts: SlowFacts, before: SlowFacts | None) -> Iterator[tuple[Query, Slower]]:
    """The queries whose medians are higher than in the baseline."""
    if before is None:
        return
    cutoff = _last_measured(before)
    earlier = {(query.operation, query.dataset): query.measured for query in before.queries}
    for query in facts.queries:
        later = [run for run in query.measured if run.ended > cutoff]
        slower = _compared(earlier.get((query.operation, query.dataset), ()), later)
        if slower is not None:
            yield query, slower


def _last_measured(before: SlowFacts) -> str:
    """When the last measurement of the baseline ended; only what is newer was certainly not part of it."""
    registrations = [timing.ended for timing in before.timings]
    return max([*registrations, *(run.ended for query in before.queries for run in query.measured)], default="")


def _compared(before: Sequence[Measured], later: Sequence[Measured]) -> Slower | None:
    """Row for row where rows are known on both sides, run for run where MDM never counted them."""
    rows = [run.rows for run in later if run.rows]
    known = [run.seconds / run.rows for run in before if run.rows]
    if not before or not later or bool(rows) != bool(known):
        return None
    if not rows:
        return _slower(_median(before), _median(later), QUERY_S)
    typical = statistics.median(rows)
    per_row = statistics.median(run.seconds / run.rows for run in later if run.rows)
    return _slower(statistics.median(known) * typical, per_row * typical, QUERY_S)


def _median(runs: Sequence[Measured]) -> float:
    return statistics.median(run.seconds for run in runs)


def _slower(before_s: float, after_s: float, least_s: float) -> Slower | None:
    is_slower = after_s >= FACTOR * before_s > 0 and after_s - before_s >= least_s
    return Slower(before_s, after_s) if is_slower else None
