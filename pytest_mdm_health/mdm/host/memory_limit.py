"""How much memory `database.duckdb.memory_limit` lets DuckDB have, and how much this process may have."""

from __future__ import annotations

import re
import sys

UNLIMITED = sys.maxsize
_LIMIT = re.compile(r"\s*(?P<number>-?\d+(?:\.\d*)?(?:e\d{1,2})?)\s*(?P<unit>[a-z%]*)\s*")
_THOUSAND, _BINARY = 1000, 1024
_UNITS = {
    **dict.fromkeys(("b", "byte", "bytes"), 1),
    **dict.fromkeys(("k", "kb", "kilobyte", "kilobytes"), _THOUSAND),
    **dict.fromkeys(("m", "mb", "megabyte", "megabytes"), _THOUSAND**2),
    **dict.fromkeys(("g", "gb", "gigabyte", "gigabytes"), _THOUSAND**3),
    **dict.fromkeys(("t", "tb", "terabyte", "terabytes"), _THOUSAND**4),
    **{unit: _BINARY**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), 1)},
}


def limit_in_bytes(text: str, ram: int) -> int | None:
    """The limit in bytes, `UNLIMITED` for none; None for a text that DuckDB refuses.

    Args:
        text: such as `8GB`, `2GiB`, `80%` or `none`.
        ram: bytes of the machine's memory, of which a percentage is taken.
    """
    lowered = text.strip().lower()
    if lowered == "none":
        return UNLIMITED
    match = _LIMIT.fullmatch(lowered)
    if match is None:
        return None
    number, unit = float(match["number"]), match["unit"]
    if number < 0:
        return UNLIMITED
    if unit == "%":
        return int(ram * number / 100)
    return min(UNLIMITED, int(number * _UNITS[unit])) if unit in _UNITS else None


def address_space_limit() -> int | None:
    """The bytes of address space that this process and its children may have (`ulimit -v`); None for no limit."""
    try:
        import resource
    except ImportError:  # no POSIX system
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft
