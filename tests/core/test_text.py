"""Sizes and durations are short and of the right order."""

from __future__ import annotations

import pytest

from pytest_mdm_health.core.text import counted, duration, size, times


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (None, "unknown size"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1_600_000, "1.53 MiB"),
        (1_073_741_823, "1024 MiB"),
        (64 << 30, "64 GiB"),
        (9e15, "8185 TiB"),
    ],
)
def test_a_size_has_the_units_of_memory(count: float | None, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (12.4, "12 s"), (119, "119 s"), (120, "2 minutes"), (7200, "2 hours"), (200_000, "2 days")],
)
def test_a_duration_is_said_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_a_count_agrees_with_its_noun(count: int, words: str) -> None:
    assert counted(count, "row") == words


def test_an_irregular_plural_is_given() -> None:
    assert [counted(count, "process", "processes") for count in (1, 2)] == ["1 process", "2 processes"]


def test_one_time_is_once() -> None:
    assert [times(count) for count in (0, 1, 2)] == ["0 times", "once", "2 times"]
