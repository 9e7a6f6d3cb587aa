"""How each result has changed since an earlier run, decided by codes and targets, never by prose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_mdm_health.baseline.changes_by_code import changes_by_code
from pytest_mdm_health.baseline.file import Baseline, check_set
from pytest_mdm_health.core.changes import Change, Changed, Comparison
from pytest_mdm_health.core.model import Finding, Result, Severity, Status, Target
from pytest_mdm_health.reports.compared_tables import not_compared, tables_of

Problem = tuple[str, str]
"""A finding's code and subject, the home's own path taken out of the subject."""

_EXAMINED = {Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED}
_FAILED_TO_EXAMINE = {Status.ERROR, Status.BLOCKED}
_RANK = {Severity.WARN: 1, Severity.FAIL: 2}
_REGRESSIONS = {Change.NEW, Change.WORSE}
_WORST_FIRST = (Change.WORSE, Change.NEW, Change.REMOVED, Change.LOST, Change.FIXED, Change.ADDED, Change.UNCHANGED)


@dataclass(frozen=True)
class Pair:
    """A check on a target before and after; one of the two may be missing."""

    before: Result | None
    after: Result | None
    homes: tuple[str, str]
    known_changes: Mapping[str, tuple[str, Change]]

    @property
    def change(self) -> Change:
        """How the result has changed."""
        if self.after is None:
            return Change.REMOVED
        if self.before is None:
            return Change.NEW if self.problems_after else Change.ADDED
        if self.after.status not in _EXAMINED:
            return self._no_longer_examined
        if self.before.status not in _EXAMINED:
            return Change.NEW if self.problems_after else Change.ADDED
        return self._both_examined

    @property
    def _no_longer_examined(self) -> Change:
        assert self.before is not None
        assert self.after is not None
        if self.before.status not in _EXAMINED:
            return Change.UNCHANGED
        return Change.LOST if self.after.applies else Change.REMOVED

    @property
    def is_newly_blocked(self) -> bool:
        """Whether it could not be examined because of a failure that did not keep the baseline from examining it."""
        if self.after is None or self.after.status is not Status.BLOCKED:
            return False
        before = self.before
        return before is None or (before.status, before.blocked_by) != (Status.BLOCKED, self.after.blocked_by)

    @property
    def _both_examined(self) -> Change:
        before, after = self.problems_before, self.problems_after
        if not after:
            return Change.FIXED if before and all(map(self.is_fixed, before)) else Change.UNCHANGED
        if any(rank > before.get(problem, 0) for problem, rank in after.items()):
            return Change.WORSE if before else Change.NEW
        return Change.UNCHANGED

    def is_fixed(self, problem: Problem) -> bool:
        """Whether a problem of the baseline was looked for again, and what it was about is there and good.

        What is only a note in this phase still exists, and where something was lost, the problem may be gone with it.
        """
        assert self.after is not None
        findings = self.after.findings
        still_noted = any(_problem(finding, self.homes[1]) == problem for finding in findings)
        lost = any(self.known_changes.get(finding.code, ("", None))[1] is Change.REMOVED for finding in findings)
        return not (still_noted or lost)

    @property
    def problems_before(self) -> Mapping[Problem, int]:
        """Failures and warnings of the earlier run, with how bad they were."""
        return _problems(self.before, self.homes[0])

    @property
    def problems_after(self) -> Mapping[Problem, int]:
        """Failures and warnings of this run, with how bad they are."""
        return _problems(self.after, self.homes[1])


def compared(
    baseline: Baseline, results: Iterable[Result], home: str, *, whole: bool = False
) -> tuple[tuple[Result, ...], Comparison]:
    """The results, each with how it has changed, and the whole picture.

    Args:
        baseline: the earlier run.
        results: of this run.
        home: that this run examined.
        whole: whether this run was of everything, so that what only the earlier one has is gone. In a run of ours what
            is gone has results of its own, and all else that is missing was not asked for.
    """
    now = tuple(results)
    every = _pairs(baseline, now, home)
    pairs = [pair for pair in every if whole or pair.after is not None]
    counts = Counter(pair.change for pair in pairs)
    changes = [changed for pair in pairs for changed in _changes(pair)]
    comparison = Comparison(
        file=baseline.file,
        created_at=baseline.created_at,
        home=baseline.home,
        moved=baseline.home != home,
        recorded_by=baseline.version,
        same_checks=baseline.check_set == check_set(),
        counts={change.value: counts[change] for change in Change if counts[change]},
        changes=tuple(sorted(changes, key=lambda each: _WORST_FIRST.index(each.change))),
        regressions=sum(counts[change] for change in _REGRESSIONS),
        lost=counts[Change.LOST],
        unknown=tuple(_unknown(pairs)),
        unasked=len(every) - len(pairs),
        tables=tuple(table for pair in pairs if pair.after is not None for table in tables_of(pair.after)),
    )
    by_key = {_key(pair.after): pair.change.value for pair in pairs if pair.after is not None}
    return tuple(replace(result, baseline=by_key[_key(result)]) for result in now), comparison


def _unknown(pairs: Iterable[Pair]) -> Iterator[str]:
    for pair in pairs:
        if pair.after is None:
            continue
        name = f"{pair.after.check.id} [{pair.after.target.name}]"
        if pair.is_newly_blocked:
            yield f"{name} is blocked by {pair.after.blocked_by}, which did not block it in the baseline"
        if pair.before is None:
            continue
        if pair.before.status in _FAILED_TO_EXAMINE and pair.after.status in _EXAMINED:
            yield f"{name} could not be examined when the baseline was recorded"
        yield from (f"{name}: the table {each.table} was not compared" for each in not_compared(tables_of(pair.after)))


def _pairs(baseline: Baseline, now: tuple[Result, ...], home: str) -> list[Pair]:
    before = {_key(result): result for result in baseline.results}
    after = {_key(result): result for result in now}
    homes, known = (baseline.home, home), changes_by_code()
    keys = (*after, *(key for key in before if key not in after))
    return [Pair(before.get(key), after.get(key), homes, known) for key in keys]


def _key(result: Result) -> tuple[str, Target]:
    return result.check.id, result.target


def _problems(result: Result | None, home: str) -> Mapping[Problem, int]:
    if result is None or result.status not in _EXAMINED:
        return {}
    harmful = (finding for finding in result.findings if finding.severity in _RANK)
    problems: dict[Problem, int] = {}
    for finding in harmful:
        problem = _problem(finding, home)
        problems[problem] = max(problems.get(problem, 0), _RANK[finding.severity])
    return problems


def _problem(finding: Finding, home: str) -> Problem:
    return finding.code, finding.subject.replace(home, "<home>") if home else finding.subject


def _changes(pair: Pair) -> Iterator[Changed]:
    if pair.change in {Change.LOST, Change.REMOVED}:
        yield _of_result(pair)
        return
    if pair.after is not None:
        yield from _found(pair, pair.after)
    if pair.before is not None and pair.after is not None and pair.after.status in _EXAMINED:
        yield from _no_longer_found(pair, pair.before)


def _of_result(pair: Pair) -> Changed:
    result = pair.after or pair.before
    assert result is not None
    why = result.reason if pair.after else "only the earlier run had it"
    return Changed(pair.change, "check", result.check.id, result.target.name, "", why)


def _found(pair: Pair, after: Result) -> Iterator[Changed]:
    before, now = pair.problems_before, pair.problems_after
    for finding in after.findings:
        problem = _problem(finding, pair.homes[1])
        if finding.code in pair.known_changes:
            what, change = pair.known_changes[finding.code]
            yield _of_finding(change, what, finding, after)
        elif finding.severity in _RANK and now.get(problem, 0) > before.get(problem, 0):
            yield _of_finding(Change.WORSE if problem in before else Change.NEW, "finding", finding, after)


def _no_longer_found(pair: Pair, before: Result) -> Iterator[Changed]:
    for finding in before.findings:
        problem = _problem(finding, pair.homes[0])
        if (
            problem in pair.problems_before
            and problem not in pair.problems_after
            and pair.is_fixed(problem)
            and finding.code not in pair.known_changes
        ):
            yield _of_finding(Change.FIXED, "finding", finding, before)


def _of_finding(change: Change, what: str, finding: Finding, result: Result) -> Changed:
    severity = finding.severity.value
    return Changed(change, what, finding.code, result.target.name, finding.subject, finding.message, severity)
