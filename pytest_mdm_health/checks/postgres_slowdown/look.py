"""Looking at a PostgreSQL server: over one connection at a time, first to the server, then to each of its datasets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import CannotOpen, ConnectionLost, Row, close_all
from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks._shared.postgres import sql
from pytest_mdm_health.checks._shared.postgres.entry import FINAL, Look, NoWayIn, attempt, is_refused_too, opened
from pytest_mdm_health.checks._shared.postgres.facts import (
    Blocked,
    DatabaseState,
    InvalidIndex,
    PostgresFacts,
    ServerState,
    Sessions,
    TableState,
)
from pytest_mdm_health.checks._shared.postgres.places import way_of
from pytest_mdm_health.checks.postgres_slowdown.statements import record_statements, slow_statements
from pytest_mdm_health.checks.postgres_slowdown.tables import invalid_indexes, tables_of
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.servers import Connection, Server

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

SLOW_CONNECTION_S = 1.0
DATABASES = 25
"""How many datasets' databases are looked into, each over a connection of its own."""

_NOT_RECORDING = (
    "slow statements could not be looked at, because pg_stat_statements is missing or not for this role{why}; an"
    " administrator adds it to shared_preload_libraries, restarts the server and runs CREATE EXTENSION"
    " pg_stat_statements"
)
_ACTIVITY_SHOWN = 40


def gather(server: Server, inventory: Inventory, within_s: float) -> PostgresFacts:
    """All that is to be known of a server; what is away, refuses or breaks off is an answer.

    Args:
        server: the server.
        inventory: the home that names it.
        within_s: seconds after which no further database is looked into.
    """
    until = monotonic() + within_s
    look, first = Look(server, inventory), server.logins[0]
    login = first.user or "postgres"
    facts = PostgresFacts(examined=1, server=server.name, host=first.host, port=first.port, login=login)
    facts = replace(facts, assumed=server.assumed)
    try:
        entered, refused = look.enter()
        facts = replace(facts, login=entered.user or login, refused=refused)
        facts = _of_server(facts, look, entered)
        facts = _of_datasets(facts, look, until)
    except NoWayIn as error:
        facts = replace(facts, problem=error.last.code, reason=str(error.last), way=error.way, refused=error.refused)
    except CannotOpen as error:
        facts = replace(facts, problem=error.code, reason=str(error))
    except ConnectionLost as error:
        facts = replace(facts, problem="dropped", reason=str(error).removeprefix("the server "))
    return replace(facts, gaps=tuple(look.gaps), unexamined=tuple(look.missed))


def _of_server(facts: PostgresFacts, look: Look, entered: Connection) -> PostgresFacts:
    database = opened(entered)
    connect_s = _seconds_to_connect(entered, database)
    database = opened(entered)
    state = server_state(database, look.server.local, connect_s)
    if not state.sees_all:
        what = "sessions and statements of others are hidden from the role"
        look.gaps.append(f"{what} {state.user}; an administrator shows them with: GRANT pg_monitor TO {state.user}")
    databases = tuple(_databases(database, look))
    record_statements(database, look, _names_of_ours(databases))
    blocked = tuple(_blocked(database, look))
    return replace(facts, state=state, databases=databases, sessions=sessions(database), blocked=blocked)


def _of_datasets(facts: PostgresFacts, look: Look, until: float) -> PostgresFacts:
    there = {each.name for each in facts.databases}
    unable = {name for each in facts.refused for name in each.datasets}
    able = [each for name, each in look.server.databases.items() if each.database in there and name not in unable]
    by_database = {each.database: each for each in able}
    tables: list[TableState] = []
    indexes: list[InvalidIndex] = []
    refused = list(facts.refused)
    waiting = list(by_database.values())
    while waiting and len(by_database) - len(waiting) < DATABASES and monotonic() < until:
        connection = waiting.pop(0)
        answer = attempt(connection)
        if answer is None:
            database = opened(connection)
            record_statements(database, look, _names_of_ours(facts.databases))
            tables += tables_of(database, connection.database, look)
            indexes += invalid_indexes(database, connection.database, look)
        elif answer.code in FINAL:
            raise NoWayIn(answer, way_of(connection, look.inventory))
        elif answer.code == "refused":
            refused.append(look.refusal(connection, answer))
            waiting = [each for each in waiting if not is_refused_too(each, connection, answer)]
        else:
            look.gaps.append(f"the database {connection.database} {answer}")
    if waiting:
        look.gaps.append(
            f"of {counted(len(by_database), 'database')}, {len(waiting)} could not be looked into in the time given"
        )
    if not look.recording and not look.missed_statements:
        look.gaps.append(_NOT_RECORDING.format(why=look.why_not_recording))
    return replace(
        facts,
        examined=1 + len(tables),
        refused=tuple(refused),
        statements=tuple(slow_statements(look)),
        recorded=tuple(look.measured),
        recorded_since=look.recorded_since,
        tables=tuple(tables),
        invalid_indexes=tuple(indexes),
    )


def server_state(database: PostgresDatabase, local: bool, connect_s: float) -> ServerState:
    """What the server says of itself."""
    ((version, user, sees_all, watched_s, most, reserved, shared, cache, work, autovacuum),) = database.query(
        sql.SERVER
    )
    return ServerState(
        version=version,
        user=user,
        sees_all=sees_all,
        connect_s=round(connect_s, 4),
        watched_s=round(max(watched_s, 0.0), 1),
        max_connections=most,
        reserved=reserved,
        memory={"shared_buffers": shared, "effective_cache_size": cache, "work_mem": work},
        autovacuum=autovacuum,
        ram=_ram() if local else None,
    )


def sessions(database: PostgresDatabase) -> tuple[Sessions, ...]:
    """The sessions of others, those that look alike counted together."""
    rows = database.query(sql.SESSIONS)
    return tuple(Sessions(application=name, user=user, state=state, count=n) for name, user, state, n in rows)


def _seconds_to_connect(connection: Connection, database: PostgresDatabase) -> float:
    """How long it takes to connect; a slow one is tried twice, because names are looked up once."""
    first = database.connect_s
    if first <= SLOW_CONNECTION_S:
        return first
    close_all()
    return min(first, opened(connection).connect_s)


def _ram() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _databases(database: PostgresDatabase, look: Look) -> Iterator[DatabaseState]:
    server = look.server
    for name, size, hits, reads, failures, age, template in look.ask(database, sql.DATABASES, "the list of databases"):
        datasets = sorted(each for each, connection in server.databases.items() if connection.database == name)
        yield DatabaseState(
            name=name,
            size=size,
            hits=hits,
            reads=reads,
            checksum_failures=failures,
            age=age,
            datasets=tuple(datasets),
            ours=not template and name.startswith(("mdm_", server.prefix or "mdm_")),
        )


def _names_of_ours(databases: Iterable[DatabaseState]) -> list[str]:
    return [each.name for each in databases if each.ours or each.datasets]


def _blocked(database: PostgresDatabase, look: Look) -> Iterator[Blocked]:
    waiting = look.ask(database, sql.BLOCKED, "sessions that wait", (database.application,))
    rows = [row for row in waiting if row[1]]
    culprits = sorted({pid for _, by, _, _ in rows for pid in by})
    others = look.ask(database, sql.BLOCKING, "sessions that others wait for", (culprits,)) if culprits else []
    seen = {pid: rest for pid, *rest in others}
    yield from (_blocked_session(row, seen) for row in rows)


def _blocked_session(row: Row, seen: dict[int, list[str]]) -> Blocked:
    pid, by, waits_s, statement = row
    what, state, application, user = seen.get(by[0], ["", "", "", ""])
    return Blocked(
        pid=pid,
        waits_s=round(max(waits_s or 0.0, 0.0), 1),
        statement=_activity(statement),
        by=tuple(by),
        by_what=_activity(what),
        by_state=state,
        by_application=application,
        by_user=user,
    )


def _activity(text: str) -> str:
    return "" if text == "<insufficient privilege>" else shown(text, _ACTIVITY_SHOWN)
