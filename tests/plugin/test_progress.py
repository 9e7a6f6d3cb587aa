"""A check that takes long is named while it does, and nothing else is said."""

from __future__ import annotations

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
