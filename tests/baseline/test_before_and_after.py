"""Whole runs before and after a migration: what is told, and how the run ends."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ARCHIVES, HOMES
from tests.helpers import ALONE_OR_ON_WORKERS, Health, MakeHome, run_health

Record = Callable[..., Path]
Compare = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def record(health: Health, tmp_path: Path) -> Record:
    """Record a baseline of a home, by default with all checks."""

    def run(home: Path, *more: str) -> Path:
        file = tmp_path / f"{home.name}.baseline.json"
        health(f"--mdm-home={home}", f"--mdm-save-baseline={file}", *more)
        assert file.exists()
        return file

    return run


@pytest.fixture
def compare(health: Health, tmp_path: Path) -> Compare:
    """Examine a home and compare it with a baseline: the exit code and the JSON."""

    def run(home: Path, baseline: Path, *more: str) -> tuple[int, dict[str, Any]]:
        out = tmp_path / "after.json"
        result = health(f"--mdm-home={home}", f"--mdm-baseline={baseline}", f"--mdm-json={out}", *more)
        document: dict[str, Any] = json.loads(out.read_text())
        return int(result.ret), document

    return run


def found(document: dict[str, Any], severity: str) -> set[str]:
    """The codes with their targets that were found at a severity."""
    return {
        f"{finding['code']} {result['target']['name']}"
        for result in document["results"]
        for finding in result["findings"]
        if finding["severity"] == severity
    }


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, _unpack: Callable[[Path, Path], Path]) -> Callable[[str], Path]:
    """The baseline of a real home that is not there any more; it is recorded once."""
    folder = tmp_path_factory.mktemp("recorded")

    def get(name: str) -> Path:
        file = folder / f"{name}.json"
        if not file.exists():
            old = _unpack(ARCHIVES[name], folder / "before")
            run_health(old, folder, f"--mdm-save-baseline={file}")
            shutil.rmtree(old)  # a migration leaves nothing behind to look at
        return file

    return get


@pytest.mark.parametrize(("before", "after"), list(permutations(HOMES, 2)))
def test_between_real_homes_only_features_are_lost(
    make_home: MakeHome, recorded: Callable[[str], Path], compare: Compare, before: str, after: str
) -> None:
    code, document = compare(make_home(after, "after"), recorded(before), "--mdm-fail-on=regression")
    old = {"metadata-corruption.field-type shop", "feature-generation-failure.left-out shop"}
    lost = {name.rpartition(" ")[2] for name in found(document, "fail")}
    assert found(document, "fail") == {f"feature-generation-failure.lost-features {name}" for name in lost}
    other_version = before.rpartition("-")[0] != after.rpartition("-")[0]
    assert "shop" in lost or not other_version
    known = old if "0.1.0" in after else {"feature-generation-failure.logged-error shop"}
    if "0.1.0" in before and "0.1.0" in after:  # which records sources as absolute paths, of another folder here
        known |= {f"metadata-corruption.changed-field {name}" for name in ("big", "breast_cancer", "shop", "wine")}
    assert found(document, "warn") == known
    worse = {"feature-generation-failure"} if lost or other_version else set()
    if "0.1.0" in after:
        worse.add("metadata-corruption")
    assert {each["check"] for each in document["results"] if each["baseline"] in {"new", "worse"}} == worse
    assert code == (1 if worse else 0)
    assert document["baseline"]["moved"]
    assert not document["baseline"]["lost"]


@pytest.mark.slow
def test_what_fails_as_it_did_before_is_no_regression(home: Path, record: Record, compare: Compare) -> None:
    (home / "datasets" / "wine" / "wine.sqlite").write_bytes(b"no database")
    baseline = record(home)
    code, document = compare(home, baseline, "--mdm-fail-on=regression")
    assert (document["verdict"], document["baseline"]["regressions"]) == ("unhealthy", 0)
    assert code == 11  # the types of its columns could be examined neither then nor now
    assert compare(home, baseline)[0] == 1


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_dataset_that_vanished_is_a_failure(
    home: Path, recorded: Callable[[str], Path], compare: Compare, workers: tuple[str, ...]
) -> None:
    baseline = recorded("mdm-1.0.6-sqlite")
    (home / "config" / "datasets" / "wine.yaml").unlink()
    shutil.rmtree(home / "datasets" / "wine")
    code, document = compare(home, baseline, *workers)
    assert code == 1
    assert "metadata-corruption.vanished wine" in found(document, "fail")
    statuses = {each["check"]: each["status"] for each in document["results"] if each["target"]["name"] == "wine"}
    assert {status for check, status in statuses.items() if check != "metadata-corruption"} == {"skip"}


def test_a_kept_plan_is_no_failure_but_a_change_beside_it_is(
    home: Path, recorded: Callable[[str], Path], compare: Compare, tmp_path: Path
) -> None:
    baseline = recorded("mdm-1.0.6-sqlite")
    (home / "config" / "datasets" / "wine.yaml").unlink()
    shutil.rmtree(home / "datasets" / "wine")
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({"schema": "mdm-expectations/1", "datasets": {"wine": {"removed": True}}}))
    assert compare(home, baseline, f"--mdm-expect={plan}")[0] == 0
    plan.write_text(yaml.safe_dump({"schema": "mdm-expectations/1", "datasets": {"shop": {"removed": True}}}))
    code, document = compare(home, baseline, f"--mdm-expect={plan}")
    assert code == 1
    assert found(document, "fail") >= {"metadata-corruption.vanished wine", "metadata-corruption.not-done shop"}


def test_a_baseline_without_rows_is_inconclusive_unless_quick(
    health: Health, home: Path, compare: Compare, tmp_path: Path
) -> None:
    baseline = tmp_path / "quick.json"
    chosen = ("--mdm-select=5.1", "--mdm-dataset=shop")
    assert health(f"--mdm-save-baseline={baseline}", "--mdm-depth=quick", *chosen).ret == 0
    code, document = compare(home, baseline, *chosen)
    assert (code, document["verdict"]) == (11, "inconclusive")
    assert compare(home, baseline, "--mdm-depth=quick", *chosen)[0] == 0


def test_a_plan_for_a_dataset_that_there_never_was_is_refused(
    health_here: Health, recorded: Callable[[str], Path], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("schema: mdm-expectations/1\ndatasets: {shpo: {backend: duckdb}}\n")
    result = health_here(f"--mdm-expect={plan}", f"--mdm-baseline={recorded('mdm-1.0.6-sqlite')}")
    assert result.ret == 12
    assert "no dataset matches 'shpo'" in result.stdout.str() + result.stderr.str()


WAIVERS = """\
schema: mdm-waivers/1
waivers:
- {code: metadata-corruption.field-type, target: shop, reason: the old MDM does so, owner: Ada, expires: 2999-01-01}
- {code: feature-generation-failure.left-out, target: shop, reason: so too, owner: Ada, expires: 2999-01-01}
- {code: data-corruption.*, target: shop, reason: none, owner: Ada, expires: 2999-01-01}
- {code: data-corruption.*, target: wine, reason: none, owner: Ada, expires: 2001-01-01}
"""


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_waived_finding_stays_visible_and_makes_nothing_red(
    health: Health, make_home: MakeHome, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    home, waivers, out = make_home("mdm-0.1.0-sqlite", "old"), tmp_path / "waivers.yaml", tmp_path / "out.json"
    waivers.write_text(WAIVERS)
    options = (f"--mdm-home={home}", f"--mdm-waivers={waivers}", f"--mdm-json={out}", "--mdm-fail-on=warn")
    result = health(*options, *workers)
    document = json.loads(out.read_text())
    assert result.ret == 0
    assert document["counts"]["waived"] == 2
    waived = next(each for each in document["results"] if each["waiver"] and each["check"] == "metadata-corruption")
    assert waived["waiver"] == "the old MDM does so (Ada, until 2999-01-01)"
    assert waived["findings"][0]["waiver"] == waived["waiver"]
    assert len(document["waivers"]["expired"]) == len(document["waivers"]["unused"]) == 1


@pytest.mark.slow
def test_drafted_waivers_count_once_somebody_signed_them(health: Health, make_home: MakeHome, tmp_path: Path) -> None:
    home, draft = make_home("mdm-0.1.0-sqlite", "old"), tmp_path / "draft.yaml"
    options = (f"--mdm-home={home}", "--mdm-fail-on=warn")
    assert health(*options, f"--mdm-write-waivers={draft}").ret == 10
    assert health(*options, f"--mdm-waivers={draft}").ret == 12
    draft.write_text(draft.read_text().replace("<fill in>", "Ada"))
    assert health(*options, f"--mdm-waivers={draft}").ret == 0


def test_no_baseline_is_kept_of_a_run_that_was_stopped(health: Health, home: Path, tmp_path: Path) -> None:
    (home / "config" / "datasets" / "big.yaml").write_text("name: [unclosed\n")
    file = tmp_path / "before.json"
    result = health(f"--mdm-save-baseline={file}", "-x")
    assert result.ret == 1
    assert not file.exists()
    result.stdout.fnmatch_lines(["ERROR --mdm-save-baseline: not written, because the run stopped*"])


@pytest.mark.slow
def test_a_waived_failure_is_none_to_pytest_either(health: Health, home: Path, tmp_path: Path) -> None:
    (home / "datasets" / "wine" / "wine.sqlite").write_bytes(b"no database")
    waivers = tmp_path / "waivers.yaml"
    entry = {"target": "wine", "reason": "goes away", "owner": "Ada", "expires": "2999-01-01"}
    codes = ("data-corruption.*", "metadata-corruption.*", "sqlite-locking.*")
    waivers.write_text(yaml.safe_dump({"schema": "mdm-waivers/1", "waivers": [{"code": c, **entry} for c in codes]}))
    result = health(f"--mdm-waivers={waivers}", "--mdm-dataset=wine", "--mdm-select=5.1", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*data-corruption*wine* WAIVED*", "exit code 0*"])
    result.stdout.no_fnmatch_line("*FAILED*")


@pytest.mark.slow
def test_what_was_not_asked_for_is_not_called_removed(home: Path, record: Record, compare: Compare) -> None:
    baseline = record(home)
    code, document = compare(home, baseline, "--mdm-dataset=wine", "--mdm-select=5.1", "--mdm-fail-on=regression")
    assert code == 0
    assert document["baseline"]["counts"] == {"unchanged": 1}
    assert document["baseline"]["unasked"] == 30


@pytest.mark.slow
def test_a_gate_does_not_call_good_what_was_not_examined_before(
    health: Health, home: Path, compare: Compare, tmp_path: Path
) -> None:
    baseline = tmp_path / "before.json"
    assert health(f"--mdm-save-baseline={baseline}", "--mdm-timeout=0.0001", "--mdm-select=5.1").ret == 11
    code, document = compare(home, baseline, "--mdm-fail-on=regression", "--mdm-select=5.1")
    assert document["baseline"]["regressions"] == 0
    assert len(document["baseline"]["unknown"]) == 4
    assert code == 11


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mdm-baseline={f}", "--mdm-save-baseline={f}"), "--mdm-save-baseline: {f} is the baseline of this run"),
        (("--mdm-expect={f}",), "--mdm-expect needs --mdm-baseline"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    health_here: Health, recorded: Callable[[str], Path], options: tuple[str, ...], said: str
) -> None:
    file = recorded("mdm-1.0.6-sqlite")
    result = health_here(*(option.format(f=file) for option in options))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said.format(f=file) in result.stderr.str()


def test_a_target_forgotten_by_the_migration_is_a_regression(home: Path, record: Record, compare: Compare) -> None:
    baseline = record(home)
    for file in (home / "config/datasets/wine.yaml", home / "datasets/wine/dataset_info.json"):
        data = {**yaml.safe_load(file.read_text()), "target_column": None}
        file.write_text(json.dumps(data))
    code, document = compare(home, baseline, "--mdm-fail-on=regression")
    assert code == 1
    assert found(document, "fail") == {"metadata-corruption.lost-field wine"}
    (told,) = (each for each in document["baseline"]["changes"] if each["code"] == "metadata-corruption.lost-field")
    assert (told["change"], told["what"]) == ("removed", "field")


WINE = ("--mdm-select=5.1", "--mdm-dataset=wine")
RECOMPUTED = "UPDATE wine SET proline = proline * 1.5"
DAMAGED = ("UPDATE wine SET alcohol = 99 WHERE rowid = 5", "DELETE FROM wine WHERE rowid = 9")


def change_wine(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "datasets" / "wine" / "wine.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def backup(home: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the home as it is."""
    shutil.copytree(home, tmp_path / "backups" / "mdm_backup_20261128")
    return tmp_path / "backups"


def test_values_that_are_planned_to_change_excuse_nothing_else(
    home: Path, record: Record, compare: Compare, backup: Path, tmp_path: Path
) -> None:
    baseline, plan = record(home, *WINE), tmp_path / "plan.yaml"
    tables = {"wine": {"values": ["proline"]}}
    plan.write_text(yaml.safe_dump({"schema": "mdm-expectations/1", "datasets": {"wine": {"tables": tables}}}))
    options = (f"--mdm-expect={plan}", f"--mdm-backup={backup}", *WINE)
    code, document = compare(home, baseline, *options)
    assert (code, found(document, "fail")) == (1, {"data-corruption.not-done wine"})
    change_wine(home, RECOMPUTED)
    code, document = compare(home, baseline, *options)
    assert (code, found(document, "fail")) == (0, set())
    assert "the values of proline were not compared; in the others every row is as it was" in json.dumps(document)
    change_wine(home, *DAMAGED, "INSERT INTO wine (alcohol) VALUES (1)")  # as many rows as are registered
    code, document = compare(home, baseline, *options)
    assert code == 1
    lost = {f"data-corruption.{code} wine" for code in ("altered-rows", "missing-rows", "added-rows")}
    assert lost <= found(document, "fail")
    assert "1 cell of alcohol" in json.dumps(document)


def test_what_a_waiver_accepts_is_shown_with_its_counts(
    home: Path, record: Record, health: Health, backup: Path, tmp_path: Path
) -> None:
    baseline, waivers, markdown = record(home, *WINE), tmp_path / "waivers.yaml", tmp_path / "report.md"
    entry = {"target": "wine", "reason": "proline is in other units", "owner": "Ann", "expires": "9999-01-31"}
    bounds: dict[str, dict[str, Any]] = {
        "altered-rows": {"columns": ["proline", "alcohol"]},
        "missing-rows": {"rows": 1},
        "row-count": {"rows": 1},
    }
    entries = [{"code": f"data-corruption.{code}", **entry, **bound} for code, bound in bounds.items()]
    waivers.write_text(yaml.safe_dump({"schema": "mdm-waivers/1", "waivers": entries}))
    change_wine(home, RECOMPUTED, *DAMAGED)
    result = health(
        f"--mdm-baseline={baseline}",
        f"--mdm-backup={backup}",
        f"--mdm-waivers={waivers}",
        f"--mdm-markdown={markdown}",
        *WINE,
    )
    assert result.ret == 0
    accepted = [line for line in result.stdout.lines if line.startswith("waived: ")]
    assert [line for line in accepted if "177 cells of proline, 1 cell of alcohol" in line]
    assert [line for line in accepted if "1 row is missing since the baseline" in line]
    listed = markdown.read_text().partition("### Waived")[2].partition("###")[0]
    assert "177 cells of proline, 1 cell of alcohol" in listed
    assert "1 row is missing since the baseline" in listed


def test_a_waiver_hides_no_row_that_is_lost_after_it_was_written(
    home: Path, record: Record, compare: Compare, backup: Path, tmp_path: Path
) -> None:
    baseline, waivers = record(home, *WINE), tmp_path / "waivers.yaml"
    options = (f"--mdm-backup={backup}", *WINE)
    change_wine(home, RECOMPUTED)
    code, _ = compare(home, baseline, *options, f"--mdm-write-waivers={waivers}")
    assert code == 1
    waivers.write_text(waivers.read_text().replace("<fill in>", "Ann"))
    waived = (*options, f"--mdm-waivers={waivers}")
    code, document = compare(home, baseline, *waived)
    assert (code, document["waivers"]["unused"]) == (0, [])
    change_wine(home, *DAMAGED)
    code, document = compare(home, baseline, *waived)
    assert code == 1
    assert {f"data-corruption.{lost} wine" for lost in ("altered-rows", "missing-rows")} <= found(document, "fail")
