"""How findings refer to settings: the line in a message, a key as YAML, and the command that opens the file."""

from __future__ import annotations

from pytest_mdm_health.core.verbs import Call
from pytest_mdm_health.mdm.settings import Origin

SET = Call("set-setting", "{file}", ("{key}", "{new_value}"))
"""Sets `key` in `file`."""

MOVE = Call("set-setting", "{file}", ("{new_key}",), (("instead-of", "{key}"),))
"""Gives `key` in `file` another name."""

REMOVE = Call("set-setting", "{file}", ("{key}",), (("remove", "yes"),))
"""Removes `key` from `file`."""

EDIT = '"${{EDITOR:-vi}}"{line_option} {file!q}'
"""The command template that opens `file` in the user's editor, at the line of `line_option`."""


def line_option(line: int | None) -> str:
    """The editor's option for a line, such as ` +3`; empty if the line is not known."""
    return f" +{line}" if line else ""


def place(origin: Origin) -> str:
    """The place in a message: `mdm.yaml, line 3` or the name of the variable."""
    if origin.kind == "environment":
        return origin.name
    return "mdm.yaml" if origin.line is None else f"mdm.yaml, line {origin.line}"


def as_yaml(key: str, value: str = "...") -> str:
    """How a dotted key is written in YAML on one line: `a: {b: {c: ...}}`."""
    parts = key.split(".")
    return ": {".join(parts) + f": {value}" + "}" * (len(parts) - 1)
