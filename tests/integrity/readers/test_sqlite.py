"""Tables of SQLite files: every value arrives as the `sqlite3` module has it, whatever its type."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, close_all
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.integrity.compare import compare_digests
from pytest_mdm_health.integrity.deadline import Deadline
from pytest_mdm_health.integrity.digest.canonical import Form, form_of
from pytest_mdm_health.integrity.digest.hashing import WIDE
from pytest_mdm_health.integrity.digest.tables import digest_table, digested
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.readers import sqlite
from pytest_mdm_health.integrity.readers.base import TableIn
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for

TYPES = ("BIGINT", "FLOAT", "TEXT", "BOOLEAN", "TIMESTAMP", "DATE", "NUMERIC", "DECIMAL(10,2)", "BLOB", "JSON", "")
INTEGERS = (0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63))
REALS = (0.1, 3.0, -2.5, 5e-324, 1e-5, 1e16, 1e22, 1.2345678901234567e300, math.inf, -math.inf)
TEXTS = ("", " a ", "é", "e\u0301", "東京", "x\0y", "\0", "1", "true", "2024-01-01", "NULL", "\ufeff", "x" * 5000)
BYTES = (b"", b"\0", b"\xff", b"abc")
BROKEN = (b"\x80", b"a\xffb", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0\xff")
"""Texts that are no UTF-8: a file may have them all the same."""

KINDS = (INTEGERS, REALS, TEXTS, BYTES, BROKEN)
MEMBERS = {"whole": (int, float), "number": (int, float), "bytes": (bytes,)}
ROWS = 10_000
"""More than one array has."""


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


def made(path: Path, *statements: str, rows: Sequence[Sequence[object]] = ()) -> TableIn:
    """A file, and its table `t`, with rows of which each value that is in `BROKEN` is stored as a text."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
        for broken, some in groupby(rows, lambda row: tuple(value in BROKEN for value in row)):
            marks = ", ".join("CAST(? AS TEXT)" if yes else "?" for yes in broken)
            connection.executemany(f"INSERT INTO t VALUES ({marks})", some)
    return TableIn(Backend("sqlite", path), "t")


def arrived(source: TableIn, *, careful: bool = True, places: Sequence[int] | None = None) -> dict[int, list[Any]]:
    """The rows by place; each cell as its value and what stands beside it."""
    with workbench_for(source) as workbench:
        workbench.careful = careful
        with opened(source, workbench) as reader:
            names = [each.name for each in reader.columns]
            found: dict[int, list[Any]] = {}
            for batch in reader.batches(names, places):
                beside = [batch.strays.get(index, "NULL") for index in range(len(names))]
                chosen = "".join(f", c{index}, {stray}" for index, stray in enumerate(beside))
                for place, *row in workbench.run(f"SELECT place{chosen} FROM {batch.relation}"):
                    assert place not in found
                    found[place] = list(zip(row[::2], row[1::2], strict=True))
            return found


def stored(source: TableIn) -> list[tuple[Any, ...]]:
    """What the `sqlite3` module reads, texts that are no UTF-8 with surrogates."""
    with contextlib.closing(sqlite3.connect(source.backend.path)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        return connection.execute("SELECT rowid, * FROM t").fetchall()


def beside(value: object) -> str:
    """A value of another type than its column's."""
    if isinstance(value, bytes):
        return f"b{value.hex().upper()}"
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        return f"b{raw.hex().upper()}" if is_broken(value) else f"t{value}"
    return f"n{value!r}"


def is_broken(value: object) -> bool:
    return isinstance(value, str) and any("\udc80" <= letter <= "\udcff" for letter in value)


def is_told(cell: tuple[Any, Any], value: object, form: Form) -> bool:
    """Whether a cell says what is stored."""
    got, stray = cell
    if value is None:
        return (got, stray) == (None, None)
    if not isinstance(value, MEMBERS.get(form.domain, (str,))) or is_broken(value):
        return (got, stray) == (None, beside(value))
    if isinstance(got, str) and not isinstance(value, str):
        got = int(got) if isinstance(value, int) else float(got)
    return stray is None and (int(got) == value if isinstance(value, int) else got == value)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_every_value_arrives_as_it_is_stored(tmp_path: Path, type_: str, kind: int) -> None:
    usual: list[Any] = [None, *(each[0] for each in KINDS)] if kind else []
    source = made(
        tmp_path / "t.sqlite", f"CREATE TABLE t (a {type_})", rows=[[each] for each in (*usual, *KINDS[kind])]
    )
    form = form_of(type_, "sqlite") or form_by_values(source)
    rows = arrived(source)
    assert len(rows) == len(stored(source))
    for place, value in stored(source):
        assert is_told(rows[place][0], value, form), (value, rows[place])
    assert arrived(source, places=[2]) == {2: rows[2]}


def form_by_values(source: TableIn) -> Form:
    with workbench_for(source) as workbench, opened(source, workbench) as reader:
        return reader.forms["a"]


@pytest.mark.parametrize(
    ("type_", "late"), [*((each, False) for each in TYPES), ("BIGINT", True), ("FLOAT", True), ("TEXT", True)]
)
def test_a_value_of_another_type_is_refused_or_seen(tmp_path: Path, type_: str, late: bool) -> None:
    for number, value in enumerate((2**53 + 1, 0.5, "text", b"\x61", BROKEN[1])):
        usual = {"BIGINT": 3, "BOOLEAN": 1, "FLOAT": 3.5, "BLOB": b"x"}.get(type_, "2024-01-01")
        rows = [[usual]] * (ROWS if late else 3)
        source = made(tmp_path / f"{number}.sqlite", f"CREATE TABLE t (a {type_})", rows=[*rows, [value], *rows])
        ((place, kept),) = [(place, each) for place, each in stored(source) if each != usual]
        form = form_of(type_, "sqlite") or form_by_values(source)
        with contextlib.suppress(QueryFailed):
            assert is_told(arrived(source, careful=False)[place][0], kept, form)
        assert is_told(arrived(source)[place][0], kept, form)


def test_the_columns_of_a_view_may_hold_anything(tmp_path: Path) -> None:
    source = made(
        tmp_path / "t.sqlite",
        "CREATE TABLE one (n FLOAT, s TEXT)",
        "INSERT INTO one VALUES (0.5, 'a')",
        "CREATE VIEW t AS SELECT n, s FROM one UNION ALL SELECT 7, x'61' UNION ALL SELECT 'x', 7",
    )
    with pytest.raises(QueryFailed):
        arrived(source, careful=False)
    (one, two, three) = arrived(source).values()
    assert one == [("0.5", None), ("a", None)]
    assert two in ([("7", None), (None, "b61")], [("7.0", None), (None, "b61")])  # one SQLite or another
    assert three == [(None, "tx"), (None, "n7")]


def test_numbers_in_a_column_that_was_one_of_texts_are_seen(tmp_path: Path) -> None:
    source = made(tmp_path / "t.sqlite", "CREATE TABLE t (a INT)", rows=[[1], [2]])
    with contextlib.closing(sqlite3.connect(source.backend.path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE t (a TEXT)'")
    with pytest.raises(QueryFailed):
        arrived(source, careful=False)
    assert arrived(source) == {1: [(None, "n1")], 2: [(None, "n2")]}


@pytest.mark.parametrize("rows", [0, 1, 8191, 8192, 8193])
def test_rows_are_counted_whatever_an_array_holds(tmp_path: Path, rows: int) -> None:
    source = made(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b TEXT)", rows=[[each, "x"] for each in range(rows)])
    assert digest_table(source).rows == rows
    assert sorted(row[0][0] for row in arrived(source, careful=False).values()) == list(range(rows))


def test_tables_of_any_shape_are_digested(tmp_path: Path) -> None:
    names = [f"c{index}" for index in range(1000)]
    source = made(
        tmp_path / "wide.sqlite",
        f"CREATE TABLE t ({', '.join(f'{name} {TYPES[index % 5]}' for index, name in enumerate(names))})",
        rows=[[row * index % 7 for index in range(1000)] for row in range(5)],
    )
    assert digest_table(source, by_column=True).rows == 5
    source = made(tmp_path / "n.sqlite", 'CREATE TABLE t ("a b" INT, "c""d\'" TEXT, größe REAL)', rows=[[1, "x", 2.5]])
    assert arrived(source) == {1: [(1, None), ("x", None), (2.5, None)]}
    source = made(tmp_path / "g.sqlite", "CREATE TABLE t (a INT, b TEXT AS (a || 'x'))", "INSERT INTO t VALUES (1)")
    assert arrived(source) == {1: [(1, None), ("1x", None)]}


def test_columns_of_one_type_are_summed_alone_as_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ", ".join(f"c{index} FLOAT" for index in range(2 * WIDE))
    row = [index / 7 for index in range(2 * WIDE)]
    source = made(tmp_path / "t.sqlite", f"CREATE TABLE t ({columns})", rows=[row, row[::-1]])
    together = digest_table(source, by_column=True).sums
    monkeypatch.setattr("pytest_mdm_health.integrity.digest.hashing.WIDE", 1000)
    assert together == digest_table(source, by_column=True).sums


@pytest.mark.parametrize("beside_it", ["nothing", "log left behind", "log in use", "locked journal in use"])
def test_a_file_is_read_whatever_is_beside_it(tmp_path: Path, beside_it: str) -> None:
    source = made(tmp_path / "t.sqlite", "CREATE TABLE t (a INT)", rows=[[each] for each in range(100)])
    with contextlib.closing(sqlite3.connect(source.backend.path, isolation_level=None)) as writer:
        if "log" in beside_it:
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("INSERT INTO t VALUES (100)")
        if beside_it == "log left behind":
            for suffix in ("", "-wal"):
                (tmp_path / f"copy.sqlite{suffix}").write_bytes((tmp_path / f"t.sqlite{suffix}").read_bytes())
            source = TableIn(Backend("sqlite", tmp_path / "copy.sqlite"), "t")
        elif beside_it == "locked journal in use":
            writer.execute("PRAGMA journal_mode = PERSIST")
            writer.execute("INSERT INTO t VALUES (100)")
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO t VALUES (101)")
        rows = 100 if beside_it == "nothing" else 101
        before = {file: file.read_bytes() for file in tmp_path.iterdir()}
        with source.backend.open() as database:
            assert digest_table(source).rows == rows
            assert database.count("t") == rows  # what had it open goes on
        assert compare_digests(digest_table(source), digest_table(source)).verdict == "equal"
        close_all()
        assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_large_table_that_takes_too_long_is_broken_off(tmp_path: Path) -> None:
    source = made(
        tmp_path / "t.sqlite",
        "CREATE VIEW t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    )
    for number in range(20):  # whatever is interrupted
        deadline = Deadline(clock() + 0.1 + number / 400, 0.1)
        with (
            pytest.raises(QueryFailed, match="takes longer than"),
            deadline.workbench(source) as workbench,
            digested(workbench, source),
        ):
            pass
    assert threading.active_count() < 10


@pytest.mark.parametrize("declared", ["INTEGER", "REAL", "TEXT", ""])
def test_a_table_in_parts_has_the_digest_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    rows = [[number, KINDS[number % 5][number % 4], number / 7] for number in range(2000)]
    source = made(tmp_path / "t.sqlite", f"CREATE TABLE t (a, b {declared}, c REAL)", rows=rows)
    with contextlib.closing(sqlite3.connect(source.backend.path)) as connection, connection:
        connection.execute("DELETE FROM t WHERE a % 3 = 0 OR a BETWEEN 5 AND 900")
        connection.execute("INSERT INTO t (rowid, a) VALUES (?, 1), (?, 2)", (2**63 - 1, -(2**63)))
    whole = digest_table(source, by_column=True)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "PART_BYTES", 4096)
        assert digest_table(source, by_column=True) == whole


def test_the_time_in_which_parts_come_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[number, "x" * 300] for number in range(20_000)]
    source = made(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b TEXT)", rows=rows)
    monkeypatch.setattr(sqlite, "PART_BYTES", 256 * 1024)
    deadline = Deadline(clock() + 60, 60)
    with deadline.workbench(source) as workbench:
        started, begun = time.monotonic(), clock()
        with digested(workbench, source) as (digest, _):
            assert digest.rows == len(rows)
        assert clock() - begun < 0.7 * (time.monotonic() - started)


def test_a_damaged_page_is_told_as_damage(tmp_path: Path) -> None:
    rows = [[each, "text" * 20] for each in range(5000)]
    source = made(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b TEXT)", rows=rows)
    raw = bytearray(source.backend.path.read_bytes())
    raw[40 * 4096 : 41 * 4096] = b"\xff" * 4096
    source.backend.path.write_bytes(raw)
    with pytest.raises(QueryFailed) as caught:
        digest_table(source)
    assert caught.value.damaged


ODD_TABLES = {
    "rowid": "CREATE TABLE t (rowid INT, b TEXT)",
    "rowid-and-more": "CREATE TABLE t (rowid INT, _rowid_ INT DEFAULT 1, b TEXT)",
    "all-of-them": "CREATE TABLE t (rowid INT, _rowid_ INT DEFAULT 1, oid INT DEFAULT 1, b TEXT)",
    "no-row-ids": "CREATE TABLE t (rowid INT, b TEXT, key INTEGER PRIMARY KEY) WITHOUT ROWID",
}


@pytest.mark.parametrize("odd", ODD_TABLES)
def test_the_row_is_named_whatever_columns_are_called(tmp_path: Path, odd: str) -> None:
    for state in ("before", "after"):
        with contextlib.closing(sqlite3.connect(tmp_path / f"{state}.sqlite")) as connection, connection:
            connection.execute(ODD_TABLES[odd])
            for number in range(50):
                text = "other" if (state, number) == ("after", 7) else f"text {number}"
                key = ", key" if "key" in ODD_TABLES[odd] else ""
                connection.execute(f"INSERT INTO t (rowid, b{key}) VALUES (1, '{text}'{f', {number}' if key else ''})")
    sides = [TableIn(Backend("sqlite", tmp_path / f"{state}.sqlite"), "t") for state in ("before", "after")]
    detail = compare_tables(*sides, show_values=True).detail
    assert detail is not None
    assert (detail.rows.altered, dict(detail.cells)) == (1, {"b": 1})
    assert detail.examples[0].cells[0].before == "text 7"


def test_a_row_is_named_in_views_and_beside_a_row_id_column(tmp_path: Path) -> None:
    for state in ("before", "after"):
        with duckdb.connect(str(tmp_path / f"{state}.duckdb")) as connection:
            connection.execute("CREATE TABLE t AS SELECT 1 AS rowid, 'text ' || i AS b FROM range(50) r(i)")
            connection.execute("CREATE VIEW v AS SELECT * FROM t")
        with contextlib.closing(sqlite3.connect(tmp_path / f"{state}.sqlite")) as lite, lite:
            lite.execute("CREATE TABLE t (rowid INT, b TEXT)")
            lite.executemany("INSERT INTO t VALUES (1, ?)", [(f"text {number}",) for number in range(50)])
            lite.execute("CREATE VIEW v AS SELECT * FROM t")
    with duckdb.connect(str(tmp_path / "after.duckdb")) as connection:
        connection.execute("UPDATE t SET b = 'other' WHERE b = 'text 7'")
    with contextlib.closing(sqlite3.connect(tmp_path / "after.sqlite")) as lite, lite:
        lite.execute("UPDATE t SET b = 'other' WHERE b = 'text 7'")
    for engine, name in product(("duckdb", "sqlite"), ("t", "v")):
        one, other = (TableIn(Backend(engine, tmp_path / f"{state}.{engine}"), name) for state in ("before", "after"))
        detail = compare_tables(one, other, show_values=True).detail
        assert detail is not None
        assert (detail.rows.altered, dict(detail.cells)) == (1, {"b": 1})
        assert detail.examples[0].cells[0].before == "text 7"
