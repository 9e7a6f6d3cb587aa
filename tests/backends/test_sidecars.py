"""Files beside a database are in use, left over with changes in them, or meaningless."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.backends import sidecars
from pytest_mdm_health.backends.sidecars import holding_changes
from pytest_mdm_health.mdm.host import locks

Hold = Callable[[str], "subprocess.Popen[bytes]"]
WAL = "import sqlite3; c = sqlite3.connect({!r}); c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE u (a)')"


@pytest.fixture(autouse=True)
def _look_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's table of locks is used again for some milliseconds; the test before may have read it."""
    monkeypatch.setattr(locks, "TABLE_LASTS_S", 0.0)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    sqlite3.connect(path).executescript("CREATE TABLE t (a)").close()
    return path


def test_a_database_alone_has_none(database: Path) -> None:
    assert sidecars(database) == ()


def test_the_log_of_a_running_process_is_live(database: Path, hold: Hold) -> None:
    hold(WAL.format(str(database)))
    found = {each.kind: each for each in sidecars(database)}
    assert set(found) == {"wal", "shm"}
    assert found["wal"].live
    assert found["wal"].holds_changes
    assert not found["shm"].holds_changes
    assert [each.kind for each in holding_changes(sidecars(database), "sqlite")] == ["wal"]


def test_the_log_of_a_killed_process_is_left_over(database: Path, hold: Hold) -> None:
    holder = hold(WAL.format(str(database)))
    holder.kill()
    holder.wait()
    found = {each.kind: each for each in sidecars(database)}
    assert not found["wal"].live
    assert found["wal"].holds_changes
    assert found["wal"].size == database.with_name("shop.db-wal").stat().st_size


@pytest.mark.parametrize(
    ("suffix", "content", "kind", "holds"),
    [
        ("-wal", b"", "wal", False),
        ("-wal", b"x", "wal", True),
        ("-shm", b"x", "shm", False),
        ("-journal", b"", "journal", False),
        ("-journal", bytes(512), "journal", False),
        ("-journal", bytes.fromhex("d9d505f920a163d7") + bytes(504), "journal", True),
        (".wal", b"x", "duckdb-wal", True),
    ],
)
def test_what_it_holds_is_told(database: Path, suffix: str, content: bytes, kind: str, holds: bool) -> None:
    path = database.with_name(database.name + suffix)
    path.write_bytes(content)
    (found,) = sidecars(database)
    assert (found.path, found.kind, found.size, found.live, found.holds_changes) == (
        path,
        kind,
        len(content),
        False,
        holds,
    )


def test_each_engine_has_its_own(database: Path) -> None:
    for suffix in ("-wal", ".wal"):
        database.with_name(database.name + suffix).write_bytes(b"x")
    assert [each.kind for each in holding_changes(sidecars(database), "sqlite")] == ["wal"]
    assert [each.kind for each in holding_changes(sidecars(database), "duckdb")] == ["duckdb-wal"]


def test_what_is_no_file_has_no_size(database: Path) -> None:
    os.mkfifo(database.with_name("shop.db-wal"))
    database.with_name("shop.db-journal").mkdir()
    assert {each.size for each in sidecars(database)} == {-1}
    assert not any(each.holds_changes for each in sidecars(database))


def test_the_database_itself_may_be_gone(database: Path) -> None:
    database.with_name("shop.db-wal").write_bytes(b"x")
    database.unlink()
    assert [each.kind for each in sidecars(database)] == ["wal"]
