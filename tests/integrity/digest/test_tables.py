"""The digest of a table against a slow and obvious reference, over all backends."""

from __future__ import annotations

import base64
import json
import math
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all, server_backend
from pytest_mdm_health.integrity.compare import compare_digests
from pytest_mdm_health.integrity.digest import hashing
from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest, digest_table
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Source, TableFile, TableIn
from pytest_mdm_health.mdm.files import Unreadable
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, PASSWORD, USER, Server

Row = tuple[int | None, float | None, str | None]
NUMBERS = count()
INTEGERS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**53, 2**53 + 1, 0, 1])
KEEPS_SIGNS = int(duckdb.__version__.partition(".")[0]) > 1  # of 0.0 and -0.0 in one file; see docs/comparison.md
FLOATS = st.none() | (st.floats() | st.sampled_from([-0.0, 0.0, math.nan, 1.0])).map(
    lambda value: value if value or KEEPS_SIGNS else 0.0
)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
ROWS = st.lists(st.tuples(INTEGERS, FLOATS, TEXTS | st.sampled_from(["", "NULL", "a", "a "])), max_size=6)
SLOW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> object:
    yield
    close_all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "home" / "data").mkdir(parents=True)
    return tmp_path / "home" / "data"


def in_duckdb(folder: Path, rows: list[Row]) -> Source:
    path = folder / f"{next(NUMBERS)}.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute('CREATE TABLE t (i BIGINT, "f f" DOUBLE, "select" VARCHAR)')
        for row in rows:
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", row)
    return TableIn(Backend("duckdb", path), "t")


def in_sqlite(folder: Path, rows: list[Row]) -> Source:
    path = folder / f"{next(NUMBERS)}.sqlite"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute('CREATE TABLE t (i BIGINT, "f f" FLOAT, "select" TEXT)')
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.close()
    return TableIn(Backend("sqlite", path), "t")


def in_parquet(folder: Path, rows: list[Row]) -> Source:
    path = folder / f"{next(NUMBERS)}.parquet"
    with duckdb.connect() as connection:
        connection.execute('CREATE TABLE t ("select" VARCHAR, i BIGINT, "f f" DOUBLE)')
        for number, real, text in reversed(rows):
            connection.execute("INSERT INTO t VALUES (?, ?, ?)", (text, number, real))
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    return TableFile(path)


def in_csv(folder: Path, rows: list[Row]) -> Source:
    path = folder / f"{next(NUMBERS)}.csv"
    lines = (
        f"{'' if number is None else number},{'' if real is None or math.isnan(real) else repr(real)},{_quoted(text)}\n"
        for number, real, text in rows
    )
    path.write_text('i,"f f",select\n' + "".join(lines), encoding="utf-8", newline="")
    return TableFile(path)


def _quoted(text: str | None) -> str:
    return "" if text is None else '"' + text.replace('"', '""') + '"'


def reference(rows: list[Row], *, lossy: bool = False) -> Counter[tuple[str, ...]]:
    """What a table is: how often there is each row, each value written out."""

    def written(value: object) -> str:
        if lossy and isinstance(value, float) and (math.isnan(value) or value == 0):
            return "None" if math.isnan(value) else "0.0"
        return repr(value)

    return Counter(tuple(map(written, row)) for row in rows)


@SLOW
@given(st.data(), ROWS)
def test_digests_are_equal_exactly_where_the_rows_are(folder: Path, data: st.DataObject, rows: list[Row]) -> None:
    others = data.draw(st.permutations(rows) | st.lists(st.sampled_from(rows), max_size=7) if rows else ROWS)
    before = digest_table(in_duckdb(folder, rows))
    for make in (in_duckdb, in_parquet, in_sqlite):
        result = compare_digests(before, digest_table(make(folder, list(others)), like=before))
        lossy = make is in_sqlite
        assert (result.verdict == "equal") == (reference(rows, lossy=lossy) == reference(others, lossy=lossy))


@SLOW
@given(ROWS)
def test_the_same_rows_are_equal_in_every_backend(folder: Path, rows: list[Row]) -> None:
    before = digest_table(in_duckdb(folder, rows))
    for make in (in_parquet, in_sqlite, in_csv):
        result = compare_digests(before, digest_table(make(folder, rows), like=before))
        assert result.verdict == "equal", (make, result)
        awkward = {"n": sum(r is not None and math.isnan(r) for _, r, _ in rows)}
        awkward["z"] = sum(r == 0 and math.copysign(1, r) < 0 for _, r, _ in rows if r is not None)
        lost = {"in_sqlite": "nz", "in_csv": "n"}.get(make.__name__, "")
        assert {(each.code, each.values) for each in result.losses} == {
            (code, number) for code, number in awkward.items() if number and code in lost
        }


@SLOW
@given(st.data(), ROWS.filter(bool))
def test_two_rows_that_swap_one_cell_are_found(folder: Path, data: st.DataObject, rows: list[Row]) -> None:
    index, other = data.draw(st.tuples(*[st.integers(0, len(rows) - 1)] * 2))
    altered = list(rows)
    altered[index] = (rows[other][0], *rows[index][1:])
    altered[other] = (rows[index][0], *rows[other][1:])
    before, after = (digest_table(in_duckdb(folder, each)) for each in (rows, altered))
    assert (compare_digests(before, after).verdict == "equal") == (reference(rows) == reference(altered))


def test_postgresql_keeps_everything(postgres: Server, folder: Path) -> None:
    rows: list[Row] = [(2**53 + 1, -0.0, ""), (None, math.nan, None), (-1, 5e-324, 'x\n"y",ž'), (0, math.inf, "NULL")]
    postgres.add_database("mdm_t", 'CREATE TABLE t (i bigint, "f f" double precision, "select" text)', owner=USER)
    with postgres.connect("mdm_t") as connection:
        for row in rows * 2:
            connection.execute("INSERT INTO t VALUES (%s, %s, %s)", row)
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_t", USER, PASSWORD)), "t")
    before = digest_table(in_duckdb(folder, rows * 2))
    after = digest_table(source, like=before)
    assert after.engine == "postgresql"
    result = compare_digests(before, after)
    assert (result.verdict, result.losses, result.retyped) == ("equal", (), ())
    assert compare_digests(digest_table(source), before).verdict == "equal"


def test_types_that_only_a_server_has_are_compared_as_well(postgres: Server, folder: Path) -> None:
    columns = "n numeric(30, 20), r real, b boolean, ts timestamptz, d date, raw bytea, j jsonb, u uuid"
    values = (
        "1.10000000000000000001, 0.1, true, '1969-07-20 20:17:40+02', '1900-01-01', '\\x00ff', '{\"a\": 1}', "
        "'00000000-0000-0000-0000-000000000001'"
    )
    postgres.add_database("mdm_u", f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({values})", owner=USER)
    path = folder / "u.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE t (n DECIMAL(30, 20), r FLOAT, b BOOLEAN, ts TIMESTAMPTZ, "
            "d DATE, raw BLOB, j VARCHAR, u UUID)"
        )
        connection.execute(
            "INSERT INTO t VALUES (1.10000000000000000001, 0.1, true, '1969-07-20 20:17:40+02', '1900-01-01', "
            "from_hex('00ff'), '{\"a\": 1}', '00000000-0000-0000-0000-000000000001')"
        )
    before = digest_table(TableIn(Backend("duckdb", path), "t"))
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_u", USER, PASSWORD)), "t")
    assert compare_digests(before, digest_table(source, like=before)).verdict == "equal"


def test_nothing_and_empty_differ_in_a_text_column_on_a_server(postgres: Server, folder: Path) -> None:
    texts: list[str | None] = [None, "", "x", '"', "\\.", " ", None, "a,b", "c\nd", "\\N"]
    postgres.add_database("mdm_o", "CREATE TABLE t (s text)", owner=USER)
    path = folder / "o.duckdb"
    with duckdb.connect(str(path)) as connection, postgres.connect("mdm_o") as server:
        connection.execute("CREATE TABLE t (s VARCHAR)")
        for each in texts:
            connection.execute("INSERT INTO t VALUES (?)", (each,))
            server.execute("INSERT INTO t VALUES (%s)", (each,))
    before = digest_table(TableIn(Backend("duckdb", path), "t"))
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_o", USER, PASSWORD)), "t")
    assert compare_digests(before, digest_table(source, like=before)).verdict == "equal"


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_texts_are_the_same_whatever_the_encoding_of_the_server(postgres: Server, folder: Path, encoding: str) -> None:
    postgres.run(f"CREATE DATABASE mdm_enc ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0 OWNER {USER}")
    with postgres.connect("mdm_enc", user=USER) as server:
        server.execute("SET client_encoding = 'UTF8'")
        server.execute("CREATE TABLE t (s text)")
        server.execute(b"INSERT INTO t VALUES ('Z\xc3\xbcrich')")
    path = folder / "enc.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'Zürich' AS s")
    before = digest_table(TableIn(Backend("duckdb", path), "t"))
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_enc", USER, PASSWORD)), "t")
    assert compare_digests(before, digest_table(source, like=before)).verdict == "equal"


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        ("0044-03-15 BC", "2024-01-01 00:00:00"),
        ("1900-01-01", "0001-02-03 04:05:06.7 BC"),
        ("12024-01-01", "-infinity"),
    ],
)
def test_values_that_only_a_server_writes_so_are_read_as_well(
    postgres: Server, folder: Path, day: str, moment: str
) -> None:
    created = "CREATE TABLE t (i bigint, d date, ts timestamp)"
    filled = f"INSERT INTO t VALUES (1, '{day}', '{moment}'), (-2, 'infinity', '2024-01-01')"
    postgres.add_database("mdm_w", created, filled, owner=USER)
    path = folder / "w.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t (i BIGINT, d DATE, ts TIMESTAMP)")
        day, moment = day.replace("BC", "(BC)"), moment.replace(" 04:05:06.7 BC", " (BC) 04:05:06.7")
        connection.execute(f"INSERT INTO t VALUES (1, '{day}', '{moment}'), (-2, 'infinity', '2024-01-01')")
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_w", USER, PASSWORD)), "t")
    before = digest_table(TableIn(Backend("duckdb", path), "t"))
    assert compare_digests(before, digest_table(source, like=before)).verdict == "equal"
    postgres.run("UPDATE t SET d = d + 1 WHERE i = 1", database="mdm_w", user=USER)
    assert compare_digests(before, digest_table(source, like=before)).verdict == "differs"


def test_what_is_broken_off_is_not_tried_again() -> None:
    tried = []

    def read(workbench: Workbench) -> None:
        tried.append(workbench.careful)
        threading.Timer(0.2, workbench.connection.interrupt).start()
        workbench.run("SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b")

    def refused(workbench: Workbench) -> None:
        tried.append(workbench.careful)
        workbench.run("SELECT gone")

    with Workbench(()) as workbench:
        with pytest.raises(QueryFailed):
            workbench.carefully(lambda: read(workbench))
        assert tried == [False]
        with pytest.raises(QueryFailed):
            workbench.carefully(lambda: refused(workbench))
        assert tried == [False, False, True]


def test_a_missing_table_on_a_server_is_told(postgres: Server) -> None:
    postgres.add_database("mdm_v", "CREATE TABLE t (i bigint)", owner=USER)
    source = TableIn(server_backend(Connection(HOST, postgres.port, "mdm_v", USER, PASSWORD)), "gone")
    with pytest.raises(QueryFailed, match="no such table"):
        digest_table(source)


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite, in_parquet, in_csv])
def test_an_empty_table_has_a_digest(folder: Path, make: Callable[[Path, list[Row]], Source]) -> None:
    before = digest_table(in_duckdb(folder, []))
    digest = digest_table(make(folder, []), like=before)
    assert digest.rows == 0
    assert compare_digests(before, digest).verdict == "equal"
    assert compare_digests(before, digest_table(make(folder, [(None, None, None)]), like=before)).verdict == "differs"


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite, in_parquet])
def test_a_digest_survives_as_plain_data(folder: Path, make: Callable[[Path, list[Row]], Source]) -> None:
    rows: list[Row] = [(1, math.nan, ""), *((n, float(n), str(n)) for n in range(200))]
    digest = digest_table(make(folder, rows), by_column=True)
    again = TableDigest.from_plain(json.loads(json.dumps(digest.to_plain())))
    assert again.columns == digest.columns
    assert again.sums == digest.sums
    assert compare_digests(again, digest).verdict == "equal"
    assert compare_digests(digest, again).verdict == "equal"
    assert TableDigest.from_plain(again.to_plain()) == again


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_buckets_that_an_older_baseline_has_in_base64_are_read(folder: Path, rows: int) -> None:
    digest = digest_table(in_duckdb(folder, [(n, float(n), str(n)) for n in range(rows)]))
    plain = digest.to_plain()
    older = plain | {"buckets": base64.b64encode(bytes.fromhex(plain["buckets"])).decode()}
    assert TableDigest.from_plain(older) == TableDigest.from_plain(plain)


@pytest.mark.parametrize(
    "harm",
    [
        {"rows": 3},
        {"buckets": "AAAA"},
        {"buckets": "%"},
        {"columns": [["a"]]},
        {"vector": None, "columns": None},
        {"fine": 1},
    ],
)
def test_damaged_plain_data_is_no_digest(folder: Path, harm: dict[str, object]) -> None:
    plain = digest_table(in_duckdb(folder, [(1, 1.0, "a")])).to_plain()
    with pytest.raises(BadDigest):
        TableDigest.from_plain(plain | harm)


def test_hundreds_of_columns_and_any_names_are_digested(folder: Path) -> None:
    names = ["order", 'a"b', "naïve 名", "x=y", "'", *(f"c{number}" for number in range(400))]
    quoted = [name.replace('"', '""') for name in names]
    path = folder / "wide.duckdb"
    with duckdb.connect(str(path)) as connection:
        chosen = ", ".join(f'i * {place} AS "{name}"' for place, name in enumerate(quoted))
        connection.execute(f'CREATE TABLE "ta\'b""le" AS SELECT {chosen} FROM range(50) r(i)')
        rows = connection.execute('FROM "ta\'b""le"').fetchall()
    lite = sqlite3.connect(folder / "wide.sqlite")
    with lite:
        declared = ", ".join(f'"{name}" BIGINT' for name in reversed(quoted))
        lite.execute(f"CREATE TABLE t ({declared})")
        lite.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", [row[::-1] for row in rows])
    lite.close()
    before = digest_table(TableIn(Backend("duckdb", path), "ta'b\"le"))
    after = digest_table(TableIn(Backend("sqlite", folder / "wide.sqlite"), "t"), like=before)
    assert compare_digests(before, after).verdict == "equal"


def test_columns_summed_together_have_the_sums_they_have_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "wide.duckdb"
    kinds = (
        "i",
        "i / 7",
        "CASE WHEN i % 3 = 0 THEN NULL ELSE 'x' || i END",
        "DATE '1960-01-01' + i::INTEGER",
        "1.10 * i",
    )
    with duckdb.connect(str(path)) as connection:
        chosen = ", ".join(
            f"{kind} + {place} AS c{place}_{number}" if number < 2 else f"{kind} AS c{place}_{number}"
            for place in range(20)
            for number, kind in enumerate(kinds)
        )
        connection.execute(
            f"CREATE TABLE t AS SELECT {chosen}, 'nan'::DOUBLE AS odd, -0.0::DOUBLE AS z FROM range(9) r(i)"
        )
    source = TableIn(Backend("duckdb", path), "t")
    together = digest_table(source, by_column=True).sums
    monkeypatch.setattr(hashing, "WIDE", 1000)
    assert together == digest_table(source, by_column=True).sums


def test_a_view_without_row_ids_is_digested(folder: Path) -> None:
    for source in (in_duckdb(folder, [(1, 1.0, "a")]), in_sqlite(folder, [(1, 1.0, "a")])):
        assert isinstance(source, TableIn)
        connect = duckdb.connect if source.engine == "duckdb" else sqlite3.connect
        connection = connect(str(source.backend.path))
        connection.execute("CREATE VIEW v AS SELECT * FROM t")
        connection.commit()
        connection.close()
        view = digest_table(TableIn(source.backend, "v"))
        assert view.buckets == digest_table(source).buckets


@pytest.mark.parametrize(
    ("declared", "stored"),
    [
        ("BIGINT", "'abc'"),
        ("BIGINT", "3.5"),
        ("FLOAT", "'x'"),
        ("FLOAT", "x'00'"),
        ("TEXT", "x'00'"),
        ("TEXT", "CAST(x'ff41' AS TEXT)"),
        ("", "'7'"),
        ("TIMESTAMP", "5"),
        ("TIMESTAMP", "'2024-01-01 00:00:00+02:00'"),
        ("TIMESTAMP", "'yesterday'"),
    ],
)
def test_what_sqlite_stores_against_the_declaration_counts(folder: Path, declared: str, stored: str) -> None:
    usual = {"BIGINT": "3", "FLOAT": "3.5", "TEXT": "'3'", "": "7", "TIMESTAMP": "'2024-01-01 00:00:00'"}[declared]
    sources = []
    for value in (usual, stored):
        path = folder / f"{next(NUMBERS)}.sqlite"
        connection = sqlite3.connect(path)
        with connection:
            connection.execute(f"CREATE TABLE t (a {declared}, b TEXT)")
            connection.executescript(f"INSERT INTO t VALUES ({usual}, 'x'); INSERT INTO t VALUES ({value}, 'é')")
        connection.close()
        sources.append(TableIn(Backend("sqlite", path), "t"))
    healthy, strange = (digest_table(each) for each in sources)
    assert compare_digests(healthy, digest_table(sources[1], like=healthy)).verdict == "differs"
    assert compare_digests(strange, digest_table(sources[1], like=strange)).verdict == "equal"


def test_reading_leaves_no_trace(folder: Path, tree: Callable[[Path], dict[str, object]]) -> None:
    lite = in_sqlite(folder, [(1, 1.0, "a")])
    connection = sqlite3.connect(lite.files[0])
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    duck = in_duckdb(folder, [(1, 1.0, "a")])
    before = tree(folder)
    assert compare_digests(digest_table(lite), digest_table(duck)).verdict == "equal"
    assert tree(folder) == before


def test_what_cannot_be_read_is_told_as_by_the_backends(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(b"PAR1 not really PAR1")
    (folder / "x.csv").write_bytes(b"a,b\xff\n1,2\n")
    (folder / "twice.csv").write_bytes(b"a,a\n1,2\n")
    for name in ("x.parquet", "x.csv", "twice.csv", "gone.csv"):
        with pytest.raises(Unreadable):
            digest_table(TableFile(folder / name))
    for engine in ("sqlite", "duckdb"):
        with pytest.raises(CannotOpen):
            digest_table(TableIn(Backend(engine, folder / "gone"), "t"))
    with pytest.raises(QueryFailed):
        digest_table(TableIn(in_sqlite(folder, []).backend, "gone"))  # type: ignore[union-attr] # it is a table


def test_a_csv_row_that_is_too_short_is_told_and_not_filled_in(folder: Path) -> None:
    (folder / "x.csv").write_text("a,b\n1,2\n3\n", encoding="utf-8")
    with pytest.raises(QueryFailed):
        digest_table(TableFile(folder / "x.csv"))
