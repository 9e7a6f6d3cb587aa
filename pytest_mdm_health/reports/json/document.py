"""The shape of the JSON document `mdm-health/2`: for type checkers, for reading it back, and for its JSON Schema.

`json_report` writes it, `json_load` reads it; `results.schema.json` beside this module is made from it, with what these
docstrings say (`python -m pytest_mdm_health schema`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, JsonValue, with_config
from typing_extensions import NotRequired, TypedDict

SCHEMA = "mdm-health/2"
_CLOSED = ConfigDict(extra="forbid")
Plain = dict[str, JsonValue]
ChangeWord = Literal["new", "fixed", "unchanged", "worse", "lost", "added", "removed"]


@with_config(_CLOSED)
class ToolPart(TypedDict):
    """What made the document.

    Attributes:
        name: always pytest-mdm-health.
        version: the version that made the run.
    """

    name: str
    version: str


@with_config(_CLOSED)
class MdmPart(TypedDict):
    """The MDM that is installed, as its own interpreter describes it.

    Attributes:
        version: null where it could not be asked.
        python: the interpreter.
        error: why it could not be asked; null where it could.
    """

    version: str | None
    python: str
    error: str | None


@with_config(_CLOSED)
class TargetPart(TypedDict):
    """What a check was run on.

    Attributes:
        kind: what sort of thing it is.
        name: as MDM has it; `home` for the home.
    """

    kind: Literal["home", "dataset", "server"]
    name: str


@with_config(_CLOSED)
class LocationPart(TypedDict):
    """A place in a file.

    Attributes:
        file: its path.
        line: counted from 1; null where no line is known.
        column: counted from 1; null where no column is known.
    """

    file: str
    line: int | None
    column: int | None


@with_config(_CLOSED)
class RemediationPart(TypedDict):
    """What a person does next.

    Attributes:
        text: one or two sentences.
        commands: shell commands to copy, quoted for a POSIX shell.
    """

    text: str
    commands: list[str]


@with_config(_CLOSED)
class FindingPart(TypedDict):
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
    """How one check ended on one target.

    Attributes:
        check: the check's id.
        issue: the guide's issue, such as 3.2.
        section: the guide's section, such as 3.
        title: the problem as a person would put it.
        target: what the check was run on.
        status: how it ended; skip, blocked and error are neither good nor bad.
        reason: why it was skipped, blocked or could not be done, or what the result does not cover; empty otherwise.
        examined: how many things were looked at.
        duration_s: wall time in seconds; 0 for what was not run, such as a check that does not apply.
        findings: the worst first.
        blocked_by: the node id of the failed prerequisite.
        waiver: why, by whom and until when it is accepted; null where it is not.
        baseline: what became of it since the baseline; null without one.
        facts: what was seen, with --mdm-json-facts; its names depend on the check, and NaN and inf are text.
    """

    check: str
    issue: str
    section: str
    title: str
    target: TargetPart
    status: Literal["pass", "warn", "fail", "error", "skip", "blocked", "waived"]
    reason: str
    examined: int
    duration_s: float
    findings: list[FindingPart]
    blocked_by: str | None
    waiver: str | None
    baseline: ChangeWord | None
    facts: NotRequired[Plain]


@with_config(_CLOSED)
class ChangedPart(TypedDict):
    """One thing that is not as it was in the baseline.

    Attributes:
        change: what became of it.
        what: the kind of thing, such as check, finding, dataset, table, column, feature, setting or duration.
        code: the finding's code, or the check's id.
        target: the target's name.
        subject: what in the target; empty when it is the target as such.
        message: one sentence.
        severity: that of the finding; empty where it is none.
    """

    change: ChangeWord
    what: str
    code: str
    target: str
    subject: str
    message: str
    severity: Literal["fail", "warn", "note", ""]


@with_config(_CLOSED)
class TablePart(TypedDict):
    """One data table before and after.

    Attributes:
        dataset: the name of its dataset.
        table: its name.
        rows_before: in the baseline; null where it was not there or not counted.
        rows_after: in this run, likewise.
        verdict: equal, differs, incomparable, lost, added or not-compared.
        by: what it was decided by, such as digest, columns, sample, count or types; empty where nothing was read.
        reader: how its rows were read; empty if they were not.
    """

    dataset: str
    table: str
    rows_before: int | None
    rows_after: int | None
    verdict: str
    by: str
    reader: str


@with_config(_CLOSED)
class BaselinePart(TypedDict):
    """The run compared with an earlier one.

    Attributes:
        file: the baseline, or the earlier results.
        created_at: when that run started, ISO 8601.
        home: the home that it examined.
        moved: whether that is another place than now.
        recorded_by: the version of this product that made it.
        same_checks: whether that version looked for the same things.
        counts: how many results became what; removed ones are those that only the earlier run had.
        changes: what is not as it was, the worst first.
        regressions: results that are worse than they were, or newly bad.
        lost: results that were examined then and could not be now.
        unknown: what nobody can call better or worse, because one of the two runs could not examine it, a line each.
        unasked: how many results of the earlier run were not asked for in this one.
        tables: the data tables that were compared.
    """

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
    unknown: list[str]
    unasked: int
    tables: list[TablePart]


@with_config(_CLOSED)
class WaiversPart(TypedDict):
    """What became of the waivers file.

    Attributes:
        file: its path.
        expired: entries that are out of date and did not count, each by its line, code and target.
        unused: entries that met nothing, likewise.
    """

    file: str
    expired: list[str]
    unused: list[str]


@with_config(_CLOSED)
class Document(TypedDict):
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
        environment: the machine and the interpreter; `not_listed` has places of the home that could not be listed.
        mdm: the installed MDM; null where it was not asked.
        results: in the order of the guide, then of the targets.
        baseline: what became of the home since its baseline; null without one.
        waivers: what the waivers file did; null without one.
    """

    schema: Literal["mdm-health/2"]
    tool: ToolPart
    started_at: str
    duration_s: float
    phase: Literal["pre", "post", "any"]
    depth: Literal["quick", "standard", "full"]
    home: str
    verdict: Literal["healthy", "degraded", "unhealthy", "inconclusive"]
    exit_code: int
    counts: dict[str, int]
    not_run: int
    environment: Plain
    mdm: MdmPart | None
    results: list[ResultPart]
    baseline: BaselinePart | None
    waivers: WaiversPart | None
