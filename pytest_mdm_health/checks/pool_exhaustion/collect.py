"""Collects what pool-exhaustion judges: the settings of the pool, MDM's processes, the servers, the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import CannotOpen, ConnectionLost
from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks._shared.postgres import sql
from pytest_mdm_health.checks._shared.postgres.entry import Look, NoWayIn, opened
from pytest_mdm_health.checks._shared.postgres.facts import Sessions
from pytest_mdm_health.checks.logged_errors.collect import read_errors
from pytest_mdm_health.checks.logged_errors.facts import ErrorGroup
from pytest_mdm_health.checks.pool_exhaustion.facts import IdleSession, IgnoredSetting, Pool, PoolFacts, ServerUse
from pytest_mdm_health.checks.pool_exhaustion.probe import fill_from, fill_private
from pytest_mdm_health.core.model import Depth, Location
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.mdm.host.processes import mdm_processes
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.logs.files import lines_of, log_files
from pytest_mdm_health.mdm.servers import OF_MDM, Server, registrations_on, servers_of
from pytest_mdm_health.mdm.settings import Origin, Settings, Value

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

RECENT = timedelta(days=7)
"""How long before the end of the log an error is worth more than a note."""

STATEMENT_LENGTH = 40
OPERATIONS = "performance.max_concurrent_operations"
WORKERS = "performance.max_workers"
POSTGRES_SIZE = "database.postgresql.pool_size"
SIZE = "database.sqlalchemy.pool_size"
OVERFLOW = "database.sqlalchemy.max_overflow"
TIMEOUT = "database.sqlalchemy.pool_timeout"
RECYCLE = "database.sqlalchemy.pool_recycle"
_KEYS = {POSTGRES_SIZE, SIZE, OVERFLOW, TIMEOUT, RECYCLE, OPERATIONS}
_FIXED_FROM = (0, 2)
"""The version from which on MDM's pools have sizes of their own, whatever is set."""

_FIXED_SIZE, _FIXED_OVERFLOW, _FIXED_TIMEOUT_S = 5, 10, 30
_EXHAUSTED = next(error for error in KNOWN_ERRORS if error.finding == "pool-limit")
_EXHAUSTED_BYTES = re.compile(_EXHAUSTED.pattern.encode(), re.IGNORECASE)


def collect(inventory: Inventory, installation: Installation | None, depth: Depth) -> PoolFacts:
    """Examine the settings of the pool, MDM's processes, the servers and the log."""
    settings, gaps, unexamined = inventory.settings, list[str](), list[str]()
    probing = depth is not Depth.QUICK
    if not probing:
        gaps.append("no pool was filled for a test, which needs --mdm-depth=standard")
    fixed = fixed_version(installation)
    backend = str(settings["database.default_backend"])
    pool = pool_for(backend, settings, fixed)
    postgres_pool = pool_for("postgresql", settings, fixed)
    servers = []
    for server in servers_of(inventory):
        missed = gaps if server.assumed else unexamined  # one that no setting and no dataset names may be down
        servers.append(_use_of(server, inventory, postgres_pool, missed, probing=probing))
    workers = _workers(inventory)
    demands = [settings.values[OPERATIONS], *([workers] if workers else [])]
    operations = max(demands, key=lambda setting: int(str(setting.value)))
    logged = _logged(inventory.home.log_file, gaps, unexamined)
    return PoolFacts(
        examined=1 + sum(not use.problem for use in servers),
        backend=backend,
        pool=pool,
        fixed=fixed,
        operations=int(str(operations.value)),
        operations_from=_place(operations.origin),
        operations_key=operations.key,
        processes=len(mdm_processes()),
        open_files=_open_files(),
        ignored=tuple(setting for setting in _ignored(settings) if not (workers and setting.name == WORKERS)),
        probe=fill_private(pool.size, pool.overflow) if probing else None,
        servers=tuple(servers),
        logged=logged,
        logged_recently=logged is not None and _is_recent(logged.last, inventory.home.log_file),
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
    )


def _workers(inventory: Inventory) -> Value | None:
    """How many workers mdm.yaml asks for; only an MDM with feature flags, around the migration, reads that."""
    document = inventory.settings.document
    if document is None or not isinstance(document.data, dict) or not inventory.home.feature_flags.is_file():
        return None
    section = document.data.get("performance")
    workers = section.get("max_workers") if isinstance(section, dict) else None
    if type(workers) is not int or workers < 1:
        return None
    line, column = document.positions.get(WORKERS, (None, None))
    return Value(WORKERS, workers, Origin("file", str(inventory.settings.file), line, column))


def pool_for(backend: str, settings: Settings, fixed: str) -> Pool:
    """The pool for datasets on this backend; `fixed` is the version of an MDM that ignores the settings."""
    recycle_s = int(settings[RECYCLE])
    if fixed:
        return Pool(
            size=_FIXED_SIZE,
            overflow=_FIXED_OVERFLOW,
            timeout_s=_FIXED_TIMEOUT_S,
            recycle_s=recycle_s,
            origin=f"MDM {fixed}, whatever is set",
        )
    size = settings.values[POSTGRES_SIZE if backend == "postgresql" else SIZE]
    return Pool(
        size=int(str(size.value)),
        overflow=int(settings[OVERFLOW]),
        timeout_s=int(settings[TIMEOUT]),
        recycle_s=recycle_s,
        origin=_place(size.origin),
    )


def fixed_version(installation: Installation | None) -> str:
    """The version of an installed MDM that opens its pools with sizes of its own; empty for any other."""
    if installation is None or not installation.is_ml_data_manager:
        return ""
    version = installation.version or ""
    numbers = re.match(r"(\d{1,4})\.(\d{1,4})", version)
    return version if numbers and (int(numbers[1]), int(numbers[2])) >= _FIXED_FROM else ""


def _place(origin: Origin) -> str:
    return "MDM's default" if origin.kind == "default" else origin.place


def _ignored(settings: Settings) -> Iterator[IgnoredSetting]:
    for problem in settings.problems:
        if problem.suggestion in _KEYS and problem.code in {"other-generation", "unknown-key"}:
            place = Location(problem.origin.name, problem.origin.line) if problem.origin.name else None
            yield IgnoredSetting(problem.key, place, str(problem.suggestion))
    for variable in settings.ignored_variables:
        if variable.key in _KEYS and variable.exact:
            yield IgnoredSetting(variable.name, None, str(variable.key))


def _open_files() -> int | None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _use_of(server: Server, inventory: Inventory, pool: Pool, missed: list[str], *, probing: bool) -> ServerUse:
    """How many of a server's connections are in use, and by what; what could not be examined goes to `missed`."""
    look, first = Look(server, inventory, missed=missed), server.logins[0]
    use = ServerUse(
        server=server.name,
        host=first.host,
        port=first.port,
        login=first.user or "postgres",
        most=pool.most,
        place=next(iter(registrations_on(server, inventory).values()), str(inventory.settings.file)),
    )
    try:
        connection, _ = look.enter()
        with opened(connection) as database:
            use = replace(_limits(use, database, look), login=connection.user or use.login)
            use = replace(use, sessions=_sessions(database), idle=tuple(_idle(database, look)))
        probe = fill_from(connection, pool.most, use.usable - use.in_use) if probing else None
        return replace(use, probe=probe)
    except NoWayIn as error:
        code, reason, why = error.last.code, str(error.last), f"it {error.last}"
    except CannotOpen as error:
        code, reason, why = error.code, str(error), f"it {error}"
    except ConnectionLost as error:
        code, reason, why = "dropped", str(error), str(error)
    if code != "full":
        missed.append(f"connections of the server {server.name} could not be examined: {why}")
    return replace(use, problem=code, reason=reason)


def _limits(use: ServerUse, database: PostgresDatabase, look: Look) -> ServerUse:
    """The tightest of the limits that apply: the one that leaves the fewest connections."""
    names = sorted({connection.database for connection in look.server.databases.values()})
    rows = look.ask(database, sql.LIMITS, f"the limits of the server {look.server.name}", (names,))
    # a limit of 0 closes a single database, and one below 0 is none, or of a database that is invalid
    limits = [(name, limit, used) for name, limit, used in rows if limit > 0]
    if not limits:
        return use
    name, limit, used = min(limits, key=lambda row: row[1] - row[2])
    return replace(use, usable=limit, limited_by=name, in_use=used)


def _sessions(database: PostgresDatabase) -> tuple[Sessions, ...]:
    """The sessions of others, similar ones counted together."""
    rows = database.query(sql.SESSIONS)
    return tuple(Sessions(application=name, user=user, state=state, count=count) for name, user, state, count in rows)


def _idle(database: PostgresDatabase, look: Look) -> Iterator[IdleSession]:
    """The idle sessions of MDM: on its databases, or of a program with MDM's name."""
    prefixes = ("mdm_", look.server.prefix or "mdm_")
    databases = {connection.database for connection in look.server.databases.values()}
    rows = look.ask(database, sql.IDLE, f"idle sessions of the server {look.server.name}")
    for pid, application, user, client, state, seconds, query, name, blocks_others, began, wrote in rows:
        if name in databases or name.startswith(prefixes) or application.startswith(OF_MDM):
            yield IdleSession(
                pid=pid,
                application=application,
                user=user,
                client=client,
                in_transaction=state.startswith("idle in transaction"),
                seconds=round(max(seconds or 0.0, 0.0), 1),
                last=shown(query, STATEMENT_LENGTH),
                blocks_others=blocks_others,
                began=began,
                wrote=wrote,
            )


def _logged(log_file: Path, gaps: list[str], unexamined: list[str]) -> ErrorGroup | None:
    """The records which report that connections ran out, if there are any.

    Most logs have none, and searching for the words is much faster than reading records.
    """
    lines = (line for file in log_files(log_file) for _, line in lines_of(file, gaps.append))
    if not any(_EXHAUSTED_BYTES.search(line) for line in lines):
        return None
    log = read_errors(log_file)
    unexamined += log.unexamined
    return next((group for group in log.errors if group.code == _EXHAUSTED.finding), None)


def _is_recent(last: str | None, log_file: Path) -> bool:
    """Whether it is from the log's last week; true if that cannot be determined."""
    try:
        time = datetime.fromisoformat(last or "")
        end = datetime.fromtimestamp(log_file.stat().st_mtime, timezone.utc)
    except (ValueError, OSError):
        return True
    return end - (time if time.tzinfo else time.replace(tzinfo=timezone.utc)) < RECENT
