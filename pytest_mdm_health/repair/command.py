"""`mdm-health repair` and the verbs by hand: the command line of the repair."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from pytest_mdm_health.baseline.file import report_in
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.exit_codes import ExitCode
from pytest_mdm_health.core.model import Finding, Kind
from pytest_mdm_health.core.text import counted, one_line, size
from pytest_mdm_health.core.verbs import VERBS, Repair
from pytest_mdm_health.mdm.home import Home, is_home, locate
from pytest_mdm_health.mdm.repair_marker import read_marker, what_to_do
from pytest_mdm_health.mdm.settings import read_settings
from pytest_mdm_health.repair.carrying_out import carry_out
from pytest_mdm_health.repair.examination import Examination, NotExamined, arguments_of
from pytest_mdm_health.repair.journal import Journal, Unusable, new_journal, read_journal
from pytest_mdm_health.repair.planning import PlannedStep, RepairPlan, make_plan
from pytest_mdm_health.repair.step import FileStep, NotDone, ServerStep
from pytest_mdm_health.repair.undo import finish, undo
from pytest_mdm_health.repair.verbs import step_of
from pytest_mdm_health.reports.model import Report

YES = "MDM_HEALTH_YES"
"""The variable that answers every question with yes."""


def add_parsers(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare `repair` and every verb, each by `add`, argparse's `add_parser`."""
    about = "repair what a report found: print the plan, or with --apply do it step by step"
    repairing = add("repair", help=about, description=about)
    repairing.add_argument(
        "report", type=Path, nargs="?", metavar="RESULTS.json", help="the results of a run (--mdm-json)"
    )
    repairing.add_argument("--apply", action="store_true", help="do the steps, asking before each")
    repairing.add_argument(
        "--only", action="append", default=[], metavar="X", help="a dataset, a check or a finding; repeatable"
    )
    repairing.add_argument(
        "--step", type=int, action="append", default=[], metavar="N", help="only this step; repeatable"
    )
    repairing.add_argument("--notes", action="store_true", help="repair what is only noted, too")
    repairing.add_argument("--undo", type=Path, metavar="FOLDER", help="take back the repair that is kept there")
    repairing.add_argument(
        "--finish", type=Path, metavar="FOLDER", help="finish the step at which that repair broke off"
    )
    _add_common(repairing)
    for verb in VERBS.values():
        parser = add(verb.name, help=verb.does, description=verb.does)
        parser.add_argument("place", metavar=verb.place, type=Path)
        for word in verb.words:
            optional = word.endswith("?")
            parser.add_argument("words", metavar=word.rstrip("?"), action=_Append, nargs="?" if optional else None)
        for option in verb.options:
            parser.add_argument(f"--{option}", metavar="X")
        parser.set_defaults(words=[])
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, statements and paths")
        _add_common(parser)


class _Append(argparse.Action):
    """Collect the words of a verb in one list."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        del parser, option_string
        if isinstance(values, str):  # one that was left out is its default
            namespace.words = [*namespace.words, values]


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, metavar="DIR", help="the MDM home (default: the one that the place is in)")
    parser.add_argument(
        "--saved", type=Path, metavar="DIR", help="where to keep what there was (default: beside the home)"
    )
    parser.add_argument("--yes", action="store_true", help=f"do not ask; {YES}=1 means the same")


def run(given: argparse.Namespace) -> int:
    """Do what the arguments of `repair` or of a verb say; return the exit code.

    Raises:
        UnusableFile: the report or the journal cannot be used.
    """
    try:
        if given.command != "repair":
            return _run_verb(given)
        if given.undo or given.finish:
            return _run_journal(given)
        return _Repairing.of(given).run()
    except (NotDone, NotExamined) as error:
        print(f"ERROR {one_line(str(error))}", file=sys.stderr)  # noqa: T201 - a command line
        return ExitCode.UNHEALTHY


def _run_verb(given: argparse.Namespace) -> int:
    place = Path(os.path.abspath(given.place))  # noqa: PTH100 - a link at its end stays one
    options = ((name, getattr(given, name.replace("-", "_"))) for name in VERBS[given.command].options)
    chosen = tuple((name, value) for name, value in options if value is not None)
    repair = Repair(given.command, str(place), tuple(given.words), chosen)
    root = given.home.absolute() if given.home else home_of(place)
    home = _located(root)
    step = step_of(repair, home)
    outline = step.outline()
    saved = _saved_folder(root, given.saved)
    if given.dry_run:
        _say(f"would {outline.does}", *outline.details, f"copies need {size(outline.room)}; kept in {saved}")
        return ExitCode.HEALTHY
    _refuse_unfinished(root)
    if not _agreed(f"{outline.does}?{_warning(repair)}", yes=given.yes):
        _say("nothing was changed")
        return ExitCode.UNHEALTHY
    with new_journal(root, saved) as journal:
        done = _done(step, journal)
    _say(*_how_to_undo(saved, [repair] if done else []))
    return ExitCode.HEALTHY if done else ExitCode.UNHEALTHY


def _run_journal(given: argparse.Namespace) -> int:
    folder = (given.undo or given.finish).absolute()
    try:
        record = read_journal(folder)
    except Unusable as error:
        raise UnusableFile(f"repair: {error}") from None
    for line in undo(record) if given.undo else finish(record):
        _say(line)
    _say(f"examine the home again: pytest --mdm-health --mdm-home={record.home}")
    return ExitCode.HEALTHY


@dataclass(frozen=True)
class _Repairing:
    """One call of `mdm-health repair`."""

    given: argparse.Namespace
    root: Path
    reported: Report
    examination: Examination

    @classmethod
    def of(cls, given: argparse.Namespace) -> _Repairing:
        if given.report is None:
            raise UnusableFile("repair: name the results of a run (--mdm-json), or --undo or --finish with a folder")
        reported = report_in(given.report, "repair")
        root = given.home.absolute() if given.home else Path(os.environ.get("MDM_HOME_DIR") or Path.home() / ".mdm")
        return cls(given, root, reported, Examination(root, arguments_of(reported, given.suite_options)))

    def run(self) -> int:
        _refuse_unfinished(self.root)
        plan = make_plan(self.reported, self.examination.results(), self.given.only, notes=self.given.notes)
        saved = _saved_folder(self.root, self.given.saved)
        chosen = [step for step in plan.steps if not self.given.step or step.number in self.given.step]
        if not self.given.apply:
            self._show(plan, saved)
            return ExitCode.HEALTHY
        done = self._apply(chosen, saved)
        return self._concluded(plan, done, saved)

    def _show(self, plan: RepairPlan, saved: Path) -> None:
        home = _located(self.root)
        if plan.steps:
            _say(f"{counted(len(plan.steps), 'step')} for {self.root}; nothing is changed yet")
        for planned in plan.steps:
            _say(
                "",
                f"{planned.number}. {planned.finding.code} ({planned.result.target.name}): {planned.finding.message}",
            )
            try:
                outline = step_of(planned.repair, home).outline()
            except NotDone as error:
                _say(f"   cannot be done now: {error}")
            else:
                _say(f"   would {outline.does}{_warning(planned.repair)}", *(f"   {line}" for line in outline.details))
                _say(f"   keeps what there was, {size(outline.room)} at most")
            _say(f"   $ {planned.repair.command}")
        _say(*_left_over(plan))
        if plan.steps:
            _say("", f"what there was is kept in {saved}", f"do it: {self._command()} --apply")

    def _command(self) -> str:
        return f"mdm-health repair {self.given.report} --home {self.root}"

    def _apply(self, chosen: Sequence[PlannedStep], saved: Path) -> list[Repair]:
        done: list[Repair] = []
        if not chosen:
            return done
        with new_journal(self.root, saved) as journal:
            for planned in chosen:
                done += self._step(planned, journal)
        return done

    def _step(self, planned: PlannedStep, journal: Journal) -> list[Repair]:
        """Examine the finding again, and do what repairs it now if it is still there and the user agrees."""
        name = f"step {planned.number}, {planned.finding.code} ({planned.result.target.name})"
        current = self._found_again(planned)
        if current is None:
            _say(f"{name}: not found any more, nothing to do")
            return []
        repair = next((each for each in current.remedy.repairs if each.verb == planned.repair.verb), None)
        if repair is None:
            _say(f"{name}: what would repair it is another step now; make the plan again")
            return []
        try:
            step = step_of(repair, _located(self.root))
            question = f"{name}: {step.outline().does}?{_warning(repair)}"
        except NotDone as error:
            _say(f"{name}: not done: {error}")
            return []
        if not _agreed(question, yes=self.given.yes):
            _say(f"{name}: left as it is")
            return []
        return [repair] if _done(step, journal) else []

    def _found_again(self, planned: PlannedStep) -> Finding | None:
        target = planned.result.target
        only = (f"--mdm-dataset={escape(target.name)}",) if target.kind is Kind.DATASET else ()
        report = self.examination.results(f"--mdm-select={planned.result.check.id}", *only)
        findings = (finding for result in report.results if result.target == target for finding in result.findings)
        return next((each for each in findings if each.fingerprint(target) == planned.fingerprint), None)

    def _concluded(self, plan: RepairPlan, done: Sequence[Repair], saved: Path) -> int:
        _say(*_how_to_undo(saved, done), *_left_over(plan))
        now = self.examination.results()
        left = make_plan(self.reported, now, self.given.only, notes=self.given.notes)
        remaining = counted(len(left.steps) + len(left.by_hand), "finding")
        _say(f"examined again: {now.verdict}; {remaining} of the report left")
        if done and now.comparison is not None:
            _say("the home is not what the baseline has: once it is healthy, record a new one with --mdm-save-baseline")
        return ExitCode.UNHEALTHY if left.steps or left.by_hand else ExitCode.HEALTHY


def home_of(place: Path) -> Path:
    """The home that a place is in, or that it is.

    Raises:
        NotDone: it is in none.
    """
    for folder in (place, *place.parents):
        if folder.is_dir() and is_home(_located(folder)) and folder != Path(folder.anchor):
            return folder
    raise NotDone(f"{place} is in no MDM home; name the home with --home")


def _located(root: Path) -> Home:
    return locate(root, read_settings(root, os.environ))


def _saved_folder(root: Path, given: Path | None) -> Path:
    name = f"mdm-health-saved-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = given.absolute() / name if given else root.parent / name
    if folder.is_relative_to(root):
        raise NotDone(f"{folder} is in the home, where MDM or a later step may change it; name another with --saved")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


def _refuse_unfinished(root: Path) -> None:
    if read_marker(root) is not None:
        raise NotDone(what_to_do(root))


def _done(step: FileStep | ServerStep, journal: Journal) -> bool:
    try:
        _say(f"done: {carry_out(step, journal)}")
    except NotDone as error:
        _say(f"not done, and nothing is changed: {error}")
        return False
    return True


def _agreed(question: str, *, yes: bool) -> bool:
    """Whether the user wants it; without a terminal it has to be said beforehand."""
    if yes or os.environ.get(YES) == "1":
        return True
    if not sys.stdin.isatty():
        _say(question, f"there is no terminal to answer at: add --yes, or set {YES}=1")
        return False
    return input(f"{one_line(question)} [y/N] ").strip().lower() in {"y", "yes"}


def _warning(repair: Repair) -> str:
    return "" if VERBS[repair.verb].undone else " This cannot be taken back."


def _how_to_undo(saved: Path, done: Iterable[Repair]) -> list[str]:
    if not any(VERBS[repair.verb].undone for repair in done):
        return []
    return [f"to take it back: mdm-health repair --undo {saved}"]


def _left_over(plan: RepairPlan) -> list[str]:
    """What no verb repairs, and what is not found any more, one line or more each."""
    said = [f"not found any more: {name}" for name in plan.gone]
    for result, finding in plan.by_hand:
        said += ["", f"by hand: {finding.code} ({result.target.name}): {finding.message}", f"   {finding.remedy.text}"]
        said += [f"   $ {command}" for command in finding.remedy.commands]
    return said


def _say(*said: str) -> None:
    for line in said:
        encoding = sys.stdout.encoding or "utf-8"
        print(one_line(line).encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - a command line
