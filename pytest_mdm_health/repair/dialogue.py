"""What a repair says and asks."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.core.verbs import PROGRAM
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.repair.carrying_out import carry_out
from pytest_mdm_health.repair.journal import Journal
from pytest_mdm_health.repair.step import FileStep, NotDone, Outline, ServerStep, Step, can_be_undone

YES = "MDM_HEALTH_YES"
"""The variable that answers every question with yes."""


def do(step: FileStep | ServerStep, journal: Journal) -> bool:
    """Do a step, say how it ended, and return whether it was done."""
    try:
        say(f"done: {carry_out(step, journal)}")
    except NotDone as error:
        changed = "" if isinstance(step, ServerStep) else ", and nothing is changed"
        say(f"not done{changed}: {error}")
        return False
    return True


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the user wants it; without a terminal it has to be said beforehand."""
    if yes or os.environ.get(YES) == "1":
        return True
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed
        say(question, f"there is no terminal to answer at: add --yes, or set {YES}=1")
        return False
    return input(f"{one_line(question)} [y/N] ").strip().lower() in {"y", "yes"}


def warning(step: Step, outline: Outline) -> str:
    """What has to be known before one agrees."""
    said = "" if can_be_undone(step) else " This cannot be taken back."
    databases = [path for path in outline.touches if path.suffix in DATABASE_SUFFIXES]
    unseen = holders(databases).why_incomplete if databases else ""
    return f"{said} Make sure that nothing uses the database: {unseen}." if unseen else said


def how_to_undo(saved: Path, done: Iterable[Step]) -> list[str]:
    """The command that takes back what was done, if any of it can be taken back."""
    if not any(map(can_be_undone, done)):
        return []
    return [f"to take it back: {PROGRAM} repair --undo {shlex.quote(str(saved))}"]


def say(*said: str) -> None:
    """Print lines, each as one line whatever is in it."""
    for line in said:
        encoding = sys.stdout.encoding or "utf-8"
        print(one_line(line).encode(encoding, "backslashreplace").decode(encoding))  # noqa: T201 - a command line
