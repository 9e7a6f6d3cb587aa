"""Sizes, durations, times and counts as a person says them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

_SECONDS = (("day", 86400), ("hour", 3600), ("minute", 60))
_UNITS = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_WORTH_A_UNIT = 2
"""90 minutes are said as such, 120 as two hours."""


def size(count: float | None) -> str:
    """Bytes in words, such as `1.5 MiB`; None is an `unknown size`."""
    if count is None:
        return "unknown size"
    for unit, length in _UNITS:
        if count >= length:
            return f"{count / length:.{3 if count < 1000 * length else 4}g} {unit}"
    return f"{count:.0f} bytes"


def duration(seconds: float) -> str:
    """Seconds in words, such as `0.3 s`, `12 s`, `90 minutes` or `3 days`."""
    for unit, length in _SECONDS:
        if seconds >= _WORTH_A_UNIT * length:
            return f"{seconds / length:.0f} {unit}s"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"  # noqa: PLR2004 - the same


def moment(time: datetime) -> str:
    """A time with its zone, such as `2026-11-22 08:17:57 UTC`; all messages have the same zone, to be compared."""
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun, such as `1 row`, `2 rows` or, with `many` given, `2 processes`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def join_names(names: Sequence[str], most: int = 8) -> str:
    """The first few names, and how many more there are, such as `a, b and 3 more`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def times(count: int) -> str:
    """How often, such as `once` or `3 times`."""
    return "once" if count == 1 else f"{count} times"


def one_line(text: str) -> str:
    """Text from the home as it may be printed: on one line, without control characters or direction marks."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return "\\n" if char == "\n" else f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"  # noqa: PLR2004


def shortened(text: str, limit: int = 200) -> str:
    """Text as it may be printed on one line, cut after so many characters."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return printable if len(printable) <= limit else f"{printable[: limit - 1]}…"
