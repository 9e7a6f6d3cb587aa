"""The exit code follows from the statuses alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mdm_health.core.exit_codes import exit_code, verdict
from pytest_mdm_health.core.model import HOME, Check, Kind, Remedy, Result, Severity, Status, Target

CHECK = Check(id="made-up", issue="1.1", title="Made up", per=Kind.HOME)


def results(*statuses: str) -> list[Result]:
    return [Result(check=CHECK, target=HOME, status=Status(status)) for status in statuses]


@pytest.mark.parametrize(
    ("statuses", "code", "word"),
    [
        (["pass"], 0, "healthy"),
        (["pass", "skip"], 0, "healthy"),
        (["pass", "skip", "blocked"], 11, "inconclusive"),
        (["pass", "waived"], 0, "healthy"),
        (["pass", "warn"], 0, "degraded"),
        (["pass", "warn", "fail", "error"], 1, "unhealthy"),
        (["pass", "warn", "error"], 11, "inconclusive"),
        (["skip"], 11, "inconclusive"),
        (["blocked", "skip"], 11, "inconclusive"),
        ([], 11, "inconclusive"),
    ],
)
def test_the_worst_status_decides(statuses: list[str], code: int, word: str) -> None:
    assert (exit_code(results(*statuses)), verdict(results(*statuses))) == (code, word)


@pytest.mark.parametrize(("statuses", "code"), [(["pass", "warn"], 10), (["warn", "fail"], 1), (["pass"], 0)])
def test_warnings_have_a_code_of_their_own_when_asked_for(statuses: list[str], code: int) -> None:
    assert exit_code(results(*statuses), fail_on="warn") == code


@pytest.mark.parametrize("status", ["skip", "blocked", "error"])
def test_strict_counts_what_was_not_examined_as_failed(status: str) -> None:
    assert exit_code(results("pass", status), strict=True) == 1


def blocked_by(cause: Result) -> Result:
    target = Target(Kind.DATASET, "shop")
    return Result(check=CHECK, target=target, status=Status.BLOCKED, blocked_by=cause.node_id)


@pytest.mark.parametrize(
    ("cause", "code", "word"),
    [("fail", 1, "unhealthy"), ("waived", 0, "healthy"), ("warn", 0, "degraded"), ("error", 11, "inconclusive")],
)
def test_what_is_blocked_counts_as_its_cause_does(cause: str, code: int, word: str) -> None:
    (failed,) = results(cause)
    found = CHECK.finding("broken", Severity.FAIL, "it is broken", Remedy("Repair it."))
    every = [replace(failed, findings=(found,)), blocked_by(failed)]
    assert (exit_code(every), verdict(every)) == (code, word)


def test_what_is_blocked_by_an_unknown_cause_was_not_examined() -> None:
    (failed,), (passed,) = results("fail"), results("pass")
    other = replace(passed, check=replace(CHECK, id="another"))
    assert exit_code([other, blocked_by(failed)]) == 11


def test_what_a_mark_skipped_was_not_examined() -> None:
    assert exit_code(results("waived")) == 11
