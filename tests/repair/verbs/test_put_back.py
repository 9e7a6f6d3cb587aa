"""A file comes back out of a backup whole, with its own logs and no others, or nothing is changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers import repair
from tests.watched import differences, snapshot

LOGGED = """
import os, sqlite3
c = sqlite3.connect({path!r}, isolation_level=None)
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("INSERT INTO train SELECT * FROM train LIMIT 1")
os._exit(0)
"""


def sqlite_of(home: Path) -> Path:
    return home / "datasets/shop/shop.sqlite"


def as_tar(home: Path, backup: Path, mode: str = "w:gz", inside: str = ".") -> Path:
    with tarfile.open(backup, mode) as tar:  # type: ignore[call-overload] # as the test says
        for part in ("mdm.yaml", "config", "datasets"):
            tar.add(home / part, f"{inside}/{part}")
    return backup


def as_zip(home: Path, backup: Path) -> Path:
    with zipfile.ZipFile(backup, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (home / "mdm.yaml", *(home / "config").rglob("*"), *(home / "datasets").rglob("*")):
            archive.write(path, path.relative_to(home))
    return backup


def as_folder(home: Path, backup: Path) -> Path:
    return Path(shutil.copytree(home, backup))


def as_file(home: Path, backup: Path) -> Path:
    return Path(shutil.copy2(sqlite_of(home), backup.with_suffix(".sqlite")))


KINDS: dict[str, Callable[[Path, Path], Path]] = {
    "tar.gz": as_tar,
    "tar": lambda home, backup: as_tar(home, backup, "w", "home/me/.mdm"),
    "tar.xz": lambda home, backup: as_tar(home, backup, "w:xz", str(home)[1:]),
    "zip": as_zip,
    "folder": as_folder,
    "file": as_file,
}


@pytest.mark.parametrize("kind", KINDS)
def test_data_comes_back_out_of_every_kind_of_backup(home: Path, tmp_path: Path, kind: str) -> None:
    backup = KINDS[kind](home, tmp_path / "saved.backup")
    good = sqlite_of(home).read_bytes()
    os.truncate(sqlite_of(home), 300_000)
    assert repair("put-back", sqlite_of(home), "--from", backup) == 0
    assert sqlite_of(home).read_bytes() == good


def test_logs_of_the_backup_come_and_those_there_now_go(home: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LOGGED.format(path=str(sqlite_of(home)))], check=True)
    log = sqlite_of(home).with_name("shop.sqlite-wal")
    good = {path: path.read_bytes() for path in (sqlite_of(home), log)}
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    log.with_name("shop.sqlite-shm").unlink()
    sqlite_of(home).write_bytes(b"")
    log.write_bytes(log.read_bytes()[:-2000])
    log.with_name("shop.sqlite-journal").write_bytes(b"stale")
    before = snapshot(home)
    assert repair("put-back", sqlite_of(home), "--from", backup) == 0
    assert {path: path.read_bytes() for path in sqlite_of(home).parent.glob("shop.sqlite*")} == good
    (saved,) = tmp_path.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert [line for line in differences(before, snapshot(home)) if "mtime_ns" not in line] == []


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "folder"])
def test_a_registration_comes_back_with_its_json_copy(home: Path, tmp_path: Path, kind: str) -> None:
    registration, json_copy = home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"
    registration.chmod(0o640)
    good = registration.read_bytes(), json_copy.read_bytes()
    backup = KINDS[kind](home, tmp_path / "saved.backup")
    registration.unlink()
    json_copy.unlink()
    assert repair("put-back", registration, "--from", backup) == 0
    assert (registration.read_bytes(), json_copy.read_bytes()) == good
    assert registration.stat().st_mode & 0o777 == 0o640


def test_a_json_copy_that_can_be_read_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    registration, json_copy = home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    registration.unlink()
    json_copy.write_text(json_copy.read_text().replace("{", '{"note": "mine",', 1))
    kept = json_copy.read_bytes()
    assert repair("put-back", registration, "--from", backup) == 0
    assert json_copy.read_bytes() == kept


def test_a_dataset_registered_again_keeps_what_it_has(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    json_copy = home / "datasets/shop/dataset_info.json"
    json_copy.write_text(json_copy.read_text().replace("2026-", "2036-"))
    (home / "config/datasets/shop.yaml").unlink()
    refused(home, home / "config/datasets/shop.yaml", backup, "the dataset was registered again", capsys)


@pytest.mark.parametrize("place", ["mdm.yaml", "config/custom_features/shop.py", "feature_flags.yaml"])
def test_settings_and_custom_features_come_back(home: Path, tmp_path: Path, place: str) -> None:
    file = home / place
    file.parent.mkdir(exist_ok=True)
    content = file.read_text() if file.exists() else "flag: true\n" if place.endswith("yaml") else "x = 1\n"
    backup = tmp_path / "saved.tar.gz"
    file.write_text(content)
    with tarfile.open(backup, "w:gz") as tar:
        tar.add(home, "old")
    file.write_bytes(b"\0" * 20)
    assert repair("put-back", file, "--from", backup) == 0
    assert file.read_text() == content


def refused(
    home: Path, place: Path, backup: Path, why: str, capsys: pytest.CaptureFixture[str], *more: str | Path
) -> None:
    """The command is refused for this reason, on one line, and not a byte of the home is changed."""
    before = snapshot(home)
    assert repair("put-back", place, "--from", backup, *more) == 1
    said = capsys.readouterr()
    assert why in said.out + said.err
    assert "Traceback" not in said.err
    wrong = [line for line in differences(before, snapshot(home)) if not line.startswith(f"changed: {home} (")]
    assert wrong == []


def test_a_backup_that_breaks_off_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    os.truncate(backup, backup.stat().st_size - 50)
    sqlite_of(home).unlink()
    refused(home, sqlite_of(home), backup, "is truncated", capsys)


def test_a_backup_without_the_file_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mdm.yaml").write_text("a: b\n")
    refused(home, sqlite_of(home), tmp_path / "other", "does not hold shop.sqlite", capsys)
    refused(home, sqlite_of(home), tmp_path / "none", "does not exist", capsys)
    refused(home, sqlite_of(home), sqlite_of(home), "is the file itself", capsys)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: os.truncate(path, 300_000), "in the backup"),
        (lambda path: path.write_bytes(b"id,name\n" * 1000), "in the backup"),
        (lambda path: in_sql(path, "DROP TABLE test"), "lacks the registered table 'test'"),
    ],
)
def test_data_in_a_backup_that_is_no_better_is_refused(
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], object],
    why: str,
) -> None:
    backup = as_file(home, tmp_path / "shop")
    damage(backup)
    os.truncate(sqlite_of(home), 300_000)
    refused(home, sqlite_of(home), backup, why, capsys)


def in_sql(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_rows_that_are_only_there_now_are_not_given_up(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    in_sql(sqlite_of(home), "INSERT INTO test SELECT * FROM test LIMIT 3")
    refused(home, sqlite_of(home), backup, "set the file aside first", capsys)


def test_a_file_that_is_open_is_not_replaced(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    code = f"import sqlite3, sys; c = sqlite3.connect({str(sqlite_of(home))!r}); c.execute('SELECT 1 FROM train')"
    reader = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    refused(home, sqlite_of(home), backup, "stop that first", capsys)
    reader.communicate()


def test_a_second_time_nothing_is_changed(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    sqlite_of(home).unlink()
    assert repair("put-back", sqlite_of(home), "--from", backup) == 0
    refused(home, sqlite_of(home), backup, "is as in the backup already", capsys)


@pytest.mark.parametrize("kind", ["folder", "notes"])
def test_what_is_no_file_of_mdm_is_left_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    backup = as_folder(home, tmp_path / "saved")
    if kind == "folder":
        sqlite_of(home).unlink()
        sqlite_of(home).mkdir()
        refused(home, sqlite_of(home), backup, "is a folder: find out what it is, and set it aside first", capsys)
    else:
        (backup / "notes.txt").write_text("x")
        refused(home, home / "notes.txt", backup, "is no database, registration, settings or custom feature", capsys)


def test_a_fifo_in_its_place_goes_and_comes_back_with_undo(home: Path, tmp_path: Path) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    good = sqlite_of(home).read_bytes()
    sqlite_of(home).unlink()
    os.mkfifo(sqlite_of(home))
    assert repair("put-back", sqlite_of(home), "--from", backup) == 0
    assert sqlite_of(home).read_bytes() == good
    (saved,) = tmp_path.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert sqlite_of(home).is_fifo()


def test_where_a_link_leads_the_file_is_put_back_and_the_link_stays(home: Path, tmp_path: Path) -> None:
    backup = as_tar(home, tmp_path / "saved.tar.gz")
    good = (home / "mdm.yaml").read_bytes()
    dotfile = tmp_path / "dotfiles.yaml"
    dotfile.write_text("cli: [\n")
    (home / "mdm.yaml").unlink()
    (home / "mdm.yaml").symlink_to(dotfile)
    assert repair("put-back", home / "mdm.yaml", "--from", backup) == 0
    assert (home / "mdm.yaml").is_symlink()
    assert dotfile.read_bytes() == good
