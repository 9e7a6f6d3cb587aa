"""Looking at the settings of the pool, at running processes and at the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pytest_mdm_health.checks.logged_errors.collect import read_errors
from pytest_mdm_health.checks.pool_exhaustion.facts import Ignored, Logged, Pool, PoolFacts
from pytest_mdm_health.checks.pool_exhaustion.probe import fill_private
from pytest_mdm_health.checks.pool_exhaustion.servers import use_of
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.mdm.host.processes import mdm_processes
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.logs.files import lines_of, log_files
from pytest_mdm_health.mdm.servers import servers_of
from pytest_mdm_health.mdm.settings import Origin, Settings, Value

RECENT = timedelta(days=7)
"""How long before the end of the log an error is worth more than a note."""

OPERATIONS = "performance.max_concurrent_operations"
WORKERS = "performance.max_workers"
SIZE = {"postgresql": "database.postgresql.pool_size"}
USUAL_SIZE = "database.sqlalchemy.pool_size"
OVERFLOW = "database.sqlalchemy.max_overflow"
_KEYS = {*SIZE.values(), USUAL_SIZE, OVERFLOW, OPERATIONS}
_KEYS |= {"database.sqlalchemy.pool_timeout", "database.sqlalchemy.pool_recycle"}
_FIXED_SINCE = (0, 2)
"""The version of MDM from which on its pools have sizes of their own, whatever is set."""

_FIXED_SIZE, _FIXED_OVERFLOW, _FIXED_TIMEOUT_S = 5, 10, 30
_RAN_OUT = next(error for error in KNOWN_ERRORS if error.finding == "pool-limit")
_RAN_OUT_BYTES = re.compile(_RAN_OUT.pattern.encode(), re.IGNORECASE)


def gather(inventory: Inventory, installation: Installation | None, depth: Depth) -> PoolFacts:
    """All that is to be known about connections of this home."""
    settings, gaps = inventory.settings, list[str]()
    backend = str(settings["database.default_backend"])
    fixed = fixed_since(installation)
    pool = pool_of(settings, backend, fixed)
    workers = _workers(inventory)
    operations = max((settings.values[OPERATIONS], *workers), key=lambda each: int(str(each.value)))
    if depth is Depth.QUICK:
        gaps.append("no pool was filled for a test, which needs --mdm-depth=standard")
    probing = depth is not Depth.QUICK
    most = {server.name: pool_of(settings, "postgresql", fixed) for server in servers_of(inventory)}
    missed = list[str]()
    servers = tuple(
        # a server that nobody named, and where no dataset is, may be away
        use_of(server, inventory, most[server.name], gaps if server.assumed else missed, probing=probing)
        for server in servers_of(inventory)
    )
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
        ignored=tuple(each for each in _ignored(settings) if not (workers and each.name == WORKERS)),
        probe=fill_private(pool.size, pool.overflow) if probing else None,
        servers=servers,
        logged=_logged(inventory.home.log_file, gaps),
        gaps=tuple(gaps),
        unexamined=tuple(missed),
    )


def _workers(inventory: Inventory) -> tuple[Value, ...]:
    """How many workers mdm.yaml asks for, where MDM reads that: around the migration, when there are switches of it."""
    document = inventory.settings.document
    section = document.data.get("performance") if document is not None and isinstance(document.data, dict) else None
    wanted = section.get("max_workers") if isinstance(section, dict) else None
    if type(wanted) is not int or wanted < 1 or document is None or not inventory.home.feature_flags.is_file():
        return ()
    line, column = document.positions.get(WORKERS, (None, None))
    return (Value(WORKERS, wanted, Origin("file", str(inventory.settings.file), line, column)),)


def pool_of(settings: Settings, backend: str, fixed: str) -> Pool:
    """The pool for datasets on this backend; `fixed` is the version of an MDM that does not ask the settings."""
    size = settings.values[SIZE.get(backend, USUAL_SIZE)]
    if fixed:
        origin = f"MDM {fixed}, whatever is set"
        recycle = int(settings["database.sqlalchemy.pool_recycle"])
        return Pool(
            size=_FIXED_SIZE,
            overflow=_FIXED_OVERFLOW,
            timeout_s=_FIXED_TIMEOUT_S,
            recycle_s=recycle,
            origin=origin,
        )
    return Pool(
        size=int(str(size.value)),
        overflow=int(settings[OVERFLOW]),
        timeout_s=int(settings["database.sqlalchemy.pool_timeout"]),
        recycle_s=int(settings["database.sqlalchemy.pool_recycle"]),
        origin=_place(size.origin),
    )


def fixed_since(installation: Installation | None) -> str:
    """The version of an installed MDM that opens its pools with sizes of its own; empty for any other."""
    version = installation.version if installation is not None and installation.is_ml_data_manager else None
    found = re.match(r"(\d{1,4})\.(\d{1,4})", version or "")
    return version or "" if found and (int(found[1]), int(found[2])) >= _FIXED_SINCE else ""


def _place(origin: Origin) -> str:
    if origin.kind == "default":
        return "MDM's default"
    return f"{origin.name}, line {origin.line}" if origin.line else origin.name


def _ignored(settings: Settings) -> Iterator[Ignored]:
    for problem in settings.problems:
        if problem.suggestion in _KEYS and problem.code in {"other-generation", "unknown-key"}:
            yield Ignored(problem.key, problem.origin.name, problem.origin.line, str(problem.suggestion))
    for variable in settings.ignored_variables:
        if variable.key in _KEYS and variable.exact:
            yield Ignored(variable.name, "", None, str(variable.key))


def _open_files() -> int | None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _logged(log_file: Path, gaps: list[str]) -> Logged | None:
    """What the log has of it; most logs have nothing, and looking for the words is much faster than reading records."""
    if not any(_RAN_OUT_BYTES.search(line) for file in log_files(log_file) for _, line in lines_of(file, gaps.append)):
        return None
    for kind in read_errors(log_file).errors:
        if kind.code == _RAN_OUT.finding:
            return Logged(
                count=kind.count,
                open=kind.open,
                last=kind.last or "",
                recent=_is_recent(kind.last, log_file),
                file=kind.at.file,
                line=kind.at.line or 1,
            )
    return None


def _is_recent(last: str | None, log_file: Path) -> bool:
    try:
        when = datetime.fromisoformat(last or "")
        ended = datetime.fromtimestamp(log_file.stat().st_mtime, timezone.utc)
    except (ValueError, OSError):
        return True
    return ended - (when if when.tzinfo else when.replace(tzinfo=timezone.utc)) < RECENT
