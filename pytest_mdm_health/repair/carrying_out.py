"""One step done so that it is done whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from pytest_mdm_health.core.text import size
from pytest_mdm_health.repair.files import beside, identity, make_folder, put, restore, state_of, sync_folder
from pytest_mdm_health.repair.journal import ChangedFile, Journal, StepRecord
from pytest_mdm_health.repair.step import FileStep, NotDone, Outline, ServerStep, can_be_undone

_SPARE = 16 * 1024 * 1024
"""Bytes that must stay free."""


def carry_out(step: FileStep | ServerStep, journal: Journal) -> str:
    """Do a step, and say in a few words what was done.

    Raises:
        NotDone: it was not done, and nothing is changed.
    """
    outline = step.outline()
    _need_room(outline, journal.folder)
    record = journal.begin_step(step.repair.command, undone=can_be_undone(step))
    try:
        said = step.act() if isinstance(step, ServerStep) else _changed(step, outline, journal, record)
    except (NotDone, OSError) as error:
        journal.conclude(record, "taken-back")
        raise NotDone(_reason(error)) from error
    except BaseException:  # such as Ctrl-C: what was changed is back by now
        journal.conclude(record, "taken-back")
        raise
    journal.conclude(record, "done", said)
    return said


def _changed(step: FileStep, outline: Outline, journal: Journal, record: StepRecord) -> str:
    seen = {path: identity(path) for path in outline.touches}
    changes = step.make(journal.work_folder(record))
    prepared = journal.prepare(record, changes)
    step.outline()  # what it depends on may be gone by now, such as that no process has the file open
    changed = [path for path, before in seen.items() if identity(path) != before]
    if changed:
        raise NotDone(f"{changed[0]} changed meanwhile; try again when nothing uses it")
    try:
        apply(prepared)
    except BaseException:
        take_back(prepared)
        raise
    return outline.does


def apply(step: StepRecord) -> None:
    """Bring a prepared step to its end, wherever it broke off.

    Raises:
        OSError: a file could not be written.
    """
    for folder in step.made:
        make_folder(folder)
    for file in step.files:
        _replace(file)
    for mode in step.modes:
        mode.path.chmod(mode.after)
    for removed in step.removed:
        if removed.path.is_dir():
            removed.path.rmdir()


def take_back(step: StepRecord) -> None:
    """Bring back what there was before a prepared step, whatever part of it was done.

    Raises:
        OSError: a file could not be written.
    """
    for removed in reversed(step.removed):
        removed.path.mkdir(exist_ok=True, parents=True)
        removed.path.chmod(removed.mode)
    for mode in reversed(step.modes):
        mode.path.chmod(mode.before)
    for file in reversed(step.files):
        put_back(file)
    for folder in reversed(step.made):
        with contextlib.suppress(OSError):  # another program put something in it
            folder.rmdir()


def put_back(file: ChangedFile) -> None:
    """Bring back one file as it was, byte for byte.

    Raises:
        OSError: it could not be written.
    """
    if file.before is None:
        _remove(file.path)
    elif state_of(file.path) != file.before:
        restore(file.saved, file.path, file.before)
    beside(file.path).unlink(missing_ok=True)


def _replace(file: ChangedFile) -> None:
    now = state_of(file.path)
    if file.after is None:
        _remove(file.path)
    elif not file.after.is_like(now):
        assert file.new is not None
        put(file.new, file.path, file.before)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)


def _need_room(outline: Outline, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if outline.room + _SPARE > free:
        raise NotDone(
            f"the copies need {size(outline.room)}, and {size(free)} are free in {folder.parent}; "
            "name a folder on another disk with --saved"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return str(error)
