"""Which files of a home hold a password in clear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.core.secrets import secrets_in
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations import Registration


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
    if registration.json_copy is not None and _holds_one(registration.json_copy.data):
        yield registration.json_copy.path


def _holds_one(data: object) -> bool:
    return next(secrets_in(data), None) is not None
