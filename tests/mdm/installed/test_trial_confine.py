"""Each guard holds by itself, for this process and for the programs that it starts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.installed._scripts import _trial_confine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such guards")
Confined = Callable[[str, str], str]

BEGIN = f"""
import os, subprocess, sys
sys.path.insert(0, {str(Path(_trial_confine.__file__).parent)!r})
import _trial_confine as confinement
home, private = sys.argv[1:]
def attempt(action):
    try:
        action()
    except OSError as error:
        return error.strerror
    return "done"
"""


@pytest.fixture
def confined(tmp_path: Path) -> Confined:
    """Confine a process with one statement, and let it print an expression."""
    for name in ("home", "private"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "file").write_text("as it was")

    def run(guard: str, expression: str) -> str:
        code = f"{BEGIN}\n{guard}\nprint({expression})"
        command = [sys.executable, "-c", code, str(tmp_path / "home"), str(tmp_path / "private")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (tmp_path / "home" / "file").read_text() == "as it was"
        return done.stdout.strip() or done.stderr

    return run


VIEW = "confinement._see_read_only(home)"
BAN = "confinement._write_only_below(private, home)"
WRITE = "attempt(lambda: open(home + '/file', 'w'))"


def test_what_is_examined_is_seen_read_only(confined: Confined) -> None:
    assert confined(VIEW, WRITE) == "Read-only file system"
    assert confined(VIEW, "attempt(lambda: os.chmod(home + '/file', 0))") == "Read-only file system"
    assert confined(VIEW, "attempt(lambda: open(private + '/file', 'w'))") == "done"
    assert confined(VIEW, "subprocess.run(['rm', home + '/file'], stderr=subprocess.DEVNULL).returncode") == "1"


def test_nothing_is_written_outside_the_private_folder(confined: Confined) -> None:
    assert confined(BAN, WRITE) == "Permission denied"
    assert confined(BAN, "attempt(lambda: os.remove(home + '/file'))") == "Permission denied"
    assert confined(BAN, "attempt(lambda: os.truncate(home + '/file', 0))") == "Permission denied"
    assert confined(BAN, "subprocess.run(['rm', home + '/file'], stderr=subprocess.DEVNULL).returncode") == "1"


def test_the_private_folder_and_the_null_device_stay_usable(confined: Confined) -> None:
    inside = "os.mkdir(private + '/a'), open(private + '/b', 'w'), os.rename(private + '/b', private + '/a/b')"
    assert confined(BAN, f"attempt(lambda: ({inside}))") == "done"
    assert confined(BAN, "attempt(lambda: open(os.devnull, 'w').write('x'))") == "done"


def test_both_guards_hold_together_and_say_so(confined: Confined) -> None:
    names = [_trial_confine.READ_ONLY_VIEW, _trial_confine.NO_WRITING]
    assert confined("guards = confinement.confine(home, private)", "guards") == str(names)
    assert confined("confinement.confine(home, private)", WRITE) == "Read-only file system"


def test_a_folder_that_is_not_there_leaves_the_other_guard(confined: Confined) -> None:
    names = [_trial_confine.NO_WRITING]
    assert confined("guards = confinement.confine(home + '/nowhere', private)", "guards") == str(names)
