"""Reports made again, runs compared, and a home repaired: `mdm-health --help` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from pytest_mdm_health.baseline.file import from_report, refuse_foreign, report_in
from pytest_mdm_health.baseline.verdicts import compared
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.exit_codes import ExitCode
from pytest_mdm_health.core.model import Result
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import VERBS
from pytest_mdm_health.engine import documentation, new_check
from pytest_mdm_health.plugin.options import missing_folder
from pytest_mdm_health.repair import command as repair
from pytest_mdm_health.reports import markdown, write_whole
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.json import schema as json_schema
from pytest_mdm_health.reports.model import Report
from pytest_mdm_health.reports.summary_lines import change_lines, lines

RENDER: Mapping[str, Callable[[Report], str]] = {"html": html.render, "markdown": markdown.render}
"""The reports that need nothing but the results, by the name of the option."""

_NOT_COMPARED = "only findings are compared: rows, columns and settings are compared by a run with --mdm-baseline"

USAGE_ERROR = 4
"""As pytest has it."""


class InvalidRequest(Exception):
    """The arguments do not go together or lead nowhere; the text says why, on one line."""


class _Parser(argparse.ArgumentParser):
    """One whose errors are one line and end with pytest's exit code for them."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say, by default those of the command line; return the exit code."""
    given = _parsed(arguments)
    try:
        return _run(given)
    except (InvalidRequest, new_check.CannotWrite) as error:
        _parser().error(f"{given.command}: {error}")
    except UnusableFile as error:
        return _fail(error, ExitCode.UNUSABLE_FILE)
    except BrokenPipeError:  # who read the output, such as `head`, has enough
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:  # what is still held back has nowhere else to go
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return _fail("the output was cut off by its reader; what was left to do was not done", ExitCode.INCONCLUSIVE)
    except OSError as error:
        return _fail(f"{error.filename} could not be written: {error.strerror}", ExitCode.INCONCLUSIVE)


def _run(given: argparse.Namespace) -> int:
    """Do what was asked for; return the exit code."""
    if given.command in {"docs", "schema"}:
        print(_page(given.command), end="")  # noqa: T201 - what was asked for
        return ExitCode.HEALTHY
    if given.command == "repair" or given.command in VERBS:
        return repair.run(given)
    if given.command == "new-check":
        return write_check(given.id, given.issue, given.title)
    outputs = {name: path for name, path in (("html", given.html), ("markdown", given.markdown)) if path}
    if given.command == "report":
        return report(given.results, outputs)
    return compare(given.before, given.after, outputs)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; `repair` takes the options of the suite too, for its examinations."""
    given, others = _parser().parse_known_args(arguments)
    given.suite_options = [other for other in others if given.command == "repair" and other.startswith("--mdm-")]
    if unknown := [other for other in others if other not in given.suite_options]:
        _parser().error(f"unrecognized arguments: {' '.join(unknown)}")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mdm-health", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("docs", help="print docs/checks.md, the documentation of the checks")
    commands.add_parser("schema", help="print the JSON Schema of the results")
    about = "make reports again from the JSON of a run (--mdm-json)"
    reporting = commands.add_parser("report", help=about, description=about)
    reporting.add_argument("results", type=Path, metavar="RESULTS.json")
    about = "compare the JSON of two runs: 0 no regression, 1 regressions, 12 a file cannot be used"
    comparing = commands.add_parser("compare", help=about, description=about)
    comparing.add_argument("before", type=Path, metavar="BEFORE.json")
    comparing.add_argument("after", type=Path, metavar="AFTER.json")
    about = "write a new check with its tests, in a checkout of this project"
    writing = commands.add_parser("new-check", help=about, description=about)
    writing.add_argument("id", metavar="ID", help="lower-case words with hyphens between them, such as stale-cache")
    writing.add_argument("--issue", required=True, metavar="9.N", help="a number that no other check has")
    writing.add_argument("--title", required=True, help="what it is about, in one line")
    repair.add_parsers(commands.add_parser)
    for command in (reporting, comparing):
        command.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML page")
        command.add_argument("--markdown", type=Path, metavar="FILE", help="write the report as Markdown")
    return parser


def _page(command: str) -> str:
    return documentation.page() if command == "docs" else json_schema.text()


def _fail(reason: object, code: ExitCode) -> int:
    print(f"ERROR {reason}", file=sys.stderr)  # noqa: T201 - a command line
    return code


def write_check(id_: str, issue: str, title: str) -> int:
    """Write a new check into the current folder; return the exit code.

    Raises:
        CannotWrite: a value is not valid or is taken, or the folder is not a checkout.
        OSError: a file could not be written.
    """
    root = Path.cwd()
    for path in new_check.write(root, id_, issue, title):
        _print(str(path.relative_to(root)))
    return ExitCode.HEALTHY


def report(file: Path, outputs: Mapping[str, Path]) -> int:
    """Make reports again; return the exit code.

    Raises:
        InvalidRequest: an output is one of the inputs, or too many of its folders are missing.
        UnusableFile: the results cannot be used.
        OSError: a report could not be written.
    """
    _refuse_outputs(outputs, file)
    finished = report_in(file, "report")
    _print(f"MDM health: {finished.verdict}", *lines(finished))
    _print(f"exit code of that run: {finished.exit_code}: {finished.meaning}")
    _write(finished, outputs)
    return ExitCode.HEALTHY


def compare(before: Path, after: Path, outputs: Mapping[str, Path]) -> int:
    """Compare two runs; return 1 if the later one has regressions, else 0.

    Raises:
        InvalidRequest: an output is one of the inputs, or too many of its folders are missing.
        UnusableFile: one of the results cannot be used, or they are of different homes.
        OSError: a report could not be written.
    """
    _refuse_outputs(outputs, before, after)
    earlier, later = report_in(before, "compare"), report_in(after, "compare")
    baseline = from_report(earlier, before)
    refuse_foreign(baseline, later.datasets, "compare")
    results, comparison = compared(baseline, _without_facts(later.results), later.home, whole=True)
    comparison = replace(comparison, same_checks=earlier.version == later.version)
    _print(f"MDM health: {earlier.verdict} before, {later.verdict} after", *change_lines(comparison), _NOT_COMPARED)
    _write(replace(later, results=results, comparison=comparison), outputs)
    if comparison.regressions:
        worse = counted(comparison.regressions, "result is", "results are")
        code, conclusion = ExitCode.UNHEALTHY, f"{worse} worse than before, or newly bad"
    else:
        code, conclusion = ExitCode.HEALTHY, "nothing is worse than before"
    _print(f"exit code {code}: {conclusion}")
    return code


def _without_facts(results: Iterable[Result]) -> tuple[Result, ...]:
    """The results without their facts, where the later run's comparison of tables with another baseline may be."""
    return tuple(replace(result, facts={}) for result in results)


def _refuse_outputs(outputs: Mapping[str, Path], *inputs: Path) -> None:
    paths = [path.resolve() for path in (*inputs, *outputs.values())]
    for name, path in outputs.items():
        if paths.count(path.resolve()) > 1:
            raise InvalidRequest(f"--{name}: {path} is given twice, and would be overwritten")
        if path.exists() and not path.is_file():
            raise InvalidRequest(f"--{name}: {path} is not a file to write to")
        if (folder := missing_folder(path)) is not None:
            raise InvalidRequest(f"--{name}: {path} cannot be written, because there is no folder {folder}")


def _write(finished: Report, outputs: Mapping[str, Path]) -> None:
    for name, path in outputs.items():
        write_whole(path, RENDER[name](finished))
        _print(f"{name}: {path}")


def _print(*lines_of_text: str) -> None:
    """Print lines; what the encoding of the output lacks is escaped."""
    for line in lines_of_text:
        encoding = sys.stdout.encoding or "utf-8"
        print(line.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - a command line
