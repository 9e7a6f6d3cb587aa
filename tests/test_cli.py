"""Reports are made again, and runs compared, from their JSON alone."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mdm_health import cli
from pytest_mdm_health.core.model import Kind, Target
from pytest_mdm_health.reports import markdown
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.model import Report
from tests.helpers import own_environment
from tests.reports.full_report import REPORT, RESULTS, SLOWDOWN

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Do what `python -m pytest_mdm_health` does in a folder of its own, in the process of the test."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [*map(str, arguments)]
        try:
            code = cli.main(line)
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(line, code, said.out, said.err)

    return run


@pytest.fixture
def command_alone(tmp_path: Path) -> Command:
    """As `command`, in a process of its own."""
    root = str(Path(__file__).parent.parent)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((root, os.environ.get("PYTHONPATH", "")))}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "pytest_mdm_health", *map(str, arguments)]
        return subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str, Report], Path]:
    """Keep a run as JSON."""

    def save(name: str, report: Report) -> Path:
        (tmp_path / name).write_text(json_report.render(report), encoding="utf-8")
        return tmp_path / name

    return save


Save = Callable[[str, Report], Path]
AFTER = replace(REPORT, comparison=None)
BEFORE = replace(AFTER, results=tuple(replace(each, findings=()) for each in RESULTS))


def test_a_report_is_the_one_that_the_run_would_have_written(
    command_alone: Command, saved: Save, tmp_path: Path
) -> None:
    run = command_alone("report", saved("r.json", REPORT), "--html", "out/r.html", "--markdown", "r.md")
    assert (run.returncode, run.stderr) == (0, "")
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == markdown.render(REPORT)
    assert (tmp_path / "out" / "r.html").read_text(encoding="utf-8") == html.render(REPORT)
    assert run.stdout.startswith("MDM health: unhealthy\n")
    assert "exit code of that run: 1: at least one check failed\nhtml: out/r.html\nmarkdown: r.md\n" in run.stdout


def test_two_runs_are_compared_and_regressions_are_exit_code_1(command: Command, saved: Save, tmp_path: Path) -> None:
    run = command("compare", saved("a.json", BEFORE), saved("b.json", AFTER), "--html", "c.html", "--markdown", "c.md")
    assert (run.returncode, run.stderr) == (1, "")
    assert "NEW     sqlite-locking.held-open [shop]: PID 4711 holds the database\n" in run.stdout
    assert run.stdout.endswith("exit code 1: 2 results are worse than before, or newly bad\n")
    assert "**2 regressions**" in (tmp_path / "c.md").read_text(encoding="utf-8")
    assert (tmp_path / "c.html").stat().st_size > 1000


def test_what_was_repaired_is_no_regression(command: Command, saved: Save) -> None:
    run = command("compare", saved("b.json", AFTER), saved("a.json", BEFORE))
    assert run.returncode == 0
    assert "FIXED   sqlite-locking.held-open [shop]: PID 4711 holds the database\n" in run.stdout
    assert run.stdout.endswith("exit code 0: nothing is worse than before\n")


def test_comparing_runs_of_different_versions_prints_a_warning(command: Command, saved: Save) -> None:
    run = command("compare", saved("a.json", replace(AFTER, version="0.0.1")), saved("b.json", AFTER))
    assert run.returncode == 0
    assert "it may have looked for other things" in run.stdout
    assert "it may have looked" not in command("compare", saved("a.json", AFTER), saved("b.json", AFTER)).stdout


@pytest.mark.slow
def test_two_real_runs_are_compared(pytester: pytest.Pytester, home: Path, command: Command, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", f"--mdm-json={before}")
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", f"--mdm-json={after}")
    run = command("compare", before, after)
    assert run.returncode == 1
    assert "NEW     metadata-corruption.syntax [shop]" in run.stdout


def fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text(""), "is damaged, or not what is needed: it is empty"),
        (lambda path: path.write_text('{"schema": '), "is damaged, or not what is needed: it is not valid JSON"),
        (
            lambda path: path.write_text('{"duration_s": NaN}'),
            "is damaged, or not what is needed: it is not valid JSON (NaN",
        ),
        (lambda path: path.write_text("[" * 100_000), "is damaged, or not what is needed: it is not valid JSON"),
        (lambda path: path.write_text('{"a": 1}'), "cannot be used: it is no mdm-health/2 document"),
        (
            lambda path: path.write_text('{"schema": "mdm-health-baseline/1\\u202e\\n"}'),
            "cannot be used: it is no mdm-health/2 document but 'mdm-health-baseline/1\\u202e\\n'",
        ),
        (lambda path: path.write_text('{"schema": "mdm-health/1"}'), "cannot be used: tool: Field required"),
        (lambda path: path.write_text('{"schema": "mdm-health/2"}'), "cannot be used: tool: Field required"),
        (lambda path: path.mkdir(), "is a folder"),
        (fifo, "is a FIFO"),
        (lambda _path: None, "does not exist"),
    ],
    ids=[
        "empty",
        "half",
        "not-a-number",
        "deep",
        "foreign",
        "other-schema",
        "hollow-1",
        "hollow",
        "folder",
        "fifo",
        "missing",
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_12(
    command: Command, saved: Save, tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    make(tmp_path / "bad.json")
    for arguments in (("report", "bad.json"), ("compare", saved("good.json", REPORT), "bad.json")):
        run = command(*arguments)
        assert (run.returncode, run.stdout) == (12, "")
        assert run.stderr.startswith(f"ERROR {arguments[0]}: bad.json {said}"), run.stderr
        assert run.stderr.count("\n") == 1


def test_runs_of_different_homes_are_not_compared(command: Command, saved: Save) -> None:
    other = replace(RESULTS[1], target=Target(Kind.DATASET, "other"))
    run = command("compare", saved("a.json", replace(AFTER, results=(other,), home="/srv/b")), saved("b.json", AFTER))
    assert run.returncode == 12
    assert run.stderr.startswith("ERROR compare: ")
    assert "has no dataset in common with this home: it has other, recorded in /srv/b, and here are" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("nothing",), "argument COMMAND: invalid choice: 'nothing'"),
        (("report",), "report: the following arguments are required: RESULTS.json"),
        (("compare", "r.json"), "compare: the following arguments are required: AFTER.json"),
        (("report", "r.json", "--html", "r.json"), "report: --html: r.json is given twice, and would be overwritten"),
        (("report", "r.json", "--html", "x", "--markdown", "x"), "--html: x is given twice, and would be overwritten"),
        (("report", "r.json", "--markdown", "."), "report: --markdown: . is not a file to write to"),
        (
            ("report", "r.json", "--html", "no/such/x.html"),
            "no/such/x.html cannot be written, because there is no folder",
        ),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_one_line_and_exit_code_4(
    command: Command, saved: Save, arguments: tuple[str, ...], said: str
) -> None:
    saved("r.json", REPORT)
    run = command(*arguments)
    assert (run.returncode, run.stdout) == (4, "")
    assert said in run.stderr
    assert run.stderr.count("\n") == 1


def test_an_unwritable_report_is_one_line_and_exit_code_11(command: Command, saved: Save, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = command("report", saved("r.json", REPORT), "--html", "file/r.html")
    assert run.returncode == 11
    assert run.stderr.startswith("ERROR file")
    assert run.stderr.count("\n") == 1


def test_names_that_a_terminal_cannot_show_are_escaped(saved: Save, tmp_path: Path) -> None:
    odd = replace(RESULTS[3], check=SLOWDOWN, reason="größe \u202e\x1b[31m\udcff", findings=())
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parent.parent)}
    file = str(saved("r.json", replace(REPORT, results=(odd,))))
    line = [sys.executable, "-m", "pytest_mdm_health", "report", file]
    run = subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert run.returncode == 0
    assert rb"error: postgres-slowdown: gr\xf6\xdfe \u202e\x1b[31m\udcff" in run.stdout


def test_the_schema_and_the_documentation_are_printed(command: Command) -> None:
    assert json.loads(command("schema").stdout)["$id"] == "urn:mdm-health:results:2"
    assert command("docs").stdout.startswith("# The checks\n")
    assert "usage:" in command("--help").stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this project, as far as the contract of checks needs it."""
    root = Path(__file__).parent.parent
    skip = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in ("pytest_mdm_health", "tests", "examples", "docs", "scripts"):
        shutil.copytree(root / folder, tmp_path / "checkout" / folder, ignore=skip)
    for file in ("conftest.py", "pyproject.toml"):
        shutil.copy(root / file, tmp_path / "checkout")
    return tmp_path / "checkout"


NEW = ("new-check", "my-check", "--issue", "9.1", "--title", "My check")


def test_a_new_check_passes_the_contract_and_its_own_tests(checkout: Path) -> None:
    environ = own_environment(PYTHONPATH=str(checkout))

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *arguments]
        return subprocess.run(command, cwd=checkout, env=environ, capture_output=True, text=True, check=False)

    written = python("pytest_mdm_health", *NEW)
    assert (written.returncode, written.stderr) == (0, "")
    assert written.stdout.splitlines()[0] == "pytest_mdm_health/checks/my_check.py"
    contract = ("test_contract.py", "test_guide_coverage.py", "test_rules.py", "engine/test_documentation.py")
    files = (f"tests/{file}" for file in (*contract, "checks/test_my_check.py"))
    about_it = "my-check or my_check or one_check or section or its_title or page_is_made"
    tested = python("pytest", "-q", "-m", "not slow", "-k", about_it, "-p", "no:cacheprovider", *files)
    assert tested.returncode == 0, tested.stdout
    assert "findings: checked for my-check only" in tested.stdout
    for tool in (("check",), ("format", "--check")):
        assert python("ruff", *tool, *written.stdout.splitlines()[:2]).returncode == 0
    assert "there is a check 'my-check'" in python("pytest_mdm_health", *NEW).stderr


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"my-check": "My_Check"}, "'My_Check' is not an id"),
        ({"my-check": "sqlite-locking"}, "there is a check 'sqlite-locking'"),
        ({"9.1": "3.2"}, "3.2 is the issue of 'sqlite-locking'"),
        ({"9.1": "12.1"}, "'12.1' is not an issue of a section: 9.1, 9.2, … are for further checks"),
        ({"My check": "A sentence."}, "the title is one line"),
        ({}, "is not a checkout of pytest-mdm-health"),
    ],
)
def test_a_check_that_cannot_be_written_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main([changed.get(word, word) for word in NEW])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (4, "")
    assert said.err.startswith("mdm-health: new-check: ")
    assert complaint in said.err
    assert list(tmp_path.iterdir()) == []


def test_the_console_script_is_the_module() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="mdm-health")
    assert script.load() is cli.main
