"""How dates and truth values are written, told from their shapes: texts in which every digit is a zero."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TRUE = ("true", "t", "yes", "y", "on")
FALSE = ("false", "f", "no", "n", "off")
MARKERS = ("na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "---", "?", "unknown", "missing", "undefined")
"""Words that stand for a missing value."""

LARGEST_MONTH = 12

_ORDERED, _UNORDERED = "YYYY{0}MM{0}DD", "NN{0}NN{0}"
_TIME = (
    r"(?P<join>, |[ T])(?P<time>00?:00(?::00)?)(?P<fraction>\.0{1,9})?(?P<half> ?[AaPp][Mm])?"
    r"(?P<zone> ?(?:Z|UTC|GMT|[+-]00(?::?00)?))?"
)
_DATES = {
    _ORDERED: r"0000(?P<between>[-/.])00?(?P=between)00?",
    f"{_UNORDERED}YYYY": r"00?(?P<between>[-/.])00?(?P=between)0000",
    f"{_UNORDERED}YY": r"00?(?P<between>/)00?/00",
}
_PATTERNS = {name: re.compile(f"{pattern}(?:{_TIME})?") for name, pattern in _DATES.items()}
_NAMED = re.compile(
    r"(?:[A-Z][a-z]+,? )?(?:00?[- ][A-Z][a-z]{2,8}\.?[- ,]+0000|[A-Z][a-z]{2,8}\.? 00?,? 0000)(?: .{0,20})?"
)
_COMPACT = "00000000"


@dataclass(frozen=True)
class Shape:
    """One shape of texts in a column.

    Attributes:
        shape: the text with every digit replaced by a zero.
        count: how many values have it.
        first: the largest first number in them.
        second: the largest second number.
        impossible: in how many of them the numbers are no date or time.
    """

    shape: str
    count: int
    first: int = 0
    second: int = 0
    impossible: int = 0


@dataclass(frozen=True)
class Dates:
    """How the values of a column are written, where they are dates.

    Attributes:
        formats: how many values are written in which way.
        both_orders: whether the day comes first in some values and the month in others.
        impossible: values that look like dates and are none.
        others: values that do not look like dates.
    """

    formats: Mapping[str, int]
    both_orders: bool = False
    impossible: int = 0
    others: int = 0

    @property
    def written(self) -> int:
        """How many values are dates."""
        return sum(self.formats.values())


def dates_of(shapes: Iterable[Shape]) -> Dates:
    """What the shapes of a column's values amount to."""
    known = [(_numeric(each.shape), each) for each in shapes]
    unordered = [each for name, each in known if name is not None and name.startswith("NN")]
    day_first = any(each.first > LARGEST_MONTH for each in unordered)
    month_first = any(each.second > LARGEST_MONTH for each in unordered)
    formats: dict[str, int] = defaultdict(int)
    impossible = others = 0
    for name, each in known:
        if name is not None:
            formats[_in_order(name, day_first, month_first)] += each.count - each.impossible
            impossible += each.impossible
        elif other := _other(each.shape):
            formats[other] += each.count
        else:
            others += each.count
    written = {name: count for name, count in formats.items() if count}
    return Dates(written, day_first and month_first, impossible, others)


def spelled_differently(words: Iterable[str]) -> bool:
    """Whether one truth value is written in several ways among these words."""
    spelled = set(words)
    meanings = {word.lower() in (*TRUE, "1") for word in spelled}
    return len(meanings) < len(spelled)


def _numeric(shape: str) -> str | None:
    """The way a date in numbers is written; `NN` where day and month could be meant either way round."""
    for name, pattern in _PATTERNS.items():
        if match := pattern.fullmatch(shape):
            return name.replace("{0}", match["between"]) + _time_format(match)
    return None


def _other(shape: str) -> str | None:
    if shape == _COMPACT:
        return "YYYYMMDD"
    return "with the month's name" if _NAMED.fullmatch(shape) else None


def _time_format(match: re.Match[str]) -> str:
    time = match["time"]
    if time is None:
        return ""
    seconds = ":SS" if time.count(":") > 1 else ""
    fraction, half, zone = (word if match[name] else "" for name, word in _TIME_WORDS)
    return f"{match['join']}HH:MM{seconds}{fraction}{half}{zone}"


_TIME_WORDS = (("fraction", ".f"), ("half", " AM"), ("zone", "+ZZ"))


def _in_order(name: str, day_first: bool, month_first: bool) -> str:
    if not name.startswith("NN") or day_first == month_first:
        return name
    first, second = ("DD", "MM") if day_first else ("MM", "DD")
    return name.replace("NN", first, 1).replace("NN", second, 1)
