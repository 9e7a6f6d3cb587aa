"""What a repair did, and what there was before, so that it can be taken back or finished whenever it broke off.

A repair has a folder of its own outside the home, `mdm-health-saved-<time>`: the journal, and a copy of each file that
a step changes. An entry is one line of JSON and reaches the disk before what it speaks of is done:

* `begin`: a repair of this home begins;
* `step`: a step begins; until `prepared` it only makes files in this folder;
* `prepared`: what the step will change, what there was (copied by now) and what will be there, so that from here on it
  can be finished as well as taken back;
* `done` or `taken-back`: the step is over;
* `end`: the repair is over.

While it is not over, a file in the home names the folder, so that the next repair and the next examination know of it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_mdm_health.mdm.repair_marker import MARKER, Unfinished, write_marker
from pytest_mdm_health.repair.files import FileState, copy_content, identity, state_of, sync_folder
from pytest_mdm_health.repair.step import Changes, NotDone

FILE = "journal.jsonl"
FORMAT = "mdm-health-repair/1"
StepState = Literal["begun", "prepared", "done", "taken-back"]


@dataclass(frozen=True)
class ChangedFile:
    """A file that a step changes.

    Attributes:
        path: where it is.
        before: as it was; None if there was none.
        after: as the step leaves it; None if it goes.
        saved: the copy of what there was, if there was a file with content.
        new: what takes its place, if anything does.
    """

    path: Path
    before: FileState | None
    after: FileState | None
    saved: Path | None
    new: Path | None


@dataclass(frozen=True)
class ChangedMode:
    """A file or folder whose permission bits a step changes."""

    path: Path
    before: int
    after: int


@dataclass(frozen=True)
class RemovedFolder:
    """A folder that a step removes when it is empty, and the permission bits it had."""

    path: Path
    mode: int


@dataclass(frozen=True)
class StepRecord:
    """A step as the journal has it.

    Attributes:
        number: from 1.
        command: the command that does the same.
        state: how far it came.
        files: what it changes; empty until it is prepared.
        modes: likewise.
        removed: folders that it removes.
        made: folders that it makes, each after the one that it is in.
        undone: whether it can be taken back.
        said: what it said when it was done.
    """

    number: int
    command: str
    state: StepState
    files: tuple[ChangedFile, ...] = ()
    modes: tuple[ChangedMode, ...] = ()
    removed: tuple[RemovedFolder, ...] = ()
    made: tuple[Path, ...] = ()
    undone: bool = True
    said: str = ""


@dataclass(frozen=True)
class RepairRecord:
    """A repair as the journal has it.

    Attributes:
        folder: where the journal is.
        home: what was repaired.
        steps: in their order.
        over: whether it came to its end.
    """

    folder: Path
    home: Path
    steps: tuple[StepRecord, ...] = ()
    over: bool = False


class Unusable(Exception):
    """A folder that has no journal which can be read; the text says why, on one line."""


@dataclass
class Journal:
    """The journal of a repair that is under way."""

    folder: Path
    home: Path
    _steps: int = 0
    _within: bool = False

    def begin_step(self, command: str, *, undone: bool) -> StepRecord:
        """Note that a step begins."""
        self._steps += 1
        self._within = True
        (self.folder / str(self._steps)).mkdir(mode=0o700)
        self._note("step", number=self._steps, command=command, undone=undone)
        return StepRecord(self._steps, command, "begun", undone=undone)

    def work_folder(self, step: StepRecord) -> Path:
        """The folder in which a step makes its files."""
        folder = self.folder / str(step.number) / "new"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def prepare(self, step: StepRecord, changes: Changes) -> StepRecord:
        """Save what a step will change, and note what it will be.

        Raises:
            OSError: a file could not be read or saved.
        """
        files = tuple(self._saved(step, path, new) for path, new in changes.files.items())
        modes = tuple(ChangedMode(path, path.stat().st_mode & 0o7777, mode) for path, mode in changes.modes.items())
        removed = tuple(RemovedFolder(path, path.stat().st_mode & 0o7777) for path in changes.folders)
        made = tuple(dict.fromkeys(folder for file in files if file.after for folder in _missing_folders(file.path)))
        prepared = StepRecord(step.number, step.command, "prepared", files, modes, removed, made, step.undone)
        self._note(
            "prepared",
            number=step.number,
            files=[asdict(each) for each in files],
            modes=[asdict(each) for each in modes],
            removed=[asdict(each) for each in removed],
            made=list(made),
        )
        return prepared

    def conclude(self, step: StepRecord, state: StepState, said: str = "") -> None:
        """Note that a step is over, and remove what it made beside."""
        self._note(state, number=step.number, said=said)
        self._within = False
        shutil.rmtree(self.folder / str(step.number) / "new", ignore_errors=True)

    def end(self) -> None:
        """Note that the repair is over."""
        self._note("end")
        with suppress(FileNotFoundError):
            (self.home / MARKER).unlink()

    def end_unless_within_a_step(self) -> None:
        """Note that the repair is over, if no step of it broke off."""
        if not self._within:
            self.end()

    def _saved(self, step: StepRecord, path: Path, new: Path | None) -> ChangedFile:
        seen, before, saved = identity(path), state_of(path), None
        if before is not None and before.regular:
            saved = self.folder / str(step.number) / "before" / path.relative_to(path.anchor)
            saved.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy_content(path, saved)
            sync_folder(saved.parent)
            if identity(path) != seen or not before.is_like(state_of(saved)):
                raise NotDone(f"{path} changed while it was saved; try again when nothing uses it")
        return ChangedFile(path, before, state_of(new) if new else None, saved, new)

    def _note(self, event: str, **values: object) -> None:
        line = json.dumps({"event": event, "time": time.time(), **values}, default=str)
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def new_journal(home: Path, folder: Path) -> Iterator[Journal]:
    """A journal of a repair of this home, in a new folder; at the end of the block the repair is over.

    It is not over only where a step could neither be done nor taken back.

    Raises:
        NotDone: another repair of the home is under way or unfinished, or the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise NotDone(f"{folder} cannot be made: {error.strerror}; name another folder with --saved") from None
    journal = Journal(folder, home)
    journal._note("begin", format=FORMAT, home=home)  # noqa: SLF001 - made right here
    try:
        write_marker(home, folder)
    except Unfinished as unfinished:
        shutil.rmtree(folder)
        raise NotDone(str(unfinished)) from None
    except OSError as error:
        shutil.rmtree(folder)
        raise NotDone(f"{home} cannot be written to: {error.strerror}") from None
    try:
        yield journal
    finally:
        journal.end_unless_within_a_step()


def resumed(record: RepairRecord) -> Journal:
    """The journal of a repair that broke off, to go on with it."""
    return Journal(record.folder, record.home, len(record.steps))


def read_journal(folder: Path) -> RepairRecord:
    """What a repair did.

    Raises:
        Unusable: the folder has no journal of a repair.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unusable(f"{folder} holds no journal of a repair: {FILE}: {reason}") from None
    home, steps, over = None, dict[int, StepRecord](), False
    for entry in _entries(folder / FILE, lines):
        if entry["event"] == "begin":
            home = Path(entry["home"]) if entry.get("format") == FORMAT else None
        elif entry["event"] == "end":
            over = True
        else:
            steps[entry["number"]] = _continued(steps.get(entry["number"]), entry)
    if home is None:
        raise Unusable(f"{folder / FILE} is no journal of the format {FORMAT}")
    return RepairRecord(folder, home, tuple(steps.values()), over)


def _entries(file: Path, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The entries, without the last one if it broke off while it was written."""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and "event" in entry:
            yield entry
        elif number < len(lines):
            raise Unusable(f"{file}, line {number} is no entry of a journal")


def _continued(step: StepRecord | None, entry: Mapping[str, Any]) -> StepRecord:
    if step is None:
        return StepRecord(entry["number"], entry["command"], "begun", undone=entry["undone"])
    if entry["event"] == "prepared":
        return StepRecord(
            step.number,
            step.command,
            "prepared",
            tuple(_file(each) for each in entry["files"]),
            tuple(ChangedMode(Path(each["path"]), each["before"], each["after"]) for each in entry["modes"]),
            tuple(RemovedFolder(Path(each["path"]), each["mode"]) for each in entry["removed"]),
            tuple(map(Path, entry["made"])),
            step.undone,
        )
    state: StepState = "done" if entry["event"] == "done" else "taken-back"
    return StepRecord(
        step.number, step.command, state, step.files, step.modes, step.removed, step.made, step.undone, entry["said"]
    )


def _file(entry: Mapping[str, Any]) -> ChangedFile:
    before, after = (FileState(**entry[name]) if entry[name] else None for name in ("before", "after"))
    saved, new = (Path(entry[name]) if entry[name] else None for name in ("saved", "new"))
    return ChangedFile(Path(entry["path"]), before, after, saved, new)


def _missing_folders(path: Path) -> list[Path]:
    """The folders above a path that are not there, the uppermost first."""
    missing = []
    for folder in path.parents:
        if folder.is_dir():
            break
        missing.append(folder)
    return missing[::-1]
