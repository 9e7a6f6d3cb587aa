"""DuckDB files are attached read-only, one instance for a whole home, and nothing tells afterwards that they were."""

from __future__ import annotations

import datetime as dt
import decimal
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Unfinished, close_all
from pytest_mdm_health.backends import duckdb as backend_module
from pytest_mdm_health.backends.duckdb import DuckDBDatabase
from pytest_mdm_health.core.session import current

Hold = Callable[[str], "subprocess.Popen[bytes]"]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
BLOCK = 262144
ONE_FILE_AN_INSTANCE = duckdb.__version__.startswith("1.1.")


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def duckdb_home(make_home: Callable[[str], Path]) -> Path:
    return make_home("mdm-1.0.6-duckdb")


@pytest.fixture
def shop(duckdb_home: Path) -> Path:
    return duckdb_home / "datasets/shop/shop.duckdb"


def own(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def reason_for(path: Path) -> CannotOpen:
    with pytest.raises(CannotOpen) as caught:
        DuckDBDatabase(path)
    return caught.value


def test_a_healthy_database_answers_and_is_not_touched(shop: Path, tree: Tree) -> None:
    before = tree(shop.parent)
    with Backend("duckdb", shop).open() as database:
        assert (database.engine, database.how, database.surplus) == ("duckdb", "attached", 0)
        assert database.tables() == ("test", "test_features", "train", "train_features")
        assert database.count("train") == 2000
        assert database.columns("train") == database.columns("TRAIN")
        assert [(column.name, column.type) for column in database.columns("train")][:2] == [
            ("id", "BIGINT"),
            ("customer", "VARCHAR"),
        ]
        assert database.query("SELECT count(*) FROM train WHERE id >= ?", (0,)) == [(2000,)]
        assert database.integrity(complete=False) == database.integrity(complete=True) == ()
    assert tree(shop.parent) == before


def test_a_returned_database_can_be_written_by_others(shop: Path) -> None:
    with Backend("duckdb", shop).open() as database:
        assert database.count("test") == 500
    assert database.closed
    deleting = f"import duckdb; duckdb.connect({str(shop)!r}).execute('DELETE FROM test')"
    subprocess.run([sys.executable, "-c", deleting], check=True)


@pytest.mark.skipif(ONE_FILE_AN_INSTANCE, reason="DuckDB 1.1 cannot be told which files it may reach")
def test_all_databases_of_a_home_go_through_one_instance(duckdb_home: Path) -> None:
    instances = set()
    for path in sorted(duckdb_home.glob("datasets/*/*.duckdb")):
        with Backend("duckdb", path).open() as database:
            assert database.tables()
            instances.add(id(database._instance))  # type: ignore[attr-defined] # of a DuckDBDatabase
    assert len(instances) == 1


def test_databases_of_two_homes_can_be_opened_in_turn(make_home: Callable[..., Path]) -> None:
    homes = [make_home("mdm-1.0.6-duckdb", "one"), make_home("mdm-0.1.0-duckdb", "two")]
    for home in homes * 2:
        with Backend("duckdb", home / "datasets/wine/wine.duckdb").open() as database:
            assert database.count("wine") == 178


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text({other!r})",
        "COPY (SELECT 1) TO {new!r}",
        "ATTACH {new!r} AS new",
        "INSTALL httpfs",
        "LOAD sqlite_scanner",
        "SET enable_external_access = true",
        "DELETE FROM train",
        "CREATE TABLE mdm.main.new (a INT)",
    ],
)
def test_nothing_else_can_be_reached_and_nothing_written(shop: Path, tmp_path: Path, tree: Tree, sql: str) -> None:
    other, new = tmp_path / "other.txt", tmp_path / "new.file"
    other.write_text("secret")
    before = tree(tmp_path)
    with Backend("duckdb", shop).open() as database, pytest.raises(QueryFailed):
        database.query(sql.format(other=str(other), new=str(new)))
    assert tree(tmp_path) == before


def test_a_view_in_the_file_cannot_reach_other_files(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    path = own(
        tmp_path / "v.duckdb", "CREATE TABLE t (a INT)", f"CREATE VIEW v AS SELECT * FROM read_csv({str(other)!r})"
    )
    with Backend("duckdb", path).open() as database:
        assert database.tables() == ("t", "v")
        with pytest.raises(QueryFailed):
            database.count("v")
        assert database.integrity(complete=True) == ()


@pytest.fixture
def with_log(tmp_path: Path) -> Path:
    """A database whose writer was killed: 1000 rows in the file, 500 in the log."""
    path = tmp_path / "log.duckdb"
    code = (
        f"import duckdb, os; c = duckdb.connect({str(path)!r})\n"
        "c.execute('CREATE TABLE t AS SELECT range a FROM range(1000)')\n"
        "c.execute('CHECKPOINT'); c.execute(\"SET wal_autocheckpoint='1GB'\")\n"
        "c.execute('INSERT INTO t SELECT range FROM range(500)'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.with_name("log.duckdb.wal").stat().st_size > 0
    return path


def test_what_lies_in_the_log_is_read_and_the_log_is_not_touched(with_log: Path, tree: Tree) -> None:
    before = tree(with_log.parent)
    with Backend("duckdb", with_log).open() as database:
        assert database.count("t") == 1500
        assert database.integrity(complete=True) == ()
    assert tree(with_log.parent) == before


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_log_is_not_touched_either(with_log: Path, tree: Tree, content: bytes) -> None:
    with_log.with_name("log.duckdb.wal").write_bytes(content)
    before = tree(with_log.parent)
    with Backend("duckdb", with_log).open() as database:
        assert database.count("t") == 1000
    assert tree(with_log.parent) == before


def test_a_database_with_a_writer_is_locked_and_names_the_writer(shop: Path, hold: Hold) -> None:
    holder = hold(f"import duckdb; c = duckdb.connect({str(shop)!r})")
    reason = reason_for(shop)
    assert reason.code == "locked"
    assert [each.pid for each in reason.holders] == [holder.pid]
    assert f"(PID {holder.pid})" in reason.reason
    assert "http" not in reason.reason


def test_a_database_that_somebody_reads_is_read_too(shop: Path, hold: Hold) -> None:
    hold(f"import duckdb; c = duckdb.connect({str(shop)!r}, read_only=True)")
    with Backend("duckdb", shop).open() as database:
        assert database.count("train") == 2000


@pytest.mark.skipif(ONE_FILE_AN_INSTANCE, reason="DuckDB 1.1 does not notice")
def test_a_database_that_this_process_writes_is_locked_by_it(shop: Path) -> None:
    with duckdb.connect(str(shop)):
        assert [each.pid for each in reason_for(shop).holders] == [os.getpid()]


def overwrite(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize(
    ("code", "damage"),
    [
        ("missing", Path.unlink),
        ("empty", lambda path: path.write_bytes(b"")),
        ("wrong-format", lambda path: path.write_bytes(b"id,name\n1,a\n" * 2000)),
        ("wrong-format", lambda path: path.write_bytes(b"SQLite format 3\0" * 2000)),
        ("truncated", lambda path: os.truncate(path, 100)),
        ("truncated", lambda path: os.truncate(path, 3 * 4096)),
        ("truncated", lambda path: os.truncate(path, path.stat().st_size // 2)),
        ("truncated", lambda path: os.truncate(path, path.stat().st_size - 1)),
        ("damaged", lambda path: overwrite(path, 30, b"\xff")),
    ],
)
def test_a_file_that_is_no_whole_duckdb_database_is_told_apart(
    shop: Path, code: str, damage: Callable[[Path], object]
) -> None:
    damage(shop)
    reason = reason_for(shop)
    assert reason.code == code
    assert "\n" not in reason.reason


def test_a_block_that_opening_does_not_read_is_missed(tmp_path: Path) -> None:
    path = own(tmp_path / "t.duckdb", "CREATE TABLE t AS SELECT range a, hash(range) b FROM range(300000)")
    os.truncate(path, path.stat().st_size - BLOCK)
    assert reason_for(path).code == "truncated"


def test_a_file_of_a_newer_duckdb_is_told_apart(shop: Path) -> None:
    """Its header says storage version 60000, with the checksum that belongs to that header."""
    overwrite(shop, 0, header_of_version(shop, 60000))
    reason = reason_for(shop)
    assert reason.code == "newer-format"
    assert "newer than the one here" in reason.reason


def test_a_file_of_a_very_old_duckdb_is_not_called_newer(shop: Path) -> None:
    overwrite(shop, 0, header_of_version(shop, 30))
    reason = reason_for(shop)
    assert reason.code == "older-format"
    assert "version number 30" in reason.reason


def header_of_version(path: Path, version: int) -> bytes:
    """The file's first 4096 bytes with another storage version, and DuckDB's checksum over them."""
    body = bytearray(path.read_bytes()[8:4096])
    body[4:12] = version.to_bytes(8, "little")
    return checksum(bytes(body)).to_bytes(8, "little") + bytes(body)


def checksum(block: bytes) -> int:
    mask = 2**64 - 1
    result = 5381
    for at in range(0, len(block) // 8 * 8, 8):
        result ^= int.from_bytes(block[at : at + 8], "little") * 0xBF58476D1CE4E5B9 & mask
    return result


@pytest.mark.parametrize("suffix", ["", ".wal"])
def test_a_fifo_where_a_file_belongs_is_an_answer_and_no_hang(shop: Path, suffix: str) -> None:
    path = shop.with_name(shop.name + suffix)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert reason_for(shop).code == "not-a-file"


def test_every_flipped_bit_in_the_data_is_found(shop: Path) -> None:
    content = shop.read_bytes()
    for at in range(3 * 4096 + 5000, len(content), BLOCK):
        shop.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            with Backend("duckdb", shop).open() as database:
                problems = database.integrity(complete=True)
        except CannotOpen as reason:
            problems = (reason.code,)
        assert problems
        assert all("\n" not in problem for problem in problems)
    shop.write_bytes(content)
    with Backend("duckdb", shop).open() as database:
        assert database.integrity(complete=True) == ()


def test_garbage_after_the_end_is_told_and_the_data_is_read(shop: Path) -> None:
    with shop.open("ab") as file:
        file.write(b"g" * 1000)
    with Backend("duckdb", shop).open() as database:
        assert database.surplus == 1000
        assert database.count("train") == 2000
        assert database.integrity(complete=False) == ("1000 bytes after the end of the database do not belong to it",)


def test_blocks_of_a_write_that_was_cut_short_are_no_garbage(shop: Path) -> None:
    with shop.open("ab") as file:
        file.write(b"g" * BLOCK)
    with Backend("duckdb", shop).open() as database:
        assert database.surplus == 0


def test_a_file_that_shrank_because_rows_were_deleted_is_whole(duckdb_home: Path) -> None:
    path = duckdb_home / "datasets/big/big.duckdb"
    before = path.stat().st_size
    own(path, "DELETE FROM big")
    assert path.stat().st_size < before
    with Backend("duckdb", path).open() as database:
        assert (database.count("big"), database.surplus) == (0, 0)
        assert database.integrity(complete=True) == ()


def test_reading_through_a_large_file_can_be_given_up(tmp_path: Path) -> None:
    path = own(tmp_path / "large.duckdb", "CREATE TABLE t AS SELECT range a, md5(range::VARCHAR) b FROM range(2000000)")
    with Backend("duckdb", path).open() as database:
        with pytest.raises(Unfinished):
            database.integrity(complete=True, within_s=0.001)
        assert database.integrity(complete=True, within_s=60) == ()


HOSTILE = ['a"b', "a'b", "a;b", "select", "täble", "a b", "日本", "a\nb", "[x]", "a--b", "%s", "?", "mdm", "main.t"]


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    path = tmp_path / "h'x.duckdb"
    statements = []
    for number, name in enumerate(HOSTILE):
        quoted = '"' + name.replace('"', '""') + '"'
        statements.append(f"CREATE TABLE {quoted} AS SELECT range AS {quoted} FROM range({number})")
    own(path, *statements)
    with Backend("duckdb", path).open() as database:
        assert set(database.tables()) == set(HOSTILE)
        assert [database.count(name) for name in HOSTILE] == list(range(len(HOSTILE)))
        assert [database.columns(name)[0].name for name in HOSTILE] == HOSTILE
        assert database.integrity(complete=True) == ()


def test_tables_of_other_schemas_are_verified_too(tmp_path: Path) -> None:
    path = own(tmp_path / "s.duckdb", "CREATE SCHEMA other", "CREATE TABLE other.t AS SELECT range a FROM range(10)")
    with Backend("duckdb", path).open() as database:
        assert database.tables() == ()
        assert database.integrity(complete=True) == ()


VALUES = {
    "NULL": None,
    "''": "",
    "'NULL'": "NULL",
    "'nan'::DOUBLE": math.nan,
    "'-inf'::DOUBLE": -math.inf,
    "'\\x00\\xFF'::BLOB": b"\x00\xff",
    "1.10::DECIMAL(9,2)": decimal.Decimal("1.10"),
    "170141183460469231731687303715884105727::HUGEINT": 2**127 - 1,
    "DATE '2020-01-31'": dt.date(2020, 1, 31),
    "TIMESTAMP '2020-01-31 01:02:03.000004'": dt.datetime(2020, 1, 31, 1, 2, 3, 4),  # noqa: DTZ001 - it has no zone
    "DATE '290000-01-01'": "290000-01-01",
    "[1, NULL]": [1, None],
}


@pytest.mark.parametrize("sql", VALUES)
def test_every_value_survives(tmp_path: Path, sql: str) -> None:
    path = own(tmp_path / "v.duckdb", f"CREATE TABLE v AS SELECT {sql} AS a")
    with Backend("duckdb", path).open() as database:
        ((value,),) = database.query("SELECT a FROM v")
    expected = VALUES[sql]
    assert value == expected or (expected != expected and value != value)  # noqa: PLR0124 - how NaN is told
    assert type(value) is type(expected)


def test_a_time_with_a_zone_survives_without_pytz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own(tmp_path / "z.duckdb", "CREATE TABLE z AS SELECT TIMESTAMPTZ '2020-01-31 01:02:03+00' AS a, 1 AS a2")
    monkeypatch.setitem(sys.modules, "pytz", None)
    with Backend("duckdb", path).open() as database:
        ((time, number),) = database.query("SELECT * FROM z WHERE a2 = ?", (1,))
    assert number == 1
    text = time if isinstance(time, str) else time.isoformat(" ")
    assert dt.datetime.fromisoformat(text if len(text.rpartition("+")[2]) > 2 else f"{text}:00") == (
        dt.datetime(2020, 1, 31, 1, 2, 3, tzinfo=dt.timezone.utc)
    )


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM nowhere", "SELECT '\ud800'", "SELECT 1 / 'a'"])
def test_a_statement_that_makes_no_sense_is_a_failed_query(shop: Path, sql: str) -> None:
    with Backend("duckdb", shop).open() as database, pytest.raises(QueryFailed) as caught:
        database.query(sql)
    assert not caught.value.damaged
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_has_no_columns_and_no_count(shop: Path) -> None:
    with Backend("duckdb", shop).open() as database:
        with pytest.raises(QueryFailed, match="no such table"):
            database.columns("nowhere")
        with pytest.raises(QueryFailed, match="nowhere"):
            database.count("nowhere")


def test_a_path_that_is_not_text_is_an_answer(tmp_path: Path, shop: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.duckdb"))
    try:
        path.write_bytes(shop.read_bytes())
    except OSError:
        pytest.skip("this file system takes text only")
    assert reason_for(path).code == "unreadable"


def test_paths_with_odd_parts_are_the_paths_that_were_meant(shop: Path) -> None:
    odd = shop.parent / ".." / "shop" / "shop.duckdb"
    link = shop.parent / "link.duckdb"
    link.symlink_to(shop)
    for path in (odd, link):
        with Backend("duckdb", path).open() as database:
            assert database.count("test") == 500


def test_the_instance_is_replaced_when_it_can_no_longer_be_used(shop: Path) -> None:
    with Backend("duckdb", shop).open() as database:
        database.connection.close()
        with pytest.raises(QueryFailed):
            database.tables()
    with Backend("duckdb", shop).open() as database:
        assert database.count("test") == 500
        assert current().part(backend_module._Instances)._instance is not None
