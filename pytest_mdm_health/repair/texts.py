"""New texts in the place of small files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_mdm_health.repair.step import NotDone


def real_file(path: Path) -> Path:
    """The file that a path leads to, links followed, which has no other name.

    Raises:
        NotDone: it is not a file, or has another name on this disk.
    """
    real = Path(os.path.realpath(path))
    if not real.is_file():
        raise NotDone(f"{path} is not a file")
    if real.stat().st_nlink > 1:
        raise NotDone(f"{real} has another name on this disk (a hard link), which would keep the old content")
    return real


def written_in(work: Path, contents: Mapping[Path, bytes]) -> dict[Path, Path]:
    """For each file, a new one in the folder `work` with its new content.

    Raises:
        OSError: it cannot be written.
    """
    made: dict[Path, Path] = {}
    for number, (path, content) in enumerate(contents.items()):
        new = work / f"{number}-{path.name[:200]}"
        new.write_bytes(content)
        made[path] = new
    return made
