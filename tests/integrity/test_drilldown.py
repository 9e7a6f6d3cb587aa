"""Tables that can both be read are compared to the cell, and what the difference looks like is named."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, close_all
from pytest_mdm_health.integrity import differing_rows, keyed_rows
from pytest_mdm_health.integrity.compare import compare_digests
from pytest_mdm_health.integrity.differing_rows import EXAMINED
from pytest_mdm_health.integrity.digest.tables import digest_table
from pytest_mdm_health.integrity.drilldown import Detail, Difference, compare_tables
from pytest_mdm_health.integrity.patterns import PATTERNS
from pytest_mdm_health.integrity.readers.base import Source, TableFile, TableIn
from pytest_mdm_health.integrity.row_pairs import paired

SHOP = "SELECT i AS id, 'Kraków ' || i AS city, i / 7.0 AS price, i % 3 = 0 AS ok FROM range(200) r(i)"


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


Make = Callable[..., Source]


@pytest.fixture
def made(tmp_path: Path) -> Make:
    """A table in a DuckDB file of its own: `made("SELECT …", "UPDATE t …")`."""
    folder = tmp_path / "home" / "data"
    folder.mkdir(parents=True)

    def make(select: str, *statements: str) -> Source:
        path = folder / f"{len(list(folder.iterdir()))}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"CREATE TABLE t AS {select}")
            for statement in statements:
                connection.execute(statement)
        return TableIn(Backend("duckdb", path), "t")

    return make


def detail_of(difference: Difference) -> Detail:
    assert difference.comparison.verdict == "differs"
    assert difference.detail is not None
    return difference.detail


def test_equal_tables_have_no_detail(made: Make) -> None:
    result = compare_tables(made(SHOP), made(f"{SHOP} ORDER BY id DESC"))
    assert (result.comparison.verdict, result.comparison.differing, result.detail) == ("equal", (), None)


def test_rows_and_cells_that_differ_are_named(made: Make) -> None:
    damage = (
        "UPDATE t SET price = nextafter(price, 99) WHERE id = 7",
        "UPDATE t SET city = city || ' ' WHERE id = 8",
        "DELETE FROM t WHERE id IN (100, 101)",
        "INSERT INTO t SELECT * FROM t WHERE id = 150",
        "INSERT INTO t VALUES (-5, 'new', NULL, NULL)",
    )
    detail = detail_of(compare_tables(made(SHOP), made(SHOP, *damage), key=("id",), show_values=True))
    assert (detail.rows.missing, detail.rows.added, detail.rows.duplicated, detail.rows.altered) == (2, 1, 1, 2)
    assert detail.cells == {"price": 1, "city": 1}
    assert detail.rows.complete
    told = [(row.kind, row.key, [cell.column for cell in row.cells]) for row in detail.examples]
    assert told == [
        ("altered", ("7",), ["price"]),
        ("altered", ("8",), ["city"]),
        ("missing", ("100",), []),
        ("missing", ("101",), []),
        ("added", ("-5",), []),
        ("duplicated", ("150",), []),
    ]
    assert (detail.examples[1].cells[0].before, detail.examples[1].cells[0].after) == ("Kraków 8", "Kraków 8 ")


def test_values_are_told_only_on_request(made: Make) -> None:
    before, after = made(SHOP), made(SHOP, "UPDATE t SET city = 'secret' WHERE id = 7")
    detail = detail_of(compare_tables(before, after, key=("id",)))
    assert "secret" not in repr(detail)
    assert "Kraków" not in repr(detail)
    assert detail.examples[0].cells[0].before != detail.examples[0].cells[0].after
    assert detail.examples[0].before == 7


HASHED = """
import sys
from pathlib import Path
from pytest_mdm_health.backends import Backend
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.readers.base import TableIn
sides = [TableIn(Backend("duckdb", Path(each)), "t") for each in sys.argv[1:]]
for again in range(2):
    print(*(each.key[0] for each in compare_tables(*sides, key=("id",)).detail.examples))
"""


def test_hashes_of_values_are_equal_only_within_one_process(made: Make) -> None:
    sides = made(SHOP), made(SHOP, "UPDATE t SET city = 'x' WHERE id = 7")
    command = [sys.executable, "-c", HASHED, *(str(file) for side in sides for file in side.files)]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)]
    assert [len(set(each)) for each in runs] == [1, 1]
    assert runs[0] != runs[1]


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("truncated-tail", ["DELETE FROM t WHERE id >= 180"]),
        ("repeated-block", ["INSERT INTO t SELECT * FROM t WHERE id BETWEEN 50 AND 80"]),
        ("rows-doubled", ["INSERT INTO t FROM t"]),
        ("rows-repeated", ["INSERT INTO t FROM (FROM t UNION ALL FROM t)"]),
        ("one-column", ["UPDATE t SET price = price + 1"]),
        ("shifted-column", ["UPDATE t SET city = 'Kraków ' || ((id + 1) % 200)"]),
        ("column-emptied", ["UPDATE t SET city = NULL"]),
        ("mojibake", ["UPDATE t SET city = replace(city, 'ó', 'Ã³')"]),
        ("unknown-characters", ["UPDATE t SET city = replace(city, 'ó', '?')"]),
        ("trimmed", ["UPDATE t SET city = city || '  '"]),
        ("letter-case", ["UPDATE t SET city = upper(city)"]),
        ("unicode-form", ["UPDATE t SET city = replace(city, 'ó', 'o\u0301')"]),
        ("rounded", ["UPDATE t SET price = round(price, 2)"]),
        (
            "everything-as-text",
            [
                "ALTER TABLE t ALTER id TYPE VARCHAR",
                "ALTER TABLE t ALTER price TYPE VARCHAR",
                "ALTER TABLE t ALTER ok TYPE VARCHAR",
                "UPDATE t SET ok = 'yes' WHERE ok = 'true'",
            ],
        ),
    ],
)
def test_a_pattern_is_named_by_what_it_looks_like(made: Make, pattern: str, damage: list[str]) -> None:
    result = compare_tables(made(SHOP), made(SHOP, *damage))
    assert pattern in {*result.comparison.patterns, *detail_of(result).patterns}
    assert pattern in PATTERNS


@pytest.mark.parametrize(
    ("pattern", "before", "after"),
    [
        ("null-spelling", "NULL", "'NULL'"),
        ("null-spelling", "''", "NULL"),
        ("sign-lost", "-0.0::DOUBLE", "0.0::DOUBLE"),
    ],
)
def test_what_became_of_one_value_everywhere_is_named(made: Make, pattern: str, before: str, after: str) -> None:
    one, other = (f"SELECT i, {value} AS v FROM range(9) r(i)" for value in (before, after))
    typed = "SELECT i, v::VARCHAR AS v FROM" if "'" in before + after else "FROM"
    assert pattern in detail_of(compare_tables(made(f"{typed} ({one})"), made(f"{typed} ({other})"))).patterns


def test_one_altered_cell_makes_no_pattern(made: Make) -> None:
    result = compare_tables(made(SHOP), made(SHOP, "UPDATE t SET city = NULL WHERE id = 3"))
    assert (*result.comparison.patterns, *detail_of(result).patterns) == ()


KEYED = (
    "SELECT i AS id, 'k-' || (i * 7919 % 1000003) AS code, i // 40 AS shop, i % 40 AS day, i % 9 = 0 AS ok, "
    "i % 25 / 4.0 AS amount, CASE WHEN i % 3 = 0 THEN NULL ELSE 'n' || i % 11 END AS note FROM range({rows}) r(i)"
)
KEYS = [("id",), ("code",), ("shop", "day"), ()]


@pytest.fixture(params=["duckdb", "sqlite"])
def keyed(request: pytest.FixtureRequest, made: Make, tmp_path: Path) -> Make:
    """As `made`, of a number of rows, and on each engine: `keyed(1500, "UPDATE t …")`."""

    def make(rows: int, *statements: str, select: str = KEYED) -> Source:
        source = made(select.format(rows=rows), *statements)
        if request.param == "duckdb":
            return source
        (file,) = source.files
        path = tmp_path / f"{file.stem}.sqlite"
        with duckdb.connect(str(file)) as old, closing(sqlite3.connect(path)) as new:
            described = old.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 't'")
            columns = described.fetchall()
            new.execute(f"CREATE TABLE t ({', '.join(f'{name} {type_}' for name, type_ in columns)})")
            marks = ", ".join("?" * len(columns))
            new.executemany(f"INSERT INTO t VALUES ({marks})", old.execute("FROM t").fetchall())
            new.commit()
        return TableIn(Backend("sqlite", path), "t")

    return make


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("rows", [EXAMINED + 500, pytest.param(25_000, marks=pytest.mark.slow)])
def test_a_column_changed_in_every_row_is_the_only_one_altered(keyed: Make, rows: int, key: tuple[str, ...]) -> None:
    sides = keyed(rows), keyed(rows, "UPDATE t SET amount = amount + 0.125")
    detail = detail_of(compare_tables(*sides, key=key))
    assert (detail.rows.missing, detail.rows.added, detail.rows.duplicated, detail.rows.altered) == (0, 0, 0, rows)
    assert (detail.rows.complete, detail.cells) == (True, {"amount": rows})
    assert "one-column" in detail.patterns
    assert {each.kind for each in detail.examples} == {"altered"}


@pytest.mark.parametrize("key", KEYS)
def test_lost_new_doubled_and_altered_rows_are_counted_exactly(keyed: Make, key: tuple[str, ...]) -> None:
    damage = (
        "UPDATE t SET note = coalesce(note, '') || '!' WHERE id % 2 = 0",
        "UPDATE t SET amount = NULL WHERE id % 5 = 0",
        "INSERT INTO t SELECT * FROM t WHERE id BETWEEN 101 AND 111 AND id % 2 = 1 AND id % 5 > 0",
        "DELETE FROM t WHERE id BETWEEN 4000 AND 4099",
        "INSERT INTO t SELECT id + 90000, code || 'x', shop + 90000, day, ok, amount, note FROM t WHERE id >= 5950",
    )
    detail = detail_of(compare_tables(keyed(6000), keyed(6000, *damage), key=key, show_values=True))
    assert (detail.rows.missing, detail.rows.added, detail.rows.duplicated) == (100, 50, 5)
    assert (detail.rows.altered, detail.rows.complete) == (3600 - 60, True)
    assert detail.cells == {"note": 3000 - 50, "amount": 1200 - 20}
    kinds = [each.kind for each in detail.examples]
    assert {kind: kinds.count(kind) for kind in kinds} == {"altered": 10, "missing": 10, "added": 10, "duplicated": 5}
    if key == ("code",):
        assert "k-" in str(next(each for each in detail.examples if each.kind == "missing").key[0])


def test_a_key_with_one_value_twice_is_not_used_alone(keyed: Make) -> None:
    twice = "UPDATE t SET id = 7 WHERE id = 8"
    sides = keyed(3000, twice), keyed(3000, twice, "UPDATE t SET ok = NOT ok")
    detail = detail_of(compare_tables(*sides, key=("id",)))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered, detail.cells) == (0, 0, 3000, {"ok": 3000})


def test_a_key_changed_in_every_row_is_altered_if_others_match(keyed: Make) -> None:
    for rows in (400, 3000):
        sides = keyed(rows), keyed(rows, "UPDATE t SET id = id + 500000")
        detail = detail_of(compare_tables(*sides, key=("id",)))
        assert (detail.rows.missing, detail.rows.added, detail.rows.altered, detail.cells) == (0, 0, rows, {"id": rows})


def test_rows_replaced_by_others_are_missing_and_new_by_key(keyed: Make) -> None:
    other = "UPDATE t SET id = id + 500000, code = 'other ' || id, shop = -shop - 1"
    detail = detail_of(compare_tables(keyed(3000), keyed(3000, other), key=("id",)))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered, detail.rows.complete) == (3000, 3000, 0, True)


def test_lost_rows_are_counted_exactly_with_and_without_a_key(keyed: Make) -> None:
    keyless = "SELECT i % 50 AS a, i % 4 AS b FROM range({rows}) r(i)"
    for select, condition in ((KEYED, "id >= 500"), (keyless, "a >= 10")):
        detail = detail_of(
            compare_tables(keyed(3000, select=select), keyed(3000, f"DELETE FROM t WHERE {condition}", select=select))
        )
        assert (detail.rows.altered, detail.rows.added, detail.rows.complete) == (0, 0, True)
        assert detail.rows.missing in {2500, 2400}


def test_wide_tables_are_paired_in_parts_of_their_columns(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = ", ".join(f"i % {number + 2} AS c{number}" for number in range(30))
    sides = [f"SELECT i AS id, {wide} FROM range(1500) r(i)", "UPDATE t SET c3 = c3 + 100, c29 = c29 - 100"]
    monkeypatch.setattr(keyed_rows, "_CELLS", 1500 * 10)
    detail = detail_of(compare_tables(made(sides[0]), made(*sides), key=("id",)))
    assert (detail.rows.altered, detail.cells) == (1500, {"c3": 1500, "c29": 1500})


def test_all_locations_are_kept_however_few_buckets_are_read(keyed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differing_rows, "_ROWS_AT_ONCE", 100)
    sides = keyed(2000), keyed(2000, "UPDATE t SET amount = -1 - amount", "DELETE FROM t WHERE id < 3")
    detail = detail_of(compare_tables(*sides, key=("id",)))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered) == (3, 0, 1997)


def test_similar_rows_are_altered_though_time_is_too_short(made: Make) -> None:
    rows = "SELECT i AS id, i % 7 AS a, i % 5 AS b, i % 3 AS c, i % 2 AS d, i % 11 AS e FROM range(900) r(i)"
    detail = detail_of(compare_tables(made(rows), made(rows, "UPDATE t SET a = a + 10, b = b + 10")))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered) == (0, 0, 900)
    assert detail.cells == {"a": 900, "b": 900}


KEYLESS = "SELECT i % 60 AS a, i % 7 AS b, 'x' AS c FROM range(6000) r(i)"


@pytest.mark.parametrize(
    ("damage", "counts"),
    [
        (("UPDATE t SET b = b + 100",), (0, 0, 6000)),
        (("UPDATE t SET b = b + 100", "DELETE FROM t WHERE a < 10"), (1000, 0, 5000)),
        (("UPDATE t SET b = b + 100", "INSERT INTO t SELECT 99, i, 'new' FROM range(5) r(i)"), (0, 5, 6000)),
    ],
)
def test_without_a_key_altered_rows_are_counted_as_uncertain(
    made: Make, damage: tuple[str, ...], counts: tuple[int, int, int]
) -> None:
    detail = detail_of(compare_tables(made(KEYLESS), made(KEYLESS, *damage)))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered) == counts
    assert not detail.rows.complete
    assert {each.kind for each in detail.examples} == {"altered"}
    assert 0 < sum(detail.cells.values()) <= EXAMINED


def test_differing_rows_are_the_same_for_every_bucket_size(made: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    damage = (
        "UPDATE t SET price = '-0.0'::DOUBLE WHERE id % 20 = 7",
        "DELETE FROM t WHERE id % 10 = 1",
        "INSERT INTO t SELECT * FROM t WHERE id % 10 = 2",
        "INSERT INTO t SELECT id + 500, city, price, ok FROM t WHERE id % 50 = 3",
    )
    before, after = made(SHOP), made(SHOP, *damage)
    at_once = detail_of(compare_tables(before, after, show_values=True))
    monkeypatch.setattr(differing_rows, "_ROWS_AT_ONCE", 10)
    assert detail_of(compare_tables(before, after, show_values=True)) == at_once
    assert (at_once.rows.missing, at_once.rows.added, at_once.rows.duplicated, at_once.rows.altered) == (20, 4, 20, 10)


def test_columns_that_are_gone_leave_the_others_to_be_compared(made: Make) -> None:
    before = made(SHOP)
    same, other = (
        made(SHOP, "ALTER TABLE t DROP price"),
        made(SHOP, "ALTER TABLE t DROP price", "DELETE FROM t WHERE id = 1"),
    )
    result = compare_tables(before, same)
    assert (result.comparison.verdict, result.comparison.missing_columns) == ("differs", ("price",))
    assert result.detail is None
    assert detail_of(compare_tables(before, other)).rows.missing == 1


def test_a_new_column_is_told_and_left_out(made: Make) -> None:
    result = compare_tables(made(SHOP), made(SHOP, "ALTER TABLE t ADD note VARCHAR"))
    assert (result.comparison.verdict, result.comparison.added_columns) == ("equal", ("note",))


def test_a_csv_file_is_read_as_what_it_is_compared_with(made: Make, tmp_path: Path) -> None:
    table = made(SHOP)
    file = tmp_path / "shop.csv"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({SHOP}) TO '{file}' (HEADER)")
    for one, other in ((table, TableFile(file)), (TableFile(file), table)):
        assert compare_tables(one, other).comparison.verdict == "equal"


def test_a_table_is_equal_to_itself(made: Make) -> None:
    table = made(SHOP)
    assert compare_tables(table, table).comparison.verdict == "equal"


def test_each_column_is_compared_alone_when_one_side_is_gone(made: Make) -> None:
    before = digest_table(made(SHOP), by_column=True)
    other = made(SHOP, "UPDATE t SET price = 0 WHERE id = 9", "ALTER TABLE t DROP city")
    result = compare_digests(before, digest_table(other, like=before, by_column=True))
    assert (result.verdict, result.missing_columns, result.altered_columns) == ("differs", ("city",), ("price",))


def test_other_hash_functions_are_incomparable_and_never_equal(made: Make) -> None:
    from dataclasses import replace

    digest = digest_table(made(SHOP))
    for one, other in ((digest, replace(digest, vector="0")), (replace(digest, vector="0"), digest)):
        assert compare_digests(one, other).verdict == "incomparable"


def test_columns_read_as_something_else_are_incomparable(made: Make) -> None:
    before = digest_table(made("SELECT DATE '2024-01-01' AS d"))
    after = made("SELECT '2024-01-01' AS d")
    assert compare_digests(before, digest_table(after)).verdict == "incomparable"
    result = compare_digests(before, digest_table(after, like=before))
    assert (result.verdict, result.retyped[0].code) == ("equal", "time-as-text")


def test_integers_stored_as_floats_are_equal_unless_rounded(made: Make) -> None:
    for number, verdict in ((2**53, "equal"), (2**53 + 1, "differs")):
        whole = f"SELECT {number}::BIGINT AS n"
        result = compare_tables(made(whole), made(f"SELECT n::DOUBLE AS n FROM ({whole})"))
        assert (result.comparison.verdict, result.comparison.retyped[0].code) == (verdict, "integer-as-float")


def test_shifted_columns_are_named_though_the_key_moved_too(made: Make) -> None:
    wide = "SELECT i AS id, i * 1.5 AS a, i * 2.5 AS b, i * 3.5 AS c, 'x' AS d, 'y' AS e, 'z' AS f FROM range(50) r(i)"
    sides = made(wide), made(wide, "UPDATE t SET a = b, b = c WHERE id > 0")
    detail = detail_of(compare_tables(*sides, key=("id", "a")))
    assert (detail.rows.missing, detail.rows.added, detail.rows.altered, detail.cells) == (0, 0, 49, {"a": 49, "b": 49})
    assert "columns-moved" in detail.patterns
    other = detail_of(compare_tables(sides[0], made(wide, "UPDATE t SET a = b + 1, b = c"), key=("id", "a")))
    assert "columns-moved" not in other.patterns


def test_intervals_count_as_they_are_written(made: Make) -> None:
    one, other = (f"SELECT i, interval {each} AS x FROM range(5) r(i)" for each in ("1 day", "24 hour"))
    assert detail_of(compare_tables(made(one), made(other))).cells == {"x": 5}


def test_rows_are_paired_by_key_or_by_likeness() -> None:
    gone = {0: ("1", "a", "x"), 1: ("2", "b", "y")}
    come = {5: ("2", "B", "Y"), 6: ("3", "a", "x")}
    assert paired(gone, come, [0]).altered == ((1, 5),)
    assert paired(gone, come).altered == ((0, 6),)
    assert paired({}, come).come == (5, 6)
