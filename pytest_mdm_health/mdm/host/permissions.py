"""What keeps this user from a file that may well be in order."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Barrier:
    """A file or folder without the permission that is needed.

    Attributes:
        path: the file itself, or the outermost folder on the way to it that lets nobody through.
        own: whether it belongs to this user, who may then change its mode.
    """

    path: str
    own: bool


def barrier(path: Path) -> Barrier | None:
    """What keeps this user from reading what stands at an absolute path; None if no permission does."""
    try:
        real = Path(os.path.realpath(path))
    except ValueError:  # no path at all
        return None
    return _on_the_way(path) or _on_the_way(real)


def _on_the_way(path: Path) -> Barrier | None:
    for step in (*reversed(path.parents), path):
        try:
            info = step.stat()
        except (OSError, ValueError):  # nothing is there, as the folders before it could be entered
            return None
        needed = (os.R_OK if step == path else 0) | (os.X_OK if stat.S_ISDIR(info.st_mode) else 0)
        if not os.access(step, needed):
            return Barrier(str(step), info.st_uid == os.geteuid() if hasattr(os, "geteuid") else True)
    return None
