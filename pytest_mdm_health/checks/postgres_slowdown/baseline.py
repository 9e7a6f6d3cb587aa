"""Which statements take longer than when the baseline was recorded. Pure.

A server counts on and on. Where it says that its counters were not reset, what it had counted for the baseline is
subtracted, so that only the runs after the baseline count; otherwise all that it has counted now is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_mdm_health.backends.sql_text import takes_long_by_nature
from pytest_mdm_health.checks.postgres_slowdown.facts import PostgresFacts, RecordedStatement

FACTOR, LOST_MS = 2, 50.0
"""A statement is slower if it takes twice as long on average and at least so many milliseconds more."""

CALLS = 10
"""Runs on both sides from which on a mean is meaningful."""

Statements = Sequence[RecordedStatement]


@dataclass(frozen=True)
class SlowerStatement:
    """A statement, its runs after the baseline, and the mean times in milliseconds."""

    database: str
    text: str
    calls: int
    before_ms: float
    after_ms: float

    @property
    def lost_ms(self) -> float:
        """What all its runs took longer."""
        return (self.after_ms - self.before_ms) * self.calls


def slower_statements(facts: PostgresFacts, before: PostgresFacts | None) -> Mapping[str, list[SlowerStatement]]:
    """Those that are slower than in the baseline by database, first what lost most time."""
    found: dict[str, list[SlowerStatement]] = defaultdict(list)
    if before is None:
        return found
    for was, now in _pairs(before.recorded, facts.recorded):
        counted_on = bool(facts.recorded_since) and facts.recorded_since == before.recorded_since
        diff = _without(now, was) if counted_on else now
        if _is_slower(was, diff) and not takes_long_by_nature(now.text):
            found[now.database].append(SlowerStatement(now.database, now.text, diff.calls, was.mean_ms, diff.mean_ms))
    for statements in found.values():
        statements.sort(key=lambda statement: -statement.lost_ms)
    return found


def _pairs(before: Statements, after: Statements) -> Iterator[tuple[RecordedStatement, RecordedStatement]]:
    """The same statement on both sides: by its id, which changes when a database is restored, else by a unique text."""
    by_id = {_key(statement): statement for statement in before}
    by_text, now_by_text = _by_text(before), _by_text(after)
    for statement in after:
        text = (statement.database, statement.text)
        candidates = by_text.get(text, [])
        if _key(statement) in by_id:
            yield by_id[_key(statement)], statement
        elif len(candidates) == len(now_by_text[text]) == 1:
            yield candidates[0], statement


def _key(statement: RecordedStatement) -> tuple[str, str, str]:
    return statement.database, statement.query_id, statement.text


def _by_text(statements: Statements) -> dict[tuple[str, str], list[RecordedStatement]]:
    found: dict[tuple[str, str], list[RecordedStatement]] = defaultdict(list)
    for statement in statements:
        found[statement.database, statement.text].append(statement)
    return found


def _without(now: RecordedStatement, was: RecordedStatement) -> RecordedStatement:
    """The runs after the baseline; all of them if the server forgot the statement in between and counts from zero."""
    if now.query_id != was.query_id or now.calls < was.calls or now.total_ms < was.total_ms:
        return now
    return replace(now, calls=now.calls - was.calls, total_ms=now.total_ms - was.total_ms)


def _is_slower(was: RecordedStatement, diff: RecordedStatement) -> bool:
    if min(was.calls, diff.calls) < CALLS:
        return False
    return diff.mean_ms >= FACTOR * was.mean_ms and diff.mean_ms - was.mean_ms >= LOST_MS
