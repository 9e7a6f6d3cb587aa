"""Everything that a ticket needs in one zip; never any data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING

import yaml

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.core.secrets import HIDDEN, is_secret
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.redaction.redactor import Redactor, redactor_for
from pytest_mdm_health.reports import markdown
from pytest_mdm_health.reports.debug_info import debug_info, variables
from pytest_mdm_health.reports.home_files import home_files
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.reproduction import command

if TYPE_CHECKING:
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.mdm.settings import Settings
    from pytest_mdm_health.reports.model import Report

FOLDER = "mdm-health"
LONGEST_LINE = 2000
"""Characters of a line of the log that are kept."""
WHEN = (1980, 1, 1, 0, 0, 0)
"""The time of every member, so that the same content is the same zip."""

README = """\
What this is: the result of `pytest --mdm-health` on an MDM home, for a ticket. It holds no datasets, and known secrets
are masked. Read log.txt before you pass it on: MDM itself wrote it.

report.html           open it first
report.md             the same for a chat or a pull request
results.json          the same for programs
log.txt               the end of MDM's log
settings.yaml         MDM's settings file
files.json            what is in the home: names, sizes, modes and times
environment.json      the packages that are installed beside pytest, and MDM's variables
mdm_debug_info.json   system, settings in force, datasets, disk and processes
MANIFEST.json         SHA-256 of each file

Add to the ticket: what you did before it went wrong, step by step, and the message you saw.
Run it again: {command}
"""


def render(report: Report, plan: Plan) -> bytes:
    """The zip."""
    clean = redactor_for(plan.inventory, plan.environ)
    info = debug_info(plan, redactor_for(plan.inventory, plan.environ, foreign=True))
    logs = [_cut(line) for line in info.recent_logs]
    texts = {
        "README.txt": README.format(command=clean.text(one_line(command(plan.options)))),
        "report.html": html.render(report),
        "report.md": markdown.render(report),
        "results.json": json_report.render(report),
        "log.txt": "\n".join(map(one_line, logs)) + "\n",
        "settings.yaml": settings_text(plan.inventory.settings, clean),
        "files.json": _json(clean.everywhere(home_files(plan.inventory.home.root))),
        "environment.json": _json(clean.everywhere(_environment(plan.environ))),
        "mdm_debug_info.json": _json({**clean.everywhere(info.fields), "recent_logs": [*logs]}),
    }
    files = {name: text.encode("utf-8", "backslashreplace") for name, text in sorted(texts.items())}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return _zipped({**files, "MANIFEST.json": _json(sums).encode()})


def settings_text(settings: Settings, clean: Redactor) -> str:
    """The settings file without secrets and without comments, which may hold one; nothing of it if it is no mapping."""
    if settings.state != "present" or settings.document is None:
        return f"# {one_line(str(settings.file))} is {settings.state}\n"
    return yaml.safe_dump(clean.everywhere(_masked(settings.document.data)), sort_keys=False, allow_unicode=True)


def _cut(line: str) -> str:
    """A line of the log, from which secrets have been taken before, because half of one is not found."""
    more = len(line) - LONGEST_LINE
    return line if more <= 0 else f"{line[:LONGEST_LINE]} […{more:,} characters more]"


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: HIDDEN if each and is_secret(str(name)) else _masked(each) for name, each in value.items()}
    return [_masked(each) for each in value] if isinstance(value, list) else value


def _environment(environ: Mapping[str, str]) -> dict[str, JSON]:
    found = {
        each.metadata["Name"]: each.version for each in importlib.metadata.distributions() if each.metadata["Name"]
    }
    packages: dict[str, JSON] = {name: found[name] for name in sorted(found, key=str.lower)}
    return {"packages": packages, "variables": variables(environ)}


def _json(value: object) -> str:
    return json_report.as_text(value, indent=1)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(f"{FOLDER}/{name}", WHEN)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()
