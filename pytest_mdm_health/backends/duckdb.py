"""DuckDB files, attached read-only to one in-memory instance, which is eight times as fast as an instance for each.

The instance may reach nothing but these files, as far as the installed DuckDB can be told so: from 1.2 on a list of
paths, before that nothing at all once a file is attached, which then needs an instance of its own.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    How,
    QueryFailed,
    Row,
    SharedConnection,
    Unfinished,
    Verification,
    Why,
    literal,
    one_line,
    quote,
    surplus_sentence,
)
from pytest_mdm_health.backends.file_header import begins_like, first_bytes
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.backends.sidecars import sidecars
from pytest_mdm_health.core.session import current, progress
from pytest_mdm_health.mdm.host.locks import LockKind
from pytest_mdm_health.mdm.host.processes import Holder, describe

ALIAS = "mdm"
"""What the names of attached databases in the instance begin with."""

_NEIGHBOURS = 2000
_READ_BESIDE = ("", ".wal", ".wal.checkpoint")
_MEMORY_LIMIT = "512MB"
_THREADS = min(4, os.cpu_count() or 1)
_HEADER_BYTES, _BLOCK_HEADERS = 3 * 4096, (4096, 8192)
_MAGIC, _MAGIC_AT = b"DUCK", 8
_Failure = (duckdb.Error, ValueError, RuntimeError, OverflowError, TypeError)
_WHY: tuple[tuple[str, Why], ...] = (
    ("corrupt wal file", "damaged-log"),
    ("replaying wal", "foreign-log"),
    ("wal checkpoint iteration", "foreign-log"),
    ("could not set lock", "locked"),
    ("already attached by", "locked"),
    ("already open in", "locked"),
    ("unique file handle conflict", "locked"),
    ("newer version of duckdb", "newer-format"),
    ("version number", "older-format"),
    ("encrypted database", "encrypted"),
    ("permission denied", "no-permission"),
    ("too many open files", "no-descriptors"),
    ("no space left", "no-room"),
    ("out of memory", "no-memory"),
    ("cannot allocate memory", "no-memory"),
    ("input/output error", "io-error"),
    ("could not read enough bytes", "truncated"),
    ("corrupt", "damaged"),
    ("checksum", "damaged"),
    ("not a valid duckdb", "wrong-format"),
)
_REFUSED_FILE = re.compile(r'Cannot access (?:file|directory) "(?P<path>[^"]+)"')
_WILDCARDS = frozenset("*?[")
_RESTRICTED = (
    "disabled by configuration",
    "disabled through configuration",
    "but it exists in the ",
    ".duckdb_extension",
)
_NOT_IN_ENGINE = re.compile(r"Catalog Error: (?:\w+ Function|Type|Collation|Copy Function) with name ")


class DuckDBDatabase(SharedConnection):
    """An attached DuckDB file; a `base.Database`."""

    engine = "duckdb"
    how: How = "attached"
    closed = False

    def __init__(self, path: Path) -> None:
        """Attach the file.

        Raises:
            CannotOpen: it cannot be attached, and why.
        """
        size = _looked_at(path)
        self._instance = current().part(_Instances).instance_for(path)
        self._alias, self._connection = self._instance.attach(path)
        try:
            self.surplus = self._surplus(size)
        except CannotOpen:
            self.close()
            raise

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the instance, with the attached database as its default.

        Raises:
            QueryFailed: it was closed.
        """
        if self.closed:
            raise QueryFailed("the database is closed; one that is used beside another needs a `with` block")
        return self._connection

    def tables(self) -> tuple[str, ...]:
        """As `Database.tables`."""
        rows = self.query(
            "SELECT name FROM (SELECT database_name, schema_name, internal, table_name AS name FROM duckdb_tables() "  # noqa: S608 - ours
            "UNION ALL SELECT database_name, schema_name, internal, view_name FROM duckdb_views()) "
            f"WHERE database_name = '{self._alias}' AND schema_name = 'main' AND NOT internal",
        )
        return tuple(sorted(name for (name,) in rows))

    def derived(self) -> frozenset[str]:
        """As `Database.derived`."""
        rows = self.query(
            "SELECT view_name FROM duckdb_views() "  # noqa: S608 - ours
            f"WHERE database_name = '{self._alias}' AND schema_name = 'main' AND NOT internal"
        )
        return frozenset(name for (name,) in rows)

    def columns(self, table: str) -> tuple[Column, ...]:
        """As `Database.columns`."""
        rows = self.query(
            "SELECT column_name, data_type FROM duckdb_columns() "  # noqa: S608 - quoted; parameters import pandas
            f"WHERE database_name = '{self._alias}' AND schema_name = 'main' "
            f"AND lower(table_name) = lower({literal(table)}) ORDER BY column_index"
        )
        if not rows:
            raise QueryFailed(f"no such table: {table}")
        return tuple(Column(name, type_) for name, type_ in rows)

    def count(self, table: str) -> int:
        """As `Database.count`."""
        return int(self.query(f"SELECT count(*) FROM {self._alias}.main.{quote(table)}")[0][0])  # noqa: S608 - quoted

    def verify(self, complete: bool, within_s: float | None = None) -> Verification:
        """As `Database.verify`: if complete, every block of every column is read, which verifies its checksum.

        Otherwise what attaching read has to do: the headers and the catalogue.
        """
        problems: list[str] = []
        with interrupting(self.connection.interrupt, within_s if complete else None):
            try:
                stored = self._stored_columns() if complete else {}
                for number, (table, names) in enumerate(stored.items()):
                    progress("the tables of the database", number, len(stored), "tables")
                    problems += self._read_through(table, names)
            except QueryFailed as error:
                problems.append(str(error))
        return Verification(damage=(*problems, *([surplus_sentence(self.surplus)] if self.surplus else [])))

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """As `Database.query`. Where pytz is missing, times with a zone come as text."""
        try:
            return self._run(sql, parameters)
        except _Failure as error:
            if isinstance(error, duckdb.InterruptException):
                raise Unfinished("did not finish in the time given") from error
            if "pytz" in str(error):
                return self._run(self._with_times_as_text(sql, parameters), parameters)
            raise _query_failed(error) from error

    def close(self) -> None:
        """As `Database.close`."""
        if not self.closed:
            self.closed = True
            self._instance.detach(self._alias, self._connection)

    def _run(self, sql: str, parameters: Sequence[object]) -> list[Row]:
        return self.connection.execute(sql, list(parameters)).fetchall()

    def _with_times_as_text(self, sql: str, parameters: Sequence[object]) -> str:
        columns = [
            (f"c{index}", type_) for index, (_, type_, *_) in enumerate(self._run(f"DESCRIBE {sql}", parameters))
        ]
        chosen = ", ".join(f"{name}::VARCHAR" if "TIME ZONE" in type_ else name for name, type_ in columns)
        return f"SELECT {chosen} FROM ({sql}) AS q({', '.join(name for name, _ in columns)})"  # noqa: S608 - the caller's own

    def _stored_columns(self) -> dict[str, list[str]]:
        """The columns of every table, in every schema; names as SQL takes them."""
        rows = self.query(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() JOIN duckdb_tables() "  # noqa: S608 - ours
            f"USING (database_name, schema_name, table_name) WHERE database_name = '{self._alias}' ORDER BY ALL",
        )
        stored: dict[str, list[str]] = {}
        for schema, table, column in rows:
            stored.setdefault(f"{quote(schema)}.{quote(table)}", []).append(quote(column))
        return stored

    def _read_through(self, table: str, columns: Sequence[str]) -> list[str]:
        try:
            self.query(f"SELECT bit_xor(hash({', '.join(columns)})) FROM {self._alias}.{table}")  # noqa: S608 - quoted
        except QueryFailed as error:
            return [f"table {table}: {error}"]
        return []

    def _surplus(self, size: int) -> int:
        """Bytes after the last block; whole blocks are not counted, a write that was cut short leaves those.

        DuckDB itself cuts free blocks off the end of the file without taking them out of its count.
        """
        columns = "block_size, total_blocks, free_blocks"
        sql = f"SELECT {columns} FROM pragma_database_size() WHERE database_name = '{self._alias}'"  # noqa: S608 - ours
        try:
            ((block_size, blocks, free),) = self.query(sql)
        except QueryFailed as error:
            raise CannotOpen("damaged", f"is damaged: {error}") from error
        missing = _HEADER_BYTES + block_size * blocks - size
        if missing > block_size * free:
            raise CannotOpen("truncated", f"is cut off: {missing} of its {size + missing} bytes are missing")
        return int((size - _HEADER_BYTES) % block_size)


@dataclass
class _Instance:
    """An in-memory DuckDB that may reach certain files.

    Attributes:
        paths: the files it may attach; None if it may attach any, but only the first.
    """

    connection: duckdb.DuckDBPyConnection
    paths: frozenset[str] | None
    attached: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def may_attach(self, path: Path) -> bool:
        return self.paths is not None and str(path) in self.paths

    def attach(self, path: Path) -> tuple[str, duckdb.DuckDBPyConnection]:
        """The name of the attached database, and a connection that has it as its default."""
        alias, connection = f"{ALIAS}_{next(self._numbers)}", self.connection.cursor()
        try:
            connection.execute(f"ATTACH {literal(path)} AS {alias} (READ_ONLY)")
            self.attached.add(alias)
            connection.execute(f"USE {alias}")
            if self.paths is None:
                _restrict(self.connection)
        except _Failure as error:
            self.detach(alias, connection)
            raise _cannot_open(error) from error
        return alias, connection

    def detach(self, alias: str, connection: duckdb.DuckDBPyConnection) -> None:
        """Give up an attached database and its connection; an instance that cannot is ended with its last database."""
        with suppress(*_Failure):
            connection.close()
        if alias in self.attached:
            self.attached.discard(alias)
            try:
                self.connection.execute(f"DETACH {alias}")
            except _Failure:
                self.paths = None
        if self.paths is None and not self.attached:
            self.discard()

    def discard(self) -> None:
        """End it; the next database gets a new one."""
        with suppress(*_Failure):
            self.connection.close()
        current().part(_Instances).forget(self)


class _Instances:
    """The instance that files are attached to, if there is one."""

    def __init__(self) -> None:
        self._instance: _Instance | None = None

    def instance_for(self, path: Path) -> _Instance:
        """The one that there is if it may attach this file, else a new one."""
        if self._instance is None or not self._instance.may_attach(path):
            if self._instance is not None and not self._instance.attached:
                self._instance.discard()
            self._instance = _new_instance(path)
        return self._instance

    def forget(self, instance: _Instance) -> None:
        """Give it to no other file."""
        if self._instance is instance:
            self._instance = None

    def close(self) -> None:
        """End it."""
        if self._instance is not None:
            self._instance.discard()


def _new_instance(path: Path) -> _Instance:
    """An instance that may attach this file and those that lie like it in the folders beside: all of one home's."""
    config: dict[str, Any] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": _MEMORY_LIMIT,
        "threads": str(_THREADS),
        "temp_directory": str(Path(tempfile.gettempdir(), f"mdm-health-duckdb-{os.getpid()}")),
    }
    connection = duckdb.connect(":memory:", config=config)
    paths = frozenset((str(path), *_neighbours(path)))
    reachable = ", ".join(literal(name + suffix) for name in sorted(paths) for suffix in _READ_BESIDE)
    try:
        connection.execute(f"SET allowed_paths = [{reachable}]")
    except duckdb.CatalogException:  # DuckDB 1.1 does not have it
        return _Instance(connection, None)
    except _Failure as error:
        connection.close()
        raise _cannot_open(error) from error
    _restrict(connection)
    return _Instance(connection, paths)


def _restrict(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _neighbours(path: Path) -> Iterator[str]:
    found = path.parent.parent.glob(f"*/*{path.suffix}") if path.suffix else ()
    with suppress(OSError):  # a folder that was there a moment ago
        for _, each in zip(range(_NEIGHBOURS), found, strict=False):
            with suppress(UnicodeEncodeError):
                str(each).encode()
                yield str(each)


def _looked_at(path: Path) -> int:
    """The size of the file, after a look at it and at what lies beside it: neither may keep DuckDB waiting.

    Raises:
        CannotOpen: it is no DuckDB file.
    """
    head, size = first_bytes(path, _HEADER_BYTES)
    begins_like(head, _HEADER_BYTES, head[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC, "DuckDB")
    for each in sidecars(path):
        if each.kind == "duckdb-wal" and each.size < 0:
            raise CannotOpen("not-a-file", f"cannot be opened: {each.path.name} beside it is no file")
    return size


def _why(error: BaseException) -> Why:
    text = str(error).lower()
    return next((word for part, word in _WHY if part in text), "unreadable")


def _query_failed(error: BaseException) -> QueryFailed:
    """What DuckDB said of a statement. It loads no extension here, and reads no file beside the database."""
    text = one_line(error)
    if refused := _REFUSED_FILE.search(text):
        path = refused["path"]
        if Path(path).is_absolute() and not set(path) & _WILDCARDS and not os.path.lexists(path):
            return QueryFailed(f"it reads {path}, which does not exist", "broken")
        return QueryFailed(f"it reads {path}, outside the database, which is not done here", "restricted")
    if any(words in text for words in _RESTRICTED):
        return QueryFailed(text, "restricted")
    if isinstance(error, (duckdb.CatalogException, duckdb.BinderException)):
        return QueryFailed(text, "lacking" if _NOT_IN_ENGINE.match(text) else "broken")
    return QueryFailed(text, "damaged" if _why(error) in {"damaged", "truncated"} else "other")


def _cannot_open(error: BaseException) -> CannotOpen:
    why, text = _why(error), one_line(error)
    if why == "locked":
        holders = tuple(_holders(str(error)))
        by = f" by {', '.join(map(str, holders))}" if holders else ""
        return CannotOpen(why, f"is locked{by}", holders)
    if why == "newer-format":
        return CannotOpen(why, f"was written by a DuckDB newer than the one here, {duckdb.__version__}")
    if why == "older-format":
        return CannotOpen(why, f"was written by a DuckDB older than {duckdb.__version__} can read: {text}")
    words = {"truncated": "is cut off", "damaged": "is damaged"}
    return CannotOpen(why, f"{words.get(why, 'cannot be opened')}: {text}")


def _holders(message: str) -> Iterator[Holder]:
    """Whom DuckDB names; if nobody, it is this process itself that has the file open for writing."""
    found = re.search(r"\(PID (\d+)\)", message)
    yield describe(int(found[1]) if found else os.getpid(), LockKind.WHOLE_FILE, "writes")
