from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pytest_mdm_health.mdm.home import Home, locate
from pytest_mdm_health.mdm.registrations import Registration, read_registration
from pytest_mdm_health.mdm.settings import read_settings

Edit = Callable[[Path, dict[str, object]], None]


def home_of(root: Path) -> Home:
    return locate(root, read_settings(root, {}))


def read(root: Path, name: str) -> Registration:
    home = home_of(root)
    return read_registration(home.registrations / f"{name}.yaml", home)


def change(root: Path, name: str, **fields: object) -> None:
    file = root / "config" / "datasets" / f"{name}.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8")) | fields
    file.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")


def test_a_real_registration_is_read_as_mdm_wrote_it(make_home: Callable[..., Path]) -> None:
    root = make_home("mdm-1.0.6-duckdb")
    shop = read(root, "shop")
    assert (shop.name, shop.shape, shop.in_force, shop.backend) == ("shop", "full", "yaml", "duckdb")
    assert shop.database == root / "datasets" / "shop" / "shop.duckdb"
    assert shop.tables == {"train": "train", "test": "test"}
    assert shop.feature_tables == {"train_features": "train_features", "test_features": "test_features"}
    assert shop.recorded_rows == 2500
    assert shop.data["description"] == "shop churn v2"


def test_rows_that_mdm_never_counted_are_unknown_and_not_none(home: Path) -> None:
    assert read(home, "wine").recorded_rows is None


@pytest.mark.parametrize(
    ("rows", "size", "recorded"), [(0, 512, 0), ("2500", "1", 2500), (True, 1, None), ("many", 1, None), (7, 0, 7)]
)
def test_recorded_rows_are_a_whole_number_or_unknown(
    home: Path, rows: object, size: object, recorded: int | None
) -> None:
    change(home, "shop", metadata={"statistics": {"row_count": rows, "memory_size_bytes": size}})
    assert read(home, "shop").recorded_rows == recorded


def test_one_field_that_mdm_refuses_puts_the_json_copy_in_force(make_home: Callable[..., Path]) -> None:
    shop = read(make_home("mdm-0.1.0-sqlite"), "shop")
    assert [refusal.field for refusal in shop.refused] == ["description"]
    assert shop.in_force == "json"
    assert shop.data["description"] == "shop churn"
    assert shop.where("description").line == 3


def test_a_damaged_yaml_file_puts_the_json_copy_in_force(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [shop\n")
    shop = read(home, "shop")
    assert (shop.shape, shop.in_force, shop.backend) == ("unusable", "json", "sqlite")
    assert shop.document is not None
    assert shop.document.problems[0].code == "syntax"


def test_with_two_unusable_copies_only_readable_fields_are_shown(home: Path) -> None:
    change(home, "shop", version=1.0)
    (home / "datasets" / "shop" / "dataset_info.json").write_text("{")
    shop = read(home, "shop")
    assert shop.in_force is None
    assert shop.backend == "sqlite"


def test_without_a_json_copy_the_yaml_file_stands_alone(home: Path) -> None:
    (home / "datasets" / "shop" / "dataset_info.json").unlink()
    shop = read(home, "shop")
    assert (shop.json_copy, shop.in_force) == (None, "yaml")


def test_the_flat_shape_of_the_guide_is_understood(home: Path) -> None:
    flat = {
        "name": "shop",
        "path": "datasets/shop/shop.sqlite",
        "created_at": "2026-01-31",
        "backend": "sqlite",
        "version": "1",
    }
    (home / "config" / "datasets" / "shop.yaml").write_text(yaml.safe_dump(flat))
    shop = read(home, "shop")
    assert (shop.shape, shop.in_force, shop.backend, shop.missing) == ("flat", "yaml", "sqlite", ())
    assert shop.database == home / "datasets" / "shop" / "shop.sqlite"


def test_a_pointer_is_followed_to_the_folder_of_the_dataset(home: Path) -> None:
    folder = home / "elsewhere"
    folder.mkdir()
    full = {"name": "shop", "database": {"type": "duckdb", "path": "/data/shop.duckdb"}, "tables": {"train": "t"}}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(full))
    (home / "config" / "datasets" / "shop.yaml").write_text(f"path: {folder}\n")
    shop = read(home, "shop")
    assert (shop.shape, shop.in_force, shop.backend, shop.tables) == ("pointer", "yaml", "duckdb", {"train": "t"})
    assert shop.where("database.path").file == str(folder / "dataset.yaml")


def test_a_pointer_into_the_void_falls_back_to_the_json_copy(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("path: /nowhere/shop\n")
    shop = read(home, "shop")
    assert (shop.shape, shop.in_force) == ("pointer", "json")
    assert shop.pointed is not None
    assert shop.pointed.problems[0].code == "missing"


def test_unlisted_feature_tables_are_recognized_by_their_names(home: Path) -> None:
    file = home / "config" / "datasets" / "shop.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    del data["feature_tables"]
    data["tables"]["user_features"] = "user_features"
    file.write_text(yaml.safe_dump(data))
    shop = read(home, "shop")
    assert set(shop.feature_tables) == {"train_features", "test_features"}
    assert set(shop.tables) == {"train", "test", "user_features"}


@pytest.mark.parametrize("name", ["shop.yml", "Shop.yaml", "shop.YAML"])
def test_a_file_that_mdm_does_not_look_for_is_not_in_force(home: Path, name: str) -> None:
    place = home_of(home)
    file = (place.registrations / "shop.yaml").rename(place.registrations / name)
    shop = read_registration(file, place)
    assert not shop.seen
    assert shop.in_force == "json"


def test_a_relative_path_is_seen_from_the_home(home: Path) -> None:
    change(home, "shop", database={"backend": "sqlite", "path": "datasets/shop/shop.sqlite"})
    assert read(home, "shop").database == home / "datasets" / "shop" / "shop.sqlite"


@pytest.mark.parametrize(
    "database", [None, "sqlite", [], {"backend": 7, "path": 8}, {"backend": "sqlite", "path": "a\0b"}]
)
def test_a_connection_that_makes_no_sense_leads_nowhere(home: Path, database: object) -> None:
    change(home, "shop", database=database)
    (home / "datasets" / "shop" / "dataset_info.json").unlink()
    assert read(home, "shop").database is None


def test_a_password_is_not_in_the_repr(home: Path) -> None:
    connection = {
        "backend": "postgresql",
        "host": "db",
        "port": 5432,
        "user": "u",
        "password": "hunter2",
        "database": "mdm_shop",
    }
    change(home, "shop", database=connection)
    json_copy = home / "datasets" / "shop" / "dataset_info.json"
    json_copy.write_text(json.dumps(json.loads(json_copy.read_text(encoding="utf-8")) | {"database": connection}))
    shop = read(home, "shop")
    assert shop.server == ("db", "5432", "mdm_shop")
    assert shop.database is None
    assert "hunter2" not in repr(shop)


def test_a_connection_string_is_reduced_to_its_server(home: Path) -> None:
    change(
        home, "shop", database={"backend": "postgresql", "connection_string": "postgresql://u:hunter2@db:5432/mdm_shop"}
    )
    shop = read(home, "shop")
    assert shop.server == ("db:5432/mdm_shop", "", "")
    assert "hunter2" not in repr(shop)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_fifo_as_registration_is_reported_and_does_not_hang(home: Path) -> None:
    file = home / "config" / "datasets" / "shop.yaml"
    file.unlink()
    os.mkfifo(file)
    shop = read(home, "shop")
    assert (shop.shape, shop.in_force) == ("unusable", "json")


def test_a_registration_travels_between_processes(each_home: Path) -> None:
    shop = read(each_home, "shop")
    assert pickle.loads(pickle.dumps(shop)) == shop  # noqa: S301 - our own
