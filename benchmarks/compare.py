"""A table of 12 columns compared with its backup: this product beside other ways, each in a process of its own.

usage: python benchmarks/compare.py [--rows N …] [--rounds N] [WAY …]

The table has 4 columns of integers, 3 of floating point numbers, 3 of texts, a boolean and a timestamp, is shuffled and
has no key. The damage is on 6 ids: an integer plus 1, a float by one unit in the last place, a text with one character
more, 2 rows lost, 1 doubled.

Printed for each way: wall and CPU seconds, peak megabytes, how many of the 6 it finds, and its time as a multiple of
the limit: what it takes to read both sides once and compare nothing. The ways take turns, so that whatever else the
machine does meets all of them; told are the medians of all rounds, and of the multiples the least as well. With
PostgreSQL, the server's CPU counts. What is not at hand (a server, a C compiler) is said to be not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

ROWS = (1_000_000, 10_000_000)
PANDAS_ROWS = 1_000_000
COLUMNS = ("id", "a", "b", "c", "x", "y", "z", "name", "city", "code", "flag", "ts")
MEMORY = "256MB"
HURT = 6
PARENT = Path(__file__).parent.parent
READ_SQLITE = """
#include <sqlite3.h>
int main(int count, char **names) {
    sqlite3 *file; sqlite3_stmt *rows; volatile double sum = 0;
    if (sqlite3_open_v2(names[1], &file, SQLITE_OPEN_READONLY, 0)) return 1;
    if (sqlite3_prepare_v2(file, "SELECT * FROM t", -1, &rows, 0)) return 1;
    int columns = sqlite3_column_count(rows);
    while (sqlite3_step(rows) == SQLITE_ROW)
        for (int i = 0; i < columns; i++)
            switch (sqlite3_column_type(rows, i)) {
                case SQLITE_INTEGER: sum += sqlite3_column_int64(rows, i); break;
                case SQLITE_FLOAT: sum += sqlite3_column_double(rows, i); break;
                case SQLITE_TEXT: sum += sqlite3_column_text(rows, i)[0] + sqlite3_column_bytes(rows, i);
            }
    return 0;
}
"""
POSTGRES_TYPES = {"x": "double precision", "y": "double precision", "z": "double precision", "flag": "boolean"}
POSTGRES_TYPES |= {"name": "text", "city": "text", "code": "text", "ts": "timestamp", "c": "integer"}


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
    source = folder / "read_sqlite.c"
    source.write_text(READ_SQLITE)
    if compiler := shutil.which("cc"):
        command = [compiler, "-O2", str(source), "-o", str(source.with_suffix("")), "-lsqlite3"]
        subprocess.run(command, check=False, capture_output=True)


@contextmanager
def serving(folder: Path) -> Iterator[Any]:
    """A PostgreSQL server of our own with the same tables; None where Debian's programs are not installed."""
    sys.path.insert(0, str(PARENT))
    try:
        from tests import postgres as servers
    except ImportError:
        yield None
        return
    if "debian" not in servers.PROGRAMS:
        yield None
        return
    with tempfile.TemporaryDirectory() as data:
        servers._give_away(Path(data))  # noqa: SLF001 - ours
        server = servers.Server(servers.PROGRAMS["debian"], Path(data))
        server.initialise()
        server.start(shared_buffers="128MB", autovacuum="off", max_wal_size="8GB")
        try:
            for state in ("clean", "damaged"):
                _make_postgres(folder, state, server)
            (folder / "port").write_text(str(server.port))
            yield server
        finally:
            server.stop()


def _make_postgres(folder: Path, state: str, server: Any) -> None:  # noqa: ANN401 - of the tests
    columns = ", ".join(f"{name} {POSTGRES_TYPES.get(name, 'bigint')}" for name in COLUMNS)
    text = folder / "table.csv"
    with duckdb.connect(str(folder / f"{state}.duckdb"), read_only=True) as source:
        source.execute(f"COPY t TO '{text}' (HEADER false)")
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {state} ({columns})")
        with text.open("rb") as lines, connection.cursor().copy(f"COPY {state} FROM STDIN (FORMAT csv)") as copy:
            while block := lines.read(1024 * 1024):
                copy.write(block)
        connection.execute(f"VACUUM FREEZE ANALYZE {state}")
    text.unlink()


def _connected(folder: Path, state: str) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(folder / "spilled")})
    connection.execute(f"ATTACH '{folder}/{state}.duckdb' AS now (READ_ONLY)")
    connection.execute(f"CREATE VIEW backup AS FROM '{folder}/backup.parquet'")
    return connection


def scan(folder: Path, state: str) -> int:
    """The limit for DuckDB: both sides read once, every value touched, nothing compared."""
    connection = _connected(folder, state)
    for side in ("now.t", "backup"):
        _touch(connection, side)
    return 0


def _touch(connection: duckdb.DuckDBPyConnection, side: str) -> None:
    touched = ", ".join(f"bit_xor(hash({name}))" for name in COLUMNS)
    connection.execute(f"SELECT {touched} FROM {side}").fetchall()


def decode(folder: Path, state: str) -> int:
    """A lower limit: every value decoded, the cheapest aggregate of each type over it."""
    connection = _connected(folder, state)
    numbers = ", ".join(f"sum({name})" for name in COLUMNS[:7])
    texts = ", ".join(f"sum(strlen({name}))" for name in COLUMNS[7:10])
    for side in ("now.t", "backup"):
        connection.execute(f"SELECT {numbers}, {texts}, sum(flag::INTEGER), max(ts) FROM {side}").fetchall()
    return 0


def scan_sqlite(folder: Path, state: str) -> int:
    """The limit for SQLite: every value through its C interface, and the backup read once."""
    program = folder / "read_sqlite"
    if not program.exists():
        raise NotMeasuredError("no C compiler with SQLite's header")
    subprocess.run([program, folder / f"{state}.sqlite"], check=True)
    _touch(_connected(folder, state), "backup")
    return 0


def scan_postgres(folder: Path, state: str) -> int:
    """The limit for PostgreSQL: what the server sends in its binary form thrown away, and the backup read once."""
    import psycopg

    sent = f"COPY {state} TO STDOUT (FORMAT binary)".encode()
    with (
        psycopg.connect(host="127.0.0.1", port=_address(folder).port, dbname="postgres", user="postgres") as connection,
        connection.cursor().copy(sent) as copy,
    ):
        for _ in copy:
            pass
    _touch(_connected(folder, state), "backup")
    return 0


class NotMeasuredError(Exception):
    """A way that this machine cannot go, and why."""


def _address(folder: Path) -> Any:  # noqa: ANN401 - one of the product's, which is imported only where it is measured
    from pytest_mdm_health.mdm.servers import Connection

    if not (folder / "port").exists():
        raise NotMeasuredError("no PostgreSQL")
    return Connection("127.0.0.1", int((folder / "port").read_text()), "postgres", "postgres", None)


def ours(folder: Path, state: str) -> int:
    """This product, from DuckDB."""
    return _ours(folder, "duckdb", state)


def digests(folder: Path, state: str) -> int:
    """This product when nothing differs: the digests alone, as they are compared with those of a baseline."""
    from pytest_mdm_health.integrity.compare import compare_digests
    from pytest_mdm_health.integrity.digest.tables import digest_table
    from pytest_mdm_health.integrity.readers.base import TableFile

    before = digest_table(TableFile(folder / "backup.parquet"))
    return len(compare_digests(before, digest_table(_table(folder, "duckdb", state), like=before)).differing)


def ours_sqlite(folder: Path, state: str) -> int:
    """This product, from SQLite."""
    return _ours(folder, "sqlite", state)


def ours_postgres(folder: Path, state: str) -> int:
    """This product, from PostgreSQL."""
    return _ours(folder, "postgresql", state)


def _table(folder: Path, engine: str, state: str) -> Any:  # noqa: ANN401 - as above
    from pytest_mdm_health.backends import Backend, server_backend
    from pytest_mdm_health.integrity.readers.base import TableIn

    if engine == "postgresql":
        return TableIn(server_backend(_address(folder)), state)
    return TableIn(Backend(engine, folder / f"{state}.{engine}"), "t")


def _ours(folder: Path, engine: str, state: str) -> int:
    from pytest_mdm_health.integrity.drilldown import compare_tables
    from pytest_mdm_health.integrity.readers.base import TableFile

    result = compare_tables(TableFile(folder / "backup.parquet"), _table(folder, engine, state))
    print(result.after.how, file=sys.stderr)
    detail = result.detail
    return detail.rows.missing + detail.rows.added + detail.rows.duplicated + detail.rows.altered if detail else 0


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
    for each in (
        *(scan, decode, digests, ours, except_all, full_join, pandas_merge),
        *(scan_sqlite, ours_sqlite, scan_postgres, ours_postgres),
    )
}
SLOW = ("except-all", "full-join", "pandas-merge")
"""Ways that are gone once only."""


def limit_of(way: str) -> str:
    """The way that another is measured by."""
    return next((f"scan-{engine}" for engine in ("sqlite", "postgres") if engine in way), "scan")


@dataclass(frozen=True)
class Measured:
    """What a process took that went one way."""

    wall: float
    cpu: float
    peak: float
    found: int
    note: str


def measured(way: str, folder: Path, state: str, server: Any = None) -> Measured:  # noqa: ANN401 - of the tests
    """Go one way in a process of its own.

    Raises:
        NotMeasuredError: it cannot be gone here.
    """
    started, spent = time.perf_counter(), _server_cpu(server)
    command = [sys.executable, __file__, "--one", way, str(folder), state]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if done.returncode:
        raise NotMeasuredError(done.stderr.strip().rpartition("\n")[2].rpartition("Error: ")[2][:60])
    answer = json.loads(done.stdout)
    cpu = answer["cpu"] + _server_cpu(server) - spent
    return Measured(wall, cpu, answer["peak"], answer["found"], done.stderr.strip())


def _server_cpu(server: Any) -> float:  # noqa: ANN401 - of the tests
    """CPU seconds of a server's processes, those that have ended and those that have not."""
    if server is None:
        return 0
    import psutil

    main = psutil.Process(server.process.pid)
    while any("idle" in each.cmdline()[0] for each in main.children() if each.cmdline()):
        time.sleep(0.01)  # a session that is about to end
    times = [main.cpu_times(), *(each.cpu_times() for each in main.children())]
    return sum(each.user + each.system for each in times) + times[0].children_user + times[0].children_system


def one(way: str, folder: Path, state: str) -> None:
    """Go one way, in this process."""
    found = WAYS[way](folder, state)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    status = Path("/proc/self/status").read_text(encoding="ascii")  # getrusage tells the parent's peak if that is more
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"found": found, "cpu": sum(each.ru_utime + each.ru_stime for each in used), "peak": peak}))


def compare(folder: Path, state: str, ways: list[str], rounds: int, server: Any) -> None:  # noqa: ANN401 - of the tests
    """Go all ways in turn, and print what they took."""
    taken: dict[str, list[Measured]] = {way: [] for way in ways}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for way in ways:
            if way not in failed and (not number or way not in SLOW):
                try:
                    taken[way].append(measured(way, folder, state, server if "postgres" in way else None))
                except NotMeasuredError as error:
                    failed[way] = str(error)
    for way in ways:
        if way in failed:
            print(f"{way:18}{state:9}not measured: {failed[way]}", flush=True)
        else:
            print(_line(way, state, taken[way], taken.get(limit_of(way), [])), flush=True)


def _line(way: str, state: str, own: list[Measured], limit: list[Measured]) -> str:
    figures = [statistics.median(values) for values in zip(*((each.wall, each.cpu) for each in own), strict=True)]
    pairs = list(zip(own, limit, strict=False))
    times = [sorted(one.wall / other.wall for one, other in pairs), sorted(one.cpu / other.cpu for one, other in pairs)]
    told = "".join(f"{statistics.median(each):7.2f} ({each[0]:.2f})" if each else " " * 14 for each in times)
    finds = f"{own[0].found} of {HURT if state == 'damaged' else 0}"
    peak = max(each.peak for each in own)
    return f"{way:18}{state:9}{figures[0]:8.2f}{figures[1]:8.2f}{peak:9.0f}{told}  {finds} {own[0].note}"


def main(rows: int, ways: list[str], rounds: int) -> None:
    """Print the table."""
    print(f"\n{rows} rows, DuckDB {duckdb.__version__}, {os.cpu_count()} processors, {rounds} rounds")
    print(f"{'way':18}{'state':9}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'wall x limit':>14}{'CPU x limit':>14}  finds")
    ways = [way for way in ways if way != "pandas-merge" or rows <= PANDAS_ROWS]
    naming = [way for way in ways if way != "digests"]  # they tell that something differs, and not what
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "data")
        folder.mkdir()
        make(folder, rows)
        if any("sqlite" in way for way in ways):
            make_sqlite(folder)
        if any("postgres" in way for way in ways):
            with serving(folder) as server:
                for state, some in (("clean", ways), ("damaged", naming)):
                    compare(folder, state, some, rounds, server)
        else:
            for state, some in (("clean", ways), ("damaged", naming)):
                compare(folder, state, some, rounds, None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
        parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(WAYS))
        chosen = parser.parse_args()
        for count in chosen.rows:
            main(count, chosen.ways or list(WAYS), chosen.rounds)
