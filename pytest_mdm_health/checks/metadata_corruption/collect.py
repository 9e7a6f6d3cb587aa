"""Both copies of a registration, the data that they describe, and what is left where the YAML file is missing."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, sidecars
from pytest_mdm_health.backends.sidecars import holding_changes
from pytest_mdm_health.checks._shared.registration_state import is_half_registered, registering, was_completed
from pytest_mdm_health.checks.metadata_corruption.facts import (
    Absence,
    Content,
    DataState,
    JsonCopyState,
    MetadataFacts,
    MissingColumn,
    ServerState,
    YamlState,
)
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.text import moment
from pytest_mdm_health.mdm.backups.search import Saved, SavedData, plain_copy, search_backups
from pytest_mdm_health.mdm.edits import CannotEdit, value_at
from pytest_mdm_health.mdm.engines import ENGINES, FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, Unreadable, is_same_file, kind_of, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.permissions import barrier
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.placement import Place, name_in, place_of
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.edits import edit_of
from pytest_mdm_health.mdm.registrations.fields import COLUMN_FIELDS, DATE_COLUMNS, TABLE_FIELDS, recorded_fields
from pytest_mdm_health.mdm.registrations.json_copy import (
    JSON_COPY_FILE,
    absent_fields,
    differences,
    explained,
)
from pytest_mdm_health.mdm.registrations.plausibility import is_odd_version, odd_dates
from pytest_mdm_health.mdm.registrations.restoring import restored_text
from pytest_mdm_health.mdm.servers import connection_of, is_left_to_defaults
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT

_DEFAULT_BACKEND = "database.default_backend"
_MAIN_ROLE = "train"
_MOMENT_S = 2.0
"""MDM writes both copies of a registration within this time."""
_SHARE_OF_TIME = 0.2
"""How much of a check's time listing an archive may take."""
_LOCATED = (
    *("name", "display_name", "description", "version", "registered_at", "created_at", "last_updated_at"),
    *("problem_type", "tags", "source", DATE_COLUMNS, *TABLE_FIELDS, *COLUMN_FIELDS),
)
_CONNECTION = ("backend", "type", "path", "host", "port", "database", "connection_string")
_SERVER_ENGINES = set(ENGINES) - set(FILE_ENGINES)
_GONE = {FileKind.MISSING.value, FileKind.BROKEN_LINK.value}


def collect(
    dataset: Dataset,
    inventory: Inventory,
    backend: Backend | None,
    options: Options,
    expected: Expected,
    baseline: MetadataFacts | None,
) -> MetadataFacts:
    """Examine one dataset's registration; the database is opened for the names of its columns only."""
    home, settings = inventory.home, inventory.settings
    has_yaml = dataset.registration is not None and dataset.registration.document is not None
    absence = None if has_yaml else _absence(dataset, inventory, options, baseline)
    file = (*dataset.files, dataset.folder)[0]
    registration = dataset.registration or Registration(name=dataset.name, file=file, root=home.root, shape="unknown")
    gaps: list[str] = []
    content = _content(registration, backend, gaps)
    files = (registration.document, registration.pointed, registration.json_copy, *dataset.files)
    recorded = recorded_fields(registration)
    place = place_of(dataset, home)
    owner = _owner(dataset, place, inventory)
    return MetadataFacts(
        examined=sum(1 for found in files if found is not None) + dataset.remembered,
        name=dataset.name,
        root=str(home.root),
        registrations=str(home.registrations),
        registered=dataset.registration is not None,
        in_force=registration.in_force,
        yaml=_yaml_state(registration, dataset, recorded.get("yaml", {})),
        json_copy=_json_copy_state(registration, home),
        data=replace(
            _data_state(registration, dataset, place, owner, settings, backend),
            saved=_saved_data(dataset, place, home, options),
        ),
        content=content,
        taken=tuple(_taken(home, {dataset.name, content.name or dataset.name})),
        absence=absence,
        right_path=_right_path(registration, place, owner),
        plan=expected.of(dataset.name) if expected.given else None,
        recorded=recorded,
        gaps=tuple(gaps),
    )


def _taken(home: Home, names: Iterable[str]) -> Iterator[str]:
    files = (f"{home.registrations}/{name.lower()}.yaml" for name in sorted(names))
    return (file for file in files if kind_of(Path(file)) is not FileKind.MISSING)


def _yaml_state(registration: Registration, dataset: Dataset, recorded: Iterable[str]) -> YamlState:
    documents = [found for found in (registration.document, registration.pointed) if found is not None]
    document = documents[-1] if documents else None
    fields = {*_LOCATED, *recorded, *_CONNECTION, *(f"database.{part}" for part in _CONNECTION)}
    fields |= {refusal.field for refusal in registration.refused}
    unreadable = document is not None and any(problem.code == "unreadable" for problem in document.problems)
    return YamlState(
        file=str(registration.file),
        exists=registration.document is not None,
        readable=document is not None and document.usable and isinstance(document.data, Mapping),
        empty=document is not None and document.usable and document.data is None,
        shape=registration.shape,
        pointer=str(registration.pointed.path) if registration.pointed is not None else "",
        seen=registration.seen,
        overlooked=tuple(map(str, dataset.overlooked)),
        problems=tuple(problem for found in documents for problem in found.problems),
        missing=registration.missing,
        refused=registration.refused,
        positions=dict(_positions(registration, sorted(fields))),
        barrier=barrier(document.path) if document is not None and unreadable else None,
    )


def _positions(registration: Registration, fields: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    for field in fields:
        place = registration.where(field)
        if place.line is not None and place.column is not None:
            yield field, (place.line, place.column)


def _json_copy_state(registration: Registration, home: Home) -> JsonCopyState:
    copied, document = registration.json_copy, registration.pointed or registration.document
    if copied is None:
        usual = home.datasets / registration.name.lower() / JSON_COPY_FILE
        return JsonCopyState(
            file=str(usual), exists=False, usable=False, problem="", refused=(), differs=(), harmless=False
        )
    ours = document.data if document is not None and document.usable and isinstance(document.data, Mapping) else {}
    theirs = copied.data or {}
    different = differences(ours, theirs) if ours and theirs and registration.shape == "full" else ()
    absent = absent_fields(ours, theirs) if different else ()
    contradicting = tuple(name for name in different if not absent or name.partition(".")[0] in ours)
    in_force = registration.in_force == "yaml"
    return JsonCopyState(
        file=str(copied.path),
        exists=True,
        usable=copied.usable,
        problem=copied.problem,
        refused=(*(refusal.field for refusal in copied.refused), *copied.missing),
        differs=contradicting,
        harmless=bool(contradicting) and explained(contradicting, ours, theirs, in_force=in_force),
        absent=absent,
        name=name if isinstance(name := theirs.get("name"), str) else "",
        restores=document is not None
        and (bool(absent or registration.missing) or not ours)
        and _restores(registration),
        barrier=barrier(copied.path) if copied.data is None else None,
        older=_older(copied.path, document.path) if document is not None else "",
    )


def _restores(registration: Registration) -> bool:
    """Whether the JSON copy has what the YAML file lacks, and the two agree in all else."""
    try:
        restored_text(registration, read_bytes(registration.file, SIZE_LIMIT))
    except (CannotEdit, Unreadable):
        return False
    return True


def _older(json_copy: Path, yaml: Path) -> str:
    """When both were last written, if the JSON copy was first."""
    try:
        theirs, ours = json_copy.stat().st_mtime, yaml.stat().st_mtime
        if theirs + _MOMENT_S >= ours:
            return ""
        first, then = (moment(datetime.fromtimestamp(time, timezone.utc)) for time in (theirs, ours))
    except (OSError, ValueError, OverflowError):
        return ""
    return f"written {first}, while the YAML file was {then}"


def _data_state(
    registration: Registration,
    dataset: Dataset,
    place: Place | None,
    owner: str,
    settings: Settings,
    backend: Backend | None,
) -> DataState:
    default = settings.values[_DEFAULT_BACKEND]
    origin = default.origin
    source = f"{origin.name}, line {origin.line}" if origin.line else origin.name
    return DataState(
        backend=registration.backend,
        real_engine=engine_of(dataset.database) if dataset.database else None,
        default_backend=str(default.value) if settings.starts else "",
        default_from="MDM's default" if origin.kind == "default" else source,
        place=place,
        files=tuple(map(str, dataset.files)),
        shared_with=dataset.shared_with,
        server=_server_state(backend, guessed=is_left_to_defaults(dataset, settings)),
        barrier=barrier(Path(place.path)) if place is not None and place.kind == FileKind.UNREACHABLE.value else None,
        owner=owner,
        logs=tuple(_logs_without_file(place, registration.backend)),
    )


def _logs_without_file(place: Place | None, backend: str | None) -> Iterator[str]:
    if place is not None and place.kind in {FileKind.MISSING.value, FileKind.BROKEN_LINK.value}:
        yield from (str(log.path) for log in holding_changes(sidecars(Path(place.path)), backend or ""))


def _server_state(backend: Backend | None, *, guessed: bool) -> ServerState | None:
    if backend is None or backend.connection is None:
        return None
    try:
        with backend.open():
            return ServerState(address=str(backend.path), guessed=guessed)
    except CannotOpen as error:
        return ServerState(address=str(backend.path), code=error.code, reason=error.reason, guessed=guessed)


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
    tables, copied = registration.tables, registration.json_copy
    in_json = dict(_named_columns(copied.data or {})) if copied is not None and registration.in_force == "yaml" else {}
    main = (tables[_MAIN_ROLE],) if _MAIN_ROLE in tables else tuple(sorted(set(tables.values())))
    by_table = _columns_by_table(main, backend, gaps) if columns and main else {}
    existing = sorted({column for names in by_table.values() for column in names})
    for field, names in columns.items() if by_table else ():
        for name in (name for name in names if name not in existing):
            other = in_json.get(field, ())
            yield MissingColumn(
                field, name, tuple(by_table), _nearest(name, existing), other if set(other) <= set(existing) else ()
            )


def _nearest(name: str, existing: list[str]) -> str:
    same = [column for column in existing if column.casefold() == name.casefold()]
    similar = same or difflib.get_close_matches(name, existing, n=1, cutoff=0.7)
    return similar[0] if similar else ""


def _columns_by_table(tables: tuple[str, ...], backend: Backend | None, gaps: list[str]) -> dict[str, list[str]]:
    """The columns of those tables that exist."""
    if backend is None:
        gaps.append("the columns could not be compared: there is no database to look into")
        return {}
    try:
        with backend.open() as database:
            existing = set(database.tables()).intersection(tables)
            return {table: [column.name for column in database.columns(table)] for table in sorted(existing)}
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


def _owner(dataset: Dataset, place: Place | None, inventory: Inventory) -> str:
    """The other dataset whose file is registered as this one's; empty if there is none."""
    if place is None or place.kind != FileKind.FILE.value or not place.instead:
        return ""
    folder = os.path.realpath(Path(place.path).parent)
    if folder == os.path.realpath(dataset.folder):
        return ""
    sharing = (other for other in inventory.datasets if other.name in dataset.shared_with)
    return next((other.name for other in sharing if os.path.realpath(other.folder) == folder), "")


def _right_path(registration: Registration, place: Place | None, owner: str) -> str:
    """The dataset's own file, if it is proven to be the right one and both copies can be made to name it."""
    if place is None or registration.in_force != "yaml":
        return ""
    right = _intended_path(registration, place, owner)
    try:
        if right and _has_all_tables(registration, right):
            edit_of(registration, "path", right)
            return right
    except CannotEdit:
        pass
    return ""


def _intended_path(registration: Registration, place: Place, owner: str) -> str:
    """The intended file: of a relative path, of one whose place moved, or where only the JSON copy is right."""
    if place.relative and place.kind == FileKind.FILE.value:
        return place.path
    if owner:
        copied = registration.json_copy.data if registration.json_copy is not None else None
        return place.instead if value_at(copied, ("database", "path")) == (True, place.instead) else ""
    moved = place.kind in _GONE and Path(place.instead).name == name_in(place.written)
    return place.instead if place.instead and moved and not place.relative else ""


def _has_all_tables(registration: Registration, path: str) -> bool:
    """Whether a file is a database of the registered kind with all the registered tables."""
    tables = {*registration.tables.values(), *registration.feature_tables.values()}
    file = Path(path)
    engine = engine_of(file) if kind_of(file) is FileKind.FILE else None
    if not tables or engine not in FILE_ENGINES or engine != registration.backend:
        return False
    try:
        with Backend(str(engine), file).open() as database:
            return tables <= set(database.tables())
    except (CannotOpen, QueryFailed):
        return False


def _absence(dataset: Dataset, inventory: Inventory, options: Options, baseline: MetadataFacts | None) -> Absence:
    """What is known of a dataset without a YAML file.

    Raises:
        NotApplicable: it is unknown whether it has none, or another check reports it.
    """
    home = inventory.home
    _skip_if_unlisted(home)
    _skip_if_reported_elsewhere(dataset, home, baseline)
    former_place = _former_place(dataset, home, baseline)
    exists = isinstance(former_place, Path) and kind_of(former_place) is FileKind.FILE
    on_server = isinstance(former_place, str) or (dataset.remembered and dataset.backend in _SERVER_ENGINES)
    saved: list[Saved] = []
    searched: tuple[str, ...] = ()
    unusable = dataset.registration is None or dataset.registration.in_force is None
    if Depth(options.depth) is not Depth.QUICK:
        data = former_place if dataset.remembered and not exists else None
        missing = tuple(_missing_files(dataset, home, baseline, data))
        for path, earlier in missing if unusable else missing[:1]:  # the YAML file alone, where its copy is of use
            found, searched = _saved(dataset, home, options, path, earlier)
            saved += [Saved(found, str(path))] if found is not None else []
    was_registered = (on_server or was_completed(dataset.name, home)) or None
    return Absence(
        remembered=dataset.remembered,
        former_place=str(former_place or ""),
        data_exists=exists,
        on_server=on_server,
        was_registered=baseline.registered if baseline is not None else was_registered,
        known_as=_known_as(dataset, inventory, former_place),
        saved=tuple(saved),
        searched=searched,
        default_yaml=_default_yaml(dataset, home),
    )


def _default_yaml(dataset: Dataset, home: Home) -> str:
    """The YAML file in MDM's default place, if there is one and MDM looks elsewhere."""
    file = home.root / "config/datasets" / f"{dataset.name.lower()}.yaml"
    elsewhere = os.path.realpath(file.parent) != os.path.realpath(home.registrations)
    return str(file) if elsewhere and kind_of(file) is FileKind.FILE else ""


def _skip_if_unlisted(home: Home) -> None:
    """Whether a file is missing from a folder is unknown if the folder cannot be listed."""
    try:
        with os.scandir(home.registrations):
            return
    except FileNotFoundError:
        return
    except OSError as error:
        reason = f"{home.registrations} cannot be listed ({error.strerror}), so whether this is registered is unknown"
        raise NotApplicable(reason) from error


def _skip_if_reported_elsewhere(dataset: Dataset, home: Home, baseline: MetadataFacts | None) -> None:
    running = registering(dataset.name, home)
    if running is not None:
        raise NotApplicable(f"registration in progress (PID {running.pid}); see registration-hang")
    if is_half_registered(dataset, home) and not (baseline is not None and baseline.registered):
        raise NotApplicable("nothing registers it, and the log does not show that it ever was; see registration-hang")
    barred = barrier(dataset.folder) if dataset.remembered else None
    if barred is not None:
        raise NotApplicable(f"{barred.path}: permission denied, so whether the dataset still exists is unknown")


def _former_place(dataset: Dataset, home: Home, baseline: MetadataFacts | None) -> Path | str | None:
    """Where a remembered dataset was, as seen from where the home is now: a file, or an address on a server."""
    if not dataset.remembered:
        return None
    if baseline is not None and baseline.data.server is not None:
        return baseline.data.server.address
    earlier = _earlier_path(dataset, baseline)
    if earlier is not None and baseline is not None and earlier.is_relative_to(baseline.root):
        return home.root / earlier.relative_to(baseline.root)
    return earlier


def _earlier_path(dataset: Dataset, baseline: MetadataFacts | None) -> Path | None:
    """Its data file as it was called in the baseline: the home's own, where the registration named another."""
    place = baseline.data.place if baseline is not None else None
    if place is None:
        return dataset.database
    return Path(place.path if place.inside else place.instead or place.path)


def _missing_files(
    dataset: Dataset, home: Home, baseline: MetadataFacts | None, data: Path | str | None
) -> Iterator[tuple[Path, Path]]:
    """The files that a backup should have, each with where it was in the baseline."""
    yaml = home.registrations / f"{dataset.name.lower()}.yaml"
    yield yaml, Path(baseline.yaml.file) if baseline is not None and baseline.yaml.exists else yaml
    json_copy = dataset.folder / JSON_COPY_FILE
    if baseline is not None and baseline.json_copy.exists and kind_of(json_copy) is FileKind.MISSING:
        yield json_copy, Path(baseline.json_copy.file)
    if isinstance(data, Path):
        yield data, _earlier_path(dataset, baseline) or data


def _saved(
    dataset: Dataset, home: Home, options: Options, path: Path, earlier: Path
) -> tuple[SavedData | None, tuple[str, ...]]:
    """A file in a backup, or where it was while the home was elsewhere; and where backups were searched for."""
    found, searched = search_backups(home, options.backup, dataset.name, path, options.timeout * _SHARE_OF_TIME)
    if found is None and earlier != path and kind_of(earlier) is FileKind.FILE:
        found = plain_copy(earlier)
    return found, searched


def _saved_data(dataset: Dataset, place: Place | None, home: Home, options: Options) -> str:
    """The backup that holds the data which is missing at its place in this home; empty if none does."""
    if place is None or place.kind not in _GONE or place.instead or not Path(place.path).is_relative_to(home.root):
        return ""
    within_s = options.timeout * _SHARE_OF_TIME
    found, _ = search_backups(home, options.backup, dataset.name, Path(place.path), within_s)
    return found.origin if found is not None else ""


def _known_as(dataset: Dataset, inventory: Inventory, former_place: Path | str | None) -> str:
    """Another dataset that is registered with the data that this one had."""
    if not dataset.remembered or not former_place:
        return ""
    for other in inventory.datasets:
        connection = connection_of(other, inventory.settings)
        if _data_is_at(former_place, other.database, connection.address if connection is not None else None):
            return other.name
    return ""


def _data_is_at(place: Path | str, file: Path | None, address: str | None) -> bool:
    """Whether data in a file, or on a server at an address, is that of a former place."""
    if address is not None or file is None:
        return address == place
    return isinstance(place, Path) and is_same_file(file, place)
