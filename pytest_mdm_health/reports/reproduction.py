"""The command that runs the same examination again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import MISSING, fields

from pytest_mdm_health.core.options import OUTPUTS, Options


def command(options: Options) -> str:
    """The command, quoted for a shell, with every option that is in force and not the default; no report is written."""
    return shlex.join(("pytest", "--mdm-health", *_arguments(options)))


def _arguments(options: Options) -> Iterator[str]:
    for field in fields(options):
        value, name = getattr(options, field.name), field.name.replace("_", "-")
        if name in OUTPUTS or (field.default is not MISSING and value == field.default):
            continue
        if value is True:
            yield f"--mdm-{name}"
        else:
            yield from (f"--mdm-{name}={each}" for each in (value if isinstance(value, tuple) else (value,)))
