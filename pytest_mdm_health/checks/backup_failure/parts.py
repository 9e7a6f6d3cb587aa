"""Backups of single datasets: the guide's `<dataset>.parquet`, exports, and copies of a database file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.backends import Unfinished
from pytest_mdm_health.checks.backup_failure.facts import Lacking, OnServer, Unread, Unsound
from pytest_mdm_health.checks.backup_failure.look import Looking, changed_since, written_at
from pytest_mdm_health.core.model import Phase
from pytest_mdm_health.core.text import counted, shortened
from pytest_mdm_health.integrity.saved_copy import Failures, Shape, file_backend, shape_of_file, shapes_of
from pytest_mdm_health.mdm.backups import TABLE_SUFFIXES, Backup, Backups
from pytest_mdm_health.mdm.backups.contents import WantedDataset, identity
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


@dataclass
class Judged:
    """What looking at the files of single datasets brought: those of no use, unlike the home's, older, or not read."""

    unsound: list[Unsound] = field(default_factory=list)
    unlike: list[Unsound] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    @property
    def useless(self) -> frozenset[str]:
        """The datasets whose file cannot take the place of the home's data, as far as this is known."""
        named: list[Unsound | Unread] = [*self.unsound, *self.unlike, *self.unread]
        return frozenset(each.dataset for each in named)


def judged(parts: Parts, wanted: tuple[WantedDataset, ...], looking: Looking) -> Judged:
    """Look at the newest file of each dataset."""
    judged = Judged()
    for dataset in wanted:
        backup = parts.get(dataset.name)
        if backup is None:
            continue
        file, start = shortened(str(backup.path)), len(looking.gaps)
        problems = tuple(_problems(backup, dataset, looking))
        if problems:
            judged.unsound.append(Unsound(dataset=dataset.name, file=file, problems=problems))
        elif len(looking.gaps) == start:
            _compare(backup, dataset, looking, judged)
        if gaps := tuple(looking.gaps[start:]):
            judged.unread.append(Unread(dataset=dataset.name, file=file, why=gaps))
    return judged


def _compare(backup: Backup, dataset: WantedDataset, looking: Looking, judged: Judged) -> None:
    """Compare a sound file with the home's data, until that was migrated."""
    if dataset.live is None or looking.phase is Phase.POST or not looking.opens:
        return
    file = shortened(str(backup.path))
    changed = written_at(dataset.live) > backup.made
    if backup.path.suffix.lower() in TABLE_SUFFIXES:
        unlike, explained = _table_differences(backup.path, dataset, looking, changed=changed)
    else:
        unlike, explained = looking.differences_of(backup.path, file, dataset, changed=changed, made=backup.made)
    if unlike:
        judged.unlike.append(Unsound(dataset=dataset.name, file=file, problems=unlike))
    elif explained:
        judged.outdated.append(dataset.name)


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


def shared_in(parts: Parts, looking: Looking) -> Iterator[str]:
    """The files that are the home's own under another name."""
    for backup in parts.values():
        if identity(backup.path) in looking.wanted.identities:
            yield shortened(str(backup.path))


def _problems(backup: Backup, dataset: WantedDataset, looking: Looking) -> Iterator[str]:
    if not backup.size:
        kind = kind_of(backup.path)
        yield "is empty: it has 0 bytes" if kind is FileKind.FILE else f"is a {kind.value}"
        return
    start = len(looking.gaps)
    problems = tuple(_parquet(backup, looking)) if backup.path.suffix.lower() == ".parquet" else _opens(backup, looking)
    yield from problems
    if problems or len(looking.gaps) > start or not looking.opens:
        return
    if backup.path.suffix.lower() in TABLE_SUFFIXES:
        yield from _table(backup, looking)
    else:
        yield from looking.problems_of(backup.path, str(backup.path), dataset) or ()


def _opens(backup: Backup, looking: Looking) -> tuple[str, ...]:
    try:
        open_regular(backup.path).close()
    except Unreadable as error:
        looking.gaps.append(f"{backup.path} {error.reason}")
    return ()


def _table(backup: Backup, looking: Looking) -> Iterator[str]:
    """Read it to its end."""
    try:
        shape_of_file(backup.path, looking.open_until)
    except Unfinished as error:
        looking.gaps.append(f"{backup.path} was not read to its end: {error}")
    except Failures as error:
        yield f"cannot be read: {error}"


def _table_differences(
    file: Path, dataset: WantedDataset, looking: Looking, *, changed: bool
) -> tuple[tuple[str, ...], bool]:
    """As `Looking.differences_of`, of a file with one table, or with the rows of all."""
    assert dataset.live is not None
    try:
        saved = shape_of_file(file, looking.open_until)
        there = shapes_of(file_backend(dataset.live, dataset.backend), looking.open_until)
    except Failures as error:
        looking.gaps.append(f"{shortened(str(file))} was not compared with {shortened(str(dataset.live))}: {error}")
        return (), False
    registered = [there[table.casefold()] for table in dataset.tables if table.casefold() in there]
    alike = [shape for shape in registered if _columns(shape) == _columns(saved)]
    if registered and not alike:
        return (f"has the columns of no table of {dataset.name!r}",), True
    counts = {*(shape.rows for shape in alike), sum(shape.rows for shape in alike)}
    if not registered or saved.rows in counts:
        return (), False
    text = f"has {counted(saved.rows, 'row')}, and no table of {dataset.name!r} has as many"
    return (() if changed and saved.rows else (text,)), True


def _columns(shape: Shape) -> frozenset[str]:
    return frozenset(name.casefold() for name in shape.columns)


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
