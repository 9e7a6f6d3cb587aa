"""A folder that is a backup, gone through without following a link out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.mdm.backups.archive.members import Ledger, Limits, Member, MemberKind, Reading, Stopped

_KINDS: dict[int, MemberKind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def read_folder(folder: Path, until: float) -> Reading:
    """What is in a folder and below it, as if it were an archive; no file is opened. Never raises."""
    gaps: list[str] = []
    ledger, listed = Ledger(0, until, Limits()), True
    try:
        for path in _walk(folder, gaps):
            ledger.check_time()
            _note(path, folder, ledger, gaps)
    except Stopped as stopped:
        gaps.append(f"was not gone through to its end: {stopped}")
        listed = False
    return ledger.reading(None, *gaps, listed=listed, complete=not gaps)


def _note(path: Path, folder: Path, ledger: Ledger, gaps: list[str]) -> None:
    try:
        info = path.lstat()
        kind = _KINDS.get(stat.S_IFMT(info.st_mode), "other")
        target = str(path.readlink()) if kind == "link" else ""
    except OSError as error:
        gaps.append(f"has {path}, which cannot be looked at: {error.strerror}")
        return
    size = info.st_size if kind == "file" else 0
    ledger.unpacked += size
    name = path.relative_to(folder).as_posix()
    identity = (info.st_dev, info.st_ino) if kind == "file" and info.st_nlink > 1 else None
    ledger.add(Member(name, kind, size, info.st_mtime, target, identity=identity))


def _walk(folder: Path, gaps: list[str]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        gaps.append(f"has {error.filename}, which cannot be listed: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        yield from (Path(parent, name) for name in sorted((*folders, *files)))
