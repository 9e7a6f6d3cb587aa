"""One lost table comes back out of a backup, and not a value of the others is changed."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.helpers import MakeHome, repair
from tests.watched import differences, snapshot

ENGINES = {"sqlite": "mdm-1.0.6-sqlite", "duckdb": "mdm-1.0.6-duckdb"}
ODD = (
    'CREATE TABLE "odd ""name" (a INTEGER PRIMARY KEY, b TEXT NOT NULL, c REAL DEFAULT 1.5, d BLOB)',
    """INSERT INTO "odd ""name" VALUES (9007199254740993, 'ß€', 0.1, X'00ff'), (2, '', -0.0, NULL)""",
)


def data(home: Path) -> Path:
    (path,) = (each for each in (home / "datasets/shop").iterdir() if each.suffix in {".sqlite", ".duckdb"})
    return path


def run(path: Path, *statements: str) -> None:
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as engine:
            for statement in statements:
                engine.execute(statement)
    else:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)


def everything(path: Path) -> dict[str, object]:
    """Every table with its definition and its rows."""
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path), read_only=True) as engine:
            tables = engine.execute("SELECT table_name, sql FROM duckdb_tables()").fetchall()
            return {name: (sql, engine.execute(f'FROM "{name}"').fetchall()) for name, sql in tables}
    with closing(sqlite3.connect(path)) as connection:
        parts = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        quoted = ((name, name.replace('"', '""')) for kind, name, _ in parts if kind == "table")
        rows = {name: connection.execute(f'SELECT * FROM "{text}"').fetchall() for name, text in quoted}
        return {"parts": parts, **rows}


def back_up(home: Path) -> Path:
    archive = home.parent / "saved.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(home, ".")
    return archive


@pytest.fixture(params=ENGINES)
def shop(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    return make_home(ENGINES[request.param])


@pytest.mark.parametrize("damage", ["DROP TABLE test", "DELETE FROM train"])
def test_a_table_comes_back_and_the_others_stay_as_they_are(shop: Path, tmp_path: Path, damage: str) -> None:
    backup, table = back_up(shop), damage.rpartition(" ")[2]
    run(data(shop), damage, "CREATE TABLE since (a INTEGER)", "INSERT INTO since VALUES (1)")
    expected = everything(data(shop)) | {table: None}
    before = snapshot(shop)
    assert repair("put-back", data(shop), "--from", backup, "--table", table) == 0
    after, (saved,) = everything(data(shop)), tmp_path.glob("mdm-health-saved-*")
    assert {**after, table: None, "parts": None} == {**expected, "parts": None}
    assert repair("repair", "--undo", saved) == 0
    assert [line for line in differences(before, snapshot(shop)) if "mtime_ns" not in line] == []


def test_a_table_of_any_name_comes_back_with_its_index(home: Path) -> None:
    run(data(home), *ODD, 'CREATE UNIQUE INDEX "by b" ON "odd ""name" (b)')
    backup, whole = back_up(home), everything(data(home))
    run(data(home), 'DROP TABLE "odd ""name"')
    assert repair("put-back", data(home), "--from", backup, "--table", 'odd "name') == 0
    assert everything(data(home)) == whole


def refused(home: Path, table: str, backup: Path, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(home)
    assert repair("put-back", data(home), "--from", backup, "--table", table) == 1
    said = capsys.readouterr()
    assert why in said.out + said.err
    wrong = [line for line in differences(before, snapshot(home)) if not line.startswith(f"changed: {home} (")]
    assert wrong == []


def test_a_table_with_rows_is_left_alone(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = back_up(shop)
    run(data(shop), "DELETE FROM train WHERE id > 1")
    refused(shop, "train", backup, "which stay", capsys)


def test_a_table_that_is_empty_in_the_backup_too_is_refused(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(data(shop), "DELETE FROM train")
    refused(shop, "train", back_up(shop), "no rows in the backup either", capsys)


def test_other_columns_than_in_the_backup_are_refused(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = back_up(shop)
    run(data(shop), "DELETE FROM train", "ALTER TABLE train ADD COLUMN more INTEGER")
    refused(shop, "train", backup, "has other columns in the backup", capsys)


def test_a_log_beside_the_file_comes_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = back_up(home)
    run(data(home), "DELETE FROM train")
    data(home).with_name("shop.sqlite-journal").write_bytes(b"x" * 600)
    refused(home, "train", backup, "has to be dealt with first", capsys)


def test_a_trigger_that_would_change_another_table_is_seen(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup = back_up(home)
    run(
        data(home),
        "DELETE FROM train",
        "CREATE TRIGGER t AFTER INSERT ON train BEGIN DELETE FROM test; END",
    )
    refused(home, "train", backup, "would not hold the same data", capsys)
