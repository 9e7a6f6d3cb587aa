"""Where a home writes how a PostgreSQL server is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_mdm_health.checks._shared.postgres.facts import Way
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.servers import Connection, connection_of, connection_of_settings, server_key
from pytest_mdm_health.mdm.settings import Settings

FIELDS = ("host", "port", "user", "password", "sslmode")
_KEPT = 4
"""Places of one field that are kept; a home may have a thousand registrations with the same password."""


def way_of(connection: Connection, inventory: Inventory) -> Way:
    """The way that a connection takes, with the places that set it."""
    settings = inventory.settings
    sslmode = dict(connection.ssl).get("sslmode")
    values = (connection.host, connection.port, connection.user, connection.password, sslmode)
    alike = [each for each in inventory.datasets if _goes_the_same_way(each, connection, settings)]
    there = server_key(connection_of_settings(settings, "")) == server_key(connection)
    places = {
        name: [*_in_settings(name, value, alike, settings, there=there), *_in_registrations(name, alike)]
        for name, value in zip(FIELDS, values, strict=True)
    }
    return Way(
        user=connection.user or "",
        database=connection.database,
        sslmode=sslmode or "",
        written={name: tuple(all_[:_KEPT]) for name, all_ in places.items()},
        more={name: len(all_) - _KEPT for name, all_ in places.items() if len(all_) > _KEPT},
    )


def _goes_the_same_way(dataset: Dataset, connection: Connection, settings: Settings) -> bool:
    own = connection_of(dataset, settings)
    return own is not None and own.login == connection.login and server_key(own) == server_key(connection)


def _in_settings(
    name: str, value: object, datasets: Sequence[Dataset], settings: Settings, *, there: bool
) -> Iterator[str]:
    """The place in the settings if they have the same for this server, or for what a registration leaves out."""
    setting = settings.values[f"database.postgresql.{name}"]
    left_out = any(each.registration is not None and not _field(name, each.registration) for each in datasets)
    if setting.origin.place and setting.value == value and (there or left_out):
        yield setting.origin.place


def _in_registrations(name: str, datasets: Sequence[Dataset]) -> Iterator[str]:
    for dataset in datasets:
        registration = dataset.registration
        field = _field(name, registration) if registration is not None else ""
        if registration is None or not field:
            continue
        place = registration.where(field)
        yield f"{place.file}, line {place.line}" if place.line else place.file
        if registration.twin is not None:
            yield str(registration.twin.path)


def _field(name: str, registration: Registration) -> str:
    """The key of a registration that says so, with its section; empty if none does."""
    database = registration.data.get("database")
    fields: Mapping[str, object] = database if isinstance(database, Mapping) else registration.data
    said = [each for each in (name, "connection_string") if fields.get(each) not in (None, "")]
    return "" if not said else f"database.{said[0]}" if fields is database else said[0]
