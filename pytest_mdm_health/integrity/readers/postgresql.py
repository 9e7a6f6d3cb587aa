"""A table on a PostgreSQL server, sent as text through a pipe.

So no value becomes an object of Python's, and however large the table is, only a pipe's worth of it is here at once.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_mdm_health.backends import Backend, Column, Database, QueryFailed, literal, quote
from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.core.session import progress
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch
from pytest_mdm_health.integrity.readers.duckdb import COUNTED, forms
from pytest_mdm_health.integrity.readers.files import csv_relation, numbered

if TYPE_CHECKING:
    import psycopg

    from pytest_mdm_health.backends.postgresql import PostgresDatabase

_PATIENCE_S = 0.02
_TOLD_EVERY = 100
_SHORTEST_ROW = 28
"""Bytes of a file that no row can do without."""

_SLOWEST = 256 * 1024
"""Bytes in a second: a server is given so much more time for a table, as it cannot be given more while rows come."""

_SINGLE = ("real", "float4")
_TYPED = {
    "smallint": "BIGINT",
    "integer": "BIGINT",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp without time zone": "TIMESTAMP",
}
"""As what DuckDB takes the text of every usual value of a type."""

_DATED = ("DATE", "TIMESTAMP")

AS_IT_IS: Mapping[str, str] = {
    "idle_in_transaction_session_timeout": "0",
    "timezone": "UTC",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "synchronize_seqscans": "off",
    "enable_indexonlyscan": "off",
    "max_parallel_workers_per_gather": "0",
}
"""How a server writes values and orders rows in a session that reads a table."""


@contextmanager
def reading(backend: Backend, table: str, workbench: Workbench) -> Iterator[CopyReader]:
    """A table on a server.

    Raises:
        CannotOpen: there is no connection.
        QueryFailed: there is no such table.
    """
    with cast("PostgresDatabase", backend.open()) as database:
        columns = database.columns(table)
        single = frozenset(each.name for each in columns if _bare(each.type) in _SINGLE)
        relation = _relation(database, table, columns)
        yield CopyReader(columns, forms(columns, "postgresql"), database, table, relation, workbench, single)


def _bare(type_: str) -> str:
    """A type without the part in brackets."""
    return re.sub(r"\([\d,-]+\)", "", type_.lower())


@dataclass(frozen=True)
class Relation:
    """A table or view on a server, as statements ask for it.

    Attributes:
        name: quoted, with its schema, as another session may look in other places.
        columns: the names of all its columns in their order.
        stored: whether its rows are read in one order whatever columns are asked for.
        size: bytes of a table, of which it is known that it has an end.
    """

    name: str
    columns: tuple[str, ...]
    stored: bool
    size: int

    def statement(self, made: Mapping[str, str], places: Sequence[int] | None) -> str:
        """For some columns, each as what is made of it; with places also for `place`, the number of the row."""
        if not places:
            chosen = (f"{how.format(quote(name))} AS c{index}" for index, (name, how) in enumerate(made.items()))
            return f"SELECT {', '.join(chosen) or 'NULL'} FROM {self.name}"  # noqa: S608 - quoted
        passed = self.columns if self.stored else tuple(made)
        rows = "*" if self.stored else ", ".join(map(quote, passed))  # all as they are take half the time of some
        number = {name: f"n{index}" for index, name in enumerate(passed)}
        chosen = (f"{how.format(number[name])} AS c{index}" for index, (name, how) in enumerate(made.items()))
        wanted = ", ".join(map(str, places))
        return (
            f"SELECT {', '.join((*chosen, 'place'))} "  # noqa: S608 - quoted, and numbers
            f"FROM (SELECT {COUNTED}, {rows} FROM {self.name}) "
            f"AS numbered (place, {', '.join(number.values())}) WHERE place = ANY ('{{{wanted}}}'::bigint[])"
        )


def _relation(database: Database, table: str, columns: Sequence[Column]) -> Relation:
    sql = (
        "SELECT nspname, relkind IN ('r', 'p', 'm'), "
        "CASE WHEN relkind IN ('r', 'm') THEN pg_table_size(c.oid) WHEN relkind = 'p' THEN "
        "(SELECT sum(pg_table_size(relid)) FROM pg_partition_tree(c.oid) WHERE isleaf) END "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass(?)"
    )
    for schema, stored, size in database.query(sql, (quote(table),)):
        return Relation(f"{quote(schema)}.{quote(table)}", tuple(each.name for each in columns), stored, int(size or 0))
    raise QueryFailed(f"no such table: {table}")


@dataclass(frozen=True)
class CopyReader:
    """What a server sends as text; a `base.Reader`. The place of a row is its number."""

    columns: tuple[Column, ...]
    forms: Mapping[str, Form]
    database: PostgresDatabase
    table: str
    relation: Relation
    workbench: Workbench
    single: frozenset[str]
    engine: str = "postgresql"
    how: str = "copy"

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`; the relation can be read once."""
        binary = {each.name for each in self.columns if self.forms[each.name] is Form.BYTES}
        made = {name: "encode({}, 'hex')" if name in binary else "{}" for name in names}
        sql = f"COPY ({self.relation.statement(made, places)}) TO STDOUT (FORMAT csv)"
        path, types = self.workbench.stream(), self._types(names)
        sent = [*("VARCHAR" if each in _DATED else each for each in types), *(["BIGINT"] if places else [])]
        columns = [_moment(f"t{index}", each) if each in _DATED else f"t{index}" for index, each in enumerate(types)]
        place = f"t{len(types)}" if places else COUNTED
        batch = numbered(csv_relation(path, sent or ["VARCHAR"]), columns, types, place)
        with _Feed(self, path, sql):
            yield _with_bytes(batch, [name in binary for name in names])

    def _types(self, names: Sequence[str]) -> list[str]:
        """What DuckDB reads the columns as; texts are never refused."""
        declared = {each.name: "" if self.workbench.careful else _bare(each.type) for each in self.columns}
        return [_TYPED.get(declared[name], "VARCHAR") for name in names]


def _moment(c: str, type_: str) -> str:
    """A date or moment as the server writes it, of years A.D.; DuckDB would take those before for the same."""
    return f"(CASE WHEN suffix({c}, 'BC') THEN error('there are years B.C.') ELSE {c} END)::{type_}"


def _with_bytes(batch: Batch, binary: Sequence[bool]) -> Batch:
    if not any(binary):
        return batch
    chosen = [f"from_hex(c{index}) AS c{index}" if yes else f"c{index}" for index, yes in enumerate(binary)]
    types = tuple("BLOB" if yes else type_ for yes, type_ in zip(binary, batch.arrives, strict=True))
    return Batch(f"(SELECT {', '.join((*chosen, 'place'))} FROM {batch.relation})", types, {})  # noqa: S608 - made here


class _Feed:
    """A thread that writes what a server sends into a pipe."""

    def __init__(self, reader: CopyReader, path: Path, sql: str) -> None:
        self._path, self._database, self._sql = path, reader.database, sql
        self._table, self._size = reader.table, reader.relation.size
        limit_ms = reader.workbench.time_left_ms
        if limit_ms:
            limit_ms += self._size * 1000 // _SLOWEST
        self._settings = {**AS_IT_IS, "statement_timeout": str(limit_ms)}
        self._failure: psycopg.Error | OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        os.mkfifo(self._path, 0o600)
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait for its end, which comes at once if nothing is read any more; after an error the server is to stop."""
        if error is not None and self._thread.is_alive():
            self._database.connection.cancel()
        while self._thread.is_alive():
            os.close(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK))
            self._thread.join(_PATIENCE_S)
        self._path.unlink()
        if self._failure is not None and error is None:  # else whoever reads has an error of their own
            if isinstance(self._failure, OSError):
                raise QueryFailed(one_line(self._failure)) from None
            raise self._database.failed(self._failure, self._sql) from None

    def _tell(self, rows: int) -> None:
        """Say how many rows came; a table of some size cannot hold more than so many, and a view need not end."""
        if most := self._size // _SHORTEST_ROW:
            progress(f"table {self._table}", rows, most, "rows", exact=False)

    def _run(self) -> None:
        import psycopg

        connection = self._database.connection
        try:
            with self._path.open("wb", buffering=1024 * 1024) as pipe, connection.transaction():
                for name, value in self._settings.items():
                    connection.execute(f"SET LOCAL {name} = {literal(value)}".encode())
                with connection.cursor().copy(self._sql.encode()) as copy:
                    for number, block in enumerate(copy):
                        pipe.write(block)
                        if number % _TOLD_EVERY == 0:
                            self._tell(number)
        except (psycopg.Error, OSError) as error:
            self._failure = error
