"""SQL expressions about the values of one column, for each engine.

Every expression is about `c`, the quoted name of the column. Nothing in them comes from the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pytest_mdm_health.integrity.profiles.column_types import Kind
from pytest_mdm_health.integrity.profiles.text_formats import FALSE, MARKERS, TRUE

EXACT = 2**53
"""From here on a floating point number does not tell every whole number from the next."""

LONGEST = 48
"""Characters of the longest text that is looked at as anything but a text."""

DIGITS_KEPT = 15
"""Digits that a floating point number keeps, whatever the number."""

SHAPED = 40
"""Characters of a text that make its shape."""


ISO = (
    "YYYY-MM-DD",
    "YYYY-MM-DD HH:MM:SS",
    "YYYY-MM-DDTHH:MM:SS",
    "YYYY-MM-DD HH:MM:SS.f",
    "YYYY-MM-DDTHH:MM:SS.f",
)
"""Ways to write a date that are told at once."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions that tell what a text is, in one engine's words; `word` and `join` are texts."""

    blank: str
    word: str
    no_digit: str
    day: str
    bare_day: str
    join: str
    clock: str
    bare_clock: str
    fraction: str
    other: str
    digits: str
    padded: str
    long: str
    number: str
    date: str
    decorated: str


class ColumnSql(Protocol):
    """What can be asked about a column."""

    @property
    def stored_as(self) -> Mapping[Kind, str]:
        """How the values of a column of a kind should be stored; kinds of which nothing is to be told are missing."""

    @property
    def free(self) -> bool:
        """Whether a value may be stored in another way than its column declares."""

    def as_declared(self, c: str, kind: Kind) -> str:
        """Whether a value is stored as a column of this kind should."""

    def storage(self, c: str) -> Mapping[str, str]:
        """The conditions for a value to be one of the `integers`, `reals`, `texts` and `blobs`."""

    def whole(self, c: str) -> str:
        """Whether a real number is a whole number."""

    def text_class(self, c: str) -> str:
        """What a text looks like.

        One of `blank`, `boolean`, `marker`, `padded` (digits after a zero), `long` (more digits than a float keeps),
        `number`, `decorated` (a number with a currency or the like), `date`, `other`, or for a date that is written as
        ISO 8601 has it and exists, one of `ISO`.
        """

    def shape(self, c: str) -> str:
        """A text with every digit replaced by a zero."""

    def numbers(self, c: str) -> str:
        """The first five numbers in a text that looks like a date, as columns `n1` to `n5`."""


IMPOSSIBLE = (
    "CASE WHEN n1 > 31 THEN n2 < 1 OR n2 > 12 OR n3 < 1 OR n3 > 31 OR (n3 = 31 AND n2 IN (4, 6, 9, 11)) OR "
    "(n2 = 2 AND (n3 > 29 OR (n3 = 29 AND (n1 % 4 <> 0 OR (n1 % 100 = 0 AND n1 % 400 <> 0))))) "
    "ELSE n1 < 1 OR n2 < 1 OR n2 > 31 OR (n1 > 12 AND n2 > 12) END OR coalesce(n4, 0) > 24 OR coalesce(n5, 0) > 59"
)
"""Whether five numbers, the year or the day or the month first, then hour and minute, are no date."""


def text_class(c: str, so: Conditions) -> str:
    """The first thing that a text is; most free text is told by its length or by having no digit."""
    return (
        f"CASE WHEN length({c}) > {LONGEST} THEN 'other' WHEN {so.blank} THEN 'blank' "
        f"WHEN {so.no_digit} THEN CASE WHEN {so.word} IN ({_texts(TRUE + FALSE)}) THEN 'boolean' "
        f"WHEN {so.word} IN ({_texts(MARKERS)}) THEN 'marker' ELSE 'other' END "
        f"WHEN {so.day} THEN CASE WHEN {so.bare_day} THEN '{ISO[0]}' "
        f"WHEN {so.join} NOT IN (' ', 'T') OR NOT ({so.clock}) THEN 'date' "
        f"WHEN {so.bare_clock} THEN CASE {so.join} WHEN ' ' THEN '{ISO[1]}' ELSE '{ISO[2]}' END "
        f"WHEN {so.fraction} THEN CASE {so.join} WHEN ' ' THEN '{ISO[3]}' ELSE '{ISO[4]}' END "
        f"ELSE 'date' END WHEN {so.other} THEN 'other' "
        f"WHEN {so.digits} THEN CASE WHEN {so.long} THEN 'long' WHEN {so.padded} THEN 'padded' "
        f"ELSE 'number' END "
        f"WHEN {so.number} THEN 'number' WHEN {so.date} THEN 'date' "
        f"WHEN {so.decorated} THEN 'decorated' ELSE 'other' END"
    )


def _texts(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)
