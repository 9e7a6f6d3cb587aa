"""Where a home sets how a PostgreSQL server is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_mdm_health.checks._shared.postgres.facts import ConnectionAttempt
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.servers import Connection, connection_of, connection_of_settings, server_key
from pytest_mdm_health.mdm.settings import Settings

FIELDS = ("host", "port", "user", "password", "sslmode")
_LISTED = 4
"""Places of one field that are listed; a home may have a thousand registrations with the same password."""


def attempt_of(connection: Connection, inventory: Inventory) -> ConnectionAttempt:
    """How a connection is attempted, with the places that set it."""
    settings = inventory.settings
    sslmode = dict(connection.ssl).get("sslmode")
    values = (connection.host, connection.port, connection.user, connection.password, sslmode)
    datasets = [dataset for dataset in inventory.datasets if _connects_alike(dataset, connection, settings)]
    same_server = server_key(connection_of_settings(settings, "")) == server_key(connection)
    places = {
        name: [*_in_settings(name, value, datasets, settings, same_server), *_in_registrations(name, datasets)]
        for name, value in zip(FIELDS, values, strict=True)
    }
    return ConnectionAttempt(
        user=connection.user or "",
        database=connection.database,
        sslmode=sslmode or "",
        written={name: tuple(all_[:_LISTED]) for name, all_ in places.items()},
        more={name: len(all_) - _LISTED for name, all_ in places.items() if len(all_) > _LISTED},
    )


def _connects_alike(dataset: Dataset, connection: Connection, settings: Settings) -> bool:
    own = connection_of(dataset, settings)
    return own is not None and own.login == connection.login and server_key(own) == server_key(connection)


def _in_settings(
    name: str, value: object, datasets: Sequence[Dataset], settings: Settings, same_server: bool
) -> Iterator[str]:
    """The place in the settings if they have the same for this server, or for what a registration leaves out."""
    setting = settings.values[f"database.postgresql.{name}"]
    left_out = any(dataset.registration is not None and not _key(name, dataset.registration) for dataset in datasets)
    if setting.origin.place and setting.value == value and (same_server or left_out):
        yield setting.origin.place


def _in_registrations(name: str, datasets: Sequence[Dataset]) -> Iterator[str]:
    for dataset in datasets:
        registration = dataset.registration
        key = _key(name, registration) if registration is not None else ""
        if registration is None or not key:
            continue
        place = registration.where(key)
        yield f"{place.file}, line {place.line}" if place.line else place.file
        if registration.json_copy is not None:
            yield str(registration.json_copy.path)


def _key(name: str, registration: Registration) -> str:
    """The key of a registration that sets this field, with its section; empty if none does."""
    section = registration.data.get("database")
    fields: Mapping[str, object] = section if isinstance(section, Mapping) else registration.data
    for key in (name, "connection_string"):
        if fields.get(key) not in (None, ""):
            return f"database.{key}" if fields is section else key
    return ""
