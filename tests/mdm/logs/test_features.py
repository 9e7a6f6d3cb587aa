from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.features import ERRORS_KEPT, FeatureRun

MakeHome = Callable[..., Path]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., dict[str, FeatureRun]]:
    """What a log of these records tells: `LEVEL message`."""

    def tell(*records: str) -> dict[str, FeatureRun]:
        lines = (
            f"2026-11-22 08:18:{number % 60:02} | {level} | mdm.features.base:f:1 - {message}"
            for number, (level, _, message) in enumerate(record.partition(" ") for record in records)
        )
        (tmp_path / "mdm.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return dict(read_events(tmp_path / "mdm.log").feature_runs)

    return tell


Told = Callable[..., dict[str, FeatureRun]]
BEGIN = "INFO Generating features for dataset 'shop'"


def test_the_real_logs_tell_of_every_generation(each_home: Path) -> None:
    runs = read_events(each_home / "logs" / "mdm.log").feature_runs
    assert {name: run.tables for name, run in runs.items()} == {"wine": 1, "breast_cancer": 1, "shop": 2}
    errors = [(error.message, error.count) for run in runs.values() for error in run.errors.values()]
    message = "Error generating features for column 'signup': Can only use .str accessor with string values!"
    after_the_refactoring = (each_home / "metrics.db").exists()
    assert errors == ([(message, 2)] if after_the_refactoring else [])


def test_errors_belong_to_the_dataset_being_generated(told: Told) -> None:
    runs = told(
        "ERROR before",
        BEGIN,
        "INFO Generating features for shop (10 rows)",
        "ERROR Error generating features for column 'a': bad",
        "ERROR Error generating features for column 'a': bad",
        "WARNING only a warning",
        "INFO Generated 2 feature tables",
        "ERROR after",
    )
    assert [(error.message, error.count, error.place.line) for error in runs["shop"].errors.values()] == [
        ("Error generating features for column 'a': bad", 2, 5)
    ]
    assert (runs["shop"].tables, runs["shop"].failure, runs["shop"].place.line) == (2, "", 2)


def test_a_failure_of_the_whole_is_told(told: Told) -> None:
    runs = told(BEGIN, "ERROR Failed to generate features: no such column: b", "ERROR something else")
    assert (runs["shop"].failure, runs["shop"].tables, runs["shop"].errors) == ("no such column: b", None, {})


def test_only_the_last_generation_counts(told: Told) -> None:
    runs = told(BEGIN, "ERROR Failed to generate features: bad", BEGIN, "INFO Generated 1 feature tables")
    assert (runs["shop"].failure, runs["shop"].tables) == ("", 1)


@pytest.mark.parametrize(
    "other", ["INFO MDM logging initialized - x", "INFO Starting registration for dataset 'other'"]
)
def test_what_another_process_or_registration_logs_is_its_own(told: Told, other: str) -> None:
    assert told(BEGIN, other, "ERROR not mine")["shop"].errors == {}


def test_errors_of_custom_features_name_the_dataset(told: Told) -> None:
    runs = told(
        BEGIN,
        "INFO Loading custom features from /home/x/config/custom_features/shop.py",
        "INFO Generated 1 feature tables",
        "INFO MDM logging initialized - x",
        "ERROR Failed to load custom features for shop: bad",
        "ERROR Error in ratios for shop: worse",
        "ERROR Error in ratios for nobody: worst",
    )
    assert runs["shop"].custom == "/home/x/config/custom_features/shop.py"
    assert list(runs["shop"].errors) == [
        "Failed to load custom features for shop: bad",
        "Error in ratios for shop: worse",
    ]


def test_a_generation_without_a_dataset_begins_with_its_table(told: Told) -> None:
    runs = told("INFO Generating features for shop (10 rows)", "ERROR Error generating features for column 'a': bad")
    assert len(runs["shop"].errors) == 1


def test_memory_does_not_grow_with_the_log(told: Told) -> None:
    runs = told(BEGIN, *(f"ERROR error {number}" for number in range(3 * ERRORS_KEPT)))
    assert len(runs["shop"].errors) == ERRORS_KEPT


def test_a_log_that_changed_is_read_again_and_none_tells_nothing(told: Told, tmp_path: Path) -> None:
    assert set(told(BEGIN)) == {"shop"}
    assert set(told(BEGIN, "INFO Generating features for dataset 'other'")) == {"shop", "other"}
    (tmp_path / "mdm.log").unlink()
    assert read_events(tmp_path / "mdm.log").feature_runs == {}
