"""The summary of a run as lines of text: counts, changes, what to do first, what is accepted, what was left out.

The terminal, `mdm-health report` and `compare`, and pytest-html show them. Text from the home is escaped in one place:
where the lines leave this module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.changes import Changed, Comparison
from pytest_mdm_health.core.model import Status
from pytest_mdm_health.core.text import counted, join_names, one_line
from pytest_mdm_health.reports.compared_tables import grouped
from pytest_mdm_health.reports.model import ActionItem, Report

CHANGES_SHOWN = 5
TARGETS_SHOWN = 5
"""For each change, and for each failure that blocks others."""
NOT_COMPARED_SHOWN = 5
ACTION_ITEMS_SHOWN = 5
WAIVERS_SHOWN = 5

_INDENT = " " * 5
"""In front of what belongs to the line above."""


def lines(report: Report) -> Iterator[str]:
    """What a person can act on, one line each: counts, changes, findings with a command, and what was left out."""
    return map(one_line, _summary(report))


def change_lines(comparison: Comparison) -> Iterator[str]:
    """What is different since the baseline, the worst first."""
    return map(one_line, _changes(comparison, ()))


def _summary(report: Report) -> Iterator[str]:
    yield " · ".join(f"{area} {status.value}" for area, status in report.areas.items())
    yield ", ".join(f"{count} {status.value}" for status, count in report.counts.items())
    yield from (f"not selected: {sentence}" for sentence in report.not_selected)
    if report.comparison is not None:
        yield from _changes(report.comparison, _shown_below(report))
        for group in grouped(report.comparison):
            yield f"{_INDENT}{group.sentence}"
    yield from _action_items(report)
    if report.repairable:
        yield report.repair_hint
    yield from _first(_waivers(report), WAIVERS_SHOWN, "and {} more about waivers: in the reports")
    yield from _not_examined(report)
    yield from _blocked(report)
    if report.notes:
        yield f"{counted(len(report.notes), 'note')} of advice: in the JSON and HTML reports"


def _shown_below(report: Report) -> Collection[tuple[str, str]]:
    """Code and target of what other lines of the summary say, and check and target of what is blocked."""
    items = report.action_items[:ACTION_ITEMS_SHOWN]
    acted_on = {(code, item.result.target.name) for item in items for code in item.codes}
    blocked = {(result.check.id, result.target.name) for result in report.results if result.status is Status.BLOCKED}
    return acted_on | blocked


def _changes(comparison: Comparison, shown_below: Collection[tuple[str, str]]) -> Iterator[str]:
    """What is different since the baseline, but for those (code, target) that are shown below."""
    counts = ", ".join(f"{count} {word}" for word, count in comparison.counts.items()) or "nothing in common"
    regressions = counted(comparison.regressions, "regression")
    yield f"since the baseline {comparison.file} of {comparison.created_at}: {regressions} (results: {counts})"
    if comparison.moved:
        yield f"{_INDENT}it examined another place: {comparison.home}"
    if comparison.unasked:
        yield f"{_INDENT}{counted(comparison.unasked, 'result')} of it not asked for in this run"
    unknown = [f"{_INDENT}not comparable: {line}" for line in comparison.unknown]
    yield from _first(unknown, NOT_COMPARED_SHOWN, "and {} more of that kind: in the JSON report")
    if not comparison.same_checks:
        yield f"{_INDENT}it may have looked for other things, so that what is new may have been there then"
    changes = [change for change in comparison.changes if (change.code, change.target) not in shown_below]
    alike = [_change_line(same) for same in _alike(changes)]
    yield from alike[:CHANGES_SHOWN]
    if len(alike) > CHANGES_SHOWN:
        more = counted(len(alike) - CHANGES_SHOWN, "more change")
        yield f"{_INDENT}and {more} in these results: in the reports"


def _alike(changes: Sequence[Changed]) -> Collection[Sequence[Changed]]:
    """The changes that differ in their target only, together."""
    alike: dict[tuple[str, str, str], list[Changed]] = {}
    for change in changes:
        alike.setdefault((change.change.value, change.code, change.message), []).append(change)
    return alike.values()


def _change_line(alike: Sequence[Changed]) -> str:
    first = alike[0]
    targets = join_names([change.target for change in alike], TARGETS_SHOWN)
    return f"{first.change.value.upper():<8}{first.code} [{targets}]: {first.message}"


def _action_items(report: Report) -> Iterator[str]:
    """What to do first."""
    changes = report.comparison.changes if report.comparison is not None else ()
    change_of = {(change.code, change.target): f" ({change.change.value})" for change in changes}
    for item in report.action_items[:ACTION_ITEMS_SHOWN]:
        yield from _action_item(item, change_of.get((item.finding.code, item.result.target.name), ""))
    more = len(report.action_items) - ACTION_ITEMS_SHOWN
    if more > 0:
        yield f"{_INDENT}and {more} more kinds of findings"


def _action_item(item: ActionItem, change: str) -> Iterator[str]:
    finding, target = item.finding, item.result.target
    yield f"{finding.severity.value.upper():<5}{finding.code} [{target.id}]{change}: {finding.message}"
    if item.more:
        yield f"{_INDENT}{item.more}"
    if not item.remedy.commands:
        yield f"{_INDENT}next: {item.remedy.text}"
    yield from (f"{_INDENT}$ {command}" for command in item.remedy.commands)


def _waivers(report: Report) -> list[str]:
    """What is accepted, and which waivers did nothing."""
    waivers = [
        f"waived: {finding.code} [{result.target.id}]: {finding.waiver}; accepted: {finding.message}"
        for result, finding in report.waived
    ]
    waivers += [
        f"waived: {result.check.id} [{result.target.id}]: {result.waiver or result.reason}"
        for result in report.results
        if result.status is Status.WAIVED and not result.findings
    ]
    if report.waivers is not None:
        waivers += [f"expired waiver (ignored): {entry}" for entry in report.waivers.expired]
        waivers += [f"unused waiver: {entry}" for entry in report.waivers.unused]
    return waivers


def _not_examined(report: Report) -> Iterator[str]:
    """What could not be listed or examined, and why; the same reason of one check once."""
    for gap in report.gaps:
        yield f"not listed: {gap}"
    yield from report.ignored
    counts: dict[tuple[Status, str, str], int] = {}
    for result in report.results:
        if result.status in {Status.ERROR, Status.SKIP}:
            key = (result.status, result.check.id, result.reason)
            counts[key] = counts.get(key, 0) + 1
    for (status, id_, reason), count in counts.items():
        repeated = f" ({count} times)" if count > 1 else ""
        yield f"{status.value}: {id_}{repeated}: {reason}"


def _blocked(report: Report) -> Iterator[str]:
    """What could not be examined because of each failure."""
    by_cause: dict[str, list[str]] = {}
    for result in report.results:
        if result.status is Status.BLOCKED:
            by_cause.setdefault(_short(result.blocked_by or ""), []).append(_short(result.node_id))
    for cause, names in by_cause.items():
        yield f"blocked by {cause}: {join_names(names, TARGETS_SHOWN)}"


def _short(node_id: str) -> str:
    return node_id.removeprefix(f"{SUITE}::")


def _first(texts: Sequence[str], limit: int, rest: str) -> Iterator[str]:
    """The first of these lines, and one more that says how many are left; `rest` is its template."""
    yield from texts[:limit]
    if len(texts) > limit:
        yield _INDENT + rest.format(len(texts) - limit)
