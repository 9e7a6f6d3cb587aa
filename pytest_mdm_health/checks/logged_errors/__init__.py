"""The log reports errors.

Symptoms
--------
Lines of level ERROR or CRITICAL, or tracebacks, in `logs/mdm.log` or in the files that were rotated away from it. A
command that failed with an unclear message; something that worked yesterday.

Causes
------
Those of the issue that the message belongs to. The guide's table ties eight messages to their causes: an exhausted
connection pool, a locked SQLite file, a missing table, a damaged registration, too little memory, a time-out, missing
permissions, and modules that are not installed. MDM also logs and swallows many errors, above all of features, so that
a command reports success although part of its work is missing.

Diagnosis
---------
Examine the log around the record that is named, and what MDM logged next: an error that was followed by success for
the same dataset is old noise. A log reports the past; whether something is broken now is found by the check of the
issue that the message belongs to.

Solutions
---------
Follow the issue that is named. Then run the command that failed again; once it succeeds, this check is satisfied. Logs
that are no longer needed can be rotated away.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pytest_mdm_health.checks._shared.log_excerpt import show_record
from pytest_mdm_health.checks.logged_errors import findings
from pytest_mdm_health.checks.logged_errors.collect import read_errors
from pytest_mdm_health.checks.logged_errors.facts import ErrorGroup, LogFacts
from pytest_mdm_health.checks.logged_errors.findings import CHECK, NOTE, RULES, UNREADABLE
from pytest_mdm_health.core.model import JSON, Finding, Severity
from pytest_mdm_health.core.text import moment
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.mdm.home import Home

__all__ = ["CHECK", "RULES", "judge", "observe"]

RULES_BY_CODE = {rule.code: rule for rule in (*findings.KNOWN_ERRORS, *findings.OTHER_ERRORS)}
CAUSES = {error.finding: error for error in KNOWN_ERRORS}
CHAPTERS = {
    "mdm.config": "issue 2.1",
    "mdm.core.storage": "section 3",
    "mdm.dataset.manager": "issue 7.2",
    "mdm.dataset.operations": "issue 7.2",
    "mdm.dataset.registrar": "issue 7.1",
    "mdm.dataset": "section 7",
    "mdm.features.custom": "issue 6.2",
    "mdm.features": "issue 6.1",
    "mdm.performance": "section 4",
    "mdm.storage": "section 3",
}
"""Where the guide covers what a logger reports; the longest name counts."""


def observe(mdm_home: Home) -> LogFacts:
    """Read all logs."""
    return read_errors(mdm_home.log_file)


def judge(facts: LogFacts) -> Iterator[Finding]:
    """One finding for each file that cannot be read, and for each group of errors."""
    for reason in facts.unreadable:
        yield UNREADABLE(subject=reason, reason=reason)
    for group in facts.errors:
        yield _reported(group)


def _reported(group: ErrorGroup) -> Finding:
    rule, cause = RULES_BY_CODE[group.code], CAUSES.get(group.code)
    values: dict[str, Any] = {
        "error": cause.name if cause else _title(group),
        "count": group.count,
        "when": _when(group),
        "outcome": "" if group.open else "; a later operation succeeded",
        "action": "" if group.open else "No action required. ",
        "show_record": show_record(group.at),
    }
    evidence = _evidence(group)
    severity = _severity(group)
    if cause is None:
        subject = f"{group.logger}:{group.example}"
        chapter = _chapter(group.logger)
        values["action"] = (
            "" if group.open else "What failed may still be missing, although later operations succeeded. "
        )
        return rule(severity, at=group.at, subject=subject, evidence=evidence, chapter=chapter, **values)
    values |= {"issue": cause.issue, "cause": cause.cause, "fix": cause.fix}
    return rule(severity, at=group.at, subject=group.code, evidence=evidence, **values)


def _severity(group: ErrorGroup) -> Severity:
    if not group.open or group.level == "WARNING":  # after a warning MDM went on by itself
        return NOTE
    return Severity.FAIL if group.level == "CRITICAL" else Severity.WARN


def _title(group: ErrorGroup) -> str:
    return group.example.partition("\n")[0] or group.error or "a traceback"


def _when(group: ErrorGroup) -> str:
    if group.last is None:
        return ""
    first, last = (moment(datetime.fromisoformat(time)) for time in (group.first or group.last, group.last))
    return f", on {last}" if first == last else f", from {first} to {last}"


def _chapter(logger: str) -> str:
    names = [name for name in CHAPTERS if f"{logger}.".startswith(f"{name}.")]
    return CHAPTERS[max(names, key=len)] if names else "section 8"


def _evidence(group: ErrorGroup) -> dict[str, JSON]:
    return {
        "count": group.count,
        "count_not_followed_by_success": group.open,
        "first": group.first,
        "last": group.last,
        "example": group.example,
        "error": group.error,
        "datasets": [*group.datasets],
    }
