"""How metadata-corruption looks at a registration, its twin, and the data that both speak of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed
from pytest_mdm_health.checks.metadata_corruption.absence import absence_of
from pytest_mdm_health.checks.metadata_corruption.edits import owner_of, path_edits
from pytest_mdm_health.checks.metadata_corruption.facts import (
    Content,
    DataState,
    MetadataFacts,
    MissingColumn,
    OnServer,
    TwinState,
    Unread,
    YamlState,
)
from pytest_mdm_health.checks.metadata_corruption.since import described
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.engines import engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.permissions import barrier
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.placement import Place, place_of
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.json_copy import (
    JSON_COPY_FILE,
    absent_fields,
    differences,
    explained,
    is_contained,
    means_same_as_yaml,
)
from pytest_mdm_health.mdm.registrations.plausibility import is_odd_version, odd_dates
from pytest_mdm_health.mdm.servers import is_left_to_defaults
from pytest_mdm_health.mdm.settings import Settings

COLUMN_FIELDS = ("target_column", "time_column", "group_column", "id_columns")
BACKEND = "database.default_backend"
_MAIN_ROLE = "train"
_MOMENT_S = 2.0
"""MDM writes both copies of a registration within this time."""
_LOCATED = ("name", "version", "registered_at", "created_at", "last_updated_at", *COLUMN_FIELDS)
_CONNECTION = ("backend", "type", "path", "host", "port", "database", "connection_string")


def gather(
    dataset: Dataset, inventory: Inventory, backend: Backend | None, options: Options, before: MetadataFacts | None
) -> MetadataFacts:
    """Look at one dataset's registration; the database is opened for the names of its columns only."""
    home, settings = inventory.home, inventory.settings
    unwritten = dataset.registration is None or dataset.registration.document is None
    absence = absence_of(dataset, inventory, options, before) if unwritten else None
    lying = (*dataset.files, dataset.folder)[0]
    registration = dataset.registration or Registration(name=dataset.name, file=lying, root=home.root, shape="unknown")
    gaps: list[str] = []
    content = _content(registration, backend, gaps)
    server = _on_server(backend, guessed=is_left_to_defaults(dataset, settings))
    files = (registration.document, registration.pointed, registration.json_copy, *dataset.files)
    place = place_of(dataset, home)
    owner = owner_of(dataset, place, inventory)
    return MetadataFacts(
        examined=sum(1 for each in files if each is not None) + dataset.remembered,
        name=dataset.name,
        root=str(home.root),
        registrations=str(home.registrations),
        registered=dataset.registration is not None,
        in_force=registration.in_force,
        yaml=_yaml_state(registration, dataset),
        twin=_twin_state(registration, home),
        data=replace(_data_state(registration, dataset, place, settings), server=server, owner=owner),
        content=content,
        taken=tuple(_taken(home, {dataset.name, content.name or dataset.name})),
        absence=absence,
        path_edits=path_edits(dataset, place, owner),
        described=described(registration.data),
        gaps=tuple(gaps),
    )


def _taken(home: Home, names: Iterable[str]) -> Iterator[str]:
    files = (f"{home.registrations}/{name.lower()}.yaml" for name in sorted(names))
    return (file for file in files if kind_of(Path(file)) is not FileKind.MISSING)


def _yaml_state(registration: Registration, dataset: Dataset) -> YamlState:
    first = registration.document
    document = registration.pointed or first
    fields = {*_LOCATED, *_CONNECTION, *(f"database.{part}" for part in _CONNECTION)}
    fields |= {refusal.field for refusal in registration.refused}
    unreadable = document is not None and any(each.code == "unreadable" for each in document.problems)
    return YamlState(
        file=str(registration.file),
        there=first is not None,
        readable=document is not None and document.usable and isinstance(document.data, Mapping),
        empty=document is not None and document.usable and document.data is None,
        shape=registration.shape,
        pointer=str(registration.pointed.path) if registration.pointed is not None else "",
        seen=registration.seen,
        overlooked=tuple(map(str, dataset.overlooked)),
        unread=tuple(_unread(registration)),
        missing=registration.missing,
        refused=registration.refused,
        where=dict(_where(registration, sorted(fields))),
        barrier=barrier(document.path) if document is not None and unreadable else None,
    )


def _where(registration: Registration, fields: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    for field in fields:
        place = registration.where(field)
        if place.line is not None and place.column is not None:
            yield field, (place.line, place.column)


def _unread(registration: Registration) -> Iterator[Unread]:
    for document in (registration.document, registration.pointed):
        for each in document.problems if document is not None else ():
            yield Unread(code=each.code, message=each.message, line=each.line, column=each.column, key=each.key)


def _twin_state(registration: Registration, home: Home) -> TwinState:
    twin, document = registration.json_copy, registration.pointed or registration.document
    ours = document.data if document is not None and document.usable and isinstance(document.data, Mapping) else {}
    theirs = twin.data if twin is not None and twin.data is not None else {}
    differs = differences(ours, theirs) if ours and theirs and registration.shape == "full" else ()
    absent = absent_fields(ours, theirs) if differs else ()
    rest = tuple(name for name in differs if not absent or name.partition(".")[0] in ours)
    usual = home.datasets / registration.name.lower() / JSON_COPY_FILE
    unread = twin is not None and twin.data is None
    return TwinState(
        file=str(twin.path if twin is not None else usual),
        there=twin is not None,
        usable=twin is not None and twin.usable,
        problem=twin.problem if twin is not None else "",
        refused=(*(refusal.field for refusal in twin.refused), *twin.missing) if twin is not None else (),
        differs=rest,
        harmless=bool(rest) and explained(rest, ours, theirs, in_force=registration.in_force == "yaml"),
        absent=absent,
        complete=bool(absent) and is_contained(ours, theirs),
        as_yaml=twin is not None and (bool(absent) or not ours) and means_same_as_yaml(twin),
        barrier=barrier(twin.path) if twin is not None and unread else None,
        older=_older(twin.path, (registration.pointed or registration.document or twin).path) if twin else "",
    )


def _older(twin: Path, yaml: Path) -> str:
    """When both were last written, if the copy was first."""
    try:
        theirs, ours = twin.stat().st_mtime, yaml.stat().st_mtime
        if theirs + _MOMENT_S >= ours:
            return ""
        first, then = (datetime.fromtimestamp(each).astimezone().isoformat(" ", "seconds") for each in (theirs, ours))
    except (OSError, ValueError, OverflowError):
        return ""
    return f"written {first}, while the YAML file was {then}"


def _data_state(registration: Registration, dataset: Dataset, place: Place | None, settings: Settings) -> DataState:
    default = settings.values[BACKEND]
    origin = default.origin
    source = f"{origin.name}, line {origin.line}" if origin.line else origin.name
    return DataState(
        backend=registration.backend,
        real_engine=engine_of(dataset.database) if dataset.database else None,
        default_backend=str(default.value),
        default_from="MDM's default" if origin.kind == "default" else source,
        place=place,
        files=tuple(map(str, dataset.files)),
        shared_with=dataset.shared_with,
        barrier=barrier(Path(place.path)) if place is not None and place.kind == FileKind.UNREACHABLE.value else None,
    )


def _on_server(backend: Backend | None, *, guessed: bool) -> OnServer | None:
    if backend is None or backend.connection is None:
        return None
    try:
        with backend.open():
            return OnServer(address=str(backend.path), guessed=guessed)
    except CannotOpen as error:
        return OnServer(address=str(backend.path), code=error.code, reason=error.reason, guessed=guessed)


def _content(registration: Registration, backend: Backend | None, gaps: list[str]) -> Content:
    name, version = registration.data.get("name"), registration.data.get("version")
    columns = dict(_named_columns(registration.data))
    return Content(
        name=name if isinstance(name, str) else None,
        version=version if isinstance(version, str) else None,
        odd_version=is_odd_version(version),
        odd_dates=odd_dates(registration.data, _latest(registration.file)),
        tables=registration.tables,
        columns=columns,
        missing_columns=tuple(_missing_columns(registration, columns, backend, gaps)),
    )


def _named_columns(data: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for field in COLUMN_FIELDS:
        value = data.get(field)
        names = value if isinstance(value, list) else [value]
        columns = tuple(name for name in names if isinstance(name, str) and name)
        if columns:
            yield field, columns


def _missing_columns(
    registration: Registration, columns: Mapping[str, tuple[str, ...]], backend: Backend | None, gaps: list[str]
) -> Iterator[MissingColumn]:
    tables, twin = registration.tables, registration.json_copy
    spare = dict(_named_columns(twin.data or {})) if twin is not None and registration.in_force == "yaml" else {}
    main = (tables[_MAIN_ROLE],) if _MAIN_ROLE in tables else tuple(sorted(set(tables.values())))
    known = _columns_of(main, backend, gaps) if columns and main else {}
    every = sorted({column for names in known.values() for column in names})
    for field, names in columns.items() if known else ():
        for name in (name for name in names if name not in every):
            alike = [column for column in every if column.casefold() == name.casefold()]
            near = alike or difflib.get_close_matches(name, every, n=1, cutoff=0.7)
            other = spare.get(field, ())
            in_twin = other if set(other) <= set(every) else ()
            yield MissingColumn(field, name, tuple(known), near[0] if near else "", in_twin)


def _columns_of(tables: tuple[str, ...], backend: Backend | None, gaps: list[str]) -> dict[str, list[str]]:
    """The columns of those tables that are there."""
    if backend is None:
        gaps.append("the columns could not be compared: there is no database to look into")
        return {}
    try:
        with backend.open() as database:
            there = set(database.tables()).intersection(tables)
            return {table: [column.name for column in database.columns(table)] for table in sorted(there)}
    except (CannotOpen, QueryFailed) as error:
        gaps.append(f"the columns could not be compared: the database {error}")
        return {}


def _latest(file: Path) -> datetime:
    """Now, or when the file was written if that is later: a clock may be wrong, and both are then."""
    now = datetime.now(timezone.utc)
    try:
        return max(now, datetime.fromtimestamp(file.stat().st_mtime, timezone.utc))
    except (OSError, ValueError, OverflowError):
        return now
