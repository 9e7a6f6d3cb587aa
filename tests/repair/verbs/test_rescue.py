"""`rescue`: what can be read of a damaged file is read, and only what lost nothing takes its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_mdm_health.repair.damaged_tables import FIRST, LAST, Reading
from tests.helpers import repair

ROWS = 4000
PAGE = 1024


@pytest.fixture
def file(home: Path) -> Path:
    """Tables of all kinds: with and without row numbers, with gaps, with an index, a trigger, a view."""
    file = home / "datasets/shop/shop.sqlite"
    file.unlink()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE}")
        connection.execute("PRAGMA user_version=7")
        connection.executescript(
            "CREATE TABLE big (k INTEGER, v TEXT, f REAL);"
            "CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, b);"
            "CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE VIEW seen AS SELECT k FROM big;"
            "CREATE TRIGGER tr AFTER DELETE ON big BEGIN SELECT 1; END; BEGIN"
        )
        values = ((number, f"value {number} " + "x" * 40, number / 7) for number in range(ROWS))
        connection.executemany("INSERT INTO big VALUES (?, ?, ?)", values)
        connection.execute("INSERT INTO numbered VALUES (5, x'00ff'), (900, NULL)")
        connection.execute("DELETE FROM numbered WHERE id = 900")
        connection.execute("INSERT INTO keyed VALUES ('ä', 1), ('b', 9007199254740993)")
        connection.execute("CREATE INDEX of_k ON big (k)")
        connection.execute("COMMIT")
    return file


def ask(file: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(statement).fetchall()


def pairs(file: Path, statement: str) -> list[tuple[object, object]]:
    return [(one, other) for one, other in ask(file, statement)]


def pages_of(file: Path, name: str, *, leaves: bool = True) -> list[int]:
    """The pages of a table or an index, in their order, told by the kind of page that they are."""
    ((root,),) = ask(file, f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")
    content = file.read_bytes()

    def kind(page: int) -> int:
        return content[(page - 1) * PAGE]

    def below(page: int) -> list[int]:
        start = (page - 1) * PAGE
        if kind(page) in {10, 13}:
            return [page]
        count = int.from_bytes(content[start + 3 : start + 5], "big")
        cells = [int.from_bytes(content[start + 12 + 2 * at : start + 14 + 2 * at], "big") for at in range(count)]
        children = [int.from_bytes(content[start + cell : start + cell + 4], "big") for cell in cells]
        children.append(int.from_bytes(content[start + 8 : start + 12], "big"))
        return [leaf for child in children for leaf in below(child)] + ([] if leaves else [page])

    found = below(int(str(root)))
    return found if leaves else [page for page in found if kind(page) in {2, 5}]


def overwrite(file: Path, *pages: int) -> None:
    with file.open("r+b") as opened:
        for page in pages:
            opened.seek((page - 1) * PAGE)
            opened.write(b"\xff" * PAGE)


def rescued(file: Path) -> Path:
    (found,) = file.parents[3].glob("mdm-health-saved-*/1/rescued/shop.sqlite")
    return found


def test_a_file_whose_index_is_damaged_is_made_whole(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = [ask(file, f"SELECT * FROM {table}") for table in ("big", "numbered", "keyed", "sqlite_sequence")]
    overwrite(file, pages_of(file, "of_k")[1])
    content = file.read_bytes()
    with pytest.raises(sqlite3.DatabaseError):
        ask(file, "SELECT count(*) FROM big INDEXED BY of_k")
    assert repair("rescue", file, "--dry-run") == 0
    assert file.read_bytes() == content
    assert repair("rescue", file) == 0, capsys.readouterr().out
    assert ask(file, "PRAGMA integrity_check") == [("ok",)]
    after = [ask(file, f"SELECT * FROM {table}") for table in ("big", "numbered", "keyed", "sqlite_sequence")]
    assert after == before
    assert ask(file, "PRAGMA page_size") + ask(file, "PRAGMA user_version") == [(PAGE,), (7,)]
    assert ask(file, "SELECT name FROM sqlite_master WHERE name IN ('seen', 'tr', 'of_k') ORDER BY 1") == [
        ("of_k",),
        ("seen",),
        ("tr",),
    ]
    assert repair("rescue", file) == 1, "it is sound"
    (saved,) = (each for each in file.parents[3].glob("mdm-health-saved-*") if list(each.glob("1/before")))
    assert repair("repair", "--undo", saved) == 0
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(lambda leaves: leaves[3:4], id="one"),
        pytest.param(lambda leaves: leaves[:1], id="the first"),
        pytest.param(lambda leaves: leaves[-1:], id="the last"),
        pytest.param(lambda leaves: [leaves[0], leaves[5], leaves[7], leaves[-1]], id="several"),
    ],
)
def test_rows_around_bad_pages_are_saved_beside(
    file: Path, capsys: pytest.CaptureFixture[str], chosen: Callable[[list[int]], list[int]]
) -> None:
    whole: dict[object, object] = dict(pairs(file, "SELECT rowid, v FROM big NOT INDEXED"))
    leaves = pages_of(file, "big")
    bad = chosen(leaves)
    overwrite(file, *bad)
    content = file.read_bytes()
    assert repair("rescue", file) == 1
    told = capsys.readouterr().out
    assert file.read_bytes() == content
    found: dict[object, object] = dict(pairs(rescued(file), "SELECT rowid, v FROM big NOT INDEXED"))
    assert found.items() <= whole.items()
    assert 0 < ROWS - len(found) <= (ROWS / len(leaves) + 2) * len(bad)
    assert f"big: {len(found)} rows saved, lost where rowid is" in told
    assert "put a backup back first" in told
    assert ask(rescued(file), "SELECT * FROM keyed ORDER BY 1") == [("b", 9007199254740993), ("ä", 1)]
    assert ask(rescued(file), "PRAGMA integrity_check") == [("ok",)]


def test_a_bad_page_above_the_rows_loses_more_and_says_so(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = pages_of(file, "big", leaves=False)
    overwrite(file, inner[1])
    assert repair("rescue", file) == 1
    assert "lost where rowid is" in capsys.readouterr().out
    assert ask(rescued(file), "SELECT count(*) FROM keyed") == [(2,)]


def test_a_file_whose_schema_is_gone_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\xff" * 500)
    content = file.read_bytes()
    assert repair("rescue", file) == 1
    assert "put a backup back" in "".join(capsys.readouterr())
    assert file.read_bytes() == content


def test_what_is_sound_or_no_sqlite_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = file.read_bytes()
    assert repair("rescue", file) == 1
    assert "is sound" in capsys.readouterr().out
    file.with_name("shop.sqlite-journal").write_bytes(b"something")
    assert repair("rescue", file) == 1
    assert "has to be dealt with first" in capsys.readouterr().err
    assert file.read_bytes() == content
    assert repair("rescue", file.parents[2] / "mdm.yaml") == 1


def test_a_table_is_read_whole_whatever_its_numbers(tmp_path: Path) -> None:
    file = tmp_path / "numbers.sqlite"
    numbers = [FIRST, FIRST + 1, -5, 0, 1, 2, 10**12, LAST - 1, LAST]
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (v)")
        connection.executemany("INSERT INTO t (rowid, v) VALUES (?, ?)", [(number, number) for number in numbers])
        kept: list[object] = []

        def keep(row: tuple[object, ...]) -> bool:
            kept.append(row[0])
            return True

        reading = Reading(connection, ("rowid", '"v"'), '"t"', keep)
        reading.read()
    assert (kept, reading.lost, reading.said) == (numbers, [], "9 rows saved")
