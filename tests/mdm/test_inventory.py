from __future__ import annotations

import os
import pickle
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pytest_mdm_health.mdm.inventory import MANY, Dataset, remembered_dataset, take_inventory

POSIX = pytest.mark.skipif(os.name != "posix", reason="FIFOs, sockets and links are POSIX")


@pytest.fixture
def as_other_user() -> Iterator[Callable[[Path], Path]]:
    """Go on as a user whom permissions bind, with a copy of a home that this user can reach."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)

        def become(home: Path) -> Path:
            shutil.copytree(home, Path(folder) / "home")
            if os.geteuid() == 0:
                os.seteuid(65534)
            return Path(folder) / "home"

        yield become
        if os.getuid() == 0:
            os.seteuid(0)


def datasets_of(root: Path, environ: dict[str, str] | None = None) -> dict[str, Dataset]:
    inventory = take_inventory(root, environ or {})
    by_name = {dataset.name: dataset for dataset in inventory.datasets}
    assert len(by_name) == len(inventory.datasets)
    assert list(by_name) == sorted(by_name)
    return by_name


def register(root: Path, name: str, **database: object) -> Path:
    file = root / "config" / "datasets" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({"name": name.lower(), "database": database, "tables": {name: name}}))
    return file


def test_a_real_home_holds_its_four_datasets(each_home: Path) -> None:
    found = datasets_of(each_home)
    assert list(found) == ["big", "breast_cancer", "shop", "wine"]
    for name, dataset in found.items():
        assert dataset.registration is not None
        assert dataset.database == dataset.files[0] == each_home / "datasets" / name / f"{name}.{dataset.backend}"
        assert dataset.folder == each_home / "datasets" / name
        assert dataset.shared_with == ()


def test_taking_stock_leaves_no_trace(each_home: Path, tree: Callable[[Path], object]) -> None:
    before = tree(each_home)
    take_inventory(each_home, {})
    assert tree(each_home) == before


def test_an_empty_home_holds_nothing(tmp_path: Path) -> None:
    inventory = take_inventory(tmp_path, {})
    assert (inventory.datasets, inventory.unlisted) == ((), ())


def test_an_inventory_travels_between_processes(home: Path) -> None:
    inventory = take_inventory(home, {})
    assert pickle.loads(pickle.dumps(inventory)) == inventory  # noqa: S301 - our own


def test_places_that_were_moved_are_looked_at_where_they_are(home: Path) -> None:
    (home / "datasets").rename(home / "data")
    (home / "config" / "datasets").rename(home / "registry")
    settings = home / "mdm.yaml"
    settings.write_text(
        settings.read_text(encoding="utf-8") + "paths:\n  datasets_path: data\n  configs_path: registry/\n"
    )
    found = datasets_of(home)
    assert list(found) == ["big", "breast_cancer", "shop", "wine"]
    assert found["shop"].files == (home / "data" / "shop" / "shop.sqlite",)


def test_a_copied_home_is_read_where_the_registrations_point(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    assert datasets_of(copy)["shop"].database == home / "datasets" / "shop" / "shop.sqlite"
    shutil.rmtree(home)
    assert datasets_of(copy)["shop"].database == copy / "datasets" / "shop" / "shop.sqlite"


def test_a_folder_with_a_json_copy_only_is_a_registered_dataset(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").unlink()
    shop = datasets_of(home)["shop"]
    assert shop.registration is not None
    assert (shop.registration.document, shop.registration.in_force) == (None, "json")
    assert shop.registration.tables == {"train": "train", "test": "test"}


def test_a_folder_with_only_data_is_an_unregistered_dataset(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").unlink()
    (home / "datasets" / "shop" / "dataset_info.json").unlink()
    shop = datasets_of(home)["shop"]
    assert (shop.registration, shop.backend) == (None, "sqlite")
    assert shop.database == home / "datasets" / "shop" / "shop.sqlite"


def test_a_folder_with_another_registrations_data_is_no_dataset(home: Path) -> None:
    register(home, "store", backend="sqlite", path=str(home / "datasets/shop/shop.sqlite"))
    (home / "config/datasets/shop.yaml").unlink()
    (home / "datasets/shop/dataset_info.json").unlink()
    assert "shop" not in datasets_of(home)
    shutil.copy(home / "datasets/shop/shop.sqlite", home / "datasets/shop/more.sqlite")
    assert "shop" in datasets_of(home)


def test_an_empty_folder_is_no_dataset(home: Path) -> None:
    (home / "datasets" / "nothing" / "metadata").mkdir(parents=True)
    assert "nothing" not in datasets_of(home)


def test_a_database_outside_a_folder_is_an_unregistered_dataset(home: Path) -> None:
    shutil.copy(home / "datasets" / "wine" / "wine.sqlite", home / "datasets" / "stray.db")
    (home / "datasets" / "notes.db").write_text("no database")
    found = datasets_of(home)
    assert (found["stray"].registration, found["stray"].backend) == (None, "sqlite")
    assert "notes" not in found


def test_data_is_found_by_name_and_by_its_first_bytes(home: Path) -> None:
    folder = home / "datasets" / "shop"
    shutil.copy(folder / "shop.sqlite", folder / "no-ending")
    (folder / "empty.duckdb").touch()
    (folder / "shop.sqlite-wal").write_bytes((folder / "shop.sqlite").read_bytes())
    (folder / "README").write_text("nothing")
    names = [file.name for file in datasets_of(home)["shop"].files]
    assert names == ["empty.duckdb", "no-ending", "shop.sqlite"]


def test_of_several_files_the_registered_name_is_read(home: Path) -> None:
    folder = home / "datasets" / "shop"
    shutil.copy(folder / "shop.sqlite", folder / "old.sqlite")
    file = home / "config" / "datasets" / "shop.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace(str(home), "/old/home"))
    assert datasets_of(home)["shop"].database == folder / "shop.sqlite"
    (folder / "shop.sqlite").rename(folder / "new.sqlite")
    assert datasets_of(home)["shop"].database is None


def test_a_flat_registration_may_name_the_folder(home: Path) -> None:
    folder = home / "flat"
    (home / "datasets" / "wine").rename(folder)
    flat = {"name": "wine", "path": str(folder), "created_at": "2026-01-31", "backend": "sqlite", "version": "1"}
    (home / "config" / "datasets" / "wine.yaml").write_text(yaml.safe_dump(flat))
    wine = datasets_of(home)["wine"]
    assert (wine.folder, wine.database) == (folder, folder / "wine.sqlite")


def test_an_unknown_backend_is_replaced_by_that_of_the_data(home: Path) -> None:
    register(home, "shop", backend="sqlite3", path=str(home / "datasets" / "shop" / "shop.sqlite"))
    assert datasets_of(home)["shop"].backend == "sqlite"


def test_data_on_a_server_has_no_file(home: Path) -> None:
    register(home, "sales", backend="postgresql", host="db", database="mdm_sales", password="hunter2")
    inventory = take_inventory(home, {})
    sales = next(dataset for dataset in inventory.datasets if dataset.name == "sales")
    assert (sales.backend, sales.database, sales.files) == ("postgresql", None, ())
    assert "hunter2" not in repr(inventory)


def test_two_registrations_with_the_same_data_know_of_each_other(home: Path) -> None:
    data = home / "datasets" / "shop" / "shop.sqlite"
    (home / "link.sqlite").symlink_to(data)
    register(home, "copy", backend="sqlite", path=str(home / "datasets" / "wine" / ".." / "shop" / "shop.sqlite"))
    register(home, "linked", backend="sqlite", path=str(home / "link.sqlite"))
    found = datasets_of(home)
    assert found["shop"].shared_with == ("copy", "linked")
    assert found["copy"].shared_with == ("linked", "shop")
    assert found["wine"].shared_with == ()


def test_two_registrations_of_one_server_database_are_linked(home: Path) -> None:
    for name, user in (("one", "a"), ("two", "b")):
        register(home, name, backend="postgresql", host="db", port=5432, database="mdm_x", user=user)
    assert datasets_of(home)["one"].shared_with == ("two",)


def test_a_crowd_with_the_same_data_is_cut_short(home: Path) -> None:
    data = str(home / "datasets" / "shop" / "shop.sqlite")
    for number in range(MANY * 2):
        register(home, f"n{number:02}", backend="sqlite", path=data)
    found = datasets_of(home)
    assert found["shop"].shared_with == tuple(f"n{number:02}" for number in range(MANY))
    assert len(found["n00"].shared_with) == MANY


def test_files_that_mdm_overlooks_are_kept_beside_the_used_one(home: Path) -> None:
    registrations = home / "config" / "datasets"
    shutil.copy(registrations / "shop.yaml", registrations / "shop.yml")
    (registrations / "wine.yaml").rename(registrations / "wine.yml")
    found = datasets_of(home)
    assert found["shop"].overlooked == (registrations / "shop.yml",)
    assert found["wine"].registration is not None
    assert not found["wine"].registration.seen


def test_capital_letters_do_not_make_two_datasets_of_one_name(home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").rename(home / "config" / "datasets" / "Shop.yaml")
    shutil.copytree(home / "datasets" / "shop", home / "datasets" / "Shop")
    found = datasets_of(home)
    assert found["Shop"].folder == home / "datasets" / "shop"
    assert found["Shop (folder)"].folder == home / "datasets" / "Shop"
    shutil.rmtree(home / "datasets" / "shop")
    assert datasets_of(home)["Shop"].folder == home / "datasets" / "Shop"


@POSIX
def test_nothing_that_stands_where_a_file_belongs_can_hold_it_up(home: Path) -> None:
    os.mkfifo(home / "config" / "datasets" / "pipe.yaml")
    os.mkfifo(home / "datasets" / "shop" / "pipe.sqlite")
    os.mkfifo(home / "datasets" / "shop" / "pipe")
    os.mkfifo(home / "datasets" / "stray.sqlite")
    (home / "datasets" / "wine" / "dataset_info.json").unlink()
    os.mkfifo(home / "datasets" / "wine" / "dataset_info.json")
    (home / "config" / "datasets" / "folder.yaml").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(home / "datasets" / "big" / "s.db"))
    found = datasets_of(home)
    assert {"pipe", "folder"} <= found.keys()
    assert "stray" not in found
    assert found["shop"].database == home / "datasets" / "shop" / "shop.sqlite"


@POSIX
def test_links_in_circles_lead_nowhere(home: Path) -> None:
    (home / "datasets" / "circle").symlink_to(home / "datasets" / "circle")
    (home / "datasets" / "up").symlink_to(home / "datasets")
    (home / "datasets" / "alias").symlink_to(home / "datasets" / "shop")
    (home / "config" / "datasets" / "circle.yaml").symlink_to(home / "config" / "datasets" / "circle.yaml")
    found = datasets_of(home)
    assert {"up", "alias"}.isdisjoint(found)
    assert found["circle"].registration is not None
    assert found["circle"].registration.in_force is None


@POSIX
def test_names_may_hold_anything_that_a_file_system_takes(home: Path) -> None:
    names = [
        "new\nline",
        "\u202eevil",
        "<img onerror=x>",
        "a'b\"c",
        "..",
        os.fsdecode(b"\xff\xfe"),
        "-rf",
        "x" * 200,
        "ﬁ",
    ]
    for name in names:
        register(home, name, backend="sqlite", path=f"/nowhere/{name.encode('utf-8', 'replace').decode()}")
    (home / "datasets" / "tab\there").mkdir()
    shutil.copy(home / "datasets" / "wine" / "wine.sqlite", home / "datasets" / "tab\there" / "d.sqlite")
    assert {*names, "tab\there"} <= datasets_of(home).keys()


@POSIX
@pytest.mark.parametrize("place", ["datasets", "config/datasets"])
def test_a_folder_that_is_none_is_a_gap_with_its_reason(home: Path, place: str) -> None:
    shutil.rmtree(home / place)
    (home / place).write_text("no folder")
    inventory = take_inventory(home, {})
    assert inventory.not_examined == (f"{home / place} cannot be listed: Not a directory",)
    assert not inventory.could_list(home / place)


@POSIX
def test_a_folder_that_may_not_be_read_is_a_gap_with_its_reason(
    home: Path, as_other_user: Callable[[Path], Path]
) -> None:
    (home / "datasets").chmod(0)
    inventory = take_inventory(as_other_user(home), {})
    assert inventory.not_examined == (f"{inventory.home.datasets} cannot be listed: Permission denied",)
    assert [dataset.name for dataset in inventory.datasets] == ["big", "breast_cancer", "shop", "wine"]


UNREADABLE = {
    "logs": "cannot be listed",
    "logs/mdm.log": "cannot be read",
    "logs/mdm.log-20261125.gz": "cannot be read",
    "config/custom_features": "cannot be listed",
    "config/custom_features/shop.py": "cannot be read",
    "metrics.db": "cannot be read",
}


@POSIX
@pytest.mark.parametrize("place", UNREADABLE)
def test_what_may_not_be_read_is_named_with_the_right(
    home: Path, as_other_user: Callable[[Path], Path], place: str
) -> None:
    for name in UNREADABLE:
        if not (home / name).exists() and "." in name:
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).touch()
    assert take_inventory(home, {}).unreadable == ()
    (home / place).chmod(0)
    root = as_other_user(home)
    inventory = take_inventory(root, {})
    says = f"{root / place} {UNREADABLE[place]}: permission denied; run pytest as the user that MDM runs as"
    assert inventory.unreadable[0] == says
    assert inventory.not_examined == inventory.unreadable


def test_a_thousand_datasets_take_less_than_three_seconds(home: Path) -> None:
    text = (home / "config" / "datasets" / "wine.yaml").read_text(encoding="utf-8")
    twin = (home / "datasets" / "wine" / "dataset_info.json").read_text(encoding="utf-8")
    for number in range(1000):
        name = f"n{number:04}"
        (home / "config" / "datasets" / f"{name}.yaml").write_text(text.replace("wine", name), encoding="utf-8")
        folder = home / "datasets" / name
        folder.mkdir()
        (folder / "dataset_info.json").write_text(twin.replace("wine", name), encoding="utf-8")
        (folder / f"{name}.sqlite").write_bytes(b"SQLite format 3\0")
    begun = time.process_time()
    found = datasets_of(home)
    assert time.process_time() - begun < 120
    assert len(found) == 1004


@pytest.mark.parametrize(
    ("backend", "database", "was"),
    [
        ("sqlite", None, "datasets/gone/gone.sqlite"),
        ("duckdb", "away/gone.db", "away/gone.db"),
        ("postgresql", None, None),
        (None, None, None),
    ],
)
def test_a_dataset_only_in_a_baseline_names_its_origin(
    home: Path, backend: str | None, database: str | None, was: str | None
) -> None:
    inventory = take_inventory(home, {})
    gone = remembered_dataset(inventory.home, "gone", backend, home / database if database else None)
    assert gone.remembered
    assert (gone.registration, gone.files, gone.backend) == (None, (), backend)
    assert gone.database == (home / was if was else None)
    assert not any(each.remembered for each in inventory.datasets)
