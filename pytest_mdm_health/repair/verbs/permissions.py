"""`permissions PATH WHAT`: give the owner a permission, or take one from everybody else; no one else is given any."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.step import Changes, NotDone, Outline

_DOES = {
    "readable": "let its owner read {path}",
    "usable": "let its owner read and write {path}",
    "private": "let only its owner read or write {path}",
    "protected": "let only its owner write to {path}",
}
"""What each word means; a folder that may be read may be entered, too."""


@dataclass(frozen=True)
class Permissions:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        path, before, after = self._modes()
        return Outline(
            f"{_DOES[self._what].format(path=path)} (mode {before:03o} becomes {after:03o})",
            details=(f"chmod {after:03o} {path}",),
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        del work
        path, _, after = self._modes()
        return Changes(modes={path: after})

    @property
    def _what(self) -> str:
        (word,) = self.repair.words
        if word not in _DOES:
            raise NotDone(f"{word} is none of {', '.join(_DOES)}")
        return word

    def _modes(self) -> tuple[Path, int, int]:
        """The file, its mode, and the one that it gets.

        Raises:
            NotDone: it has that mode, or is not for this user to change.
        """
        path = Path(self.repair.place)
        try:
            info = path.lstat()
        except OSError as error:
            raise NotDone(f"{path}: {error.strerror}") from None
        if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            raise NotDone(f"{path} is neither a file nor a folder")
        if os.geteuid() not in {0, info.st_uid}:
            raise NotDone(f"{path} belongs to the user {info.st_uid}: do this as that user, or as root")
        before = stat.S_IMODE(info.st_mode)
        after = _changed(before, self._what, folder=stat.S_ISDIR(info.st_mode))
        if after == before:
            raise NotDone(f"{path} has mode {before:03o}, which is so already")
        return path, before, after


def step(repair: Repair, home: Home) -> Permissions:
    """The step that a call means; see `step_of`."""
    return Permissions(repair, home)


def _changed(mode: int, what: str, *, folder: bool) -> int:
    enter = stat.S_IXUSR if folder else 0
    return {
        "readable": mode | stat.S_IRUSR | enter,
        "usable": mode | stat.S_IRUSR | stat.S_IWUSR | enter,
        "private": mode & ~(stat.S_IRWXG | stat.S_IRWXO),
        "protected": mode & ~(stat.S_IWGRP | stat.S_IWOTH),
    }[what]
