"""Where a repair takes place: the home, and the folder that keeps what there was."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pytest_mdm_health.mdm.home import Home, is_home, locate
from pytest_mdm_health.mdm.repair_marker import read_marker, what_to_do
from pytest_mdm_health.mdm.settings import read_settings
from pytest_mdm_health.repair.step import NotDone


def home_of(place: Path) -> Path:
    """The home that a place is in, or that it is.

    Raises:
        NotDone: it is in none.
    """
    found = [folder for folder in (place, *place.parents) if _is_home(folder)]
    for number, folder in enumerate(found):
        outer = map(located, found[number + 1 :])
        is_config = any(home.registrations.is_relative_to(folder) for home in outer)  # it may look like a home
        if folder != Path(folder.anchor) and not is_config:
            return folder
    raise NotDone(f"{place} is in no MDM home; name the home with --home")


def _is_home(folder: Path) -> bool:
    try:
        return folder.is_dir() and is_home(located(folder))
    except PermissionError:  # a folder that cannot be listed may hold anything
        return False


def located(root: Path) -> Home:
    """The places in a home under its settings and the environment."""
    return locate(root, read_settings(root, os.environ))


def saved_folder(root: Path, given: Path | None) -> Path:
    """The folder that keeps what there was, which does not exist yet: beside the home, or in the folder given.

    Raises:
        NotDone: it would be in the home.
    """
    name = f"mdm-health-saved-{time.strftime('%Y%m%d-%H%M%S')}"
    folder = given.absolute() / name if given else root.parent / name
    if folder.resolve().is_relative_to(root.resolve()):
        raise NotDone(f"{folder} is in the home, where MDM or a later step may change it; name another with --saved")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


def refuse_unfinished(root: Path) -> None:
    """Refuse a home of which a repair is not over.

    Raises:
        NotDone: it is not, and what to do.
    """
    if read_marker(root) is not None:
        raise NotDone(what_to_do(root))
