"""Which steps repair what a report found, in which order, and what is left to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_mdm_health.core.model import Finding, Result, Severity
from pytest_mdm_health.core.verbs import VERBS, Repair
from pytest_mdm_health.reports.model import Report


@dataclass(frozen=True)
class PlannedStep:
    """One call of a verb, and the finding that it is for.

    Attributes:
        number: from 1, in the order of the plan.
        repair: the call.
        result: whose finding it is.
        finding: as it was found right now.
    """

    number: int
    repair: Repair
    result: Result
    finding: Finding

    @property
    def fingerprint(self) -> str:
        """By which the finding is found again."""
        return self.finding.fingerprint(self.result.target)


@dataclass(frozen=True)
class RepairPlan:
    """What to do about a report.

    Attributes:
        steps: in the order in which they are done.
        by_hand: findings that no verb repairs.
        gone: findings of the report that are not found any more, each as code and target.
    """

    steps: tuple[PlannedStep, ...]
    by_hand: tuple[tuple[Result, Finding], ...]
    gone: tuple[str, ...]


def make_plan(reported: Report, now: Report, only: Iterable[str] = (), *, notes: bool = False) -> RepairPlan:
    """The plan: of what was reported, what is still found and how it is repaired.

    Args:
        reported: the report; it selects, and nothing else is taken from it.
        now: the results of examining the home again.
        only: names of targets, ids of checks or codes; empty for all.
        notes: whether notes are repaired too.
    """
    wanted = set(only)
    before = {finding.fingerprint(result.target): (result, finding) for result, finding in _pairs(reported)}
    found = {finding.fingerprint(result.target): (result, finding) for result, finding in _pairs(now)}
    still = [
        pair
        for fingerprint, pair in found.items()
        if fingerprint in before and _is_wanted(*pair, wanted) and (notes or pair[1].severity is not Severity.NOTE)
    ]
    calls = {repair: pair for pair in still for repair in pair[1].remedy.repairs}
    ordered = sorted(calls.items(), key=lambda call: VERBS[call[0].verb].order)
    gone = (f"{finding.code} ({result.target.name})" for key, (result, finding) in before.items() if key not in found)
    return RepairPlan(
        tuple(PlannedStep(number, repair, *pair) for number, (repair, pair) in enumerate(ordered, 1)),
        tuple(pair for pair in still if not pair[1].remedy.repairs),
        tuple(gone),
    )


def _pairs(report: Report) -> Iterator[tuple[Result, Finding]]:
    for result in report.results:
        for finding in result.findings:
            if finding.waiver is None:
                yield result, finding


def _is_wanted(result: Result, finding: Finding, wanted: set[str]) -> bool:
    return not wanted or bool(wanted & {result.target.name, result.check.id, finding.code})
