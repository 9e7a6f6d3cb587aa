"""`grant REGISTRATION TABLE ROLE`: let a role read a table on a PostgreSQL server; no value changes.

It is done as a role that may, such as the table's owner (`--as`).
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import Connection
from pytest_mdm_health.repair.servers import Session, connection_for, session_on
from pytest_mdm_health.repair.step import NotDone, Outline

_MAY_READ = "SELECT has_table_privilege(%s, %s::oid, 'SELECT')"
_MAY_ENTER = """
SELECT quote_ident(n.nspname), has_schema_privilege(%s, n.oid, 'USAGE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s
"""


@dataclass(frozen=True)
class Grant:
    """The step; see the module."""

    repair: Repair
    connection: Connection

    def outline(self) -> Outline:
        """See `Step`."""
        with session_on(self.connection) as session:
            statements = self._statements(session)
        table, role = self.repair.words
        return Outline(f"let {role} read {table} in {self.connection.address}", details=statements)

    def act(self) -> str:
        """See `ServerStep`."""
        name, role = self.repair.words
        with session_on(self.connection) as session, session.connection.transaction():
            for statement in self._statements(session):
                session.rows(statement)
            table = session.table(name)
            ((_, may_enter),) = session.rows(_MAY_ENTER, (role, table.oid))
            if not (may_enter and session.value(_MAY_READ, (role, table.oid))):
                raise NotDone(f"{session.address} did not let {role} read {table.name}{session.said}")
        return f"let {role} read {table.name} in {self.connection.address}"

    def _statements(self, session: Session) -> tuple[str, ...]:
        """What has to be granted."""
        name, role = self.repair.words
        table = session.table(name)
        if not session.rows("SELECT FROM pg_roles WHERE rolname = %s", (role,)):
            raise NotDone(f"{session.address} has no role {role}")
        ((schema, may_enter),) = session.rows(_MAY_ENTER, (role, table.oid))
        grantee = sql.Identifier(role).as_string(session.connection)
        needed = [] if may_enter else [f"GRANT USAGE ON SCHEMA {schema} TO {grantee}"]
        if not session.value(_MAY_READ, (role, table.oid)):
            needed.append(f"GRANT SELECT ON {table.name} TO {grantee}")
        if not needed:
            raise NotDone(f"{role} may read {table.name} in {session.address} already")
        return tuple(needed)


def step(repair: Repair, home: Home) -> Grant:
    """The step that a call means; see `step_of`."""
    return Grant(repair, connection_for(repair, home))
