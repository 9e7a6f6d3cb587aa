"""`reindex REGISTRATION INDEX`: build an incomplete index of a PostgreSQL server again; no value changes.

What an attempt that fails leaves on the server is removed again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import psycopg

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import Connection
from pytest_mdm_health.repair.servers import Relation, Session, connection_for, session_on
from pytest_mdm_health.repair.step import NotDone, Outline

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
    """The step; see the module."""

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


def step(repair: Repair, home: Home) -> ServerReindex:
    """The step that a call means; see `step_of`."""
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
        with contextlib.suppress(psycopg.Error):
            left = [row for row in session.rows(_INCOMPLETE, (found.table_oid,)) if row not in before]
            for _, name in left:
                session.rows(f"DROP INDEX CONCURRENTLY {name}")
        raise
