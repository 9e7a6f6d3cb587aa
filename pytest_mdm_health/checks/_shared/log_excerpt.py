"""The command that shows a record of the log with the lines around it."""

from __future__ import annotations

import shlex
from pathlib import Path

from pytest_mdm_health.core.model import Location

AROUND = 5
"""Lines before and after a record that are shown."""

_UNPACK = {".gz": "zcat", ".bz2": "bzcat", ".xz": "xzcat", ".zip": "unzip -p"}


def show_record(at: Location) -> str:
    """A shell command that prints the lines around this place, also of a compressed file."""
    line = at.line or 1
    lines = f"{max(1, line - AROUND)},{line + AROUND}p"
    unpack = _UNPACK.get(Path(at.file).suffix)
    if unpack:
        return f"{unpack} {shlex.quote(at.file)} | sed -n {lines}"
    return f"sed -n {lines} {shlex.quote(at.file)}"
