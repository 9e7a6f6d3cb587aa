"""The ways in which a secret may be written: as it is, and as everything that quotes or encodes it writes it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import yaml

from pytest_mdm_health.core.text import one_line

SHORT = 4
"""Characters below which a secret is one only as a word of its own."""

LONG_NUMBER = 12
"""Characters from which digits, or hexadecimal digits, are distinguished from the numbers and hashes of a report."""

_LEAST_ENCODED = 8
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_NO_XML = re.compile("[^\t\n\r\x20-\x7e\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEPTH = 3
_NUMBER = re.compile(r"[\d.:+-]*\d[\d.:+-]*")
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_BEFORE = r"(?:(?<![0-9A-Za-z])|(?<=\\[abfnrtv0])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
"""Where a word may begin: not within another one, but right after an escape that ends with a letter."""

_AFTER = r"(?![0-9A-Za-z])"

Encode = Callable[[str], str]


def is_number(secret: str) -> bool:
    """Whether it looks like the sizes, times and dates of every report."""
    return len(secret) < LONG_NUMBER and _NUMBER.fullmatch(secret) is not None


def is_word(secret: str) -> bool:
    """Whether it counts only as a whole word, because it may be part of another word, number or hash."""
    looks_random = len(secret) < LONG_NUMBER and _HEXADECIMAL.fullmatch(secret) is not None
    return len(secret) < SHORT or looks_random or is_number(secret)


def forms(secret: str) -> frozenset[str]:
    """The secret as it is, trimmed and unquoted, and each of these in every encoding."""
    bases = dict.fromkeys((secret, secret.strip(), unquote(secret), unquote_plus(secret)))
    kept = [base for base in bases if base == secret or len(base) >= SHORT]
    found = {form for base in kept for encode in _ENCODINGS for form in (base, encode(base))}
    found |= {form for base in kept for form in _base64(base)}
    return frozenset(form for form in found if form == secret or len(form) >= min(SHORT, len(secret)))


def pattern(texts: Iterable[str]) -> str:
    """A regular expression that finds any of the texts, the longest first, in a time that hardly grows with them."""
    return _branch(sorted(set(texts), key=lambda text: (-len(text), text)), _DEPTH)


def as_word(text: str) -> str:
    """A regular expression that finds the text where it is no part of another word."""
    return (_BEFORE if text[0].isalnum() else "") + re.escape(text) + (_AFTER if text[-1].isalnum() else "")


def _branch(texts: list[str], depth: int) -> str:
    if depth == 0 or len(texts) == 1:
        return "|".join(re.escape(text) for text in texts)
    by_first: dict[str, list[str]] = {}
    for text in texts:
        by_first.setdefault(text[:1], []).append(text[1:])
    ends = by_first.pop("", None)
    branches = [f"{re.escape(first)}(?:{_branch(rest, depth - 1)})" for first, rest in by_first.items()]
    return "|".join([*branches, *([""] if ends else [])])


def _base64(text: str) -> Iterator[str]:
    """As base64 has it, alone or in the middle of something longer, of which only whole characters are its own."""
    content = text.encode("utf-8", "surrogatepass")
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + content).decode("ascii").rstrip("=")
        inner = encoded[(0, 2, 3)[before] : len(encoded) - bool((before + len(content)) % 3)]
        for each in (inner, *([encoded] if before == 0 else [])):
            if len(each) >= _LEAST_ENCODED or (each == encoded and len(text) >= SHORT):
                yield from (each, each.translate(str.maketrans("+/", "-_")))


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def _in_yaml(text: str) -> str:
    """As a YAML file has it between double quotes."""
    return str(yaml.safe_dump(text, default_style='"', width=10**9, allow_unicode=True)).rstrip("\n")[1:-1]


def _in_yaml_ascii(text: str) -> str:
    return str(yaml.safe_dump(text, default_style='"', width=10**9)).rstrip("\n")[1:-1]


_ENCODINGS: tuple[Encode, ...] = (
    _quoted,
    lambda text: _PERCENT.sub(lambda match: match[0].lower(), _quoted(text)),
    lambda text: quote(text, safe="/", errors="surrogatepass"),
    lambda text: quote_plus(text, errors="surrogatepass"),
    html.escape,
    lambda text: html.escape(text, quote=False),
    lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: repr(text)[1:-1],
    lambda text: repr(f'"{text}')[2:-1],
    lambda text: ascii(text)[1:-1],
    lambda text: text.replace("\\", "\\\\").replace("'", "\\'"),
    lambda text: text.replace("'", "''"),
    lambda text: text.replace('"', '""'),
    _in_yaml,
    _in_yaml_ascii,
    lambda text: shlex.quote(f" {text}")[2:-1],
    one_line,
    lambda text: text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"),
    lambda text: _NO_XML.sub(lambda match: f"#x{ord(match[0]):0{2 if ord(match[0]) < 0x100 else 4}X}", text),  # noqa: PLR2004
    lambda text: text.encode("utf-8", "backslashreplace").decode("utf-8"),
    lambda text: " ".join(text.split()),
)
