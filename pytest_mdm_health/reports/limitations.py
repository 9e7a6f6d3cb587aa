"""What a run does not prove, in sentences, so that a quick look is not taken for a proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_mdm_health.core.model import Check, Depth, Status
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.reports.model import Report

_DEPTHS = {
    Depth.QUICK: "Only the structure was looked at (--mdm-depth=quick): no rows were counted and no values read, so "
    "data that is damaged, lost or of the wrong type is not noticed.",
    Depth.STANDARD: "Large tables were sampled (--mdm-depth=standard): what is wrong in rows that were not looked at "
    "is not noticed. --mdm-depth=full reads every row.",
    Depth.FULL: "Every row was read where time allowed (--mdm-depth=full); where it did not, the result says so.",
}


def unproven(report: Report, checks: Mapping[str, Check]) -> tuple[str, ...]:
    """What this run does not prove, the most important first; `checks` are all that this version has."""
    return tuple(_unproven(report, checks))


def _unproven(report: Report, checks: Mapping[str, Check]) -> Iterator[str]:
    if report.gaps:
        yield "Part of the home could not be listed, so it is unknown what is missing there."
    yield from (f"{sentence[:1].upper()}{sentence[1:]}." for sentence in (*report.not_selected, *report.ignored))
    yield from _not_done(report)
    yield _DEPTHS[Depth(report.depth)]
    yield from _compared(report)
    if report.mdm is None:
        yield (
            "No installed MDM was asked (--mdm-python names its interpreter): whether it starts, what it depends on, "
            "how it reads the settings and whether its generator works is not known."
        )
    elif report.mdm.error is not None:
        yield "The installed MDM could not be asked, so how it reads this home is not known."
    if not_run := [check.id for check in checks.values() if check.id not in {each.check.id for each in report.results}]:
        yield f"{counted(len(not_run), 'check')} had nothing to look at or was not selected: {', '.join(not_run)}."
    yield "It is a picture of the moment in which it was made; the home may have been changed since."


def _not_done(report: Report) -> Iterator[str]:
    for status, why in (
        (Status.ERROR, "the check could not be done"),
        (Status.BLOCKED, "what it depends on failed"),
        (Status.SKIP, "it does not apply, or something that it needs is not here"),
    ):
        if count := report.counts.get(status, 0):
            yield f"{counted(count, 'result')} without an answer ({why}); the reasons are listed above."


def _compared(report: Report) -> Iterator[str]:
    comparison = report.comparison
    if comparison is None:
        yield (
            "Nothing was compared with an earlier run: data that was altered and still looks right is not noticed. "
            "--mdm-save-baseline records this run, --mdm-baseline compares a later one with it."
        )
    elif not comparison.same_checks:
        yield (
            f"The baseline was recorded by version {comparison.recorded_by}, which looked for other things: what is "
            "new may have been there then."
        )
