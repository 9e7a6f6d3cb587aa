"""What the value of a setting means: paths by where they lead to, seen from the home."""

from __future__ import annotations

import os
from pathlib import PurePath

PATHS = "paths."


def place(home: str, value: object) -> str:
    """Where a path in the settings leads to: relative to the home if that is inside of it, else as it is."""
    text = str(value)
    if text.startswith("~"):
        return text
    whole = os.path.normpath(os.path.join(home, text))  # noqa: PTH118 - of text, which need not be of this machine
    return os.path.relpath(whole, home) if PurePath(whole).is_relative_to(os.path.normpath(home)) else whole


def meaning(home: str, key: str, value: object) -> object:
    """What two values have in common that mean the same; lists as tuples."""
    if key.startswith(PATHS):
        return place(home, value)
    if key == "logging.file":
        return os.path.normpath(str(value))
    return tuple(value) if isinstance(value, list) else value
