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


STEPS = """
import time
from pytest_mdm_health.core.session import progress

for step in range({steps}):
    progress({what}, {done}, 3 << 30)
    time.sleep(0.1)
time.sleep({pause})
"""


def test_what_moves_on_may_take_longer_than_the_time_out(sandbox: Sandbox) -> None:
    code = STEPS.format(steps=30, what="'a.tar'", done="step << 20", pause=0)
    started = time.monotonic()
    sandbox.call("builtins:exec", code, timeout_s=1.5)
    assert time.monotonic() - started > 1.5


def test_many_small_things_move_on_as_one_large_one_does(sandbox: Sandbox) -> None:
    code = STEPS.format(steps=40, what="f'{step // 3}.tar'", done="step % 3", pause=0)
    sandbox.call("builtins:exec", code, timeout_s=1.5)


@pytest.mark.parametrize(
    ("what", "done"),
    [("'a.tar'", "7"), ("f'{step}.tar'", "step"), ("'a.tar'", "(3 << 30) + step")],
    ids=["no more", "always another", "beyond its end"],
)
def test_what_does_not_move_on_is_stopped(sandbox: Sandbox, what: str, done: str) -> None:
    with pytest.raises(TimedOut):
        sandbox.call("builtins:exec", STEPS.format(steps=6000, what=what, done=done, pause=0), timeout_s=1)


def test_a_hang_after_some_progress_says_how_far_it_came(sandbox: Sandbox) -> None:
    code = STEPS.format(steps=8, what="'a.tar'", done="step << 29", pause=600)
    with pytest.raises(
        TimedOut, match=r"no progress for 1 s and was stopped, after [\d.]+ (MiB|GiB) of 3 GiB of a\.tar"
    ):
        sandbox.call("builtins:exec", code, timeout_s=1)


FORGER = """
import os, pathlib, pickle, struct, time
from pytest_mdm_health.core.pace import Step

parent = pathlib.Path("/proc", str(os.getppid()))
for number in os.listdir(parent / "fd"):
    writes = int((parent / "fdinfo" / number).read_text().split()[3], 8) & os.O_ACCMODE == os.O_WRONLY
    if writes and os.readlink(parent / "fd" / number).startswith("pipe:"):
        frame = bytes(32) + pickle.dumps((None, (Step("a", 1, 9), True)))
        with open(parent / "fd" / number, "wb") as pipe:
            pipe.write(struct.pack("!Q", len(frame)) + frame)
time.sleep(600)
"""


def test_user_code_cannot_say_that_work_moves_on(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "forger.py").write_text(FORGER)
    code = f"import subprocess\nsubprocess.run([{sys.executable!r}, 'forger.py'], cwd={str(tmp_path)!r})"
    with pytest.raises(Crashed, match="answered for by another one"):
        sandbox.call("builtins:exec", code, timeout_s=20)
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
