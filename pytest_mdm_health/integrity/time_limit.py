"""Ending what a database is doing when the time is up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_mdm_health.backends import Database, QueryFailed, Unfinished
from pytest_mdm_health.core.session import current

_PAUSE_S = 0.05


@contextmanager
def time_limit(database: Database, seconds: float) -> Iterator[None]:
    """A block of queries that is broken off after some seconds of the session's clock; without any it is not begun.

    Raises:
        Unfinished: it was.
    """
    if seconds <= 0:
        raise Unfinished("was not begun: no time was left")
    expired, done, pace = threading.Event(), threading.Event(), current().pace
    until = pace.clock() + seconds
    stop = database.connection.cancel if database.engine == "postgresql" else database.connection.interrupt

    def watch() -> None:
        while not done.wait(left if (left := until - pace.clock()) > 0 else _PAUSE_S):
            if pace.clock() >= until:  # more than once, because between two queries nothing can be broken off
                expired.set()
                stop()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except (QueryFailed, Unfinished) as error:
        if not expired.is_set():
            raise
        raise Unfinished(f"did not finish within {seconds:.0f} s") from error
    finally:
        done.set()
        watcher.join()
