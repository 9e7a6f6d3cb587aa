"""What a new backup of a home has to hold besides what is in it, and what of the home it leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_mdm_health.backends import sidecars
from pytest_mdm_health.mdm.inventory import Inventory


def needs_cache(inventory: Inventory) -> bool:
    """Whether something that has to be restored is in the folder of the cache, which a backup otherwise leaves out."""
    home = inventory.home
    places = [home.datasets, home.registrations, home.custom_features, home.log_file]
    places += [dataset.database for dataset in inventory.datasets if dataset.database is not None]
    cache = home.cache.resolve()
    return any(place.resolve().is_relative_to(cache) for place in places)


def outside_of(inventory: Inventory) -> Iterator[tuple[Path, int]]:
    """Databases that are registered outside the home, and what belongs to them, with their sizes."""
    root = os.path.realpath(inventory.home.root)
    for dataset in inventory.datasets:
        database = dataset.database
        if dataset.registration is None or database is None:
            continue
        real = Path(os.path.realpath(database))
        for path in () if real.is_relative_to(root) else (real, *(each.path for each in sidecars(real))):
            with suppress(OSError):
                yield path, path.stat().st_size


def left_out(inventory: Inventory, folder: Path) -> frozenset[str]:
    """What of the home is not packed, by its real path: the folder of the backups, and the cache if it is only that."""
    places = (folder,) if needs_cache(inventory) else (folder, inventory.home.cache)
    return frozenset(map(os.path.realpath, places))
