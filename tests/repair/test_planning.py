"""A plan selects by the report, and takes what repairs from an examination of the home itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_mdm_health.core.findings import remedy_of
from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Result, Severity, Status, Target
from pytest_mdm_health.core.verbs import VERBS, Call, Repair
from pytest_mdm_health.repair.planning import make_plan
from pytest_mdm_health.reports.model import Report
from tests.reports.full_report import REPORT

SHOP = Target(Kind.DATASET, "shop")
LOCKING = Check(id="sqlite-locking", issue="3.2", title="locked", per=Kind.DATASET)
SETTINGS = Check(id="config-not-loading", issue="2.1", title="settings", per=Kind.HOME)


def found(code: str, *repairs: Repair, severity: Severity = Severity.FAIL, subject: str = "") -> Finding:
    return Finding(code, severity, "it is broken", remedy_of("Repair it.", repairs), subject=subject)


def result(*findings: Finding, status: Status = Status.FAIL, check: Check = LOCKING, target: Target = SHOP) -> Result:
    return Result(check=check, target=target, status=status, findings=findings)


def report(*results: Result) -> Report:
    return replace(REPORT, results=results)


WAL = found("sqlite-locking.left-over-wal", Repair("checkpoint", "/home/shop.sqlite"))


def test_a_report_from_elsewhere_names_nothing_that_is_done() -> None:
    theirs = found("sqlite-locking.left-over-wal", Repair("set-aside", "/etc/passwd"))
    plan = make_plan(report(result(theirs)), report(result(WAL)))
    assert [step.repair.command for step in plan.steps] == ["mdm-health checkpoint /home/shop.sqlite"]


def test_what_is_gone_is_no_step_and_what_is_new_is_named() -> None:
    other = found("sqlite-locking.foreign-log", Repair("set-aside", "/home/shop.sqlite-wal"))
    plan = make_plan(report(result(WAL)), report(result(other)))
    assert (plan.steps, plan.gone, plan.new) == (
        (),
        ("sqlite-locking.left-over-wal (shop)",),
        ("sqlite-locking.foreign-log (shop)",),
    )


def test_a_warning_of_a_check_that_was_blocked_is_named() -> None:
    """It is no failure of the repair, and the report, which does not have it, cannot repair it."""
    warning = found("sqlite-locking.left-over-wal", severity=Severity.WARN)
    plan = make_plan(report(result(status=Status.BLOCKED)), report(result(warning)))
    assert (plan.steps, plan.new, plan.warned) == ((), (), ("sqlite-locking.left-over-wal (shop)",))


@pytest.mark.parametrize("status", [Status.BLOCKED, Status.ERROR, Status.SKIP])
def test_what_could_not_be_examined_is_not_gone(status: Status) -> None:
    plan = make_plan(report(result(WAL)), report(result(status=status)))
    assert (plan.gone, plan.unknown) == ((), ("sqlite-locking.left-over-wal (shop)",))


def test_steps_are_in_the_order_of_their_verbs() -> None:
    data = found("sqlite-locking.left-over-wal", Repair("checkpoint", "/home/a"), Repair("set-aside", "/home/b"))
    now = report(result(data), result(found("config-not-loading.syntax"), check=SETTINGS, target=HOME))
    plan = make_plan(now, now)
    assert [(step.number, step.repair.verb) for step in plan.steps] == [(1, "set-aside"), (2, "checkpoint")]
    assert [finding.code for _, finding in plan.by_hand] == ["config-not-loading.syntax"]


def test_one_repair_of_two_findings_is_one_step() -> None:
    two = (WAL, replace(WAL, code="sqlite-locking.readers-refused"))
    plan = make_plan(report(result(*two)), report(result(*two)))
    assert len(plan.steps) == 1
    assert len(plan.found) == 2


@pytest.mark.parametrize(
    ("only", "steps"), [("shop", 1), ("sqlite-locking", 1), ("sqlite-locking.left-over-wal", 1), ("wine", 0)]
)
def test_a_plan_can_be_of_one_thing_only(only: str, steps: int) -> None:
    plan = make_plan(report(result(WAL)), report(result(WAL)), [only])
    assert len(plan.steps) == steps


def test_notes_and_waived_findings_are_left_alone() -> None:
    note = found("sqlite-locking.journal-mode", Repair("journal-mode", "/home/a"), severity=Severity.NOTE)
    every = report(result(note, replace(WAL, waiver="known (ann, until 2027-01-01)")))
    assert make_plan(every, every).steps == ()
    assert [step.repair.verb for step in make_plan(every, every, notes=True).steps] == ["journal-mode"]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Call("format-disk", "{file}"),
        lambda: Call("checkpoint", "{file}", ("too-much",)),
        lambda: Call("checkpoint", "{file}", (), (("unknown", "{x}"),)),
    ],
)
def test_a_finding_can_only_name_verbs_as_they_are(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"there is no verb|takes"):
        wrong()


def test_a_command_is_quoted_for_a_shell() -> None:
    repair = Repair("set-aside", "/it's/a b", ("$x",), (("from", "a;b"),))
    assert repair.command == "mdm-health set-aside '/it'\"'\"'s/a b' '$x' '--from=a;b'"


def test_every_verb_has_its_module_and_a_line_of_help() -> None:
    from importlib import import_module

    for name, verb in VERBS.items():
        assert callable(import_module(f"pytest_mdm_health.repair.verbs.{name.replace('-', '_')}").step)
        assert verb.does
        assert verb.place.isupper()
