"""`reindex PLACE [INDEX]`: build indexes again; no value changes.

Of a file of SQLite or DuckDB, one or all of them: on a copy, whose tables must then hold the same rows, read without
any index. Of a PostgreSQL server, reached by a registration, one that is incomplete; what an attempt that fails leaves
there is removed again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from pytest_mdm_health.backends.base import quote
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import Connection
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    changing_duckdb,
    changing_sqlite,
    database_file,
    refuse_damaged,
    refuse_logs,
    refuse_other_data,
    row_number,
    working_copy,
)
from pytest_mdm_health.repair.servers import Relation, Session, connection_for, session_on
from pytest_mdm_health.repair.step import Changes, NotDone, Outline

_INDEX = """
SELECT x.indisvalid AND x.indisready, x.indrelid, x.indrelid::regclass::text, i.relname ~ '_cc(new|old)[0-9]*$',
  EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indexrelid = %s
"""
_INCOMPLETE = """
SELECT i.oid, format('%%I.%%I', n.nspname, i.relname)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace
WHERE x.indrelid = %s AND NOT x.indisvalid AND i.relname ~ '_ccnew[0-9]*$'
"""
_COLUMNS = "SELECT * FROM pragma_table_info(?)"
_SQLITE_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index'"
_DUCKDB_INDEXES = "SELECT schema_name, index_name, sql FROM duckdb_indexes() WHERE sql IS NOT NULL ORDER BY ALL"
_ROWS = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ONLY {table} t"
_WRITTEN = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid = %s"


@dataclass(frozen=True)
class _Index:
    """An incomplete index, and the table that it is of."""

    index: Relation
    table: str
    table_oid: int

    @property
    def statement(self) -> str:
        return f"REINDEX INDEX CONCURRENTLY {self.index.name}"


@dataclass(frozen=True)
class ServerReindex:
    """The step for a server; see the module."""

    repair: Repair
    connection: Connection

    def outline(self) -> Outline:
        """See `Step`."""
        with session_on(self.connection) as session:
            found = self._index(session)
        return Outline(
            f"build the index {found.index.name} on {found.table} in {self.connection.address} again",
            details=(found.statement,),
        )

    def act(self) -> str:
        """See `ServerStep`."""
        with session_on(self.connection) as session:
            found = self._index(session)
            rows, written = _rows(session, found), session.value(_WRITTEN, (found.table_oid,))
            _build(session, found)
            ((complete, *_),) = session.rows(_INDEX, (session.relation(found.index.name).oid,))
            if not complete:
                raise NotDone(f"the index {found.index.name} in {session.address} is still incomplete{session.said}")
            same = _rows(session, found) == rows
            if not same and not session.soon(lambda: session.value(_WRITTEN, (found.table_oid,)) != written):
                raise NotDone(
                    f"the rows of {found.table} in {session.address} are not what they were, and nothing wrote"
                )
        compared = "its table has the same rows" if same else "others wrote to its table meanwhile"
        return f"built the index {found.index.name} in {session.address} again; {compared}"

    def _index(self, session: Session) -> _Index:
        index = session.relation(self.repair.words[0])
        found = session.rows(_INDEX, (index.oid,))
        if not found or index.kind != "i":
            raise NotDone(f"{index.name} in {session.address} is no index")
        complete, table_oid, table, temporary, under_way = found[0]
        if complete:
            raise NotDone(f"the index {index.name} in {session.address} is complete")
        if under_way:
            raise NotDone(f"the index {index.name} in {session.address} is being built right now")
        if temporary:
            raise NotDone(
                f"{index.name} in {session.address} is left over from a REINDEX that broke off; let the table's owner "
                "drop it once the index that it was to replace is complete"
            )
        return _Index(index, table, table_oid)


@dataclass(frozen=True)
class FileReindex:
    """The step for a file; see the module."""

    repair: Repair

    def outline(self) -> Outline:
        """See `Step`."""
        database = self._database()
        what = f"the index {self._index}" if self._index else "every index"
        statement = "REINDEX" if database.engine == "sqlite" else "DROP INDEX and CREATE INDEX"
        return Outline(
            f"build {what} of {database.path} again",
            touches=database.files,
            details=(f"{statement}, on a copy that then takes the place of {database.path}",),
            room=3 * database.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database = self._database()
        before, built = working_copy(database, work / "before"), working_copy(database, work / "built")
        if database.engine == "sqlite":
            self._build_sqlite(built)
        else:
            self._build_duckdb(built)
        refuse_damaged(built, database.engine)
        refuse_other_data(before, built, database.engine)
        return Changes({database.path: built, **database.beside()})

    @property
    def _index(self) -> str:
        return self.repair.words[0] if self.repair.words else ""

    def _database(self) -> DatabaseFile:
        database = database_file(Path(self.repair.place))
        refuse_logs(database)
        return database

    def _build_sqlite(self, path: Path) -> None:
        with changing_sqlite(path) as connection:
            known = [name for (name,) in connection.execute(_SQLITE_INDEXES)]
            self._refuse_unknown(known)
            if connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]:
                raise NotDone(f"every index of {self.repair.place} agrees with its table")
            for name in known:
                if self._index in {"", name}:
                    _refuse_last_trace(connection, name)
            connection.execute(f"REINDEX main.{quote(self._index)}" if self._index else "REINDEX")

    def _build_duckdb(self, path: Path) -> None:
        with changing_duckdb(path) as connection:
            found = connection.execute(_DUCKDB_INDEXES).fetchall()
            self._refuse_unknown([name for _, name, _ in found])
            for schema, name, statement in found:
                if self._index in {"", name}:
                    connection.execute(f"DROP INDEX {quote(schema)}.{quote(name)}")
                    connection.execute(statement)

    def _refuse_unknown(self, known: Sequence[str]) -> None:
        if not known or (self._index and self._index not in known):
            which = f"index {self._index}" if self._index else "index that can be built again"
            raise NotDone(f"{self.repair.place} has no {which}")


def _refuse_last_trace(connection: sqlite3.Connection, index: str) -> None:
    """Refuse an index that has entries of rows which its table lacks: nothing else may know of them.

    Raises:
        NotDone: it has some.
    """
    ((table,),) = connection.execute("SELECT tbl_name FROM sqlite_master WHERE name = ? AND type = 'index'", (index,))
    number = row_number(connection, quote(table), [name for _, name, *_ in connection.execute(_COLUMNS, (table,))])
    if not number:
        return
    by_index = f"SELECT {number} FROM {quote(table)} INDEXED BY {quote(index)}"  # noqa: S608 - quoted
    in_table = f"SELECT {number} FROM {quote(table)} NOT INDEXED"  # noqa: S608 - quoted
    with suppress(sqlite3.OperationalError):  # a partial index cannot be asked for all rows
        ((more,),) = connection.execute(f"SELECT count(*) FROM ({by_index} EXCEPT {in_table})")  # noqa: S608 - quoted
        if more:
            raise NotDone(
                f"the index {index} has entries of {counted(more, 'row')} that its table {table} lacks, the last trace "
                "of them; compare the table with an earlier copy first"
            )


def step(repair: Repair, home: Home) -> ServerReindex | FileReindex:
    """The step that a call means; see `step_of`."""
    if Path(repair.place).suffix not in {".yaml", ".yml"}:
        return FileReindex(repair)
    if not repair.words:
        raise NotDone(f"name the index of {repair.place} that is to be built again")
    return ServerReindex(repair, connection_for(repair, home))


def _rows(session: Session, found: _Index) -> tuple[object, ...]:
    """How many rows the table has, and a sum of what is in them."""
    return session.rows(_ROWS.format(table=found.table))[0]


def _build(session: Session, found: _Index) -> None:
    before = session.rows(_INCOMPLETE, (found.table_oid,))
    try:
        session.rows(found.statement)
    except BaseException:  # such as Ctrl-C
        with suppress(psycopg.Error):
            left = [row for row in session.rows(_INCOMPLETE, (found.table_oid,)) if row not in before]
            for _, name in left:
                session.rows(f"DROP INDEX CONCURRENTLY {name}")
        raise
