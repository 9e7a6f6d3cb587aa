"""Secrets are found, however they are encoded: to mask them in a text, and to hold back a file that shows one."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping

from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.redaction.encodings import SHORT, as_word, is_number, is_word, pattern
from pytest_mdm_health.redaction.known import Secret
from pytest_mdm_health.redaction.layers import is_encoded, layers, texts

_ZIP = b"PK\x03\x04"


class Leaks:
    """Finds secrets, and fragments that amount to them, by one expression: in texts to mask, and in finished files.

    What is too short, or a number that any report may have, cannot be searched for, nor can what is public anyway.
    """

    def __init__(self, known: Mapping[Secret, frozenset[str]]) -> None:
        found = {form: secret for secret, forms in known.items() for form in forms}
        self._secrets = {form: each for form, each in found.items() if len(form) >= SHORT and not is_number(form)}
        anywhere = [form for form in self._secrets if not is_word(form)]
        words = sorted((form for form in self._secrets if is_word(form)), key=len, reverse=True)
        parts = [*([pattern(anywhere)] if anywhere else []), *map(as_word, words)]
        self._expression = re.compile("|".join(parts)) if parts else None

    def mask(self, text: str) -> str:
        """The text without what a search would find in it, whatever surrounds it later."""
        if self._expression is None:
            return text
        text = self._expression.sub(HIDDEN, text)
        if not is_encoded(text):
            return text
        places = sorted(
            layer.place(*match.span()) for layer in layers(text) for match in self._expression.finditer(layer.text)
        )
        kept: list[str] = []
        done = 0
        for start, end in places:
            if start >= done:
                kept += (text[done:start], HIDDEN)
            done = max(done, end)
        return "".join((*kept, text[done:]))

    def in_content(self, content: bytes | str) -> Secret | None:
        """A secret in the content of a file; of a zip, in one of its members or in a name."""
        if isinstance(content, bytes) and content.startswith(_ZIP):
            found = (self.in_content(name) or self.in_content(member) for name, member in _members(content))
            return next((secret for secret in found if secret is not None), None)
        text = content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else content
        return next(self._in_text(text), None)

    def member(self, content: bytes | str) -> str:
        """The first member of a zip that contains a secret; empty for what is no zip, or where a name shows one."""
        if not (isinstance(content, bytes) and content.startswith(_ZIP)):
            return ""
        names = (name for name, member in _members(content) if self.in_content(member) is not None)
        return next((name for name in names if self.in_content(name) is None), "")

    def _in_text(self, text: str) -> Iterator[Secret]:
        for layer in texts(text) if self._expression is not None else ():
            if self._expression is not None and (match := self._expression.search(layer)) is not None:
                yield self._secrets[match[0]]


def _members(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]
