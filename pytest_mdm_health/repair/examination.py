"""The home examined by the suite itself, in a process of its own: for the plan, and before each step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.reports.json import load as json_load
from pytest_mdm_health.reports.model import Report

_DROPPED = ("PYTEST_",)
_EXAMINED = {0, 1, 10, 11}
"""Exit codes after which there are results."""


class NotExamined(Exception):
    """The suite gave no results; the text says why, on one line."""


@dataclass(frozen=True)
class Examination:
    """How the home is examined.

    Attributes:
        home: the home.
        arguments: options of the suite that hold for every examination, such as `--mdm-baseline=…`.
    """

    home: Path
    arguments: tuple[str, ...] = ()

    def results(self, *more: str) -> Report:
        """Examine the home, with further options such as `--mdm-select=…`.

        Raises:
            NotExamined: there are no results.
        """
        with tempfile.TemporaryDirectory(prefix="mdm-health-") as folder:
            file, settings = Path(folder, "results.json"), Path(folder, "pytest.ini")
            settings.write_text("[pytest]\n", encoding="utf-8")
            alone = ("-p", "no:cacheprovider", "--noconftest", f"--rootdir={folder}", f"-c{settings}", "-q")
            wanted = ("--mdm-health", f"--mdm-home={self.home}", *self.arguments, *more, f"--mdm-json={file}")
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "pytest", *alone, *wanted],
                    env=_environ(),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                )
            except OSError as error:
                raise NotExamined(f"{sys.executable}, which would examine the home: {error.strerror}") from None
            if done.returncode not in _EXAMINED or not file.exists():
                raise NotExamined(
                    f"the home could not be examined: {_last_line(done.stderr) or _last_line(done.stdout)}"
                )
            return json_load.load(json.loads(file.read_text(encoding="utf-8")))


def arguments_of(report: Report, given: Sequence[str]) -> tuple[str, ...]:
    """The options with which to examine as a report's run did; those that are given win."""
    named = {argument.partition("=")[0] for argument in given}
    of_run = {"--mdm-phase": report.phase, "--mdm-depth": report.depth}
    if report.comparison is not None:
        of_run["--mdm-baseline"] = report.comparison.file
    if report.waivers is not None:
        of_run["--mdm-waivers"] = report.waivers.file
    return (*(f"{name}={value}" for name, value in of_run.items() if name not in named), *given)


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
