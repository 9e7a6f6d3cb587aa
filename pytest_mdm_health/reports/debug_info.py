"""What a ticket needs to know beside the results: the guide's `mdm_debug_info.json` (8.2), without secrets."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.core.secrets import HIDDEN, is_secret, without_values
from pytest_mdm_health.mdm.files import Unreadable, open_regular
from pytest_mdm_health.mdm.host.processes import mdm_processes

if TYPE_CHECKING:
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.mdm.inventory import Dataset
    from pytest_mdm_health.mdm.settings import Settings
    from pytest_mdm_health.redaction.redactor import Redactor

LINES = 100
"""Lines of the log's end that a ticket carries."""

_TAIL_BYTES = 256 * 1024


@dataclass(frozen=True)
class DebugInfo:
    """The guide's fields.

    Attributes:
        fields: all but the log, whose texts still have to be cleaned of known secrets.
        recent_logs: the last lines of the log, clean.
    """

    fields: Mapping[str, JSON]
    recent_logs: tuple[str, ...]


def debug_info(plan: Plan, foreign: Redactor) -> DebugInfo:
    """The guide's fields, and the stage of the migration.

    Args:
        plan: of the run.
        foreign: takes secrets out of texts that others wrote.
    """
    installation = plan.known_installation
    found: dict[str, JSON] = {
        "migration_stage": plan.options.phase,
        "system": {
            "platform": platform.platform(),
            "python": platform.python_version(),
            "mdm_version": installation.version if installation else None,
            "mdm_python": str(installation.python) if installation else None,
        },
        "environment": variables(plan.environ),
        "configuration": configuration(plan.inventory.settings),
        "datasets": [_dataset(dataset) for dataset in plan.inventory.datasets],
        "disk_usage": {str(place): _usage(place) for place in _places(plan)},
        "process_info": [_process(each.pid, each.command, each.since) for each in mdm_processes()],
    }
    return DebugInfo(found, tuple(last_lines(plan.inventory.home.log_file, foreign)))


def variables(environ: Mapping[str, str]) -> dict[str, JSON]:
    """MDM's variables, the values of secrets masked."""
    return {name: HIDDEN if is_secret(name) else value for name, value in sorted(environ.items())}


def configuration(settings: Settings) -> dict[str, JSON]:
    """The settings in force, each with where it comes from; values of secrets are masked."""
    shown: dict[str, JSON] = {}
    for key, setting in sorted(settings.values.items()):
        value: JSON = HIDDEN if is_secret(key) and setting.value else _plain(setting.value)
        shown[key] = {"value": value, "from": f"{setting.origin.kind} {setting.origin.name}".strip()}
    return shown


def last_lines(file: Path, foreign: Redactor, count: int = LINES) -> list[str]:
    """The last lines of a log, read from its end, without secrets and values of data; or why there are none."""
    try:
        with open_regular(file) as log:
            log.seek(max(0, file.stat().st_size - _TAIL_BYTES))
            text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
    except (Unreadable, OSError) as error:
        return [foreign.text(f"({error})")]
    lines = foreign.known(text).splitlines()[-count:]  # before it is split, for a secret may go over lines
    clean = (line for in_json, group in groupby(lines, _is_json) for line in _without_values(group, in_json=in_json))
    return [foreign.text(line) for line in clean]


def _is_json(line: str) -> bool:
    return line.startswith("{")


def _without_values(lines: Iterable[str], *, in_json: bool) -> list[str]:
    """Lines of text together, because a statement may go on over several; a line of JSON by its texts."""
    return [_cleaned(line) for line in lines] if in_json else without_values("\n".join(lines)).split("\n")


def _cleaned(line: str) -> str:
    try:
        return json.dumps(_mapped(json.loads(line)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return without_values(line)


def _mapped(value: object) -> object:
    if isinstance(value, dict):
        return {name: _mapped(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_mapped(each) for each in value]
    return without_values(value) if isinstance(value, str) else value


def _dataset(dataset: Dataset) -> dict[str, JSON]:
    registration = dataset.registration
    tables: list[JSON] = [*registration.tables.values()] if registration else []
    database = str(dataset.database) if dataset.database else None
    return {"name": dataset.name, "backend": dataset.backend, "database": database, "tables": tables}


def _places(plan: Plan) -> list[Path]:
    home = plan.inventory.home
    return [place for place in (home.root, plan.options.backup or home.backup) if place.exists()]


def _usage(place: Path) -> dict[str, JSON]:
    usage = shutil.disk_usage(place)
    return {"total_bytes": usage.total, "used_bytes": usage.used, "free_bytes": usage.free}


def _process(pid: int, command: str, since: float | None) -> dict[str, JSON]:
    started = datetime.fromtimestamp(since, timezone.utc).isoformat(timespec="seconds") if since else None
    return {"pid": pid, "command": command, "since": started}


def _plain(value: object) -> JSON:
    return value if value is None or isinstance(value, (bool, int, float, str, list)) else str(value)
