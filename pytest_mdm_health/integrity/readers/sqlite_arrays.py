"""Columns of SQLite's values, of which each may be of any kind, as arrays of one kind that DuckDB takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pytest_mdm_health.integrity.digest.canonical import EXACT

_MEMBERS: dict[str, frozenset[type]] = {
    "whole": frozenset({int, float}),
    "number": frozenset({int, float}),
    "text": frozenset({str}),
    "bytes": frozenset({bytes}),
}
_NOTHING = type(None)


@dataclass(frozen=True)
class Array:
    """Values of one kind.

    Attributes:
        data: the array; NULL or NaN for those of another kind.
        type: the DuckDB type of what `sql` makes of it.
        strays: the values of another kind, as `Parts.odd` has them; None if there are none.
    """

    data: Any
    type: str
    sql: str = "{}"
    strays: Any = None


def array_of(values: Sequence[Any], affinity: str) -> Array:
    """Some values of a column as an array.

    Args:
        values: as `sqlite3` gives them.
        affinity: the domain of what the column is meant to hold; see `Form.domain`.
    """
    main = affinity if affinity in _MEMBERS else "text"
    members = _MEMBERS[main]
    kinds = set(map(type, values)) - {_NOTHING}
    if kinds <= members and (main != "text" or _sound(values)):
        return _pure(values, main, kinds)
    stays = [type(value) in members and (main != "text" or _is_sound(value)) for value in values]
    kept = [value if stay else None for value, stay in zip(values, stays, strict=True)]
    strays = [None if stay or value is None else odd(value) for value, stay in zip(values, stays, strict=True)]
    pure = _pure(kept, main, set(map(type, kept)) - {_NOTHING})
    return Array(pure.data, pure.type, pure.sql, pd.Series(strays, dtype=object))


def odd(value: Any) -> str:  # noqa: ANN401 - whatever SQLite stores
    """A value of another kind than its column's."""
    if isinstance(value, bytes):
        return f"b{value.hex().upper()}"
    if isinstance(value, str):
        return f"t{value}" if _is_sound(value) else f"b{value.encode('utf-8', 'surrogateescape').hex().upper()}"
    return f"n{value!r}"


def _sound(values: Sequence[Any]) -> bool:
    """Whether all texts are what can be written in UTF-8."""
    try:
        "".join(filter(None, values)).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_sound(value: str) -> bool:
    return _sound([value])


def _pure(values: Sequence[Any], main: str, kinds: set[type]) -> Array:
    if main == "text":
        return Array(pd.Series(values, dtype=object), "VARCHAR", "{}::VARCHAR")
    if main == "bytes":
        hexadecimal = [None if value is None else value.hex() for value in values]
        return Array(pd.Series(hexadecimal, dtype=object), "BLOB", "from_hex({}::VARCHAR)")
    return _whole(values) if kinds == {int} else _real(values, kinds)


def _whole(values: Sequence[Any]) -> Array:
    if None not in values:
        return Array(np.array(values, dtype=np.int64), "BIGINT")
    filled = np.array([0 if value is None else value for value in values], dtype=np.int64)
    missing = np.array([value is None for value in values])
    return Array(pd.Series(pd.arrays.IntegerArray(filled, missing)), "BIGINT")


def _real(values: Sequence[Any], kinds: set[type]) -> Array:
    """Floating point numbers; SQLite has no NaN, so that it can stand for NULL."""
    array = np.array(values, dtype=np.float64)
    if int in kinds and any(isinstance(value, int) and abs(value) > EXACT for value in values):
        texts = [None if value is None else repr(value) for value in values]
        return Array(pd.Series(texts, dtype=object), "VARCHAR", "{}::VARCHAR")
    return Array(array, "DOUBLE", "nullif({}, 'nan'::DOUBLE)")
