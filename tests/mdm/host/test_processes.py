"""Who has a file open is told with what can be known of them, and with what cannot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.core.session import Session
from pytest_mdm_health.mdm.host import locks
from pytest_mdm_health.mdm.host.open_files import PROC
from pytest_mdm_health.mdm.host.processes import Holder, describe, holders, lock_holders, mdm_processes

Hold = Callable[[str], "subprocess.Popen[bytes]"]
CLOCK_TICK_S = 0.02


@pytest.fixture(autouse=True)
def _no_earlier_scan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What was read of the system is used again for some milliseconds; the test before may have read it."""
    monkeypatch.setattr(locks, "TABLE_LASTS_S", 0.0)
    with Session():
        yield


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    sqlite3.connect(path).executescript("CREATE TABLE t (a)").close()
    return path


def test_a_process_that_has_a_file_open_without_a_lock_holds_it(hold: Hold, database: Path) -> None:
    before = time.time()
    holder = hold(f"f = open({str(database)!r}, 'rb')")
    (found,) = holders([database]).answer
    assert (found.pid, found.mode, found.lock) == (holder.pid, "holds", "")
    assert found.name.startswith("python")
    assert found.since is not None
    assert before - 2 < found.since < time.time() + CLOCK_TICK_S


def test_a_process_locking_a_file_is_listed_once_with_its_lock(hold: Hold, database: Path) -> None:
    holder = hold(f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('BEGIN IMMEDIATE')")
    assert {(each.pid, each.mode, each.lock) for each in holders([database]).answer} >= {
        (holder.pid, "writes", "reserved")
    }
    assert "holds" not in {each.mode for each in holders([database]).answer}


def test_a_file_of_the_same_name_elsewhere_is_another_file(hold: Hold, database: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / database.name
    other.parent.mkdir()
    other.write_bytes(b"")
    hold(f"f = open({str(other)!r}, 'rb')")
    assert holders([database]).answer == ()


def test_a_file_is_the_same_through_a_link(hold: Hold, database: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(database)
    holder = hold(f"f = open({str(database)!r}, 'rb')")
    assert [each.pid for each in holders([link]).answer] == [holder.pid]


def test_this_process_does_not_hold_its_own_files(database: Path) -> None:
    with database.open("rb"):
        assert holders([database]).answer == ()


def test_a_file_that_is_not_there_has_no_holders(tmp_path: Path) -> None:
    assert holders([tmp_path / "none"]).answer == ()
    assert lock_holders([tmp_path / "none"]) == ()


def test_a_holder_is_shown_by_name_and_id() -> None:
    assert str(Holder(12, "mdm")) == "mdm (PID 12)"
    assert str(Holder(0, "a process that cannot be seen")) == "a process that cannot be seen"


def test_a_process_that_ended_has_no_name_and_no_start(hold: Hold) -> None:
    ended = hold("pass")
    ended.kill()
    ended.wait()
    assert describe(ended.pid) == Holder(ended.pid, "a process that cannot be seen")


def test_without_privileges_the_answer_is_said_to_be_incomplete(database: Path) -> None:
    asking = (
        "import os; from pathlib import Path; from pytest_mdm_health.mdm.host.processes import holders\n"
        f"if os.getuid() == 0: os.setuid(65534)\nprint(holders([Path({str(database)!r})]))"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=True, env=environ)
    assert "complete=False" in done.stdout
    assert "cannot be seen" in done.stdout


@pytest.mark.skipif(not PROC.exists() or os.getuid() != 0, reason="needs root")
def test_root_on_the_machine_itself_sees_all(database: Path) -> None:
    outside = (PROC / "self/ns/pid").readlink().name != "pid:[4026531836]"
    assert holders([database]).complete is not outside


@pytest.fixture
def fake_mdm(tmp_path: Path) -> Path:
    script = tmp_path / "mdm"
    script.write_text("import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    return script


@pytest.mark.parametrize("arguments", [["dataset", "register"], ["dataset", "register", "--password", "s3cret"]])
def test_a_running_mdm_is_found_with_its_subcommand_only(fake_mdm: Path, arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, fake_mdm, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        (found,) = (each for each in mdm_processes() if each.pid == running.pid)
        assert found.command == "dataset register"
        assert describe(running.pid).name == "mdm"
        running.kill()


def test_other_programs_are_no_mdm(hold: Hold) -> None:
    other = hold("word = 'mdm'")
    assert other.pid not in {each.pid for each in mdm_processes()}
