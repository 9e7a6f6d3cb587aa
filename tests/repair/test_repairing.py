"""A damaged home repaired from its report: the plan, the steps, what is left, and all of it taken back."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers import repair, run_health
from tests.watched import differences, snapshot


def leave_a_log(database: Path) -> None:
    """A process is killed in the middle of its work."""
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('CREATE TABLE later AS SELECT 1 AS a'); c.execute('DROP TABLE later'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, database], check=False)
    assert database.with_name(f"{database.name}-wal").exists()


@pytest.fixture
def damaged(home: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A home with two logs of killed processes, and its report."""
    for name in ("wine", "breast_cancer"):
        leave_a_log(home / f"datasets/{name}/{name}.sqlite")
    report = tmp_path / "report.json"
    assert run_health(home, tmp_path, f"--mdm-json={report}", "--mdm-select=3.2").returncode == 0
    return home, report


def test_a_home_is_repaired_from_its_report_and_back(
    damaged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    home, report = damaged
    before = snapshot(home)
    assert repair("repair", report, "--home", home, "--mdm-select=3.2") == 0
    plan = capsys.readouterr().out
    assert "2 steps for" in plan
    assert plan.count("would merge") == 2
    assert snapshot(home) == before
    assert repair("repair", report, "--home", home, "--mdm-select=3.2", "--apply") == 0
    said = capsys.readouterr().out
    assert said.count("done: merge") == 2
    assert "examined again: healthy; 0 findings of the report left" in said
    assert not list(home.glob("datasets/*/*-wal"))
    (saved,) = home.parent.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    wrong = [line for line in differences(before, snapshot(home)) if f"{home}/datasets/" in line and "sqlite" in line]
    assert wrong == []


@pytest.mark.slow
def test_one_step_of_a_plan_leaves_the_other(damaged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    home, report = damaged
    assert repair("repair", report, "--home", home, "--mdm-select=3.2", "--apply", "--only", "wine") == 0
    assert "0 findings of the report left" in capsys.readouterr().out
    assert (home / "datasets/breast_cancer/breast_cancer.sqlite-wal").exists()
    assert repair("repair", report, "--home", home, "--mdm-select=3.2", "--apply", "--step", "2") == 1
    assert capsys.readouterr().err == "ERROR --step 2: the plan has 1 step now; see it without --apply\n"
    assert repair("repair", report, "--home", home, "--mdm-select=3.2", "--apply", "--step", "1") == 0
    assert "not found any more: sqlite-locking.left-over-wal (wine)" in capsys.readouterr().out


@pytest.mark.slow
def test_what_a_process_uses_now_is_left_alone(damaged: tuple[Path, Path]) -> None:
    home, report = damaged
    log = home / "datasets/wine/wine.sqlite-wal"
    with closing(sqlite3.connect(home / "datasets/wine/wine.sqlite", isolation_level=None)) as mine:
        mine.execute("BEGIN IMMEDIATE")
        other = (sys.executable, "-m", "pytest_mdm_health", "repair", report, "--home", home, "--apply", "--yes")
        done = subprocess.run([*map(str, other), "--mdm-select=3.2"], check=False, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        assert log.exists()
    assert "not found any more: sqlite-locking.left-over-wal (wine)" in done.stdout
    assert not (home / "datasets/breast_cancer/breast_cancer.sqlite-wal").exists()


def test_a_home_that_cannot_be_examined_is_one_line(
    tmp_path: Path, damaged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, report = damaged
    (tmp_path / "empty").mkdir()
    assert repair("repair", report, "--home", tmp_path / "empty") == 1
    said = capsys.readouterr().err
    assert said.startswith("ERROR the home could not be examined: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("selected", ["--only=no-such", "--step=3", "--step=0"])
def test_what_selects_nothing_is_refused(
    damaged: tuple[Path, Path], selected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home, report = damaged
    assert repair("repair", report, "--home", home, "--mdm-select=3.2", "--apply", selected) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"ERROR {selected.replace('=', ' ')}: ")
    assert said.out == ""


def test_the_plan_ends_with_the_command_that_does_it(
    damaged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What was selected for the plan is selected for the doing, and blanks in names are quoted."""
    home, report = damaged
    saved = home.parent / "what there was"
    wanted = ("--only", "wine", "--notes", "--saved", saved, "--mdm-select=3.2")
    assert repair("repair", report, "--home", home, *wanted) == 0
    *_, last = capsys.readouterr().out.splitlines()
    command = shlex.split(last.removeprefix("do it: "))
    assert repair(*command[1:]) == 0
    assert "done: merge wine.sqlite-wal" in capsys.readouterr().out
    assert (home / "datasets/breast_cancer/breast_cancer.sqlite-wal").exists()
    assert len([*saved.iterdir()]) == 1


def test_output_that_is_cut_off_is_told_in_one_line() -> None:
    """As by `| head -n 1`."""
    command = (sys.executable, "-m", "pytest_mdm_health", "docs")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == "ERROR the output was cut off by its reader; what was left to do was not done\n"


@pytest.mark.parametrize("arguments", [(), ("no-such.json",), ("--undo", "no-such-folder")])
def test_what_is_no_report_is_refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert repair("repair", *arguments) == 12
    assert capsys.readouterr().err.count("\n") == 1


def test_a_moved_home_has_its_repair_beside_it(damaged: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The report names the old place; only the home that is given counts."""
    home, report = damaged
    moved = home.parent / "moved"
    shutil.move(home, moved)
    assert repair("checkpoint", moved / "datasets/wine/wine.sqlite") == 0
    assert str(moved) in capsys.readouterr().out
    del report
