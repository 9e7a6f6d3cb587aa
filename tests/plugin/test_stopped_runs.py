"""A run that is stopped reports what is known, says that it is incomplete, and leaves no earlier report behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import time, pathlib, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    if "data-corruption" in item.nodeid:
        pathlib.Path({mark!r}).touch()
        time.sleep(120)
"""


class Runs:
    """Runs of the suite in a process of their own, which wait at the first check of data."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.json, self.html, self.mark = folder / "out.json", folder / "out.html", folder / "mark"
        self.json.write_text("of an earlier run")
        self.html.write_text("of an earlier run")
        (folder / "slowly.py").write_text(SLOW.format(mark=str(self.mark)), encoding="utf-8")
        self._folder, self._home = folder, home

    def start(self, *options: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={self._home}", "-p", "slowly", *options]
        reports = [f"--mdm-json={self.json}", f"--mdm-html={self.html}", f"--mdm-save-baseline={self._folder / 'kept'}"]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self._folder), *sys.path])}
        process = subprocess.Popen(
            [*command, *reports], cwd=self._folder, env=environ, stdout=stdout, stderr=subprocess.STDOUT
        )
        while not self.mark.exists() and process.poll() is None:
            time.sleep(0.05)
        return process


@pytest.fixture
def runs(tmp_path: Path, home: Path) -> Runs:
    return Runs(tmp_path, home)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_reports_what_is_known(runs: Runs, number: signal.Signals) -> None:
    process = runs.start()
    process.send_signal(number)
    assert process.wait(60) == pytest.ExitCode.INTERRUPTED
    report = json.loads(runs.json.read_text())
    statuses = {each["status"] for each in report["results"]}
    assert "pass" in statuses
    assert any("the run stopped before it" in (each["reason"] or "") for each in report["results"])
    assert report["exit_code"] == pytest.ExitCode.INTERRUPTED
    assert report["verdict"] == "inconclusive"
    assert "of an earlier run" not in runs.html.read_text()
    assert not (runs.json.parent / "kept").exists()


def test_a_killed_run_leaves_no_earlier_report(runs: Runs) -> None:
    process = runs.start()
    process.kill()
    process.wait(60)
    assert not runs.json.exists()
    assert not runs.html.exists()


def test_a_closed_pipe_is_no_success(runs: Runs) -> None:
    reading, writing = os.pipe()
    process = runs.start("-v", stdout=writing)
    os.close(writing)
    os.close(reading)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) not in {0, 10}
    assert not runs.json.exists() or json.loads(runs.json.read_text())["verdict"] == "inconclusive"


def test_looking_at_what_would_run_leaves_reports_alone(runs: Runs) -> None:
    assert runs.start("--collect-only").wait(60) == 0
    assert runs.json.read_text() == runs.html.read_text() == "of an earlier run"


def test_a_handler_of_others_is_left_alone(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(77))\n", encoding="utf-8"
    )
    process = runs.start("--confcutdir", str(tmp_path), f"--rootdir={tmp_path}")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 77
