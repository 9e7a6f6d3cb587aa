from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mdm_health.core.session import clock
from pytest_mdm_health.mdm.backups.archive.members import Member
from pytest_mdm_health.mdm.backups.contents import Wanted, held_in, wanted_of
from pytest_mdm_health.mdm.backups.folders import read_folder
from pytest_mdm_health.mdm.inventory import take_inventory

NAMES = ["big", "breast_cancer", "shop", "wine"]


def wanted_by(home: Path) -> Wanted:
    return wanted_of(take_inventory(home, {}))


def members_of(home: Path, below: str = "") -> dict[str, Member]:
    reading = read_folder(home, clock() + 60)
    assert reading.complete
    return {
        f"{below}{name}": Member(f"{below}{name}", each.kind, each.size, each.modified)
        for name, each in reading.members.items()
    }


def test_every_registered_dataset_and_the_settings_are_wanted(each_home: Path) -> None:
    wanted = wanted_by(each_home)

    assert [each.name for each in wanted.datasets] == NAMES
    assert {each.registration for each in wanted.datasets} == {f"config/datasets/{name}.yaml" for name in NAMES}
    assert all((each_home / each.data).is_file() for each in wanted.datasets)
    assert wanted.files == {"mdm.yaml": each_home / "mdm.yaml"}


def test_custom_features_and_migration_switches_are_wanted(home: Path) -> None:
    (home / "feature_flags.yaml").write_text("use_new_backend: true\n")
    (home / "config" / "custom_features" / "shop.py").write_text("import mdm")
    (home / "config" / "custom_features" / "__init__.py").touch()  # of which nothing can be lost

    assert tuple(wanted_by(home).files) == ("mdm.yaml", "feature_flags.yaml", "config/custom_features/shop.py")


@pytest.mark.parametrize("below", ["", ".mdm/", "home/ml/.mdm/"])
def test_a_home_is_recognised_wherever_it_lies(home: Path, below: str) -> None:
    held = held_in(members_of(home, below), wanted_by(home))

    assert held.root == below.rstrip("/")
    assert sorted(held.data) == sorted(held.registrations) == NAMES
    assert held.data["shop"].name == f"{below}datasets/shop/shop.sqlite"
    assert held.files == {"mdm.yaml"}


def test_an_older_copy_inside_is_not_taken_for_the_home(home: Path) -> None:
    members = members_of(home, "backup/old/") | members_of(home)

    assert held_in(members, wanted_by(home)).root == ""


def test_what_is_missing_is_not_held(home: Path) -> None:
    members = members_of(home)
    for name in ("datasets/shop/shop.sqlite", "config/datasets/wine.yaml", "mdm.yaml"):
        del members[name]

    held = held_in(members, wanted_by(home))

    assert sorted(held.data) == ["big", "breast_cancer", "wine"]
    assert sorted(held.registrations) == ["big", "breast_cancer", "shop"]
    assert held.files == frozenset()


def test_data_with_another_extension_counts_if_there_is_no_other(home: Path) -> None:
    members = members_of(home)
    del members["datasets/shop/shop.sqlite"]
    members["datasets/shop/shop.db"] = Member("datasets/shop/shop.db", "file", 1)

    assert held_in(members, wanted_by(home)).data["shop"].name == "datasets/shop/shop.db"


def test_a_link_in_the_place_of_data_is_not_the_data(home: Path) -> None:
    members = members_of(home)
    members["datasets/shop/shop.sqlite"] = Member("datasets/shop/shop.sqlite", "link", target="/mnt/shop.sqlite")

    assert "shop" not in held_in(members, wanted_by(home)).data


def test_something_else_is_no_home(home: Path) -> None:
    members = {name: Member(name, "file", 1) for name in ("www/index.html", "etc/passwd")}

    assert held_in(members, wanted_by(home)).root is None


def test_another_home_is_a_home_without_these_datasets(home: Path) -> None:
    name = "x/config/datasets/other.yaml"

    held = held_in({name: Member(name, "file", 1)}, wanted_by(home))

    assert (held.root, held.data) == ("x", {})


@pytest.mark.parametrize(
    ("name", "restored"),
    [
        ("x/datasets/shop/shop.sqlite", True),
        ("x/datasets/shop/shop.sqlite-wal", True),
        ("x/datasets/shop/shop.db", True),
        ("x/datasets/shop/dataset_info.json", False),
        ("x/datasets/other/other.sqlite", False),
        ("x/metrics.db", False),
    ],
)
def test_only_databases_of_this_home_are_restored(home: Path, name: str, restored: bool) -> None:
    assert wanted_by(home).restores(Member(name, "file", 1)) is restored


def test_data_outside_the_home_is_searched_in_its_folder(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sqlite"
    (home / "datasets" / "shop" / "shop.sqlite").rename(outside)
    yaml = home / "config" / "datasets" / "shop.yaml"
    yaml.write_text(yaml.read_text().replace(f"{home}/datasets/shop/shop.sqlite", str(outside)))

    wanted = wanted_by(home)
    (shop,) = (each for each in wanted.datasets if each.name == "shop")

    assert (shop.data, shop.live) == ("datasets/shop/outside.sqlite", outside)
    kept = Member(str(outside)[1:], "file", 1)
    assert held_in({**members_of(home), kept.name: kept}, wanted).data["shop"] == kept
    assert wanted.restores(kept)


def test_an_empty_registration_is_none(home: Path) -> None:
    members = members_of(home)
    members["config/datasets/shop.yaml"] = Member("config/datasets/shop.yaml", "file", 0)

    assert "shop" not in held_in(members, wanted_by(home)).registrations
