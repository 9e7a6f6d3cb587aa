"""A table in figures: of each column the NULLs, the distinct values, the least and the greatest.

They are for people: what a column was like before something happened to it. Whether two tables are the same is told by
their digests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pytest_mdm_health.integrity.digest.canonical import Form, Parts
from pytest_mdm_health.integrity.digest.hashing import Plan, at_once, cells, column_sums
from pytest_mdm_health.integrity.digest.tables import TableDigest, plan_for
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch, Reader, Source
from pytest_mdm_health.integrity.readers.sources import opened

LONGEST = 100
"""Characters that are kept of a text, where texts are kept at all."""

_BITS = 4096
_LEVELS = (1, 64, 4096)
"""Of all values, of one in 64 and of one in 4,096 it is noted which of 4,096 classes are there: so figures of batches
add up, and twenty values can be estimated as well as twenty million."""

_FULL = 0.98
_EXACT = 2**53


@dataclass(frozen=True, kw_only=True)
class ColumnFigures:
    """What is in a column.

    Attributes:
        nulls: rows without a value.
        distinct: different values, estimated: up to some thousands within 3 %, else within some 10 %.
        least, greatest: numbers and times as such, texts and bytes as their lengths unless values are wanted; None if
            there are none.
    """

    nulls: int
    distinct: int
    least: str | None
    greatest: str | None


def profiled(
    workbench: Workbench, source: Source, digest: TableDigest, *, show_values: bool = False
) -> tuple[TableDigest, dict[str, ColumnFigures]]:
    """A table's digest with what tells each column by itself, and the figures of each column by name.

    Args:
        workbench: one that may read the source.
        source: where the table is.
        digest: the digest of the table, which says as what its columns are read.
        show_values: keep the least and the greatest text, rather than lengths.

    Raises:
        CannotOpen: it cannot be opened.
        QueryFailed: there is no such table, or it cannot be read.
        Unreadable: the file cannot be read, or is no table.
    """
    with opened(source, workbench) as reader:
        plan = plan_for(workbench, reader, digest)
        levels = _LEVELS if digest.rows > _BITS else _LEVELS[:1]
        counts = [_Counts(plan.forms[name], levels, show_values=show_values) for name in plan.names]
        sums, left = column_sums(workbench, reader, plan), iter(counts)
        for some in at_once(reader, plan):
            own = list(islice(left, len(some.names)))
            for batch in reader.batches(some.names):
                _count(workbench, reader, some, batch, own)
    figures = {name: each.figures(workbench, digest.rows) for name, each in zip(plan.names, counts, strict=True)}
    return replace(digest, sums=sums), figures


def _count(workbench: Workbench, reader: Reader, plan: Plan, batch: Batch, counts: Sequence[_Counts]) -> None:
    """Add the figures of one batch."""
    if not counts:
        return
    parts = cells(plan, reader, batch)
    pairs = enumerate(zip(counts, parts, strict=True))
    inner = ", ".join(each.columns(index, part, batch.strays.get(index)) for index, (each, part) in pairs)
    outer = ", ".join(expression for index, each in enumerate(counts) for expression in each.wanted(index))
    found = workbench.run(f"SELECT {outer} FROM (SELECT {inner} FROM {batch.relation})")[0]  # noqa: S608 - made here
    width = len(found) // len(counts)
    for index, each in enumerate(counts):
        each.add(found[index * width : (index + 1) * width])


class _Counts:
    """What was found in one column so far."""

    def __init__(self, form: Form, levels: Sequence[int], *, show_values: bool) -> None:
        self._form, self._levels, self._show_values = form, levels, show_values
        self._values, self._least, self._greatest = 0, None, None
        self._seen = [0] * len(levels)

    def columns(self, index: int, part: Parts, stray: str | None) -> str:
        """The columns that are counted: the hash of each value, NULL for none, and what is least and greatest.

        The value is hashed as it arrives, which is much less work than its canonical form and tells as many apart.
        """
        c = f"c{index}"
        there = f"{c} IS NOT NULL OR {stray} IS NOT NULL" if stray else f"{c} IS NOT NULL"
        hashed = f"hash(hash({c}, {stray}))" if stray else f"hash({c})"  # twice: of two values it has uneven low bits
        return f"CASE WHEN {there} THEN {hashed} END AS h{index}, {self._measured(part.value)} AS m{index}"

    def wanted(self, index: int) -> list[str]:
        """What is asked of these columns."""
        h = f"h{index}"
        levels = (
            f"bitstring_agg(({h} // {level} % {_BITS})::INTEGER, 0, {_BITS - 1}) FILTER ({h} % {level} = 0)::VARCHAR"
            for level in self._levels
        )
        return [f"count({h})", f"min(m{index})", f"max(m{index})", *levels]

    def add(self, found: Sequence[Any]) -> None:
        """What a batch answered."""
        values, least, greatest, *seen = found
        self._values += values
        self._least = min((each for each in (self._least, least) if each is not None), default=None)
        self._greatest = max((each for each in (self._greatest, greatest) if each is not None), default=None)
        self._seen = [old | int(new or "0", 2) for old, new in zip(self._seen, seen, strict=True)]

    def figures(self, workbench: Workbench, rows: int) -> ColumnFigures:
        """All of it."""
        least, greatest = (self._written(workbench, each) for each in (self._least, self._greatest))
        distinct = min(_estimate(self._seen), self._values)
        return ColumnFigures(nulls=rows - self._values, distinct=distinct, least=least, greatest=greatest)

    def _measured(self, value: str) -> str:
        if self._form.domain == "time":
            return f"CASE WHEN isfinite({value}) THEN epoch_us({value}) END"
        if self._form is Form.BYTES:
            return f"octet_length({value})"
        if self._form is Form.TEXT:
            return f"left({value}, {LONGEST})" if self._show_values else f"length({value})"
        return value

    def _written(self, workbench: Workbench, value: Any) -> str | None:  # noqa: ANN401 - whatever the column has
        if value is None:
            return None
        if self._form.domain == "time":
            return str(workbench.run("SELECT make_timestamp(?::BIGINT)::VARCHAR", (value,))[0][0])
        if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
            return str(int(value))
        return str(value)


def _estimate(seen: Sequence[int]) -> int:
    """From how many of the classes are there, how many values there must have been."""
    full = [each.bit_count() for each in seen]
    level = next((index for index, count in enumerate(full) if count < _BITS * _FULL), len(full) - 1)
    free = max(_BITS - full[level], 1)
    return round(_LEVELS[level] * _BITS * math.log(_BITS / free))
