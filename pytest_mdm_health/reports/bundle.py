"""Everything that a ticket needs in one zip; never any data."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from typing import TYPE_CHECKING

from pytest_mdm_health.reports import html, json_report
from pytest_mdm_health.reports.debug_info import debug_info
from pytest_mdm_health.reports.redaction import redactor_for

if TYPE_CHECKING:
    from pytest_mdm_health.plan import Plan
    from pytest_mdm_health.reports.model import Report

NEXT = """\
What this is: the result of `pytest --mdm-health` on an MDM home, for a ticket. It holds no datasets, and known secrets
are masked. Read the end of the log in mdm_debug_info.json before you pass it on: MDM itself wrote it.

report.html           open it first
results.json          the same for programs
mdm_debug_info.json   system, environment, settings, datasets, disk, processes and the end of the log
MANIFEST.json         SHA-256 of each file

Add to the ticket: what you did before it went wrong, step by step, and the message you saw.
Run it again: pytest --mdm-health --mdm-home {home} --mdm-phase {phase} --mdm-depth {depth}
"""


def render(report: Report, plan: Plan) -> bytes:
    """The zip."""
    options = plan.options
    info = redactor_for(plan.inventory, plan.environ).everywhere(debug_info(plan))
    texts = {
        "README.txt": NEXT.format(home=shlex.quote(str(options.home)), phase=options.phase, depth=options.depth),
        "report.html": html.render(report),
        "results.json": json_report.render(report),
        "mdm_debug_info.json": json.dumps(info, indent=1, ensure_ascii=False),
    }
    files = {name: text.encode("utf-8", "backslashreplace") for name, text in texts.items()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["MANIFEST.json"] = json.dumps(sums, indent=1).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"mdm-health/{name}", content)
    return stream.getvalue()
