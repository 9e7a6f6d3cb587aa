"""What is the same, said once: results that passed or were skipped, and what has changed since the baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_mdm_health.core.changes import Change, Changed
from pytest_mdm_health.core.model import Check, Kind, Result, Status
from pytest_mdm_health.reports.html.findings import anchor
from pytest_mdm_health.reports.model import Report
from pytest_mdm_health.reports.result_text import NEXT_AFTER_ERROR, run_again

CHANGES: dict[Change, str] = {
    Change.WORSE: "Worse than before",
    Change.NEW: "Newly broken or at risk",
    Change.REMOVED: "Gone",
    Change.LOST: "Examined then, and not this time",
    Change.FIXED: "Repaired",
    Change.ADDED: "New, and harmless",
}
"""The headings of what changed, the worst first; what is as it was is only counted."""
_PLAIN = {"check", "finding"}
_WORST_FIRST = ("fail", "warn", "", "note")


_SHORT, _LONG = 4, 2500
"""Commands, and characters of all of them, up to which they are shown in the list of what to do first."""


@dataclass(frozen=True)
class Alike:
    """Results of one check with the same reason.

    Attributes:
        everywhere: whether these are all datasets of the run, where there are several.
        examined: how many things were looked at in all of them.
    """

    check: Check
    reason: str
    blocked_by: str
    targets: tuple[str, ...]
    everywhere: bool
    examined: int


@dataclass(frozen=True)
class ChangeLine:
    """One thing that changed on one target, with the codes that say so."""

    target: str
    severity: str
    what: str
    message: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class ChangesPart:
    """What changed in one way."""

    heading: str
    entries: tuple[Changed, ...]

    @property
    def lines(self) -> tuple[ChangeLine, ...]:
        """The same, the most harmful first, with what is said of one target in the same words taken together."""
        lines: dict[tuple[str, str, str, str], list[str]] = {}
        for each in sorted(self.entries, key=lambda each: _WORST_FIRST.index(each.severity)):
            what = "" if each.what in _PLAIN else each.what
            lines.setdefault((each.target, each.severity, what, each.message), []).append(each.code)
        return tuple(ChangeLine(*key, tuple(codes)) for key, codes in lines.items())


@dataclass(frozen=True)
class ToDo:
    """One thing to do, on a line.

    Attributes:
        tone: the severity of the finding, or `error`.
        target: on what.
        message: what is wrong.
        text: what to do, where there is no command.
        commands: what to type, in this order.
        more: how many further findings or results are of this kind, in words; empty if there are none.
        link: the anchor of the whole finding in the page.
    """

    tone: str
    target: str
    message: str
    text: str
    commands: tuple[str, ...]
    more: str
    link: str

    @property
    def is_short(self) -> bool:
        """Whether all of it can be shown in the list; if not, the finding has it."""
        return 0 < len(self.commands) <= _SHORT and sum(map(len, self.commands)) < _LONG


def alike(report: Report, *statuses: Status) -> tuple[Alike, ...]:
    """The results that ended so, those of one check and with one reason together."""
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    for result in report.results:
        if result.status in statuses:
            key = (result.check.id, result.reason, result.blocked_by or "")
            grouped.setdefault(key, []).append(result)
    every = set(report.datasets)
    return tuple(_alike(results, every) for results in grouped.values())


def changes(entries: Sequence[Changed]) -> tuple[ChangesPart, ...]:
    """What changed, by the way it changed, the worst first."""
    parts = (
        ChangesPart(heading, tuple(each for each in entries if each.change is change))
        for change, heading in CHANGES.items()
    )
    return tuple(part for part in parts if part.entries)


def to_do(report: Report) -> tuple[ToDo, ...]:
    """What to do first: what failed, what could not be done, then what is at risk."""
    found = [
        ToDo(
            tone=thing.finding.severity.value,
            target=thing.result.target.name,
            message=thing.finding.message,
            text=thing.remedy.text,
            commands=thing.remedy.commands,
            more=thing.more,
            link=anchor(thing.finding.code, thing.finding.severity),
        )
        for thing in report.action_items
    ]
    things = [*found, *_errors(report)]
    return tuple(sorted(things, key=lambda thing: ("fail", "error", "warn").index(thing.tone)))


def _errors(report: Report) -> Iterator[ToDo]:
    by_check: dict[str, list[Result]] = {}
    for result in report.results:
        if result.status is Status.ERROR and not result.findings:
            by_check.setdefault(result.check.id, []).append(result)
    for first, *others in by_check.values():
        yield ToDo(
            tone="error",
            target=first.target.name,
            message=f"{first.check.id} could not be done: {first.reason}",
            text=NEXT_AFTER_ERROR,
            commands=(run_again(first, report.home),),
            more=f"and on {len(others)} more" if others else "",
            link="not-done",
        )


def _alike(results: Sequence[Result], every: Iterable[str]) -> Alike:
    first = results[0]
    targets = tuple(result.target.name for result in results)
    everywhere = first.target.kind is Kind.DATASET and len(targets) > 1 and set(targets) == set(every)
    examined = sum(result.examined for result in results)
    return Alike(first.check, first.reason, first.blocked_by or "", targets, everywhere, examined)
