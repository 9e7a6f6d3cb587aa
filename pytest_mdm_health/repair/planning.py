"""Which steps repair what a report found, in which order, and what is left to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.verbs import VERBS, Repair
from pytest_mdm_health.reports.model import Report

EXAMINED = frozenset({Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED})
"""How a check ends that could be done."""
_TOLD = (Severity.FAIL, Severity.WARN)


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
        found: the findings of the report that are still found.
        gone: those that are not found any more, each as code and target.
        unknown: those that cannot be looked for now, because their check could not be done, likewise.
        new: failures that the report does not have, likewise.
        warned: warnings that the report does not have, such as of a check that was blocked, likewise.
    """

    steps: tuple[PlannedStep, ...]
    found: tuple[tuple[Result, Finding], ...]
    gone: tuple[str, ...]
    unknown: tuple[str, ...]
    new: tuple[str, ...]
    warned: tuple[str, ...]

    @property
    def by_hand(self) -> tuple[tuple[Result, Finding], ...]:
        """The findings that no verb repairs."""
        return tuple((result, finding) for result, finding in self.found if not finding.remedy.repairs)


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
    examined = {(result.check.id, result.target) for result in now.results if result.status in EXAMINED}
    absent = [pair for fingerprint, pair in before.items() if fingerprint not in found and _is_wanted(*pair, wanted)]
    return RepairPlan(
        tuple(PlannedStep(number, repair, *pair) for number, (repair, pair) in enumerate(ordered, 1)),
        tuple(still),
        tuple(_name(*pair) for pair in absent if (pair[0].check.id, pair[0].target) in examined),
        tuple(_name(*pair) for pair in absent if (pair[0].check.id, pair[0].target) not in examined),
        *(_names([pair for name, pair in found.items() if name not in before], severity) for severity in _TOLD),
    )


def names_in(report: Report) -> frozenset[str]:
    """By what the findings of a report can be selected: targets, checks and codes."""
    return frozenset(
        name for result, finding in _pairs(report) for name in (result.target.name, result.check.id, finding.code)
    )


def _names(pairs: Iterable[tuple[Result, Finding]], severity: Severity) -> tuple[str, ...]:
    return tuple(_name(*pair) for pair in pairs if pair[1].severity is severity)


def _name(result: Result, finding: Finding) -> str:
    return f"{finding.code} ({result.target.name})"


def _pairs(report: Report) -> Iterator[tuple[Result, Finding]]:
    for result in report.results:
        for finding in result.findings:
            if finding.waiver is None:
                yield result, finding


def _is_wanted(result: Result, finding: Finding, wanted: set[str]) -> bool:
    return not wanted or bool(wanted & {result.target.name, result.check.id, finding.code})
