"""The JSON document `mdm-health/2`, written out by hand so that no change inside changes it by accident."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from pytest_mdm_health.core.changes import Changed, ComparedTable, Comparison
from pytest_mdm_health.core.model import JSON, Finding, Result, Status
from pytest_mdm_health.reports.json.document import (
    SCHEMA,
    BaselinePart,
    ChangedPart,
    Document,
    FindingPart,
    MdmPart,
    ResultPart,
    TablePart,
    WaiversPart,
)
from pytest_mdm_health.reports.model import InstalledMdm, Report, WaiverUse


def render(report: Report, *, facts: bool = False) -> str:
    """The document as text that can be encoded as UTF-8 whatever names it has; with the facts if they are wanted."""
    return as_text(document(report, facts=facts), indent=1)


def as_text(data: object, indent: int | None = None) -> str:
    """Plain data as JSON that can be encoded as UTF-8: a lone surrogate becomes JSON's own escape of it."""
    separators = None if indent else (",", ":")
    text = json.dumps(data, indent=indent, separators=separators, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def document(report: Report, *, facts: bool = False) -> Document:
    """The document as plain data."""
    return cast(
        "Document",
        {
            "schema": SCHEMA,
            "tool": {"name": "pytest-mdm-health", "version": report.version},
            "started_at": report.started_at.isoformat(timespec="seconds"),
            "duration_s": report.duration_s,
            "phase": report.phase,
            "depth": report.depth,
            "home": report.home,
            "verdict": report.verdict,
            "exit_code": report.exit_code,
            "counts": {status.value: report.counts.get(status, 0) for status in Status},
            "not_run": report.not_run,
            "environment": {**plain(report.environment), "not_listed": list(report.gaps)},
            "mdm": _mdm(report.mdm),
            "results": [_result(result, facts=facts) for result in report.results],
            "baseline": _comparison(report.comparison),
            "waivers": _waivers(report.waivers),
        },
    )


def environment(overridden: Mapping[str, str] | None = None) -> dict[str, JSON]:
    """The machine and the interpreter that the run used, and fixtures of the repository that were not used."""
    found: dict[str, JSON] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "executable": sys.executable,
    }
    return found | ({"fixtures_not_used": dict(overridden)} if overridden else {})


def _mdm(installed: InstalledMdm | None) -> MdmPart | None:
    if installed is None:
        return None
    return {"version": installed.version, "python": installed.python, "error": installed.error}


def _result(result: Result, *, facts: bool) -> ResultPart:
    return cast(
        "ResultPart",
        {
            "check": result.check.id,
            "issue": result.check.issue,
            "section": result.check.section,
            "title": result.check.title,
            "target": {"kind": result.target.kind.value, "name": result.target.name},
            "status": result.status.value,
            "reason": result.reason,
            "examined": result.examined,
            "duration_s": result.duration_s,
            "findings": [_finding(finding, result) for finding in result.findings],
            "blocked_by": result.blocked_by,
            "waiver": result.waiver,
            "baseline": result.baseline,
            **({"facts": plain(result.facts)} if facts else {}),
        },
    )


def _finding(finding: Finding, result: Result) -> FindingPart:
    place = finding.location
    fingerprint = finding.fingerprint(result.target)
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "evidence": plain(finding.evidence),
        "location": {"file": place.file, "line": place.line, "column": place.column} if place else None,
        "subject": finding.subject,
        "remediation": {"text": finding.remedy.text, "commands": list(finding.remedy.commands)},
        "fingerprint": fingerprint,
        "waiver": result.waived.get(fingerprint),
    }


def _comparison(comparison: Comparison | None) -> BaselinePart | None:
    if comparison is None:
        return None
    return {
        "file": comparison.file,
        "created_at": comparison.created_at,
        "home": comparison.home,
        "moved": comparison.moved,
        "recorded_by": comparison.recorded_by,
        "same_checks": comparison.same_checks,
        "counts": dict(comparison.counts),
        "changes": [_changed(each) for each in comparison.changes],
        "regressions": comparison.regressions,
        "lost": comparison.lost,
        "unknown": list(comparison.unknown),
        "unasked": comparison.unasked,
        "tables": [_table(each) for each in comparison.tables],
    }


def _changed(each: Changed) -> ChangedPart:
    return cast(
        "ChangedPart",
        {
            "change": each.change.value,
            "what": each.what,
            "code": each.code,
            "target": each.target,
            "subject": each.subject,
            "message": each.message,
            "severity": each.severity,
        },
    )


def _table(each: ComparedTable) -> TablePart:
    return {
        "dataset": each.dataset,
        "table": each.table,
        "rows_before": each.rows_before,
        "rows_after": each.rows_after,
        "verdict": each.verdict,
        "by": each.by,
        "reader": each.reader,
    }


def _waivers(use: WaiverUse | None) -> WaiversPart | None:
    if use is None:
        return None
    return {"file": use.file, "expired": list(use.expired), "unused": list(use.unused)}


def plain(mapping: Mapping[str, JSON]) -> dict[str, JsonValue]:
    """A mapping as JSON can hold it: it has no NaN and no infinity; they are written as text."""
    return {name: _finite(value) for name, value in mapping.items()}


def _finite(value: JSON) -> JsonValue:
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
