"""`put-back FILE --from=BACKUP --table=T`: one table that is lost or empty, out of a backup's database.

It is copied by the engine into a copy of the file, in which every other table must be as it was.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all, real_engine
from pytest_mdm_health.backends.base import literal, one_line, quote
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.backups.search import SavedData
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    database_file,
    format_of,
    refuse_damaged,
    refuse_other_data,
    refuse_other_rows,
    working_copy,
)
from pytest_mdm_health.repair.out_of_backup import (
    backup_of,
    held_by,
    refuse_unsound,
    registered_at,
    sources_of,
    take_out,
)
from pytest_mdm_health.repair.step import Changes, NotDone, Outline


@dataclass(frozen=True)
class PutBackTable:
    """The step; see the module."""

    repair: Repair
    home: Home
    table: str

    def outline(self) -> Outline:
        """See `Step`."""
        database, saved = self._database(), self._saved()
        copied = f"{quote(self.table)} is copied by the engine into a copy that takes the place of {database.path}"
        return Outline(
            f"put the table {self.table!r} of {database.path} back out of {backup_of(self.repair)}",
            touches=(*database.files, *sources_of(saved)),
            details=(f"{saved.member} is taken out of the backup and verified", copied),
            room=3 * database.size + 3 * saved.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database = self._database()
        folder = work / "backup"
        folder.mkdir(mode=0o700)
        saved = folder / database.path.name
        take_out({saved: self._saved()}, work)
        rows = {name.casefold(): count for name, count in refuse_unsound(saved, (self.table,)).items()}
        if not rows[self.table.casefold()]:
            raise NotDone(f"the table {self.table!r} has no rows in the backup either")
        if real_engine(saved) != database.engine:
            raise NotDone(f"{saved.name} in the backup is of another engine than {database.path}")
        new = working_copy(database, work / "new")
        _copied(saved, new, self.table, database.engine)
        refuse_damaged(new, database.engine)
        refuse_other_data(working_copy(database, work / "before"), new, database.engine, but=self.table)
        refuse_other_rows(saved, new, database.engine, self.table)
        return Changes({database.path: new, **database.beside()})

    def _saved(self) -> SavedData:
        place = Path(self.repair.place)
        dataset = registered_at(self.home, place)
        return held_by(backup_of(self.repair), self.home, dataset.name if dataset else place.parent.name, place)

    def _database(self) -> DatabaseFile:
        """The file, in which the table is not there or has no rows.

        Raises:
            NotDone: it is, and has.
        """
        database = database_file(Path(self.repair.place))
        if database.logs:
            raise NotDone(f"{database.logs[0]} has to be dealt with first: merge it, or set it aside")
        try:
            with Backend(database.engine, database.path).open() as opened:
                found = [name for name in opened.tables() if name.casefold() == self.table.casefold()]
                rows = opened.count(found[0]) if found else 0
        except (CannotOpen, QueryFailed) as error:
            raise NotDone(f"{database.path} cannot be read, so put the whole file back: {one_line(error)}") from error
        finally:
            close_all()
        if rows:
            raise NotDone(f"the table {self.table!r} of {database.path} has {counted(rows, 'row')}, which stay")
        return database


def _copied(saved: Path, new: Path, table: str, engine: str) -> None:
    """Have the engine copy the table into the file.

    Raises:
        NotDone: it cannot.
    """
    try:
        if engine == "sqlite":
            _copied_by_sqlite(saved, new, table)
        else:
            _copied_by_duckdb(saved, new, table)
    except (sqlite3.Error, duckdb.Error) as error:
        raise NotDone(f"the table {table!r} cannot be copied: {one_line(error)}") from error


def _copied_by_sqlite(saved: Path, new: Path, table: str) -> None:
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS saved", [str(saved)])
        of_table = "FROM {}.sqlite_master WHERE tbl_name = ? COLLATE NOCASE AND sql IS NOT NULL ORDER BY rowid"
        made = connection.execute(f"SELECT type, sql {of_table.format('saved')}", [table]).fetchall()
        if not made or made[0][0] != "table" or made[0][1].upper().startswith("CREATE VIRTUAL"):
            raise NotDone(f"{table!r} is no ordinary table in the backup")
        there = connection.execute(f"SELECT type, sql {of_table.format('main')}", [table]).fetchall()
        connection.execute("BEGIN")
        if not there:
            connection.execute(made[0][1])
        columns = [_stored_columns(connection, schema, table) for schema in ("main", "saved")]
        if columns[0] != columns[1]:
            raise NotDone(f"the table {table!r} has other columns in the backup")
        names = ", ".join(map(quote, columns[0]))
        connection.execute(
            f"INSERT INTO main.{quote(table)} ({names}) SELECT {names} FROM saved.{quote(table)} NOT INDEXED"  # noqa: S608 - quoted
        )
        for _, statement in made[1:] if not there else ():
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("DETACH saved")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if (left := new.with_name(f"{new.name}-wal")).exists() and left.stat().st_size:
        raise NotDone(f"SQLite could not merge the log of {new.name}")


def _stored_columns(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    """The columns that can be written to, in their order."""
    return [name for _, name, *_ in connection.execute(f"PRAGMA {schema}.table_info({quote(table)})")]


def _copied_by_duckdb(saved: Path, new: Path, table: str) -> None:
    before = format_of(new)
    with duckdb.connect(str(new)) as connection:
        connection.execute(f"ATTACH {literal(saved)} AS saved")
        named = "WHERE database_name = ? AND schema_name = 'main' AND lower(table_name) = lower(?)"
        made = connection.execute(f"SELECT sql, table_name FROM duckdb_tables() {named}", ["saved", table]).fetchall()  # noqa: S608 - fixed
        if not made:
            raise NotDone(f"{table!r} is no ordinary table in the backup")
        own = connection.execute("SELECT current_database()").fetchall()[0][0]
        there = connection.execute(f"SELECT sql FROM duckdb_tables() {named}", [own, table]).fetchall()  # noqa: S608 - fixed
        indexes = connection.execute(f"SELECT sql FROM duckdb_indexes() {named}", ["saved", table]).fetchall()  # noqa: S608 - fixed
        if there and there[0][0] != made[0][0]:
            raise NotDone(f"the table {table!r} has other columns in the backup")
        connection.execute("BEGIN")
        if not there:
            connection.execute(made[0][0])
        connection.execute(f"INSERT INTO {quote(table)} SELECT * FROM saved.{quote(made[0][1])}")  # noqa: S608 - quoted
        for (statement,) in indexes if not there else ():
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("DETACH saved")
        connection.execute("CHECKPOINT")
    if format_of(new) != before:
        raise NotDone(f"the DuckDB here would write {new.name} in a newer format; let MDM's own write to it")
    if os.path.lexists(new.with_name(f"{new.name}.wal")):
        raise NotDone(f"DuckDB could not merge the log of {new.name}")
