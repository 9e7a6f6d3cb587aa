"""What GitHub Actions shows of a run by itself: the summary of the step, and annotations."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.core.model import Finding, Location, Result, Severity
from pytest_mdm_health.core.text import counted, one_line
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.redaction.scan import Leaks
from pytest_mdm_health.reports import markdown, shows
from pytest_mdm_health.reports.model import Report

SUMMARY, ACTIONS, WORKSPACE = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"
"""Variables of GitHub Actions: the file of the step's summary, whether we run there, and the folder of the checkout."""

LIMIT_BYTES = 1 << 20
"""What a step may write into its summary; GitHub drops a summary that is larger, all of it."""

ANNOTATIONS = 10
"""Annotations of a run; GitHub shows ten of a kind and a step."""

OF_ONE_CODE = 3
"""Annotations of one code, each on another target, so that others have room."""

_LEVEL = {Severity.FAIL: "error", Severity.WARN: "warning"}
_CUT = "*The report is longer than GitHub shows; {} left out here. `--mdm-html` and `--mdm-markdown` have all of it.*"


def publish(report: Report, leaks: Leaks, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Append the report to the step's summary, if there is one; the lines that belong into the log.

    With a secret in it nothing is shown, and a line says so.
    """
    if not environ.get(SUMMARY) and environ.get(ACTIONS) != "true":
        return
    if (secret := leaks.in_content(markdown.render(report))) is not None:
        yield f"WARNING GitHub is shown nothing of this run: {shows(secret)}"
        return
    if trouble := append_summary(report, environ):
        yield f"WARNING {trouble}"
    yield from workflow_commands(report, environ)


def append_summary(report: Report, environ: Mapping[str, str]) -> str:
    """Append the report to the step's summary, if there is one; return what went wrong on one line, or nothing."""
    if not environ.get(SUMMARY):
        return ""
    path = Path(environ[SUMMARY])
    try:
        if skip_reason := _skip_reason(path, report.home):
            return f"{SUMMARY}: {path} {skip_reason}"
        with path.open("ab") as file:
            file.write(cut(markdown.blocks(report), LIMIT_BYTES - file.tell()).encode("utf-8"))
    except (OSError, ValueError) as error:
        return f"{SUMMARY}: {path} could not be written: {getattr(error, 'strerror', None) or error}"
    return ""


def _skip_reason(path: Path, home: str) -> str:
    if (kind := kind_of(path)) not in {FileKind.FILE, FileKind.MISSING}:
        return (
            f"is not a file to write to but a {kind.value}" if kind is not FileKind.UNREACHABLE else "cannot be reached"
        )
    inside = path.resolve().is_relative_to(Path(home).resolve())
    return "is in the home that is examined, where nothing is written" if inside else ""


def cut(blocks: Iterable[str], limit: int) -> str:
    """As many whole blocks as the limit of bytes allows, with a line that says so where it does not allow all."""
    every = list(blocks)
    if _size(markdown.joined(["", *every])) <= limit:
        return markdown.joined(["", *every])
    kept: list[str] = [""]
    room = limit - _size(_left_out(len(every))) - len("\n\n\n\n")
    for block in every:
        room -= _size(block) + len("\n\n")
        if room < 0:
            break
        kept.append(block)
    text = markdown.joined([*kept, _left_out(len(every) + 1 - len(kept))])
    return text if _size(text) <= limit else ""


def workflow_commands(report: Report, environ: Mapping[str, str]) -> Iterator[str]:
    """Workflow commands for the worst findings that have a line in a file; none outside GitHub Actions."""
    if environ.get(ACTIONS) != "true":
        return
    told: dict[str, set[str]] = {}
    lines = []
    for result, finding in report.findings:
        targets = told.setdefault(finding.code, set())
        if finding.location is None or not finding.location.line or result.target.id in targets:
            continue
        if len(targets) < OF_ONE_CODE:
            targets.add(result.target.id)
            lines.append(_annotation(result, finding, finding.location, environ))
    yield from lines[:ANNOTATIONS]


def _annotation(result: Result, finding: Finding, place: Location, environ: Mapping[str, str]) -> str:
    properties = {**_anchor(place, environ.get(WORKSPACE, "")), "title": f"{finding.code} [{result.target.id}]"}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = "\n".join((one_line(finding.message), f"next: {one_line(finding.remedy.text)}"))
    return f"::{_LEVEL[finding.severity]} {told}::{_data(message)}"


def _anchor(place: Location, workspace: str) -> dict[str, str]:
    """Where it is in the checkout; nothing of a file elsewhere, which GitHub cannot show."""
    file = os.path.normpath(place.file)
    if not workspace or not Path(file).is_relative_to(workspace):
        return {}
    column = {"col": str(place.column)} if place.column else {}
    return {"file": os.path.relpath(file, workspace), "line": str(place.line), **column}


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")


def _left_out(count: int) -> str:
    return _CUT.format(counted(count, "part"))


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
