"""Examining a PostgreSQL server over one connection at a time: first the server, then the database of each dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import CannotOpen, ConnectionLost, QueryFailed, Row, Unfinished, close_all, quote
from pytest_mdm_health.backends.sql_text import compared_columns, shown, takes_long_by_nature
from pytest_mdm_health.checks._shared.postgres.commands import ADMINISTRATOR
from pytest_mdm_health.checks._shared.postgres.entry import (
    ANSWER_S,
    FINAL,
    Look,
    NoWayIn,
    connection_error,
    opened,
)
from pytest_mdm_health.checks._shared.postgres.facts import ClosedDatabase, RefusedLogin
from pytest_mdm_health.checks._shared.postgres.places import attempt_of
from pytest_mdm_health.checks.postgres_slowdown.facts import (
    BlockedSession,
    Hit,
    PostgresFacts,
    RecordedStatement,
    ServerState,
    Statement,
)
from pytest_mdm_health.checks.postgres_slowdown.rules import (
    ABOUT_REGISTERED_TABLES,
    OF_DATABASE,
    OF_SERVER,
    SCANS,
    Query,
)
from pytest_mdm_health.core.model import Severity
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Connection, Server, registrations_on

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

SLOW_CONNECTION_S = 1.0
SLOW_STATEMENT_MS = 1000.0
"""The guide's limit for the mean time of a statement."""

DATABASES = 25
"""How many datasets' databases are examined, each over a connection of its own."""

INVALID = -2
"""The connection limit of a database whose removal was interrupted."""

OF_DATABASE_LIMIT = "for database"
"""In what the server says where it is the database's own limit that is reached."""

FILTERS = 3
"""How many columns of a table are listed by which statements filter it."""

RECORDED, RECORDED_TEXT = 200, 400
"""Statements that are stored to be compared with later ones, those that took most time; characters of each."""

ACTIVITY_SHOWN = 40
NOT_RECORDING = (
    "slow statements could not be examined, because pg_stat_statements is missing or not for this role{why}; an"
    " administrator adds it to shared_preload_libraries, restarts the server and runs CREATE EXTENSION"
    " pg_stat_statements"
)
_NOT_LOADED = "shared_preload_libraries"
"""The setting that the server names, in whatever language, where the extension was created and not loaded."""

_STATE = """
SELECT current_user, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  extract(epoch FROM clock_timestamp() - coalesce(
    (SELECT least(max(stats_reset), clock_timestamp()) FROM pg_stat_database WHERE datname IS NOT NULL),
    pg_postmaster_start_time()))::float8,
  current_setting('autovacuum')::bool AND current_setting('track_counts')::bool
"""
_DATABASES = """
SELECT datname, NOT datistemplate AND (starts_with(datname, 'mdm_') OR starts_with(datname, ?)), datallowconn,
  datconnlimit
FROM pg_database ORDER BY datname
"""
_BLOCKED = """
SELECT DISTINCT ON (l.pid) l.pid, blockers, b.state, b.application_name, b.usename, a.query, b.query,
  extract(epoch FROM clock_timestamp() - coalesce((to_jsonb(l) ->> 'waitstart')::timestamptz, a.state_change))::float8,
  coalesce(to_char(b.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ''),
  b.backend_xid IS NOT NULL AND b.state <> 'idle in transaction (aborted)'
FROM pg_locks l JOIN pg_stat_activity a USING (pid), LATERAL pg_blocking_pids(l.pid) AS blockers
  LEFT JOIN pg_stat_activity b ON b.pid = blockers[1]
WHERE NOT l.granted AND coalesce(a.application_name, '') <> ? AND cardinality(blockers) > 0
ORDER BY l.pid LIMIT 100
"""
_EXTENSION = """
SELECT quote_ident(n.nspname) || '.pg_stat_statements', coalesce(bool_or(a.attname = 'mean_exec_time'), false),
  to_regclass(quote_ident(n.nspname) || '.pg_stat_statements_info') IS NOT NULL
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(quote_ident(n.nspname) || '.pg_stat_statements')
WHERE e.extname = 'pg_stat_statements' GROUP BY 1, 3
"""
_SLOW_OR_FILTERING = """
SELECT d.datname, left(s.query, 4000), sum(s.calls)::bigint, (sum(s.{total}) / sum(s.calls))::float8
FROM {view} s JOIN pg_database d ON d.oid = s.dbid
WHERE s.query <> '<insufficient privilege>' AND s.calls > 0 AND d.datname = ANY(?)
GROUP BY 1, 2 HAVING sum(s.{total}) / sum(s.calls) > ? OR left(s.query, 4000) ~* '\\mWHERE\\M'
ORDER BY sum(s.{total}) DESC LIMIT 1000
"""
_MOST_TIME = """
SELECT d.datname, s.queryid::text, left(s.query, 4000), sum(s.calls)::bigint, sum(s.{total})::float8
FROM {view} s JOIN pg_database d ON d.oid = s.dbid
WHERE s.query <> '<insufficient privilege>' AND s.queryid IS NOT NULL AND s.calls > 0 AND d.datname = ANY(?)
GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2 LIMIT ?
"""
_COUNTED_SINCE = "SELECT coalesce(extract(epoch FROM stats_reset)::text, '') FROM {view}_info"
_COUNT_TABLES = """
SELECT least(count(*), 200) FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid WHERE relpersistence <> 't'
"""


def collect(server: Server, inventory: Inventory, within_s: float) -> PostgresFacts:
    """The facts of a server; one that is away, refuses or breaks the connection off is a fact too.

    Args:
        server: the server.
        inventory: the home that names it.
        within_s: seconds after which no further database is examined.
    """
    until = monotonic() + within_s
    look, first = Look(server, inventory), server.logins[0]
    login, registrations = first.user or ADMINISTRATOR, registrations_on(server, inventory)
    facts = PostgresFacts(
        examined=1,
        server=server.name,
        host=first.host,
        port=first.port,
        login=login,
        assumed=server.assumed,
        registrations=registrations,
        place=next(iter(registrations.values()), str(inventory.settings.file)),
        logins=server.roles,
    )
    try:
        entered, refused = look.enter()
        facts = replace(facts, login=entered.user or login, refused=refused)
        visit = _Visit(look, entered)
        facts = visit.examine_server(facts)
        facts = visit.examine_databases(facts, until)
    except NoWayIn as error:
        facts = replace(
            facts, problem=error.last.code, reason=str(error.last), attempt=error.attempt, refused=error.refused
        )
    except CannotOpen as error:
        facts = replace(facts, problem=error.code, reason=str(error))
    except ConnectionLost as error:
        facts = replace(facts, problem="dropped", reason=str(error).removeprefix("the server "))
    return replace(facts, gaps=tuple(look.gaps), unexamined=tuple(look.missed))


@dataclass
class _StatementLog:
    """What pg_stat_statements has recorded for the whole server; the extension is in one of its databases.

    Attributes:
        by_text: database, text, runs and mean time of the statements that are slow or filter rows.
        recorded: those that took most time.
        since: the moment from which on they were counted.
        found: whether the extension answered, or failed to.
        why_not: why it did not answer, if that is known.
    """

    by_text: list[Row] = field(default_factory=list)
    recorded: list[RecordedStatement] = field(default_factory=list)
    since: str = ""
    found: bool = False
    why_not: str = ""

    def read(self, database: PostgresDatabase, look: Look, names: Sequence[str]) -> None:
        """Read it in this database if it is here, for the databases of these names."""
        if self.found or not names:
            return
        for view, recent, tells_since in look.ask(database, _EXTENSION, "extensions"):
            parts = {"view": view, "total": "total_exec_time" if recent else "total_time"}
            try:
                self.by_text = database.query(_SLOW_OR_FILTERING.format(**parts), (names, SLOW_STATEMENT_MS), ANSWER_S)
                most_time = database.query(_MOST_TIME.format(**parts), (names, RECORDED), ANSWER_S)
                if tells_since:
                    ((self.since,),) = database.query(_COUNTED_SINCE.format(**parts), (), ANSWER_S)
            except ConnectionLost:
                raise
            except (QueryFailed, Unfinished) as error:
                self._failed(error, look)
                return
            self.found, self.recorded = True, [_recorded(*row) for row in most_time]

    def _failed(self, error: Exception, look: Look) -> None:
        self.by_text, self.since = [], ""
        if _NOT_LOADED in str(error):
            self.why_not = f" ({error})"
            return
        self.found = True
        look.missed.append(f"the statements that the server recorded could not be looked at: {error}")

    def slow(self) -> Iterator[Statement]:
        """Those that take long and need not by their nature."""
        for name, text, calls, mean_ms in self.by_text:
            if mean_ms > SLOW_STATEMENT_MS and not takes_long_by_nature(text):
                yield Statement(database=name, text=shown(text), calls=calls, mean_ms=round(mean_ms, 1))

    def filters(self, database: str, table: str, columns: Iterable[str]) -> Mapping[str, int]:
        """How often statements that mention a table compared its columns with something, the most frequent first."""
        known, calls = set(columns), dict[str, int]()
        for name, text, runs, _ in self.by_text:
            if name == database and table in text:
                for column in known.intersection(compared_columns(text)):
                    calls[column] = calls.get(column, 0) + runs
        return {column: calls[column] for column in sorted(calls, key=lambda column: (-calls[column], column))}


def _recorded(database: str, query_id: str, text: str, calls: int, total_ms: float) -> RecordedStatement:
    return RecordedStatement(
        database=database,
        query_id=query_id,
        text=shown(text, RECORDED_TEXT),
        calls=calls,
        total_ms=round(total_ms, 3),
    )


class _Visit:
    """The examination of a server that accepts a login."""

    def __init__(self, look: Look, entered: Connection) -> None:
        self.look, self.server, self.entered = look, look.server, entered
        self.registered = sorted({connection.database for connection in self.server.databases.values()})
        self.existing: list[str] = []
        self.ours: list[str] = []
        self.doors: dict[str, tuple[bool, int]] = {}
        self.state: ServerState
        self.log = _StatementLog()
        self.hits: list[Hit] = []

    def examine_server(self, facts: PostgresFacts) -> PostgresFacts:
        """The server as a whole, over the connection to it."""
        connect_s = self._seconds_to_connect()
        database, look = opened(self.entered), self.look
        self.state = server_state(database, self.server.local, connect_s)
        if not self.state.sees_all:
            user = self.state.user
            what = f"sessions and statements of others are hidden from the role {user}"
            look.gaps.append(f"{what}; an administrator shows them with: GRANT pg_monitor TO {user}")
        prefix = self.server.prefix or "mdm_"
        rows = look.ask(database, _DATABASES, "the list of databases", (prefix,))
        self.existing = [name for name, *_ in rows]
        self.ours = [name for name, ours, *_ in rows if ours]
        self.doors = {name: (bool(allows), int(limit)) for name, _, allows, limit in rows}
        self._read_log(database)
        blocked = tuple(_blocked_sessions(database, look))
        self._ask_all(OF_SERVER, database, "")
        return replace(facts, state=self.state, blocked_sessions=blocked, hits=tuple(self.hits))

    def examine_databases(self, facts: PostgresFacts, until: float) -> PostgresFacts:
        """The databases of datasets, as many as there is time for."""
        refused, closed = list(facts.refused), list[ClosedDatabase]()
        waiting = self._to_examine(refused)
        number, tables = len(waiting), 0
        while waiting and number - len(waiting) < DATABASES and monotonic() < until:
            connection = waiting.pop(0)
            error = connection_error(connection)
            if error is None:
                tables += self._examine_database(opened(connection), connection.database)
            elif state := self._state_of(connection.database, error):
                closed.append(self._closed(connection.database, state))
            elif error.code in FINAL:
                raise NoWayIn(error, attempt_of(connection, self.look.inventory))
            elif error.code == "refused":
                refused.append(self.look.refusal(connection, error))
                waiting = [other for other in waiting if not self.look.is_refused_too(other, connection, error)]
            else:
                self.look.gaps.append(f"the database {connection.database} {error}")
        if waiting:
            left_out = f"of {counted(number, 'database')}, {len(waiting)} could not be examined in the time given"
            self.look.gaps.append(left_out)
        if not self.log.found:
            self.look.gaps.append(NOT_RECORDING.format(why=self.log.why_not))
        return replace(
            facts,
            examined=1 + tables,
            refused=tuple(refused),
            closed=tuple(closed),
            statements=tuple(self.log.slow()),
            recorded=tuple(self.log.recorded),
            recorded_since=self.log.since,
            hits=tuple(self.hits),
        )

    def _state_of(self, database: str, error: CannotOpen) -> str:
        """Why a database accepts no connections, as the server's catalogue has it; empty if it is open."""
        allows, limit = self.doors.get(database, (True, -1))
        if limit == INVALID:
            return "invalid"
        if not allows:
            return "closed"
        if limit == 0:
            return "limited"
        return "full" if limit > 0 and error.code == "full" and OF_DATABASE_LIMIT in str(error) else ""

    def _closed(self, database: str, state: str) -> ClosedDatabase:
        datasets = (name for name, connection in self.server.databases.items() if connection.database == database)
        _, limit = self.doors[database]
        return ClosedDatabase(database=database, state=state, limit=limit, datasets=tuple(sorted(datasets)))

    def _seconds_to_connect(self) -> float:
        """How long it takes to connect; a slow connection is tried twice, because names are looked up once."""
        first = opened(self.entered).connect_s
        if first <= SLOW_CONNECTION_S:
            return first
        close_all()
        return min(first, opened(self.entered).connect_s)

    def _to_examine(self, refused: Iterable[RefusedLogin]) -> list[Connection]:
        """A connection to each existing database of a dataset whose login was not refused."""
        unusable = {dataset for login in refused for dataset in login.datasets}
        by_database = {
            connection.database: connection
            for dataset, connection in self.server.databases.items()
            if connection.database in self.existing and dataset not in unusable
        }
        return list(by_database.values())

    def _read_log(self, database: PostgresDatabase) -> None:
        names = [name for name in self.existing if name in self.ours or name in self.registered]
        self.log.read(database, self.look, names)

    def _examine_database(self, database: PostgresDatabase, name: str) -> int:
        """One database; how many tables it has, up to a limit."""
        self._read_log(database)
        ((tables,),) = self.look.ask(database, _COUNT_TABLES, f"the tables of {name}") or [(0,)]
        self._ask_all(OF_DATABASE, database, name)
        return int(tables)

    def _ask_all(self, queries: Mapping[str, Query], database: PostgresDatabase, name: str) -> None:
        """Ask what each of the rules has to say of the server, or of the database of this name."""
        state = self.state
        context = (name, self.ours, self.registered, state.settled, state.watched_s / 3600, state.ram)
        about = f"the tables and indexes of {name}" if name else "the databases of the server"
        version = database.connection.info.server_version
        for key, query in queries.items():
            if version < query.since:
                continue
            for (row,) in self.look.ask(database, query.statement, about, context):
                if key == SCANS and not self._is_filtered(row):
                    continue
                hit = _hit(key, row)
                if key in ABOUT_REGISTERED_TABLES:
                    datasets = self._datasets_with(name, hit.values["table"])
                    hit = replace(hit, evidence={"datasets": datasets})
                    if not datasets:
                        continue
                self.hits.append(hit)

    def _datasets_with(self, database: str, table: str) -> list[str]:
        """The datasets that have a table of a database registered: what keeps it from being read blocks no others."""
        in_database = {name for name, connection in self.server.databases.items() if connection.database == database}
        return [
            dataset.name
            for dataset in self.look.inventory.datasets
            if dataset.name in in_database and dataset.registration is not None
            if table in dict(dataset.registration.tables).values()
            or table in dict(dataset.registration.feature_tables).values()
        ]

    def _is_filtered(self, row: dict[str, Any]) -> bool:
        """Whether statements wanted certain rows of a table as often as it was scanned; adds by which columns."""
        filters = self.log.filters(row["database"], row.pop("relname"), row.pop("columns"))
        if max(filters.values(), default=0) < row.pop("often"):
            return False
        column, filtered = next(iter(filters.items()))
        row |= {"column": column, "sql_column": quote(column), "filtered": filtered}
        row["evidence"]["columns"] = list(filters)[:FILTERS]
        return True


def _hit(query: str, row: dict[str, Any]) -> Hit:
    severity, subject, evidence = row.pop("severity"), row.pop("subject"), row.pop("evidence", {})
    return Hit(query=query, severity=Severity(severity), subject=subject, evidence=evidence, values=row)


def server_state(database: PostgresDatabase, local: bool, connect_s: float) -> ServerState:
    """What the server says about itself."""
    ((user, sees_all, watched_s, autovacuum),) = database.query(_STATE)
    return ServerState(
        user=user,
        sees_all=sees_all,
        connect_s=round(connect_s, 4),
        watched_s=round(max(watched_s, 0.0), 1),
        autovacuum=autovacuum,
        ram=_ram() if local else None,
    )


def _ram() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _blocked_sessions(database: PostgresDatabase, look: Look) -> Iterator[BlockedSession]:
    rows = look.ask(database, _BLOCKED, "sessions that wait", (database.application,))
    for pid, blocked_by, state, application, user, statement, blocker_statement, waits_s, began, wrote in rows:
        yield BlockedSession(
            pid=pid,
            waits_s=round(max(waits_s or 0.0, 0.0), 1),
            statement=_activity(statement),
            blocked_by=tuple(blocked_by),
            blocker_statement=_activity(blocker_statement),
            blocker_state=state or "",
            blocker_application=application or "",
            blocker_user=user or "",
            blocker_began=began,
            blocker_wrote=bool(wrote),
        )


def _activity(text: str | None) -> str:
    """A statement of a session, without values; empty if this role may not see it."""
    return "" if text in {None, "<insufficient privilege>"} else shown(str(text), ACTIVITY_SHOWN)
