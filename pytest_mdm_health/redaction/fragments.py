"""What is left of a secret that something cut or masked in part: enough of it to guess the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.redaction.encodings import forms, is_word, pattern

LONG = 16
"""Characters from which a part of a secret tells what the secret is, and nothing else."""

LEAST = 8
"""Characters of a fragment from which it is masked where its place says that it is one."""

_MOST = 3, 5
"""The share of a secret, at its start or its end, that counts as the secret wherever it stands."""

_CUT = re.compile(r"['\"\s)\]]{0,9}(?:…|\.{3}|\Z)")
_MASK = re.compile(re.escape(HIDDEN) + r"['\"]?")

IsPublic = Callable[[str], bool]


def most_of(secret: str, is_public: IsPublic) -> frozenset[str]:
    """The first and the last three fifths of a long secret in all their forms, without what is public anyway."""
    if len(secret) < LONG:
        return frozenset()
    size = -(-len(secret) * _MOST[0] // _MOST[1])
    found = (form for part in (secret[:size], secret[-size:]) for form in forms(part))
    return frozenset(form for form in found if len(form) >= LEAST and not (is_word(form) or is_public(form)))


class Fragments:
    """Masks fragments of long secrets."""

    def __init__(self, wholes: Iterable[str], parts: Iterable[str], is_public: IsPublic) -> None:
        """Know these secrets.

        Args:
            wholes: every form of every secret.
            parts: what counts as a secret wherever it stands, as `most_of` has it.
            is_public: whether a fragment may be shown whatever a secret is.
        """
        self._wholes = sorted({form for form in wholes if len(form) >= LONG})
        self._is_public = is_public
        every = sorted(set(parts))
        heads = {form[:LEAST] for form in (*self._wholes, *every)}
        self._heads = re.compile(pattern(heads)) if heads else None
        self._parts = re.compile(pattern(every)) if every else None

    def hide(self, text: str) -> str:
        """The text without fragments, in little time where it has none."""
        if self._heads is None or len(text) < LEAST:
            return text
        if HIDDEN in text:
            text = self._without_rests(text)
        if self._heads.search(text) is None:
            return text
        text = self._without_starts(text)
        return text if self._parts is None else self._parts.sub(HIDDEN, text)

    def _without_rests(self, text: str) -> str:
        """Without what follows a mask that covers the start of a secret only."""
        kept, done = [], 0
        for mask in _MASK.finditer(text):
            end = max((self._rest(text, mask.end(), form) for form in self._wholes), default=mask.end())
            if mask.start() >= done and end > mask.end() and not self._is_public(text[mask.end() : end]):
                kept += [text[done : mask.start()], HIDDEN]
                done = end
        return "".join((*kept, text[done:]))

    @staticmethod
    def _rest(text: str, start: int, form: str) -> int:
        """Where the longest part of the secret that begins here ends; `start` if none does."""
        at = form.find(text[start : start + LEAST])
        if at < 0 or len(text) < start + LEAST:
            return start
        size = LEAST
        while form[at : at + size + 1] == text[start : start + size + 1] and at + size < len(form):
            size += 1
        return start + size

    def _without_starts(self, text: str) -> str:
        """Without the starts of secrets that were cut off."""
        for cut in reversed([*_CUT.finditer(text)]):
            end = cut.start()
            start = min((self._start(text, end, form) for form in self._wholes), default=end)
            if end - start >= LEAST and not self._is_public(text[start:end]):
                text = text[:start] + HIDDEN + text[end:]
        return text

    @staticmethod
    def _start(text: str, end: int, form: str) -> int:
        """Where the start of the secret that ends here begins; `end` if none does."""
        at = text.find(form[:LEAST], max(0, end - len(form)), end)
        while at >= 0 and not form.startswith(text[at:end]):
            at = text.find(form[:LEAST], at + 1, end)
        return end if at < 0 else at
