"""`analyze REGISTRATION [TABLE]`: have a PostgreSQL server compute planner statistics; no value changes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import Connection
from pytest_mdm_health.repair.servers import Relation, Session, connection_for, session_on
from pytest_mdm_health.repair.step import NotDone, Outline

_ANALYSED = """
SELECT format('%%I.%%I', s.schemaname, s.relname), coalesce(s.last_analyze >= %s, false)
  OR NOT current_setting('track_counts')::bool AND EXISTS (
    SELECT FROM pg_stats p WHERE p.schemaname = s.schemaname AND p.tablename = s.relname),
  pg_has_role(c.relowner, 'USAGE')
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid WHERE c.oid = %s OR %s ORDER BY 1
"""
"""The tables, each with whether it was analysed since then and whether the role has its owner's rights."""


@dataclass(frozen=True)
class Analyze:
    """The step; see the module."""

    repair: Repair
    connection: Connection

    def outline(self) -> Outline:
        """See `Step`."""
        with session_on(self.connection) as session:
            table = self._table(session)
        what = table.name if table else "all tables"
        return Outline(
            f"compute the planner statistics of {what} in {self.connection.address}", details=(_statement(table),)
        )

    def act(self) -> str:
        """See `ServerStep`."""
        with session_on(self.connection) as session:
            table = self._table(session)
            began = session.value("SELECT clock_timestamp()")
            session.rows(_statement(table))
            asked = (began, table.oid if table else 0, table is None)
            session.soon(lambda: all(done for _, done, own in session.rows(_ANALYSED, asked) if own))
            tables = session.rows(_ANALYSED, asked)
        left_out = [name for name, done, _ in tables if not done]
        if left_out and len(left_out) == len(tables):
            raise NotDone(f"{session.address} computed no statistics of {join_names(left_out)}{session.said}")
        what = table.name if table else counted(len(tables) - len(left_out), "table")
        missed = f", not of {join_names(left_out)}, which its role may not analyse" if left_out else ""
        return f"computed the planner statistics of {what} in {session.address}{missed}"

    def _table(self, session: Session) -> Relation | None:
        return session.table(self.repair.words[0]) if self.repair.words else None


def step(repair: Repair, home: Home) -> Analyze:
    """The step that a call means; see `step_of`."""
    return Analyze(repair, connection_for(repair, home))


def _statement(table: Relation | None) -> str:
    return f"ANALYZE {table.name}" if table else "ANALYZE"
