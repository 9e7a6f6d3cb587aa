"""What the tests of several modules need: runs of the suite that are made once, and what they wrote."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from pytest_mdm_health.cli import main
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.verbs import PROGRAM

LEAN = "-p no:hypothesispytest"
"""Options of every run of pytest that a test starts: importing Hypothesis would be a third of a short run."""

Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
MakeHome = Callable[..., Path]
Health = Callable[..., pytest.RunResult]

ALONE_OR_ON_WORKERS = [
    pytest.param((), id="alone"),
    pytest.param(("-n", "2"), id="two-workers", marks=pytest.mark.slow),
]
"""Ways to run the suite; `test_two_workers_find_what_one_process_finds` compares them in the fast tests."""


def crossed(first: Sequence[object], second: Sequence[object]) -> list[ParameterSet]:
    """Every pair of two lists of parameters, for one `parametrize`.

    The fast tests have what was named first of each list with all of the other, and leave the other pairs to the slow
    ones: what is wrong with a pair is nearly always wrong with one of the two.
    """
    slow = pytest.mark.slow
    return [
        pytest.param(one, other, marks=() if one == first[0] or other == second[0] else slow)
        for other in second
        for one in first
    ]


def own_environment(**more: str) -> dict[str, str]:
    """The environment without what the suite would take for its options, and with these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MDM_", "PYTEST_", "GITHUB_"))}
    return {**kept, "PYTEST_ADDOPTS": LEAN, **more}


def run_health(
    home: Path, folder: Path, *options: str | Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `pytest --mdm-health` in a folder, for fixtures that outlast a test; a test itself takes `health`."""
    command = [sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", *map(str, options)]
    variables = own_environment(**(environ or {}))
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def repair(*arguments: str | Path) -> int:
    """Run `mdm-health` with these arguments in this process, answering every question with yes; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDM_HEALTH_YES", "1")
        return main([str(argument) for argument in arguments])


def follow(finding: Finding) -> None:
    """Run the commands of a finding as printed, and see that each of them succeeds."""
    assert finding.remedy.commands
    for command in finding.remedy.commands:
        if command.startswith(f"{PROGRAM} "):
            assert repair(*shlex.split(command)[1:]) == 0, command
        else:
            subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - commands are for the shell


def results_in(path: Path) -> dict[str, dict[str, Any]]:
    """The results in a JSON report, each by its check and target: `sqlite-locking[shop]`."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {f"{each['check']}[{each['target']['name']}]": each for each in document["results"]}


def break_registration(home: Path, dataset: str) -> None:
    """Damage a registration so that nothing of its dataset can be examined."""
    (home / "config" / "datasets" / f"{dataset}.yaml").write_text("name: [unclosed\n", encoding="utf-8")
