"""`vacuum REGISTRATION [TABLE]`: remove the dead rows of a table on a PostgreSQL server; no value changes.

Without a table the whole database is frozen, which keeps the server from refusing to write; that needs a role that may
vacuum everything in it, such as an administrator's (`--as`).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.servers import Connection
from pytest_mdm_health.repair.servers import Relation, Session, connection_for, session_on
from pytest_mdm_health.repair.step import NotDone, Outline

YOUNG = 50_000_000
"""Transactions below which a database needs no freezing; the server itself leaves younger rows as they are."""

_FREEZE = "VACUUM (FREEZE)"
_DEAD = "SELECT coalesce(n_dead_tup, 0), coalesce(last_vacuum >= %s, false) FROM pg_stat_all_tables WHERE relid = %s"
_AGE = "SELECT greatest(age(datfrozenxid), mxid_age(datminmxid)) FROM pg_database WHERE datname = current_database()"
_HOLDS_BACK = """
SELECT 'process ' || pid || coalesce(' (' || nullif(application_name, '') || ')', '') FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() ORDER BY age(backend_xmin) DESC LIMIT 1
"""


@dataclass(frozen=True)
class Vacuum:
    """The step; see the module."""

    repair: Repair
    connection: Connection

    def outline(self) -> Outline:
        """See `Step`."""
        with session_on(self.connection) as session:
            if not self.repair.words:
                age = _age(session)
                return Outline(
                    f"freeze {session.address}, which has not been frozen for {_millions(age)} transactions",
                    details=(_FREEZE,),
                )
            table, dead = self._table(session)
        rows = counted(dead, "dead row")
        return Outline(f"remove {rows} of {table.name} in {session.address}", details=(_statement(table),))

    def act(self) -> str:
        """See `ServerStep`."""
        with session_on(self.connection) as session:
            return self._clean(session) if self.repair.words else _freeze(session)

    def _clean(self, session: Session) -> str:
        table, before = self._table(session)
        began = session.value("SELECT clock_timestamp()")
        session.rows(_statement(table))
        if not session.soon(lambda: bool(session.rows(_DEAD, (began, table.oid))[0][1])):
            raise NotDone(f"{session.address} did not vacuum {table.name}{session.said}")
        ((after, _),) = session.rows(_DEAD, (began, table.oid))
        if after >= before:
            raise NotDone(f"the dead rows of {table.name} cannot be removed yet{_held_back(session)}")
        left = f"; {counted(after, 'dead row')} left{_held_back(session)}" if after else ""
        return f"removed {counted(before - after, 'dead row')} of {table.name} in {session.address}{left}"

    def _table(self, session: Session) -> tuple[Relation, int]:
        """The table, and its dead rows."""
        table = session.table(self.repair.words[0])
        found = session.rows(_DEAD, ("infinity", table.oid))
        if not found or not found[0][0]:
            raise NotDone(f"{table.name} in {session.address} has no dead rows that the server knows of")
        return table, found[0][0]


def step(repair: Repair, home: Home) -> Vacuum:
    """The step that a call means; see `step_of`."""
    return Vacuum(repair, connection_for(repair, home))


def _freeze(session: Session) -> str:
    before = _age(session)
    session.rows(_FREEZE)
    after = session.value(_AGE)
    if after >= before or after >= YOUNG:
        raise NotDone(
            f"{session.address} was vacuumed, and {_millions(after)} transactions of it are still not frozen"
            f"{_held_back(session)}{session.said}"
        )
    return f"froze {session.address}: {_millions(after)} transactions old instead of {_millions(before)}"


def _age(session: Session) -> int:
    age = int(session.value(_AGE))
    if age < YOUNG:
        raise NotDone(f"{session.address} was frozen {_millions(age)} transactions ago, which is recent enough")
    return age


def _millions(transactions: int) -> str:
    return f"{transactions / 1e6:.0f} million"


def _held_back(session: Session) -> str:
    """Which session may still see what is dead."""
    found = session.rows(_HOLDS_BACK)
    return f", because {found[0][0]} may still see them" if found else ""


def _statement(table: Relation) -> str:
    return f"VACUUM (ANALYZE) {table.name}"
