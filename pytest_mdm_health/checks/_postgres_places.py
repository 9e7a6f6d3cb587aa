"""Where a home writes how a PostgreSQL server is reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_mdm_health.checks._postgres_facts import Way
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.servers import Connection, connection_of, server_key
from pytest_mdm_health.mdm.settings import Settings

FIELDS = ("host", "port", "user", "password", "sslmode")
_KEPT = 3
"""Places of one field that are kept; a home may have a thousand registrations with the same password."""


def way_of(connection: Connection, inventory: Inventory) -> Way:
    """The way that a connection takes, with the places that set it."""
    sslmode = dict(connection.ssl).get("sslmode")
    values = (connection.host, connection.port, connection.user, connection.password, sslmode)
    alike = [each for each in inventory.datasets if _goes_the_same_way(each, connection, inventory.settings)]
    return Way(
        user=connection.user or "",
        database=connection.database,
        sslmode=sslmode or "",
        written={
            name: tuple(_places(name, value, alike, inventory.settings))[:_KEPT]
            for name, value in zip(FIELDS, values, strict=True)
        },
    )


def _goes_the_same_way(dataset: Dataset, connection: Connection, settings: Settings) -> bool:
    own = connection_of(dataset, settings)
    return own is not None and own.login == connection.login and server_key(own) == server_key(connection)


def _places(name: str, value: object, datasets: Sequence[Dataset], settings: Settings) -> Iterator[str]:
    """Where a value is written: in the settings if they have the same, and in the registrations that have their own."""
    setting = settings.values[f"database.postgresql.{name}"]
    if setting.origin.place and setting.value == value:
        yield setting.origin.place
    for dataset in datasets:
        yield from _registered(name, dataset)


def _registered(name: str, dataset: Dataset) -> Iterator[str]:
    registration = dataset.registration
    if registration is None:
        return
    database = registration.data.get("database")
    fields: Mapping[str, object] = database if isinstance(database, Mapping) else registration.data
    field = name if fields.get(name) not in (None, "") else "connection_string"
    if fields.get(field) in (None, ""):
        return
    place = registration.where(f"database.{field}" if fields is database else field)
    yield f"{place.file}, line {place.line}" if place.line else place.file
    if registration.twin is not None:
        yield str(registration.twin.path)
