"""What is in a home: names, sizes, modes and times, never content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.core.text import one_line

MOST = 5_000
"""Entries that are listed."""

MOST_COUNTED = 1_000_000
"""Entries after which counting ends as well."""

_KINDS = {"d": "folder", "-": "file", "l": "link", "p": "FIFO", "s": "socket"}


def home_files(root: Path, most: int = MOST) -> dict[str, JSON]:
    """The entries below a folder, sorted within each folder; how many there was no room for; what cannot be listed."""
    listed: list[JSON] = []
    unlisted: list[JSON] = []
    left_out = 0
    for path in _below(root, unlisted):
        if len(listed) < most:
            listed.append(_entry(path, root))
        else:
            left_out += 1
        if left_out > MOST_COUNTED:
            break
    return {"root": str(root), "entries": listed, "left_out": left_out, "cannot_be_listed": unlisted}


def _below(folder: Path, unlisted: list[JSON]) -> Iterator[Path]:
    """Every path below a folder, links not followed, the ones near the top first."""
    folders = [folder]
    for each in folders:
        try:
            entries = sorted(os.scandir(each), key=lambda entry: entry.name)
        except OSError as error:
            unlisted.append(one_line(f"{each}: {error.strerror}"))
            continue
        for entry in entries:
            yield Path(entry.path)
        folders += (Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _entry(path: Path, root: Path) -> dict[str, JSON]:
    name = one_line(os.fsdecode(path.relative_to(root)))
    try:
        info = path.lstat()
    except OSError as error:
        return {"name": name, "problem": error.strerror}
    mode = stat.filemode(info.st_mode)
    return {
        "name": name,
        "kind": _KINDS.get(mode[0], "device"),
        "mode": mode,
        "size": info.st_size,
        "modified": _moment(info.st_mtime),
    }


def _moment(seconds: float) -> str | None:
    """A time of a file, which may be any number."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
