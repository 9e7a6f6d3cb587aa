"""The exit codes, computed from the results alone, whatever is reported and wherever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.model import Result, Status


class ExitCode(IntEnum):
    """What the run amounts to, for whoever called it. Codes 2 to 5 are pytest's own."""

    HEALTHY = 0
    UNHEALTHY = 1
    WARNINGS = 10
    INCONCLUSIVE = 11
    UNUSABLE_FILE = 12


MEANING = {
    ExitCode.HEALTHY: "healthy",
    ExitCode.UNHEALTHY: "at least one check failed",
    ExitCode.WARNINGS: "warnings, and --mdm-fail-on=warn",
    ExitCode.INCONCLUSIVE: "nothing failed, but not every check could do its work",
    ExitCode.UNUSABLE_FILE: "the baseline, waivers or expectations file cannot be used",
}
_EXAMINED = {Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED}
_HARMFUL = {Status.FAIL, Status.WARN}
_WORSE = {Change.NEW, Change.WORSE}


def exit_code(
    results: Iterable[Result], *, fail_on: str = "fail", strict: bool = False, gaps: bool = False
) -> ExitCode:
    """Fold the statuses of all results into one exit code; `gaps` says that part of the home could not be listed."""
    every = tuple(results)
    counts = Counter(result.status for result in every)
    lost = not every_cause_is_known(every)
    failing = {Status.SKIP, Status.BLOCKED, Status.ERROR} if strict else set()
    if fail_on == "regression":
        lost |= any(result.baseline == Change.LOST for result in every)
        bad = any(result.status in _HARMFUL and result.baseline in _WORSE for result in every)
    else:
        bad = counts[Status.FAIL] > 0
    if bad or any(counts[status] for status in failing):
        return ExitCode.UNHEALTHY
    if lost or gaps or counts[Status.ERROR] or not any(map(_was_examined, every)):
        return ExitCode.INCONCLUSIVE
    return ExitCode.WARNINGS if counts[Status.WARN] and fail_on == "warn" else ExitCode.HEALTHY


def _was_examined(result: Result) -> bool:
    """Whether something was looked at: a skip mark waives a check without it."""
    return result.status in _EXAMINED and (result.status is not Status.WAIVED or bool(result.findings))


def every_cause_is_known(results: Iterable[Result]) -> bool:
    """Whether the failure that blocks a result is among the results, for each one that is blocked.

    A cause that is there either counts as a failure itself or is waived, and what it blocks is accepted with it.
    """
    every = tuple(results)
    known = {result.node_id for result in every}
    return all(result.blocked_by in known for result in every if result.status is Status.BLOCKED)


def verdict(results: Iterable[Result], *, gaps: bool = False) -> str:
    """The word for it, which options do not change: `healthy`, `degraded`, `unhealthy` or `inconclusive`."""
    every = tuple(results)
    statuses = {result.status for result in every}
    if Status.FAIL in statuses:
        return "unhealthy"
    gaps |= not every_cause_is_known(every)
    if gaps or Status.ERROR in statuses or not any(map(_was_examined, every)):
        return "inconclusive"
    return "degraded" if Status.WARN in statuses else "healthy"
