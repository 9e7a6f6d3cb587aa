"""Work that takes too long is interrupted, again and again until it ends."""

from __future__ import annotations

import threading

from pytest_mdm_health.backends.interrupting import interrupting


def test_work_that_takes_too_long_is_interrupted_until_it_ends() -> None:
    enough = threading.Event()
    calls: list[int] = []

    def interrupt() -> None:
        calls.append(1)
        if len(calls) == 3:
            enough.set()

    with interrupting(interrupt, 0.001):
        assert enough.wait(10)
    assert len(calls) >= 3
    after = len(calls)
    assert not any(thread.name.endswith("(watch)") for thread in threading.enumerate())
    assert len(calls) == after


def test_work_that_is_done_in_time_is_left_alone() -> None:
    calls: list[int] = []
    with interrupting(lambda: calls.append(1), 60):
        pass
    assert calls == []


def test_without_a_limit_nobody_watches() -> None:
    before = threading.active_count()
    with interrupting(lambda: None, None):
        assert threading.active_count() == before
