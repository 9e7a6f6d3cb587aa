"""What can be made of the JSON of finished runs, without the home that they examined."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.compare.baseline import from_report, parsed, refuse_foreign
from pytest_mdm_health.compare.usable_file import UnusableFile
from pytest_mdm_health.compare.verdicts import compared
from pytest_mdm_health.exit_codes import ExitCode
from pytest_mdm_health.mdm.amounts import counted
from pytest_mdm_health.options import missing_folder
from pytest_mdm_health.reports import html, json_load, markdown, write_whole
from pytest_mdm_health.reports.model import Report
from pytest_mdm_health.reports.terminal import change_lines, lines, one_line

RENDER: Mapping[str, Callable[[Report], str]] = {"html": html.render, "markdown": markdown.render}
"""The reports that need nothing but the results, by the name of the option."""
_NOT_COMPARED = "only findings are compared: rows, columns and settings are compared by a run with --mdm-baseline"


class NotMeant(Exception):
    """What was asked for cannot be meant; the text says why, on one line."""


def report(file: Path, outputs: Mapping[str, Path]) -> int:
    """Make reports again; return the exit code.

    Raises:
        NotMeant: an output is one of the inputs, or too many of its folders are missing.
        UnusableFile: the results cannot be used.
        OSError: a report could not be written.
    """
    _refuse_outputs(outputs, file)
    run = _run_in(file, "report")
    _say(f"MDM health: {run.verdict}", *lines(run), f"exit code {run.exit_code} then: {run.meaning}")
    _write(run, outputs)
    return ExitCode.HEALTHY


def compare(before: Path, after: Path, outputs: Mapping[str, Path]) -> int:
    """Compare two runs; return 1 if the later one has regressions, else 0.

    Raises:
        NotMeant: an output is one of the inputs, or too many of its folders are missing.
        UnusableFile: one of the results cannot be used, or they are of different homes.
        OSError: a report could not be written.
    """
    _refuse_outputs(outputs, before, after)
    then, now = _run_in(before, "compare"), _run_in(after, "compare")
    earlier = from_report(then, before)
    refuse_foreign(earlier, now.datasets, "compare")
    results, comparison = compared(earlier, now.results, now.home, whole=True)
    comparison = replace(comparison, same_checks=then.version == now.version)
    worse = counted(comparison.regressions, "result is", "results are")
    code = ExitCode.UNHEALTHY if comparison.regressions else ExitCode.HEALTHY
    said = f"{worse} worse than before, or newly bad" if comparison.regressions else "nothing is worse than before"
    _say(f"MDM health: {then.verdict} then, {now.verdict} now", *change_lines(comparison), _NOT_COMPARED)
    _write(replace(now, results=results, comparison=comparison), outputs)
    _say(f"exit code {code}: {said}")
    return code


def _run_in(file: Path, command: str) -> Report:
    try:
        return json_load.load(parsed(file, command))
    except json_load.NoDocument as error:
        raise UnusableFile(one_line(f"{command}: {file} cannot be used: {error}")) from None


def _refuse_outputs(outputs: Mapping[str, Path], *inputs: Path) -> None:
    paths = [path.resolve() for path in (*inputs, *outputs.values())]
    for name, path in outputs.items():
        if paths.count(path.resolve()) > 1:
            raise NotMeant(f"--{name}: {path} is given twice, and would be overwritten")
        if path.exists() and not path.is_file():
            raise NotMeant(f"--{name}: {path} is no file to write to")
        if (folder := missing_folder(path)) is not None:
            raise NotMeant(f"--{name}: {path} cannot be written, because there is no folder {folder}")


def _write(run: Report, outputs: Mapping[str, Path]) -> None:
    for name, path in outputs.items():
        write_whole(path, RENDER[name](run))
        _say(f"{name}: {path}")


def _say(*said: str) -> None:
    for line in said:
        encoding = sys.stdout.encoding or "utf-8"
        print(line.encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - a command line
