"""Texts of MDM's files with one value changed and every other character as it was. Nothing here writes a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


class CannotEdit(Exception):
    """A value cannot be changed without touching more than it; the text says why, on one line, after a subject."""


def is_same(one: object, other: object) -> bool:
    """Whether two values are the same, of the same types, in the same order of list items."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def value_at(data: object, keys: Sequence[str]) -> tuple[bool, object]:
    """Whether there is a value under these keys, each within the one before, and the value."""
    for key in keys:
        if not isinstance(data, Mapping) or key not in data:
            return False, None
        data = data[key]
    return True, data


def changed(data: object, keys: Sequence[str], value: object) -> dict[object, object]:
    """A copy of a mapping in which these keys have another value."""
    base = dict(data) if isinstance(data, Mapping) else {}
    first, *rest = keys
    return {**base, first: changed(base.get(first), rest, value) if rest else value}


def reduced(data: Mapping[object, object], keys: Sequence[str]) -> dict[object, object]:
    """A copy of a mapping without these keys, and without the mappings that are empty then."""
    first, *rest = keys
    inner = data.get(first)
    left = reduced(inner, rest) if rest and isinstance(inner, Mapping) else {}
    kept = {key: value for key, value in data.items() if key != first}
    return {key: left if key == first else value for key, value in data.items()} if left else kept
