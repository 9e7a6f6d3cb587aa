"""The clock of time limits: it stands still while something that has an end moves on, and at nothing else."""

from __future__ import annotations

import time

import pytest

from pytest_mdm_health.core.pace import PARTS, Pace, Step


def run_for(pace: Pace, *steps: Step) -> float:
    """How far the clock went on while these were reached, 0.05 s apart."""
    started = pace.clock()
    for step in steps:
        time.sleep(0.05)
        pace.reached(step)
    return pace.clock() - started


def test_the_clock_stands_still_while_more_is_done() -> None:
    pace = Pace()
    assert run_for(pace, *(Step("a.tar", done, 100) for done in range(0, 100, 10))) < 0.2


@pytest.mark.parametrize(
    "steps",
    [
        [Step("a.tar", 5, 100)] * 10,
        [Step("a.tar", done, 100) for done in range(100, 0, -10)],
        [Step("a.tar", done, 5) for done in range(10, 20)],
        [Step(f"{number}.tar", number, 100) for number in range(10)],
    ],
    ids=["no more", "less", "beyond the end", "always another"],
)
def test_the_clock_goes_on_where_nothing_moves_on(steps: list[Step]) -> None:
    assert run_for(Pace(), *steps) >= 0.5


def test_things_within_another_are_counted_once() -> None:
    pace = Pace()
    steps = [
        step for done in range(6) for step in (Step("tables", done, 6), Step(f"{done}", 0, 9), Step(f"{done}", 1, 9))
    ]
    went_s = run_for(pace, *steps)
    assert 0.05 <= went_s < 0.25


def test_what_is_told_is_few_and_says_whether_work_moved_on() -> None:
    pace, told = Pace(), list[tuple[Step, bool]]()
    pace.tell = lambda step, moved: told.append((step, moved))
    for done in range(1000):
        pace.reached(Step("a.tar", done, 2000))
    assert len(told) < 5
    pace.reached(Step("b.tar", 0, 10))
    assert told[0] == (Step("a.tar", 0, 2000), False)
    assert told[-1] == (Step("b.tar", 0, 10), True)


@pytest.mark.parametrize(
    ("step", "far"),
    [
        (Step("a.tar", 1 << 20, 3 << 30), "1 MiB of 3 GiB"),
        (Step("the tables", 2, 5, "tables"), "2 of 5 tables"),
        (Step("a table", 1200, 99999, "rows", exact=False), "1200 rows"),
        (Step("a table", 225, 1000, PARTS), "22.5 %"),
    ],
)
def test_how_far_it_came_is_said_with_its_unit(step: Step, far: str) -> None:
    assert step.far == far
