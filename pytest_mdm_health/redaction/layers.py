"""A text as it is, and with one encoding after the other undone: pages hold JSON that holds pages.

Each character of what comes out knows what place it was made from, so that what is found can be masked there.
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

_DEPTH = 4
"""How often a text may have been escaped: by a log, by JSON, and twice by Markdown."""

_BACKSLASH = re.compile(
    r"\u200b"  # what breaks a link in Markdown
    r"|\\(?:u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<long>000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4}))"
    r"|(?P<char>[\s\S]))"
)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}
_ENTITY = re.compile(r"&(?:#(?P<code>[0-9]{1,7});?|#[xX](?P<hex>[0-9a-fA-F]{1,6});?|[^\t\n\f <&#;]{1,32};?)")
_IN_XML = re.compile(r"#x(?P<code>[0-9A-F]{2,6})")
_PERCENT = re.compile(
    r"%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[\da-f](?:%[89ab][\da-f]){3}|%[\da-f]{2}",
    re.IGNORECASE,
)
"""One character in UTF-8, or a byte that is none."""

Decode = Callable[[re.Match[str]], str]


def _without_backslash(match: re.Match[str]) -> str:
    if match[0] == "\u200b":
        return ""
    if match["pair"]:
        high, low = (int(part, 16) for part in match["pair"].split("\\u"))
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if match["char"]:
        return _SIMPLE.get(match["char"], match["char"])
    return chr(int(match["x"] or match["u"] or match["long"], 16))


def _from_entity(match: re.Match[str]) -> str:
    """The character, also one that HTML would replace by another or leave out."""
    if match["code"] or match["hex"]:
        return chr(min(int(match["code"]) if match["code"] else int(match["hex"], 16), sys.maxunicode))
    return html.unescape(match[0])


_HTML_AND_BACKSLASHES: tuple[tuple[str, re.Pattern[str], Decode], ...] = (
    ("&", _ENTITY, _from_entity),
    ("\\\u200b", _BACKSLASH, _without_backslash),
)
_PERCENTS: tuple[str, re.Pattern[str], Decode] = ("%", _PERCENT, lambda match: unquote(match[0]))
_STEPS = (
    *(_HTML_AND_BACKSLASHES * _DEPTH),
    ("#", _IN_XML, lambda match: chr(min(int(match["code"], 16), sys.maxunicode))),
    _PERCENTS,
    *_HTML_AND_BACKSLASHES,
    _PERCENTS,
)
"""What is undone, in turn: a character without which there is nothing to undo, what is replaced, and by what."""


@dataclass(frozen=True)
class Layer:
    """A text that was made of another.

    Attributes:
        starts: for each character, where in the other text begins what it was made of.
        ends: likewise, where that ends.
    """

    text: str
    starts: list[int]
    ends: list[int]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the other text the part from `start` to `end` of this one is."""
        return self.starts[start], self.ends[end - 1]


def texts(text: str) -> Iterator[str]:
    """The text, and each text that it becomes when one encoding after the other is undone."""
    yield text
    for signs, expression, decode in _STEPS:
        before = text
        if any(sign in text for sign in signs):
            text = expression.sub(decode, text)
        if text != before:
            yield text


def layers(text: str) -> Iterator[Layer]:
    """The same with places, for short texts; the text itself, which is no encoding, is not among them."""
    layer = Layer(text, [*range(len(text))], [*range(1, len(text) + 1)])
    for signs, expression, decode in _STEPS:
        if any(sign in layer.text for sign in signs):
            undone = _undone(layer, expression, decode)
            if undone.text != layer.text:
                layer = undone
                yield layer


def is_encoded(text: str) -> bool:
    """Whether there may be anything to undo."""
    return any(sign in text for signs, _, _ in _STEPS for sign in signs)


def _undone(layer: Layer, expression: re.Pattern[str], decode: Decode) -> Layer:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for match in expression.finditer(layer.text):
        made = decode(match)
        parts += (layer.text[done : match.start()], made)
        start, end = layer.place(*match.span())
        starts += (*layer.starts[done : match.start()], *([start] * len(made)))
        ends += (*layer.ends[done : match.start()], *([end] * len(made)))
        done = match.end()
    parts.append(layer.text[done:])
    return Layer("".join(parts), [*starts, *layer.starts[done:]], [*ends, *layer.ends[done:]])
