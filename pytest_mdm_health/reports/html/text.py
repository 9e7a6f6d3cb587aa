"""Text as the page may show it: cut to size, without invisible characters, isolated from the text around it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

from markupsafe import Markup, escape

from pytest_mdm_health.core.text import one_line

NAME, SENTENCE, COMMAND = 90, 1200, 6000
"""Characters that are shown of a name, of a sentence and of a command."""
_LAYOUT = re.compile(r"([\n\t])")
_CODE = re.compile(r"`([^`\n]+)`")


def clipped(text: str, limit: int) -> str:
    """The text, or its beginning and its end with what was left out said between them."""
    if len(text) <= limit:
        return text
    tail = min(limit // 4, 200)
    return f"{text[: limit - tail]} […{len(text) - limit:,} characters…] {text[-tail:]}"


def shown(value: object, limit: int = SENTENCE) -> object:
    """Whatever a template prints: text on one line and without control characters, markup and numbers as they are."""
    return one_line(clipped(value, limit)) if type(value) is str else value


def isolated(value: object, limit: int = SENTENCE) -> Markup:
    """A text of the home's in a sentence of ours, which it cannot turn round."""
    return Markup("<bdi>{}</bdi>").format(shown(str(value), limit))


def said(value: object, limit: int = SENTENCE) -> Markup:
    """A sentence of ours with names of the home's in it, code between backticks."""
    return Markup("<bdi>{}</bdi>").format(inline(clipped(str(value), limit)))


def brief(text: str, limit: int = 220) -> str:
    """As much of a sentence as fits on a line or two, whole words or parts of it; all of it is elsewhere."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    ends = (head.rfind("; "), head.rfind(". "), head.rfind(" "))
    end = next((end for end in ends if end > limit // 2), limit)
    return f"{head[:end]} …"


def moment(text: str) -> str:
    """A moment as a person reads it; a text that is none stays as it is."""
    try:
        at = datetime.fromisoformat(text).astimezone(timezone.utc)
    except ValueError:
        return text
    return f"{at:%Y-%m-%d %H:%M} UTC"


def name(value: object) -> Markup:
    """The same for a name."""
    return isolated(value, NAME)


def names(values: Sequence[str], most: int = 300) -> Markup:
    """Names one after the other, as many as a person may want to search through."""
    listed = Markup(", ").join(name(each) for each in values[:most])
    return listed + f" and {len(values) - most:,} more" if len(values) > most else listed


def in_lines(text: str, limit: int = COMMAND) -> Markup:
    """A text that keeps its lines, such as a command."""
    parts = _LAYOUT.split(clipped(text, limit))
    return escape("".join(part if part in {"\n", "\t"} else one_line(part) for part in parts))


def is_copyable(command: str) -> bool:
    """Whether a command on the page is the command: whole, and every character of it visible."""
    visible = all(char.isprintable() or char in "\n\t" for char in command)
    return visible and len(command) <= COMMAND


def prose(text: str) -> Markup:
    """A check's documentation: paragraphs, lists that begin with `*`, and code between backticks."""
    blocks = re.split(r"\n\s*\n|\n(?=\* )", text.strip())
    return Markup("").join(_joined(list(blocks)))


def _joined(blocks: Sequence[str]) -> Iterable[Markup]:
    in_list = False
    for block in blocks:
        is_item = block.startswith("* ")
        if is_item != in_list:
            yield Markup("<ul>") if is_item else Markup("</ul>")
        in_list = is_item
        template = Markup("<li>{}</li>") if is_item else Markup("<p>{}</p>")
        yield template.format(inline(" ".join(block.removeprefix("* ").split())))
    if in_list:
        yield Markup("</ul>")


def inline(text: str) -> Markup:
    """One paragraph of documentation, with code between backticks."""
    parts = _CODE.split(text)
    code = Markup("<code>{}</code>")
    shown_parts = (escape(shown(part, len(part))) for part in parts)
    return Markup("").join(code.format(part) if odd % 2 else part for odd, part in enumerate(shown_parts))
