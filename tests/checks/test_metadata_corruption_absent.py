"""7.2, where the YAML file is missing: who owns the data, and what the baseline knows of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pytest_mdm_health.core.expected import Expected, ExpectedDataset
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import follow
from tests.postgres import USER, MakePostgresHome, Server
from tests.registrations import differing, json_copy_file, yaml_file

CHECK = "metadata-corruption"
HANG = "registration-hang"
REGISTER = ("dataset", "register", "shop", "raw/shop")
REMOVED = Expected(given=True, datasets={"shop": ExpectedDataset(removed=True)})
Examine = Callable[..., Result]
Change = Callable[[Path], object]


def folder(home: Path) -> Path:
    return home / "datasets/shop"


def lose_yaml(home: Path) -> None:
    yaml_file(home).unlink()


def lose_registration(home: Path) -> None:
    yaml_file(home).unlink()
    json_copy_file(home).unlink()


def lose_all(home: Path) -> None:
    yaml_file(home).unlink()
    shutil.rmtree(folder(home))


def contents(home: Path) -> dict[str, bytes]:
    """Every file of the dataset and its registration, whole."""
    files = (yaml_file(home), *folder(home).rglob("*"))
    return {str(each.relative_to(home)): each.read_bytes() for each in files if each.is_file()}


def only(result: Result, code: str) -> Finding:
    """The finding of this code, beside which there is nothing but what is in a healthy home too."""
    (found,) = (each for each in result.findings if each.code != f"{CHECK}.twins-disagree")
    assert found.code == code
    return found


def unregistered(result: Result) -> Finding:
    """That finding, beside which others may be of the same cause."""
    (found,) = (each for each in result.findings if each.code == f"{CHECK}.unregistered")
    return found


def pack(home: Path, name: str = "mdm_backup_20261122.tar.gz", inside: str = ".") -> Path:
    """Back up a home as the guide's script does, beside the home."""
    archive = home.parent / "backups" / name
    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(home, inside)
    return archive.parent


def test_data_that_a_running_registration_makes_is_left_to_it(
    home: Path, examine: Examine, run_mdm: Callable[..., subprocess.Popen[bytes]]
) -> None:
    lose_registration(home)
    process = run_mdm(*REGISTER, home=home)
    result = examine(CHECK, home, "shop")
    assert (result.status, result.findings) == (Status.SKIP, ())
    assert f"registration in progress (PID {process.pid})" in result.reason
    process.kill()
    process.wait()
    only(examine(CHECK, home, "shop"), "metadata-corruption.unregistered")


def test_a_registration_of_something_else_does_not_hide_what_is_unregistered(
    home: Path, examine: Examine, run_mdm: Callable[..., subprocess.Popen[bytes]]
) -> None:
    lose_registration(home)
    run_mdm("dataset", "register", "sales", "raw/sales", home=home)
    only(examine(CHECK, home, "shop"), "metadata-corruption.unregistered")


def test_what_a_broken_off_registration_left_is_told_once(home: Path, examine: Examine) -> None:
    (home / "datasets/sales").mkdir()
    shutil.copy(folder(home) / "shop.sqlite", home / "datasets/sales/sales.sqlite")
    result = examine(CHECK, home, "sales")
    assert (result.status, result.findings) == (Status.SKIP, ())
    assert "see registration-hang" in result.reason
    assert f"{HANG}.half-registered" in {each.code for each in examine(HANG, home).findings}


def test_data_that_was_registered_whole_is_told_once_too(home: Path, examine: Examine) -> None:
    lose_registration(home)
    finding = only(examine(CHECK, home, "shop"), "metadata-corruption.unregistered")
    assert finding.severity is Severity.WARN
    assert "MDM refuses the old name" in finding.remedy.text
    assert f"{HANG}.half-registered" not in {each.code for each in examine(HANG, home).findings}


def test_an_unregistered_dataset_gets_its_registration_back_out_of_a_backup(home: Path, examine: Examine) -> None:
    backups = pack(home)
    lose_registration(home)
    follow(only(examine(CHECK, home, "shop", backup=backups), "metadata-corruption.unregistered"))
    assert examine(CHECK, home, "shop").status is Status.PASS


@pytest.mark.parametrize("name", ["mdm-1.0.6-sqlite", "mdm-0.1.0-duckdb"])
@pytest.mark.parametrize("keep", [True, False], ids=["copied", "renamed"])
def test_a_folder_that_was_copied_or_renamed_is_said_to_be_and_registered_by_hand(
    make_home: Callable[[str], Path], examine: Examine, name: str, keep: bool
) -> None:
    home = make_home(name)
    shutil.copytree(home / "datasets/wine", home / "datasets/oldwine")
    if not keep:
        shutil.rmtree(home / "datasets/wine")
        (home / "config/datasets/wine.yaml").unlink()
    finding = unregistered(examine(CHECK, home, "oldwine"))
    assert "that of 'wine'" in finding.remedy.text
    assert finding.remedy.commands == ()
    copy = home / "datasets/oldwine/dataset_info.json"
    own = next(each for each in copy.parent.iterdir() if each.suffix in {".sqlite", ".duckdb"})
    assert f"`name` and `path` say oldwine and {own} in both files" in finding.remedy.text
    data = json.loads(copy.read_text())
    data.update(name="oldwine", database={**data["database"], "path": str(own)})
    for file in (copy, home / "config/datasets/oldwine.yaml"):
        file.write_text(json.dumps(data))
    repaired = examine(CHECK, home, "oldwine")
    assert (repaired.status, repaired.findings) == (Status.PASS, ())
    assert not keep or examine(CHECK, home, "wine").status is Status.PASS


def test_a_copied_folder_without_data_is_moved_out_of_the_way(home: Path, examine: Examine) -> None:
    shutil.copytree(folder(home), home / "datasets/oldshop")
    (home / "datasets/oldshop/shop.sqlite").unlink()
    finding = unregistered(examine(CHECK, home, "oldshop"))
    assert finding.remedy.text.endswith(f"move {home / 'datasets/oldshop'} out of the datasets.")
    assert finding.remedy.commands == ()


def test_a_lost_yaml_file_is_made_of_its_copy_and_nothing_else_is_changed(
    home: Path, examine: Examine, tree: Callable[[Path], dict[str, tuple[object, ...]]]
) -> None:
    for name in ("wine", "big", "breast_cancer", "shop"):
        file = yaml_file(home, name)
        right = yaml.safe_load(file.read_text())
        file.unlink()
        before = tree(home)
        (finding,) = (each for each in examine(CHECK, home, name).findings if each.code == f"{CHECK}.unregistered")
        assert "`mdm dataset update`" in finding.remedy.text
        follow(finding)
        now = yaml.safe_load(file.read_text())
        copy = json.loads(json_copy_file(home, name).read_text())
        assert now == copy
        assert differing(right, now) <= ({"description", "last_updated_at"} if name == "shop" else set())
        touched = {".", "config/datasets"}  # where the repair notes that it is under way, and makes the file
        assert {key: info[2:] for key, info in tree(home).items() if key in before.keys() - touched} == {
            key: info[2:] for key, info in before.items() if key not in touched
        }
        assert examine(CHECK, home, name).status is Status.PASS


@pytest.mark.parametrize("value", ["${MDM_HOME_DIR}/config/datasets", "~/no/config/datasets", "/nowhere/datasets"])
@pytest.mark.parametrize("lose", [lambda _: None, lambda home: json_copy_file(home).unlink()])
def test_registrations_are_not_made_again_where_the_settings_lead_elsewhere(
    home: Path, examine: Examine, value: str, lose: Change
) -> None:
    backups = pack(home)
    before = examine(CHECK, home, "shop")
    lose(home)
    with (home / "mdm.yaml").open("a") as settings:
        settings.write(f"paths:\n  configs_path: {value}\n")
    found = [
        each
        for known in (None, before)
        for each in examine(CHECK, home, "shop", before=known, backup=backups).findings
        if each.code in {f"{CHECK}.unregistered", f"{CHECK}.lost-registration"}
    ]
    assert len(found) == 2
    for each in found:
        assert each.remedy.commands == ()
        assert f"Its registration is {yaml_file(home)}, and the settings have MDM look in" in each.remedy.text
        assert ("expands neither" in each.remedy.text) is ("$" in value or "~" in value)


def test_a_registration_that_is_lost_in_a_folder_of_the_settings_is_not_made_by_a_command(
    home: Path, examine: Examine
) -> None:
    (home / "config/datasets").rename(home / "registered")
    with (home / "mdm.yaml").open("a") as settings:
        settings.write("paths:\n  configs_path: registered\n")
    (home / "registered/wine.yaml").unlink()
    remedy = unregistered(examine(CHECK, home, "wine")).remedy
    assert remedy.commands == ()
    assert f"See whether {home}/registered is where the registrations are" in remedy.text


def test_a_copy_that_cannot_be_read_says_why_and_gives_way_to_a_backup(home: Path, examine: Examine) -> None:
    backups = pack(home)
    lose_yaml(home)
    json_copy_file(home).write_text("{")
    finding = only(examine(CHECK, home, "shop", backup=backups), "metadata-corruption.unregistered")
    assert "the JSON copy is not JSON" in finding.message
    follow(finding)
    assert examine(CHECK, home, "shop").status is Status.PASS  # the JSON copy came back with it


@pytest.mark.parametrize("lose", [lose_yaml, lose_registration])
@pytest.mark.parametrize("name", ["mdm-1.0.6-sqlite", "mdm-0.1.0-duckdb"])
def test_a_registration_that_the_baseline_knows_is_lost_and_brought_back(
    make_home: Callable[[str], Path], examine: Examine, name: str, lose: Change
) -> None:
    home = make_home(name)
    before = examine(CHECK, home, "shop")
    backups = pack(home)
    right = contents(home)
    lose(home)
    finding = only(examine(CHECK, home, "shop", before=before, backup=backups), "metadata-corruption.lost-registration")
    assert finding.severity is Severity.FAIL
    follow(finding)
    assert contents(home) == right
    again = examine(CHECK, home, "shop", before=before)
    assert {each.code for each in again.findings} <= {each.code for each in before.findings}


def test_data_that_lost_its_registration_since_the_baseline_is_not_half_registered(
    home: Path, examine: Examine
) -> None:
    before = {check: examine(check, home, dataset) for check, dataset in ((CHECK, "shop"), (HANG, None))}
    (home / "logs/mdm.log").write_text("")
    lose_registration(home)
    only(examine(CHECK, home, "shop", before=before[CHECK]), "metadata-corruption.lost-registration")
    assert f"{HANG}.half-registered" in {each.code for each in examine(HANG, home).findings}
    assert not examine(HANG, home, before=before[HANG]).findings


@pytest.mark.parametrize("inside", [".", "old/.mdm"])
@pytest.mark.parametrize("name", ["mdm-1.0.6-sqlite", "mdm-1.0.6-duckdb"])
def test_a_dataset_that_vanished_is_a_failure_and_comes_back_out_of_a_backup(
    make_home: Callable[[str], Path], examine: Examine, name: str, inside: str
) -> None:
    home = make_home(name)
    before = examine(CHECK, home, "shop")
    backups = pack(home, inside=inside)
    right = contents(home)
    lose_all(home)
    finding = only(examine(CHECK, home, "shop", before=before, backup=backups), "metadata-corruption.vanished")
    assert finding.severity is Severity.FAIL
    assert str(folder(home)) in finding.message
    follow(finding)
    for each in ("config/datasets/shop.yaml", f"datasets/shop/shop.{name.rpartition('-')[2]}"):
        assert contents(home)[each] == right[each]
    for check in (CHECK, "data-corruption"):
        assert examine(check, home, "shop").status is Status.PASS


def test_without_a_backup_it_is_said_where_none_is(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "shop")
    lose_all(home)
    finding = only(examine(CHECK, home, "shop", before=before, backup=home.parent), "metadata-corruption.vanished")
    assert finding.remedy.commands == ()
    assert f"No backup in {home.parent} has all of it" in finding.remedy.text


def test_a_dataset_that_a_copied_home_lacks_is_fetched_from_where_the_home_was(
    home: Path, tmp_path: Path, examine: Examine
) -> None:
    before = examine(CHECK, home, "shop")
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    lose_all(copy)
    finding = only(examine(CHECK, copy, "shop", before=before), "metadata-corruption.vanished")
    follow(finding)
    only(examine(CHECK, copy, "shop", before=before), "metadata-corruption.path-elsewhere")
    assert (folder(copy) / "shop.sqlite").is_file()


def test_the_own_data_of_a_home_that_points_elsewhere_vanished_though_the_other_is_there(
    home: Path, tmp_path: Path, examine: Examine
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    before = examine(CHECK, copy, "shop")
    assert before.status is Status.FAIL
    backups = pack(copy)
    lose_all(copy)
    finding = only(examine(CHECK, copy, "shop", before=before, backup=backups), "metadata-corruption.vanished")
    follow(finding)
    assert (folder(copy) / "shop.sqlite").is_file()


def test_data_outside_of_the_home_that_is_still_there_is_not_called_gone(
    home: Path, tmp_path: Path, examine: Examine
) -> None:
    away = tmp_path / "away.sqlite"
    shutil.copy(folder(home) / "shop.sqlite", away)
    yaml_file(home).write_text(f"name: shop\ndatabase: {{backend: sqlite, path: {away}}}\ntables: {{train: train}}\n")
    shutil.rmtree(folder(home))
    before = examine(CHECK, home, "shop")
    yaml_file(home).unlink()
    finding = only(examine(CHECK, home, "shop", before=before), "metadata-corruption.lost-registration")
    assert str(away) in finding.message
    away.unlink()
    only(examine(CHECK, home, "shop", before=before), "metadata-corruption.vanished")


def test_a_dataset_that_is_registered_by_another_name_is_a_warning_with_that_name(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "shop")
    json_copy_file(home).unlink()
    text = yaml_file(home).read_text(encoding="utf-8").replace("name: shop\n", "name: store\n")
    yaml_file(home).unlink()
    (home / "config/datasets/store.yaml").write_text(text, encoding="utf-8")
    finding = only(examine(CHECK, home, "shop", before=before), "metadata-corruption.lost-registration")
    assert finding.severity is Severity.WARN
    assert "registered as 'store'" in finding.message


def test_data_on_a_server_is_not_called_gone(
    examine: Examine, postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    home = make_postgres_home(postgres)
    postgres.add_database("mdm_shop", "CREATE TABLE train (id integer)", owner=USER)
    before = examine(CHECK, home, "shop")
    backups = pack(home)
    lose_all(home)
    finding = only(examine(CHECK, home, "shop", before=before, backup=backups), "metadata-corruption.lost-registration")
    assert f"{postgres.name}/mdm_shop" in finding.message
    follow(finding)
    assert examine(CHECK, home, "shop", before=before).status is Status.PASS


def test_unregistered_data_that_is_gone_is_a_note(home: Path, examine: Examine) -> None:
    lose_registration(home)
    before = examine(CHECK, home, "shop")
    shutil.rmtree(folder(home))
    result = examine(CHECK, home, "shop", before=before)
    assert only(result, "metadata-corruption.vanished").severity is Severity.NOTE
    assert result.status is Status.PASS


@pytest.mark.parametrize("logged", [True, False])
def test_what_was_not_examined_then_is_a_failure_only_if_it_was_registered(
    home: Path, examine: Examine, logged: bool
) -> None:
    skipped = replace(examine(CHECK, home, "shop"), status=Status.SKIP)
    lose_all(home)
    if not logged:
        (home / "logs/mdm.log").write_text("")
    finding = only(examine(CHECK, home, "shop", before=skipped), "metadata-corruption.vanished")
    assert finding.severity is (Severity.FAIL if logged else Severity.WARN)
    assert ("is unknown" in finding.message) is not logged


def test_a_planned_removal_is_a_note_when_it_was_done_and_a_failure_until_then(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "shop")
    finding = only(examine(CHECK, home, "shop", before=before, expected=REMOVED), "metadata-corruption.not-done")
    assert finding.severity is Severity.FAIL
    assert finding.remedy.commands == ()
    assert "`mdm dataset remove shop`" in finding.remedy.text
    lose_registration(home)
    assert (
        "its data is still there"
        in only(examine(CHECK, home, "shop", before=before, expected=REMOVED), "metadata-corruption.not-done").message
    )
    shutil.rmtree(folder(home))
    result = examine(CHECK, home, "shop", before=before, expected=REMOVED)
    assert only(result, "metadata-corruption.vanished").severity is Severity.NOTE
    assert result.status is Status.PASS


def test_a_dataset_that_is_new_is_fine(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home, "wine")
    assert examine(CHECK, home, "shop", before=replace(before)).status is Status.PASS


def test_a_lost_yaml_file_comes_out_of_a_backup_before_its_copy(home: Path, examine: Examine) -> None:
    """What `mdm dataset update` changed is in the YAML file alone."""
    said = yaml_file(home).read_text(encoding="utf-8")
    yaml_file(home).write_text(said.replace("description:", "description: updated since #", 1), encoding="utf-8")
    right = contents(home)
    backups = pack(home)
    lose_yaml(home)
    follow(unregistered(examine(CHECK, home, "shop", backup=backups)))
    assert contents(home) == right
