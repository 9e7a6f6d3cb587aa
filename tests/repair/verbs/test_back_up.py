"""A new archive holds all of the home as one state, is read back before it counts, and overwrites nothing."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.helpers import MakeHome, repair
from tests.watched import differences, snapshot

LEFT_A_LOG = """
import os, sqlite3
c = sqlite3.connect({path!r}, isolation_level=None)
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("DELETE FROM train WHERE rowid % 2 = 0")
os._exit(0)
"""
HELD = {
    "sqlite": "import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None)\n"
    "c.execute('PRAGMA journal_mode=WAL'); c.execute('DELETE FROM train WHERE id > 100')",
    "duckdb": "import duckdb; c = duckdb.connect({path!r})",
}


def only_archive(folder: Path) -> Path:
    (archive,) = folder.glob("mdm_backup_*.tar.gz")
    return archive


def unpacked(archive: Path, folder: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, and every empty folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink() or not any(path.iterdir())
    }


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the database open, and wrote to it."""
    code = HELD[path.suffix[1:]].format(path=str(path))
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(1, flush=True); import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield
    process.communicate()


def test_the_archive_holds_everything_with_the_logs(each_home: Path, tmp_path: Path) -> None:
    data = each_home / "datasets/shop/shop.sqlite"
    if data.exists():
        subprocess.run([sys.executable, "-c", LEFT_A_LOG.format(path=str(data))], check=True)
        assert data.with_name("shop.sqlite-wal").stat().st_size
    (each_home / "cache").mkdir(exist_ok=True)
    (each_home / "cache/junk").write_bytes(b"x")
    (each_home / "datasets/empty").mkdir()
    before = contents(each_home)
    assert repair("back-up", each_home) == 0
    archive = only_archive(each_home / "backup")
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600  # there may be passwords in it
    assert unpacked(archive, tmp_path / "restored") == {
        name: content for name, content in before.items() if not name.startswith("cache")
    }
    (saved,) = tmp_path.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert contents(each_home) == before


def test_a_database_in_use_is_copied_as_one_state(home: Path, tmp_path: Path) -> None:
    data = home / "datasets/shop/shop.sqlite"
    with held(data):
        assert repair("back-up", home) == 0
    restored = unpacked(only_archive(home / "backup"), tmp_path / "restored")
    assert "datasets/shop/shop.sqlite-wal" not in restored
    with closing(sqlite3.connect(tmp_path / "restored/datasets/shop/shop.sqlite")) as connection:
        assert connection.execute("SELECT max(id) FROM train").fetchone() == (100,)


def refused(home: Path, why: str, capsys: pytest.CaptureFixture[str], *more: str) -> None:
    before = snapshot(home)
    assert repair("back-up", home, *more) == 1
    said = capsys.readouterr()
    assert why in said.out + said.err
    wrong = [line for line in differences(before, snapshot(home)) if not line.startswith(f"changed: {home} (")]
    assert wrong == []


def test_a_duckdb_file_in_use_is_refused(make_home: MakeHome, capsys: pytest.CaptureFixture[str]) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    with held(home / "datasets/shop/shop.duckdb"):
        refused(home, "stop that first", capsys)


def test_damaged_data_makes_no_good_backup(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(home / "datasets/shop/shop.sqlite", 300_000)
    refused(home, "the archive would not be good: datasets/shop/shop.sqlite", capsys)


def test_what_is_no_place_for_a_backup_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(home, "is the home itself", capsys, f"--to={home}")
    refused(home, "is a file; name another folder", capsys, f"--to={home / 'mdm.yaml'}")


def test_a_second_archive_does_not_replace_the_first(home: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert repair("back-up", home, "--to", tmp_path / "a b[1]") == 0
    archives = sorted((tmp_path / "a b[1]").iterdir())
    assert len(archives) == 2


def test_backups_in_the_home_are_left_out_of_the_next(home: Path, tmp_path: Path) -> None:
    (home / "sa*ved").mkdir()
    (home / "sa*ved/earlier.txt").write_text("x")
    way = tmp_path / "way"
    way.symlink_to(home / "sa*ved")  # named by a way that does not begin like the home
    assert repair("back-up", home, "--to", way) == 0
    assert not any("sa*ved" in name for name in unpacked(only_archive(way), tmp_path / "restored"))


def test_data_outside_of_the_home_and_in_the_cache_is_in_it(home: Path, tmp_path: Path) -> None:
    (home / "cache").mkdir(exist_ok=True)
    (home / "datasets/wine").rename(home / "cache/wine")
    (home / "datasets/shop").rename(tmp_path / "shop")
    for name, place in (("wine", home / "cache/wine"), ("shop", tmp_path / "shop")):
        file = home / f"config/datasets/{name}.yaml"
        file.write_text(file.read_text().replace(f"{home}/datasets/{name}/", f"{place}/"))
    assert repair("back-up", home) == 0
    held_in = unpacked(only_archive(home / "backup"), tmp_path / "restored")
    assert {"cache/wine/wine.sqlite", f"{tmp_path}/shop/shop.sqlite"[1:]} <= set(held_in)
