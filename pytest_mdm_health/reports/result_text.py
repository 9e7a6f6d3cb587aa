"""One result in full, as text: what pytest shows of a failure, and what pages show where there is nothing to repair."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_mdm_health.core.model import Finding, Result, Status
from pytest_mdm_health.core.text import one_line

NEXT_AFTER_ERROR = "run this check alone with more time; if it ends the same way, look at what it was examining"


def describe(result: Result) -> str:
    """A failed result in full: what was found, where, and what to do."""
    return "\n".join(map(one_line, _described(result)))


def run_again(result: Result, home: str = "") -> str:
    """The command that runs one check alone with more time; on this home, where the reader is somewhere else."""
    where = (f"--mdm-home={home}",) if home else ()
    return shlex.join(("pytest", result.node_id, *where, "--mdm-timeout", "600"))


def _described(result: Result) -> Iterator[str]:
    yield result.findings[0].message if result.findings else f"not examined: {result.reason}"
    yield f"{result.check.title} (guide {result.check.issue})"
    if result.status is Status.ERROR and not result.findings:
        yield f"  next: {NEXT_AFTER_ERROR}"
        yield f"    $ {run_again(result)}"
    previous: Finding | None = None
    for finding in result.findings:
        yield ""
        yield from _described_finding(finding, previous)
        previous = finding
    if result.reason and result.status is not Status.ERROR:
        yield ""
        yield f"  not covered: {result.reason}"


def _described_finding(finding: Finding, previous: Finding | None) -> Iterator[str]:
    """One finding; what to do about it only once where it is the same as for the previous one."""
    yield f"  {finding.severity.value.upper()} {finding.code}: {finding.message}"
    if finding.location is not None:
        position = (finding.location.file, finding.location.line, finding.location.column)
        yield "       at " + ":".join(str(part) for part in position if part is not None)
    if previous is not None and finding.remedy == previous.remedy:
        yield "       next: as above"
        return
    yield f"       next: {finding.remedy.text}"
    for command in finding.remedy.commands:
        yield f"         $ {command}"
