"""Collects what memory-exhaustion judges: the machine, processes, settings, the largest datasets, the log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, sidecars
from pytest_mdm_health.backends.row_width import row_count, row_width
from pytest_mdm_health.checks.memory_exhaustion.facts import (
    DatasetSize,
    DuckDBSettings,
    LoggedShortage,
    MemoryFacts,
    ProcessMemory,
)
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.text import moment
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import under
from pytest_mdm_health.mdm.host.machine import Machine, look_at_machine
from pytest_mdm_health.mdm.host.memory_limit import limit_in_bytes
from pytest_mdm_health.mdm.host.mounts import file_system_of
from pytest_mdm_health.mdm.host.processes import mdm_processes
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.registrations import History
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.sources import READ_WHOLE, source_of, suffix_of

MEASURED = 12
"""How many datasets are measured: those with the largest files."""

SHOWN = 5
MESSAGE_LENGTH = 200
IN_MEMORY = {"tmpfs", "ramfs"}
_GROWTH = {"sqlite": 2, "duckdb": 5}
"""How many times larger than its file data becomes as data frames, roughly."""


def collect(inventory: Inventory, depth: Depth) -> MemoryFacts:
    """Examine the machine, running processes, the settings, the largest datasets and the log."""
    settings = inventory.settings
    events = read_events(inventory.home.log_file)
    machine = look_at_machine()
    history, gaps, unexamined = events.history, list(events.gaps), list(events.not_understood)
    batch_size = int(settings["performance.batch_size"])
    largest = _largest(inventory)
    sizes = [_size_of(dataset, batch_size, depth, gaps, unexamined) for dataset in largest]
    sizes.sort(key=lambda dataset: -dataset.whole)
    if machine.kills and machine.killed is None:
        gaps.append(
            f"without privileges, the names of the {machine.kills} processes that the kernel killed are unknown"
        )
    mdm_killed = _mdm_killed(machine)
    return MemoryFacts(
        examined=1 + len(largest),
        machine=replace(machine, killed=machine.killed and machine.killed[-SHOWN:]),
        mdm_killed_at=moment(mdm_killed) if mdm_killed else "",
        succeeded_since=history.succeeded_after(mdm_killed, ""),
        batch_size=batch_size,
        batch_set_in=settings.values["performance.batch_size"].origin.place,
        settings_file=str(settings.file),
        processes=tuple(_processes()),
        datasets=tuple(sizes[:SHOWN]),
        duckdb=_duckdb(inventory, machine) if _uses_duckdb(inventory) else None,
        shortages=tuple(_shortages(history)),
        shortage_count=len(history.memory_ran_out),
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
    )


def _mdm_killed(machine: Machine) -> datetime | None:
    """When the kernel last killed a program named `mdm`, as far as its log names it."""
    times = [killed.at for killed in machine.killed or () if killed.name == "mdm"]
    return datetime.fromtimestamp(max(times), timezone.utc) if times else None


def _processes() -> Iterator[ProcessMemory]:
    for process in mdm_processes():
        size = _resident(process.pid)
        if size is not None:
            yield ProcessMemory(process=process, size=size)


def _resident(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:  # it has ended, or this system does not tell
        return None


def _largest(inventory: Inventory) -> list[Dataset]:
    """The registered datasets with the largest files, or that MDM recorded to be large; the largest first."""
    sizes = {dataset.name: _known_size(dataset) for dataset in inventory.datasets if dataset.registration is not None}
    known = [dataset for dataset in inventory.datasets if sizes.get(dataset.name)]
    known.sort(key=lambda dataset: (-sizes[dataset.name], dataset.name))
    return known[:MEASURED]


def _known_size(dataset: Dataset) -> int:
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
    if not isinstance(statistics, Mapping):
        return 0, 0
    rows, size = statistics.get("row_count"), statistics.get("memory_size_bytes")
    return (rows if isinstance(rows, int) else 0, size if isinstance(size, int) else 0)


class _Sizes(NamedTuple):
    """How sizes are known; rows of the largest table, bytes of one of them with its features, bytes of all tables."""

    how: str
    rows: int
    row: int
    whole: int


def _size_of(dataset: Dataset, batch_size: int, depth: Depth, gaps: list[str], unexamined: list[str]) -> DatasetSize:
    """Measured in the database where it can be opened without copying it, else estimated."""
    registration = dataset.registration
    assert registration is not None
    sampled = None if depth is Depth.QUICK else _opened_and_sampled(dataset, registration, gaps, unexamined)
    sizes = sampled or _estimated(dataset, registration)
    source = source_of(registration)
    files = source.files.values() if source else ()
    return DatasetSize(
        dataset=dataset.name,
        backend=dataset.backend or "",
        row=sizes.row,
        batch_rows=min(batch_size, sizes.rows),
        whole=sizes.whole,
        how=sizes.how,
        read_whole=next((str(file) for file in files if suffix_of(file) in READ_WHOLE), ""),
    )


def _opened_and_sampled(
    dataset: Dataset, registration: Registration, gaps: list[str], unexamined: list[str]
) -> _Sizes | None:
    """What `_sampled` measures; None where the database cannot be opened, or only as a copy."""
    path = dataset.database
    if path is None or sidecars(path):
        return None
    engine = engine_of(path)
    if engine not in FILE_ENGINES:
        return None
    try:
        with Backend(str(engine), path).open() as database:
            return _sampled(database, registration, _file_size(path))
    except (CannotOpen, QueryFailed) as error:
        missed = unexamined if getattr(error, "code", "") == "unreadable" else gaps
        missed.append(f"the rows of {dataset.name} could not be measured: its database {error}")
        return None


def _sampled(database: Database, registration: Registration, file_size: int) -> _Sizes | None:
    """Sizes from the first rows of each table; None if there are none."""
    existing = set(database.tables())
    tables: list[tuple[int, float]] = []
    for role, table in registration.tables.items():
        features = registration.feature_tables.get(f"{role}_features")
        width = sum(row_width(database, name) or 0.0 for name in (table, features) if name in existing)
        tables.append((row_count(database, table, file_size) if table in existing else 0, width))
    rows, row = max(tables, key=lambda table: table[0] * table[1], default=(0, 0.0))
    whole = sum(count * width for count, width in tables)
    return _Sizes("sampled", rows, round(row), round(whole)) if rows else None


def _estimated(dataset: Dataset, registration: Registration) -> _Sizes:
    rows, size = _recorded(registration)
    how = "recorded"
    if not size:
        size = _file_size(dataset.database) * _GROWTH.get(dataset.backend or "", 1)
        how = "file size"
    return _Sizes(how, rows, round(size / rows) if rows else 0, size)


def _uses_duckdb(inventory: Inventory) -> bool:
    default = inventory.settings["database.default_backend"]
    return default == "duckdb" or any(dataset.backend == "duckdb" for dataset in inventory.datasets)


def _duckdb(inventory: Inventory, machine: Machine) -> DuckDBSettings:
    settings = inventory.settings
    limit, folder = settings.values["database.duckdb.memory_limit"], settings.values["database.duckdb.temp_directory"]
    path = under(
        Path(os.environ.get("PWD") or Path.cwd()), str(folder.value)
    )  # MDM starts in the same folder, probably
    existing = _existing(path) if path is not None else None
    return DuckDBSettings(
        limit=str(limit.value),
        limit_size=limit_in_bytes(str(limit.value), machine.ram),
        limit_set_in=limit.origin.place,
        threads=int(settings["database.duckdb.threads"]),
        folder=str(folder.value),
        folder_set_in=folder.origin.place,
        folder_free=_free(existing),
        folder_problem=_problem(existing),
        folder_in_memory=existing is not None and file_system_of(existing) in IN_MEMORY,
    )


def _existing(path: Path) -> Path | None:
    """The folder, else the one that it would be created in."""
    return next((place for place in (path, *path.parents) if kind_of(place) is not FileKind.MISSING), None)


def _free(folder: Path | None) -> int | None:
    try:
        return shutil.disk_usage(folder).free if folder is not None else None
    except OSError:
        return None


def _problem(folder: Path | None) -> str:
    """Why the folder cannot be written to, to follow its name; empty if it can."""
    if folder is None:
        return "is not a valid path"
    kind = kind_of(folder)
    if kind is not FileKind.FOLDER:
        return f"cannot be used: {folder} is a {kind.value}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be written to: permission denied for {folder}"
    return ""


def _shortages(history: History) -> Iterator[LoggedShortage]:
    for record in history.memory_ran_out[-SHOWN:]:
        yield LoggedShortage(
            record=replace(record, message=record.message[:MESSAGE_LENGTH]),
            succeeded_since=history.succeeded_after(record.time, record.dataset),
        )
