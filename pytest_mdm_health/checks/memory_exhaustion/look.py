"""What memory-exhaustion looks at: the machine, running processes, the settings, the largest datasets, the log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, sidecars
from pytest_mdm_health.backends.row_width import row_count, row_width
from pytest_mdm_health.checks.memory_exhaustion.facts import DuckDB, Measured, MemoryFacts, Process, RanOut, Room
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import under
from pytest_mdm_health.mdm.host.machine import Machine, look_at_machine
from pytest_mdm_health.mdm.host.memory_limit import limit_in_bytes
from pytest_mdm_health.mdm.host.processes import mdm_processes
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.registrations import History, read_history
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.sources import READ_WHOLE, source_of, suffix_of

MEASURED = 12
"""Of how many datasets the rows are measured: of those with the largest files."""

SHOWN = 5
IN_MEMORY = {"tmpfs", "ramfs"}
_GROWTH = {"sqlite": 2, "duckdb": 5}
"""How much larger than its file data becomes as data frames, roughly."""


def gather(inventory: Inventory, depth: Depth) -> MemoryFacts:
    """Look at all of it."""
    settings = inventory.settings
    history = read_history(inventory.home.log_file)
    machine = look_at_machine()
    gaps = list(history.gaps)
    batch = int(settings["performance.batch_size"])
    datasets = _largest(inventory)
    measured = sorted((_measured(each, batch, depth, gaps) for each in datasets), key=lambda each: -each.whole)
    if machine.kills and machine.killed is None:
        gaps.append(f"without privileges the kernel does not tell which {machine.kills} processes it has killed")
    return MemoryFacts(
        examined=1 + len(datasets),
        room=_room(machine, history),
        batch_size=batch,
        batch_set_in=settings.values["performance.batch_size"].origin.place,
        settings_file=str(settings.file),
        processes=tuple(_processes()),
        datasets=tuple(measured[:SHOWN]),
        duckdb=_duckdb(inventory, machine) if _uses_duckdb(inventory) else None,
        ran_out=tuple(_ran_out(history)),
        ran_out_count=len(history.memory_ran_out),
        gaps=tuple(gaps),
    )


def _room(machine: Machine, history: History) -> Room:
    killed_mdm = [each.at for each in machine.killed or () if each.name == "mdm"]
    last = datetime.fromtimestamp(max(killed_mdm), timezone.utc) if killed_mdm else None
    return Room(
        ram=machine.ram,
        most=machine.most,
        bound_by=machine.bound_by,
        free=machine.free,
        swap=machine.swap,
        swap_free=machine.swap_free,
        group_kills=(machine.group.kills or 0) if machine.group.limit is not None else 0,
        kills=machine.kills,
        killed=None if machine.killed is None else tuple(each.name for each in machine.killed[-SHOWN:]),
        killed_mdm=_iso(last),
        succeeded_since=history.succeeded_after(last, ""),
    )


def _processes() -> Iterator[Process]:
    for each in mdm_processes():
        size = _resident(each.pid)
        if size is not None:
            yield Process(pid=each.pid, command=each.command, size=size)


def _resident(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:  # it has ended, or this system does not tell
        return None


def _largest(inventory: Inventory) -> list[Dataset]:
    """The datasets with the largest files, besides those that MDM itself found to be large."""
    sizes = {each.name: _size(each) for each in inventory.datasets if each.registration is not None}
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:MEASURED]
    by_name = {each.name: each for each in inventory.datasets}
    return [by_name[name] for name in largest if sizes[name]]


def _size(dataset: Dataset) -> int:
    recorded = _recorded(dataset.registration)[1] if dataset.registration else 0
    return max(_file_size(dataset.database), recorded)


def _file_size(path: Path | None) -> int:
    try:
        return path.stat().st_size if path is not None and kind_of(path) is FileKind.FILE else 0
    except OSError:
        return 0


def _recorded(registration: Registration) -> tuple[int, int]:
    """Rows and bytes in memory as MDM computed them; zeros if it never did."""
    metadata = registration.data.get("metadata")
    statistics = metadata.get("statistics") if isinstance(metadata, Mapping) else None
    rows, size = (statistics.get(key) if isinstance(statistics, Mapping) else 0 for key in _STATISTICS)
    return (rows if isinstance(rows, int) else 0, size if isinstance(size, int) else 0)


_STATISTICS = ("row_count", "memory_size_bytes")


def _measured(dataset: Dataset, batch: int, depth: Depth, gaps: list[str]) -> Measured:
    """Measured in the database where it can be opened without copying it, else estimated."""
    registration, path = dataset.registration, dataset.database
    assert registration is not None
    engine = engine_of(path) if path is not None else None
    widths: tuple[int, int, int] | None = None
    if depth is not Depth.QUICK and path is not None and engine in FILE_ENGINES and not sidecars(path):
        try:
            with Backend(str(engine), path).open() as database:
                widths = _sampled(database, registration, _file_size(path))
        except (CannotOpen, QueryFailed) as error:
            gaps.append(f"the rows of {dataset.name} could not be measured: its database {error}")
    rows, row, whole = widths or _estimated(dataset, registration)
    source = source_of(registration)
    in_one = [str(file) for file in (source.files.values() if source else ()) if suffix_of(file) in READ_WHOLE]
    return Measured(
        dataset=dataset.name,
        backend=dataset.backend or "",
        rows=rows,
        row=row,
        batch_rows=min(batch, rows),
        whole=whole,
        how="sampled" if widths else "recorded" if _recorded(registration)[1] else "file size",
        read_whole=in_one[0] if in_one else "",
    )


def _sampled(database: Database, registration: Registration, file_size: int) -> tuple[int, int, int] | None:
    """Rows of the largest table, bytes of its row with features, bytes of all; None if there is nothing to measure."""
    there = set(database.tables())
    found: list[tuple[int, float]] = []
    whole = 0.0
    for role, table in registration.tables.items():
        features = registration.feature_tables.get(f"{role}_features")
        widths = [row_width(database, each) or 0.0 for each in (table, features) if each in there]
        rows = row_count(database, table, file_size) if table in there else 0
        found.append((rows, sum(widths)))
        whole += rows * sum(widths)
    rows, row = max(found, key=lambda each: each[0] * each[1], default=(0, 0.0))
    return (rows, round(row), round(whole)) if rows else None


def _estimated(dataset: Dataset, registration: Registration) -> tuple[int, int, int]:
    rows, size = _recorded(registration)
    if not size:
        size = _file_size(dataset.database) * _GROWTH.get(dataset.backend or "", 1)
    return rows, round(size / rows) if rows else 0, size


def _uses_duckdb(inventory: Inventory) -> bool:
    default = inventory.settings["database.default_backend"]
    return default == "duckdb" or any(each.backend == "duckdb" for each in inventory.datasets)


def _duckdb(inventory: Inventory, machine: Machine) -> DuckDB:
    settings = inventory.settings
    limit, folder = (str(settings[f"database.duckdb.{key}"]) for key in ("memory_limit", "temp_directory"))
    place = under(Path(os.environ.get("PWD") or Path.cwd()), folder)  # MDM's own, most likely
    existing = _existing(place) if place is not None else None
    return DuckDB(
        limit=limit,
        limit_size=limit_in_bytes(limit, machine.ram),
        set_in=settings.values["database.duckdb.memory_limit"].origin.place,
        threads=int(settings["database.duckdb.threads"]),
        folder=folder,
        folder_set_in=settings.values["database.duckdb.temp_directory"].origin.place,
        folder_free=_free(existing),
        folder_trouble=_trouble(place, existing),
        folder_in_memory=existing is not None and _file_system(existing) in IN_MEMORY,
    )


def _existing(place: Path) -> Path | None:
    """The folder, else the one that it would be made in."""
    return next((each for each in (place, *place.parents) if kind_of(each) is not FileKind.MISSING), None)


def _free(folder: Path | None) -> int | None:
    try:
        return shutil.disk_usage(folder).free if folder is not None else None
    except OSError:
        return None


def _trouble(place: Path | None, existing: Path | None) -> str:
    if place is None or existing is None:
        return "is no path"
    kind = kind_of(existing)
    if kind is not FileKind.FOLDER:
        return f"cannot be used: {existing} is a {kind.value}"
    return "" if os.access(existing, os.W_OK | os.X_OK) else f"cannot be written: {existing} does not allow it"


def _file_system(path: Path) -> str:
    import psutil

    real = Path(os.path.realpath(path))
    mounts = {each.mountpoint: each.fstype for each in psutil.disk_partitions(all=True)}
    within = [mount for mount in mounts if real.is_relative_to(mount)]
    return mounts[max(within, key=len)] if within else ""


def _ran_out(history: History) -> Iterator[RanOut]:
    for each in history.memory_ran_out[-SHOWN:]:
        yield RanOut(
            time=_iso(each.time),
            message=each.message[:200],
            dataset=each.dataset,
            file=each.place.file,
            line=each.place.line,
            succeeded_since=history.succeeded_after(each.time, each.dataset),
        )


def _iso(time: datetime | None) -> str:
    return time.astimezone().isoformat(" ", "seconds") if time is not None else ""
