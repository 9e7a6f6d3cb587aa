"""What to do first is in the order of harm, and says how much more of the same there is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.reports.model import Report

SECTION_OF = {"backup-failure": "1.1", "sqlite-locking": "3.2", "data-corruption": "5.1"}


def found(code: str, target: str, subject: str = "", severity: Severity = Severity.FAIL, became: str = "") -> Result:
    id_ = code.partition(".")[0]
    where = HOME if target == "home" else Target(Kind.DATASET, target)
    finding = Finding(code, severity, f"{subject} is bad", Remedy("mend it"), subject=subject)
    check = Check(id=id_, issue=SECTION_OF[id_], title=id_, per=where.kind)
    status = Status(severity.value)
    return Result(check=check, target=where, status=status, findings=(finding,), baseline=became or None)


def report(*results: Result, phase: str = "any") -> Report:
    started = datetime(2026, 11, 22, tzinfo=timezone.utc)
    return Report(results=results, started_at=started, duration_s=1.0, exit_code=1, home="/srv/mdm", phase=phase)


def codes(made: Report) -> list[str]:
    return [thing.finding.code for thing in made.action_items]


def test_several_subjects_on_one_target_are_counted_there() -> None:
    one, two, three = (found("backup-failure.unreadable", "home", subject) for subject in "abc")
    (thing,) = report(one, two, three).action_items
    assert thing.more == "and 2 more here"


def test_other_targets_are_named_once_each_and_no_more_than_five() -> None:
    results = [found("data-corruption.damaged", name, subject) for name in "abcdefgh" for subject in "xy"]
    (thing,) = report(*results).action_items
    assert thing.more == "and 1 more here; also on b, c, d, e, f and 2 more"


def test_a_single_finding_has_no_more() -> None:
    (thing,) = report(found("data-corruption.damaged", "shop")).action_items
    assert thing.more == ""


def test_failures_precede_warnings_and_data_precedes_the_rest() -> None:
    backup, data = found("backup-failure.no-room", "home"), found("data-corruption.damaged", "shop")
    warning = found("data-corruption.surplus", "shop", severity=Severity.WARN)
    assert codes(report(warning, backup, data)) == [
        "data-corruption.damaged",
        "backup-failure.no-room",
        "data-corruption.surplus",
    ]


def test_before_a_migration_the_backup_comes_first() -> None:
    backup, data = found("backup-failure.no-room", "home"), found("data-corruption.damaged", "shop")
    assert codes(report(data, backup, phase="pre")) == ["backup-failure.no-room", "data-corruption.damaged"]


def test_what_got_worse_since_the_baseline_precedes_the_rest() -> None:
    old = found("data-corruption.damaged", "shop", became="unchanged")
    new = found("sqlite-locking.locked-now", "shop", became="new")
    assert codes(report(old, new)) == ["sqlite-locking.locked-now", "data-corruption.damaged"]


def test_one_loss_of_rows_in_several_counts_is_one_item() -> None:
    told = [found(f"data-corruption.{code}", "shop") for code in ("missing-rows", "row-count", "feature-rows")]
    counted = replace(told[1].findings[0], remedy=Remedy("compare it", ("diff a b",)))
    result = replace(told[0], findings=(*told[0].findings, counted, *told[2].findings))
    (thing,) = report(result, found("data-corruption.row-count", "wine")).action_items
    assert thing.finding.code == "data-corruption.missing-rows"
    assert thing.remedy.commands == ("diff a b",)
    assert thing.more == "and 2 more here; also on wine"


def test_a_command_for_another_target_is_not_shown() -> None:
    other = found("data-corruption.damaged", "wine")
    other = replace(other, findings=(replace(other.findings[0], remedy=Remedy("mend", ("rm wine",))),))
    (thing,) = report(found("data-corruption.damaged", "shop"), other).action_items
    assert thing.remedy == Remedy("mend it")


def test_long_names_of_other_targets_are_shortened() -> None:
    (thing,) = report(*(found("data-corruption.damaged", letter * 200) for letter in "abc")).action_items
    assert thing.more == f"also on {'b' * 39}…, {'c' * 39}…"
