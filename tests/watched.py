"""Nothing in a home may be another after it was examined: names, kinds, sizes, times, modes and content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_READ_WHOLE = 64 * 1024 * 1024
"""Bytes of a file from which on its size and time stand for its content."""

Snapshot = dict[str, tuple[object, ...]]


@contextmanager
def unchanged(home: Path) -> Iterator[None]:
    """Fail with the differences if anything in the home is another afterwards."""
    before = snapshot(home)
    yield
    differing = differences(before, snapshot(home))
    assert not differing, "the examination changed the home:\n" + "\n".join(differing)


def snapshot(home: Path) -> Snapshot:
    """Every name in a folder, the folder itself among them, with all that may not change."""
    if not home.exists():
        return {}
    ours = _open_here()
    return {os.fspath(path): _state(path, ours) for path in (home, *_below(home))}


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What came, went or changed, a line for each name."""
    lines = [f"came: {name}" for name in after if name not in before]
    lines += [f"went: {name}" for name in before if name not in after]
    for name in before.keys() & after.keys():
        pairs = zip(("mode", "size", "mtime_ns", "content"), before[name], after[name], strict=True)
        if changed := [f"{what} {then} → {now}" for what, then, now in pairs if then != now]:
            lines.append(f"changed: {name} ({', '.join(changed)})")
    return sorted(lines)


def _below(folder: Path) -> Iterator[Path]:
    """Everything below, links not followed; a folder that may not be listed has nothing that can be seen."""
    for at, folders, files in os.walk(folder):
        yield from (Path(at, name) for name in (*folders, *files))


def _open_here() -> set[tuple[int, int]]:
    """Files that this process has open: to read such a file and close it would drop the locks that a test holds."""
    found = set()
    for descriptor in os.listdir("/dev/fd"):  # noqa: PTH208 - numbers, not paths
        with suppress(OSError):  # the one that lists them is closed by now
            info = os.fstat(int(descriptor))
            found.add((info.st_dev, info.st_ino))
    return found


def _state(path: Path, ours: set[tuple[int, int]]) -> tuple[object, ...]:
    info = path.lstat()
    size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
    content = "" if (info.st_dev, info.st_ino) in ours else _content(path, info)
    return info.st_mode, size, info.st_mtime_ns, content


def _content(path: Path, info: os.stat_result) -> str:
    if stat.S_ISLNK(info.st_mode):
        return os.fspath(path.readlink())
    if not stat.S_ISREG(info.st_mode) or info.st_size > _READ_WHOLE:
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
