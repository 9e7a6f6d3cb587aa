"""Texts of SQL statements as they may be shown: without values, which are data, and without comments."""

from __future__ import annotations

import re

SHOWN = 100
"""Characters of a recorded statement that are shown."""

_HIDDEN = re.compile(
    r"""(?P<name>"(?:[^"]|"")*")"""
    r"""|\$\d+"""
    r"""|(?P<value>[eE]'(?:[^'\\]|''|\\.)*(?:'|$)|'(?:[^']|'')*(?:'|$)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|$)"""
    r"""|(?<![\w.])\d[\w.]*)"""
    r"""|(?P<comment>--[^\n]*|/\*.*?(?:\*/|$))""",
    re.DOTALL,
)
_WHERE = re.compile(r"\bWHERE\b(.*?)(?:\bGROUP BY\b|\bORDER BY\b|\bLIMIT\b|$)", re.IGNORECASE | re.DOTALL)
_COMPARED = re.compile(
    r"""(?:\b\w+\.)?(?:"((?:[^"]|"")+)"|\b(\w+))\s*(?:=|<|>|\bIN\b|\bBETWEEN\b|\bLIKE\b)""", re.IGNORECASE
)
_LONG_RUNS = re.compile(
    r"\s*(VACUUM|ANALYZE|CREATE|ALTER|REINDEX|CLUSTER|COPY|REFRESH|DROP|TRUNCATE|BACKUP|CALL|DO|START_REPLICATION)\b",
    re.IGNORECASE,
)


def shown(statement: str, length: int = SHOWN) -> str:
    """The statement on one line, cut short, a question mark in the place of each value."""
    masked = _HIDDEN.sub(_masked, statement)
    line = " ".join(masked.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def compared_columns(statement: str) -> tuple[str, ...]:
    """The names in the statement's conditions that are compared with something; most are columns."""
    conditions = " ".join(_WHERE.findall(statement))
    return tuple(quoted.replace('""', '"') or plain for quoted, plain in _COMPARED.findall(conditions))


def takes_long_by_nature(statement: str) -> bool:
    """Whether it maintains or moves whole tables, so that its time says nothing about queries."""
    return _LONG_RUNS.match(_HIDDEN.sub(lambda match: " " if match["comment"] else match[0], statement)) is not None


def _masked(match: re.Match[str]) -> str:
    if match["comment"]:
        return " "
    return "?" if match["value"] else match[0]
