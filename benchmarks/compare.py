"""A table of 12 columns compared with its backup: this product beside other ways, each in a process of its own.

usage: python benchmarks/compare.py [ROWS [WAY …]]

The table has 4 columns of integers, 3 of floating point numbers, 3 of texts, a boolean and a timestamp, is shuffled and
has no key. The damage is on 6 ids: an integer plus 1, a float by one unit in the last place, a text with one character
more, 2 rows lost, 1 doubled.

Printed for each way: wall and CPU seconds, peak megabytes, and how many of the 6 it finds.
Figures of one run belong together; compare ratios.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

ROWS = 1_000_000
PANDAS_ROWS = 1_000_000
COLUMNS = ("id", "a", "b", "c", "x", "y", "z", "name", "city", "code", "flag", "ts")
MEMORY = "256MB"
HURT = 6


def make(folder: Path, rows: int) -> None:
    """The backup as Parquet, and the table, healthy and damaged, in DuckDB and SQLite."""
    connection = duckdb.connect(config={"memory_limit": "2GB", "temp_directory": str(folder / "spilled")})
    select = (
        "SELECT i AS id, (hash(i) % 1000)::BIGINT AS a, (hash(i + 1) % 100000)::BIGINT AS b, "
        "(hash(i + 2) % 5)::INTEGER AS c, (hash(i + 3) % 1000003) / 997.0 AS x, (hash(i + 4) % 1000003) / 13.0 AS y, "
        "CASE WHEN i % 20 = 0 THEN NULL ELSE sin(i) END AS z, 'name_' || (hash(i + 5) % 100000) AS name, "
        "CASE WHEN i % 10 = 0 THEN NULL ELSE 'city ' || (hash(i + 6) % 300) END AS city, "
        "'code-' || (hash(i + 7) % 10000000) AS code, i % 3 = 0 AS flag, "
        f"TIMESTAMP '2020-01-01' + to_seconds(i * 37 % 100000000) AS ts FROM (SELECT (j * 7919) % {rows} AS i "
        f"FROM range({rows}) r(j))"
    )
    connection.execute(f"COPY ({select}) TO '{folder}/backup.parquet' (FORMAT parquet)")
    for state in ("clean", "damaged"):
        file = folder / f"{state}.duckdb"
        connection.execute(f"ATTACH '{file}' AS made")
        connection.execute(f"CREATE TABLE made.t AS FROM '{folder}/backup.parquet'")
        if state == "damaged":
            for statement in (
                "UPDATE made.t SET a = a + 1 WHERE id = 1001",
                "UPDATE made.t SET x = nextafter(x, 1e9) WHERE id = 20002",
                "UPDATE made.t SET name = name || '!' WHERE id = 30003",
                "DELETE FROM made.t WHERE id IN (40004, 50005)",
                "INSERT INTO made.t SELECT * FROM made.t WHERE id = 60006",
            ):
                connection.execute(statement)
        connection.execute("DETACH made")
    connection.close()


def make_sqlite(folder: Path) -> None:
    """The same tables in SQLite."""
    for state in ("clean", "damaged"):
        lite = sqlite3.connect(folder / f"{state}.sqlite")
        lite.execute(
            "CREATE TABLE t (id BIGINT, a BIGINT, b BIGINT, c BIGINT, x FLOAT, y FLOAT, z FLOAT, name TEXT, city TEXT, "
            "code TEXT, flag BOOLEAN, ts TIMESTAMP)"
        )
        with duckdb.connect(str(folder / f"{state}.duckdb"), read_only=True) as connection:
            chosen = ", ".join("strftime(ts, '%Y-%m-%d %H:%M:%S.%f')" if name == "ts" else name for name in COLUMNS)
            rows = connection.execute(f"SELECT {chosen} FROM t")
            while some := rows.fetchmany(50_000):
                lite.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", some)
        lite.commit()
        lite.close()


def _connected(folder: Path, state: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(folder / "spilled")})
    connection.execute(f"ATTACH '{folder}/{state}.duckdb' AS now (READ_ONLY)")
    connection.execute(f"CREATE VIEW backup AS FROM '{folder}/backup.parquet'")
    return connection


def scan(folder: Path, state: str) -> int:
    """The limit: both sides read once, every value touched, nothing compared."""
    connection = _connected(folder, state)
    touched = ", ".join(f"bit_xor(hash({name}))" for name in COLUMNS)
    for side in ("now.t", "backup"):
        connection.execute(f"SELECT {touched} FROM {side}").fetchall()
    return 0


def decode(folder: Path, state: str) -> int:
    """A lower limit: every value decoded, the cheapest aggregate of each type over it."""
    connection = _connected(folder, state)
    numbers = ", ".join(f"sum({name})" for name in COLUMNS[:7])
    texts = ", ".join(f"sum(strlen({name}))" for name in COLUMNS[7:10])
    for side in ("now.t", "backup"):
        connection.execute(f"SELECT {numbers}, {texts}, sum(flag::INTEGER), max(ts) FROM {side}").fetchall()
    return 0


def ours(folder: Path, state: str) -> int:
    """This product, from DuckDB."""
    return _ours(folder, "duckdb", state)


def ours_sqlite(folder: Path, state: str) -> int:
    """This product, from SQLite."""
    return _ours(folder, "sqlite", state)


def _ours(folder: Path, engine: str, state: str) -> int:
    from pytest_mdm_health.backends import Backend
    from pytest_mdm_health.integrity.drilldown import compare_tables
    from pytest_mdm_health.integrity.sources import TableFile, TableIn

    table = TableIn(Backend(engine, folder / f"{state}.{engine}"), "t")
    result = compare_tables(TableFile(folder / "backup.parquet"), table)
    print(result.after.how, file=sys.stderr)
    detail = result.detail
    return detail.missing + detail.added + detail.duplicated + detail.altered if detail else 0


def except_all(folder: Path, state: str) -> int:
    """`EXCEPT ALL` both ways in DuckDB."""
    connection = _connected(folder, state)
    connection.execute("SET memory_limit = '8GB'")
    gone = connection.execute("SELECT id FROM (FROM backup EXCEPT ALL FROM now.t)").fetchall()
    come = connection.execute("SELECT id FROM (FROM now.t EXCEPT ALL FROM backup)").fetchall()
    return len({*gone, *come})


def full_join(folder: Path, state: str) -> int:
    """A full join on the id, which this table has by luck."""
    connection = _connected(folder, state)
    connection.execute("SET memory_limit = '8GB'")
    differs = " OR ".join(f"n.{name} IS DISTINCT FROM b.{name}" for name in COLUMNS)
    sql = f"SELECT DISTINCT coalesce(n.id, b.id) FROM now.t n FULL JOIN backup b ON n.id = b.id WHERE {differs}"
    return len(connection.execute(sql).fetchall())


def pandas_merge(folder: Path, state: str) -> int:
    """An outer merge of all columns in pandas."""
    with duckdb.connect(str(folder / f"{state}.duckdb"), read_only=True) as connection:
        now = connection.execute("FROM t").df()
    with duckdb.connect() as connection:
        backup = connection.execute(f"FROM '{folder}/backup.parquet'").df()
    merged = backup.merge(now, how="outer", indicator=True)
    return int(merged.loc[merged["_merge"] != "both", "id"].nunique())


WAYS: dict[str, Callable[[Path, str], int]] = {
    each.__name__.replace("_", "-"): each
    for each in (decode, scan, ours, ours_sqlite, except_all, full_join, pandas_merge)
}


def measured(way: str, folder: Path, state: str) -> tuple[float, float, float, int, str]:
    """Wall seconds, CPU seconds and peak megabytes of a process that goes one way; what it finds, and how."""
    started = time.perf_counter()
    command = [sys.executable, __file__, "--one", way, str(folder), state]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        return wall, 0, 0, -1, done.stderr.strip().rpartition("\n")[2][:60]
    answer = json.loads(done.stdout)
    return wall, answer["cpu"], answer["peak"], answer["found"], done.stderr.strip()


def one(way: str, folder: Path, state: str) -> None:
    """Go one way, in this process."""
    found = WAYS[way](folder, state)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text(encoding="ascii")  # getrusage tells the parent's peak if that is more
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"found": found, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak}))


def main(rows: int, ways: list[str]) -> None:
    """Print the table."""
    print(f"{rows} rows, DuckDB {duckdb.__version__}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "data")
        folder.mkdir()
        make(folder, rows)
        if "ours-sqlite" in ways:
            make_sqlite(folder)
        limit: dict[str, tuple[float, float]] = {}
        print(f"{'way':14}{'state':9}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'x scan':>8}{'CPU x':>7}  finds")
        for state in ("clean", "damaged"):
            for way in ways:
                wall, cpu, peak, found, note = measured(way, folder, state)
                limit[state] = (wall, cpu) if way == "scan" else limit.get(state, (0, 0))
                times = [f"{a / b:.2f}" if b else "" for a, b in zip((wall, cpu), limit[state], strict=True)]
                finds = f"{found} of {HURT if state == 'damaged' else 0}"
                print(
                    f"{way:14}{state:9}{wall:8.2f}{cpu:8.2f}{peak:9.0f}{times[0]:>8}{times[1]:>7}  {finds} {note}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        count = int(sys.argv[1]) if sys.argv[1:] else ROWS
        main(count, sys.argv[2:] or [way for way in WAYS if way != "pandas-merge" or count <= PANDAS_ROWS])
