"""What pytest's terminal shows of the suite: a header, a word for each result, and a summary with colours."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.core.model import Status
from pytest_mdm_health.core.options import OUTPUTS
from pytest_mdm_health.core.text import counted, one_line
from pytest_mdm_health.reports.summary_lines import lines

if TYPE_CHECKING:
    import pytest

    from pytest_mdm_health.core.options import Options
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.knowledge.symptoms import Explanation
    from pytest_mdm_health.reports.model import Report, Trouble

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
_CONTINUATION_INDENT = 5
"""Spaces in front of what continues the line above."""

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
    if count:
        datasets = counted(count, "dataset")
    elif plan.inventory.unlisted:
        datasets = "datasets unknown"
    else:
        datasets = f"nothing registered in {home.registrations}"
    texts = [f"MDM home: {home.root} ({datasets}); phase {plan.options.phase}, depth {plan.options.depth}"]
    texts += [f"MDM home: not listed: {gap}" for gap in plan.inventory.not_examined]
    texts += [f"MDM symptom: {explanation.issue}, because of {explanation.why}" for explanation in explained]
    return [one_line(text) for text in texts]


def summary(terminal: pytest.TerminalReporter, report: Report, options: Options, troubles: Sequence[Trouble]) -> None:
    """The verdict, the counts, what changed, what to do first, where the reports are; with `-q` the verdict only."""
    colour = {_COLOUR[report.verdict]: True}
    terminal.ensure_newline()
    terminal.section(f"MDM health: {report.verdict}", sep="=", bold=True, **colour)
    if terminal.verbosity >= 0:
        width = shutil.get_terminal_size().columns if terminal.isatty else None
        for line in (*lines(report), *_written(options, troubles)):
            _write(terminal, line, width)
    for trouble in troubles:
        terminal.write_line(f"ERROR {trouble}", red=True)
    terminal.write_line(f"exit code {report.exit_code}: {report.meaning}", **colour)


def wrapped(line: str, width: int | None) -> list[str]:
    """The line as lines of a width, where it has one, broken at spaces; commands stay whole, to be copied."""
    if width is None or len(line) <= width or line.lstrip().startswith("$ "):
        return [line]
    indent = len(line) - len(line.lstrip())
    wrapper = textwrap.TextWrapper(
        width - 1,
        initial_indent=" " * indent,
        subsequent_indent=" " * max(indent, _CONTINUATION_INDENT),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(line.lstrip())


def _write(terminal: pytest.TerminalReporter, line: str, width: int | None) -> None:
    first, *more = wrapped(line, width) or [""]
    label, space, rest = first.partition(" ")
    colour = {_LABELS[label]: True} if label in _LABELS else {}
    terminal.write(label, **colour)
    terminal.write_line(space + rest)
    for continuation in more:
        terminal.write_line(continuation)


def _written(options: Options, troubles: Sequence[Trouble]) -> Iterator[str]:
    """Where the reports are."""
    failed = {trouble.output for trouble in troubles}
    for name in OUTPUTS:
        path = getattr(options, name.replace("-", "_"))
        if path and name not in failed:
            yield f"{name}: {path}"
