"""The JSON document `mdm-health/1`, written out by hand so that no change inside changes it by accident."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_mdm_health import __version__
from pytest_mdm_health.model import JSON, Finding, Result, Status, Target

if TYPE_CHECKING:
    from pytest_mdm_health.reports.model import Report

SCHEMA = "mdm-health/1"


def render(report: Report) -> str:
    """The document as text that can be encoded as UTF-8 whatever names it has."""
    text = json.dumps(document(report), indent=1, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def document(report: Report) -> dict[str, JSON]:
    """The document as plain data."""
    plan = report.plan
    counts: dict[str, JSON] = {status.value: report.counts.get(status, 0) for status in Status}
    return {
        "schema": SCHEMA,
        "tool": {"name": "pytest-mdm-health", "version": __version__},
        "started_at": report.started_at.isoformat(timespec="seconds"),
        "duration_s": report.duration_s,
        "phase": plan.options.phase,
        "depth": plan.options.depth,
        "home": str(plan.options.home),
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "counts": counts,
        "environment": {**environment(), "not_listed": list(report.gaps)},
        "mdm": _mdm(report),
        "results": [_result(result) for result in report.results],
        "baseline": None,
    }


def environment() -> dict[str, JSON]:
    """The machine and the interpreter that the run used."""
    return {"platform": platform.platform(), "python": platform.python_version(), "executable": sys.executable}


def _mdm(report: Report) -> dict[str, JSON] | None:
    installation = report.plan.known_installation
    if installation is None:
        return None
    return {"version": installation.version, "python": str(installation.python), "error": installation.error}


def _result(result: Result) -> dict[str, JSON]:
    return {
        "check": result.check.id,
        "issue": result.check.issue,
        "section": result.check.section,
        "title": result.check.title,
        "target": {"kind": result.target.kind.value, "name": result.target.name},
        "status": result.status.value,
        "reason": result.reason,
        "examined": result.examined,
        "duration_s": result.duration_s,
        "attempts": result.attempts,
        "facts": _plain(result.facts),
        "findings": [_finding(finding, result.target) for finding in result.findings],
        "blocked_by": result.blocked_by,
        "waiver": result.waiver,
        "baseline": result.baseline,
    }


def _finding(finding: Finding, target: Target) -> dict[str, JSON]:
    place = finding.location
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "evidence": _plain(finding.evidence),
        "location": {"file": place.file, "line": place.line, "column": place.column} if place else None,
        "remediation": {"text": finding.remedy.text, "commands": list(finding.remedy.commands)},
        "fingerprint": finding.fingerprint(target),
    }


def _plain(mapping: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: _finite(value) for name, value in mapping.items()}


def _finite(value: JSON) -> JSON:
    """JSON has no NaN and no infinity; they are written as text."""
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
