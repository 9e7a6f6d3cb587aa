from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from pytest_mdm_health.mdm.installed.commands import ANSWER_LIMIT, OUTPUT_LIMIT, CannotRun, Outcome, run


def run_python(code: str, cwd: Path, timeout_s: float = 20) -> Outcome:
    return run([sys.executable, "-I", "-S", "-c", code], cwd=cwd, environ=os.environ, timeout_s=timeout_s)


def gone(pid: int) -> bool:
    """A killed process stays a zombie where nobody collects it."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_gone(pid: int) -> None:
    deadline = time.perf_counter() + 5
    while not gone(pid) and time.perf_counter() < deadline:
        pass  # a killed process takes a moment to go
    assert gone(pid)


def test_output_of_both_streams_and_the_exit_code_are_reported(tmp_path: Path) -> None:
    outcome = run_python("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)", tmp_path)

    assert outcome == Outcome(3, "out\nerr\n")
    assert outcome.how == "ended with exit code 3"


def test_it_runs_in_the_given_folder_and_environment(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd()); print(os.environ.get('A'), os.environ.get('HOME'))"

    outcome = run([sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, environ={"A": "1"}, timeout_s=20)

    assert outcome.output == f"{tmp_path}\n1 None\n"


def test_a_program_that_hangs_is_stopped_with_all_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "time.sleep(60)\n"
    )
    started = time.perf_counter()

    outcome = run_python(code, tmp_path, timeout_s=1.5)

    assert time.perf_counter() - started < 120
    assert outcome.code is None
    assert "stopped" in outcome.how
    assert_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_ends_leaves_no_child_behind(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, pathlib\n"
        "child = subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(60)'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
    )

    assert run_python(code, tmp_path).code == 0

    assert_gone(int((tmp_path / "pid").read_text()))


def test_only_the_end_of_a_flood_of_output_is_kept(tmp_path: Path) -> None:
    outcome = run_python("for n in range(100000): print(n)", tmp_path)

    assert len(outcome.output) == OUTPUT_LIMIT
    assert outcome.output.endswith("99999\n")


def run_apart(code: str, cwd: Path) -> Outcome:
    command = [sys.executable, "-I", "-S", "-c", code]
    return run(command, cwd=cwd, environ=os.environ, timeout_s=60, apart=True)


def test_an_answer_is_kept_whole_and_apart_from_warnings(tmp_path: Path) -> None:
    outcome = run_apart("import sys; print('err', file=sys.stderr); print('x' * 200000)", tmp_path)

    assert outcome.answer == "x" * 200000 + "\n"
    assert outcome.output.endswith("x\nerr\n")
    assert len(outcome.output) == OUTPUT_LIMIT


def test_an_answer_that_is_too_long_is_none(tmp_path: Path) -> None:
    assert run_apart(f"import sys; sys.stdout.write('x' * {ANSWER_LIMIT})", tmp_path).answer == "x" * ANSWER_LIMIT
    assert run_apart(f"import sys; sys.stdout.write('x' * {ANSWER_LIMIT + 1})", tmp_path).answer is None


def test_a_program_that_waits_for_input_gets_none(tmp_path: Path) -> None:
    assert run_python("import sys; print(repr(sys.stdin.read()))", tmp_path).output == "''\n"


def test_a_program_that_is_killed_is_named_with_the_signal(tmp_path: Path) -> None:
    outcome = run_python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)

    assert outcome.how == "was killed by SIGSEGV"


def test_a_program_that_is_not_there_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="no-such-program cannot be started: No such file or directory"):
        run([str(tmp_path / "no-such-program")], cwd=tmp_path, environ={}, timeout_s=1)
