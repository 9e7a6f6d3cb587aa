"""Run by MDM's interpreter: takes from this process, and from all it starts, the means to change anything.

Whatever the system offers is used: on Linux a view of the examined folder that is read-only and a ban on writing
anywhere but in a private folder (Landlock), everywhere Python's own audit events. It needs nothing but Python 3.8.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

READ_ONLY_VIEW, NO_WRITING = "read-only view", "no writing elsewhere"
"""The guards of the system itself."""

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_RECURSIVE, _PRIVATE, _BIND, _REMOUNT, _READ_ONLY = 0x4000, 0x40000, 0x1000, 0x20, 0x1
_KEPT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""Properties of a mount that a remount has to repeat: as `statvfs` has them, and as `mount` wants them."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_NO_NEW_PRIVILEGES, _BELOW, _VERSION = 38, 1, 1
_WRITE, _TRUNCATE, _RENAME = 1 << 1, 1 << 14, 1 << 13
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - nothing of ours is written there
_CHANGES = _WRITE | sum(1 << bit for bit in range(4, 13))

_WRITING = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"),
    *("os.utime", "os.setxattr", "os.removexattr", "shutil.move", "shutil.copyfile", "shutil.rmtree"),
}
_CONNECT = "sqlite3.connect"
_READS_ONLY = re.compile(r"^file:.*[?&]mode=ro(&|$)")
_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def confine(examined: str, private: str) -> list[str]:
    """Confine this process for good; names the guards of the system that hold."""
    guards = []
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError, ImportError):
            _see_read_only(os.path.realpath(examined))
            guards.append(READ_ONLY_VIEW)
        with contextlib.suppress(OSError, AttributeError, ImportError):
            _write_only_below(private, examined)
            guards.append(NO_WRITING)
    return guards


class Refused(PermissionError):
    """An attempt to write that only fails because the code is being tried; `barred` is where."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EACCES, "nothing is written while it is only being tried", path)
        self.barred = path


def watch(examined: str, tell: Callable[[str], None], private: str = "/") -> None:
    """Refuse every attempt of Python code to write outside of a private folder; tell of those in the examined one."""
    forbidden = Path(examined).resolve()
    allowed = [Path(each).resolve() for each in (private, "/dev", "/proc")]

    def guard(event: str, arguments: tuple[Any, ...]) -> None:
        for path in _written(event, arguments):
            if not isinstance(path, (str, bytes, os.PathLike)):
                continue
            place = os.fsdecode(path)
            if _is_in(place, forbidden):
                if not _READS_ONLY.search(place):  # which would write beside a database in WAL mode, and so is refused
                    tell(place)
                raise Refused(place)
            if event != _CONNECT and not any(_is_in(place, each) for each in allowed):
                raise Refused(place)

    sys.addaudithook(guard)


def _written(event: str, arguments: tuple[Any, ...]) -> Iterator[Any]:
    if event == "open":
        path, mode, flags = arguments
        if set(mode or "") & set("wax+") or (flags or 0) & _WRITING_FLAGS:
            yield path
    elif event in _WRITING or (event == _CONNECT and "immutable=1" not in os.fsdecode(arguments[0])):
        yield from arguments[:2]


def _is_in(path: str, folder: Path) -> bool:
    try:
        real = Path(path[len("file:") :].partition("?")[0] if path.startswith("file:") else path).resolve()
    except (OSError, ValueError, RuntimeError):
        return False
    return folder in (real, *real.parents)


def _see_read_only(folder: str) -> None:
    """Mount the folder over itself, read-only, in a view of the file system that only this process has.

    Raises:
        OSError: the system does not let us.
    """
    user, group = os.geteuid(), os.getegid()
    if user != 0 or _call("unshare", _NEW_MOUNTS, fine=False) != 0:
        _call("unshare", _NEW_USER | _NEW_MOUNTS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    place, flags = os.fsencode(folder), os.statvfs(folder).f_flag
    kept = sum(wanted for seen, wanted in _KEPT_FLAGS.items() if flags & seen)
    _call("mount", None, b"/", None, _RECURSIVE | _PRIVATE, None)
    _call("mount", place, place, None, _BIND | _RECURSIVE, None)
    _call("mount", None, place, None, _BIND | _REMOUNT | _READ_ONLY | kept, None)


def _write_only_below(private: str, examined: str) -> None:
    """Give up writing anywhere but below a folder, and changing what is mounted where.

    Raises:
        OSError: the system has no Landlock.
    """
    import ctypes

    version = _call("syscall", _CREATE_RULESET, None, 0, _VERSION)
    handled = _CHANGES | (_RENAME if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)  # noqa: PLR2004 - its number
    ruleset = _call("syscall", _CREATE_RULESET, ctypes.c_char_p(struct.pack("=Q", handled)), 8, 0)
    allowed_places = [(private, handled), (os.devnull, handled & (_WRITE | _TRUNCATE))]
    if _SHARED_MEMORY.is_dir() and not _is_in(examined, _SHARED_MEMORY):
        allowed_places.append((str(_SHARED_MEMORY), handled))  # where the locks of `multiprocessing` are
    for path, allowed in allowed_places:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.c_char_p(struct.pack("=Qi", allowed, place))
        _call("syscall", _ADD_RULE, ruleset, _BELOW, rule, 0)
        os.close(place)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("syscall", _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _call(name: str, *arguments: Any, fine: bool = True) -> int:  # noqa: ANN401 - a function of the C library
    import ctypes  # which some builds of Python lack; watching does without

    library = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    result = int(getattr(library, name)(*wide))
    if result < 0 and fine:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result
