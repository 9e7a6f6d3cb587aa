"""May the migration go on? The run's result for whoever has to decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_mdm_health.core.exit_codes import ExitCode
from pytest_mdm_health.core.model import Depth, Kind, Phase, Status
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.reports.model import Report

Word = Literal["yes", "yes, as far as selected", "with care", "no", "not known", "not asked"]
BACKUP_CHECK = "backup-failure"
_HOW = {Status.FAIL: "failed", Status.ERROR: "could not be done", Status.WARN: "warned"}
_QUESTIONS = {
    Phase.PRE: "May the migration begin?",
    Phase.POST: "May the migrated home go into service?",
    Phase.ANY: "May a migration go on from here?",
}


@dataclass(frozen=True)
class Answer:
    """What a person with one minute reads.

    Attributes:
        headline: the verdict, and how many checks ended how.
        question: what this run was to decide, by its phase.
        word: the answer to it.
        reason: why, and what follows, in one or two sentences.
    """

    headline: str
    question: str
    word: Word
    reason: str


def answer(report: Report) -> Answer:
    """The answer, which never says more than the exit code does."""
    word = _word(report)
    return Answer(_headline(report), _QUESTIONS[Phase(report.phase)], word, _reason(report, word))


def _headline(report: Report) -> str:
    counts = report.counts
    if not report.results:
        return "Inconclusive: nothing was examined"
    ends = [f"{counts[status]:,} {how}" for status, how in _HOW.items() if status in counts]
    ends = ends or [f"{counts.get(Status.PASS, 0):,} passed"]
    extent = " in what was selected" if report.not_selected else ""
    return f"{report.verdict.capitalize()}{extent}: of {counted(len(report.results), 'check')} {', '.join(ends)}"


def _word(report: Report) -> Word:
    known = {ExitCode.HEALTHY, ExitCode.UNHEALTHY, ExitCode.WARNINGS}
    if report.exit_code not in known or report.verdict == "inconclusive":
        return "not known" if report.verdict != "unhealthy" else "no"
    if report.exit_code == ExitCode.UNHEALTHY or report.verdict == "unhealthy":
        return "no"
    if report.verdict != "healthy" or _lost(report):
        return "with care"
    if report.phase == Phase.ANY:
        return "not asked"
    if _unproven(report):
        return "not known" if report.phase == Phase.PRE or not report.datasets else "with care"
    return "yes, as far as selected" if report.not_selected else "yes"


def _reason(report: Report, word: Word) -> str:
    if word == "no":
        return f"{_no_reason(report)} {_AFTER_NO[Phase(report.phase)]}"
    if word == "not known":
        if unproven := _unproven(report):
            return f"No problem was found. {unproven}"
        what = report.counts.get(Status.ERROR, 0)
        why = f"{counted(what, 'check')} could not be done" if what else f"{report.meaning}"
        return f"{why[:1].upper()}{why[1:]}. What was not examined is inconclusive: fix the cause and rerun."
    if word == "with care":
        return f"Nothing is broken. {_care(report)}"
    extent = "".join(f" {sentence[:1].upper()}{sentence[1:]}." for sentence in report.not_selected)
    if word == "not asked":
        return f"No problem was found. {_NOT_ASKED}{extent}"
    return f"Everything that was examined is in order.{extent}"


def _no_reason(report: Report) -> str:
    if report.verdict != "unhealthy":
        return f"{report.meaning[:1].upper()}{report.meaning[1:]}."
    if report.comparison is not None and report.comparison.regressions:
        worse = counted(report.comparison.regressions, "result")
        return f"Data or a service is broken or will be lost, and {worse} became worse since the baseline."
    return "Data or a service is broken or will be lost."


def _care(report: Report) -> str:
    if unproven := _unproven(report):
        return unproven
    if lost := _lost(report):
        return f"{counted(lost, 'result')} that the baseline has could not be had this time: look at why first."
    warned = counted(report.counts.get(Status.WARN, 0), "check")
    return f"{warned} found what works today and is at risk: read the findings, then decide."


def _lost(report: Report) -> int:
    return report.comparison.lost if report.comparison else 0


def _unproven(report: Report) -> str:
    """What a yes to the question of a healthy run's phase would depend on, and was not examined; empty if nothing."""
    if report.exit_code != ExitCode.HEALTHY or report.verdict != "healthy":
        return ""
    if not _examined(report, Kind.DATASET):
        return "No dataset was examined, so nothing is known of any data."
    if report.phase == Phase.PRE and not _has_proven_backup(report):
        return (
            f"Whether there is a backup to go back to was not examined: run {BACKUP_CHECK} too, not at "
            "--mdm-depth=quick, and wait for its pass."
        )
    if report.phase == Phase.POST and report.comparison is None:
        return "Whether the migration altered data is unknown, because there is no baseline to compare with."
    return ""


def _has_proven_backup(report: Report) -> bool:
    """Whether a backup was read to its end and compared with the home: before a migration nothing less passes."""
    passed = any(each.check.id == BACKUP_CHECK and each.status is Status.PASS for each in report.results)
    return passed and report.depth != Depth.QUICK


def _examined(report: Report, kind: Kind) -> bool:
    ends = {Status.PASS, Status.WARN, Status.FAIL}
    return any(each.target.kind is kind and each.status in ends for each in report.results)


_NOT_ASKED = "Whether a migration may begin was not asked; --mdm-phase=pre asks it, and needs a backup."
_AFTER_NO = {
    Phase.PRE: "Repair it before anything is migrated: a migration would carry it along, or lose more.",
    Phase.POST: "Keep the backup and the old home, stop writing to the new one, and repair it or go back.",
    Phase.ANY: "Repair it first, in the order below.",
}
