"""The shape of the JSON document `mdm-health/1`: for type checkers, for reading it back, and for its JSON Schema.

`json_report` writes it, `json_load` reads it; `results.schema.json` beside this module is made from it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, JsonValue, with_config
from typing_extensions import TypedDict

SCHEMA = "mdm-health/1"
_CLOSED = ConfigDict(extra="forbid")
Plain = dict[str, JsonValue]
ChangeWord = Literal["new", "fixed", "unchanged", "worse", "lost", "added", "removed"]


@with_config(_CLOSED)
class ToolPart(TypedDict):
    """What made the document."""

    name: str
    version: str


@with_config(_CLOSED)
class MdmPart(TypedDict):
    """The MDM that is installed, as its own interpreter describes it."""

    version: str | None
    python: str
    error: str | None


@with_config(_CLOSED)
class TargetPart(TypedDict):
    """What a check was run on."""

    kind: Literal["home", "dataset", "server", "file"]
    name: str


@with_config(_CLOSED)
class LocationPart(TypedDict):
    """A place in a file; lines and columns count from 1."""

    file: str
    line: int | None
    column: int | None


@with_config(_CLOSED)
class RemediationPart(TypedDict):
    """What a person does next."""

    text: str
    commands: list[str]


@with_config(_CLOSED)
class FindingPart(TypedDict):
    """One thing that was found."""

    code: str
    severity: Literal["fail", "warn", "note"]
    message: str
    evidence: Plain
    location: LocationPart | None
    subject: str
    remediation: RemediationPart
    fingerprint: str
    waiver: str | None


@with_config(_CLOSED)
class ResultPart(TypedDict):
    """How one check ended on one target; durations in seconds."""

    check: str
    issue: str
    section: str
    title: str
    target: TargetPart
    status: Literal["pass", "warn", "fail", "error", "skip", "blocked", "waived"]
    reason: str
    examined: int
    duration_s: float
    attempts: int
    facts: Plain
    findings: list[FindingPart]
    blocked_by: str | None
    waiver: str | None
    baseline: ChangeWord | None


@with_config(_CLOSED)
class ChangedPart(TypedDict):
    """One thing that is not as it was in the baseline."""

    change: ChangeWord
    what: str
    code: str
    target: str
    subject: str
    message: str


@with_config(_CLOSED)
class BaselinePart(TypedDict):
    """The run compared with an earlier one."""

    file: str
    created_at: str
    home: str
    moved: bool
    recorded_by: str
    same_checks: bool
    counts: dict[str, int]
    changes: list[ChangedPart]
    regressions: int
    lost: int


@with_config(_CLOSED)
class WaiversPart(TypedDict):
    """The waivers file, and which of its entries did nothing, one sentence each."""

    file: str
    expired: list[str]
    unused: list[str]


@with_config(_CLOSED)
class Document(TypedDict):
    """One run."""

    schema: Literal["mdm-health/1"]
    tool: ToolPart
    started_at: str
    duration_s: float
    phase: Literal["pre", "post", "any"]
    depth: Literal["quick", "standard", "full"]
    home: str
    verdict: Literal["healthy", "degraded", "unhealthy", "inconclusive"]
    exit_code: int
    counts: dict[str, int]
    environment: Plain
    mdm: MdmPart | None
    results: list[ResultPart]
    baseline: BaselinePart | None
    waivers: WaiversPart | None
