"""What every verb promises: to say beforehand what it will do, and to do it where nothing is lost if it breaks off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pytest_mdm_health.core.verbs import VERBS, Repair


@dataclass(frozen=True)
class Changes:
    """What a step changes in files, in this order.

    Attributes:
        files: each file that changes with the file that takes its place, or None if it goes.
        modes: files and folders whose permission bits change, with the new ones.
        folders: folders that go, each before the one that it is in; they must be empty by then.
    """

    files: Mapping[Path, Path | None] = field(default_factory=dict)
    modes: Mapping[Path, int] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()


class NotDone(Exception):
    """A step was not done and nothing is changed; the text says why, and what to do, on one line."""


@dataclass(frozen=True)
class Outline:
    """What a step will do.

    Attributes:
        does: what, with names and numbers; lower case, to follow "would" in a sentence.
        touches: the files that it reads or changes; they must not change from here on until it is done.
        details: the statements and paths, one a line.
        room: bytes that are needed beside the files for the copies.
    """

    does: str
    touches: tuple[Path, ...] = ()
    details: tuple[str, ...] = ()
    room: int = 0


class Step(Protocol):
    """One call of a verb."""

    @property
    def repair(self) -> Repair:
        """The call."""

    def outline(self) -> Outline:
        """What it will do; changes nothing.

        Raises:
            NotDone: its premise does not hold.
        """


class FileStep(Step, Protocol):
    """A step that changes files: it makes new ones elsewhere, which then take the place of the old ones."""

    def make(self, work: Path) -> Changes:
        """Make what takes the place of the files, in the folder `work`, and verify it.

        Raises:
            NotDone: the result is not what it should be.
            OSError: a file could not be read or written.
        """


@runtime_checkable
class ServerStep(Step, Protocol):
    """A step that changes something on a server, in one statement or transaction; `--undo` cannot take it back."""

    def act(self) -> str:
        """Do it, verify it, and say in a few words what was done.

        Raises:
            NotDone: the server refused, or the result is not what it should be.
        """


def can_be_undone(step: Step) -> bool:
    """Whether `--undo` can take a step back; what was done on a server stays done."""
    return VERBS[step.repair.verb].undone and not isinstance(step, ServerStep)
