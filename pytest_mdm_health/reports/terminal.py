"""What a person sees in the terminal: a header, one text per failed check, and a summary to act on."""

from __future__ import annotations

import shlex
import shutil
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.changes import Comparison
from pytest_mdm_health.core.model import Finding, Result, Status
from pytest_mdm_health.core.options import OUTPUTS
from pytest_mdm_health.core.text import counted, one_line
from pytest_mdm_health.reports.compared_tables import grouped

if TYPE_CHECKING:
    import pytest

    from pytest_mdm_health.core.options import Options
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.knowledge.symptoms import Explanation
    from pytest_mdm_health.reports.model import Report

SHOWN_AS: Mapping[Status, tuple[str, str, Any]] = {
    Status.PASS: ("passed", ".", "PASSED"),
    Status.WARN: ("warned", "W", ("WARN", {"yellow": True})),
    Status.FAIL: ("failed", "F", "FAILED"),
    Status.ERROR: ("error", "E", "ERROR"),
    Status.SKIP: ("skipped", "s", "SKIPPED"),
    Status.BLOCKED: ("blocked", "b", ("BLOCKED", {"yellow": True})),
    Status.WAIVED: ("waived", "w", ("WAIVED", {"yellow": True})),
}
"""pytest's category, letter and word for each status."""
TOP = 5
NEXT_AFTER_ERROR = "run this check alone with more time; if it ends the same way, look at what it was examining"
_HANGING = 5
"""Spaces before what goes on from the line above."""

_LABELS = {
    "FAIL": "red",
    "WORSE": "red",
    "NEW": "red",
    "REMOVED": "red",
    "error:": "red",
    "WARN": "yellow",
    "LOST": "yellow",
}
"""The colours of words that begin a line."""

_COLOUR = {"healthy": "green", "degraded": "yellow", "unhealthy": "red", "inconclusive": "yellow"}


def header(plan: Plan, explained: Iterable[Explanation]) -> list[str]:
    """What is examined and why, before anything is."""
    home = plan.inventory.home
    count = len(plan.datasets)
    nothing = "datasets unknown" if plan.inventory.gaps else f"nothing registered in {home.registrations}"
    datasets = f"{count} dataset{'' if count == 1 else 's'}" if count else nothing
    lines = [f"MDM home: {home.root} ({datasets}); phase {plan.options.phase}, depth {plan.options.depth}"]
    lines += [f"MDM home: not listed: {gap}" for gap in plan.inventory.not_examined]
    lines += [f"MDM symptom: {each.issue}, because of {each.why}" for each in explained]
    return [one_line(line) for line in lines]


def describe(result: Result) -> str:
    """A failed result in full: what was found, where, and what to do."""
    headline = result.findings[0].message if result.findings else f"not examined: {result.reason}"
    lines = [one_line(headline), f"{result.check.title} (guide {result.check.issue})"]
    if result.status is Status.ERROR and not result.findings:
        lines += [f"  next: {NEXT_AFTER_ERROR}", f"    $ {run_again(result)}"]
    before: Finding | None = None
    for finding in result.findings:
        lines += ["", *_described(finding, before)]
        before = finding
    if result.reason and result.status is not Status.ERROR:
        lines += ["", f"  not covered: {one_line(result.reason)}"]
    return "\n".join(lines)


def run_again(result: Result, home: str = "") -> str:
    """The command that runs one check alone with more time; on this home, where the reader is somewhere else."""
    where = (f"--mdm-home={home}",) if home else ()
    return shlex.join(("pytest", result.node_id, *where, "--mdm-timeout", "600"))


def summary(terminal: pytest.TerminalReporter, report: Report, options: Options, troubles: Sequence[str]) -> None:
    """The verdict, the counts, what changed, what to do first, where the reports are; with `-q` the verdict only."""
    colour = {_COLOUR[report.verdict]: True}
    terminal.ensure_newline()
    terminal.section(f"MDM health: {report.verdict}", sep="=", bold=True, **colour)
    width = shutil.get_terminal_size().columns if terminal.isatty else None
    for line in () if terminal.verbosity < 0 else (*lines(report), *_written(options, troubles)):
        _write(terminal, line, width)
    for trouble in troubles:
        terminal.write_line(f"ERROR {trouble}", red=True)
    terminal.write_line(f"exit code {report.exit_code}: {report.meaning}", **colour)


def lines(report: Report) -> Iterator[str]:
    """What a person can act on, one line each: counts, changes, findings with a command, and what was left out."""
    yield " · ".join(f"{area} {status.value}" for area, status in report.areas.items())
    yield ", ".join(f"{count} {status.value}" for status, count in report.counts.items())
    if report.comparison is not None:
        below = {(code, thing.result.target.name) for thing in report.action_items[:TOP] for code in thing.codes}
        blocked = {(each.check.id, each.target.name) for each in report.results if each.status is Status.BLOCKED}
        yield from change_lines(report.comparison, below | blocked)
        yield from (f"     {group.sentence}" for group in grouped(report.comparison))
    yield from _action_items(report)
    if report.repairable:
        yield report.repair_hint
    yield from _waived(report)
    yield from _not_examined(report)
    if notes := report.notes:
        yield f"{counted(len(notes), 'note')} of advice: in the JSON and HTML reports"


def change_lines(comparison: Comparison, below: Collection[tuple[str, str]] = ()) -> Iterator[str]:
    """What became of things since the baseline, the worst first, but for those (code, target) that are shown below."""
    counts = ", ".join(f"{count} {word}" for word, count in comparison.counts.items()) or "nothing in common"
    since = f"{one_line(comparison.file)} of {one_line(comparison.created_at)}"
    yield f"since the baseline {since}: {counted(comparison.regressions, 'regression')} (results: {counts})"
    if comparison.moved:
        yield f"     it examined another place: {one_line(comparison.home)}"
    yield from _not_compared(comparison)
    if not comparison.same_checks:
        yield "     it may have looked for other things, so that what is new may have been there then"
    told = [each for each in comparison.changes if (each.code, each.target) not in below]
    alike: dict[tuple[str, str, str], list[str]] = {}
    for each in told:
        alike.setdefault((each.change.value.upper(), each.code, each.message), []).append(one_line(each.target))
    for (word, code, message), targets in list(alike.items())[:TOP]:
        more = f" and {len(targets) - TOP} more" if len(targets) > TOP else ""
        yield f"{word:<8}{code} [{', '.join(targets[:TOP])}{more}]: {one_line(message)}"
    if len(alike) > TOP:
        yield f"     and {counted(len(alike) - TOP, 'more change')} in these results: in the reports"


def _not_compared(comparison: Comparison) -> Iterator[str]:
    if comparison.unasked:
        yield f"     {counted(comparison.unasked, 'result')} of it not asked for in this run"
    for line in comparison.unknown[:TOP]:
        yield f"     not comparable: {one_line(line)}"
    if len(comparison.unknown) > TOP:
        yield f"     and {len(comparison.unknown) - TOP} more of that kind: in the JSON report"


def wrapped(line: str, width: int | None) -> list[str]:
    """The line in lines of a width, where it has one, broken at spaces and hanging; commands are left to be copied."""
    if width is None or len(line) <= width or line.lstrip().startswith("$ "):
        return [line]
    start = len(line) - len(line.lstrip())
    first, later = " " * start, " " * max(start, _HANGING)
    wrap = textwrap.TextWrapper(
        width - 1, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return wrap.wrap(line.lstrip())


def _write(terminal: pytest.TerminalReporter, line: str, width: int | None) -> None:
    first, *more = wrapped(line, width) or [""]
    label, space, rest = first.partition(" ")
    terminal.write(label, **({_LABELS[label]: True} if label in _LABELS else {}))
    terminal.write_line(space + rest)
    for each in more:
        terminal.write_line(each)


def _written(options: Options, troubles: Sequence[str]) -> Iterator[str]:
    """Where the reports are."""
    for name in OUTPUTS:
        path = getattr(options, name.replace("-", "_"))
        if path and not any(trouble.startswith(f"--mdm-{name}:") for trouble in troubles):
            yield f"{name}: {path}"


def _described(finding: Finding, before: Finding | None) -> Iterator[str]:
    """One finding; what to do about it only once where it is the same as for the one before."""
    yield f"  {finding.severity.value.upper()} {finding.code}: {one_line(finding.message)}"
    if place := finding.location:
        parts = (place.file, place.line, place.column)
        yield "       at " + one_line(":".join(str(part) for part in parts if part is not None))
    if before is not None and finding.remedy == before.remedy:
        yield "       next: as above"
        return
    yield f"       next: {one_line(finding.remedy.text)}"
    yield from (f"         $ {one_line(command)}" for command in finding.remedy.commands)


def _action_items(report: Report) -> Iterator[str]:
    changes = report.comparison.changes if report.comparison else ()
    since = {(each.code, each.target): f" ({each.change.value})" for each in changes}
    for thing in report.action_items[:TOP]:
        finding, target = thing.finding, thing.result.target
        headline = f"{finding.severity.value.upper():<5}{finding.code} [{target.id}]"
        yield f"{headline}{since.get((finding.code, target.name), '')}: {one_line(finding.message)}"
        if thing.more:
            yield f"     {one_line(thing.more)}"
        if not thing.remedy.commands:
            yield f"     next: {one_line(thing.remedy.text)}"
        yield from (f"     $ {one_line(command)}" for command in thing.remedy.commands)
    if (more_items := len(report.action_items) - TOP) > 0:
        yield f"     and {more_items} more kinds of findings"


def _waived(report: Report) -> Iterator[str]:
    told = [
        f"waived: {finding.code} [{result.target.id}]: {one_line(str(finding.waiver))}"
        f"; accepted: {one_line(finding.message)}"
        for result, finding in report.waived
    ]
    told += [
        f"waived: {result.check.id} [{result.target.id}]: {one_line(result.waiver or result.reason)}"
        for result in report.results
        if result.status is Status.WAIVED and not result.findings
    ]
    if report.waivers is not None:
        told += [f"expired waiver (ignored): {one_line(entry)}" for entry in report.waivers.expired]
        told += [f"unused waiver: {one_line(entry)}" for entry in report.waivers.unused]
    yield from told[:TOP]
    if len(told) > TOP:
        yield f"     and {len(told) - TOP} more about waivers: in the reports"


def _not_examined(report: Report) -> Iterator[str]:
    yield from (f"not listed: {one_line(gap)}" for gap in report.gaps)
    yield from (one_line(sentence) for sentence in report.ignored)
    shown: dict[tuple[Status, str, str], int] = {}
    for result in report.results:
        if result.status in {Status.ERROR, Status.SKIP}:
            key = (result.status, result.check.id, result.reason)
            shown[key] = shown.get(key, 0) + 1
    for (status, id_, reason), count in shown.items():
        times = f" ({count} times)" if count > 1 else ""
        yield f"{status.value}: {id_}{times}: {one_line(reason)}"
    yield from _blocked(report)


def _blocked(report: Report) -> Iterator[str]:
    """What could not be examined because of each failure."""
    by_cause: dict[str, list[str]] = {}
    for result in report.results:
        if result.status is Status.BLOCKED:
            name = result.node_id.removeprefix(f"{SUITE}::")
            by_cause.setdefault((result.blocked_by or "").removeprefix(f"{SUITE}::"), []).append(name)
    for cause, names in by_cause.items():
        more = f" and {len(names) - TOP} more" if len(names) > TOP else ""
        yield one_line(f"blocked by {cause}: {', '.join(names[:TOP])}{more}")
