"""The file by which a home says that a repair of it is under way, or broke off: which folder has its journal."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_mdm_health.mdm.files import Unreadable, read_bytes

MARKER = ".mdm-health-repair"
"""Its name, in the home."""
_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Marker:
    """What it says.

    Attributes:
        saved: the folder with the journal and the copies; None if the file cannot be understood.
        under_way: whether the process that repairs is still there.
    """

    saved: Path | None
    under_way: bool = False


class Unfinished(Exception):
    """Another repair of the home is not over; the text says what to do, on one line."""


def read_marker(home: Path) -> Marker | None:
    """What the home says of a repair; None if it says nothing. Never raises."""
    try:
        content = read_bytes(home / MARKER, _LIMIT)
    except Unreadable:
        return Marker(None) if os.path.lexists(home / MARKER) else None
    try:
        entry = json.loads(content)
        return Marker(Path(entry["saved"]), _is_running(int(entry["pid"]), float(entry["started"])))
    except (ValueError, KeyError, TypeError):
        return Marker(None)


def write_marker(home: Path, saved: Path) -> None:
    """Say that a repair of the home is under way.

    Raises:
        Unfinished: another one is.
        OSError: the home cannot be written to.
    """
    entry = {"saved": str(saved), "pid": os.getpid(), "started": psutil.Process().create_time()}
    draft = saved / "marker"  # it is linked into the home, so that the marker is there whole or not at all
    try:
        with draft.open("w", encoding="utf-8") as file:
            json.dump(entry, file)
            file.flush()
            os.fsync(file.fileno())
        _link_or_copy(draft, home / MARKER)
    except FileExistsError:
        raise Unfinished(what_to_do(home)) from None
    finally:
        draft.unlink(missing_ok=True)


def _link_or_copy(draft: Path, marker: Path) -> None:
    """Give the draft a second name where nothing is yet; on another disk, copy it."""
    try:
        marker.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        with marker.open("xb") as file:
            try:
                file.write(draft.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            except OSError:  # the disk is full: half a marker would bar every later repair
                marker.unlink(missing_ok=True)
                raise


def what_to_do(home: Path) -> str:
    """One sentence about a repair that is not over."""
    marker = read_marker(home)
    if marker is None or marker.saved is None:
        return f"{home / MARKER} speaks of a repair and cannot be read; look into it before you remove it"
    if marker.under_way:
        return f"another repair of {home} is under way; its journal is in {marker.saved}"
    return (
        f"a repair of {home} is unfinished: `mdm-health repair --undo {marker.saved}` takes it back, "
        f"`mdm-health repair --finish {marker.saved}` brings its last step to an end"
    )


def _is_running(pid: int, started: float) -> bool:
    """Whether that very process still runs; a number that was given away again does not count."""
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        return False
