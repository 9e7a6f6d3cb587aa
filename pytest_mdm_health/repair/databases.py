"""Copies of databases, made to be changed, and the proof that a change of the file did not change the data."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import duckdb

from pytest_mdm_health.backends.base import CannotOpen, literal, one_line, quote
from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.backends.sqlite.header import read_header
from pytest_mdm_health.core.text import join_names
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.repair.files import copy_content
from pytest_mdm_health.repair.step import NotDone

_PROBLEMS = 3
_FORMAT_AT = slice(12, 20)
"""Where a DuckDB file has the version of its format."""


@dataclass(frozen=True)
class DatabaseFile:
    """A database of one file, with what is beside it.

    Attributes:
        path: the file, links followed.
        engine: `sqlite` or `duckdb`.
        logs: the journals and logs beside it that are there, without SQLite's `-shm`.
        index: SQLite's `-shm`, if it is there; SQLite makes it again.
    """

    path: Path
    engine: str
    logs: tuple[Path, ...]
    index: Path | None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of it that has content worth keeping."""
        return (self.path, *self.logs)

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(path.stat().st_size for path in self.files)

    def beside(self) -> dict[Path, Path | None]:
        """What is beside it as changes that remove it."""
        return dict.fromkeys((*self.logs, *([self.index] if self.index else [])))


def database_file(path: Path) -> DatabaseFile:
    """The database in a file, which no process may have open.

    Raises:
        NotDone: it is a file of neither SQLite nor DuckDB, or a process has it open.
    """
    real = Path(os.path.realpath(path))
    engine = _engine_of(real)
    beside = [real.with_name(real.name + suffix) for suffix, _ in SUFFIXES]
    present = [file for file in beside if file.is_file()]
    index = next((file for file in present if file.name.endswith("-shm")), None)
    refuse_held((real, *present))
    if real.stat().st_nlink > 1:
        raise NotDone(f"{real} has another name on this disk (a hard link), which would keep the old content")
    return DatabaseFile(real, engine, tuple(file for file in present if file != index), index)


def refuse_held(paths: Sequence[Path]) -> None:
    """Refuse files that a process has open.

    Raises:
        NotDone: which processes.
    """
    found = holders(paths)
    if found.answer:
        names = join_names(list(dict.fromkeys(map(str, found.answer))))
        raise NotDone(f"{paths[0]} is open in {names}; stop that first")


def working_copy(database: DatabaseFile, folder: Path) -> Path:
    """A copy of the database with its logs, to be changed; the path of the file.

    Raises:
        OSError: it could not be copied.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    for file in database.files:
        copy_content(file, folder / file.name)
    return folder / database.path.name


def refuse_damaged(path: Path, engine: str) -> None:
    """Refuse a database that is not sound, and other than SQLite's own logs nothing is beside it.

    Raises:
        NotDone: what is wrong with it.
    """
    if engine == "duckdb":
        return  # DuckDB checks its pages when it reads them, which the comparison does
    with closing(_sqlite(path)) as connection:
        try:
            found = [text for (text,) in connection.execute(f"PRAGMA integrity_check({_PROBLEMS})")]
        except sqlite3.Error as error:
            found = [one_line(error)]
    if found != ["ok"]:
        raise NotDone(f"the copy of {path.name} is not sound: {'; '.join(found)}")


def refuse_other_data(before: Path, after: Path, engine: str, but: str = "") -> None:
    """Refuse a database whose tables do not hold the same rows as those of another; `but` names one that is left out.

    Raises:
        NotDone: which table differs.
    """
    difference = _sqlite_difference if engine == "sqlite" else _duckdb_difference
    try:
        found = difference(before, after, but)
    except (sqlite3.Error, duckdb.Error) as error:
        raise NotDone(f"the copy of {after.name} cannot be read: {one_line(error)}") from error
    if found:
        raise NotDone(f"the result would not hold the same data: {found}")


def refuse_other_rows(saved: Path, after: Path, engine: str, table: str) -> None:
    """Refuse a database in which one table does not hold the same rows as in another.

    Raises:
        NotDone: it does not.
    """
    try:
        if engine == "sqlite":
            with closing(_sqlite(saved)) as old, closing(_sqlite(after)) as new:
                same = _same_rows(_rows(old, quote(table)), _rows(new, quote(table)))
        else:
            with _both(saved, after) as connection:
                same = not _differ(connection, f"main.{quote(table)}")
    except (sqlite3.Error, duckdb.Error) as error:
        raise NotDone(f"the table {table!r} of {after.name} cannot be read: {one_line(error)}") from error
    if not same:
        raise NotDone(f"the result would not hold the rows of {table!r} as the backup has them")


def format_of(path: Path) -> bytes:
    """What a DuckDB file says of the version of its format."""
    with path.open("rb") as file:
        return file.read(_FORMAT_AT.stop)[_FORMAT_AT]


def _engine_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise NotDone(f"{path}: {error.strerror}") from None
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if head[8:12] == b"DUCK":
        return "duckdb"
    raise NotDone(f"{path} is a file of neither SQLite nor DuckDB")


def reading_sqlite(path: Path) -> sqlite3.Connection:
    """A copy of a SQLite file, open to be read with an eye on damage."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    connection.text_factory = os.fsdecode
    connection.execute("PRAGMA trusted_schema=OFF")
    connection.execute("PRAGMA cell_size_check=ON")
    return connection


def row_number(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> str:
    """The name by which the number of a row is reached although a column may be called so; empty if it has none.

    Args:
        connection: a SQLite database.
        table: the name of the table, quoted.
        columns: the names of its columns.
    """
    taken = {column.casefold() for column in columns}
    for free in (name for name in ("rowid", "_rowid_", "oid") if name not in taken):
        with suppress(sqlite3.OperationalError):
            connection.execute(f"SELECT {free} FROM {table} LIMIT 0")  # noqa: S608 - quoted
            return free
    return ""


@contextmanager
def changing_sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of a SQLite file, open to be changed; afterwards no log is beside it.

    Raises:
        NotDone: SQLite refuses something.
    """
    try:
        with closing(_sqlite(path)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise NotDone(f"SQLite refused it for the copy of {path.name}: {one_line(error)}") from error


@contextmanager
def changing_duckdb(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of a DuckDB file, open to be changed; afterwards no log is beside it, and its format is what it was.

    Raises:
        NotDone: DuckDB refuses something, or the one that is installed would write another format.
    """
    before = format_of(path)
    try:
        with duckdb.connect(str(path)) as connection:
            yield connection
            connection.execute("CHECKPOINT")
    except duckdb.Error as error:
        raise NotDone(f"DuckDB refused it for the copy of {path.name}: {one_line(error)}") from error
    if format_of(path) != before:
        raise NotDone(f"the DuckDB here would write {path.name} in a newer format; let MDM open it instead")


def refuse_logs(database: DatabaseFile) -> None:
    """Refuse a database with a log beside it, which a change would merge.

    Raises:
        NotDone: there is one.
    """
    if database.logs:
        raise NotDone(f"{database.logs[0]} has to be dealt with first, because this would merge it")


def _sqlite(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None)
    connection.text_factory = os.fsdecode  # a text need not be UTF-8, and is no blob
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _sqlite_difference(before: Path, after: Path, but: str) -> str:
    with closing(_sqlite(before)) as old, closing(_sqlite(after)) as new:
        if _schema_but(old, but) != _schema_but(new, but):
            return "the schema differs"
        for (table,) in old.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
            if not _is_called(table, but) and not _same_rows(_rows(old, quote(table)), _rows(new, quote(table))):
                return f"table {quote(table)} differs"
    return ""


def _schema_but(connection: sqlite3.Connection, but: str) -> list[tuple[str, ...]]:
    schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    if not but:
        return schema
    return [row for row in schema if not _is_called(row[2], but) and not row[1].startswith("sqlite_")]


def _is_called(name: str, other: str) -> bool:
    return bool(other) and name.casefold() == other.casefold()


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    """The rows in the order of the table itself, as text that tells every type apart."""
    yield from (repr(row) for row in connection.execute(f"SELECT * FROM {table} NOT INDEXED"))  # noqa: S608 - quoted


def _same_rows(old: Iterator[str], new: Iterator[str]) -> bool:
    return all(one == other for one, other in zip_longest(old, new))


def _duckdb_difference(before: Path, after: Path, but: str) -> str:
    with _both(before, after) as connection:
        listing = (
            "SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = ? AND NOT internal ORDER BY ALL"
        )
        every = [connection.execute(listing, [name]).fetchall() for name in ("old", "new")]
        old, new = ([column for column in columns if not _is_called(column[1], but)] for columns in every)
        if old != new:
            return "the tables or columns differ"
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'old' AND NOT internal"
        ).fetchall()
        for schema, table in tables:
            place = f"{quote(schema)}.{quote(table)}"
            if not _is_called(table, but) and _differ(connection, place):
                return f"table {place} differs"
    return ""


@contextmanager
def _both(before: Path, after: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two DuckDB files attached as `old` and `new`."""
    with duckdb.connect() as connection:
        for name, path in (("old", before), ("new", after)):
            connection.execute(f"ATTACH {literal(path)} AS {name} (READ_ONLY)")
        yield connection


def _differ(connection: duckdb.DuckDBPyConnection, place: str) -> bool:
    old, new = f"SELECT * FROM old.{place}", f"SELECT * FROM new.{place}"  # noqa: S608 - quoted
    different = f"SELECT count(*) FROM (({old} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {old}))"  # noqa: S608
    return connection.execute(different).fetchall() != [(0,)]


def in_wal_mode(path: Path) -> bool:
    """Whether a SQLite file is in WAL mode.

    Raises:
        NotDone: its header cannot be read.
    """
    try:
        return read_header(path).wal
    except CannotOpen as error:
        raise NotDone(f"{path} {error}") from None
