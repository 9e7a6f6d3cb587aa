"""What keeps this user from a file that may well be in order, or the owner of a home from writing one."""

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
        if not os.access(step, needed, effective_ids=os.access in os.supports_effective_ids):
            return Barrier(str(step), info.st_uid == os.geteuid() if hasattr(os, "geteuid") else True)
    return None


def write_refusal(path: Path, owner: int) -> str:
    """Why a user may not write a file, or create it if it is missing, by the permissions of files alone.

    A file system that is mounted read-only refuses nothing here: homes are mounted so to be examined.

    Args:
        path: the file, absolute.
        owner: the user's number.

    Returns:
        a clause that names the file or folder, and its mode; empty if nothing refuses it, or it cannot be determined.
    """
    if owner == 0:
        return ""
    try:
        target = path if path.exists() else path.parent
        info = target.stat()
    except (OSError, ValueError):
        return ""
    needed = stat.S_IWUSR | (stat.S_IXUSR if stat.S_ISDIR(info.st_mode) else 0)
    if info.st_uid != owner:
        needed >>= 6  # the bits of others; a group that gives the permission is not looked up
        if info.st_mode & stat.S_IWGRP:
            return ""
    if info.st_mode & needed == needed:
        return ""
    return f"{target} has mode {stat.S_IMODE(info.st_mode):03o} and belongs to user {info.st_uid}"
