"""Stopping an engine's work from outside when its time is up."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

_AGAIN_S = 0.02


@contextlib.contextmanager
def interrupting(interrupt: Callable[[], None], within_s: float | None) -> Iterator[None]:
    """Call `interrupt` when the block takes longer than that, until it ends; None lets it take as long as it takes.

    An engine forgets an interrupt that comes when no statement is running, so one is not enough.
    """
    if within_s is None:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        pause = within_s
        while not done.wait(pause):
            interrupt()
            pause = _AGAIN_S

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
