"""A repair taken back, or the step at which it broke off brought to its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_mdm_health.repair.carrying_out import apply, take_back
from pytest_mdm_health.repair.files import FileState, state_of
from pytest_mdm_health.repair.journal import RepairRecord, StepRecord, resumed
from pytest_mdm_health.repair.step import NotDone


def undo(record: RepairRecord) -> Iterator[str]:
    """Take a repair back, the last step first; yield one line for each step.

    Raises:
        NotDone: a file was changed since, and nothing is taken back; or a file could not be written.
    """
    if changed := _changed_since(record):
        raise NotDone(
            f"{changed} is not as the repair left it, so nothing was taken back; what there was is kept in "
            f"{record.folder}"
        )
    journal = resumed(record)
    for step in reversed(record.steps):
        if step.state == "taken-back":
            continue
        if not step.undone:
            yield _cannot_be_taken_back(step)
            continue
        try:
            take_back(step)
        except OSError as error:
            raise NotDone(f"step {step.number} could not be taken back: {error.filename}: {error.strerror}") from error
        journal.conclude(step, "taken-back")
        yield f"step {step.number} is taken back: {step.command}"
    journal.end()


def finish(record: RepairRecord) -> Iterator[str]:
    """Bring the step at which a repair broke off to its end, or take it back if it was not prepared yet.

    Raises:
        NotDone: a file was changed since, or could not be written.
    """
    journal = resumed(record)
    for step in record.steps:
        if step.state == "begun" and not step.undone:
            yield _cannot_be_taken_back(step)
        elif step.state == "begun":
            journal.conclude(step, "taken-back")
            yield f"step {step.number} had changed nothing yet: {step.command}"
        elif step.state == "prepared":
            if changed := _changed_in(step):
                raise NotDone(f"{changed} was changed since, so step {step.number} was not finished")
            try:
                apply(step)
            except OSError as error:
                raise NotDone(f"step {step.number} could not be finished: {error.strerror}") from error
            journal.conclude(step, "done")
            yield f"step {step.number} is finished: {step.command}"
    journal.end()


def _cannot_be_taken_back(step: StepRecord) -> str:
    doubt = "" if step.state == "done" else "; it broke off, so that only an examination shows whether it was done"
    return f"step {step.number} cannot be taken back{doubt}: {step.command}"


def _changed_in(step: StepRecord) -> Path | None:
    """A file of a step that is neither as it was nor as the step leaves it."""
    return next((file.path for file in step.files if not _is_one_of(file.path, (file.before, file.after))), None)


def _changed_since(record: RepairRecord) -> Path | None:
    """A file that is in none of the states in which a step of the repair found or left it."""
    known: dict[Path, list[FileState | None]] = {}
    for step in record.steps:
        if step.state in {"prepared", "done"}:
            for file in step.files:
                known.setdefault(file.path, []).extend((file.before, file.after))
    return next((path for path, states in known.items() if not _is_one_of(path, states)), None)


def _is_one_of(path: Path, states: Iterable[FileState | None]) -> bool:
    now = state_of(path)
    return any(now is None if state is None else state.is_like(now) for state in states)
