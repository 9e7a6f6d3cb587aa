"""A table on a PostgreSQL server, as the text that the server sends, through a pipe into the workbench.

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
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import Backend, Column, Database, QueryFailed, quote
from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.integrity.canonical import Form
from pytest_mdm_health.integrity.duckdb_reader import forms
from pytest_mdm_health.integrity.file_reader import csv_relation, numbered
from pytest_mdm_health.integrity.sources import Batch
from pytest_mdm_health.integrity.workbench import Workbench
from pytest_mdm_health.mdm.secrets import redact

if TYPE_CHECKING:
    import psycopg

_SESSION = (
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL datestyle = 'ISO, YMD'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL synchronize_seqscans = off",
    "SET LOCAL max_parallel_workers_per_gather = 0",
)
"""How values are written and rows are ordered, whatever the server's settings; how long it takes is for others."""

_PATIENCE_S = 0.02
_SINGLE = ("real", "float4")
_TYPED = {
    "smallint": "BIGINT",
    "integer": "BIGINT",
    "bigint": "BIGINT",
    "real": "FLOAT",
    "double precision": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "TIMESTAMP",
    "timestamp without time zone": "TIMESTAMP",
}
"""As what DuckDB takes the text of every usual value of a type."""


@contextmanager
def reading(backend: Backend, table: str, workbench: Workbench) -> Iterator[CopyReader]:
    """A table on a server.

    Raises:
        CannotOpen: there is no connection.
        QueryFailed: there is no such table.
    """
    with backend.open() as database:
        columns = database.columns(table)
        single = frozenset(each.name for each in columns if each.type.lower() in _SINGLE)
        yield CopyReader(columns, forms(columns, "postgresql"), database, table, workbench, single)


@dataclass(frozen=True)
class CopyReader:
    """What a server sends; a `sources.Reader`. The place of a row is its number, so it is all sent again for any."""

    columns: tuple[Column, ...]
    forms: Mapping[str, Form]
    database: Database
    table: str
    workbench: Workbench
    single: frozenset[str]
    engine: str = "postgresql"
    how: str = "copy"

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`; the relation can be read once."""
        binary = {each.name for each in self.columns if self.forms[each.name] is Form.BYTES}
        chosen = ", ".join(f"encode({quote(name)}, 'hex')" if name in binary else quote(name) for name in names)
        sql = f"COPY (SELECT {chosen or 'NULL'} FROM {quote(self.table)}) TO STDOUT (FORMAT csv)"  # noqa: S608 - quoted
        path, types = self.workbench.stream(), self._types(names)
        relation = csv_relation(path, ["VARCHAR" if each == "TIMESTAMP" else each for each in types] or ["VARCHAR"])
        columns = [_moment(f"t{index}") if each == "TIMESTAMP" else f"t{index}" for index, each in enumerate(types)]
        batch = numbered(relation, columns, places, types)
        with _Feed(path, self.database.connection, sql):
            yield _with_bytes(batch, [name in binary for name in names])

    def _types(self, names: Sequence[str]) -> list[str]:
        """What DuckDB reads the columns as; texts are never refused."""
        declared = {each.name: "" if self.workbench.careful else each.type.lower() for each in self.columns}
        return [_TYPED.get(re.sub(r"\(\d\)", "", declared[name]), "VARCHAR") for name in names]


def _moment(c: str) -> str:
    """A moment as the server writes it, of years A.D.; DuckDB would take those before for the same."""
    return f"(CASE WHEN suffix({c}, 'BC') THEN error('there are years B.C.') ELSE {c} END)::TIMESTAMP"


def _with_bytes(batch: Batch, binary: Sequence[bool]) -> Batch:
    if not any(binary):
        return batch
    chosen = [f"from_hex(c{index}) AS c{index}" if yes else f"c{index}" for index, yes in enumerate(binary)]
    types = tuple("BLOB" if yes else type_ for yes, type_ in zip(binary, batch.arrives, strict=True))
    return Batch(f"(SELECT {', '.join((*chosen, 'place'))} FROM {batch.relation})", types, {})  # noqa: S608 - made here


class _Feed:
    """A thread that writes what a server sends into a pipe."""

    def __init__(self, path: Path, connection: psycopg.Connection[Any], sql: str) -> None:
        self._path, self._connection, self._sql = path, connection, sql
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        os.mkfifo(self._path, 0o600)
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait for its end, which comes at once if nobody reads any more."""
        while self._thread.is_alive():
            os.close(os.open(self._path, os.O_RDONLY | os.O_NONBLOCK))
            self._thread.join(_PATIENCE_S)
        self._path.unlink()
        if self._failure is not None and not (error and isinstance(self._failure, OSError)):
            raise QueryFailed(redact(one_line(self._failure))) from None

    def _run(self) -> None:
        import psycopg

        try:
            with self._path.open("wb", buffering=1024 * 1024) as pipe, self._connection.transaction():
                for setting in _SESSION:
                    self._connection.execute(setting.encode())
                with self._connection.cursor().copy(self._sql.encode()) as copy:
                    for block in copy:
                        pipe.write(block)
        except (psycopg.Error, OSError) as error:
            self._failure = error
