"""`mdm dataset register` while it runs: for which dataset and home, what it does, what it waits for, what it has open.

Nothing is sent to a process and nothing attached to it; what the system does not tell without privileges is None or
empty, never taken for zero.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mdm_health.mdm.host.processes import mdm_processes

if TYPE_CHECKING:
    import psutil

T = TypeVar("T")
PROC = Path("/proc")
COMMAND = "dataset register"
WINDOW_S = 0.25
"""How long a process is watched: some clock ticks long, and short enough that the user does not wait."""

_IDLE_CPU_S = 0.015
"""One tick of the usual clock may fall to a process that does nothing."""

_IDLE_BYTES = 16 * 1024
_FLAGS = {"--no-auto", "--force", "-f", "--no-features"}
"""The options of the command that take no value."""


@dataclass(frozen=True, kw_only=True)
class Registering:
    """A running registration.

    Attributes:
        dataset: as given on the command line; empty if that cannot be seen.
        home: the MDM home that its environment names; None if that cannot be seen.
        age: seconds since it started.
        state: `running`, `sleeping`, `disk-sleep`, `stopped`, `tracing-stop`, …
        cpu: seconds of processor time that it and its children used while it was watched.
        moved: bytes that they read and wrote meanwhile; None if that cannot be seen.
        waits_for: what it waits for, to follow "waits for"; empty if it does not, or if that cannot be seen.
        connected: whether it has a connection to a server.
        files: the regular files that it has open.
    """

    pid: int
    dataset: str
    home: Path | None
    age: float
    state: str
    cpu: float
    moved: int | None
    waits_for: str
    connected: bool
    files: tuple[Path, ...]

    @property
    def idle(self) -> bool:
        """Whether it did nothing while it was watched, or no more than ask again for something it waits for.

        One that is ready to run is at work though a busy machine gave it no time.
        """
        return self.state != "running" and self.cpu < _IDLE_CPU_S and (self.moved or 0) < _IDLE_BYTES

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it."""
        return self.state in {"stopped", "tracing-stop"}


def running_registrations(window_s: float = WINDOW_S) -> tuple[Registering, ...]:
    """The registrations that run now, each watched for this many seconds, all at once. Without any it is quick."""
    pids = [each.pid for each in mdm_processes() if each.command.startswith(COMMAND)]
    if not pids:
        return ()
    import psutil

    watched = [_Watched.of(pid) for pid in pids if psutil.pid_exists(pid)]
    time.sleep(window_s)
    return tuple(seen for each in watched if each is not None and (seen := each.seen()) is not None)


@dataclass(frozen=True)
class _Watched:
    """A process at the start of the window: what it and its children had used by then."""

    process: psutil.Process
    cpu: float
    moved: int | None

    @classmethod
    def of(cls, pid: int) -> _Watched | None:
        import psutil

        try:
            process = psutil.Process(pid)
            return cls(process, *_used(process))
        except psutil.Error:
            return None

    def seen(self) -> Registering | None:
        """What it did since then; None if it has ended."""
        import psutil

        try:
            return self._seen()
        except psutil.Error:
            return None

    def _seen(self) -> Registering | None:
        import psutil

        process = self.process
        state = process.status()
        if state in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return None
        cpu, moved = _used(process)
        return Registering(
            pid=process.pid,
            dataset=_dataset_of(_allowed(process.cmdline) or ()),
            home=_home_of(_allowed(process.environ)),
            age=max(0.0, time.time() - process.create_time()),
            state=state,
            cpu=max(0.0, cpu - self.cpu),
            moved=None if moved is None or self.moved is None else max(0, moved - self.moved),
            waits_for=_waits_for(process.pid),
            connected=_connected(process),
            files=tuple(Path(each.path) for each in _allowed(process.open_files) or ()),
        )


def _used(process: psutil.Process) -> tuple[float, int | None]:
    """Processor seconds, and bytes read and written, of a process and its children so far."""
    used = [_used_by(each) for each in (process, *process.children(recursive=True))]
    moved = [size for _, size in used if size is not None]
    return sum(cpu for cpu, _ in used), sum(moved) if len(moved) == len(used) else None


def _used_by(process: psutil.Process) -> tuple[float, int | None]:
    times = _allowed(process.cpu_times)
    counters: Any = _allowed(process.io_counters) if hasattr(process, "io_counters") else None
    size = getattr(counters, "read_chars", None)
    return times.user + times.system if times else 0.0, None if size is None else size + counters.write_chars


def _allowed(ask: Callable[[], T]) -> T | None:
    """What a process tells about itself; None if it may not be asked."""
    import psutil

    try:
        return ask()
    except (psutil.Error, OSError, NotImplementedError):
        return None


def _connected(process: psutil.Process) -> bool:
    ask = getattr(process, "net_connections", None) or process.connections  # its name before psutil 6
    return any(each.raddr for each in _allowed(ask) or ())


def _dataset_of(arguments: Sequence[str]) -> str:
    """The first word behind the command that is neither an option nor the value of one."""
    words = iter(arguments[arguments.index("register") + 1 :] if "register" in arguments else ())
    for word in words:
        if not word.startswith("-"):
            return word.lower()
        if word not in _FLAGS and "=" not in word:
            next(words, None)
    return ""


def _home_of(environ: Mapping[str, str] | None) -> Path | None:
    if environ is None:
        return None
    if environ.get("MDM_HOME_DIR"):
        return Path(environ["MDM_HOME_DIR"])
    return Path(environ["HOME"]) / ".mdm" if environ.get("HOME") else None


_LOCK, _THREAD, _TIMER, _CHILD, _INPUT, _OTHERS, _DISK = (
    "a lock on a file",
    "another of its threads",
    "a timer, to try again",
    "another process that it started",
    "input from a terminal, a pipe or a file",
    "an answer from a server or another program",
    "the disk or a network file system",
)
_KERNEL_FUNCTIONS = (
    (_LOCK, r"posix_lock|fcntl_setlk|locks_lock|flock"),
    (_THREAD, r"futex"),
    (_TIMER, r"nanosleep"),
    (_CHILD, r"do_wait|wait4|waitid"),
    (_INPUT, r"pipe_read|n_tty_read|tty_read"),
    (_OTHERS, r"poll|select|skb|sk_wait|inet_|unix_stream|tcp_|wait_woken"),
    (_DISK, r"io_schedule|folio_wait|page_bit|rpc_wait|nfs|jbd2|wait_on_buffer|fsync|blkdev"),
)
_SYSTEM_CALLS: Mapping[str, Mapping[str, str]] = {
    "x86_64": {"0": _INPUT, "7": _OTHERS, "23": _OTHERS, "35": _TIMER, "45": _OTHERS, "61": _CHILD, "72": _LOCK}
    | {"73": _LOCK, "74": _DISK, "75": _DISK, "202": _THREAD, "230": _TIMER, "232": _OTHERS, "247": _CHILD}
    | {"270": _OTHERS, "271": _OTHERS, "281": _OTHERS},
    "aarch64": {"22": _OTHERS, "25": _LOCK, "32": _LOCK, "63": _INPUT, "72": _OTHERS, "73": _OTHERS, "82": _DISK}
    | {"83": _DISK, "95": _CHILD, "98": _THREAD, "101": _TIMER, "115": _TIMER, "207": _OTHERS, "260": _CHILD},
}


def _waits_for(pid: int) -> str:
    """What the first thread waits for, from the kernel function or else the system call that it is in."""
    function, call = _read(pid, "wchan"), _read(pid, "syscall").partition(" ")[0]
    by_function = (words for words, pattern in _KERNEL_FUNCTIONS if re.search(pattern, function))
    return next(by_function, "") or _SYSTEM_CALLS.get(platform.machine(), {}).get(call, "")


def _read(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
