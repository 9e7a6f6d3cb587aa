"""Registrations in progress, registrations that the log does not see ending, and what they left on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.checks._shared.registration_state import is_completed, is_inside, may_use, uses
from pytest_mdm_health.checks.registration_hang.facts import (
    SHOWN,
    Blocker,
    HangFacts,
    Leftover,
    RunningRegistration,
)
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES, LOG_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.locks import LockKind
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.registrations import Outcome, RegistrationRun
from pytest_mdm_health.mdm.registrations.running import Registering, running_registrations

_BLOCKING_LOCKS = {
    LockKind.RESERVED,
    LockKind.PENDING,
    LockKind.EXCLUSIVE,
    LockKind.WAL_WRITER,
    LockKind.WAL_CHECKPOINT,
    LockKind.WAL_RECOVERY,
    LockKind.WHOLE_FILE,
    LockKind.OTHER,
}
_MDM_SUFFIXES = (*DATABASE_SUFFIXES, *LOG_SUFFIXES, "-shm", ".tmp")


def collect(inventory: Inventory) -> HangFacts:
    """Examine processes, log and folders."""
    home = inventory.home
    events = read_events(home.log_file)
    history, gaps = events.history, list(events.gaps)
    last_runs = {run.dataset: run for run in history.runs}
    processes = [process for process in running_registrations() if may_use(process, home)]
    gaps += [
        f"without privileges, the home and the open files of process {process.pid} are unknown"
        for process in processes
        if process.moved is None or process.home is None
    ]
    in_progress = {process.dataset for process in processes}
    unexamined = list(events.not_understood)
    leftovers = [
        leftover
        for leftover in _leftovers(inventory, last_runs, gaps, unexamined)
        if leftover.dataset not in in_progress
    ]
    explained = in_progress | {leftover.dataset for leftover in leftovers}
    unfinished = [run for run in last_runs.values() if run.outcome is Outcome.UNFINISHED]
    registered = {dataset.name.lower() for dataset in inventory.datasets if dataset.registration is not None}
    return HangFacts(
        examined=len(processes) + len(history.runs) + len(leftovers) + (kind_of(home.datasets) is FileKind.FOLDER),
        running=tuple(_running(process, home, last_runs.get(process.dataset), gaps) for process in processes),
        leftovers=tuple(leftovers),
        unfinished=tuple(run for run in unfinished if run.dataset not in explained),
        registered=tuple(sorted(registered)),
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
    )


def _running(
    process: Registering, home: Home, last_run: RegistrationRun | None, gaps: list[str]
) -> RunningRegistration:
    files = tuple(file for file in process.files if is_inside(file, home))[:SHOWN]
    last_record = last_run.last if last_run is not None and last_run.outcome is Outcome.UNFINISHED else None
    now = datetime.now(timezone.utc)
    return RunningRegistration(
        process=replace(process, files=files),
        silent_s=None if last_record is None else max(0.0, (now - last_record).total_seconds()),
        blockers=tuple(_blockers(process.pid, files, gaps)) if process.idle else (),
        uses_this_home=uses(process, home),
    )


def _blockers(pid: int, files: Sequence[Path], gaps: list[str]) -> Iterator[Blocker]:
    """The processes that lock one of the files or its shared memory (`-shm`).

    In WAL mode every connection has a shared lock on the database itself, which only blocks without WAL mode.
    """
    for file in dict.fromkeys(path for opened in files for path in (opened, _shared_memory(opened))):
        in_wal_mode = kind_of(_shared_memory(file)) is FileKind.FILE
        blocking = _BLOCKING_LOCKS if in_wal_mode else {*_BLOCKING_LOCKS, LockKind.SHARED}
        found = holders([file])
        if not found.complete:
            gaps.append(f"other processes may lock {file}: {found.why_incomplete}")
        for holder in found.answer:
            if holder.pid != pid and holder.lock in blocking:
                yield Blocker(file=str(file), holder=holder)


def _shared_memory(database: Path) -> Path:
    return database.with_name(f"{database.name}-shm")


def _leftovers(
    inventory: Inventory, last_runs: Mapping[str, RegistrationRun], gaps: list[str], unexamined: list[str]
) -> Iterator[Leftover]:
    """The folders without a registration, except those whose registration was completed and then lost."""
    home = inventory.home
    if not inventory.could_list(home.registrations):
        gaps.append("half-registered datasets are unknown, because the registrations cannot be listed")
        return
    with_registration = [dataset for dataset in inventory.datasets if dataset.registration is not None]
    known = {os.path.realpath(folder) for dataset in with_registration for folder in _folders_of(dataset)}
    databases = {dataset.folder: dataset.files for dataset in inventory.datasets if dataset.registration is None}
    for folder in _folders_in(home.datasets, unexamined):
        run = last_runs.get(folder.name.lower())
        if os.path.realpath(folder) in known or is_completed(run):
            continue
        names = _names_in(folder, unexamined)
        if names is None:
            continue
        if run is not None or folder in databases or all(map(_may_be_of_mdm, names)):
            yield _leftover(folder, names, databases.get(folder, ()), run, gaps)


def _folders_of(dataset: Dataset) -> Iterator[Path]:
    yield dataset.folder
    registered = dataset.registration.database if dataset.registration else None
    yield from (path.parent for path in (dataset.database, registered) if path is not None)


def _folders_in(datasets: Path, unexamined: list[str]) -> list[Path]:
    visible = (name for name in _names_in(datasets, unexamined) or () if not name.startswith("."))
    return [datasets / name for name in visible if kind_of(datasets / name) is FileKind.FOLDER]


def _names_in(folder: Path, unexamined: list[str]) -> list[str] | None:
    """The names in a folder, none if it is not there; None if it cannot be listed, which goes to `unexamined`."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        unexamined.append(f"{folder} cannot be listed: {error.strerror}")
        return None


def _may_be_of_mdm(name: str) -> bool:
    return name in {"metadata", "tmp"} or name.endswith(_MDM_SUFFIXES)


def _leftover(
    folder: Path, names: Sequence[str], databases: Sequence[Path], run: RegistrationRun | None, gaps: list[str]
) -> Leftover:
    found = holders(databases)
    if databases and not found.complete:
        gaps.append(f"other processes may have the databases in {folder} open: {found.why_incomplete}")
    return Leftover(
        dataset=folder.name.lower(),
        folder=str(folder),
        content=tuple(names[:SHOWN]),
        size=sum(path.stat().st_size for path in databases if kind_of(path) is FileKind.FILE),
        holder=found.answer[0] if found.answer else None,
        run=run,
    )
