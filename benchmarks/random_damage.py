"""Single cells damaged at random, in every backend: is each one found, located, and nothing found where nothing is?

Each trial makes a table of random values, writes it to two backends chosen at random, compares the two (they must be
equal), then alters one cell of the second and compares again: it must differ, in that row and that column alone.
"""

from __future__ import annotations

import argparse
import math
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from pytest_mdm_health.backends import Backend, server_backend
from pytest_mdm_health.integrity.drilldown import compare_tables
from pytest_mdm_health.integrity.readers.base import Source, TableFile, TableIn
from pytest_mdm_health.mdm.servers import Connection

COLUMNS = {
    "id": "BIGINT",
    "count": "BIGINT",
    "price": "DOUBLE",
    "ok": "BOOLEAN",
    "at": "TIMESTAMP",
    "day": "DATE",
    "na me": "VARCHAR",
    "größe": "DECIMAL(12,2)",
    "select": "BLOB",
}
TYPES = {
    "duckdb": {},
    "parquet": {},
    "sqlite": {"DOUBLE": "FLOAT", "VARCHAR": "TEXT", "DECIMAL(12,2)": "NUMERIC"},
    "postgresql": {"DOUBLE": "double precision", "VARCHAR": "text", "DECIMAL(12,2)": "numeric(12,2)", "BLOB": "bytea"},
}
TEXTS = (
    *("", "NULL", "null", "a", "A", "a ", " a", "é", "e\u0301", "Łódź", "東京"),
    *("x\ny", "1", "1.0", "2024-01-01", "q\"u,o'te", "ß"),
)
ZEROS = (0.0, -0.0) if int(duckdb.__version__.partition(".")[0]) > 1 else (0.0,)
"""DuckDB 1 itself gives zeros beside each other one sign when it writes a file."""

Row = list[Any]


def a_value(rng: random.Random, type_: str) -> Any:  # noqa: ANN401 - whatever the column holds
    """A random value of a type; some are awkward on purpose."""
    choices: dict[str, Callable[[], Any]] = {
        "BIGINT": lambda: rng.choice((0, 1, -1, 2**53, 2**53 + 1, -(2**62) - 1, rng.randrange(1000))),
        "DOUBLE": lambda: rng.choice((*ZEROS, 0.1, 1e300, 5e-324, math.nan, math.inf, rng.gauss(0, 1e3), 3.0)),
        "BOOLEAN": lambda: rng.random() < 0.5,  # noqa: PLR2004 - heads or tails
        "TIMESTAMP": lambda: datetime(1950, 1, 1) + timedelta(microseconds=rng.randrange(3 * 10**15)),  # noqa: DTZ001
        "DATE": lambda: date(1960, 1, 1) + timedelta(days=rng.randrange(30000)),
        "VARCHAR": lambda: rng.choice((*TEXTS, f"name {rng.randrange(1000)}")),
        "DECIMAL(12,2)": lambda: Decimal(rng.randrange(-(10**9), 10**9)) / 100,
        "BLOB": lambda: rng.randbytes(rng.randrange(4)),
    }
    return choices[type_]()


def damaged(rng: random.Random, value: Any, type_: str) -> tuple[str, Any]:  # noqa: ANN401 - whatever it holds
    """What becomes of a value, and what that is called."""
    kinds: dict[str, Callable[[], Any]] = {"null": lambda: None, "another": lambda: a_value(rng, type_)}
    if value is not None:
        kinds |= {
            "BIGINT": {"plus one": lambda: value + 1, "a bit": lambda: value ^ (1 << rng.randrange(62))},
            "DOUBLE": {
                "one ulp": lambda: math.nextafter(value, math.inf) if math.isfinite(value) else 1.0,
                "sign": lambda: -value,
                "NaN": lambda: math.nan,
            },
            "BOOLEAN": {"turned": lambda: not value},
            "TIMESTAMP": {
                "a microsecond": lambda: value + timedelta(microseconds=1),
                "an hour": lambda: value + timedelta(hours=1),
            },
            "DATE": {"a day": lambda: value + timedelta(days=1)},
            "VARCHAR": {
                "blank": lambda: value + " ",
                "case": lambda: value.swapcase(),  # noqa: PLW0108 - only texts have it
                "cut": lambda: value[:-1],
                "mojibake": lambda: value.encode().decode("latin-1"),
            },
            "DECIMAL(12,2)": {"a cent": lambda: value + Decimal("0.01")},
            "BLOB": {"a byte": lambda: value + b"\0"},
        }[type_]
    name = rng.choice(sorted(kinds))
    return name, kinds[name]()


def kept(engine: str, value: Any) -> Any:  # noqa: ANN401 - whatever it holds
    """What a backend keeps of a value, so that two can be told apart."""
    if isinstance(value, float):
        if engine == "sqlite" and math.isnan(value):
            return kept(engine, None)
        if value == 0 and (engine == "sqlite" or len(ZEROS) == 1):
            return "0.0"
        return repr(value)
    return (type(value).__name__, value)


@dataclass
class Stores:
    """Where tables of trials are written.

    Attributes:
        server: the address of a PostgreSQL server, if there is one.
    """

    folder: Path
    server: Connection | None = None
    number: int = 0

    @property
    def engines(self) -> tuple[str, ...]:
        """The backends at hand."""
        return ("sqlite", "duckdb", "parquet", *(("postgresql",) if self.server else ()))

    def write(self, engine: str, rows: Sequence[Row]) -> Source:
        """A new table with these rows."""
        self.number += 1
        path = self.folder / "tables" / f"t{self.number}.{engine}"
        path.parent.mkdir(exist_ok=True)
        types = [f'"{name}" {TYPES[engine].get(type_, type_)}' for name, type_ in COLUMNS.items()]
        create = f"CREATE TABLE t{self.number} ({', '.join(types)})"
        marks = ", ".join(["?"] * len(COLUMNS))
        if engine == "sqlite":
            with sqlite3.connect(path) as connection:
                connection.execute(create)
                plain = [[_for_sqlite(value) for value in row] for row in rows]
                connection.executemany(f"INSERT INTO t{self.number} VALUES ({marks})", plain)
            connection.close()
        elif engine == "postgresql":
            self._to_server(create, rows)
        else:
            self._by_duckdb(path, engine, create, rows)
        return self._source(engine, path)

    def _source(self, engine: str, path: Path) -> Source:
        if engine == "parquet":
            return TableFile(path)
        backend = server_backend(self.server) if self.server and engine == "postgresql" else Backend(engine, path)
        return TableIn(backend, f"t{self.number}")

    def _by_duckdb(self, path: Path, engine: str, create: str, rows: Sequence[Row]) -> None:
        with duckdb.connect(str(path) if engine == "duckdb" else ":memory:") as connection:
            connection.execute(create)
            marks = f"({', '.join(['?'] * len(COLUMNS))})"
            if rows:
                values = [value for row in rows for value in row]
                connection.execute(f"INSERT INTO t{self.number} VALUES {', '.join([marks] * len(rows))}", values)
            if engine == "parquet":
                connection.execute(f"COPY t{self.number} TO '{path}' (FORMAT parquet)")

    def _to_server(self, create: str, rows: Sequence[Row]) -> None:
        assert self.server is not None
        with self.connect() as connection:
            connection.execute(create.encode())
            marks = ", ".join(["%s"] * len(COLUMNS))
            connection.cursor().executemany(f"INSERT INTO t{self.number} VALUES ({marks})".encode(), rows)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection to the server that can write."""
        assert self.server is not None
        return psycopg.connect(
            host=self.server.host, port=self.server.port, dbname=self.server.database, user=self.server.user
        )

    def remove(self, source: Source) -> None:
        """Remove a table."""
        for file in source.files:
            file.unlink()
        if isinstance(source, TableIn) and source.engine == "postgresql":
            with self.connect() as connection:
                connection.execute(f"DROP TABLE {source.table}".encode())


def _for_sqlite(value: Any) -> Any:  # noqa: ANN401 - whatever it holds
    if isinstance(value, datetime):
        return value.isoformat(" ", timespec="microseconds")  # as SQLAlchemy writes it
    if isinstance(value, date):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else value


@dataclass(frozen=True)
class Trial:
    """What came of one."""

    engines: tuple[str, str]
    kind: str
    calm: bool
    found: bool
    located: bool
    story: str = ""


def trial(rng: random.Random, stores: Stores) -> Trial:
    """Make two tables, compare, alter a cell, compare again."""
    one, other = rng.choice(stores.engines), rng.choice(stores.engines)
    names = list(COLUMNS)
    rows: list[Row] = [[number, *_random_row(rng)] for number in range(rng.randrange(1, 40))]
    index, column = rng.randrange(len(rows)), rng.randrange(len(names))
    kind, value = "none", rows[index][column]
    while kept(one, value) == kept(one, rows[index][column]) or kept(other, value) == kept(other, rows[index][column]):
        kind, value = damaged(rng, rows[index][column], COLUMNS[names[column]])
    before, healthy = stores.write(one, rows), stores.write(other, rows)
    altered = [list(row) for row in rows]
    altered[index][column] = value
    ill = stores.write(other, altered)
    try:
        calm = compare_tables(before, healthy)
        result = compare_tables(before, ill, show_values=True)
    finally:
        for each in (before, healthy, ill):
            stores.remove(each)
    found, detail = result.comparison.verdict == "differs", result.detail
    place = index + (1 if one == "sqlite" else 0)
    located = (
        detail is not None
        and (detail.rows.missing, detail.rows.added, detail.rows.altered, dict(detail.cells))
        == (0, 0, 1, {names[column]: 1})
        and detail.examples[0].before == place
    )
    story = f"{one} → {other}, {names[column]}: {rows[index][column]!r} → {value!r}"
    story += "" if located else f", told as {result}"
    return Trial(
        (one, other), f"{COLUMNS[names[column]]} {kind}", calm.comparison.verdict == "equal", found, located, story
    )


def _random_row(rng: random.Random) -> Row:
    return [None if rng.random() < 0.15 else a_value(rng, type_) for type_ in list(COLUMNS.values())[1:]]  # noqa: PLR2004


def run(trials: int, seed: int, stores: Stores) -> list[Trial]:
    """As many trials, always the same for one seed."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    return [trial(rng, stores) for _ in range(trials)]


def main(trials: int, seed: int) -> int:
    """Print what was found; 1 if it was not everything, or more."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from tests import postgres as servers

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        server = None
        if "debian" in servers.PROGRAMS:
            servers._give_away(Path(data))  # noqa: SLF001 - ours
            server = servers.Server(servers.PROGRAMS["debian"], Path(data))
            server.initialise()
            (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\nlocal all all trust\n")
            server.start()
        address = Connection("127.0.0.1", server.port, "postgres", "postgres", None) if server else None
        started = time.perf_counter()
        try:
            done = run(trials, seed, Stores(Path(folder), address))
        finally:
            if server:
                server.stop()
    seconds = time.perf_counter() - started
    for each in done:
        if not (each.calm and each.found and each.located):
            print(each)
    print(f"{len(done)} trials, seed {seed}, {seconds:.0f} s")
    print(f"found {sum(each.found for each in done)}, located {sum(each.located for each in done)}")
    print(f"reported for undamaged tables {sum(not each.calm for each in done)}")
    print("by backends:", dict(sorted(Counter(" → ".join(each.engines) for each in done).items())))
    print("by kind:", dict(sorted(Counter(each.kind for each in done).items())))
    return 0 if all(each.calm and each.found and each.located for each in done) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("trials", type=int, nargs="?", default=2000)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    raise SystemExit(main(**vars(parser.parse_args())))
