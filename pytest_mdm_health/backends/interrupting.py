"""Stopping an engine's work from outside when its time is up, by the clock that stands still while work moves on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from math import inf

from pytest_mdm_health.core.pace import TOLD_EVERY_S
from pytest_mdm_health.core.session import current

_AGAIN_S = 0.02


@contextlib.contextmanager
def interrupting(
    interrupt: Callable[[], None], within_s: float | None, look: Callable[[], None] | None = None
) -> Iterator[None]:
    """Call `interrupt` when the block takes longer than that, until it ends; None lets it take as long as it takes.

    An engine forgets an interrupt that comes when no statement is running, so one is not enough. Meanwhile `look` is
    called, a few times in a second: it may say how far the work has come.
    """
    if within_s is None:
        yield
        return
    done, pace = threading.Event(), current().pace
    until, longest_s = pace.clock() + within_s, inf if look is None else TOLD_EVERY_S

    def watch() -> None:
        while not done.wait(min(left if (left := until - pace.clock()) > 0 else _AGAIN_S, longest_s)):
            if look is not None:
                look()
            if pace.clock() >= until:
                interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
