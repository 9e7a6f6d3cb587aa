"""Names the check that is running when it takes long, and says how far it is, to show that the run has not stopped."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.text import duration

PATIENCE_S = 5.0
"""After so many seconds a person at a terminal wants to know."""

PATIENCE_OF_A_LOG_S = 30.0
"""A log is read afterwards; it names only what took really long."""

AGAIN_TIMES = 6
"""After so many times the patience it is said again how far a check is, if it is further."""

_LOOK_EVERY_S = 1.0
_OURS = f"{SUITE}::"


@dataclass
class _Running:
    """A check that is running: since when, when to speak of it next, and how far it was when it was spoken of."""

    since: float
    next: float
    far: str | None = None


class Progress:
    """A plugin that watches what is running, in this process or in workers, and names what is slow.

    It does so once, and again where it can tell how far that is.

    Args:
        descriptor: where to say it; it is closed at the end.
        patience_s: seconds that a check may take without a word.
        far: how far the check is that is running in this process; empty if that is not known.
    """

    def __init__(self, descriptor: int, patience_s: float, far: Callable[[], str]) -> None:
        self._descriptor, self._patience_s, self._far = descriptor, patience_s, far
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look_again_and_again, name="mdm-health-progress", daemon=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A check begins, here or in a worker."""
        if not nodeid.startswith(_OURS):
            return
        with self._lock:
            self._running[nodeid] = _Running(time.monotonic(), time.monotonic() + self._patience_s)
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
            for name, check in self._running.items():
                if now < check.next:
                    continue
                check.next = now + AGAIN_TIMES * self._patience_s
                said, check.far = check.far, self._far()
                if check.far == said or (said is not None and not check.far):
                    continue
                far = f": {check.far}" if check.far else ""
                line = f"\n{name.removeprefix(_OURS)} is still running after {duration(now - check.since)}{far}\n"
                with contextlib.suppress(OSError):  # whoever read it has gone; the run goes on
                    os.write(self._descriptor, line.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))


def progress_of(config: pytest.Config, far: Callable[[], str]) -> Progress | None:
    """What shows the progress of this run; None where no one looks or the name is shown already.

    To be made before anything is captured: what it says while a check runs goes past pytest's capturing.

    Args:
        config: pytest's.
        far: see `Progress`.
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
    return Progress(descriptor, PATIENCE_S if sys.stdout.isatty() else PATIENCE_OF_A_LOG_S, far)
