"""A report made into a plan, and the plan shown or done, each finding examined again before its step."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path

from pytest_mdm_health.baseline.file import report_in
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.exit_codes import ExitCode
from pytest_mdm_health.core.model import Finding, Kind, Result
from pytest_mdm_health.core.text import counted, size
from pytest_mdm_health.core.verbs import PROGRAM
from pytest_mdm_health.repair.dialogue import agreed, do, how_to_undo, say, warning
from pytest_mdm_health.repair.examination import Examination, arguments_of
from pytest_mdm_health.repair.journal import Journal, new_journal
from pytest_mdm_health.repair.places import located, refuse_unfinished, saved_folder
from pytest_mdm_health.repair.planning import EXAMINED, PlannedStep, RepairPlan, make_plan, names_in
from pytest_mdm_health.repair.step import NotDone, Step, can_be_undone
from pytest_mdm_health.repair.verbs import step_of
from pytest_mdm_health.reports.model import Report


@dataclass(frozen=True)
class Repairing:
    """One call of `mdm-health repair`."""

    given: argparse.Namespace
    root: Path
    reported: Report
    examination: Examination

    @classmethod
    def of(cls, given: argparse.Namespace) -> Repairing:
        """What the arguments mean.

        Raises:
            UnusableFile: the report cannot be used.
        """
        if given.report is None:
            raise UnusableFile("repair: name the results of a run (--mdm-json), or --undo or --finish with a folder")
        reported = report_in(given.report, "repair")
        root = given.home.absolute() if given.home else Path(os.environ.get("MDM_HOME_DIR") or Path.home() / ".mdm")
        return cls(given, root, reported, Examination(root, arguments_of(reported, given.suite_options)))

    def run(self) -> int:
        """Show the plan or do it; return the exit code.

        Raises:
            NotDone: another repair is not over, or nothing can be kept.
            NotExamined: the home could not be examined.
        """
        refuse_unfinished(self.root)
        plan = make_plan(self.reported, self.examination.results(), self.given.only, notes=self.given.notes)
        self._refuse_what_is_not_there(plan)
        saved = saved_folder(self.root, self.given.saved)
        chosen = [step for step in plan.steps if not self.given.step or step.number in self.given.step]
        if not self.given.apply:
            self._show(plan, saved)
            return ExitCode.HEALTHY
        say(*_gone(plan))
        done = self._apply(chosen, saved)
        return self._concluded(done, saved)

    def _refuse_what_is_not_there(self, plan: RepairPlan) -> None:
        """Refuse names and numbers that select nothing, before their silence passes for health.

        Raises:
            NotDone: which.
        """
        known = names_in(self.reported)
        if unknown := [name for name in self.given.only if name not in known]:
            raise NotDone(f"--only {unknown[0]}: the report has no finding of such a dataset, check or code")
        if absent := [number for number in self.given.step if not 1 <= number <= len(plan.steps)]:
            raise NotDone(
                f"--step {absent[0]}: the plan has {counted(len(plan.steps), 'step')} now; see it without --apply"
            )

    def _show(self, plan: RepairPlan, saved: Path) -> None:
        home = located(self.root)
        if plan.steps:
            say(f"{counted(len(plan.steps), 'step')} for {self.root}; nothing is changed yet")
        for planned in plan.steps:
            say(
                "",
                f"{planned.number}. {planned.finding.code} ({planned.result.target.name}): {planned.finding.message}",
            )
            try:
                step = step_of(planned.repair, home)
                outline = step.outline()
            except NotDone as error:
                say(f"   cannot be done now: {error}")
            else:
                say(f"   would {outline.does}{warning(step, outline)}", *(f"   {line}" for line in outline.details))
                if can_be_undone(step):
                    say(f"   keeps what there was, {size(outline.room)} at most")
            say(f"   $ {planned.repair.command}")
        say(*_left_over(plan))
        if plan.steps:
            say("", f"what there was is kept in {saved}", f"do it: {self._command()} --apply")

    def _command(self) -> str:
        """What makes this very plan again."""
        given = self.given
        options = [f"--only={name}" for name in given.only] + [f"--step={number}" for number in given.step]
        options += ["--notes"] * given.notes + ([f"--saved={given.saved}"] if given.saved else [])
        return shlex.join(
            [PROGRAM, "repair", str(given.report), "--home", str(self.root), *options, *given.suite_options]
        )

    def _apply(self, chosen: Sequence[PlannedStep], saved: Path) -> list[Step]:
        done: list[Step] = []
        if not chosen:
            return done
        with new_journal(self.root, saved) as journal:
            begun: set[str] = set()
            for planned in chosen:
                repaired = self._step(planned, journal, half_done=planned.fingerprint in begun)
                begun |= {planned.fingerprint} if repaired else set()
                done += repaired
        return done

    def _step(self, planned: PlannedStep, journal: Journal, *, half_done: bool) -> list[Step]:
        """Examine the finding again, and do what repairs it now if it is still there and the user agrees.

        One that is half done by an earlier step may be called otherwise by now; the rest of it is done all the same.
        """
        name = f"step {planned.number}, {planned.finding.code} ({planned.result.target.name})"
        result, current = self._found_again(planned)
        if current is None and not half_done:
            examined = result is not None and result.status in EXAMINED
            reason = "not found any more, nothing to do" if examined else _not_examined(result)
            say(f"{name}: {reason}")
            return []
        repairs = (planned.repair,) if current is None else current.remedy.repairs
        alike = [each for each in repairs if each.verb == planned.repair.verb]
        repair = planned.repair if planned.repair in alike else alike[0] if len(alike) == 1 else None
        if repair is None:
            say(f"{name}: what would repair it is another step now; make the plan again")
            return []
        try:
            step = step_of(repair, located(self.root))
            outline = step.outline()
            question = f"{name}: {outline.does}?{warning(step, outline)}"
        except NotDone as error:
            say(f"{name}: not done: {error}")
            return []
        if not agreed(question, yes=self.given.yes):
            say(f"{name}: left as it is")
            return []
        return [step] if do(step, journal) else []

    def _found_again(self, planned: PlannedStep) -> tuple[Result | None, Finding | None]:
        """The result of examining what a step is for once more, and its finding if it is still there."""
        target = planned.result.target
        only = (f"--mdm-dataset={escape(target.name)}",) if target.kind is Kind.DATASET else ()
        report = self.examination.results(f"--mdm-select={planned.result.check.id}", *only)
        named = (result for result in report.results if result.node_id == planned.result.node_id)
        result = next(named, None)
        findings = result.findings if result is not None else ()
        return result, next((each for each in findings if each.fingerprint(target) == planned.fingerprint), None)

    def _concluded(self, done: Sequence[Step], saved: Path) -> int:
        say(*how_to_undo(saved, done))
        now = self.examination.results()
        left = make_plan(self.reported, now, self.given.only, notes=self.given.notes)
        say(f"examined again: {now.verdict}; {counted(len(left.found), 'finding')} of the report left")
        say(*_left_over(replace(left, gone=())), *(f"new: {name}" for name in left.new))
        if left.new or left.warned:
            say(*(f"new, a warning: {name}" for name in left.warned), "for what is new, make another report")
        if done and now.comparison is not None:
            say("the home is not what the baseline has: once it is healthy, record a new one with --mdm-save-baseline")
        return ExitCode.UNHEALTHY if left.found or left.unknown or left.new else ExitCode.HEALTHY


def _not_examined(result: Result | None) -> str:
    if result is None:
        return "not examined: the check has nothing to examine here any more"
    return f"not examined: {result.blocked_by or result.reason}; repair that first"


def _gone(plan: RepairPlan) -> list[str]:
    return [f"not found any more: {name}" for name in plan.gone]


def _left_over(plan: RepairPlan) -> list[str]:
    """What no verb repairs, and what is not found any more, one line or more each."""
    said = _gone(plan)
    said += [f"cannot be examined now: {name}" for name in plan.unknown]
    for result, finding in plan.by_hand:
        said += ["", f"by hand: {finding.code} ({result.target.name}): {finding.message}", f"   {finding.remedy.text}"]
        said += [f"   $ {command}" for command in finding.remedy.commands]
    return said
