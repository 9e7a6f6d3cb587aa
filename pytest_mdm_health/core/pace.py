"""How work moves on: what was counted of something that has an end, and a clock that stands still while that grows.

So time limits are limits of silence: reading a large file takes as long as it takes while bytes keep coming, and a hang
ends it. What has no end that is known beforehand cannot move on, however much comes of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_mdm_health.core.text import shortened, size

BYTES = "bytes"
"""The unit of sizes."""

PARTS = "parts"
"""The unit where all that is known is which part of it is done."""

TOLD_EVERY_S = 0.25
_NOTHING = (None, 0.0, 0.0)


@dataclass(frozen=True)
class Step:
    """How far something has come.

    Attributes:
        what: it, in the words of a person.
        done: how much of it is done.
        total: how much there is at most; what goes beyond does not count.
        unit: of both: bytes, parts, or the noun of what is counted, in the plural.
        exact: whether there is as much as the total says.
    """

    what: str
    done: int
    total: int
    unit: str = BYTES
    exact: bool = True

    @property
    def far(self) -> str:
        """How far it has come, such as `1.2 GiB of 3 GiB`."""
        if self.unit == PARTS:
            return f"{100 * self.done / self.total:.3g} %"
        done, total = (size(self.done), size(self.total)) if self.unit == BYTES else (str(self.done), str(self.total))
        noun = "" if self.unit == BYTES else f" {self.unit}"
        return f"{done} of {total}{noun}" if self.exact else f"{done}{noun}"

    @property
    def sentence(self) -> str:
        """As `far`, with what it is of, such as `1.2 GiB of 3 GiB of /backup/home.tar.gz`."""
        return f"{self.far} of {shortened(self.what)}"

    def moves_on(self, earlier: Step | None) -> bool:
        """Whether it is the same thing, and more of it is done."""
        return earlier is not None and self.what == earlier.what and earlier.done < self.done <= self.total


class Pace:
    """What one process has reached, and its clock.

    Attributes:
        tell: gets what has begun, and a few times in a second at most how far it has come; also whether work has moved
            on since the last time.
    """

    def __init__(self) -> None:
        self.tell: Callable[[Step, bool], object] | None = None
        self._lock = threading.Lock()
        self._reached: dict[str, tuple[Step | None, float, float]] = {}
        self._moving_s = self._told = 0.0
        self._moved = False

    def clock(self) -> float:
        """Seconds, without those in which work moved on; to be compared with other times of this clock."""
        return time.monotonic() - self._moving_s

    def far(self, what: str) -> str:
        """How far something has come, to follow a reason; empty if that is not known."""
        step = self._reached.get(what, _NOTHING)[0]
        return "" if step is None else f", after {step.far}"

    def reached(self, step: Step) -> None:
        """Work has come so far."""
        with self._lock:
            now, (earlier, since, moving_s) = time.monotonic(), self._reached.get(step.what, _NOTHING)
            if step.moves_on(earlier):  # what counted within this time, of another thing, counts once
                self._moving_s = moving_s + now - since
                self._moved = True
            elif earlier is not None and step.done >= earlier.done:
                return
            self._reached[step.what] = (step, now, self._moving_s)
            if self.tell is not None and (earlier is None or now - self._told >= TOLD_EVERY_S):
                self.tell(step, self._moved)
                self._told, self._moved = now, False
