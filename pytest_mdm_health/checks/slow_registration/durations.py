"""What slow-registration concludes from how long registrations and queries took: one finding for each cause. Pure."""

from __future__ import annotations

import shlex
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_mdm_health.backends import literal
from pytest_mdm_health.checks.slow_registration.facts import Query, SlowFacts, Timing
from pytest_mdm_health.checks.slow_registration.metrics import QUERIES
from pytest_mdm_health.checks.slow_registration.repairs import faster_load, without_features
from pytest_mdm_health.checks.slow_registration.since import Slower, queries_since, registration_since
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted, duration
from pytest_mdm_health.mdm.logs.registrations import FEATURES, LOAD

WARN, NOTE = Severity.WARN, Severity.NOTE
LONG_S, HOUR_S = 60, 3600
SLOWER_THAN_EARLIER, SLOWER_THAN_OTHERS = 3, 10
"""So many times longer for each row is more than chance and the kind of data explain."""

SLOW_ROWS_PER_S = 1000
"""The real homes load ten to a hundred times as many on two slow cores, and generate features for some hundreds."""

_COMPARABLE_ROWS = 1000


@dataclass(frozen=True)
class _Trait:
    """One thing that makes a registration a slow one, in words that go on after how long it took."""

    code: str
    severity: Severity
    words: str


def of_durations(check: Check, facts: SlowFacts, before: SlowFacts | None) -> Iterator[Finding]:
    """The newest registration of each dataset, against the baseline, earlier ones and others; then the queries."""
    newest = {each.dataset: each for each in facts.timings}
    warned: set[str] = set()
    for each in newest.values():
        traits = sorted(_traits(each, facts, before), key=lambda trait: trait.severity is NOTE)
        if traits:
            warned |= {each.dataset} if traits[0].severity is WARN else set()
            yield _registration(check, facts, each, traits)
    yield from _queries(check, facts, before, warned)


def _traits(each: Timing, facts: SlowFacts, before: SlowFacts | None) -> Iterator[_Trait]:
    """All that can be said of it, the most telling first: what has changed, how long it is, how long others are."""
    since = registration_since(each, before)
    earlier = [other for other in facts.timings if other.dataset == each.dataset and other is not each]
    against = _against(each, earlier, SLOWER_THAN_EARLIER) if each.seconds >= LONG_S / 2 else None
    if since:
        yield _Trait("slower-than-before", WARN, f"{since.times:.0f} times as long for each row as in the baseline")
    elif against:
        yield _Trait("slower-than-before", WARN, f"{against:.0f} times as long for each row as before")
    if each.seconds >= HOUR_S:
        slow = each.rows is not None and each.rows / each.seconds < SLOW_ROWS_PER_S
        rate = f"{counted(round(each.rows / each.seconds), 'row')} a second" if each.rows else "an hour or more"
        yield _Trait("took-hours", WARN if slow else NOTE, rate)
    others = [other for other in facts.timings if other.dataset != each.dataset and _alike(each, other)]
    against = _against(each, list({other.dataset: other for other in others}.values()), SLOWER_THAN_OTHERS)
    if against and each.seconds >= LONG_S:
        yield _Trait("slower-than-others", WARN, f"{against:.0f} times as long for each row as the others")
    if each.seconds >= LONG_S and each.stages.get(FEATURES, 0.0) > each.seconds / 2:
        yield _Trait("features-take-most", NOTE, "more than half of it for features")


def _against(each: Timing, others: Sequence[Timing], times: int) -> float | None:
    """How many times longer a row took than with the others, if it is at least so many."""
    known = [other.per_row for other in others if other.per_row]
    if each.per_row is None or not known:
        return None
    ratio = each.per_row / statistics.median(known)
    return ratio if ratio >= times else None


def _alike(each: Timing, other: Timing) -> bool:
    """Whether two datasets are large enough, and were treated alike, so that their rows can be compared."""
    large = min(each.rows or 0, other.rows or 0) >= _COMPARABLE_ROWS
    return large and (each.features == other.features or None in {each.features, other.features})


def _registration(check: Check, facts: SlowFacts, each: Timing, traits: Sequence[_Trait]) -> Finding:
    """One finding, whatever there is to say of one registration: the first thing names it, the others bear it out."""
    rows = f" for {counted(each.rows, 'row')}" if each.rows else ""
    when = f" that ended {each.ended}" if each.ended else ""
    took = f"the registration of {each.dataset!r}{when} took {duration(each.seconds)}{rows}"
    stages: dict[str, JSON] = {stage: round(seconds, 1) for stage, seconds in each.stages.items()}
    evidence: dict[str, JSON] = {"seconds": round(each.seconds, 1), "rows": each.rows, "stages": stages}
    if len(traits) > 1:
        evidence["also"] = [trait.code for trait in traits[1:]]
    features = each.stages.get(FEATURES, 0.0) >= each.stages.get(LOAD, 0.0) and each.features is not False
    remedy = without_features() if features and facts.features_enabled else faster_load(facts, each)
    message = ", ".join((took, *(trait.words for trait in traits)))
    return check.finding(traits[0].code, traits[0].severity, message, remedy, evidence=evidence, subject=each.dataset)


def _queries(check: Check, facts: SlowFacts, before: SlowFacts | None, warned: set[str]) -> Iterator[Finding]:
    """What became slow on each dataset; a note if its registration did too, which is then told as a warning."""
    slower: dict[str, list[tuple[Query, Slower]]] = defaultdict(list)
    for query, found in queries_since(facts, before):
        slower[query.dataset].append((query, found))
    for dataset, found_of in slower.items():
        query, worst = max(found_of, key=lambda item: item[1].times)
        others = counted(len(found_of) - 1, "more kind of query", "more kinds of queries")
        more = f"; {others} became slower" if len(found_of) > 1 else ""
        message = (
            f"{query.operation!r}{f' on {dataset!r}' if dataset else ''} takes {duration(worst.after_s)}, "
            f"{worst.times:.0f} times as long as in the baseline{more}"
        )
        evidence: dict[str, JSON] = {
            each.operation: [round(times.before_s, 3), round(times.after_s, 3)] for each, times in found_of
        }
        severity = NOTE if dataset in warned else WARN
        subject = f"queries {dataset}".strip()
        remedy = _look_at(facts, query)
        yield check.finding("slower-than-before", severity, message, remedy, evidence=evidence, subject=subject)


def _look_at(facts: SlowFacts, query: Query) -> Remedy:
    text = (
        "See when it became slow, and what changed then: the backend, its settings, the number of rows, an index; on "
        "PostgreSQL postgres-slowdown says more."
    )
    where = f"metric_type IN ({', '.join(map(literal, QUERIES))})"
    where += f" AND lower(coalesce(dataset_name, '')) = {literal(query.dataset)}"
    statement = f"SELECT timestamp, operation, duration_ms, row_count FROM metrics WHERE {where} ORDER BY id"  # noqa: S608 - quoted
    return Remedy(text, (shlex.join(("sqlite3", "-readonly", f"{facts.home}/metrics.db", statement)),))
