"""SQLite files are read as they are, and nothing tells afterwards that they were."""

from __future__ import annotations

import math
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Unfinished, close_all
from pytest_mdm_health.backends.sqlite import SqliteDatabase
from pytest_mdm_health.mdm.host import locks

Hold = Callable[[str], "subprocess.Popen[bytes]"]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
KILLED = "import os, sqlite3; c = sqlite3.connect({path!r}, isolation_level=None); {code}; os._exit(9)"
SPILLED = "c.execute('PRAGMA cache_size=2'); c.execute('PRAGMA cache_spill=1'); c.execute('BEGIN'); "


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The system's table of locks is used again for some milliseconds; the test before may have read it."""
    monkeypatch.setattr(locks, "TABLE_LASTS_S", 0.0)
    yield
    close_all()


@pytest.fixture
def shop(home: Path) -> Path:
    return home / "datasets/shop/shop.sqlite"


@pytest.fixture
def killed() -> Callable[[Path, str], None]:
    """Another process that dies in the middle of its work on a database `c`."""

    def kill(path: Path, code: str) -> None:
        program = KILLED.format(path=str(path), code=code)
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9

    return kill


def reason_for(path: Path) -> CannotOpen:
    with pytest.raises(CannotOpen) as caught:
        SqliteDatabase(path)
    return caught.value


def counts(path: Path) -> dict[str, int]:
    with Backend("sqlite", path).open() as database:
        return {table: database.count(table) for table in database.tables()}


@pytest.fixture
def rollback_shop(shop: Path) -> Path:
    """MDM makes its databases in WAL mode; this one has a rollback journal."""
    connection = sqlite3.connect(shop)
    assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    connection.close()
    return shop


def test_a_healthy_database_answers_and_is_not_touched(shop: Path, tree: Tree) -> None:
    before = tree(shop.parent)
    with Backend("sqlite", shop).open() as database:
        assert (database.engine, database.how, database.surplus) == ("sqlite", "immutable", 0)
        assert set(database.tables()) >= {"train", "test", "train_features", "test_features"}
        assert database.count("train") == 2000
        assert database.columns("train")[:2] == database.columns("TRAIN")[:2]
        assert [(column.name, column.type) for column in database.columns("train")][:3] == [
            ("id", "BIGINT"),
            ("customer", "TEXT"),
            ("city", "TEXT"),
        ]
        assert database.integrity(complete=False) == database.integrity(complete=True) == ()
    close_all()
    assert tree(shop.parent) == before


def test_reading_in_wal_mode_creates_no_sidecar_files(shop: Path, tree: Tree) -> None:
    before = tree(shop.parent)
    assert shop.read_bytes()[18:20] == b"\2\2"
    assert counts(shop)["train"] == 2000
    close_all()
    assert tree(shop.parent) == before
    assert sorted(path.name for path in shop.parent.glob("shop.*")) == ["shop.sqlite"]


def test_a_database_in_a_folder_that_cannot_be_written_is_read(shop: Path) -> None:
    mode = stat.S_IMODE(shop.parent.stat().st_mode)
    shop.parent.chmod(0o500)
    try:
        assert counts(shop)["train"] == 2000
    finally:
        shop.parent.chmod(mode)


def test_what_a_killed_process_left_in_a_wal_is_read_from_a_copy(
    shop: Path, tree: Tree, killed: Callable[[Path, str], None]
) -> None:
    killed(shop, "c.execute('DELETE FROM train WHERE id < 10')")
    before = tree(shop.parent)
    assert shop.with_name("shop.sqlite-wal").stat().st_size > 0
    with Backend("sqlite", shop).open() as database:
        assert database.how == "copy"
        assert database.count("train") == 1990
        assert database.integrity(complete=True) == ()
        (_, _, copied) = database.connection.execute("PRAGMA database_list").fetchone()
        assert Path(copied).exists()
    close_all()
    assert not Path(copied).parent.exists()
    assert tree(shop.parent) == before


def test_an_interrupted_transaction_is_undone_in_a_copy(
    rollback_shop: Path, tree: Tree, killed: Callable[[Path, str], None]
) -> None:
    shop = rollback_shop
    killed(shop, SPILLED + "c.execute('UPDATE train_features SET id = -1')")
    before = tree(shop.parent)
    assert shop.with_name("shop.sqlite-journal").stat().st_size > 0
    with Backend("sqlite", shop).open() as database:
        assert database.how == "copy"
        assert database.query("SELECT count(*) FROM train_features WHERE id = -1") == [(0,)]
    close_all()
    assert tree(shop.parent) == before


def test_an_empty_or_wiped_journal_is_no_interrupted_transaction(rollback_shop: Path, tree: Tree) -> None:
    shop = rollback_shop
    connection = sqlite3.connect(shop, isolation_level=None)
    connection.execute("PRAGMA journal_mode=PERSIST")
    connection.execute("DELETE FROM train WHERE id = 0")
    connection.close()
    shop.with_name("shop.sqlite-wal").touch()
    assert shop.with_name("shop.sqlite-journal").stat().st_size > 0
    before = tree(shop.parent)
    with Backend("sqlite", shop).open() as database:
        assert database.how == "immutable"
        assert database.count("train") == 1999
    close_all()
    assert tree(shop.parent) == before


@pytest.mark.parametrize(("limit", "how"), [(0, "live"), (1 << 30, "copy")])
def test_a_database_in_use_in_wal_mode_is_read_as_it_is_now(
    shop: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch, limit: int, how: str
) -> None:
    monkeypatch.setattr("pytest_mdm_health.backends.sqlite.open._SNAPSHOT_LIMIT", limit)
    hold(f"import sqlite3; c = sqlite3.connect({str(shop)!r}); c.execute('DELETE FROM test'); c.commit()")
    names = sorted(path.name for path in shop.parent.iterdir())
    content = shop.read_bytes()
    with Backend("sqlite", shop).open() as database:
        assert database.how == how
        assert database.count("test") == 0
        assert database.integrity(complete=True) == ()
    assert database.closed is (how == "live")
    assert sorted(path.name for path in shop.parent.iterdir()) == names
    assert shop.read_bytes() == content


def test_who_stops_working_on_it_meanwhile_leaves_no_log_behind(shop: Path, hold: Hold) -> None:
    code = f"import sqlite3; c = sqlite3.connect({str(shop)!r}); c.execute('DELETE FROM test'); c.commit()"
    holder = hold(code)
    assert holder.stdin is not None
    with Backend("sqlite", shop).open() as database:
        assert database.count("test") == 0
        holder.stdin.close()
        holder.wait()
        assert database.count("test") == 0
    assert sorted(path.name for path in shop.parent.glob("shop.*")) == ["shop.sqlite"]


@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("table", ["test", "train_features"])
def test_an_unfinished_transaction_is_not_seen(shop: Path, hold: Hold, journal_mode: str, table: str) -> None:
    sqlite3.connect(shop).execute(f"PRAGMA journal_mode={journal_mode}").connection.close()
    before = counts(shop)[table]
    hold(f"import sqlite3; c = sqlite3.connect({str(shop)!r}); c.execute('DELETE FROM {table}')")
    assert counts(shop)[table] == before > 0


def test_an_exclusively_locked_database_names_the_holder(rollback_shop: Path, hold: Hold) -> None:
    shop = rollback_shop
    spilling = SPILLED + "c.execute('UPDATE train_features SET id = -1')"
    holder = hold(f"import sqlite3; c = sqlite3.connect({str(shop)!r}, isolation_level=None); {spilling}")
    reason = reason_for(shop)
    assert reason.code == "locked"
    assert {each.pid for each in reason.holders} == {holder.pid}
    assert f"(PID {holder.pid})" in reason.reason


def test_a_database_that_is_written_meanwhile_is_read_anew(shop: Path) -> None:
    with Backend("sqlite", shop).open() as database:
        assert database.count("train") == 2000
        connection = sqlite3.connect(shop)
        connection.execute("DELETE FROM train WHERE id < 10")
        connection.commit()
        connection.close()
        assert database.count("train") == 1990


def test_a_database_that_vanishes_meanwhile_is_a_failed_query(shop: Path) -> None:
    with Backend("sqlite", shop).open() as database:
        shop.unlink()
        with pytest.raises(QueryFailed, match="does not exist"):
            database.count("train")


def test_nothing_can_be_written(shop: Path) -> None:
    with (
        Backend("sqlite", shop).open() as database,
        pytest.raises(QueryFailed, match="attempt to write a readonly database"),
    ):
        database.query("DELETE FROM train")


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("missing", Path.unlink),
        ("empty", lambda path: path.write_bytes(b"")),
        ("wrong-format", lambda path: path.write_bytes(b"id,name\n1,a\n" * 100)),
        ("truncated", lambda path: os.truncate(path, 60)),
        ("truncated", lambda path: os.truncate(path, path.stat().st_size // 2)),
        ("truncated", lambda path: os.truncate(path, path.stat().st_size - 1)),
        ("damaged", lambda path: overwrite(path, 16, b"\x00\x07")),
        ("newer-format", lambda path: overwrite(path, 18, b"\x03\x03")),
        ("newer-format", lambda path: overwrite(path, 47, b"\x05")),
        ("damaged", lambda path: overwrite(path, 100, b"\xff" * 3000)),
    ],
)
def test_a_file_that_is_no_whole_sqlite_database_is_told_apart(
    shop: Path, code: str, damage: Callable[[Path], object]
) -> None:
    damage(shop)
    reason = reason_for(shop)
    assert reason.code == code
    assert "\n" not in reason.reason
    assert "Traceback" not in reason.reason


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("name", ["shop.sqlite", "shop.sqlite-wal", "shop.sqlite-journal"])
def test_a_fifo_where_a_file_belongs_is_an_answer_and_no_hang(shop: Path, name: str) -> None:
    path = shop.with_name(name)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert reason_for(shop).code == "not-a-file"


def test_a_folder_where_the_file_belongs_is_an_answer(shop: Path) -> None:
    assert reason_for(shop.parent).code == "not-a-file"


def test_no_room_for_a_copy_is_an_answer(
    shop: Path, killed: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(shop, "c.execute('DELETE FROM test')")
    monkeypatch.setattr("pytest_mdm_health.backends.private_copy._SPARE", 1 << 60)
    reason = reason_for(shop)
    assert reason.code == "no-room"
    assert "TMPDIR" in reason.reason


def test_garbage_after_the_end_is_told_and_the_data_is_read(shop: Path) -> None:
    with shop.open("ab") as file:
        file.write(b"g" * 1000)
    with Backend("sqlite", shop).open() as database:
        assert database.surplus == 1000
        assert database.count("train") == 2000
        assert database.integrity(complete=True) == ("1000 bytes after the end of the database do not belong to it",)


def test_an_overwritten_page_is_found(shop: Path) -> None:
    overwrite(shop, 4096 * 20, random.Random(1).randbytes(4096))  # noqa: S311 - the same damage each time
    with Backend("sqlite", shop).open() as database:
        assert database.integrity(complete=True)
        assert len(database.integrity(complete=True)) <= 25
        assert all("\n" not in problem for problem in database.integrity(complete=False))


def test_a_query_on_a_damaged_page_says_so(shop: Path) -> None:
    overwrite(shop, 4096, b"\xff" * (shop.stat().st_size - 8192))
    with Backend("sqlite", shop).open() as database, pytest.raises(QueryFailed) as caught:
        database.count("train")
    assert caught.value.damaged


def test_verifying_a_large_file_can_be_given_up(tmp_path: Path) -> None:
    path = tmp_path / "large.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a, b)")
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) "
        "INSERT INTO t SELECT i, hex(zeroblob(30)) FROM n"
    )
    connection.execute("CREATE INDEX i ON t (b, a)")
    connection.commit()
    connection.close()
    with Backend("sqlite", path).open() as database:
        with pytest.raises(Unfinished):
            database.integrity(complete=True, within_s=0.001)
        assert database.integrity(complete=True, within_s=60) == ()


HOSTILE = ['a"b', "a'b", "a;b", "select", "täble", "a b", "日本", "a\nb", "[x]", "`y`", "sqlité_x", "a--b", "%s", "?"]


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    connection = sqlite3.connect(path)
    for number, name in enumerate(HOSTILE):
        quoted = '"' + name.replace('"', '""') + '"'
        connection.execute(f"CREATE TABLE {quoted} ({quoted} INTEGER)")
        connection.executemany(f"INSERT INTO {quoted} VALUES (?)", [(row,) for row in range(number)])
    connection.commit()
    connection.close()
    with Backend("sqlite", path).open() as database:
        assert set(database.tables()) == set(HOSTILE)
        assert [database.count(name) for name in HOSTILE] == list(range(len(HOSTILE)))
        assert [database.columns(name)[0].name for name in HOSTILE] == HOSTILE


def test_every_value_survives(tmp_path: Path) -> None:
    path = tmp_path / "v.sqlite"
    connection = sqlite3.connect(path)
    values = (None, "", "NULL", b"\x00\xff", math.inf, -math.inf, -0.0, 2**63 - 1, -(2**63), 1e-320, "日本\0x")
    connection.execute("CREATE TABLE v (a)")
    connection.executemany("INSERT INTO v VALUES (?)", [(value,) for value in values])
    connection.execute("INSERT INTO v VALUES (CAST(x'ff41' AS TEXT))")
    connection.commit()
    connection.close()
    with Backend("sqlite", path).open() as database:
        rows = [value for (value,) in database.query("SELECT a FROM v ORDER BY rowid")]
    assert rows == [*values, "\udcffA"]
    assert math.copysign(1, rows[6]) == -1


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT * FROM nowhere", "SELECT 1; SELECT 2", "SELECT '\0'", "SELECT '\ud800'"]
)
def test_a_statement_that_makes_no_sense_is_a_failed_query(shop: Path, sql: str) -> None:
    with Backend("sqlite", shop).open() as database, pytest.raises(QueryFailed) as caught:
        database.query(sql)
    assert not caught.value.damaged
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_has_no_columns_and_no_count(shop: Path) -> None:
    with Backend("sqlite", shop).open() as database:
        with pytest.raises(QueryFailed, match="no such table"):
            database.columns("nowhere")
        with pytest.raises(QueryFailed, match="no such table"):
            database.count("nowhere")


@pytest.mark.parametrize(
    "name", ["a?b=c.sqlite", "a#b.sqlite", "a%41.sqlite", "日本.sqlite", "a b.sqlite", "a'b.sqlite"]
)
def test_a_path_is_only_a_path(shop: Path, name: str) -> None:
    path = Path(shutil.copy2(shop, shop.with_name(name)))
    assert counts(path)["train"] == 2000


def test_a_path_that_is_not_text_is_read(shop: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(shop.parent) + b"/\xff.sqlite"))
    try:
        shutil.copy2(shop, path)
    except OSError:
        pytest.skip("this file system takes text only")
    assert counts(path)["train"] == 2000


def test_the_wal_of_a_linked_file_is_found_beside_its_target(
    shop: Path, tmp_path: Path, killed: Callable[[Path, str], None]
) -> None:
    killed(shop, "c.execute('DELETE FROM test')")
    link = tmp_path / "link.sqlite"
    link.symlink_to(shop)
    assert counts(link)["test"] == 0


def test_a_log_of_another_time_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """An older copy of the file was put beside a log with pages that it does not reach to."""
    file = tmp_path / "data.sqlite"
    program = """
import os, shutil, sqlite3, sys
file = sys.argv[1]
c = sqlite3.connect(file, isolation_level=None)
c.execute('PRAGMA journal_mode = wal')
c.execute('CREATE TABLE t(a)')
c.executemany('INSERT INTO t VALUES (?)', [('x' * 500,)] * 500)
c.execute('PRAGMA wal_checkpoint(TRUNCATE)')
shutil.copy(file, file + '.old')
c.execute('CREATE TABLE more AS SELECT * FROM t')
c.execute('PRAGMA wal_checkpoint(TRUNCATE)')
c.execute("UPDATE t SET a = 'y' WHERE rowid < 9")
os.replace(file + '.old', file)
os._exit(9)
"""
    subprocess.run([sys.executable, "-c", program, file], check=False)
    file.with_name("data.sqlite-shm").unlink()
    with Backend("sqlite", file).open() as database:
        assert isinstance(database, SqliteDatabase)
        with pytest.raises(QueryFailed, match="malformed") as failed, database.arrow():
            pass
        assert failed.value.why == "damaged"
