"""Backups of single datasets: the guide's `<dataset>.parquet`, exports, and copies of a database file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.checks._backup_facts import Lacking, OnServer, Unsound
from pytest_mdm_health.checks._backup_look import Looking, changed_since
from pytest_mdm_health.mdm.archive_members import shown
from pytest_mdm_health.mdm.backup_contents import WantedDataset
from pytest_mdm_health.mdm.backups import TABLE_SUFFIXES, Backup, Backups
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.model import Depth

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


def unsound_in(parts: Parts, wanted: tuple[WantedDataset, ...], looking: Looking) -> Iterator[Unsound]:
    """The files that would be of no use."""
    for dataset in wanted:
        backup = parts.get(dataset.name)
        if backup is None:
            continue
        problems = tuple(_problems(backup, dataset, looking))
        if problems:
            yield Unsound(dataset=dataset.name, file=shown(str(backup.path)), problems=problems)


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
    elif backup.path.suffix.lower() == ".parquet":
        yield from _parquet(backup, looking)
    elif backup.path.suffix.lower() not in TABLE_SUFFIXES and looking.depth is not Depth.QUICK:
        yield from looking.problems_of(backup.path, str(backup.path), dataset) or ()


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
