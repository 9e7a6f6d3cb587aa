"""Where the rows of before may still be read: at the old place, in a backup, in the files it was registered from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend, server_backend
from pytest_mdm_health.checks.data_corruption.baseline import SnapshotRequest
from pytest_mdm_health.checks.data_corruption.facts import DataFacts, Place
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.backups import TABLE_SUFFIXES, look_for_backups
from pytest_mdm_health.mdm.backups.search import search_backups
from pytest_mdm_health.mdm.engines import FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind, is_same_file, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations.sources import source_of
from pytest_mdm_health.mdm.servers import Connection, server_key
from pytest_mdm_health.mdm.settings import Settings

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.readers.base import Source

_MOST = 5
"""How many copies of a table are looked at."""

_LISTING_S = 5.0
_READ = (*TABLE_SUFFIXES, ".csv.gz")


def copies(
    table: str, backend: Backend, before: DataFacts, request: SnapshotRequest
) -> Iterator[tuple[str, Source | None]]:
    """What may be a copy of a table as it was, the likeliest first, each with its name for a person.

    None stands for one that cannot be read as it is.
    """
    found = (
        *_at_the_old_place(table, backend, before, request.settings),
        *_in_backups(table, before, request.home, request.options),
        *_as_registered(table, request.dataset, before),
    )
    yield from dict(found[:_MOST]).items()


def _at_the_old_place(
    table: str, backend: Backend, before: DataFacts, settings: Settings
) -> Iterator[tuple[str, Source | None]]:
    from pytest_mdm_health.integrity.readers.base import TableIn

    place = before.place
    if place is None:
        return
    if before.engine in FILE_ENGINES:
        path = Path(place.path)
        here = backend.connection is None and is_same_file(path, backend.path)
        if kind_of(path) is FileKind.FILE and not here:
            yield str(path), TableIn(Backend(before.engine, path), table)
        return
    connection = _connection(place, backend.connection, settings)
    if backend.connection is None or backend.connection.address != connection.address:
        yield connection.address, TableIn(server_backend(connection), table)


def _connection(place: Place, now: Connection | None, settings: Settings) -> Connection:
    """The old server, with a password that is known for this user of this server."""
    user = place.user or None
    bare = Connection(place.host, place.port, place.database, user)
    known = [now] if now is not None else []
    host, port = (settings[f"database.postgresql.{name}"] for name in ("host", "port"))
    own, password = (settings[f"database.postgresql.{name}"] for name in ("user", "password"))
    if own and password:
        known.append(Connection(str(host), int(str(port)), "", str(own), str(password)))
    same = (each for each in known if server_key(each) == server_key(bare) and each.user == user)
    first = next(same, None)
    return bare if first is None else first.to(place.database)


def _in_backups(table: str, before: DataFacts, home: Home, options: Options) -> Iterator[tuple[str, Source | None]]:
    from pytest_mdm_health.integrity.readers.base import TableFile, TableIn

    if before.place is not None and before.engine in FILE_ENGINES:
        data = home.root / before.place.relative
        saved, _ = search_backups(home, options.backup, before.name, data, _LISTING_S)
        if saved is not None:
            copy = TableIn(Backend(before.engine, Path(saved.member)), table)
            yield (saved.backup, None) if saved.form else (saved.member, copy)
    for each in look_for_backups(home, options.backup, {before.name}).found:
        if each.kind == "dataset" and each.path.suffix.lower() in TABLE_SUFFIXES and _is_of(each.path, table, before):
            yield str(each.path), TableFile(each.path)


def _is_of(path: Path, table: str, before: DataFacts) -> bool:
    """Whether a saved table is called like this one, as a person would call it."""
    alone = len(before.known) == 1
    names = {f"{before.name}{between}{table}" for between in "_-."} | ({before.name} if alone else set())
    return path.stem in names or (path.stem == table and path.parent.name == before.name)


def _as_registered(table: str, dataset: Dataset, before: DataFacts) -> Iterator[tuple[str, Source | None]]:
    from pytest_mdm_health.integrity.readers.base import TableFile

    registration = dataset.registration
    source = source_of(registration) if registration is not None else None
    if registration is None or source is None:
        return
    roles = {role for role, name in registration.tables.items() if name == table} | {table}
    for name, path in source.files.items():
        if (name in roles or len(source.files) == len(before.known) == 1) and path.name.lower().endswith(_READ):
            yield str(path), TableFile(path)
