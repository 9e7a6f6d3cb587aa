"""What the columns of a feature table hold, as far as it shows whether they were made properly."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_mdm_health.backends import Column, Database, quote
from pytest_mdm_health.integrity.profiles.column_types import Kind, kind_of
from pytest_mdm_health.integrity.sampling.blocks import Sample, sample_of

_COLUMNS_AT_ONCE = 150
_INFINITE = {
    "sqlite": "{c} IN (9e999, -9e999)",
    "duckdb": "isinf({c})",
    "postgresql": "{c} IN ('Infinity', '-Infinity')",
}
_NO_NUMBER = {"sqlite": "FALSE", "duckdb": "isnan({c})", "postgresql": "{c} = 'NaN'"}
_BINARY_FLOATS = ("REAL", "FLOA", "DOUB")


@dataclass(frozen=True, kw_only=True)
class FeatureColumn:
    """One column.

    Attributes:
        empty: whether no row has a value; one that is no number (NaN) is none.
        infinite: rows with an infinite number.
        constant: whether all rows have one and the same value.
    """

    name: str
    declared: str
    empty: bool = False
    infinite: int = 0
    constant: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureProfile:
    """The columns of a table, looked at in so many rows."""

    columns: tuple[FeatureColumn, ...]
    rows: int
    complete: bool


def feature_profile(
    database: Database, table: str, names: Collection[str] | None = None, *, everything: bool = False
) -> FeatureProfile:
    """What the columns of a table hold, or those with certain names.

    Raises:
        QueryFailed: there is no such table, or it cannot be read.
    """
    columns = database.columns(table)
    sample = sample_of(database, table, len(columns), everything=everything)
    wanted = [each for each in columns if names is None or each.name in names]
    found = tuple(_looked_at(database, sample, wanted))
    ((rows,),) = database.query(f"SELECT count(*) FROM {sample.relation}")  # noqa: S608 - quoted
    return FeatureProfile(columns=found, rows=int(rows), complete=sample.complete)


def distinct_values(database: Database, table: str, column: str, most: int) -> int:
    """How many different values the first rows of a column have.

    Raises:
        QueryFailed: there is no such column, or it cannot be read.
    """
    c, t = quote(column), quote(table)
    ((found,),) = database.query(f"SELECT count(DISTINCT v) FROM (SELECT {c} AS v FROM {t} LIMIT {most}) AS s")  # noqa: S608 - quoted
    return int(found)


def _looked_at(database: Database, sample: Sample, columns: Sequence[Column]) -> Iterator[FeatureColumn]:
    """Smallest and largest values tell the sound columns; only the others are counted."""
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = columns[start : start + _COLUMNS_AT_ONCE]
        extremes = _query(database, sample, [each for column in some for each in _extremes(database.engine, column)])
        pairs = zip(extremes[::2], extremes[1::2], strict=True)
        for column, (least, most) in zip(some, pairs, strict=True):
            if _is_sound(least, most):
                yield FeatureColumn(name=column.name, declared=column.type)
            else:
                yield _counted(database, sample, column, same=least == most)


def _counted(database: Database, sample: Sample, column: Column, *, same: bool) -> FeatureColumn:
    c = quote(column.name)
    wanted = ["count(*)", f"count({c})"]
    if _is_binary_float(column):
        no_number, infinite = _NO_NUMBER[database.engine].format(c=c), _INFINITE[database.engine].format(c=c)
        wanted[1] = f"count(CASE WHEN NOT ({no_number}) THEN {c} END)"
        wanted.append(f"count(CASE WHEN {infinite} THEN 1 END)")
    rows, values, *rest = _query(database, sample, wanted)
    infinite_rows = int(rest[0]) if rest else 0
    constant = same and values == rows and not infinite_rows
    return FeatureColumn(
        name=column.name, declared=column.type, empty=not values, infinite=infinite_rows, constant=constant
    )


def _query(database: Database, sample: Sample, wanted: Sequence[str]) -> Sequence[Any]:
    (row,) = database.query(f"SELECT {', '.join(wanted)} FROM {sample.relation}")  # noqa: S608 - quoted
    return row


def _extremes(engine: str, column: Column) -> tuple[str, str]:
    """Two expressions that are NULL for a column without values and the same for one with a single value."""
    c, kind = quote(column.name), kind_of(column.type)
    if _is_binary_float(column):
        return f"min({c})", f"max({c})"
    if kind is Kind.OTHER:
        return f"CASE WHEN count({c}) > 0 THEN 0 END", "1"
    if kind is Kind.BOOLEAN and engine == "postgresql":
        return f"bool_and({c})", f"bool_or({c})"
    return f"CASE WHEN count({c}) > 0 THEN 0 END", f"CASE WHEN min({c}) = max({c}) THEN 0 ELSE 1 END"


def _is_sound(least: Any, most: Any) -> bool:  # noqa: ANN401 - a value, or a number that stands for one
    """Whether there are at least two values, all finite; of a value that is no number, nothing is true."""
    if _both_numbers(least, most):
        return bool(least < most and most - least < math.inf)
    return least is not None and least != most


def _both_numbers(least: object, most: object) -> bool:
    return isinstance(least, (int, float)) and isinstance(most, (int, float))


def _is_binary_float(column: Column) -> bool:
    return any(word in column.type.upper() for word in _BINARY_FLOATS)
