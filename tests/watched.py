"""Nothing in a home may be another after it was examined: names, kinds, sizes, times, modes and content."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
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
    return {os.fspath(path): _state(path) for path in (home, *_below(home))} if home.exists() else {}


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


def _state(path: Path) -> tuple[object, ...]:
    info = path.lstat()
    size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
    return info.st_mode, size, info.st_mtime_ns, _content(path, info)


def _content(path: Path, info: os.stat_result) -> str:
    if stat.S_ISLNK(info.st_mode):
        return os.fspath(path.readlink())
    if not stat.S_ISREG(info.st_mode) or info.st_size > _READ_WHOLE:
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
