"""The newest backup that holds a dataset's data is found by names, however the backup was made."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

from pytest_mdm_health.mdm.backups.search import SavedData, search_backups
from pytest_mdm_health.mdm.home import Home, locate
from pytest_mdm_health.mdm.settings import read_settings


def home_at(root: Path) -> Home:
    return locate(root, read_settings(root, {}))


def pack(home: Path, archive: str, *names: str, age_s: float = 0) -> Path:
    path = home / "backup" / archive
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            tar.add(home / "datasets/shop/shop.sqlite", name)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def found(home: Path, data: str = "datasets/shop/shop.sqlite") -> SavedData | None:
    return search_backups(home_at(home), None, "shop", home / data, 10)[0]


def test_the_member_is_named_as_it_is_written_in_the_archive(home: Path) -> None:
    archive = pack(home, "a.tar.gz", "./datasets/shop/shop.sqlite")
    saved = found(home)
    assert saved is not None
    assert (saved.backup, saved.origin) == (str(archive), str(archive))
    assert saved.member == "./datasets/shop/shop.sqlite"


def test_data_below_other_folders_is_found(home: Path) -> None:
    pack(home, "a.tar.gz", "home/me/.mdm/datasets/shop/shop.sqlite")
    saved = found(home)
    assert saved is not None
    assert saved.member == "home/me/.mdm/datasets/shop/shop.sqlite"


def test_logs_that_belong_to_the_data_are_found_with_it(home: Path) -> None:
    name = "datasets/shop/shop.sqlite"
    pack(home, "a.tar.gz", name, f"{name}-wal", "datasets/wine/shop.sqlite-wal")
    saved = found(home)
    assert saved is not None
    assert saved.beside == (f"{name}-wal",)


def test_an_archive_that_would_not_unpack_is_passed_over_and_looked_at_anew_once_it_changed(home: Path) -> None:
    older = pack(home, "a.tar.gz", "datasets/shop/shop.sqlite", age_s=3600)
    newer = pack(home, "b.tar.gz", "datasets/shop/shop.sqlite")
    os.truncate(newer, newer.stat().st_size // 2)
    saved = found(home)
    assert saved is not None
    assert saved.backup == str(older)
    pack(home, "b.tar.gz", "datasets/shop/shop.sqlite")
    again = found(home)
    assert again is not None
    assert again.backup == str(newer)


def test_data_of_another_dataset_is_not_taken(home: Path) -> None:
    pack(home, "a.tar.gz", "datasets/wine/shop.sqlite", "datasets/workshop/shop.sqlite")
    assert found(home) is None


def test_a_copy_of_the_file_by_the_name_of_the_dataset_is_a_backup(home: Path) -> None:
    (home / "backup").mkdir()
    (home / "backup/shop.sqlite").write_bytes((home / "datasets/shop/shop.sqlite").read_bytes())
    saved = found(home)
    assert saved is not None
    assert (saved.form, saved.member) == ("", str(home / "backup/shop.sqlite"))


def test_an_archive_is_listed_once_for_a_thousand_datasets(home: Path) -> None:
    with tarfile.open(home / "datasets/shop/many.tar", "w") as tar:
        for number in range(1000):
            info = tarfile.TarInfo(f"datasets/d{number}/data.sqlite")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    (home / "backup").mkdir()
    (home / "datasets/shop/many.tar").rename(home / "backup/many.tar")
    one = home_at(home)
    started = time.process_time()
    for number in range(1000):
        data = home / f"datasets/d{number}/data.sqlite"
        saved, _ = search_backups(one, None, f"d{number}", data, 10)
        assert saved is not None
    assert time.process_time() - started < 120
