"""Open files are found for all processes at once, from the system or from psutil."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.host import open_files

Hold = Callable[[str], "subprocess.Popen[bytes]"]
LOOKERS = [open_files.open_by, open_files._open_by_psutil] if sys.platform == "linux" else [open_files._open_by_psutil]


@pytest.fixture(autouse=True)
def _look_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at all open files is used again for some milliseconds; the test before may have taken one."""
    monkeypatch.setattr(open_files, "_last_scan", None)


@pytest.mark.parametrize("look", LOOKERS)
def test_a_process_with_the_file_open_is_found(
    hold: Hold, tmp_path: Path, look: Callable[[list[Path]], tuple[set[int], str]]
) -> None:
    path = tmp_path / "shop.sqlite"
    path.write_bytes(b"x")
    holder = hold(f"f = open({str(path)!r}, 'rb')")
    assert look([path])[0] == {holder.pid}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_many_questions_are_answered_from_one_look(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(1000)]
    open_files.open_by(paths)
    looked = open_files._last_scan
    assert looked is not None
    started = time.monotonic()
    for path in paths:
        open_files.open_by([path])
    assert time.monotonic() - started < 1000 * looked.cost / 2
