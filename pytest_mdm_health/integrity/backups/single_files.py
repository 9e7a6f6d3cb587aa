"""Backups of single datasets: the guide's `<dataset>.parquet`, exports, and copies of a database file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.backends import Unfinished
from pytest_mdm_health.core.model import Phase
from pytest_mdm_health.core.text import counted, shortened
from pytest_mdm_health.integrity.backups import BadFile, MissingDataset, SingleFiles, UnreadFile
from pytest_mdm_health.integrity.backups.assess import Assessor, changed_since, written_at
from pytest_mdm_health.integrity.backups.shapes import Failures, Shape, file_backend, shape_of_file, shapes_of
from pytest_mdm_health.mdm.backups import TABLE_SUFFIXES, Backup, Backups
from pytest_mdm_health.mdm.backups.contents import WantedDataset, identity
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular

_MARK = b"PAR1"


def newest_files(there: Backups, assessor: Assessor) -> Mapping[str, Backup]:
    """The newest file for each registered dataset that there is one for, by its name; the settings by theirs."""
    names = {dataset.name for dataset in assessor.wanted.datasets}
    newest: dict[str, Backup] = {}
    for backup in there.found:
        if backup.kind == "dataset" and backup.path.stem in names:
            newest.setdefault(backup.path.stem, backup)
        elif backup.kind == "settings" and backup.size:
            newest.setdefault(backup.path.name, backup)
    return newest


def assess_files(files: Mapping[str, Backup], assessor: Assessor) -> SingleFiles:
    """Look at the newest file of each dataset."""
    found = _Found()
    for dataset in assessor.wanted.datasets:
        if dataset.name in files:
            _assess(files[dataset.name], dataset, assessor, found)
        elif dataset.data:
            found.missing.append(MissingDataset(dataset=dataset.name, parts=("data",), later=False))
    shared = (backup.shown for backup in files.values() if identity(backup.path) in assessor.wanted.identities)
    return SingleFiles(
        count=len(files),
        missing=tuple(found.missing),
        missing_files=tuple(name for name in assessor.wanted.files if name not in files) if files else (),
        damaged=tuple(found.damaged),
        unlike=tuple(found.unlike),
        outdated=tuple(dict.fromkeys(found.outdated)),
        shared=tuple(shared),
        unread=tuple(found.unread),
    )


@dataclass
class _Found:
    """As `SingleFiles`, while it grows."""

    missing: list[MissingDataset] = field(default_factory=list)
    damaged: list[BadFile] = field(default_factory=list)
    unlike: list[BadFile] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)
    unread: list[UnreadFile] = field(default_factory=list)


def _assess(backup: Backup, dataset: WantedDataset, assessor: Assessor, found: _Found) -> None:
    start = len(assessor.gaps)
    problems = tuple(_problems(backup, dataset, assessor))
    if problems:
        found.damaged.append(BadFile(subject=dataset.name, file=backup.shown, problems=problems))
    elif len(assessor.gaps) == start:
        _compare(backup, dataset, assessor, found)
    if dataset.live is not None and changed_since(dataset.live, backup.made):
        found.outdated.append(dataset.name)
    if reasons := tuple(assessor.gaps[start:]):
        found.unread.append(UnreadFile(dataset=dataset.name, file=backup.shown, reasons=reasons))


def _compare(backup: Backup, dataset: WantedDataset, assessor: Assessor, found: _Found) -> None:
    """Compare a sound file with the home's data, until that was migrated."""
    if dataset.live is None or assessor.phase is Phase.POST or not assessor.opens:
        return
    changed = written_at(dataset.live) > backup.made
    if backup.path.suffix.lower() in TABLE_SUFFIXES:
        unlike, explained = _table_differences(backup.path, dataset, assessor, changed=changed)
    else:
        unlike, explained = assessor.differences_of(
            backup.path, backup.shown, dataset, changed=changed, made=backup.made
        )
    if unlike:
        found.unlike.append(BadFile(subject=dataset.name, file=backup.shown, problems=unlike))
    elif explained:
        found.outdated.append(dataset.name)


def _problems(backup: Backup, dataset: WantedDataset, assessor: Assessor) -> Iterator[str]:
    if not backup.size:
        kind = kind_of(backup.path)
        yield "is empty: it has 0 bytes" if kind is FileKind.FILE else f"is a {kind.value}"
        return
    start = len(assessor.gaps)
    is_parquet = backup.path.suffix.lower() == ".parquet"
    problems = tuple(_parquet(backup, assessor)) if is_parquet else _opens(backup, assessor)
    yield from problems
    if problems or len(assessor.gaps) > start or not assessor.opens:
        return
    if backup.path.suffix.lower() in TABLE_SUFFIXES:
        yield from _table(backup, assessor)
    else:
        yield from assessor.problems_of(backup.path, str(backup.path), dataset) or ()


def _opens(backup: Backup, assessor: Assessor) -> tuple[str, ...]:
    try:
        open_regular(backup.path).close()
    except Unreadable as error:
        assessor.gaps.append(f"{backup.path} {error.reason}")
    return ()


def _table(backup: Backup, assessor: Assessor) -> Iterator[str]:
    """Read it to its end."""
    try:
        shape_of_file(backup.path, assessor.open_until)
    except Unfinished as error:
        assessor.gaps.append(f"{backup.path} was not read to its end: {error}")
    except Failures as error:
        yield f"cannot be read: {error}"


def _table_differences(
    file: Path, dataset: WantedDataset, assessor: Assessor, *, changed: bool
) -> tuple[tuple[str, ...], bool]:
    """As `Assessor.differences_of`, of a file with one table, or with the rows of all."""
    assert dataset.live is not None
    try:
        saved = shape_of_file(file, assessor.open_until)
        there = shapes_of(file_backend(dataset.live, dataset.backend), assessor.open_until)
    except Failures as error:
        assessor.gaps.append(f"{shortened(str(file))} was not compared with {shortened(str(dataset.live))}: {error}")
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


def _parquet(backup: Backup, assessor: Assessor) -> Iterator[str]:
    """Parquet begins and ends with the same mark, so a file that was cut off has lost it."""
    try:
        with open_regular(backup.path) as file:
            begin = file.read(len(_MARK))
            file.seek(max(0, backup.size - len(_MARK)))
            end = file.read(len(_MARK))
    except (Unreadable, OSError) as error:
        assessor.gaps.append(f"{backup.path} was not looked into: {getattr(error, 'reason', error)}")
        return
    if begin != _MARK:
        yield "is no Parquet file: it does not begin like one"
    elif end != _MARK:
        yield "is truncated: its end is missing"
