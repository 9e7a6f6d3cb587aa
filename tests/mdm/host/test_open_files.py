"""Open files are found for all processes at once, from the system or from psutil."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.core.session import Session
from pytest_mdm_health.mdm.host import open_files

Hold = Callable[[str], "subprocess.Popen[bytes]"]
LOOKERS = [open_files.open_by, open_files._open_by_psutil] if sys.platform == "linux" else [open_files._open_by_psutil]


@pytest.fixture(autouse=True)
def _no_earlier_scan() -> Iterator[None]:
    """A scan of all open files is used again for some milliseconds; the test before may have made one."""
    with Session():
        yield


@pytest.mark.parametrize("look", LOOKERS)
def test_a_process_with_the_file_open_is_found(
    hold: Hold, tmp_path: Path, look: Callable[[list[Path]], tuple[set[int], str]]
) -> None:
    path = tmp_path / "shop.sqlite"
    path.write_bytes(b"x")
    holder = hold(f"f = open({str(path)!r}, 'rb')")
    assert look([path])[0] == {holder.pid}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_many_questions_are_answered_from_one_scan(tmp_path: Path) -> None:
    with Session() as session:
        open_files.open_by([tmp_path / "one"])
        scan = session.part(open_files._Scans).latest()
        assert scan.fresh
        open_files.open_by([tmp_path / "another"])
        assert session.part(open_files._Scans).latest() is scan
