"""`mdm-health repair` and the verbs by hand: the command line of the repair."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.exit_codes import ExitCode
from pytest_mdm_health.core.text import one_line, size
from pytest_mdm_health.core.verbs import VERBS, Repair
from pytest_mdm_health.repair.dialogue import YES, agreed, do, how_to_undo, say, warning
from pytest_mdm_health.repair.examination import NotExamined
from pytest_mdm_health.repair.journal import Unusable, new_journal, read_journal
from pytest_mdm_health.repair.places import home_of, located, refuse_unfinished, saved_folder
from pytest_mdm_health.repair.repairing import Repairing
from pytest_mdm_health.repair.step import NotDone, can_be_undone
from pytest_mdm_health.repair.undo import finish, undo
from pytest_mdm_health.repair.verbs import step_of

_HOME_HELP = "the MDM home (default: the one that the place is in; for a report $MDM_HOME_DIR, else ~/.mdm)"


def add_parsers(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare `repair` and every verb, each by `add`, argparse's `add_parser`."""
    about = "repair what a report found: print the plan, or with --apply do it step by step"
    repairing = add("repair", help=about, description=about)
    repairing.add_argument(
        "report", type=Path, nargs="?", metavar="RESULTS.json", help="the results of a run (--mdm-json)"
    )
    either = repairing.add_mutually_exclusive_group()
    either.add_argument("--apply", action="store_true", help="do the steps, asking before each")
    either.add_argument("--undo", type=Path, metavar="FOLDER", help="take back the repair that is kept there")
    either.add_argument("--finish", type=Path, metavar="FOLDER", help="finish the step at which that repair broke off")
    repairing.add_argument(
        "--only", action="append", default=[], metavar="X", help="a dataset, a check or a finding; repeatable"
    )
    repairing.add_argument(
        "--step", type=int, action="append", default=[], metavar="N", help="only this step; repeatable"
    )
    repairing.add_argument("--notes", action="store_true", help="repair what is only noted, too")
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
        if isinstance(values, str):  # else it is the default of an optional word
            namespace.words = [*namespace.words, values]


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, metavar="DIR", help=_HOME_HELP)
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
        return Repairing.of(given).run()
    except (NotDone, NotExamined) as error:
        print(f"ERROR {one_line(str(error))}", file=sys.stderr)  # noqa: T201 - a command line
        return ExitCode.UNHEALTHY


def _run_verb(given: argparse.Namespace) -> int:
    place = Path(os.path.abspath(given.place))  # noqa: PTH100 - a link at its end stays one
    options = ((name, getattr(given, name.replace("-", "_"))) for name in VERBS[given.command].options)
    chosen = tuple((name, value) for name, value in options if value is not None)
    repair = Repair(given.command, str(place), tuple(given.words), chosen)
    root = given.home.absolute() if given.home else home_of(place)
    home = located(root)
    step = step_of(repair, home)
    outline = step.outline()
    saved = saved_folder(root, given.saved)
    if given.dry_run:
        kept = [f"copies need {size(outline.room)}; kept in {saved}"] if can_be_undone(step) else []
        say(f"would {outline.does}", *outline.details, *kept)
        return ExitCode.HEALTHY
    refuse_unfinished(root)
    if not agreed(f"{outline.does}?{warning(step, outline)}", yes=given.yes):
        say("nothing was changed")
        return ExitCode.UNHEALTHY
    with new_journal(root, saved) as journal:
        done = do(step, journal)
    say(*how_to_undo(saved, [step] if done else []))
    return ExitCode.HEALTHY if done else ExitCode.UNHEALTHY


def _run_journal(given: argparse.Namespace) -> int:
    folder = (given.undo or given.finish).absolute()
    try:
        record = read_journal(folder)
    except Unusable as error:
        raise UnusableFile(f"repair: {error}") from None
    said = False
    for line in undo(record) if given.undo else finish(record):
        said = True
        say(line)
    if not said:
        say("no step of it is left to be taken back" if given.undo else "no step of it broke off")
    say(f"examine the home again: pytest --mdm-health --mdm-home={record.home}")
    return ExitCode.HEALTHY
