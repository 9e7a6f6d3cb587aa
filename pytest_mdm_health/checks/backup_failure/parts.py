"""Backups of single datasets: the guide's `<dataset>.parquet`, exports, and copies of a database file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.backends import Backend, Unfinished, real_engine
from pytest_mdm_health.checks.backup_failure.compare import Failures, rows_in, rows_of
from pytest_mdm_health.checks.backup_failure.facts import Lacking, OnServer, Unread, Unsound
from pytest_mdm_health.checks.backup_failure.look import Looking, changed_since
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups import TABLE_SUFFIXES, Backup, Backups
from pytest_mdm_health.mdm.backups.contents import WantedDataset
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular
from pytest_mdm_health.mdm.inventory import Inventory

Parts = Mapping[str, Backup]
_MARK = b"PAR1"
_DUMPS = (".dump", ".sql", ".sql.gz", ".pgdump")
_SERVER = "postgresql"


def parts_in(there: Backups, wanted: tuple[WantedDataset, ...]) -> Parts:
    """The newest file for each registered dataset that there is one for."""
    names = {each.name: each for each in wanted}
    parts: dict[str, Backup] = {}
    for backup in there.found:
        if backup.kind == "dataset" and backup.path.stem in names:
            parts.setdefault(backup.path.stem, backup)
    return parts


def lacking_in(parts: Parts, wanted: tuple[WantedDataset, ...]) -> Iterator[Lacking]:
    """The datasets on files that there is no file for."""
    for dataset in wanted:
        if dataset.data and dataset.name not in parts:
            yield Lacking(dataset=dataset.name, what=("data",), since=False)


def judged(parts: Parts, wanted: tuple[WantedDataset, ...], looking: Looking) -> tuple[list[Unsound], list[Unread]]:
    """The files that would be of no use, and those that could not be read to their end."""
    unsound, unread = [], []
    for dataset in wanted:
        backup = parts.get(dataset.name)
        if backup is None:
            continue
        file, start = shortened(str(backup.path)), len(looking.gaps)
        problems = tuple(_problems(backup, dataset, looking))
        if problems:
            unsound.append(Unsound(dataset=dataset.name, file=file, problems=problems))
        if gaps := tuple(looking.gaps[start:]):
            unread.append(Unread(dataset=dataset.name, file=file, why=gaps))
    return unsound, unread


def outdated_in(parts: Parts, wanted: tuple[WantedDataset, ...]) -> Iterator[str]:
    """The datasets that were changed since."""
    for dataset in wanted:
        backup = parts.get(dataset.name)
        if backup is not None and dataset.live is not None and changed_since(dataset.live, backup.made):
            yield dataset.name


def on_servers(inventory: Inventory, folder: Path) -> Iterator[OnServer]:
    """The datasets on servers of which there is no dump."""
    for dataset in inventory.datasets:
        if dataset.backend != _SERVER or dataset.registration is None:
            continue
        if not any(_has_content(folder / f"{dataset.name}{ending}") for ending in _DUMPS):
            host, port, name = dataset.registration.server or ("", "", "")
            yield OnServer(dataset=dataset.name, host=host, port=port, database=name)


def _problems(backup: Backup, dataset: WantedDataset, looking: Looking) -> Iterator[str]:
    if not backup.size:
        kind = kind_of(backup.path)
        yield "is empty: it has 0 bytes" if kind is FileKind.FILE else f"is a {kind.value}"
        return
    start = len(looking.gaps)
    problems = tuple(_parquet(backup, looking)) if backup.path.suffix.lower() == ".parquet" else _opens(backup, looking)
    yield from problems
    if problems or len(looking.gaps) > start or looking.depth is Depth.QUICK:
        return
    if backup.path.suffix.lower() in TABLE_SUFFIXES:
        yield from _table(backup, dataset, looking)
    else:
        yield from looking.problems_of(backup.path, str(backup.path), dataset) or ()


def _opens(backup: Backup, looking: Looking) -> tuple[str, ...]:
    try:
        open_regular(backup.path).close()
    except Unreadable as error:
        looking.gaps.append(f"{backup.path} {error.reason}")
    return ()


def _table(backup: Backup, dataset: WantedDataset, looking: Looking) -> Iterator[str]:
    """Read it to its end; nothing in a CSV file says where that is, so its rows are counted against the home's."""
    try:
        rows = rows_of(backup.path, looking.open_until)
    except Unfinished as error:
        looking.gaps.append(f"{backup.path} was not read to its end: {error}")
        return
    except Failures as error:
        yield f"cannot be read: {error}"
        return
    if backup.path.suffix.lower() == ".csv" and dataset.live and not changed_since(dataset.live, backup.made):
        there = _rows_there(dataset.live, dataset)
        if there and rows not in {*there, sum(there)}:
            yield f"has {rows} rows, and no table of {dataset.name!r} has as many"


def _rows_there(live: Path, dataset: WantedDataset) -> tuple[int, ...]:
    try:
        return rows_in(Backend(real_engine(live) or dataset.backend or "sqlite", live), dataset.tables)
    except Failures:  # other checks say what is wrong with the home's
        return ()


def _parquet(backup: Backup, looking: Looking) -> Iterator[str]:
    """Parquet begins and ends with the same mark, so a file that was cut off has lost it."""
    try:
        with open_regular(backup.path) as file:
            begin = file.read(len(_MARK))
            file.seek(max(0, backup.size - len(_MARK)))
            end = file.read(len(_MARK))
    except (Unreadable, OSError) as error:
        looking.gaps.append(f"{backup.path} was not looked into: {getattr(error, 'reason', error)}")
        return
    if begin != _MARK:
        yield "is no Parquet file: it does not begin like one"
    elif end != _MARK:
        yield "is cut off: its end is missing"


def _has_content(path: Path) -> bool:
    return kind_of(path) is FileKind.FILE and os.path.getsize(path) > 0  # noqa: PTH202 - both fail alike
