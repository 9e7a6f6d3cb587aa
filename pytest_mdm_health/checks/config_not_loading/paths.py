"""Paths in the settings that are written for somebody who expands them, which MDM does not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pytest_mdm_health.checks.config_not_loading.meaning import PATHS
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.settings import Settings

LOG_FILE = "logging.file"
_VARIABLE = re.compile(r"\$\{\w+\}|\$[A-Za-z_]\w*|%[A-Za-z_]\w*%")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|.*\\")


@dataclass(frozen=True)
class LiteralPath:
    """A path that MDM takes as it is written, although it seems to mean another.

    Attributes:
        key: the setting.
        value: as it is written.
        why: what MDM does not do with it, as a clause.
        folder: the folder of that very name, where MDM looks.
        there: whether that folder is there; it is empty then, for MDM makes it itself.
        source: the file or variable that sets it, and `line` the line in the file.
    """

    key: str
    value: str
    why: str
    folder: str
    there: bool
    source: str
    line: int | None


def literal_paths(home: Home, settings: Settings) -> Iterator[LiteralPath]:
    """Those whose folder of that very name holds nothing."""
    for key, value in settings.values.items():
        if value.origin.kind == "default" or not (key.startswith(PATHS) or key == LOG_FILE):
            continue
        text = str(value.value)
        why = _why(text)
        if why and "\0" not in text:
            folder = (home.logs / text).parent if key == LOG_FILE else home.root / text
            there = _is_there(folder)
            if not there or (key != LOG_FILE and _is_empty(folder)):
                yield LiteralPath(
                    key, redact(text), why, redact(str(folder)), there, value.origin.name, value.origin.line
                )


def _why(text: str) -> str:
    if text.startswith("~"):
        return "MDM does not expand `~`"
    variable = _VARIABLE.search(text)
    if variable is not None:
        return f"MDM does not put the value of a variable in the place of `{variable[0]}`"
    if os.name != "nt" and _WINDOWS.match(text):
        return "a path from Windows is a plain name on this system"
    return ""


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists()
    except (OSError, ValueError):
        return False


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return not list(islice(entries, 1))
    except OSError:  # not for this user, or no folder; another check's business
        return False
