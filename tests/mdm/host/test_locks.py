"""Locks are read from the system's table, or asked for, and never taken."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.host import locks
from pytest_mdm_health.mdm.host.locks import Lock, locks_on

Hold = Callable[[str], "subprocess.Popen[bytes]"]
pytestmark = pytest.mark.skipif(sys.platform not in locks._LAYOUTS, reason="needs POSIX record locks")

CONNECT = "import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); "
ROLLBACK = [
    ("c.execute('BEGIN IMMEDIATE')", {("reserved", True)}),
    ("c.execute('BEGIN EXCLUSIVE')", {("exclusive", True)}),
    ("c.execute('BEGIN'); c.execute('SELECT * FROM t').fetchone()", {("shared", False)}),
]
WAL = [
    ("c.execute('BEGIN IMMEDIATE')", {("wal-writer", True)}),
    ("c.execute('BEGIN'); c.execute('SELECT * FROM t').fetchone()", {("wal-reader", False)}),
]


@pytest.fixture(autouse=True)
def _look_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is used again for some milliseconds; the test before may have read it."""
    monkeypatch.setattr(locks, "TABLE_LASTS_S", 0.0)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()
    return path


def kinds(found: list[Lock], pid: int) -> set[tuple[str, bool]]:
    assert {lock.pid for lock in found} == {pid}
    return {(lock.kind, lock.writes) for lock in found}


def asked(path: Path) -> list[Lock]:
    return [lock for file in (path, path.with_name(path.name + "-shm")) for lock in locks._asked([file])]


@pytest.mark.parametrize(("code", "expected"), ROLLBACK)
def test_a_lock_on_a_database_with_a_rollback_journal_is_named(
    hold: Hold, database: Path, code: str, expected: set[tuple[str, bool]]
) -> None:
    holder = hold(CONNECT.format(path=str(database)) + code)
    found, why_not_all = locks_on([database])
    assert why_not_all == ""
    assert kinds(found, holder.pid) >= expected


@pytest.mark.parametrize(("code", "expected"), ROLLBACK)
def test_asking_for_a_lock_finds_the_same_and_takes_none(
    hold: Hold, database: Path, code: str, expected: set[tuple[str, bool]]
) -> None:
    holder = hold(CONNECT.format(path=str(database)) + code)
    assert kinds(asked(database), holder.pid) >= expected
    assert {lock.pid for lock in locks_on([database])[0]} == {holder.pid}


@pytest.mark.parametrize(("code", "expected"), WAL)
@pytest.mark.parametrize("how", [lambda path: locks_on([path, Path(f"{path}-shm")])[0], asked], ids=["table", "asked"])
def test_a_lock_on_a_database_in_wal_mode_is_named(
    hold: Hold, database: Path, code: str, expected: set[tuple[str, bool]], how: Callable[[Path], list[Lock]]
) -> None:
    connect = CONNECT.format(path=str(database)) + "c.execute('PRAGMA journal_mode=WAL').fetchone(); "
    holder = hold(connect + code)
    assert kinds(how(database), holder.pid) >= expected | {("wal-connected", False)}


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("how", [lambda path: locks_on([path])[0], asked], ids=["table", "asked"])
def test_duckdb_locks_the_whole_file(
    hold: Hold, tmp_path: Path, read_only: bool, how: Callable[[Path], list[Lock]]
) -> None:
    path = tmp_path / "shop.duckdb"
    subprocess.run([sys.executable, "-c", f"import duckdb; duckdb.connect({str(path)!r}).close()"], check=True)
    holder = hold(f"import duckdb; c = duckdb.connect({str(path)!r}, read_only={read_only})")
    assert kinds(how(path), holder.pid) == {("whole-file", not read_only)}


def test_a_file_that_nobody_locks_has_no_locks(database: Path) -> None:
    assert locks_on([database]) == ([], "")
    assert asked(database) == []


def test_looking_at_locks_keeps_those_of_this_process(database: Path) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    before, _ = locks_on([database])
    after, _ = locks_on([database])
    assert ("exclusive", True) in {(lock.kind, lock.writes) for lock in before}
    assert after == before
    connection.close()
