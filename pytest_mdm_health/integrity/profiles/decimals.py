"""Whether texts that are all numbers are meant as numbers, told from how they are written.

Digits alone may be a code. A point, an exponent, a minus or separators of thousands are what people and programs write
for numbers, unless the point parts the numbers of a version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LOOKED_AT = 1000
"""So many values of a column are enough to tell."""

_WRITTEN = re.compile(
    r"(?P<minus>-?)(?P<whole>0|[1-9][0-9]{0,2}(?P<thousands>(?:,[0-9]{3})+)|[1-9][0-9]*|)"
    r"(?:\.(?P<fraction>[0-9]+))?(?P<exponent>[eE][-+]?[0-9]+)?"
)
_TELLING_SHARE = 0.1
_FEW_VERSIONS, _TIMES_EACH, _LONGEST_VERSION = 20, 2, 4
"""A column of versions repeats few of them, and none is longer than 12.1."""

_VERSION = re.compile(
    r"(?:^|[_\W])(?:version|ver|release|build|firmware|revision|rev|edition|chapter|section|clause|sdk|os)(?:$|[_\W])",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class _Number:
    text: str
    whole: str
    fraction: str | None
    more: bool
    """Whether it has a minus, an exponent or separators, which no version has."""


def are_decimals(name: str, texts: Sequence[str]) -> bool:
    """Whether the texts of a column of this name are numbers by the way they are written, not codes or versions."""
    numbers = [_number(text) for text in texts]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):  # zeros or a plus in front, as codes and telephone numbers have them
        return False
    telling = {number.text for number in known if number.more or number.fraction}
    often = sum(number.text in telling for number in known) >= max(1, _TELLING_SHARE * len(known))
    if not often or _is_a_mark(telling) or _VERSION.search(_CAMEL.sub("_", name)):
        return False
    return any(number.more for number in known) or not _are_versions(known)


def _number(text: str) -> _Number | None:
    match = _WRITTEN.fullmatch(text)
    if match is None or not (match["whole"] or match["fraction"]):
        return None
    more = bool(match["minus"] or match["exponent"] or match["thousands"])
    return _Number(text, match["whole"], match["fraction"], more)


def _is_a_mark(telling: set[str]) -> bool:
    """Whether all that tells is one negative whole number, such as -1 or -999, which stands for a missing code."""
    return len(telling) == 1 and re.fullmatch("-[0-9]+", next(iter(telling))) is not None


def _are_versions(numbers: Sequence[_Number]) -> bool:
    """Whether numbers with a point may be versions: 1.9 beside 1.10, or few short ones again and again."""
    fractions = [number.fraction for number in numbers if number.fraction]
    uneven = len({len(fraction) for fraction in fractions}) > 1
    if uneven and any(len(fraction) > 1 and fraction.endswith("0") for fraction in fractions):
        return True
    short = all(len(number.text) <= _LONGEST_VERSION for number in numbers)
    distinct = len({number.text for number in numbers})
    return short and "1" in fractions and distinct <= min(_FEW_VERSIONS, len(numbers) // _TIMES_EACH)
