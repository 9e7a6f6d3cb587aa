"""Looking at how one SQLite file is locked and set up for several users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Sidecar, Unfinished, sidecars
from pytest_mdm_health.backends.sqlite import SqliteDatabase
from pytest_mdm_health.backends.sqlite.header import SqliteHeader, read_header
from pytest_mdm_health.backends.sqlite.log import of_another_time
from pytest_mdm_health.checks.sqlite_locking.facts import Beside, LockErrors, LockFacts
from pytest_mdm_health.checks.sqlite_locking.log import lock_errors
from pytest_mdm_health.checks.sqlite_locking.probe import read_at_once, watch
from pytest_mdm_health.core.model import NotApplicable
from pytest_mdm_health.mdm.host.mounts import file_system_of, is_network
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.mdm.inventory import Dataset, Inventory

_MODE = "database.sqlite.journal_mode"
_BROKEN = ("damaged", "truncated", "wrong-format")
_VERIFIED_S = 10.0


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
    readers = read_at_once(path, gaps)
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
        beside=tuple(_beside(path, header, each) for each in beside if each.holds_changes),
        unaccompanied=not any(each.kind in {"wal", "journal"} for each in beside),
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


def _beside(path: Path, header: SqliteHeader, each: Sidecar) -> Beside:
    plain = Beside(path=str(each.path), kind=each.kind, size=each.size, live=each.live)
    if each.kind != "wal" or each.live:
        return plain
    frames, together = _with_log(path)
    another = of_another_time(path, header, each.path)
    return replace(plain, another=another, frames=frames, alone=_without_log(path), together=together)


def _with_log(path: Path) -> tuple[int, tuple[str, ...] | None]:
    """How many pages of the log SQLite takes, and what is wrong with what it makes of both; asked of a private copy."""
    try:
        with Backend("sqlite", path).open() as database:
            if database.how != "copy":  # somebody came, and it is in use
                return -1, None
            ((_, frames, _),) = database.query("PRAGMA wal_checkpoint(PASSIVE)")
            return int(frames), database.integrity(complete=False, within_s=_VERIFIED_S)
    except CannotOpen as error:
        return -1, (error.reason,) if error.code in _BROKEN else None
    except (QueryFailed, Unfinished):
        return -1, None


def _without_log(path: Path) -> tuple[str, ...] | None:
    try:
        with closing(SqliteDatabase(path, alone=True)) as database:
            return database.integrity(complete=False, within_s=_VERIFIED_S)
    except CannotOpen as error:
        return (error.reason,) if error.code in _BROKEN else None
    except Unfinished:
        return None


def _errors(dataset: Dataset, inventory: Inventory, files: Sequence[Path], gaps: list[str]) -> LockErrors:
    names = {each.name for each in inventory.datasets}
    written = max(each.stat().st_mtime for each in files if each.exists())
    return lock_errors(inventory.home.log_file, dataset.name, names, written, gaps)


def _registered_mode(dataset: Dataset) -> str:
    database = dataset.registration.data.get("database") if dataset.registration is not None else None
    mode = database.get("journal_mode") if isinstance(database, Mapping) else None
    return mode if isinstance(mode, str) else ""
