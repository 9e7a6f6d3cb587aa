"""The report as Markdown: for a chat, a pull request and the summary of a CI step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from pytest_mdm_health.core.changes import Changed, Comparison
from pytest_mdm_health.core.model import Finding, Kind, Location, Result, Severity, Status
from pytest_mdm_health.core.text import counted, duration
from pytest_mdm_health.engine.registry import SECTIONS, load
from pytest_mdm_health.reports.compared_tables import grouped
from pytest_mdm_health.reports.decision import answer
from pytest_mdm_health.reports.html.groups import alike, changes, to_do
from pytest_mdm_health.reports.html.matrix import matrix
from pytest_mdm_health.reports.limitations import unproven
from pytest_mdm_health.reports.markdown_text import cell, code, fence, plain
from pytest_mdm_health.reports.model import Report

FIRST, CHANGES, IN_FULL, NAMES, ROWS = 5, 10, 5, 10, 50
"""How much is shown at most: things to do first, changes of a kind, findings of a code, names in a list, datasets."""

_SIGNS = {"healthy": "✅", "degraded": "⚠️", "unhealthy": "❌", "inconclusive": "❔"}
_GO_SIGNS = {"go": "✅", "with care": "⚠️", "not known": "❔", "no-go": "❌"}
Found = tuple[Result, Finding]


def render(report: Report) -> str:
    """The whole of it."""
    return joined(blocks(report))


def joined(parts: Iterable[str]) -> str:
    """Blocks as one text."""
    return "\n\n".join(parts) + "\n"


def blocks(report: Report) -> Iterator[str]:
    """The report in pieces that each are whole: after any of them it can be cut."""
    yield from _verdict(report)
    if report.comparison is not None:
        yield from _since(report.comparison)
    yield from _first(report)
    yield from _datasets(report)
    yield from _findings(report)
    yield from _waived(report)
    yield from _without_answer(report)
    yield from _environment(report)
    yield "### What this run does not prove"
    checks = {id_: each.check for id_, each in load().items()}
    yield _list(plain(each) for each in unproven(report, checks))


def _verdict(report: Report) -> Iterator[str]:
    said = answer(report)
    yield f"## {_SIGNS[report.verdict]} MDM health: {report.verdict}"
    yield f"**{plain(said.question)} {plain(said.word.capitalize())}.** {plain(said.reason)}"
    counts = ", ".join(f"{count} {status.value}" for status, count in report.counts.items()) or "no results"
    yield f"Exit code **{report.exit_code}**: {plain(report.meaning)}.  \n{counts}"
    areas = " · ".join(f"{area} **{status.value}**" for area, status in report.areas.items())
    when = f"{report.started_at:%Y-%m-%d %H:%M %Z}"
    about = f"{counted(len(report.datasets), 'dataset')}, phase {report.phase}, depth {report.depth}, {when}"
    yield "  \n".join(line for line in (areas, f"MDM home {code(report.home)}: {about}") if line)
    if report.gaps:
        yield _list(f"not listed: {plain(gap)}" for gap in _few(report.gaps, NAMES))


def _since(comparison: Comparison) -> Iterator[str]:
    yield "### Since the baseline"
    counts = ", ".join(f"{count} {plain(word)}" for word, count in comparison.counts.items()) or "nothing in common"
    lost = f", {comparison.lost} not examined any more" if comparison.lost else ""
    yield (
        f"**{counted(comparison.regressions, 'regression')}**{lost} (results: {counts}), "
        f"compared with {code(comparison.file)} of {plain(comparison.created_at)}."
    )
    if comparison.moved:
        yield f"It examined another place, {code(comparison.home)}."
    if tables := grouped(comparison):
        yield _list(plain(group.sentence) for group in tables)
    for part in changes(comparison.changes):
        yield f"{part.heading}:\n\n{_list(_few(_changed(part.entries), CHANGES))}"


def _changed(entries: Sequence[Changed]) -> list[str]:
    """One line each; several checks on one target that changed in the same way for one reason are one."""
    codes: dict[tuple[str, str], list[str]] = {}
    for each in entries:
        codes.setdefault((each.target, each.message), []).append(each.code)
    return [f"{_names(names)} on {code(target)}: {plain(why)}" for (target, why), names in codes.items()]


def _first(report: Report) -> Iterator[str]:
    things = to_do(report)
    if things:
        yield "### What to do first"
    for number, thing in enumerate(things[:FIRST], 1):
        more = f" ({plain(thing.more)})" if thing.more else ""
        step = fence(thing.commands) if thing.commands else f"Next: {plain(thing.text)}"
        yield f"**{number}. {thing.tone.upper()}** on {code(thing.target)}: {plain(thing.message)}{more}\n\n{step}"
    if report.repairable:
        yield plain(report.repair_hint)
    if len(things) > FIRST:
        yield f"And {counted(len(things) - FIRST, 'more kind', 'more kinds')} of findings, below."


def _datasets(report: Report) -> Iterator[str]:
    rows = [
        f"| {cell(_names(row.targets))} | {_GO_SIGNS[row.go]} {row.go} | {_ended(row.cells)} |"
        for row in matrix(report.results, Kind.DATASET).rows
    ]
    if rows:
        yield "### Datasets"
        yield "\n".join(("| dataset | | checks |", "|---|---|---|", *rows[:ROWS]))
    if len(rows) > ROWS:
        yield f"And {len(rows) - ROWS} more rows, which are no worse than these."


def _ended(cells: Sequence[Status | None]) -> str:
    return ", ".join(f"{cells.count(status)} {status.value}" for status in Status if status in cells)


def _findings(report: Report) -> Iterator[str]:
    for number, title in SECTIONS.items():
        ours = sorted((pair for pair in report.findings if pair[0].check.section == number), key=_kind)
        if ours:
            yield f"### {number} {title}"
        for (_, found), pairs in groupby(ours, _kind):
            yield from _alike(found, list(pairs))
    if notes := report.notes:
        yield f"{counted(len(notes), 'note')} of advice: in the JSON and HTML reports."


def _kind(pair: Found) -> tuple[bool, str]:
    return pair[1].severity is not Severity.FAIL, pair[1].code


def _alike(found: str, pairs: Sequence[Found]) -> Iterator[str]:
    for result, finding in pairs[:IN_FULL]:
        place = f"  \nat {code(_place(finding.location))}" if finding.location else ""
        headline = f"**{finding.severity.value.upper()}** {code(found)} on {code(result.target.name)}"
        yield f"{headline}: {plain(finding.message)}{place}  \nNext: {plain(finding.remedy.text)}"
        if finding.remedy.commands:
            yield fence(finding.remedy.commands)
    if more := pairs[IN_FULL:]:
        targets = list(dict.fromkeys(result.target.name for result, _ in more))
        yield f"And {code(found)} {counted(len(more), 'more time')}, on {_names(targets)}."


def _place(location: Location) -> str:
    parts = (location.file, location.line, location.column)
    return ":".join(str(part) for part in parts if part is not None)


def _waived(report: Report) -> Iterator[str]:
    lines = [_accepted(result, finding) for result, finding in report.waived]
    if report.waivers is not None:
        lines += [f"expired waiver (ignored): {plain(entry)}" for entry in report.waivers.expired]
        lines += [f"unused waiver: {plain(entry)}" for entry in report.waivers.unused]
    if lines:
        yield "### Waived"
        yield _list(_few(lines, NAMES))


def _accepted(result: Result, finding: Finding) -> str:
    about = f"{code(finding.code)} on {code(result.target.name)}"
    return f"{about}: {plain(str(finding.waiver))}; accepted: {plain(finding.message)}"


def _without_answer(report: Report) -> Iterator[str]:
    lines = [
        f"{status.value}: {code(each.check.id)} on {_names(each.targets)}: {plain(each.reason)}"
        for status in (Status.ERROR, Status.SKIP)
        for each in alike(report, status)
    ]
    lines += _blocked(report)
    if lines:
        yield "### Not examined"
        yield _list(_few(lines, ROWS))


def _blocked(report: Report) -> Iterator[str]:
    """By what is in the way, so that one cause is one line."""
    waiting: dict[str, list[str]] = {}
    for each in report.results:
        if each.status is Status.BLOCKED:
            waiting.setdefault(each.reason, []).append(f"{each.check.id}[{each.target.id}]")
    yield from (f"blocked: {_names(names)}: {plain(why)}" for why, names in waiting.items())


def _environment(report: Report) -> Iterator[str]:
    yield "### Environment"
    facts = {"pytest-mdm-health": report.version, **report.environment, "took": duration(report.duration_s)}
    if report.mdm is not None:
        known = report.mdm.version or f"could not be asked ({report.mdm.error})"
        facts["MDM"] = f"{known}, in {report.mdm.python}"
    yield _list(f"{plain(name)}: {plain(str(value))}" for name, value in facts.items())


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return ", ".join(code(name, 120) for name in names[:NAMES]) + more


def _few(lines: Sequence[str], most: int) -> list[str]:
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return [*lines[:most], *more]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
