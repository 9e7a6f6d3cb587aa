"""How each result has changed since an earlier run, decided by codes and targets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mdm_health.baseline.changes_by_code import changes_by_code
from pytest_mdm_health.baseline.file import Baseline
from pytest_mdm_health.baseline.verdicts import compared
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.exit_codes import ExitCode, exit_code
from pytest_mdm_health.core.model import JSON, Check, Finding, Kind, Remedy, Result, Severity, Status, Target, status_of
from pytest_mdm_health.engine.registry import load

CHECK = Check(id="sqlite-locking", issue="3.2", title="locked", per=Kind.DATASET)
SHOP = Target(Kind.DATASET, "shop")
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

NO_CHANGES = {"data-corruption.incomparable", "metadata-corruption.not-done"}
"""About the baseline as such, or about a plan that was not carried out."""


def finding(severity: Severity, code: str = "held", subject: str = "", message: str = "held") -> Finding:
    return Finding(f"{CHECK.id}.{code}", severity, message, Remedy("wait"), subject=subject)


def result(*findings: Finding, status: Status | None = None, was_run: bool = True) -> Result:
    status = status or status_of(findings)
    return Result(check=CHECK, target=SHOP, status=status, findings=findings, examined=1, duration_s=float(was_run))


LOST_COLUMN = "data-corruption.dropped-columns"
"""A known change: something of the dataset was removed."""
GOOD, SKIP, ERROR = result(), result(status=Status.SKIP), result(status=Status.ERROR)
WAIVED = result(finding(WARN), status=Status.WAIVED)
CASES = {
    "good and good": (GOOD, GOOD, "unchanged"),
    "good and bad": (GOOD, result(finding(FAIL)), "new"),
    "good and warned": (GOOD, result(finding(WARN)), "new"),
    "good with advice": (GOOD, result(finding(NOTE)), "unchanged"),
    "bad and good": (result(finding(FAIL)), GOOD, "fixed"),
    "bad and only noted": (result(finding(FAIL)), result(finding(NOTE)), "unchanged"),
    "bad and gone": (result(finding(FAIL)), result(replace(finding(NOTE), code=LOST_COLUMN)), "unchanged"),
    "bad and partly good": (
        result(finding(FAIL, subject="a"), finding(FAIL, subject="b")),
        result(finding(NOTE, subject="b")),
        "unchanged",
    ),
    "bad and blocked": (result(finding(FAIL)), result(status=Status.BLOCKED), "lost"),
    "bad and bad": (result(finding(FAIL)), result(finding(FAIL, message="in other words")), "unchanged"),
    "warned and bad": (result(finding(WARN)), result(finding(FAIL)), "worse"),
    "bad and warned": (result(finding(FAIL)), result(finding(WARN)), "unchanged"),
    "bad and bad elsewhere": (result(finding(FAIL, subject="a")), result(finding(FAIL, subject="b")), "worse"),
    "bad and worse": (result(finding(FAIL)), result(finding(FAIL), finding(FAIL, "other")), "worse"),
    "twice bad and once": (result(finding(FAIL), finding(FAIL, "other")), result(finding(FAIL)), "unchanged"),
    "good and not examined": (GOOD, SKIP, "lost"),
    "bad and broken": (result(finding(FAIL)), ERROR, "lost"),
    "good and does not apply": (GOOD, result(status=Status.SKIP, was_run=False), "removed"),
    "not examined twice": (SKIP, ERROR, "unchanged"),
    "not examined and good": (SKIP, GOOD, "added"),
    "not examined and bad": (ERROR, result(finding(WARN)), "new"),
    "unknown and good": (None, GOOD, "added"),
    "unknown and bad": (None, result(finding(FAIL)), "new"),
    "waived and bad": (WAIVED, result(finding(WARN)), "unchanged"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_result_has_the_word_for_what_became_of_it(name: str) -> None:
    before, after, word = CASES[name]
    (told,), comparison = compared(Baseline(results=(before,) if before else ()), (after,), "/home")
    assert told.baseline == word
    assert comparison.counts == {word: 1}
    assert comparison.regressions == (word in {"new", "worse"})
    assert comparison.lost == (word == "lost")


def test_a_result_only_in_the_earlier_run_was_not_requested() -> None:
    _, comparison = compared(Baseline(results=(GOOD,)), (), "/home")
    assert (comparison.counts, comparison.changes, comparison.unasked) == ({}, (), 1)


def test_what_was_not_examined_before_is_not_better_or_worse() -> None:
    _, comparison = compared(Baseline(results=(ERROR,)), (GOOD,), "/home")
    assert comparison.unknown == ("sqlite-locking [shop] could not be examined when the baseline was recorded",)
    assert compared(Baseline(results=(SKIP,)), (GOOD,), "/home")[1].unknown == ()


def test_a_table_that_was_not_compared_is_not_better_or_worse() -> None:
    data = Check(id="data-corruption", issue="5.1", title="data", per=Kind.DATASET)
    tables: list[JSON] = [{"table": "a", "verdict": "equal"}, {"table": "b", "verdict": "not-compared"}]
    before = Result(check=data, target=SHOP, status=Status.PASS, examined=1)
    after = replace(before, facts={"changes": tables})
    _, comparison = compared(Baseline(results=(before,)), (after,), "/home")
    assert comparison.unknown == ("data-corruption [shop]: the table b was not compared",)


def test_what_only_the_earlier_of_two_whole_runs_had_is_removed() -> None:
    results, comparison = compared(Baseline(results=(GOOD,)), (), "/home", whole=True)
    assert results == ()
    assert comparison.counts == {"removed": 1}
    assert comparison.changes[0].change is Change.REMOVED


def test_a_home_that_moved_is_the_same_home() -> None:
    before, after = (result(finding(WARN, subject=f"{home}/config/x.yaml")) for home in ("/old/mdm", "/new"))
    (told,), comparison = compared(Baseline(results=(before,), home="/old/mdm"), (after,), "/new")
    assert told.baseline == "unchanged"
    assert comparison.moved


def test_findings_that_came_and_went_are_listed_one_by_one() -> None:
    before = result(finding(FAIL, "gone", "t"), finding(WARN, "stays"))
    after = result(finding(FAIL, "stays"), finding(WARN, "came"))
    _, comparison = compared(Baseline(results=(before,)), (after,), "/home")
    told = {(each.change.value, each.code, each.subject) for each in comparison.changes}
    assert told == {
        ("worse", "sqlite-locking.stays", ""),
        ("new", "sqlite-locking.came", ""),
        ("fixed", "sqlite-locking.gone", "t"),
    }


@pytest.mark.parametrize(
    ("after", "word", "code"),
    [
        (result(finding(FAIL)), "unchanged", ExitCode.HEALTHY),
        (result(finding(FAIL)), "worse", ExitCode.UNHEALTHY),
        (result(finding(WARN)), "new", ExitCode.UNHEALTHY),
        (result(finding(WARN), status=Status.WAIVED), "new", ExitCode.HEALTHY),
        (GOOD, "fixed", ExitCode.HEALTHY),
    ],
)
def test_a_run_that_fails_on_regressions_is_red_for_those_only(after: Result, word: str, code: ExitCode) -> None:
    assert exit_code([replace(after, baseline=word)], fail_on="regression") is code


def test_what_is_no_longer_examined_is_neither_worse_nor_well() -> None:
    lost = replace(SKIP, baseline="lost")
    assert exit_code([GOOD, lost], fail_on="regression") is ExitCode.INCONCLUSIVE
    assert exit_code([GOOD, lost]) is ExitCode.HEALTHY


def test_every_code_of_a_change_is_one_that_a_check_can_find() -> None:
    known = {f"{id_}.{code}" for id_, each in load().items() for code in each.documentation.findings}
    assert set(changes_by_code()) <= known


def test_every_code_that_needs_a_baseline_is_told_as_a_change() -> None:
    """Its documentation says that it is about the baseline; what was planned is told by the plan."""
    about = {
        f"{id_}.{code}"
        for id_, each in load().items()
        for code, text in each.documentation.findings.items()
        if "baseline" in text
    }
    assert about - set(changes_by_code()) <= NO_CHANGES
