"""How much memory a program may have here: RAM, the control group, swap, ulimits, and who was killed for want of it."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
KERNEL_LOG = Path("/dev/kmsg")

_KERNEL_RECORD_BYTES = 16 * 1024
_KERNEL_LOG_S = 0.05
"""Reading the kernel's log is given up after this long; all of a usual one takes a tenth of it."""


@dataclass(frozen=True, kw_only=True)
class ControlGroup:
    """The memory side of the control group that this process runs in, of all groups above it the tightest.

    Attributes:
        limit: in bytes; None without a limit below the machine's RAM.
        free: bytes that can still be had below the limit; None without a limit.
        kills: processes that the kernel has killed in it for want of memory; None if not known.
    """

    limit: int | None = None
    free: int | None = None
    kills: int | None = None


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A process that the kernel has killed for want of memory: its program, when (epoch seconds), its size in bytes."""

    name: str
    at: float
    size: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Memory in bytes.

    Attributes:
        ram: all of it.
        available: what can be had now without swapping, whatever the limits.
        ulimits: limits of a process's size, by the letter of the shell's `ulimit`; none that do not limit.
        kills: processes killed on the whole machine since it started; None if not known.
        killed: those of them that the kernel's log names; None if it cannot be read.
    """

    ram: int
    available: int
    swap: int
    swap_free: int
    group: ControlGroup
    ulimits: Mapping[str, int]
    kills: int | None = None
    killed: tuple[Killed, ...] | None = None

    @property
    def most(self) -> int:
        """What one process can have at most."""
        return min([self.ram, self.group.limit or self.ram, *self.ulimits.values()])

    @property
    def bound_by(self) -> str:
        """What sets that."""
        for letter, size in self.ulimits.items():
            if size == self.most:
                return f"ulimit -{letter}"
        return "the control group's limit" if self.group.limit == self.most else "the machine's RAM"

    @property
    def free(self) -> int:
        """What one process can have now."""
        in_group = self.available if self.group.free is None else self.group.free
        return max(0, min(self.available, in_group, self.most))


def look_at_machine(proc: Path = PROC, groups: Path = CONTROL_GROUPS, kernel_log: Path = KERNEL_LOG) -> Machine:
    """This machine as it is now. Never raises; what cannot be read is None."""
    import psutil

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    kills = _counter(proc / "vmstat", "oom_kill")
    return Machine(
        ram=memory.total,
        available=memory.available,
        swap=swap.total,
        swap_free=swap.free,
        group=_control_group(proc, groups, memory.total),
        ulimits=_ulimits(memory.total),
        kills=kills,
        killed=_killed(kernel_log) if kills != 0 else (),
    )


def _ulimits(ram: int) -> dict[str, int]:
    try:
        import resource
    except ImportError:  # Windows
        return {}
    kinds = {"v": resource.RLIMIT_AS, "d": resource.RLIMIT_DATA}
    soft = {letter: resource.getrlimit(kind)[0] for letter, kind in kinds.items()}
    return {letter: size for letter, size in soft.items() if size != resource.RLIM_INFINITY and size < ram}


@dataclass(frozen=True)
class _Version:
    """How one version of control groups calls its files."""

    limit: str
    used: str
    reclaimable: tuple[str, ...]
    events: str


_V1 = _Version(
    "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"), "memory.oom_control"
)
_V2 = _Version("memory.max", "memory.current", ("inactive_file", "active_file"), "memory.events")


def _control_group(proc: Path, groups: Path, ram: int) -> ControlGroup:
    found = _own_group(proc, groups)
    if found is None:
        return ControlGroup()
    version, root, own = found
    levels = [folder for folder in (own, *own.parents) if folder.is_relative_to(root) and folder.is_dir()]
    limits = {folder: size for folder in levels if (size := _number(folder / version.limit)) is not None and size < ram}
    return ControlGroup(
        limit=min(limits.values(), default=None),
        free=min((size - _in_use(folder, version) for folder, size in limits.items()), default=None),
        kills=_counter(levels[0] / version.events, "oom_kill") if levels else None,
    )


def _own_group(proc: Path, groups: Path) -> tuple[_Version, Path, Path] | None:
    """Lines look like `4:memory:/user.slice` in version 1 and `0::/user.slice` in version 2; both can be there."""
    lines = [line.split(":", 2) for line in _text(proc / "self/cgroup").splitlines()]
    parts = {controllers: path.lstrip("/") for _, controllers, path in (line for line in lines if len(line) == 3)}  # noqa: PLR2004 - the columns
    for controllers, path in parts.items():
        if "memory" in controllers.split(","):
            return _V1, groups / "memory", groups / "memory" / path
    return (_V2, groups, groups / parts[""]) if "" in parts else None


def _in_use(folder: Path, version: _Version) -> int:
    """Bytes that the kernel cannot take back, as it can cached files."""
    cached = sum(_counter(folder / "memory.stat", name) or 0 for name in version.reclaimable)
    return max(0, (_number(folder / version.used) or 0) - cached)


def _killed(kernel_log: Path) -> tuple[Killed, ...] | None:
    boot = time.time() - time.monotonic()
    try:
        return tuple(_killed_in(record, boot) for record in _kernel_records(kernel_log) if _KILLED.search(record))
    except OSError:
        return None


_KILLED = re.compile(r"[Oo]ut of memory.*Killed process \d+ \((?P<name>.*?)\)(?:.*?anon-rss:(?P<kilobytes>\d+)kB)?")


def _killed_in(record: str, boot: float) -> Killed:
    """A record looks like `3,1234,98765432,-;Out of memory: Killed process 77 (mdm) total-vm:1kB, anon-rss:1kB`."""
    match = _KILLED.search(record)
    assert match is not None
    head = record.partition(";")[0].split(",")
    since_boot = int(head[2]) / 1e6 if len(head) > 2 and head[2].isdigit() else 0.0  # noqa: PLR2004 - the columns
    return Killed(name=match["name"], at=boot + since_boot, size=int(match["kilobytes"] or 0) * 1024)


def _kernel_records(kernel_log: Path) -> Iterator[str]:
    """What the kernel's log holds now; each reading gives one record, and it is not waited for more."""
    descriptor = os.open(kernel_log, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    deadline = time.monotonic() + _KERNEL_LOG_S
    try:
        with contextlib.suppress(BlockingIOError):
            while (record := os.read(descriptor, _KERNEL_RECORD_BYTES)) and time.monotonic() < deadline:
                yield from record.decode("utf-8", "replace").splitlines()
    finally:
        os.close(descriptor)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _counter(file: Path, name: str) -> int | None:
    """The number behind a name in a file of such pairs."""
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
