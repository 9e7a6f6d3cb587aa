from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytest_mdm_health.mdm import backups
from pytest_mdm_health.mdm.backups import Backup, find_backups, look_for_backups
from pytest_mdm_health.mdm.inventory import take_inventory

NOW = time.time()


@pytest.fixture
def folder(home: Path) -> Path:
    (home / "backup").mkdir()
    return home / "backup"


def put(path: Path, days: float = 0, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (NOW, NOW - days * 86400))
    return path


def found(folder: Path, home: Path) -> list[tuple[str, str]]:
    return [(each.path.relative_to(folder).as_posix(), each.kind) for each in find_backups(folder, home).found]


def test_archives_are_found_newest_first(folder: Path, home: Path) -> None:
    put(folder / "mdm_backup_2.tar.gz", days=2)
    put(folder / "mdm_backup_1.tar.gz", days=1)
    put(folder / "home.zip", days=3)

    backups = find_backups(folder, home).found

    assert [each.path.name for each in backups] == ["mdm_backup_1.tar.gz", "mdm_backup_2.tar.gz", "home.zip"]
    assert [each.by_script for each in backups] == [True, True, False]
    assert backups[0] == Backup(
        path=folder / "mdm_backup_1.tar.gz",
        kind="archive",
        made=(folder / "mdm_backup_1.tar.gz").stat().st_mtime,
        size=1,
        by_script=True,
    )


def test_saved_settings_and_files_of_single_datasets_are_found(folder: Path, home: Path) -> None:
    for name in ("mdm.yaml", "shop.parquet", "wine.csv", "big.sqlite", "README.txt"):
        put(folder / name)

    assert set(found(folder, home)) == {
        ("mdm.yaml", "settings"),
        ("shop.parquet", "dataset"),
        ("wine.csv", "dataset"),
        ("big.sqlite", "dataset"),
    }


def test_a_copy_of_a_home_is_one_backup_wherever_it_lies(folder: Path, home: Path) -> None:
    for place in ("today", "yesterday/.mdm"):
        put(folder / place / "mdm.yaml")
        put(folder / place / "datasets" / "shop" / "shop.sqlite")

    assert sorted(found(folder, home)) == [("today", "folder"), ("yesterday/.mdm", "folder")]


def test_a_folder_that_is_itself_a_copy_of_a_home_is_the_backup(folder: Path, home: Path) -> None:
    put(folder / "mdm.yaml")
    put(folder / "datasets" / "shop.parquet", days=3)

    assert found(folder, home) == [(".", "folder")]


def test_archives_in_a_folder_of_their_own_are_found(folder: Path, home: Path) -> None:
    put(folder / "emergency" / "mdm_backup_1.tar.gz")

    assert found(folder, home) == [("emergency/mdm_backup_1.tar.gz", "archive")]


def test_a_copy_is_as_old_as_the_youngest_thing_at_its_top(folder: Path, home: Path) -> None:
    put(folder / "old" / "mdm.yaml", days=5)
    (folder / "old" / "datasets").mkdir()
    for name in ("old/datasets", "old"):
        os.utime(folder / name, (NOW, NOW - 9 * 86400))

    (backup,) = find_backups(folder, home).found

    assert backup.made == (folder / "old" / "mdm.yaml").stat().st_mtime


def test_the_home_is_no_backup_of_itself(home: Path) -> None:
    assert find_backups(home.parent, home).found == ()
    assert find_backups(home, home).found == ()


def test_links_are_not_followed(folder: Path, home: Path) -> None:
    put(home.parent / "elsewhere" / "mdm_backup_1.tar.gz")
    (folder / "folder").symlink_to(home.parent / "elsewhere")
    (folder / "mdm_backup_1.tar.gz").symlink_to(home.parent / "elsewhere" / "mdm_backup_1.tar.gz")

    assert found(folder, home) == []


def test_the_folder_itself_may_be_a_link(home: Path) -> None:
    put(home.parent / "elsewhere" / "mdm_backup_1.tar.gz")
    (home / "backup").symlink_to(home.parent / "elsewhere")

    assert found(home / "backup", home) == [("mdm_backup_1.tar.gz", "archive")]


def test_what_is_no_file_keeps_its_place_in_the_list(folder: Path, home: Path) -> None:
    os.mkfifo(folder / "mdm_backup_1.tar.gz")

    assert found(folder, home) == [("mdm_backup_1.tar.gz", "archive")]


@pytest.mark.parametrize("name", ["nowhere", "mdm.yaml"])
def test_where_no_folder_is_there_are_no_backups(home: Path, name: str) -> None:
    assert find_backups(home / name, home).found == ()
    assert find_backups(home / name, home).gaps == ()


def test_a_path_that_no_file_system_has_is_a_gap(home: Path) -> None:
    assert "cannot be listed" in find_backups(home / ("x" * 300), home).gaps[0]


def test_backups_are_searched_as_given_then_in_home_then_default(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    located = take_inventory(home, {}).home
    monkeypatch.setattr(backups, "ELSEWHERE", tmp_path / "backup")

    def folder(given: Path | None = None) -> Path:
        return look_for_backups(located, given, {"shop"}).folder

    assert folder(tmp_path) == tmp_path
    assert folder() == home / "backup"
    put(tmp_path / "backup" / "www.tar.gz")
    put(tmp_path / "backup" / "sales.csv")
    assert folder() == home / "backup"
    assert look_for_backups(located, None, {"shop"}).looked == (home / "backup", tmp_path / "backup")
    put(tmp_path / "backup" / "shop.csv")
    assert folder() == tmp_path / "backup"
    assert not look_for_backups(located, None, {"shop"}).certain
    (home / "backup").mkdir()
    assert folder() == home / "backup"
    assert look_for_backups(located, None, {"shop"}).certain
