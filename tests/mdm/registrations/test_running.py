"""A running registration is described by what it does, what it waits for and what it has open."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.registrations.running import Registering, running_registrations

RunMdm = Callable[..., "subprocess.Popen[bytes]"]
SHOP = ("dataset", "register", "shop", "raw/shop")


def watched(process: subprocess.Popen[bytes]) -> Registering:
    (found,) = [each for each in running_registrations() if each.pid == process.pid]
    return found


def seen_at_work(process: subprocess.Popen[bytes]) -> Registering:
    """It, watched until it does something: a busy machine may not let it for a while."""
    deadline = time.monotonic() + 30
    while (found := watched(process)).idle and time.monotonic() < deadline:
        pass
    return found


def test_without_a_registration_nothing_is_waited_for(run_mdm: RunMdm) -> None:
    other = run_mdm("dataset", "list")
    assert other.pid not in {each.pid for each in running_registrations()}


@pytest.mark.parametrize(
    ("arguments", "dataset"),
    [
        (("Shop", "raw/shop"), "shop"),
        (("--force", "shop", "raw"), "shop"),
        (("-t", "churn", "--id-columns", "id", "shop"), "shop"),
        (("--target=churn", "-f", "shop"), "shop"),
        ((), ""),
    ],
)
def test_the_dataset_is_the_first_argument_outside_an_option(
    run_mdm: RunMdm, arguments: tuple[str, ...], dataset: str
) -> None:
    assert watched(run_mdm("dataset", "register", *arguments)).dataset == dataset


def test_the_home_is_the_one_its_environment_names(run_mdm: RunMdm, tmp_path: Path) -> None:
    assert watched(run_mdm(*SHOP, home=tmp_path)).home == tmp_path
    assert watched(run_mdm(*SHOP)).home == Path.home() / ".mdm"


def test_one_that_waits_is_idle_and_says_for_what(run_mdm: RunMdm) -> None:
    started = time.time()
    found = watched(run_mdm(*SHOP, then="time.sleep(600)"))
    assert found.idle
    assert not found.stopped
    assert found.waits_for == "a timer, to try again"
    assert found.age < time.time() - started + 2


def test_one_that_waits_for_input_says_so(run_mdm: RunMdm) -> None:
    assert watched(run_mdm(*SHOP)).waits_for == "input from a terminal, a pipe or a file"


def test_one_whose_threads_wait_for_each_other_says_so(run_mdm: RunMdm) -> None:
    process = run_mdm(*SHOP, then="import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()")
    assert watched(process).waits_for == "another of its threads"


def test_one_that_waits_for_a_file_lock_says_so(run_mdm: RunMdm, tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / "lock").open("w") as ours:
        fcntl.lockf(ours, fcntl.LOCK_EX)
        file = f"f = open({str(tmp_path / 'lock')!r}, 'w')"
        process = run_mdm(*SHOP, before=file, then="import fcntl\nfcntl.lockf(f, fcntl.LOCK_EX)")
        found = watched(process)
    assert found.waits_for == "a lock on a file"
    assert tmp_path / "lock" in found.files


def test_one_with_a_connection_to_a_server_says_so(run_mdm: RunMdm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; s = socket.create_connection({server.getsockname()!r})"
        found = watched(run_mdm(*SHOP, before=connect, then="s.recv(1)"))
    assert found.connected
    assert found.waits_for == "an answer from a server or another program"


def test_one_that_computes_is_not_idle(run_mdm: RunMdm) -> None:
    assert not watched(run_mdm(*SHOP, then="while True: pass")).idle


def test_one_that_waits_for_a_processor_is_not_idle(run_mdm: RunMdm) -> None:
    found = watched(run_mdm(*SHOP))
    assert found.idle
    assert not replace(found, state="running").idle


def test_one_whose_child_computes_is_not_idle(run_mdm: RunMdm) -> None:
    child = "import subprocess; c = subprocess.Popen([sys.executable, '-c', 'while True: pass'])"
    process = run_mdm(*SHOP, before=child + "; print(end='', flush=True)", then="c.wait()")
    found = seen_at_work(process)
    import psutil

    for each in psutil.Process(process.pid).children():
        each.kill()
    assert not found.idle
    assert found.waits_for == "another process that it started"


def test_one_that_writes_is_not_idle(run_mdm: RunMdm, tmp_path: Path) -> None:
    writing = f"with open({str(tmp_path / 'out')!r}, 'wb', 0) as f:\n while f.write(b'x' * 65536): time.sleep(0.02)"
    found = seen_at_work(run_mdm(*SHOP, then=writing))
    assert found.moved is not None
    assert found.moved > 10_000
    assert not found.idle


def test_one_that_a_signal_has_stopped_says_so(run_mdm: RunMdm) -> None:
    process = run_mdm(*SHOP, then="while True: pass")
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert watched(process).stopped


def test_one_that_has_ended_is_not_there(run_mdm: RunMdm) -> None:
    process = run_mdm(*SHOP)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.pid not in {each.pid for each in running_registrations()}


def test_one_that_polls_a_locked_database_is_idle(run_mdm: RunMdm, tmp_path: Path) -> None:
    database = tmp_path / "shop.sqlite"
    holder = sqlite3.connect(database)
    holder.executescript("CREATE TABLE t (a); BEGIN EXCLUSIVE")
    opening = f"import sqlite3; c = sqlite3.connect({str(database)!r}, timeout=600)"
    found = watched(run_mdm(*SHOP, before=opening, then="c.execute('BEGIN IMMEDIATE')"))
    holder.close()
    assert found.idle
    assert database in found.files


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")
def test_what_cannot_be_seen_without_privileges_is_left_out(run_mdm: RunMdm, tmp_path: Path) -> None:
    process = run_mdm(*SHOP, before=f"f = open({str(tmp_path / 'data')!r}, 'w')", home=tmp_path)
    assert watched(process).home == tmp_path  # and what the other user may not read is imported by now
    os.seteuid(65534)
    try:
        found = watched(process)
    finally:
        os.seteuid(0)
    assert (found.home, found.moved, found.files) == (None, None, ())
    assert found.dataset == "shop"
