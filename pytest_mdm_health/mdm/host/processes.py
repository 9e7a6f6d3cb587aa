"""Who has a file open, who locks it, and which MDM processes run: asked without opening a database or taking a lock.

Linux tells in `/proc/locks` and `/proc/<pid>/fd`, elsewhere psutil and `fcntl(F_GETLK)` do. What cannot be seen
without privileges is said, so that nobody takes "cannot tell" for "nobody".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.host import locks, open_files
from pytest_mdm_health.mdm.host.locks import Lock, LockKind
from pytest_mdm_health.mdm.host.open_files import PROC, pids

_OF_OURS = "sandbox_child.py"
"""The script of the examining process of another worker or run, which reads without a lock."""


@dataclass(frozen=True)
class Holder:
    """A process that has one of the files open.

    Attributes:
        pid: its id; 0 where only its lock can be seen.
        name: the program, without its arguments.
        since: when the process started, in seconds since the epoch; it holds the file no longer than that.
        mode: `writes`, `reads`, or `holds` for open without a lock.
        lock: what kind of lock it has.
    """

    pid: int
    name: str
    since: float | None = None
    mode: str = "holds"
    lock: LockKind = LockKind.NONE

    def __str__(self) -> str:
        return f"{self.name} (PID {self.pid})" if self.pid else self.name


@dataclass(frozen=True)
class Holders:
    """The answer to "who has it open": the processes, and whether there may be others that cannot be seen."""

    answer: tuple[Holder, ...]
    complete: bool
    why_incomplete: str = ""


@dataclass(frozen=True)
class MdmProcess:
    """A running `mdm`: its process id, its subcommand such as `dataset register`, and when it started."""

    pid: int
    command: str
    since: float | None


def holders(paths: Iterable[Path]) -> Holders:
    """Which other processes have one of these files open or locked. Takes no lock.

    One process can be there several times, once for each kind of lock; without any lock it is there once.
    """
    kinds = {path: kind_of(path) for path in paths}
    files = [path for path, kind in kinds.items() if kind is FileKind.FILE]
    locked, why_locks = locks.locks_on(files)
    opened, why_open = open_files.open_by(files)
    answer = [_holder(lock) for lock in dict.fromkeys(locked) if lock.pid != os.getpid()]
    locking = {holder.pid for holder in answer}
    others = (describe(pid) for pid in sorted(opened - locking - {os.getpid()}))
    answer += [holder for holder in others if holder.name != _OF_OURS]
    unreachable = [f"{path} cannot be reached" for path, kind in kinds.items() if kind is FileKind.UNREACHABLE]
    whys = [why for why in (why_locks, why_open, *unreachable) if why]
    return Holders(tuple(answer), not whys, "; ".join(dict.fromkeys(whys)))


def lock_holders(paths: Iterable[Path]) -> tuple[Holder, ...]:
    """Which other processes lock one of these files: the quick half of `holders`."""
    found, _ = locks.locks_on(path for path in paths if kind_of(path) is FileKind.FILE)
    return tuple(_holder(lock) for lock in dict.fromkeys(found) if lock.pid != os.getpid())


def mdm_processes() -> tuple[MdmProcess, ...]:
    """The MDM processes that run now, as far as their command lines can be seen."""
    found = []
    for pid, arguments in _command_lines():
        name, rest = _program(arguments)
        if pid != os.getpid() and (name == "mdm" or name.startswith("mdm.")):
            words = [word for word in rest[:2] if word.replace("-", "").isalpha() and not word.startswith("-")]
            found.append(MdmProcess(pid, " ".join(words), _started(pid)))
    return tuple(found)


def describe(pid: int, lock: LockKind = LockKind.NONE, mode: str = "holds") -> Holder:
    """What is known of a process; no argument of its command line is shown, because it may be a secret."""
    name = _program(_command_line(pid))[0] or "a process that cannot be seen"
    return Holder(pid, name, _started(pid), mode, lock)


def _holder(lock: Lock) -> Holder:
    return describe(lock.pid, lock.kind, "writes" if lock.writes else "reads")


def _program(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The name of the program behind an interpreter, and its arguments."""
    if not arguments:
        return "", ()
    name, rest = PurePath(arguments[0]).name, arguments[1:]
    if not name.startswith("python"):
        return name, rest
    for index, word in enumerate(rest):
        if word == "-m" and index + 1 < len(rest):
            return rest[index + 1], rest[index + 2 :]
        if word == "-c":
            break
        if not word.startswith("-"):
            return PurePath(word).name, rest[index + 1 :]
    return name, ()


def _command_lines() -> Iterator[tuple[int, Sequence[str]]]:
    if PROC.joinpath("self/cmdline").exists():
        yield from ((pid, _command_line(pid)) for pid in pids())
        return
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        yield process.pid, process.info["cmdline"] or ()


def _command_line(pid: int) -> Sequence[str]:
    try:
        if PROC.joinpath("self/cmdline").exists():
            return _read(f"{pid}/cmdline").rstrip("\0").split("\0")
        import psutil

        return psutil.Process(pid).cmdline() if pid else ()
    except Exception:  # noqa: BLE001 - it ended meanwhile, or it is somebody else's: psutil and /proc differ in how they say so
        return ()


def _started(pid: int) -> float | None:
    try:
        if PROC.joinpath("self/stat").exists():
            ticks = int(_read(f"{pid}/stat").rpartition(")")[2].split()[19])
            return _booted_at() + ticks / os.sysconf("SC_CLK_TCK")
        import psutil

        return psutil.Process(pid).create_time() if pid else None
    except Exception:  # noqa: BLE001 - as for the command line
        return None


@cache
def _booted_at() -> float:
    lines = _read("stat").splitlines()
    return float(next(line for line in lines if line.startswith("btime")).split()[1])


def _read(name: str) -> str:
    return PROC.joinpath(name).read_text(encoding="utf-8", errors="surrogateescape")
