"""A check that takes long is named while it does, and nothing else is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

WAITS = """
import pathlib, time
import pytest_mdm_health.plugin.progress as progress

progress.PATIENCE_OF_A_LOG_S = 0.1
SAID = pathlib.Path({stdout!r})

def pytest_runtest_call(item):
    if item.name == "sqlite-locking[shop]":
        until = time.monotonic() + 60
        while "sqlite-locking[shop] is still running" not in SAID.read_text() and time.monotonic() < until:
            time.sleep(0.05)
"""


SLOW = """
import subprocess, sys, time

program = subprocess.Popen([{zstd!r}, "-d", "-c", "-q"], stdin=subprocess.PIPE)
pieces = 0
while piece := sys.stdin.buffer.raw.read(1 << 20):
    program.stdin.write(piece)
    pieces += 1
    time.sleep({pause})
program.stdin.close()
sys.exit(program.wait())
"""


def test_a_slow_backup_is_read_to_its_end_saying_how_far(
    pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly_read_backup(home, pytester.path, monkeypatch, "0.4")
    pytester.makepyfile(impatient="import pytest_mdm_health.plugin.progress as p\np.PATIENCE_OF_A_LOG_S = 1.0\n")

    started = time.monotonic()
    selected = ("--mdm-health", f"--mdm-home={home}", "--mdm-select=backup-failure", "--mdm-timeout=4")
    result = pytester.runpytest_subprocess(*selected, "-p", "impatient")

    assert time.monotonic() - started > 8
    assert result.ret == 0
    result.stdout.re_match_lines([r"backup-failure\[home\] is still running after .* s: [\d.]+ MiB of 2[\d.]+ MiB"])


def test_a_backup_that_stands_still_is_ended_saying_how_far(
    pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowly_read_backup(home, pytester.path, monkeypatch, "30 if pieces == 9 else 0.1")

    selected = ("--mdm-health", f"--mdm-home={home}", "--mdm-select=backup-failure", "--mdm-timeout=4")
    result = pytester.runpytest_subprocess(*selected)

    assert result.ret == 11
    stopped = r".*made no progress for 4 s and was stopped, after [\d.]+ MiB of 2[\d.]+ MiB of .*mdm_backup_.*"
    result.stdout.re_match_lines([stopped])


def slowly_read_backup(home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, pause: str) -> None:
    """A backup that is uncompressed by a program that waits so many seconds after each of its 20 MiB."""
    (home / "backup").mkdir(exist_ok=True)
    (home / "filling").write_bytes(os.urandom(20 << 20))
    with tarfile.open(folder / "a.tar", "w") as tar:
        for name in ("config", "datasets", "mdm.yaml", "filling"):
            if (home / name).exists():
                tar.add(home / name, f".mdm/{name}")
    (home / "filling").unlink()
    compressed = ["zstd", "-q", "-1", str(folder / "a.tar"), "-o", str(home / "backup" / "mdm_backup_20260101.tar.zst")]
    subprocess.run(compressed, check=True)
    slow = folder / "programs" / "zstd"
    slow.parent.mkdir()
    slow.write_text(f"#!{sys.executable}\n{SLOW.format(zstd=shutil.which('zstd'), pause=pause)}")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}{os.pathsep}{os.environ['PATH']}")


ON_WORKERS = [pytest.param(options, marks=pytest.mark.slow) for options in (("-n", "2"), ("-n", "2", "-v"))]


@pytest.mark.parametrize("options", [(), *ON_WORKERS], ids=" ".join)
def test_the_check_that_takes_long_is_named(pytester: pytest.Pytester, home: Path, options: tuple[str, ...]) -> None:
    pytester.makepyfile(waits=WAITS.format(stdout=str(pytester.path / "stdout")))
    result = pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", "-p", "waits", *options)
    assert result.ret == 0
    said = [line for line in result.outlines if "is still running after" in line]
    assert any(line.startswith("sqlite-locking[shop] is still running after ") for line in said)
    assert len(said) == len({line.partition(" is ")[0] for line in said})


@pytest.mark.slow
@pytest.mark.parametrize("options", [("-q",), ("-v",), ("-p", "no:terminal")], ids=" ".join)
def test_nothing_is_said_where_nobody_looks_or_the_name_is_there(
    pytester: pytest.Pytester, home: Path, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(
        slow="import time\nimport pytest_mdm_health.plugin.progress as p\np.PATIENCE_OF_A_LOG_S = 0.0\n"
    )
    result = pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", "-p", "slow", *options)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*still running*")
