"""The JSON document `mdm-health/2`: one model that is written, read back, and published as JSON Schema.

A run, its results and their findings have another form inside, and so classes of their own here, each with its way
there and back; everything else is in the document as it is inside. `results.schema.json` beside this module is made
from all these classes and their docstrings (`python -m pytest_mdm_health schema`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from pytest_mdm_health.core.changes import Comparison
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.reports.model import InstalledMdm, Report, WaiverUse

SCHEMA = "mdm-health/2"


def plain(mapping: Mapping[str, JSON]) -> dict[str, JsonValue]:
    """A mapping as JSON can hold it: it has no NaN and no infinity; they are written as text."""
    return {str(name): _finite(value) for name, value in mapping.items()}


def _finite(value: JSON) -> JsonValue:
    if isinstance(value, float) and value - value != 0:
        return str(value)
    if isinstance(value, Mapping):
        return plain(value)
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


Plain = Annotated[
    dict[str, JsonValue], BeforeValidator(lambda value: plain(value) if isinstance(value, Mapping) else value)
]
ChangeWord = Literal["new", "fixed", "unchanged", "worse", "lost", "added", "removed"]


class Part(BaseModel):
    """A part of the document: it has these keys and no other."""

    model_config = ConfigDict(extra="forbid")


class ToolPart(Part):
    """What made the document.

    Attributes:
        name: always pytest-mdm-health.
        version: the version that made the run.
    """

    name: str
    version: str


class FindingPart(Part):
    """One thing that was found.

    Attributes:
        code: `<check>.<finding>`; never changes its meaning.
        severity: fail is broken or will be lost, warn works today and is at risk, note is advice.
        message: one sentence, for people; do not compare it.
        evidence: what was seen; its names depend on the code.
        location: the place in a file, where there is one.
        subject: what in the target it is about, such as a table; two findings of one code on one target differ in it.
        remediation: what to do about it.
        fingerprint: sixteen hex digits that stay the same from run to run.
        waiver: why, by whom and until when it is accepted; null where it is not.
    """

    code: str
    severity: Severity
    message: str
    evidence: Plain
    location: Location | None
    subject: str
    remediation: Remedy
    fingerprint: str
    waiver: str | None

    @classmethod
    def of(cls, finding: Finding, target: Target) -> FindingPart:
        """A finding on a target as the document has it."""
        return cls(
            code=finding.code,
            severity=finding.severity,
            message=finding.message,
            evidence=dict(finding.evidence),
            location=finding.location,
            subject=finding.subject,
            remediation=finding.remedy,
            fingerprint=finding.fingerprint(target),
            waiver=finding.waiver,
        )

    def finding(self) -> Finding:
        """The finding."""
        return Finding(
            code=self.code,
            severity=self.severity,
            message=self.message,
            remedy=self.remediation,
            evidence=self.evidence,
            location=self.location,
            subject=self.subject,
            waiver=self.waiver,
        )


class ResultPart(Part):
    """How one check ended on one target.

    Attributes:
        check: the check's id.
        issue: the guide's issue, such as 3.2.
        section: the guide's section, such as 3.
        title: the problem as a person would put it.
        target: what the check was run on.
        status: how it ended; skip, blocked and error are inconclusive.
        reason: why it was skipped, blocked or could not be done, or what the result does not cover; empty otherwise.
        examined: how many things were looked at.
        duration_s: wall time in seconds; 0 for what was not run, such as a check that does not apply.
        findings: the worst first.
        blocked_by: the node id of the failed prerequisite.
        waiver: why, by whom and until when it is accepted; null where it is not.
        baseline: how it has changed since the baseline; null without one.
        facts: what was seen, with --mdm-json-facts; its names depend on the check, and NaN and inf are text.
    """

    check: str
    issue: str
    section: str
    title: str
    target: Target
    status: Status
    reason: str
    examined: int
    duration_s: float
    findings: list[FindingPart]
    blocked_by: str | None
    waiver: str | None
    baseline: ChangeWord | None
    facts: Plain = Field(default_factory=dict)

    @classmethod
    def of(cls, result: Result, *, facts: bool) -> ResultPart:
        """A result as the document has it, with its facts if they are wanted."""
        return cls.model_validate(
            {
                "check": result.check.id,
                "issue": result.check.issue,
                "section": result.check.section,
                "title": result.check.title,
                "target": result.target,
                "status": result.status,
                "reason": result.reason,
                "examined": result.examined,
                "duration_s": result.duration_s,
                "findings": [FindingPart.of(finding, result.target) for finding in result.findings],
                "blocked_by": result.blocked_by,
                "waiver": result.waiver,
                "baseline": result.baseline,
                "facts": result.facts if facts else {},
            }
        )

    def result(self) -> Result:
        """The result."""
        return Result(
            check=Check(id=self.check, issue=self.issue, title=self.title, per=self.target.kind),
            target=self.target,
            status=self.status,
            reason=self.reason,
            examined=self.examined,
            duration_s=self.duration_s,
            facts=self.facts,
            findings=tuple(part.finding() for part in self.findings),
            blocked_by=self.blocked_by,
            waiver=self.waiver,
            baseline=self.baseline,
        )


class Document(Part):
    """One run of pytest --mdm-health, as --mdm-json writes it.

    Attributes:
        schema: the version of this format.
        tool: what made the document.
        started_at: ISO 8601, with its time zone.
        duration_s: wall time in seconds.
        phase: where in a migration the run stands.
        depth: how much data was read.
        home: the path of the examined home.
        verdict: the word for how it ended, which options do not change.
        exit_code: what the process ended with.
        counts: how many results of each status; zeros included.
        not_run: how many of the results are of checks that were not run, because the run stopped before them.
        not_selected: what of the home the run was not asked about, so that verdict and exit code do not speak of it.
        environment: the machine and the interpreter; `not_listed` has places of the home that could not be listed,
            `ignored` a sentence for each check that was ignored although checks that ran depend on it.
        mdm: the installed MDM; null where it was not asked.
        results: in the order of the guide, then of the targets.
        baseline: how the home has changed since its baseline; null without one.
        waivers: what the waivers file did; null without one.
    """

    schema_: Literal["mdm-health/2"] = Field(alias="schema")
    tool: ToolPart
    started_at: Annotated[str, AfterValidator(_moment)]
    duration_s: float
    phase: Literal["pre", "post", "any"]
    depth: Literal["quick", "standard", "full"]
    home: str
    verdict: Literal["healthy", "degraded", "unhealthy", "inconclusive"]
    exit_code: int
    counts: dict[str, int]
    not_run: int
    not_selected: list[str] = Field(default_factory=list)
    environment: Plain
    mdm: InstalledMdm | None
    results: list[ResultPart]
    baseline: Comparison | None
    waivers: WaiverUse | None

    @classmethod
    def of(cls, report: Report, *, facts: bool) -> Document:
        """A run as the document has it, with the facts of its results if they are wanted."""
        return cls.model_validate(
            {
                "schema": SCHEMA,
                "tool": ToolPart(name="pytest-mdm-health", version=report.version),
                "started_at": report.started_at.isoformat(timespec="seconds"),
                "duration_s": report.duration_s,
                "phase": report.phase,
                "depth": report.depth,
                "home": report.home,
                "verdict": report.verdict,
                "exit_code": report.exit_code,
                "counts": {status.value: report.counts.get(status, 0) for status in Status},
                "not_run": report.not_run,
                "not_selected": list(report.not_selected),
                "environment": {**report.environment, "not_listed": list(report.gaps), "ignored": list(report.ignored)},
                "mdm": report.mdm,
                "results": [ResultPart.of(result, facts=facts) for result in report.results],
                "baseline": report.comparison,
                "waivers": report.waivers,
            }
        )

    def report(self) -> Report:
        """The run."""
        environment = dict(self.environment)
        gaps, ignored = environment.pop("not_listed", None), environment.pop("ignored", None)
        return Report(
            results=tuple(part.result() for part in self.results),
            started_at=datetime.fromisoformat(self.started_at),
            duration_s=self.duration_s,
            exit_code=self.exit_code,
            home=self.home,
            phase=self.phase,
            depth=self.depth,
            environment=environment,
            gaps=tuple(str(gap) for gap in gaps) if isinstance(gaps, list) else (),
            ignored=tuple(map(str, ignored)) if isinstance(ignored, list) else (),
            mdm=self.mdm,
            comparison=self.baseline,
            waivers=self.waivers,
            not_run=self.not_run,
            not_selected=tuple(self.not_selected),
            version=self.tool.version,
        )
