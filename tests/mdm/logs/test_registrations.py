"""Each registration is told once, with what the log knows of it and nothing that it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.registrations import History, Outcome

Tell = Callable[..., History]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """What a log of these lines tells; a line is `HH:MM:SS logger message`, or anything else as it is."""

    def write(*lines: str, level: str = "INFO") -> History:
        text = [
            f"2026-11-22 {line[:8]} | {level} | {line[9:].partition(' ')[0]}:f:1 - {line[9:].partition(' ')[2]}"
            if line[:2].isdigit()
            else line
            for line in lines
        ]
        file = tmp_path / "mdm.log"
        file.write_text("\n".join(text) + "\n")
        return read_events(file).history

    return write


def test_the_registrations_of_a_real_home_are_all_told(each_home: Path) -> None:
    runs = read_events(each_home / "logs/mdm.log").history.runs
    assert [run.dataset for run in runs] == ["wine", "breast_cancer", "shop", "big", "wine", "ghost"]
    assert [run.outcome for run in runs] == [Outcome.COMPLETED] * 4 + [Outcome.UNFINISHED] * 2
    assert [dict(run.rows) for run in runs[:4]] == [
        {"wine": 178},
        {"breast_cancer": 569},
        {"train": 2000, "test": 500},
        {"big": 25000},
    ]
    assert [run.feature_tables for run in runs] == [1, 1, 2, None, None, None]
    assert all(run.seconds is not None and 0 <= run.seconds < 5 for run in runs)


def test_the_older_format_tells_stages_to_the_millisecond(make_home: Callable[[str], Path]) -> None:
    shop = read_events(make_home("mdm-0.1.0-sqlite") / "logs/mdm.log").history.runs[2]
    assert shop.seconds is not None
    assert 0 < shop.stages["features"] < shop.seconds
    assert shop.sources == ["/home/ml/raw/shop/train.csv", "/home/ml/raw/shop/test.csv"]


def test_a_refused_or_pathless_registration_did_not_begin(home: Path) -> None:
    refused, ghost = read_events(home / "logs/mdm.log").history.runs[4:]
    assert (refused.step, ghost.step) == ("starting", "starting")
    assert ghost.place.line is not None
    assert "ghost" in (home / "logs/mdm.log").read_text().splitlines()[ghost.place.line - 1]


def test_a_registration_says_up_to_three_times_that_it_begins(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.cli Starting registration of dataset 'Shop'",
        "10:00:00 mdm.r Starting registration for dataset 'Shop'",
        "10:00:01 mdm.r Validated name: Shop -> shop",
        "10:00:05 mdm.r Dataset 'shop' registered successfully",
        "10:00:06 mdm.r Dataset 'shop' registered successfully",
    )
    (run,) = history.runs
    assert (run.dataset, run.outcome, run.seconds) == ("shop", Outcome.COMPLETED, 5.0)


def test_another_process_begins_another_registration(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.r Starting registration for dataset 'shop'",
        "10:00:09 mdm.cli.main MDM logging initialized - Level: INFO",
        "10:00:09 mdm.r Starting registration for dataset 'shop'",
    )
    assert [run.outcome for run in history.runs] == [Outcome.UNFINISHED] * 2


def test_a_start_after_some_progress_is_another_registration(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.r Starting registration for dataset 'shop'",
        "10:00:01 mdm.r Loading raw/train.csv as table 'train'",
        "10:00:09 mdm.r Starting registration for dataset 'shop'",
    )
    assert [run.step for run in history.runs] == ["loading raw/train.csv", "starting"]


def test_one_that_stops_in_the_middle_tells_how_far_it_got(tell: Tell) -> None:
    (run,) = tell(
        "10:00:00 mdm.r Starting registration for dataset 'shop'",
        "10:00:01 mdm.r Loading raw/train.csv as table 'train'",
        "10:00:11 mdm.r Loaded 2000 rows into 'train'",
        "10:00:12 mdm.r Generating features for dataset 'shop'",
        "10:01:12 mdm.features.base Generated feature 'a'",
    ).runs
    assert (run.outcome, run.step, run.seconds) == (Outcome.UNFINISHED, "generating features", 72.0)
    assert run.stages == {"load": 10.0}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("mdm.r Registration failed: no such column", "no such column"),
        ("mdm.r Legacy registration failed: boom", "boom"),
        ("mdm.r Step 'Load Data' failed: boom", "boom"),
        ("mdm.r Failed to load data files: boom", "boom"),
    ],
)
def test_one_that_fails_tells_why(tell: Tell, line: str, error: str) -> None:
    (run,) = tell("10:00:00 mdm.r Starting registration for dataset 'shop'", f"10:00:09 {line}", level="ERROR").runs
    assert (run.outcome, run.error, run.seconds) == (Outcome.FAILED, error, 9.0)


def test_the_registrar_of_0_2_0_ends_without_a_name(tell: Tell) -> None:
    (run,) = tell("10:00:00 mdm.r Validated name: Shop -> shop", "10:00:02 mdm.r Saved dataset configuration").runs
    assert (run.dataset, run.outcome) == ("shop", Outcome.COMPLETED)


def test_two_at_once_are_separated_as_far_as_names_allow(tell: Tell) -> None:
    first, second = tell(
        "10:00:00 mdm.r Starting registration for dataset 'a'",
        "10:00:01 mdm.r Starting registration for dataset 'b'",
        "10:00:02 mdm.r Loaded 5 rows into 'data'",
        "10:00:03 mdm.r Generating features for dataset 'a'",
        "10:00:04 mdm.r Generated 1 feature tables",
        "10:00:05 mdm.r Dataset 'a' registered successfully",
        "10:00:06 mdm.r Dataset 'b' registered successfully",
    ).runs
    assert (first.seconds, second.seconds) == (5.0, 5.0)
    assert (first.stages["features"], first.rows, second.rows) == (1.0, {}, {"data": 5})


def test_lines_of_other_commands_belong_to_no_registration(tell: Tell) -> None:
    (run,) = tell(
        "10:00:00 mdm.r Starting registration for dataset 'ghost'",
        "11:00:00 mdm.cli.main MDM logging initialized - Level: INFO",
        "11:00:01 mdm.r Loaded 5 rows into 'data'",
    ).runs
    assert (run.seconds, run.rows) == (0.0, {})


def test_a_log_without_times_tells_no_durations(tmp_path: Path) -> None:
    file = tmp_path / "mdm.log"
    file.write_text("Starting registration for dataset 'shop'\nanything\n")
    (run,) = read_events(file).history.runs
    assert (run.dataset, run.began, run.seconds) == ("shop", None, None)


def test_without_a_log_nothing_is_told(tmp_path: Path) -> None:
    events = read_events(tmp_path / "none.log")
    assert (events.history.runs, events.history.records, events.gaps) == ((), 0, ())


def test_where_memory_ran_out_is_told_with_the_dataset(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.r Starting registration for dataset 'shop'",
        "10:00:01 mdm.r Failed: Unable to allocate 12.0 GiB for an array",
        level="ERROR",
    )
    (found,) = history.memory_ran_out
    assert (found.dataset, found.message) == ("shop", "Failed: Unable to allocate 12.0 GiB for an array")
    assert not history.succeeded_after(found.time, found.dataset)


def test_only_a_raised_memory_error_counts(tell: Tell) -> None:
    traceback = ("Traceback (most recent call last):", '  File "a.py", line 1, in f', "MemoryError")
    history = tell("10:00:01 mdm.r Feature generation failed", *traceback, level="ERROR")
    assert [each.message for each in history.memory_ran_out] == ["Feature generation failed"]
    assert tell("10:00:01 mdm.r handles MemoryError now").memory_ran_out == ()


def test_a_log_is_read_again_only_when_it_has_changed(tell: Tell) -> None:
    first = tell("10:00:00 mdm.r Starting registration for dataset 'a'")
    assert tell("10:00:00 mdm.r Starting registration for dataset 'a'", "10:00:01 mdm.r x").records == 2
    assert first.records == 1


def test_success_after_a_time_is_that_of_the_same_dataset(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.r Starting registration for dataset 'a'",
        "10:00:05 mdm.r Dataset 'a' registered successfully",
    )
    (run,) = history.runs
    assert history.succeeded_after(run.began, "a")
    assert history.succeeded_after(run.began, "")
    assert not history.succeeded_after(run.began, "b")
    assert not history.succeeded_after(run.last, "a")
    assert not history.succeeded_after(None, "a")


def test_values_of_data_are_in_no_error_and_names_are(tell: Tell) -> None:
    history = tell(
        "10:00:00 mdm.r Starting registration for dataset 'shop'",
        "10:00:01 mdm.r MemoryError: Unable to allocate 8 GiB for 'Jane Doe' of column 'customer'",
        "10:00:02 mdm.r Registration failed: could not convert 'Jane Doe' in column 'customer'",
        level="ERROR",
    )
    assert history.runs[0].error == "could not convert '…' in column 'customer'"
    assert [each.message for each in history.memory_ran_out] == [
        "MemoryError: Unable to allocate 8 GiB for '…' of column 'customer'"
    ]
