"""Names the check that is running when it takes long, to show that the run has not stopped."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.text import duration

PATIENCE_S = 5.0
"""After so many seconds a person at a terminal wants to know."""

PATIENCE_OF_A_LOG_S = 30.0
"""A log is read afterwards; it names only what took really long."""

_LOOK_EVERY_S = 1.0
_OURS = f"{SUITE}::"


class Progress:
    """A plugin that watches what is running, in this process or in workers, and says each slow check once.

    Args:
        descriptor: where to say it; it is closed at the end.
        patience_s: seconds that a check may take without a word.
    """

    def __init__(self, descriptor: int, patience_s: float) -> None:
        self._descriptor, self._patience_s = descriptor, patience_s
        self._running: dict[str, float] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look_again_and_again, name="mdm-health-progress", daemon=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A check begins, here or in a worker."""
        if not nodeid.startswith(_OURS):
            return
        with self._lock:
            self._running[nodeid] = time.monotonic()
        if self._watch.ident is None:
            self._watch.start()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """It has ended; from here on the line belongs to its result."""
        if report.when != "setup":
            with self._lock:
                self._running.pop(report.nodeid, None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Everything has ended."""
        self._over.set()
        if self._watch.ident is not None:
            self._watch.join()
        os.close(self._descriptor)

    def _look_again_and_again(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        with self._lock:
            for name in [name for name, since in self._running.items() if now - since >= self._patience_s]:
                took = duration(now - self._running.pop(name))
                line = f"\n{name.removeprefix(_OURS)} is still running after {took}\n"
                with contextlib.suppress(OSError):  # whoever read it has gone; the run goes on
                    os.write(self._descriptor, line.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def progress_of(config: pytest.Config) -> Progress | None:
    """What shows the progress of this run; None where no one looks or the name is shown already.

    To be made before anything is captured: what it says while a check runs goes past pytest's capturing.
    """
    if not config.pluginmanager.has_plugin("terminal") or hasattr(config, "workerinput"):
        return None
    verbosity, in_workers = config.option.verbose, bool(getattr(config.option, "numprocesses", None))
    if verbosity < 0 or (verbosity > 0 and not in_workers):
        return None
    try:
        descriptor = os.dup(sys.stdout.fileno())
    except OSError:  # pytest runs within something that has no such thing
        return None
    return Progress(descriptor, PATIENCE_S if sys.stdout.isatty() else PATIENCE_OF_A_LOG_S)
