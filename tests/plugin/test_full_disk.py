"""What cannot be written, and what others make of a run, costs nothing that is known and is no success."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import own_environment

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no device that is always full")

LEAVES_OUT = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--names", action="store_true")

@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    gone = [item for item in items if "logged-errors" in item.nodeid]
    items[:] = [item for item in items if item not in gone]
    fakes = [type("Fake", (), {"config": config})() for _ in gone]
    config.hook.pytest_deselected(items=gone if config.option.names else fakes)

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.exitstatus = 0
"""


class Runs:
    """Runs of one check in a process of their own, with what they know in a JSON report."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.report = folder / "out.json"
        self.command = [
            *(sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "--mdm-select=8.3"),
            f"--mdm-json={self.report}",
        ]

    def run(self, *options: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
        environ = own_environment(PYTHONPATH=os.pathsep.join([str(self.folder), *sys.path]))
        return subprocess.run(
            [*self.command, *options],
            cwd=self.folder,
            env=environ,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    def known(self) -> tuple[int, list[str]]:
        document = json.loads(self.report.read_text())
        return document["exit_code"], [each["status"] for each in document["results"]]


@pytest.fixture
def runs(tmp_path: Path, home: Path) -> Runs:
    return Runs(tmp_path, home)


@needs_full
def test_a_terminal_on_a_full_disk_costs_no_report(runs: Runs) -> None:
    with FULL.open("w") as full:
        done = runs.run(stdout=full.fileno())
    assert (done.returncode, done.stderr) == (11, "")
    assert runs.known() == (11, ["pass"])


def test_a_reader_that_goes_after_one_line_costs_no_report(runs: Runs) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(["head", "-1"], stdin=reading, stdout=subprocess.DEVNULL) as head:
        os.close(reading)
        done = runs.run("-v", "-v", stdout=writing)
        os.close(writing)
        head.wait(60)
    assert done.returncode == 11
    assert "Traceback" not in done.stderr
    assert runs.known() == (11, ["pass"])


@needs_full
def test_pytests_report_on_a_full_disk_costs_none_of_ours(runs: Runs) -> None:
    done = runs.run(f"--junitxml={FULL}")
    assert done.returncode == 11
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert "could not be written: No space left on device" in done.stdout
    assert runs.known() == (11, ["pass"])


def test_a_failure_stays_one_on_a_full_disk(runs: Runs, home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    reading, writing = os.pipe()
    os.close(reading)
    done = runs.run("--mdm-select=7.2", stdout=writing)
    os.close(writing)
    assert done.returncode == 1
    assert "fail" in runs.known()[1]


def test_what_a_plugin_leaves_out_silently_is_examined(runs: Runs) -> None:
    (runs.folder / "leaves_out.py").write_text(LEAVES_OUT)
    assert runs.run("-p", "leaves_out").returncode == 0
    assert runs.known() == (0, ["pass"])
    runs.report.unlink()
    assert runs.run("-p", "leaves_out", "--names").returncode == 5  # and not what the plugin makes of it
