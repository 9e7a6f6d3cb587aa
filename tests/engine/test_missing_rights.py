"""What this user may not read of a home is an error that names the missing right, in every check that needs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import own_environment

BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
LOG_READERS = ("3.1", "3.2", "4.1", "4.2", "6.1", "7.1", "8.3")
Run = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def filled(home: Path) -> Path:
    """A home that has everything that a check may read."""
    custom = home / "config" / "custom_features"
    custom.mkdir(parents=True, exist_ok=True)
    (custom / "shop.py").write_text("class Shop:\n    pass\n")
    (home / "logs" / "mdm.log.1").write_text("2026-11-22 08:14:34,007 - mdm.cli.main - INFO - earlier\n")
    (home / "backup").mkdir()
    archive = home.parent / "mdm_backup_20261129_000000.tar.gz"
    subprocess.run(["tar", "-C", str(home), "--exclude=./backup", "-czf", str(archive), "."], check=True)
    shutil.move(archive, home / "backup")
    return home


@pytest.fixture
def run_bound(filled: Path, tmp_path: Path) -> Iterator[Run]:
    """Run the suite as a user whom modes bind, with paths of the home that are closed to everybody."""
    closed: list[tuple[Path, int]] = []

    def run(close: str, *select: str, phase: str = "any", mode: int = 0) -> tuple[int, dict[str, dict[str, Any]]]:
        path = filled / close
        closed.append((path, path.stat().st_mode))
        path.chmod(mode)
        report = tmp_path / "report.json"
        command = [*BOUND, sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={filled}"]
        chosen = [f"--mdm-select={each}" for each in select]
        command += [*chosen, f"--mdm-phase={phase}", f"--mdm-json={report}", "--mdm-dataset=shop"]
        done = subprocess.run(command, cwd=tmp_path, env=own_environment(), capture_output=True, check=False)
        results = json.loads(report.read_text(encoding="utf-8"))["results"]
        return done.returncode, {each["issue"]: each for each in results if each["issue"] in select}

    yield run
    for path, before in closed:
        path.chmod(before)


@pytest.mark.parametrize(
    ("close", "mode"), [("logs/mdm.log", 0), ("logs", 0), ("logs/mdm.log.1", 0), ("logs", 0o300)],
    ids=["log", "folder", "rotated", "not-listed"],
)  # fmt: skip
def test_a_closed_log_is_an_error_of_each_check_that_reads_it(
    run_bound: Run, filled: Path, close: str, mode: int
) -> None:
    code, results = run_bound(close, *LOG_READERS, mode=mode)
    assert code == 11
    assert {issue for issue, result in results.items() if result["status"] == "error"} == set(LOG_READERS)
    for result in results.values():
        assert (
            f"this user has no right to {'read' if 'mdm' in close else 'enter and list'} {filled}/logs"
            in result["reason"]
        )


@pytest.mark.parametrize(
    ("close", "issue"),
    [
        ("metrics.db", "4.1"),
        ("config/custom_features", "6.2"),
        ("config/custom_features", "2.2"),
        ("config/custom_features/shop.py", "2.2"),
    ],
)
def test_a_single_check_names_the_right_that_it_lacks(run_bound: Run, filled: Path, close: str, issue: str) -> None:
    code, results = run_bound(close, issue)
    assert (code, results[issue]["status"]) == (11, "error")
    assert "this user has no right to" in results[issue]["reason"]
    assert f"{filled / close}, which has mode 000" in results[issue]["reason"]


def test_a_custom_feature_closed_to_this_user_is_no_failure(run_bound: Run) -> None:
    code, results = run_bound("config/custom_features/shop.py", "6.2", mode=0)
    privileged = os.geteuid() == 0  # the home is root's, whom no mode binds, unlike the run
    assert (code, results["6.2"]["status"]) == ((11, "error") if privileged else (1, "fail"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_custom_feature_that_mdm_may_not_read_is_a_failure(run_bound: Run, filled: Path) -> None:
    for path in (filled, *filled.rglob("*")):
        os.chown(path, 65534, 65534)
    code, results = run_bound("config/custom_features/shop.py", "6.2")
    assert (code, results["6.2"]["status"]) == (1, "fail")


@pytest.mark.parametrize("phase", ["pre", "any", "post"])
@pytest.mark.parametrize("close", ["backup", "backup/mdm_backup_20261129_000000.tar.gz"])
def test_a_closed_backup_is_an_error_in_every_phase(run_bound: Run, close: str, phase: str) -> None:
    code, results = run_bound(close, "1.1", phase=phase)
    found = {each["code"]: each["severity"] for each in results["1.1"]["findings"]}
    assert (code, results["1.1"]["status"]) == (11, "error"), found
    assert "Permission denied" in results["1.1"]["reason"]
    assert found["backup-failure.not-read"] == "warn"
