"""7.2 against a baseline: what a registration said once and does not say any more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mdm_health.core.expected import Expected, ExpectedDataset
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.conftest import HOMES
from tests.helpers import follow
from tests.registrations import json_copy_file, said, yaml_file

CHECK = "metadata-corruption"
LOST, CHANGED = "metadata-corruption.lost-field", "metadata-corruption.changed-field"
Examine = Callable[..., Result]
NAMES = ("big", "breast_cancer", "shop", "wine")


def copies(home: Path, name: str = "breast_cancer") -> tuple[Path, Path]:
    return yaml_file(home, name), json_copy_file(home, name)


def change(home: Path, name: str = "breast_cancer", /, **fields: object) -> None:
    """Give fields other values, in both copies."""
    for file in copies(home, name):
        data = {**said(file), **fields}
        file.write_text(json.dumps(data, default=str) if file.suffix == ".json" else yaml.safe_dump(data))


def changes(result: Result) -> list[tuple[str, str, Severity]]:
    return [(each.code, each.subject, each.severity) for each in result.findings if each.code in {LOST, CHANGED}]


def the(result: Result, subject: str) -> Finding:
    (found,) = (each for each in result.findings if each.code in {LOST, CHANGED} and each.subject == subject)
    return found


METADATA = {"datetime_columns": ["f03", "f04"], "owner": "Ann", "statistics": {"row_count": 569}}


@pytest.fixture
def everything(home: Path) -> Path:
    """A home with a dataset that has a value in every field."""
    columns = {"time_column": "f00", "group_column": "f01", "id_columns": ["id", "f02"]}
    texts = {"tags": ["real", "small"], "description": "cells", "display_name": "Cells", "source": "raw/x"}
    change(home, **columns, **texts, version="2.1.0", metadata=METADATA, team="Ann", limits=[1, 2])
    return home


LOSSES: dict[str, tuple[dict[str, object], list[tuple[str, str, Severity]]]] = {
    "target": ({"target_column": None}, [(LOST, "target_column", Severity.FAIL)]),
    "another target": ({"target_column": "f02"}, [(LOST, "target_column", Severity.FAIL)]),
    "time": ({"time_column": None}, [(LOST, "time_column", Severity.FAIL)]),
    "group": ({"group_column": ""}, [(LOST, "group_column", Severity.FAIL)]),
    "ids": ({"id_columns": []}, [(LOST, "id_columns", Severity.FAIL)]),
    "one of the ids": ({"id_columns": ["id"]}, [(LOST, "id_columns", Severity.FAIL)]),
    "another id": ({"id_columns": ["id", "f02", "target"]}, [(CHANGED, "id_columns", Severity.WARN)]),
    "ids the other way round": ({"id_columns": ["f02", "id"]}, []),
    "problem type": ({"problem_type": None}, [(CHANGED, "problem_type", Severity.WARN)]),
    "another problem type": ({"problem_type": "regression"}, [(CHANGED, "problem_type", Severity.WARN)]),
    "tags": ({"tags": []}, [(CHANGED, "tags", Severity.WARN)]),
    "other tags": ({"tags": ["new"]}, [(CHANGED, "tags", Severity.WARN)]),
    "tags the other way round": ({"tags": ["small", "real"]}, []),
    "another description": ({"description": "cell"}, [(CHANGED, "description", Severity.WARN)]),
    "another display name": ({"display_name": "CELLS"}, [(CHANGED, "display_name", Severity.WARN)]),
    "another source": ({"source": "raw/y"}, [(CHANGED, "source", Severity.WARN)]),
    "the source by its whole path": ({"source": "/home/ml/raw/x"}, []),
    "a date column": (
        {"metadata": {**METADATA, "datetime_columns": ["f03"]}},
        [(CHANGED, "metadata.datetime_columns", Severity.WARN)],
    ),
    "date columns the other way round": ({"metadata": {**METADATA, "datetime_columns": ["F04", "f03"]}}, []),
    "statistics": ({"metadata": {**METADATA, "statistics": {"row_count": 1}}}, []),
    "what MDM does not know": ({"team": "Ben"}, [(CHANGED, "team", Severity.WARN)]),
    "numbers as text": ({"limits": ["1", "2"]}, []),
    "something of the metadata": (
        {"metadata": {name: value for name, value in METADATA.items() if name != "owner"}},
        [(CHANGED, "metadata.owner", Severity.WARN)],
    ),
    "a role": ({"tables": {"data": "breast_cancer"}}, [(CHANGED, "tables", Severity.WARN)]),
    "something new": ({"review": "done"}, [(CHANGED, "review", Severity.WARN)]),
    "dates": ({"registered_at": "2026-11-28T10:00:00", "last_updated_at": "2026-11-29T10:00:00"}, []),
    "description": ({"description": None}, [(CHANGED, "description", Severity.WARN)]),
    "source": ({"source": None}, [(CHANGED, "source", Severity.WARN)]),
    "version": ({"version": "1.10.0"}, [(CHANGED, "version", Severity.WARN)]),
    "a later version": ({"version": "2.10.0"}, []),
    "the same version, shorter": ({"version": "2.1"}, []),
    "a version that is none": ({"version": "latest"}, []),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_lost_since_the_baseline_is_told_and_gone_when_it_is_put_right(
    everything: Path, examine: Examine, name: str
) -> None:
    fields, expected = LOSSES[name]
    before = examine(CHECK, everything, "breast_cancer")
    kept = [file.read_bytes() for file in copies(everything)]
    change(everything, **fields)
    result = examine(CHECK, everything, "breast_cancer", before=before)
    assert changes(result) == expected
    for _, subject, severity in expected:
        assert the(result, subject).remedy.commands == ()
        assert "backup" in the(result, subject).remedy.text
        assert result.status is (Status.FAIL if severity is Severity.FAIL else Status.WARN)
    assert changes(examine(CHECK, everything, "breast_cancer")) == []
    for file, content in zip(copies(everything), kept, strict=True):
        file.write_bytes(content)
    assert changes(examine(CHECK, everything, "breast_cancer", before=before)) == []


def test_a_dataset_that_was_registered_again_without_its_options_has_lost_all_of_them(
    everything: Path, examine: Examine
) -> None:
    before = examine(CHECK, everything, "breast_cancer")
    nothing = {"target_column": None, "time_column": None, "group_column": None, "problem_type": None}
    change(everything, **nothing, id_columns=[], tags=[], description=None, version="1.0.0")
    result = examine(CHECK, everything, "breast_cancer", before=before)
    lost = {subject for code, subject, _ in changes(result) if code == LOST}
    assert lost == {"target_column", "time_column", "group_column", "id_columns"}
    changed = {subject for code, subject, _ in changes(result) if code == CHANGED}
    assert changed == {"problem_type", "tags", "description", "version"}
    assert "named 'target' in the baseline" in the(result, "target_column").message


def test_a_lost_target_does_not_keep_the_data_and_its_features_from_being_examined(
    home: Path, examine: Examine
) -> None:
    before = examine(CHECK, home, "shop")
    change(home, "shop", target_column=None)
    assert examine(CHECK, home, "shop", before=before).status is Status.FAIL
    for other in ("data-corruption", "feature-generation-failure", "type-mismatch"):
        assert examine(other, home, "shop").status is not Status.BLOCKED


@pytest.mark.parametrize(("before", "after"), list(permutations(HOMES, 2)))
def test_real_migrations_have_lost_nothing(
    make_home: Callable[..., Path], examine: Examine, before: str, after: str
) -> None:
    old, new = make_home(before, "before"), make_home(after, "after")
    for name in NAMES:
        assert changes(examine(CHECK, new, name, before=examine(CHECK, old, name))) == [], name


def test_the_json_copy_alone_is_compared_too(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    yaml_copy, json_copy = copies(home, "wine")
    yaml_copy.unlink()
    assert changes(examine(CHECK, home, "wine", before=before)) == []
    json_copy.write_text(json.dumps({**said(json_copy), "target_column": None}))
    assert changes(examine(CHECK, home, "wine", before=before)) == [(LOST, "target_column", Severity.WARN)]
    only = examine(CHECK, home, "wine")
    json_copy.write_text(json.dumps({**said(json_copy), "id_columns": []}))
    assert changes(examine(CHECK, home, "wine", before=only)) == [(LOST, "id_columns", Severity.FAIL)]


def test_a_pointer_is_compared_too(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    yaml_copy, _ = copies(home, "wine")
    pointed = home / "datasets/wine/dataset.yaml"
    shutil.copy(yaml_copy, pointed)
    yaml_copy.write_text(f"path: {home}/datasets/wine\n")
    assert changes(examine(CHECK, home, "wine", before=before)) == []
    pointed.write_text(yaml.safe_dump({**said(pointed), "target_column": None}))
    result = examine(CHECK, home, "wine", before=before)
    assert changes(result) == [(LOST, "target_column", Severity.FAIL)]
    assert str(pointed) in the(result, "target_column").remedy.text


def test_a_flat_registration_has_no_such_fields_to_lose(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    yaml_copy, _ = copies(home, "wine")
    flat = {"name": "wine", "path": f"{home}/datasets/wine/wine.sqlite", "backend": "sqlite"}
    yaml_copy.write_text(yaml.safe_dump({**flat, "created_at": "2026-11-22", "version": "0.1.0"}))
    result = examine(CHECK, home, "wine", before=before)
    assert (result.status, changes(result)) == (Status.PASS, [])


@pytest.mark.parametrize("text", ["name: [", ""])
def test_a_registration_that_cannot_be_read_has_not_lost_single_fields(home: Path, examine: Examine, text: str) -> None:
    before = examine(CHECK, home, "wine")
    yaml_copy, json_copy = copies(home, "wine")
    yaml_copy.write_text(text)
    json_copy.unlink()
    result = examine(CHECK, home, "wine", before=before)
    assert (result.status, changes(result)) == (Status.FAIL, [])


def test_a_dataset_of_another_name_has_lost_nothing(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    for file in copies(home, "wine"):
        file.write_text(file.read_text().replace("datasets/wine", "datasets/port").replace("name: wine", "name: port"))
    (home / "datasets/wine").rename(home / "datasets/port")
    copies(home, "wine")[0].rename(copies(home, "port")[0])
    assert changes(examine(CHECK, home, "port")) == changes(examine(CHECK, home, "wine", before=before)) == []


def test_a_baseline_that_does_not_have_these_fields_yet_says_nothing_false(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    assert "recorded" in before.kept
    older = replace(before, kept={}, facts=without(before.facts, "recorded", "plan", "right_path"))
    change(home, "wine", tags=[], problem_type=None)
    assert changes(examine(CHECK, home, "wine", before=older)) == []


def without(facts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if name not in names}


def test_nothing_that_a_person_wrote_is_kept_for_the_comparison(everything: Path, examine: Examine) -> None:
    result = examine(CHECK, everything, "breast_cancer")
    assert not any(word in str(result.kept) for word in ("cells", "Cells", "Ann", "small"))
    assert "recorded" not in result.facts


PLANNED = {
    "renamed": ExpectedDataset(renamed={"breast_cancer": {"target": "diagnosis"}}),
    "renamed in every table": ExpectedDataset(renamed={"*": {"target": "diagnosis"}}),
}


@pytest.mark.parametrize("plan", PLANNED)
def test_a_target_whose_column_is_meant_to_be_renamed_is_not_lost(home: Path, examine: Examine, plan: str) -> None:
    before = examine(CHECK, home, "breast_cancer")
    expected = Expected(given=True, datasets={"breast_cancer": PLANNED[plan]})
    for target, lost in {"target": False, "diagnosis": False, "other": True}.items():
        change(home, target_column=target)
        assert bool(changes(examine(CHECK, home, "breast_cancer", before=before, expected=expected))) is lost


def test_a_target_whose_column_is_meant_to_go_is_not_lost(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "breast_cancer")
    change(home, target_column=None)
    planned = ExpectedDataset(dropped={"breast_cancer": ("target",)})
    expected = Expected(given=True, datasets={"breast_cancer": planned})
    assert changes(examine(CHECK, home, "breast_cancer", before=before, expected=expected)) == []
    assert changes(examine(CHECK, home, "breast_cancer", before=before)) != []


def test_a_column_that_the_baseline_does_not_name_is_a_warning(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "breast_cancer")
    change(home, time_column="f00")
    assert changes(examine(CHECK, home, "breast_cancer", before=before)) == [(CHANGED, "time_column", Severity.WARN)]


LOCATED: dict[str, dict[str, object]] = {
    "tags": {"tags": ["new"]},
    "description": {"description": "new"},
    "team": {"team": "Ben"},
    "metadata.datetime_columns": {"metadata": {**METADATA, "datetime_columns": ["f05"]}},
}


@pytest.mark.parametrize("field", LOCATED)
def test_a_changed_field_is_reported_where_it_is(everything: Path, examine: Examine, field: str) -> None:
    before = examine(CHECK, everything, "breast_cancer")
    change(everything, **LOCATED[field])
    location = the(examine(CHECK, everything, "breast_cancer", before=before), field).location
    assert location is not None
    assert location.line is not None
    line = Path(location.file).read_text().splitlines()[location.line - 1]
    assert line.strip().startswith(field.rpartition(".")[2])


def test_what_update_changed_is_not_lost_while_the_json_copy_steps_in(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "shop")
    yaml_copy, json_copy = copies(home, "shop")
    assert said(yaml_copy)["description"] != said(json_copy)["description"]
    yaml_copy.write_text("name: [")
    assert changes(examine(CHECK, home, "shop", before=before)) == []
    json_copy.write_text(json.dumps({**said(json_copy), "description": "something else"}))
    assert changes(examine(CHECK, home, "shop", before=before)) == [(CHANGED, "description", Severity.WARN)]


def planned(plan: ExpectedDataset) -> Expected:
    return Expected(given=True, datasets={"breast_cancer": plan})


NOT_DONE = f"{CHECK}.not-done"
PLANS: dict[str, tuple[dict[str, Any], dict[str, object], list[tuple[str, str]]]] = {
    "a value": ({"registration": {"tags": ["new"]}}, {"tags": ["new"]}, []),
    "a value that it did not get": ({"registration": {"tags": ["new"]}}, {}, [(NOT_DONE, "tags")]),
    "another value": ({"registration": {"tags": ["new"]}}, {"tags": ["odd"]}, [(NOT_DONE, "tags")]),
    "a target": ({"registration": {"target_column": "f02"}}, {"target_column": "f02"}, []),
    "another target": (
        {"registration": {"target_column": "f02"}},
        {"target_column": "f05"},
        [(NOT_DONE, "target_column")],
    ),
    "no target": ({"registration": {"target_column": None}}, {"target_column": None}, []),
    "ids": ({"registration": {"id_columns": ["f02"]}}, {"id_columns": ["f02"]}, []),
    "a version": ({"registration": {"version": "1.0.0"}}, {"version": "1.0.0"}, []),
    "a problem type": ({"registration": {"problem_type": "regression"}}, {"problem_type": "regression"}, []),
    "metadata": (
        {"registration": {"metadata.owner": "Ben"}},
        {"metadata": {**METADATA, "owner": "Ben"}},
        [],
    ),
    "any value": ({"changed_fields": ("description",)}, {"description": "new"}, []),
    "any value, and the same": ({"changed_fields": ("description",)}, {}, [(NOT_DONE, "description")]),
    "a later version": ({"changed_fields": ("version",)}, {"version": "3.0.0"}, []),
    "any target": ({"changed_fields": ("target_column",)}, {"target_column": "f02"}, []),
    "something else": ({"changed_fields": ("team",)}, {"team": "Ben", "source": "raw/y"}, [(CHANGED, "source")]),
    "a renamed date column": (
        {"renamed": {"breast_cancer": {"f03": "when"}}},
        {"metadata": {**METADATA, "datetime_columns": ["when", "f04"]}},
        [],
    ),
    "a dropped date column": (
        {"dropped": {"breast_cancer": ("f03",)}},
        {"metadata": {**METADATA, "datetime_columns": ["f04"]}},
        [],
    ),
    "a table": ({"added_tables": ("notes",)}, {"tables": {"breast_cancer": "breast_cancer", "notes": "notes"}}, []),
    "nothing": ({}, {"description": "new", "target_column": None}, [(LOST, "target_column"), (CHANGED, "description")]),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_allows_what_it_names_and_demands_it(everything: Path, examine: Examine, name: str) -> None:
    plan, fields, expected = PLANS[name]
    data = said(copies(everything)[0])
    change(everything, feature_tables={}, tables={"breast_cancer": data["tables"]["breast_cancer"]})
    before = examine(CHECK, everything, "breast_cancer")
    change(everything, **fields)
    result = examine(CHECK, everything, "breast_cancer", before=before, expected=planned(ExpectedDataset(**plan)))
    found = [each for each in result.findings if each.code in {LOST, CHANGED, NOT_DONE}]
    assert sorted((each.code, each.subject) for each in found) == sorted(expected)
    assert {each.severity for each in found} <= {Severity.FAIL}


def test_a_planned_value_needs_no_baseline(home: Path, examine: Examine) -> None:
    expected = planned(ExpectedDataset(registration={"description": "new"}))
    result = examine(CHECK, home, "breast_cancer", expected=expected)
    (finding,) = (each for each in result.findings if each.code == NOT_DONE)
    assert finding.subject == "description"
    right = said(yaml_file(home, "breast_cancer"))
    follow(finding)
    assert said(yaml_file(home, "breast_cancer")) == {**right, "description": "new"}
    assert examine(CHECK, home, "breast_cancer", expected=expected).status is Status.PASS
