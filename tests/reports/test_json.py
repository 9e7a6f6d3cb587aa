"""The JSON document is what its schema says, keeps all of a run, and does not change by accident."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_mdm_health.core.model import Remedy, Result, Status
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.reports.json import load as json_load
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.json import schema as json_schema
from pytest_mdm_health.reports.model import Report
from tests.reports.full_report import REPORT, RESULTS

GOLDEN = Path(__file__).parent / "golden" / "mdm-health-2.json"
EARLIER = GOLDEN.with_name("mdm-health-1.json")
"""The same run as version 1 wrote it, which had data tables in facts, and what was not run in reasons only."""
PUBLISHED = Path(json_schema.__file__).parent / "results.schema.json"
SCHEMA: dict[str, Any] = json.loads(PUBLISHED.read_text(encoding="utf-8"))


def fits(text: str) -> dict[str, Any]:
    """The document, if it is strict JSON and what the published schema says."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    return document


def test_the_published_schema_is_made_from_the_types() -> None:
    made = json_schema.text()
    assert PUBLISHED.read_text(encoding="utf-8") == made, "mdm-health schema > results.schema.json"


def test_the_schema_describes_everything_and_leaves_nothing_open() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    objects = [SCHEMA, *(each for name, each in SCHEMA["$defs"].items() if name != "JsonValue")]
    for each in objects:
        assert each["title"]
        assert each["description"]
        assert each["additionalProperties"] is False
        assert set(each["properties"]) - set(each["required"]) <= {"facts", "repairs"}
        assert all(part["description"].endswith(".") for part in each["properties"].values())


def test_version_2_is_what_it_was() -> None:
    assert json_report.render(REPORT) == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_report_uses_every_field_and_status() -> None:
    assert {result.status for result in RESULTS} == set(Status)
    not_in_json = {"kept"}  # and facts only where they are asked for
    for field in fields(Result):
        values = [getattr(result, field.name) for result in RESULTS]
        assert field.name in not_in_json or any(value not in (None, "", (), {}) for value in values), field.name
    assert all(getattr(REPORT, field.name) for field in fields(Report))


def test_what_can_be_repaired_is_read_back() -> None:
    verb = Repair("set-aside", "/home/it's", (), (("saved", "/a b"),))
    result = RESULTS[0]
    finding = replace(result.findings[0], remedy=Remedy("Do it.", (verb.command,), (verb,)))
    report = replace(REPORT, results=(replace(result, findings=(finding,)),))
    assert json_load.load(fits(json_report.render(report))).results[0].findings == (finding,)


def test_reading_it_back_gives_the_same_run() -> None:
    text = GOLDEN.read_text(encoding="utf-8")
    without_facts = tuple(replace(each, facts={}) for each in RESULTS)
    assert json_load.load(fits(text)) == replace(REPORT, results=without_facts)


def test_facts_are_in_it_only_where_they_are_asked_for() -> None:
    with_facts = fits(json_report.render(REPORT, facts=True))
    assert with_facts["results"][0]["facts"] == {"keys": 12, "ratio": 0.5, "names": ["a", None]}
    assert json_load.load(with_facts) == REPORT
    assert not any("facts" in result for result in fits(json_report.render(REPORT))["results"])


def test_version_1_is_read_as_the_same_run() -> None:
    assert REPORT.comparison
    expected = replace(REPORT, comparison=replace(REPORT.comparison, tables=()), not_run=0, ignored=(), not_selected=())
    assert json_load.load(json.loads(EARLIER.read_text(encoding="utf-8"))) == expected


def test_the_data_tables_of_version_1_are_read_from_its_facts() -> None:
    document = json.loads(EARLIER.read_text(encoding="utf-8"))
    one, another = document["results"][1], document["results"][3]
    change = {"table": "train", "verdict": "differs", "by": "digest", "rows_before": 158, "rows_after": 150}
    one |= {"check": "data-corruption", "facts": {"changes": [{**change, "reader": "adbc", "packed": ""}]}}
    another |= {"reason": "not run: the run stopped before it"}
    report = json_load.load(document)
    assert REPORT.comparison
    assert report.comparison
    assert report.comparison.tables == REPORT.comparison.tables[:1]
    assert report.not_run == 1


def test_numbers_and_names_that_json_cannot_hold_are_written() -> None:
    odd = replace(RESULTS[0], facts={"mean": math.nan, "most": [math.inf], "n\udcffme": "\udcff"}, reason="a\udcffb")
    text = json_report.render(replace(REPORT, results=(odd,)), facts=True)
    document = fits(text.encode("utf-8").decode("utf-8"))
    assert document["results"][0]["facts"] == {"mean": "nan", "most": ["inf"], "n\udcffme": "\udcff"}
    assert json_load.load(document).results[0].reason == "a\udcffb"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "mdm-health/3"}, "it is no mdm-health/2 document but 'mdm-health/3'"),
        ({"home": 7}, "home: Input should be a valid string"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"started_at": "yesterday"}, "started_at: Value error, Invalid isoformat string: 'yesterday'"),
        ({"results": [{}]}, "results.0.check: Field required"),
    ],
)
def test_a_document_that_does_not_fit_is_refused_on_one_line(change: dict[str, object], said: str) -> None:
    document = {**json.loads(GOLDEN.read_text(encoding="utf-8")), **change}
    with pytest.raises(json_load.NoDocument) as caught:
        json_load.load(document)
    assert str(caught.value) == said


def _real(_home: Path) -> None:
    """As it is."""


def _damaged(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    database = home / "datasets" / "wine" / "wine.sqlite"
    if database.exists():
        database.write_bytes(database.read_bytes()[:5000])
    (home / "mdm.yaml").write_text("database: {default: nothing}\nperformance: .nan\n")


def _fifo(home: Path) -> None:
    registration = home / "config" / "datasets" / "shop.yaml"
    registration.unlink()
    os.mkfifo(registration)


def _odd_names(home: Path) -> None:
    source = (home / "config" / "datasets" / "shop.yaml").read_bytes()
    folder = os.fsencode(home / "config" / "datasets")
    Path(os.fsdecode(folder + b"/b\xffd.yaml")).write_bytes(source)


@pytest.fixture
def ran(pytester: pytest.Pytester, tmp_path: Path) -> Callable[..., str]:
    """Run the suite on a home; return the JSON."""

    def run(home: Path, *options: str) -> str:
        file = tmp_path / "out.json"
        pytester.runpytest_inprocess("--mdm-health", f"--mdm-home={home}", f"--mdm-json={file}", *options)
        return file.read_text(encoding="utf-8")

    return run


@pytest.mark.parametrize(
    "happens", [_real, _damaged, *(pytest.param(each, marks=pytest.mark.slow) for each in (_fifo, _odd_names))]
)
def test_every_run_writes_what_the_schema_says(
    home: Path, ran: Callable[..., str], happens: Callable[[Path], None]
) -> None:
    happens(home)
    document = fits(ran(home))
    assert json.loads(json_report.render(json_load.load(document))) == document


def test_so_do_runs_on_the_other_real_homes(each_home: Path, ran: Callable[..., str]) -> None:
    assert fits(ran(each_home, "--mdm-depth=full"))["results"]


def test_so_does_a_run_on_an_empty_home(tmp_path: Path, ran: Callable[..., str]) -> None:
    (tmp_path / "empty/config/datasets").mkdir(parents=True)
    assert fits(ran(tmp_path / "empty"))["baseline"] is None


def test_so_does_a_run_that_is_compared_with_a_baseline(home: Path, ran: Callable[..., str], tmp_path: Path) -> None:
    ran(home, f"--mdm-save-baseline={tmp_path / 'before.json'}")
    _damaged(home)
    document = fits(ran(home, f"--mdm-baseline={tmp_path / 'before.json'}"))
    assert document["baseline"]["regressions"] > 0
    assert json.loads(json_report.render(json_load.load(document))) == document
