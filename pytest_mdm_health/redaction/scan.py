"""Fail-closed: what was made is searched for the secrets that should not be in it."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from pytest_mdm_health.redaction.encodings import SHORT, as_word, is_number, is_word
from pytest_mdm_health.redaction.known import Secret

_DEPTH = 4
"""How often a text may have been escaped: by a log, by JSON, and twice by Markdown."""

_ZIP = b"PK\x03\x04"
_ESCAPE = re.compile(
    r"\\(?:u(?P<pair>[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?:x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<long>000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4}))"
    r"|(?P<char>[\s\S]))"
)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}
_IN_XML = re.compile(r"#x([0-9A-F]{2,6})")


class Leaks:
    """Finds secrets in files, however they are encoded there.

    What is too short, or a number that any report may have, cannot be searched for, nor can what is told anyway.
    """

    def __init__(self, known: Mapping[Secret, frozenset[str]]) -> None:
        self._anywhere: dict[str, Secret] = {}
        self._words: dict[re.Pattern[str], Secret] = {}
        for secret, forms in known.items():
            for form in _shortest(forms):
                if len(form) < SHORT or is_number(form):
                    continue
                if is_word(form):
                    self._words[re.compile(as_word(form))] = secret
                else:
                    self._anywhere[form] = secret

    def in_content(self, content: bytes | str) -> Secret | None:
        """A secret that stands in the content of a file; of a zip, in one of its members or in a name."""
        if isinstance(content, bytes) and content.startswith(_ZIP):
            found = (self.in_content(name) or self.in_content(member) for name, member in _members(content))
            return next((secret for secret in found if secret is not None), None)
        text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
        return next((secret for layer in _layers(text) if (secret := self._in_text(layer)) is not None), None)

    def member(self, content: bytes | str) -> str:
        """The first member of a zip that a secret stands in; empty for what is no zip, or where a name shows one."""
        if not (isinstance(content, bytes) and content.startswith(_ZIP)):
            return ""
        names = (name for name, member in _members(content) if self.in_content(member) is not None)
        return next((name for name in names if self.in_content(name) is None), "")

    def _in_text(self, text: str) -> Secret | None:
        for form, secret in self._anywhere.items():
            if form in text:
                return secret
        return next((secret for word, secret in self._words.items() if word.search(text)), None)


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def _shortest(forms: frozenset[str]) -> Iterator[str]:
    """The forms without those that contain another one that is looked for, and is found where they are."""
    cores = [form for form in forms if len(form) >= SHORT and not is_word(form)]
    yield from (form for form in forms if not any(core in form for core in cores if len(core) < len(form)))


def _layers(text: str) -> Iterator[str]:
    """The text, and what it becomes when one encoding after the other is undone: pages hold JSON that holds pages."""
    yield text
    for undo in (*(html.unescape, _unescaped) * _DEPTH, _from_xml, unquote):
        before, text = text, undo(text)
        if text != before:
            yield text


def _unescaped(text: str) -> str:
    """The text without the backslashes of JSON, Python and Markdown, and the invisible spaces that break links."""
    return _ESCAPE.sub(_character, text.replace("\u200b", "")) if "\\" in text or "\u200b" in text else text


def _character(match: re.Match[str]) -> str:
    if match["pair"]:
        high, low = (int(part, 16) for part in match["pair"].split("\\u"))
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if match["char"]:
        return _SIMPLE.get(match["char"], match["char"])
    return chr(int(match["x"] or match["u"] or match["long"], 16))


def _from_xml(text: str) -> str:
    """The text without the signs that stand for what XML cannot hold."""
    return _IN_XML.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), text)
