"""Which processes have a file open, from `/proc` on Linux and from psutil elsewhere, without opening it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.session import current

PROC = Path("/proc")
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
_SCAN_SHARE, _SCAN_LASTS_S = 20, 0.1
"""A look at all open files is used again for so many times as long as it took, and at most for so many seconds."""


def pids() -> list[int]:
    """The ids of all processes that can be seen, on Linux."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 - a thousand of them, often


def open_by(files: Sequence[Path]) -> tuple[set[int], str]:
    """The processes that have one of the files open, and why there may be more; empty if there are no more."""
    if not PROC.joinpath("self/fd").exists():
        return _open_by_psutil(files)
    scan = current().part(_Scans).latest()
    found = {
        pid
        for file in files
        for pid, descriptor in scan.by_name.get(os.path.realpath(file).rpartition("/")[2], ())
        if _same_file(f"{PROC}/{pid}/fd/{descriptor}", file)
    }
    return found, _why_hidden(scan.hidden)


@dataclass(frozen=True)
class _Scan:
    """All open files of all processes that can be seen: file name to process and descriptor."""

    by_name: Mapping[str, Sequence[tuple[int, str]]]
    hidden: int
    taken_at: float
    cost: float

    @property
    def fresh(self) -> bool:
        return time.monotonic() - self.taken_at < min(_SCAN_SHARE * self.cost, _SCAN_LASTS_S)


class _Scans:
    """The last scan of the machine."""

    def __init__(self) -> None:
        self._last: _Scan | None = None

    def latest(self) -> _Scan:
        """The last one while it is fresh, else a new one."""
        if self._last is None or not self._last.fresh:
            started = time.monotonic()
            by_name: dict[str, list[tuple[int, str]]] = {}
            hidden = sum(not _collect(pid, by_name) for pid in pids())
            now = time.monotonic()
            self._last = _Scan(by_name, hidden, now, now - started)
        return self._last


def _collect(pid: int, by_name: dict[str, list[tuple[int, str]]]) -> bool:
    folder = f"{PROC}/{pid}/fd"
    try:
        descriptors = os.listdir(folder)  # noqa: PTH208 - hundreds of them, often
    except PermissionError:
        return False
    except OSError:
        return True  # it ended meanwhile
    for descriptor in descriptors:
        try:
            target = os.readlink(f"{folder}/{descriptor}")  # noqa: PTH115 - the same
        except OSError:
            continue
        if target.startswith("/") and not target.startswith("/dev/"):
            by_name.setdefault(target.rpartition("/")[2].removesuffix(" (deleted)"), []).append((pid, descriptor))
    return True


def _same_file(descriptor: str, file: Path) -> bool:
    try:
        return file.samefile(descriptor)
    except OSError:
        return False


def _why_hidden(hidden: int) -> str:
    if hidden:
        return _hidden_files(hidden)
    if not PROC.joinpath("1").exists():
        return "this system hides the processes of other users"
    if os.readlink(PROC / "self/ns/pid") != _FIRST_PID_NAMESPACE:  # noqa: PTH115 - it names no file
        return "from inside a container the processes outside cannot be seen"
    return ""


def _open_by_psutil(files: Sequence[Path]) -> tuple[set[int], str]:
    import psutil

    wanted = {os.path.realpath(file) for file in files}
    found, hidden = set(), 0
    for process in psutil.process_iter(["open_files"], ad_value=None):
        opened = process.info["open_files"]
        hidden += opened is None
        if any(os.path.realpath(each.path) in wanted for each in opened or ()):
            found.add(process.pid)
    return found, _hidden_files(hidden)


def _hidden_files(count: int) -> str:
    return f"without privileges the open files of {count} processes of other users cannot be seen" if count else ""
