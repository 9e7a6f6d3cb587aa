"""Which files of a home hold a password in clear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.secrets import is_secret, redact

_DEEPEST = 6
_PLACES = ("database", "connection_string")


def files_with_passwords(inventory: Inventory) -> tuple[Path, ...]:
    """The settings file, registrations and their copies in which a database's password stands."""
    found = dict.fromkeys(
        path for registered in inventory.datasets if registered.registration for path in _of(registered.registration)
    )
    document = inventory.settings.document
    settings = (inventory.settings.file,) if document is not None and _holds_one(document.data) else ()
    return (*settings, *found)


def _of(registration: Registration) -> Iterator[Path]:
    for document in (registration.document, registration.pointed):
        if document is not None and _holds_one(document.data):
            yield document.path
    if registration.twin is not None and _holds_one(registration.twin.data):
        yield registration.twin.path


def _holds_one(data: object) -> bool:
    return isinstance(data, Mapping) and any(_secret(name, data.get(name), 0) for name in _PLACES)


def _secret(name: object, value: object, depth: int) -> bool:
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return any(_secret(key, item, depth + 1) for key, item in value.items())
    if isinstance(value, str) and value:
        return is_secret(str(name)) or redact(value) != value
    return isinstance(value, int) and not isinstance(value, bool) and is_secret(str(name))
