"""A repair that is killed at any moment loses nothing, is found by the suite, and is finished or taken back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Result, Status
from tests.helpers import follow, repair
from tests.watched import differences, snapshot

Examine = Callable[..., Result]

# The process is killed right before the n-th call that reaches the disk, as a power failure would.
_KILLED = """
import os, sys
from pathlib import Path
from pytest_mdm_health.cli import main
left = int(sys.argv[1])
def counting(do):
    def counted(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return do(*arguments, **options)
    return counted
os.fsync, Path.replace, Path.unlink = counting(os.fsync), counting(Path.replace), counting(Path.unlink)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def wal_home(home: Path) -> Path:
    """A log that a killed process left."""
    program = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('DELETE FROM test WHERE id = 1'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, home / "datasets/shop/shop.sqlite"], check=False)
    assert (home / "datasets/shop/shop.sqlite-wal").stat().st_size > 0
    return home


def killed_at(moment: int, home: Path) -> int:
    place = home / "datasets/shop/shop.sqlite"
    command = [sys.executable, "-c", _KILLED, str(moment), "checkpoint", str(place), "--yes"]
    return subprocess.run(command, check=False, capture_output=True).returncode


MOMENTS = [*range(14), *(pytest.param(moment, marks=pytest.mark.slow) for moment in range(14, 22))]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_repair_killed_at_any_moment_is_taken_back(wal_home: Path, moment: int) -> None:
    before = snapshot(wal_home)
    ended = killed_at(moment, wal_home)
    assert ended in {0, -9}
    for saved in wal_home.parent.glob("mdm-health-saved-*"):
        if (saved / "journal.jsonl").read_bytes():
            assert repair("repair", "--undo", saved) == 0
    after = snapshot(wal_home)
    changed = [line for line in differences(before, after) if f" {wal_home}/" in line]
    assert [line for line in changed if "datasets/shop (" not in line] == []


def test_a_repair_killed_at_any_moment_is_found_and_finished(wal_home: Path, examine: Examine) -> None:
    prepared = 0
    for moment in range(40):
        if killed_at(moment, wal_home) == 0:
            break
        found = {each.code: each for each in examine("config-not-loading", wal_home).findings}
        finding = found.get("config-not-loading.unfinished-repair")
        if finding is None:  # killed before it said that it would change something
            continue
        assert repair("checkpoint", wal_home / "datasets/shop/shop.sqlite") == 1
        follow(finding)
        prepared += not (wal_home / "datasets/shop/shop.sqlite-wal").exists()
        if prepared:
            break
        assert examine("config-not-loading", wal_home).status is Status.PASS
    assert prepared
    assert examine("config-not-loading", wal_home).status is Status.PASS
    assert examine("sqlite-locking", wal_home, "shop").findings == ()


def test_a_marker_that_says_nothing_is_told(home: Path, examine: Examine) -> None:
    (home / ".mdm-health-repair").write_text("?", encoding="utf-8")
    (finding,) = examine("config-not-loading", home).findings
    assert "cannot be understood" in finding.message
