"""What MDM's interpreter answers when something is tried in it; some of it was written by the user's own code."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_mdm_health.core.secrets import redact, without_values
from pytest_mdm_health.mdm.installed.commands import Outcome

_PAIR = 2
_ENDS_TOO_LARGE = {signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ}
"""How the system ends a process that takes too much memory, time or disk: the limits of a trial may be the reason."""


@dataclass(frozen=True)
class Abilities:
    """What the installed MDM offers.

    Attributes:
        generator: whether its generator of features can be imported.
        base: whether the base class of custom features can.
        decorator: whether it has the decorator for custom features.
        failures: why a module of MDM does not import, by its name.
        guards: what the system does to keep tasks from changing what is examined.
    """

    generator: bool
    base: bool
    decorator: bool
    failures: Mapping[str, str]
    guards: tuple[str, ...]


@dataclass(frozen=True)
class Raised:
    """An exception in MDM's interpreter.

    Attributes:
        error: its type.
        message: what it says.
        line: of the file that the task was about.
        ends: whether it ends a process that only bears with ordinary exceptions, as MDM does: `SystemExit`.
        barred: what it tried that may be refused only here, to follow "tried to"; empty if that is not why.
    """

    error: str
    message: str
    line: int | None = None
    ends: bool = False
    barred: str = ""

    def text(self, known: Collection[str] | None = None) -> str:
        """As Python prints it, without passwords; without values of data too, if the known names are given."""
        message = redact(self.message) if known is None else without_values(self.message, known)
        return f"{self.error}: {message}" if message else self.error


@dataclass(frozen=True)
class Trial:
    """How one task went.

    Attributes:
        how: how it ended, to follow "it"; empty if it came to its end.
        told: what it told, by kind, in its order.
        seconds: how long it took.
        in_time: whether it ended before it was stopped.
        was_killed: whether it was ended by what ends processes that take too much, so that nothing is known of it.
    """

    how: str
    told: Mapping[str, tuple[Any, ...]]
    seconds: float
    in_time: bool = True
    was_killed: bool = False

    def last(self, kind: str) -> Any:  # noqa: ANN401 - as it was told
        """What was told last of a kind; None if nothing was."""
        values = self.told.get(kind, ())
        return values[-1] if values else None

    @property
    def raised(self) -> Raised | None:
        """The exception that the task ended with, if it did."""
        return _raised(self.last("raised"))

    @property
    def ran_out(self) -> str:
        """Which limit of the trial ended it, as a clause; empty if none did."""
        if self.was_killed:
            return f"it {self.how}"
        errors = [self.raised, *self.failures().values()]
        if any(each is not None and each.error == MemoryError.__name__ for each in errors):
            return "it took more memory than a trial may"
        return ""

    def named(self, kind: str) -> Mapping[str, Any]:
        """What was told of a kind as pairs of a name and a value."""
        pairs = (each for each in self.told.get(kind, ()) if isinstance(each, list) and len(each) == _PAIR)
        return {str(name): value for name, value in pairs}

    def failures(self) -> Mapping[str, Raised]:
        """The exceptions of single operations, by their names."""
        found = {name: _raised(value) for name, value in self.named("failed").items()}
        return {name: raised for name, raised in found.items() if raised is not None}

    def names(self, kind: str) -> tuple[str, ...]:
        """What was told last of a kind as a list of names."""
        return _names(self.last(kind))


def abilities_of(told: Mapping[str, Any]) -> Abilities:
    """The first answer."""
    failures = {name: f"{each['error']}: {redact(each['message'])}" for name, each in told["failures"].items()}
    return Abilities(told["generator"], told["base"], told["decorator"], failures, tuple(told["guards"]))


def trial_of(answer: Mapping[str, Any]) -> Trial:
    """The answer to a task."""
    told: dict[str, list[Any]] = {}
    for each in answer["told"]:
        if isinstance(each, list) and len(each) == _PAIR and isinstance(each[0], str):
            told.setdefault(each[0], []).append(each[1])
    code = answer["code"]
    came_to_its_end = code == 0 and told.keys() & {"finished", "raised"}
    how = "" if came_to_its_end else Outcome(code, "").how
    return Trial(
        how=how,
        told={kind: tuple(values) for kind, values in told.items()},
        seconds=answer["seconds"],
        in_time=code is not None,
        was_killed=code is not None and -code in _ENDS_TOO_LARGE,
    )


def _raised(told: object) -> Raised | None:
    """An exception as it was told; what the user's own code could have written there is none."""
    if not isinstance(told, dict) or not isinstance(told.get("error"), str):
        return None
    line = told.get("line")
    return Raised(
        told["error"],
        str(told.get("message", "")),
        line if isinstance(line, int) else None,
        told.get("ends") is True,
        str(told.get("barred") or ""),
    )


def _names(told: object) -> tuple[str, ...]:
    return tuple(map(str, told)) if isinstance(told, list) else ()
