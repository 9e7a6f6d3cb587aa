"""Which statements take longer than when the baseline was recorded. Pure.

A server counts on and on. Where it tells that its counting did not begin anew, what it had counted for the baseline is
taken off, so that the runs since then stand alone; otherwise all that it has counted now is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_mdm_health.backends.sql_text import takes_long_by_nature
from pytest_mdm_health.checks._shared.postgres.facts import PostgresFacts, RecordedStatement

TIMES, LOST_MS = 2, 50.0
"""A statement is slower if it takes twice as long on average and at least so many milliseconds more."""

CALLS = 10
"""Runs on both sides from which on a mean says something."""


@dataclass(frozen=True)
class SlowerStatement:
    """A statement, its runs since the baseline, and the mean times in milliseconds."""

    database: str
    text: str
    calls: int
    before_ms: float
    after_ms: float


def slower_statements(facts: PostgresFacts, before: PostgresFacts | None) -> Mapping[str, list[SlowerStatement]]:
    """Those that are slower than in the baseline by database, first what lost most time."""
    found: dict[str, list[SlowerStatement]] = defaultdict(list)
    if before is None:
        return found
    for was, now in _pairs(before.recorded, facts.recorded):
        counted_on = bool(facts.recorded_since) and facts.recorded_since == before.recorded_since
        since = _without(now, was) if counted_on else now
        if _is_slower(was, since) and not takes_long_by_nature(now.text):
            found[now.database].append(SlowerStatement(now.database, now.text, since.calls, was.mean_ms, since.mean_ms))
    for each in found.values():
        each.sort(key=lambda one: -(one.after_ms - one.before_ms) * one.calls)
    return found


def _pairs(
    before: Sequence[RecordedStatement], after: Sequence[RecordedStatement]
) -> Iterator[tuple[RecordedStatement, RecordedStatement]]:
    """The same statement on both sides: by its id, which a restored database gives anew, else by a text of its own."""
    by_id, by_text = ({_key(each): each for each in before}, _by_text(before))
    now_by_text = _by_text(after)
    for each in after:
        alike = by_text.get((each.database, each.text), [])
        if _key(each) in by_id:
            yield by_id[_key(each)], each
        elif len(alike) == len(now_by_text[each.database, each.text]) == 1:
            yield alike[0], each


def _key(each: RecordedStatement) -> tuple[str, str, str]:
    return each.database, each.query_id, each.text


def _by_text(statements: Sequence[RecordedStatement]) -> dict[tuple[str, str], list[RecordedStatement]]:
    found: dict[tuple[str, str], list[RecordedStatement]] = defaultdict(list)
    for each in statements:
        found[each.database, each.text].append(each)
    return found


def _without(now: RecordedStatement, was: RecordedStatement) -> RecordedStatement:
    """The runs since; all of them if the server forgot the statement in between, which then counts anew."""
    if now.query_id != was.query_id or now.calls < was.calls or now.total_ms < was.total_ms:
        return now
    return replace(now, calls=now.calls - was.calls, total_ms=now.total_ms - was.total_ms)


def _is_slower(was: RecordedStatement, since: RecordedStatement) -> bool:
    if min(was.calls, since.calls) < CALLS:
        return False
    return since.mean_ms >= TIMES * was.mean_ms and since.mean_ms - was.mean_ms >= LOST_MS
