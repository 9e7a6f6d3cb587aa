"""Text from a home as Markdown can hold it: shown as it is, and neither markup, a mention nor a link."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pytest_mdm_health.core.text import one_line

LONGEST = 1200
"""Characters that are shown of one text."""
_NOTHING = "&#8203;"
_MARKUP = re.compile(r"[\\`*\[\]|]|(?<![^\W_])_|_(?![^\W_])")
_REFERENCE = re.compile(r"([@#!%^]|GH-|\b\w+:(?=//)|\bwww(?=\.))(?=\S)", re.IGNORECASE)
"""What the hosts of code turn into a mention, an issue, a merge request, a label or a link."""
_ENTITIES = {"&": f"&amp;{_NOTHING}", "<": "&lt;", ">": "&gt;", "$": f"&#36;{_NOTHING}", "~": f"\\~{_NOTHING}"}


def plain(text: str, limit: int = LONGEST) -> str:
    """A sentence."""
    broken = _REFERENCE.sub("\\1\0", _clipped(one_line(text), limit))
    escaped = _MARKUP.sub(lambda found: f"\\{found[0]}", broken)
    return "".join(_ENTITIES.get(char, char) for char in escaped).replace("\0", _NOTHING)


def code(text: str, limit: int = LONGEST) -> str:
    """A name; hosts look for no references in it."""
    shown = _clipped(one_line(text), limit)
    ticks = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[:1] in {"`", " ", ""} or shown[-1:] in {"`", " "} else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def cell(markup: str) -> str:
    """Names in a cell of a table, where a pipe ends the cell even in code."""
    return markup.replace("|", "\\|")


def fence(commands: Iterable[str]) -> str:
    """Commands to copy, one below the other."""
    lines = [one_line(command) for command in commands]
    ticks = "`" * max(3, *(_longest_run(line) + 1 for line in lines))
    return "\n".join((f"{ticks}sh", *lines, ticks))


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} […{len(text) - limit:,} characters more]"
