"""What metadata-corruption looks at where a dataset has no YAML file: who owns the data, and what a backup holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.checks._shared.backup_restore import Saved
from pytest_mdm_health.checks._shared.registration_state import is_half_registered, registering, was_completed
from pytest_mdm_health.checks.metadata_corruption.facts import Absence, MetadataFacts
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.backups.search import SavedData, search_backups
from pytest_mdm_health.mdm.engines import ENGINES, FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.permissions import barrier
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE
from pytest_mdm_health.mdm.servers import connection_of

_ON_SERVERS = set(ENGINES) - set(FILE_ENGINES)
_SHARE_OF_TIME = 0.2
"""How much of a check's time listing an archive may take."""


def absence_of(dataset: Dataset, inventory: Inventory, options: Options, before: MetadataFacts | None) -> Absence:
    """What there is to say of a dataset without a YAML file.

    Raises:
        NotApplicable: nobody can say that it has none, or it is another check's affair.
    """
    home = inventory.home
    _hold_back_if_unlisted(home)
    _leave_to_others(dataset, home, before)
    was = _was(dataset, home, before)
    lies = isinstance(was, Path) and kind_of(was) is FileKind.FILE
    parts: list[Saved] = []
    sought: tuple[str, ...] = ()
    on_server = isinstance(was, str) or (dataset.remembered and dataset.backend in _ON_SERVERS)
    lost = dataset.registration is None or dataset.registration.in_force is None
    if lost and Depth(options.depth) is not Depth.QUICK:
        for path, earlier in _wanted(dataset, home, before, was if dataset.remembered and not lies else None):
            found, sought = _found(dataset, home, options, path, earlier)
            parts += [Saved(found, str(path))] if found is not None else []
    return Absence(
        remembered=dataset.remembered,
        was=str(was or ""),
        lies=lies,
        on_server=on_server,
        was_registered=before.registered
        if before is not None
        else (on_server or was_completed(dataset.name, home)) or None,
        known_as=_known_as(dataset, inventory, was),
        saved=tuple(parts),
        sought=sought,
        usual=_usual(dataset, home),
    )


def _usual(dataset: Dataset, home: Home) -> str:
    """The YAML file where MDM keeps it unless it is told otherwise, if there is one and MDM is told otherwise."""
    usual = home.root / "config/datasets" / f"{dataset.name.lower()}.yaml"
    elsewhere = os.path.realpath(usual.parent) != os.path.realpath(home.registrations)
    return str(usual) if elsewhere and kind_of(usual) is FileKind.FILE else ""


def _hold_back_if_unlisted(home: Home) -> None:
    """Nobody can say that a file is missing from a folder that may not be listed."""
    try:
        with os.scandir(home.registrations):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{home.registrations} cannot be listed ({error.strerror}), so nobody knows whether this is registered"
        raise NotApplicable(reason) from error


def _leave_to_others(dataset: Dataset, home: Home, before: MetadataFacts | None) -> None:
    running = registering(dataset.name, home)
    if running is not None:
        raise NotApplicable(f"a registration is at work on it (PID {running.pid}); see registration-hang")
    if is_half_registered(dataset, home) and not (before is not None and before.registered):
        raise NotApplicable("nothing registers it, and the log does not tell that it ever was; see registration-hang")
    barred = barrier(dataset.folder) if dataset.remembered else None
    if barred is not None:
        raise NotApplicable(f"{barred.path} lets nobody through, so nobody knows whether the dataset is still there")


def _was(dataset: Dataset, home: Home, before: MetadataFacts | None) -> Path | str | None:
    """Where a remembered dataset was, as seen from where the home is now: a file, or an address on a server."""
    if not dataset.remembered:
        return None
    if before is not None and before.data.server is not None:
        return before.data.server.address
    earlier = _earlier(dataset, before)
    return None if earlier is None else _moved(earlier, home, before)


def _earlier(dataset: Dataset, before: MetadataFacts | None) -> Path | None:
    """The file in which its data was, as it was called then: the home's own, where the registration led elsewhere."""
    place = before.data.place if before is not None else None
    if place is None:
        return dataset.database
    return Path(place.path if place.inside else place.instead or place.path)


def _moved(path: Path, home: Home, before: MetadataFacts | None) -> Path:
    if before is not None and path.is_relative_to(before.root):
        return home.root / path.relative_to(before.root)
    return path


def _wanted(
    dataset: Dataset, home: Home, before: MetadataFacts | None, was: Path | str | None
) -> Iterator[tuple[Path, Path]]:
    """The files that a backup should have, each with where it was when the baseline was recorded."""
    yaml = home.registrations / f"{dataset.name.lower()}.yaml"
    earlier = Path(before.yaml.file) if before is not None and before.yaml.there else yaml
    yield yaml, earlier
    twin = dataset.folder / JSON_COPY_FILE
    if before is not None and before.twin.there and kind_of(twin) is FileKind.MISSING:
        yield twin, Path(before.twin.file)
    if isinstance(was, Path):
        yield was, _earlier(dataset, before) or was


def _found(
    dataset: Dataset, home: Home, options: Options, path: Path, earlier: Path
) -> tuple[SavedData | None, tuple[str, ...]]:
    """A file in a backup, or where it was while the home lay elsewhere."""
    saved, sought = search_backups(home, options.backup, dataset.name, path, options.timeout * _SHARE_OF_TIME)
    if saved is None and earlier != path and kind_of(earlier) is FileKind.FILE:
        saved = SavedData(backup="", form="", member=str(earlier))
    return saved, sought


def _known_as(dataset: Dataset, inventory: Inventory, was: Path | str | None) -> str:
    """Another dataset that is registered with the data that this one had."""
    for each in inventory.datasets if dataset.remembered and was else ():
        connection = connection_of(each, inventory.settings)
        if connection.address == was if connection is not None else isinstance(was, Path) and _same(each.database, was):
            return each.name
    return ""


def _same(one: Path | None, other: Path) -> bool:
    try:
        return one is not None and one.samefile(other)
    except (OSError, ValueError):
        return False
