"""`convert-column`: every value fits exactly and is the same afterwards, or nothing is changed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.repair.table_sql import with_type
from tests.helpers import repair

OTHERS = (
    "CREATE TABLE other (a, b); INSERT INTO other VALUES (x'00ff', 'ü'), (NULL, 9007199254740993), ('1', 1.5)",
    "CREATE VIEW seen AS SELECT c FROM t",
)


@pytest.fixture
def sqlite_file(home: Path) -> Path:
    file = home / "datasets/shop/shop.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return file


def fill_sqlite(file: Path, *values: object, type_: str = "TEXT") -> None:
    """Three rows of which one is gone, so that their numbers have a gap; an index, a trigger, a view."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE t (a TEXT DEFAULT 'x, (y', [c] {type_} NOT NULL DEFAULT 1, \"d d\" REAL)")
        connection.execute("INSERT INTO t VALUES ('gone', 0, NULL)")
        connection.executemany("INSERT INTO t VALUES ('a', ?, 0.1)", [(value,) for value in values])
        connection.execute("DELETE FROM t WHERE rowid = 1")
        connection.execute("CREATE INDEX of_c ON t (c, a)")
        connection.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END")
        connection.executescript(";".join(OTHERS))


def ask(file: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("INTEGER", ("10", "-3", "9007199254740993", "7.0"), [10, -3, 9007199254740993, 7]),
        ("REAL", ("10.5", "10", "0.30000000000000004", "1e-05", "2.50"), [10.5, 10.0, 0.1 + 0.2, 1e-05, 2.5]),
        ("DOUBLE PRECISION", ("0.1",), [0.1]),
        ("BOOLEAN", ("True", "False"), [1, 0]),
        ("DATE", ("2024-02-29",), ["2024-02-29"]),
        ("TIMESTAMP", ("2024-02-29 10:00:00.5", "2024-01-01"), ["2024-02-29 10:00:00.5", "2024-01-01"]),
        ("DECIMAL(10, 2)", ("10.25", "3"), [10.25, 3]),
    ],
)
def test_values_that_fit_are_converted_in_sqlite(
    sqlite_file: Path, type_: str, values: tuple[str, ...], expected: list[object]
) -> None:
    fill_sqlite(sqlite_file, *values)
    others = 'SELECT rowid, a, "d d" FROM t NOT INDEXED', "SELECT typeof(a), a, typeof(b), b FROM other"
    before, content = [ask(sqlite_file, each) for each in others], sqlite_file.read_bytes()
    assert repair("convert-column", sqlite_file, "t", "c", type_, "--dry-run") == 0
    assert sqlite_file.read_bytes() == content
    assert repair("convert-column", sqlite_file, "t", "c", type_) == 0
    assert [repr(value) for (value,) in ask(sqlite_file, "SELECT c FROM t NOT INDEXED")] == list(map(repr, expected))
    assert ask(sqlite_file, "SELECT count(*) FROM seen") == [(len(values),)]
    assert [ask(sqlite_file, each) for each in others] == before
    columns = ask(sqlite_file, "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('t')")
    assert columns == [("a", "TEXT", 0, "'x, (y'"), ("c", type_, 1, "1"), ("d d", "REAL", 0, None)]
    names = ask(sqlite_file, "SELECT name FROM sqlite_master WHERE tbl_name IN ('t', 'seen') ORDER BY 1")
    assert names == [("of_c",), ("seen",), ("t",), ("tr",)]
    assert ask(sqlite_file, "PRAGMA integrity_check") == [("ok",)]
    assert repair("convert-column", sqlite_file, "t", "c", type_) == 1, "it is of that type already"
    (saved,) = (each for each in sqlite_file.parents[3].glob("mdm-health-saved-*") if list(each.glob("1/before")))
    assert repair("repair", "--undo", saved) == 0
    assert sqlite_file.read_bytes() == content


MISFITS = [
    ("INTEGER", "10,5"),
    ("INTEGER", "5%"),
    ("INTEGER", "18.5"),
    ("INTEGER", "007"),
    ("INTEGER", "+7"),
    ("INTEGER", "-0"),
    ("INTEGER", "c"),  # the heading
    ("INTEGER", ""),
    ("INTEGER", " 1"),
    ("INTEGER", "\uff19"),
    ("INTEGER", "9223372036854775808"),
    ("DOUBLE", "9007199254740993"),
    ("DOUBLE", "0.12345678901234567890"),
    ("DOUBLE", "1e999"),
    ("DOUBLE", "nan"),
    ("DOUBLE", "10,5"),
    ("DOUBLE", "1_000"),
    ("BOOLEAN", "yes"),
    ("BOOLEAN", "2"),
    ("DATE", "2024-02-30"),
    ("DATE", "01.02.2024"),
    ("TIMESTAMP", "2024-01-01 10:00:00.1234567"),
    ("TIMESTAMP", "2024-01-01 25:00:00"),
    ("BLOB", "x"),
]
FITTING = {"INTEGER": "1", "DOUBLE": "1.5", "BOOLEAN": "true", "DATE": "2024-01-01", "TIMESTAMP": "2024-01-01 00:00:00"}


@pytest.mark.parametrize(("type_", "value"), MISFITS)
def test_one_value_that_does_not_fit_keeps_all(
    sqlite_file: Path, capsys: pytest.CaptureFixture[str], type_: str, value: str
) -> None:
    duck = sqlite_file.with_name("shop.duckdb")
    with duckdb.connect(str(duck)) as connection:
        connection.execute("CREATE TABLE t (c VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?)", [[FITTING.get(type_, "x")], [value]])
    fill_sqlite(sqlite_file, FITTING.get(type_, "x"), value)
    for file in (sqlite_file, duck):
        content = file.read_bytes()
        assert repair("convert-column", file, "t", "c", type_) == 1
        out, err = capsys.readouterr()
        assert "nothing is converted to" in err if type_ == "BLOB" else f"row 2 has {value!r}"[:20] in out
        assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("made", "type_", "values"),
    [
        ("REAL", "INTEGER", (1.5,)),
        ("REAL", "INTEGER", (2.0**53,)),
        ("", "INTEGER", (b"1",)),
        ("INTEGER", "REAL", (2**53 + 1,)),
        ("REAL", "TEXT", (1.5,)),
    ],
)
def test_numbers_that_would_change_stay(sqlite_file: Path, made: str, type_: str, values: tuple[object, ...]) -> None:
    fill_sqlite(sqlite_file, *values, type_=made)
    content = sqlite_file.read_bytes()
    assert repair("convert-column", sqlite_file, "t", "c", type_) == 1
    assert sqlite_file.read_bytes() == content


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("BIGINT", ("10", "-3", "9007199254740993", None), "10 -3 9007199254740993 None"),
        ("DOUBLE", ("10.5", "10", "0.30000000000000004"), "10.5 10.0 0.30000000000000004"),
        ("BOOLEAN", ("True", "false"), "True False"),
        ("DATE", ("2024-02-29",), "2024-02-29"),
        ("TIMESTAMP", ("2024-02-29 10:00:00.5",), "2024-02-29 10:00:00.500000"),
        ("DECIMAL(10,2)", ("10.25", "3"), "10.25 3.00"),
    ],
)
def test_values_that_fit_are_converted_in_duckdb(
    home: Path, type_: str, values: tuple[str | None, ...], expected: str
) -> None:
    file = home / "datasets/shop/shop.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute('CREATE TABLE "T t" (a INTEGER, c VARCHAR)')
        connection.executemany('INSERT INTO "T t" VALUES (?, ?)', [[at, value] for at, value in enumerate(values)])
        connection.execute("CREATE TABLE other AS SELECT 'nan'::DOUBLE AS n")
    assert repair("convert-column", file, "T t", "c", type_) == 0
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute('SELECT a, c FROM "T t"').fetchall()
    assert [at for at, _ in rows] == list(range(len(values)))
    assert " ".join(str(value) for _, value in rows) == expected


def test_what_a_duckdb_type_cannot_keep_stays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "datasets/shop/shop.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE t AS SELECT '3000000000' AS c, '1.005' AS d")
    content = file.read_bytes()
    for column, type_ in (("c", "INTEGER"), ("d", "DECIMAL(10,2)"), ("d", "FLOAT"), ("d", "INTEGER; DROP TABLE t")):
        assert repair("convert-column", file, "t", column, type_) == 1
        assert file.read_bytes() == content
    assert "Traceback" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (c INTEGER PRIMARY KEY AUTOINCREMENT, x)",
        "CREATE TABLE t (c TEXT PRIMARY KEY)",
        "CREATE TABLE t (x, c AS (x + 1))",
        "CREATE TABLE t (c TEXT -- a comment\n)",
        "CREATE TABLE t (d TEXT)",
        "CREATE VIEW t AS SELECT 1 AS c",
    ],
)
def test_a_table_that_is_not_understood_stays(sqlite_file: Path, statement: str) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute(statement)
    content = sqlite_file.read_bytes()
    assert repair("convert-column", sqlite_file, "t", "c", "REAL") == 1
    assert sqlite_file.read_bytes() == content


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE t(a TEXT,b TEXT)", 'CREATE TABLE "n" (a TEXT,b REAL )'),
        ("CREATE TABLE 't t' (b VARCHAR(10) NOT NULL)", 'CREATE TABLE "n" (b REAL NOT NULL)'),
        ("CREATE TABLE t (x CHECK (x IN ('b, TEXT', \"b\")), `b`)", None),
        ("CREATE TABLE t (a, CONSTRAINT b UNIQUE (a))", None),
        ('CREATE TABLE t ("B" DEFAULT (1), c)', 'CREATE TABLE "n" ("B" REAL DEFAULT (1), c)'),
    ],
)
def test_the_type_is_the_only_thing_that_changes(statement: str, expected: str | None) -> None:
    found = with_type(statement, "n", "b", "REAL")
    if statement.endswith("`b`)"):
        assert found == statement.replace("CREATE TABLE t", 'CREATE TABLE "n"').replace("`b`)", "`b` REAL )")
    else:
        assert found == expected
