"""`reindex` of files: the indexes agree again with their tables, whose rows are what they were."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from tests.helpers import repair

ROWS = "SELECT * FROM t NOT INDEXED"
CHECK = "PRAGMA integrity_check"


def ask(file: Path, *statements: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        found: list[tuple[object, ...]] = []
        for statement in statements:
            found = connection.execute(statement).fetchall()
        return found


def behind_index(file: Path, index: str, statement: str) -> None:
    """Run a statement while SQLite knows nothing of an index."""
    ((kind, name, table, root, sql),) = ask(file, f"SELECT * FROM sqlite_master WHERE name = '{index}'")
    ask(file, "PRAGMA writable_schema=ON", f"DELETE FROM sqlite_master WHERE name = '{index}'")
    ask(file, statement)
    row = f"INSERT INTO sqlite_master VALUES ('{kind}', '{name}', '{table}', {root}, '{sql}')"
    ask(file, "PRAGMA writable_schema=ON", row)


def split_index(file: Path, index: str = "of_k") -> None:
    """Let an index lack rows that its table has."""
    ask(
        file,
        "PRAGMA journal_mode=DELETE",
        "CREATE TABLE t (k, v)",
        "CREATE INDEX of_k ON t (k)",
        "CREATE UNIQUE INDEX of_v ON t (v)",
        "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
    )
    behind_index(file, index, "INSERT INTO t VALUES (3, 'three'), (4, x'00'), (9007199254740993, 'one more')")
    assert ask(file, CHECK) != [("ok",)]


@pytest.fixture
def file(home: Path) -> Path:
    return home / "datasets/shop/shop.sqlite"


@pytest.mark.parametrize("words", [(), ("of_k",)])
def test_an_index_that_lacks_rows_is_built_again(file: Path, words: tuple[str, ...]) -> None:
    split_index(file)
    before, content = ask(file, ROWS), file.read_bytes()
    assert len(before) == 5
    assert repair("reindex", file, *words, "--dry-run") == 0
    assert file.read_bytes() == content
    assert repair("reindex", file, *words) == 0
    assert ask(file, CHECK) == [("ok",)]
    assert ask(file, ROWS) == before
    assert ask(file, "SELECT v FROM t WHERE k = 3") == [("three",)]
    assert repair("reindex", file, *words) == 1, "there is nothing left to do"
    (saved,) = (each for each in file.parents[3].glob("mdm-health-saved-*") if list(each.glob("1/before")))
    assert repair("repair", "--undo", saved) == 0
    assert file.read_bytes() == content


def test_another_index_is_not_enough(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_index(file)
    content = file.read_bytes()
    assert repair("reindex", file, "of_v") == 1
    assert "is not sound" in capsys.readouterr().out
    assert file.read_bytes() == content


def test_rows_that_a_unique_index_refuses_stay(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_index(file, "of_v")
    behind_index(file, "of_v", "INSERT INTO t VALUES (7, 'one')")
    content = file.read_bytes()
    assert repair("reindex", file) == 1
    assert "UNIQUE constraint failed" in capsys.readouterr().out
    assert file.read_bytes() == content


def test_entries_that_are_the_last_trace_of_rows_stay(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_index(file)
    assert repair("reindex", file) == 0
    behind_index(file, "of_k", "DELETE FROM t WHERE k = 2")
    content = file.read_bytes()
    assert repair("reindex", file) == 1
    assert "has entries of 1 row that its table t lacks" in capsys.readouterr().out
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "why"), [((), "agrees with its table"), (("none",), "has no index none"), (("t",), "has no index t")]
)
def test_what_is_sound_or_unknown_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    ask(file, "PRAGMA journal_mode=DELETE", "CREATE TABLE t (k)", "CREATE INDEX i ON t (k)")
    content = file.read_bytes()
    assert repair("reindex", file, *words) == 1
    assert why in "".join(capsys.readouterr())
    assert file.read_bytes() == content


def test_a_file_that_is_used_or_has_a_log_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_index(file)
    other = "import sys; f = open(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", other, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        user.stdout.readline()
        assert repair("reindex", file) == 1
        assert "is open in" in capsys.readouterr().err
        user.communicate(b"\n")
    file.with_name("shop.sqlite-wal").write_bytes(b"something")
    assert repair("reindex", file) == 1
    assert "has to be dealt with first" in capsys.readouterr().err


def test_an_index_of_duckdb_is_built_again(home: Path) -> None:
    file = home / "datasets/shop/shop.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT i AS k, i::text AS v FROM range(3000) r(i)")
        connection.execute('CREATE INDEX "of k" ON t (k)')
        connection.execute("CREATE UNIQUE INDEX of_v ON t (v)")
    assert repair("reindex", file, "of k") == 0
    assert repair("reindex", file) == 0
    assert repair("reindex", file, "none") == 1
    with duckdb.connect(str(file), read_only=True) as connection:
        assert connection.execute("SELECT count(*), sum(k), count(DISTINCT v) FROM t").fetchall() == [
            (3000, 4498500, 3000)
        ]
        assert connection.execute("SELECT index_name FROM duckdb_indexes() ORDER BY 1").fetchall() == [
            ("of k",),
            ("of_v",),
        ]
