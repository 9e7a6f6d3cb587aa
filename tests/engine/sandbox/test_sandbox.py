"""The sandbox: real hangs, real crashes, a real kill from outside."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_mdm_health.engine.sandbox import Crashed, Raised, Sandbox, TimedOut, sandbox_child
from pytest_mdm_health.mdm.host import processes


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


def test_a_call_brings_its_answer_back(sandbox: Sandbox) -> None:
    assert sandbox.call("math:gcd", 12, 18, timeout_s=30) == 6


def test_one_child_serves_many_calls(sandbox: Sandbox) -> None:
    assert sandbox.call("os:getpid", timeout_s=30) == sandbox.call("os:getpid", timeout_s=30) != os.getpid()


def test_an_exception_is_one_line_and_the_child_survives(sandbox: Sandbox) -> None:
    pid = sandbox.call("os:getpid", timeout_s=30)
    with pytest.raises(Raised, match=r"^ValueError: math domain error|^ValueError: expected"):
        sandbox.call("math:sqrt", -1, timeout_s=30)
    assert sandbox.call("os:getpid", timeout_s=30) == pid


def test_an_exit_is_no_end_of_the_child(sandbox: Sandbox) -> None:
    with pytest.raises(Raised, match="SystemExit: 7"):
        sandbox.call("sys:exit", 7, timeout_s=30)
    assert sandbox.call("math:gcd", 4, 6, timeout_s=30) == 2


def test_a_hang_is_stopped_and_the_next_call_is_answered(sandbox: Sandbox) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut, match=r"took longer than 0\.3 s"):
        sandbox.call("time:sleep", 600, timeout_s=0.3)
    assert time.monotonic() - started < 60
    assert sandbox.call("math:gcd", 4, 6, timeout_s=30) == 2


def test_a_hang_in_native_code_is_stopped_too(sandbox: Sandbox) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    sandbox.call(
        "builtins:exec", "import sqlite3, builtins; builtins.connection = sqlite3.connect(':memory:')", timeout_s=30
    )
    with pytest.raises(TimedOut):
        sandbox.call("builtins:eval", f"connection.execute({endless!r}).fetchone()", timeout_s=0.5)


def test_a_segmentation_fault_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(Crashed, match=r"SIGSEGV.*Segmentation fault"):
        sandbox.call(f"{ctypes.__name__}:string_at", 0, timeout_s=30)
    assert sandbox.call("math:gcd", 4, 6, timeout_s=30) == 2


def test_a_child_killed_from_outside_is_named(sandbox: Sandbox) -> None:
    sandbox.call("math:gcd", 4, 6, timeout_s=30)
    assert sandbox.pid is not None
    threading.Timer(0.3, os.kill, (sandbox.pid, signal.SIGKILL)).start()
    with pytest.raises(Crashed, match="SIGKILL"):
        sandbox.call("time:sleep", 600, timeout_s=60)


def test_a_child_that_died_between_calls_is_replaced(sandbox: Sandbox) -> None:
    sandbox.call("math:gcd", 4, 6, timeout_s=30)
    assert sandbox.pid is not None
    child = psutil.Process(sandbox.pid)
    child.kill()
    child.wait(30)
    assert sandbox.call("math:gcd", 4, 6, timeout_s=30) == 2


def test_what_the_child_started_dies_with_it(sandbox: Sandbox) -> None:
    with pytest.raises(TimedOut):
        sandbox.call("subprocess:run", ["sleep", "612.25"], timeout_s=0.7)
    assert not [process for process in psutil.process_iter(["cmdline"]) if "612.25" in (process.info["cmdline"] or ())]


def test_output_of_examined_code_does_not_disturb_the_answers(sandbox: Sandbox) -> None:
    sandbox.call("builtins:print", "noise " * 10_000, timeout_s=30)
    sandbox.call("os:system", "echo noise", timeout_s=30)
    assert sandbox.call("math:gcd", 4, 6, timeout_s=30) == 2


def test_shared_objects_arrive_and_survive_a_replacement(sandbox: Sandbox) -> None:
    big = list(range(50_000))
    sandbox.share(big=big)
    assert sandbox.call("builtins:sum", big, timeout_s=30) == sum(big)
    with pytest.raises(TimedOut):
        sandbox.call("time:sleep", 600, timeout_s=0.2)
    assert sandbox.call("builtins:len", big, timeout_s=30) == len(big)


def test_temporary_files_go_with_the_child(sandbox: Sandbox) -> None:
    folder = Path(sandbox.call("tempfile:mkdtemp", timeout_s=30))
    assert folder.is_dir()
    sandbox.close()
    assert not folder.parent.exists()


def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from pytest_mdm_health.engine.sandbox import Sandbox

            sandbox = Sandbox()
            print(sandbox.call("os:getpid", timeout_s=30), sandbox.call("os:getcwd", timeout_s=30), flush=True)
            sandbox.call("time:sleep", 600, timeout_s=600)
            """
        )
    )
    root = str(Path(__file__).parent.parent.parent.parent)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        child = psutil.Process(int(pid))
        parent.kill()
        child.wait(30)
    assert not child.is_running()
    assert not Path(folder).exists()


def test_modules_in_the_current_folder_do_not_shadow_ours(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yaml.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert sandbox.call("yaml:safe_load", "1", timeout_s=30) == 1


def test_the_child_is_known_as_one_of_ours_by_its_name() -> None:
    assert Path(sandbox_child.__file__).name == processes._OF_OURS
