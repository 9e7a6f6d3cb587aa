"""What can be done without pytest and without a home: `python -m pytest_mdm_health --help` lists it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pytest_mdm_health.exit_codes import ExitCode

USAGE_ERROR = 4
"""As pytest has it."""


class _Parser(argparse.ArgumentParser):
    """One whose complaints are one line and end with pytest's code for them."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; return the exit code."""
    given = _parser().parse_args(arguments)
    if given.command in {"docs", "schema"}:
        print(_page(given.command), end="")  # noqa: T201 - what was asked for
        return ExitCode.HEALTHY
    from pytest_mdm_health import rerender
    from pytest_mdm_health.compare.usable_file import UnusableFile

    outputs = {name: path for name, path in (("html", given.html), ("markdown", given.markdown)) if path}
    try:
        if given.command == "report":
            return rerender.report(given.results, outputs)
        return rerender.compare(given.before, given.after, outputs)
    except rerender.NotMeant as error:
        _parser().error(f"{given.command}: {error}")
    except UnusableFile as error:
        return _complain(error, ExitCode.UNUSABLE_FILE)
    except OSError as error:
        return _complain(f"{error.filename} could not be written: {error.strerror}", ExitCode.INCONCLUSIVE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m pytest_mdm_health", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("docs", help="print docs/checks.md, the documentation of the checks")
    commands.add_parser("schema", help="print the JSON Schema of the results")
    about = "make reports again from the JSON of a run (--mdm-json)"
    report = commands.add_parser("report", help=about, description=about)
    report.add_argument("results", type=Path, metavar="RESULTS.json")
    about = "compare the JSON of two runs: 0 no regression, 1 regressions, 12 a file cannot be used"
    compare = commands.add_parser("compare", help=about, description=about)
    compare.add_argument("before", type=Path, metavar="BEFORE.json")
    compare.add_argument("after", type=Path, metavar="AFTER.json")
    for command in (report, compare):
        command.add_argument("--html", type=Path, metavar="FILE", help="write the report as one HTML page")
        command.add_argument("--markdown", type=Path, metavar="FILE", help="write the report as Markdown")
    return parser


def _page(command: str) -> str:
    from pytest_mdm_health import documentation
    from pytest_mdm_health.reports import json_schema

    return documentation.page() if command == "docs" else json_schema.text()


def _complain(what: object, code: ExitCode) -> int:
    print(f"ERROR {what}", file=sys.stderr)  # noqa: T201 - a command line
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
