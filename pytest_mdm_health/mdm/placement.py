"""Where a dataset's data is registered, seen from the home that it is registered in.

MDM writes absolute paths, so a home that was copied, moved or restored goes on pointing at the place it came from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from pytest_mdm_health.mdm.files import kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset, is_put_aside


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registered path.

    Attributes:
        written: as it is in the registration.
        path: what it means, absolute.
        kind: of the file there, as in `FileKind`.
        inside: whether it is in this home, links followed; or is a link in this home to a file that is in no other
            home, as one on another disk.
        relative: whether MDM would look for it from the folder it happens to be started in.
        other_home: the MDM home that it lies in, if that is another one.
        instead: the database that lies in this home in its stead, if there is one.
    """

    written: str
    path: str
    kind: str
    inside: bool
    relative: bool
    other_home: str = ""
    instead: str = ""


def place_of(dataset: Dataset, home: Home) -> Place | None:
    """Where the dataset's data is registered; None if no path is registered, or one that no file system has."""
    registration = dataset.registration
    if registration is None or registration.database is None or registration.registered_path is None:
        return None
    registered = registration.database
    folders = (home.root, home.datasets, dataset.folder)
    inside, other_home = any(_lies_in(registered, folder) for folder in folders), ""
    if not inside and any(_is_named_in(registered, folder) for folder in folders):
        real = Path(os.path.realpath(registered))
        other_home = _home_around(real)
        inside, registered = not other_home, real if other_home else registered
    elif not inside:
        other_home = _home_around(registered)
    return Place(
        written=registration.registered_path,
        path=str(registered),
        kind=kind_of(registered).value,
        inside=inside,
        relative=not Path(registration.registered_path).is_absolute()
        and not registration.registered_path.startswith("~")
        and not is_of_windows(registration.registered_path),
        other_home=other_home,
        instead=_instead(dataset, registered, registration.registered_path),
    )


def is_of_windows(written: str) -> bool:
    """Whether a path is an absolute one of Windows, seen from a system that has none."""
    return PureWindowsPath(written).is_absolute() and not Path(written).is_absolute()


def name_in(written: str) -> str:
    """The last part of a path, be it one of Windows."""
    return PureWindowsPath(written).name if is_of_windows(written) else Path(written).name


def _instead(dataset: Dataset, registered: Path, written: str) -> str:
    others = [path for path in dataset.files if os.path.realpath(path) != os.path.realpath(registered)]
    others = [path for path in others if not is_put_aside(os.path.realpath(path))]  # nor by way of a link
    named = [path for path in others if path.name in {registered.name, name_in(written)}]
    return str((named or others)[0]) if others else ""


def _home_around(path: Path) -> str:
    """The MDM home in which a path lies as MDM would have put it there; empty if it does not."""
    candidate = path.parent.parent.parent
    registered = candidate / "config" / "datasets" / f"{path.parent.name}.yaml"
    return str(candidate) if path.parent.parent.name == "datasets" and kind_of(registered).value == "file" else ""


def _is_named_in(path: Path, folder: Path) -> bool:
    """Whether a path begins like that of a folder, whatever its last part links to."""
    return Path(os.path.realpath(path.parent), path.name).is_relative_to(os.path.realpath(folder))


def _lies_in(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
