"""The answer to what a run was to decide: a yes needs everything that it depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mdm_health.core.model import Kind, Result, Status, Target
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.reports.decision import answer
from pytest_mdm_health.reports.model import Report
from tests.reports.full_report import REPORT


def result(check: str, target: Target, status: Status = Status.PASS) -> Result:
    return Result(check=load()[check].check, target=target, status=status, reason="", examined=1)


HOME, SHOP = Target(Kind.HOME, "home"), Target(Kind.DATASET, "shop")
BACKUP, DATA = result("backup-failure", HOME), result("data-corruption", SHOP)


def report(*results: Result, phase: str, baseline: bool = False) -> Report:
    comparison = replace(REPORT.comparison, regressions=0, lost=0) if REPORT.comparison and baseline else None
    return replace(REPORT, results=results, phase=phase, exit_code=0, comparison=comparison, gaps=(), not_selected=())


@pytest.mark.parametrize(
    ("phase", "results", "word", "says"),
    [
        ("pre", (BACKUP, DATA), "yes", "in order"),
        ("pre", (DATA,), "not known", "Whether there is a backup to go back to was not examined"),
        ("pre", (replace(BACKUP, status=Status.SKIP), DATA), "not known", "run backup-failure too"),
        ("pre", (replace(BACKUP, status=Status.WAIVED), DATA), "not known", "run backup-failure too"),
        ("pre", (BACKUP,), "not known", "No dataset was examined"),
        ("pre", (BACKUP, replace(DATA, status=Status.SKIP)), "not known", "No dataset was examined"),
        ("pre", (BACKUP, replace(DATA, status=Status.WARN)), "with care", "at risk"),
        ("any", (BACKUP, DATA), "not asked", "No problem was found. Whether a migration may begin was not asked"),
        ("any", (BACKUP,), "not asked", "No problem was found"),
        ("post", (BACKUP, DATA), "with care", "Whether the migration altered data is unknown"),
        ("post", (BACKUP,), "not known", "No dataset was examined"),
    ],
)
def test_the_answer_is_what_was_examined(phase: str, results: tuple[Result, ...], word: str, says: str) -> None:
    said = answer(report(*results, phase=phase))
    assert said.word == word
    assert says in said.reason


def test_with_a_baseline_a_migrated_home_may_go_into_service() -> None:
    assert answer(report(BACKUP, DATA, phase="post", baseline=True)).word == "yes"


def test_a_yes_for_part_of_the_home_says_of_which_part() -> None:
    part = replace(report(BACKUP, DATA, phase="pre"), not_selected=("2 datasets not examined: big, wine",))
    said = answer(part)
    assert said.word == "yes, as far as selected"
    assert said.reason == "Everything that was examined is in order. 2 datasets not examined: big, wine."
    assert said.headline.startswith("Healthy in what was selected: ")
    assert "2 datasets not examined" in answer(replace(part, phase="any")).reason


def test_a_quick_look_at_a_backup_is_no_yes() -> None:
    quick = replace(report(BACKUP, DATA, phase="pre"), depth="quick")
    assert answer(quick).word == "not known"
    assert "not at --mdm-depth=quick" in answer(quick).reason
