"""Looking at how one SQLite file is locked and set up for several users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_mdm_health.backends import CannotOpen, Sidecar, sidecars
from pytest_mdm_health.backends.sqlite_header import read_header
from pytest_mdm_health.checks._lock_facts import Beside, LockErrors, LockFacts, Readers
from pytest_mdm_health.checks._lock_log import lock_errors
from pytest_mdm_health.checks._lock_probe import read_at_once, watch
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.mounts import file_system_of, is_network
from pytest_mdm_health.mdm.processes import holders
from pytest_mdm_health.model import NotApplicable

_MODE = "database.sqlite.journal_mode"


def gather(dataset: Dataset, inventory: Inventory) -> LockFacts:
    """Look at the file, at what lies beside it, at who locks it, and at the log."""
    path = dataset.database
    if path is None:
        raise NotApplicable("there is no file to look at")
    try:
        header = read_header(path)
    except CannotOpen as error:
        raise NotApplicable(f"{path} {error.reason}") from error
    gaps: list[str] = []
    beside = sidecars(path)
    files = [path, *(each.path for each in beside)]
    found = holders(files)
    if not found.complete:
        gaps.append(f"there may be more who have the file open: {found.why_incomplete}")
    readers = _readers(path, beside, gaps, wal=header.wal)
    staying, watched_s = watch(files, found.answer, wal=header.wal)
    mode = inventory.settings.values[_MODE]
    file_system = file_system_of(path)
    return LockFacts(
        examined=1,
        path=str(path),
        size=header.size,
        wal=header.wal,
        configured=str(mode.value),
        configured_in=str(inventory.settings.file) if mode.origin.kind == "file" else "",
        registered=_registered_mode(dataset),
        beside=tuple(_beside(each) for each in beside if each.holds_changes),
        holders=found.answer,
        holders_known=found.complete,
        locked=staying[0].lock if staying else "",
        locked_by=staying,
        watched_s=watched_s,
        readers=readers,
        file_system=file_system,
        network=is_network(file_system),
        errors=_errors(dataset, inventory, files, gaps),
        gaps=tuple(gaps),
    )


def _beside(each: Sidecar) -> Beside:
    return Beside(path=str(each.path), kind=each.kind, size=each.size, live=each.live)


def _readers(path: Path, beside: Sequence[Sidecar], gaps: list[str], *, wal: bool) -> Readers:
    if any(each.kind == "journal" and each.holds_changes and not each.live for each in beside):
        gaps.append("readers were not sent: the first of them would have to undo the interrupted transaction")
        return Readers()
    return read_at_once(path, gaps, wal=wal)


def _errors(dataset: Dataset, inventory: Inventory, files: Sequence[Path], gaps: list[str]) -> LockErrors:
    names = {each.name for each in inventory.datasets}
    written = max(each.stat().st_mtime for each in files if each.exists())
    return lock_errors(inventory.home.log_file, dataset.name, names, written, gaps)


def _registered_mode(dataset: Dataset) -> str:
    database = dataset.registration.data.get("database") if dataset.registration is not None else None
    mode = database.get("journal_mode") if isinstance(database, Mapping) else None
    return mode if isinstance(mode, str) else ""
