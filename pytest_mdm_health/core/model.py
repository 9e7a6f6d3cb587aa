"""What a check is, what it finds, and what it concludes.

Everything here is frozen, compared by value and free of I/O, so that a result means the same in the child
process that made it, in the worker that reports it and in the baseline that keeps it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.verbs import Repair

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]


class Severity(str, Enum):
    """How bad a finding is: `fail` is broken or will be lost, `warn` works today and is at risk, `note` is advice."""

    NOTE = "note"
    WARN = "warn"
    FAIL = "fail"


class Status(str, Enum):
    """How a check ended for one target."""

    PASS = "pass"  # noqa: S105 - the word of the contract, no password
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    BLOCKED = "blocked"
    WAIVED = "waived"


class Kind(str, Enum):
    """What a check is run on, in the order of the run."""

    HOME = "home"
    SERVER = "server"
    DATASET = "dataset"


class Phase(str, Enum):
    """Where in a migration the run stands."""

    PRE = "pre"
    POST = "post"
    ANY = "any"


class Depth(str, Enum):
    """How much data is read: structure only, counts and samples too, or every row."""

    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"


class NotApplicable(Exception):
    """Raised while looking: this check has nothing to say here. Its text is the reason shown with the skip."""


class NotExamined(Exception):
    """What the check is about is there and could not be examined; the text says why. Its result is an error."""


@dataclass(frozen=True, order=True)
class Target:
    """The one thing that a check is run on.

    Attributes:
        kind: what sort of thing it is.
        name: the name a person knows it by, as MDM has it; `home` for the home.
    """

    kind: Kind
    name: str

    @property
    def id(self) -> str:
        """The name as it stands in a node id: printable, on one line, without what pytest reads as its own syntax."""
        escaped = "".join(c if c.isprintable() and c not in "[]\\/" else f"\\x{ord(c):02x}" for c in self.name)
        return escaped.replace("::", "\\x3a\\x3a")


HOME = Target(Kind.HOME, "home")

BASELINE_ONLY: Mapping[str, str] = {"kept": "baseline"}
"""Metadata of a field of facts that the baseline keeps and reports do not show, such as a digest."""


@dataclass(frozen=True)
class Location:
    """A place in a file.

    Attributes:
        file: absolute path.
        line: counted from 1, where a line is known.
        column: counted from 1, where a column is known.
    """

    file: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Remedy:
    """What a person does next.

    Attributes:
        text: one or two sentences.
        commands: shell commands to copy, quoted for a POSIX shell, with this home's own paths.
        repairs: those of the commands that `mdm-health repair` can do, as data.
    """

    text: str
    commands: tuple[str, ...] = ()
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        code: `<check>.<finding>`; never changes its meaning.
        severity: what it does to the result's status.
        message: one sentence, what is wrong, with names and numbers.
        remedy: what to do about it.
        evidence: what was seen, small and JSON-able; `datasets`, if a server's failure is that of these only.
        location: the place in a file, where there is one.
        subject: what in the target it is about (a table, a key, a file below the home); two findings of one
            code on one target differ in it.
        waiver: why, by whom and until when it is accepted, if it is.
    """

    code: str
    severity: Severity
    message: str
    remedy: Remedy
    evidence: Mapping[str, JSON] = field(default_factory=dict)
    location: Location | None = None
    subject: str = ""
    waiver: str | None = None

    def fingerprint(self, target: Target) -> str:
        """Sixteen hex digits that stay the same from run to run, whatever the message says."""
        identity = f"{self.code}\0{target.kind.value}\0{target.name}\0{self.subject}"
        return hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a check saw: the base of every check's own facts, JSON-able, kept in the baseline.

    Attributes:
        examined: how many things were looked at (files, tables, keys); zero never passes.
        gaps: what could not be looked at, each with its reason, as a sentence without a full stop.
        unexamined: likewise what a sound result depends on, such as a registered table; without it nothing passes, and
            unless something else is a failure the result is an error.
    """

    examined: int
    gaps: tuple[str, ...] = ()
    unexamined: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """The declaration of one check.

    Attributes:
        id: the problem's name, as in `mdm-health::<id>[<target>]`; the module is called the same with `_`.
        issue: the guide's issue number, such as `3.2`.
        title: one line, the problem as a person would put it.
        per: the kind of target it is run on.
        requires: what must not have happened, on the same target, on its server or on the home, for this one to mean
            anything: `<check>` for any failure of that check, `<check>.<finding>` for that finding as a failure.
        tolerates: findings of required checks, as `<check>.<finding>`, that leave this one its meaning.
        backends: the dataset backends it applies to; empty for all.
        phases: the phases in which it makes sense.
        depth: the least depth it needs.
        live: whether it looks at what is going on, so that files which change meanwhile do not make it wrong.
        reads: what of the home it depends on besides the registrations: `log`, `metrics`, `custom-features`. What of it
            this user may not read is not examined, and the result is an error.
        tags: words to select it by.
    """

    id: str
    issue: str
    title: str
    per: Kind
    requires: tuple[str, ...] = ()
    tolerates: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = (Phase.PRE, Phase.POST, Phase.ANY)
    depth: Depth = Depth.QUICK
    live: bool = False
    reads: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def prerequisites(self) -> tuple[tuple[str, str], ...]:
        """`requires` taken apart: the id of a check, and one of its findings or an empty text."""
        return tuple((id_, finding) for id_, _, finding in (word.partition(".") for word in self.requires))

    @property
    def section(self) -> str:
        """The guide's section number."""
        return self.issue.partition(".")[0]

    def finding(
        self,
        code: str,
        severity: Severity,
        message: str,
        remedy: Remedy,
        *,
        evidence: Mapping[str, JSON] | None = None,
        location: Location | None = None,
        subject: str = "",
    ) -> Finding:
        """A finding of this check; `code` is the part after the dot, the rest as in `Finding`."""
        return Finding(f"{self.id}.{code}", severity, message, remedy, evidence or {}, location, subject)


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one check ended on one target.

    Attributes:
        status: the word of the contract.
        reason: why it was skipped, blocked or could not be done, or what a result does not cover; empty otherwise.
        examined: how many things were looked at.
        duration_s: wall time in seconds; 0 for what was not run, such as a check that does not apply.
        facts: what was seen, as plain data.
        kept: more of it, which only a baseline keeps.
        findings: worst first.
        blocked_by: the node id of the failed prerequisite.
        waiver: why, by whom and until when it is accepted, if it is.
        baseline: how it has changed since the baseline, as a word of the contract.
    """

    check: Check
    target: Target
    status: Status
    reason: str = ""
    examined: int = 0
    duration_s: float = 0.0
    facts: Mapping[str, JSON] = field(default_factory=dict)
    kept: Mapping[str, JSON] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    blocked_by: str | None = None
    waiver: str | None = None
    baseline: str | None = None

    @property
    def node_id(self) -> str:
        """The id that pytest shows and takes."""
        return node_id(self.check, self.target)

    @property
    def applies(self) -> bool:
        """Whether the check has something to say about the target, which a skip that took no time has not."""
        return self.status is not Status.SKIP or self.duration_s > 0


def node_id(check: Check, target: Target) -> str:
    """The id that pytest shows and takes for this check on this target."""
    return f"{SUITE}::{check.id}[{target.id}]"


def status_of(findings: Iterable[Finding]) -> Status:
    """The status that findings amount to: the worst of them, where notes leave a pass a pass."""
    severities = {finding.severity for finding in findings}
    if Severity.FAIL in severities:
        return Status.FAIL
    return Status.WARN if Severity.WARN in severities else Status.PASS
