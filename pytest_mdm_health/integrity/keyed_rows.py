"""Rows that differ, paired by a key in the engine: counted exactly, however many there are.

Of both sides only the hashes of cells are kept, in tables that the engine moves to disk if they are large, and of wide
tables some columns after the other. The rows listed are limited; the counts are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import combinations

from pytest_mdm_health.integrity.differing_rows import EXAMINED
from pytest_mdm_health.integrity.duckdb_session import Workbench

Sides = tuple[str, str]
Hashed = Callable[[Sequence[str]], AbstractContextManager[Sides]]
"""Makes a table for each side of the rows that differ: `place`, and `c0`, `c1`, … with a hash of each cell."""

_CELLS = 32_000_000
_FEWEST_COLUMNS = 8
_TRIED = 8
_PARTS = 6
_LARGEST_KEY = 3
_NEARLY_ALL = 0.8
"""Of rows that are all different; what tells them roughly may be wrong by some in a hundred."""


@dataclass(frozen=True, kw_only=True)
class KeyedRows:
    """The rows that differ, paired by a key.

    Attributes:
        key: the columns that they were paired by.
        altered: how many rows are on both sides by their key.
        columns: for each column concerned, how many cells are altered.
        pairs: the places of the first altered rows, before and after.
        gone, come: the places of the first rows that are on one side only.
    """

    key: tuple[str, ...]
    altered: int
    columns: Mapping[str, int]
    pairs: tuple[tuple[int, int], ...]
    gone: tuple[int, ...]
    come: tuple[int, ...]


def keyed_rows(
    workbench: Workbench, hashed: Hashed, names: Sequence[str], key: Sequence[str], rows: int, shown: int
) -> KeyedRows | None:
    """Pair the rows that differ by the registered key, or by columns that tell them apart as well.

    Args:
        workbench: where they are.
        hashed: makes the tables of them.
        names: their columns.
        key: those that are registered as the key.
        rows: how many rows there are on the side that has more of them.
        shown: how many places of rows on one side only are wanted.

    Returns:
        None if no column, and no few columns together, tell the rows of each side apart.

    Raises:
        QueryFailed: they cannot be read.
    """
    own = [name for name in key if name in names] if set(key) <= set(names) else []
    ordered = [*own, *(name for name in names if name not in own)]
    size = max(_FEWEST_COLUMNS, len(own), _CELLS // max(rows, 1))
    parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    with workbench.table("pairs", "one BIGINT, other BIGINT") as pairs:
        with hashed(parts[0]) as sides:
            chosen = _Search(workbench, sides, len(parts[0])).key(len(own))
            if chosen is None:
                return None
            workbench.run(f"INSERT INTO {pairs} SELECT g.place, c.place FROM {_joined(sides, chosen)}")  # noqa: S608 - made here
            counts = _altered(workbench, sides, pairs, parts[0])
            gone, come = _alone(workbench, sides, pairs, shown)
        for part in parts[1:]:
            with hashed(part) as more:
                counts |= _altered(workbench, more, pairs, part)
        ((altered,),) = workbench.run(f"SELECT count(*) FROM {pairs}")  # noqa: S608 - made here
        first = workbench.run(f"SELECT one, other FROM {pairs} ORDER BY one LIMIT {EXAMINED}")  # noqa: S608 - made here
    return KeyedRows(
        key=tuple(parts[0][index] for index in chosen),
        altered=int(altered),
        columns={name: counts[name] for name in names if counts[name]},
        pairs=tuple((int(one), int(other)) for one, other in first),
        gone=gone,
        come=come,
    )


def _joined(sides: Sides, key: Iterable[int]) -> str:
    return f"{sides[0]} g JOIN {sides[1]} c ON {' AND '.join(f'g.c{index} = c.c{index}' for index in key)}"


def _altered(workbench: Workbench, sides: Sides, pairs: str, names: Sequence[str]) -> dict[str, int]:
    """In how many pairs each column differs."""
    counts = ", ".join(f"count(*) FILTER (g.c{index} <> c.c{index})" for index in range(len(names)))
    (found,) = workbench.run(
        f"SELECT {counts} FROM {pairs} p JOIN {sides[0]} g ON g.place = p.one JOIN {sides[1]} c ON c.place = p.other"  # noqa: S608 - made here
    )
    return {name: int(count) for name, count in zip(names, found, strict=True)}


def _alone(workbench: Workbench, sides: Sides, pairs: str, shown: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first places of each side that are in no pair."""
    gone, come = (
        tuple(
            int(place)
            for (place,) in workbench.run(
                f"SELECT place FROM {side} ANTI JOIN {pairs} ON place = {column} ORDER BY place LIMIT {shown}"  # noqa: S608 - made here
            )
        )
        for side, column in zip(sides, ("one", "other"), strict=True)
    )
    return gone, come


@dataclass(frozen=True)
class _Search:
    """The columns, by their numbers, that tell the rows of each side apart and that both sides share."""

    workbench: Workbench
    sides: Sides
    width: int

    def key(self, registered: int) -> tuple[int, ...] | None:
        """The first columns if they are a key, else others; the first ones too if no row of theirs is on both sides."""
        own = tuple(range(registered))
        usable = bool(own) and self._is_unique(own)
        if usable and self._pairs_and_cells(own)[0]:
            return own
        return self._other(() if usable else own) or (own if usable else None)

    def _other(self, ambiguous: tuple[int, ...]) -> tuple[int, ...] | None:
        """The columns with which the rows differ least; as few of them as will do, or more than an ambiguous key."""
        for some in self._candidates(ambiguous):
            costs = {each: self._cost(each) for each in some if self._is_unique(each)}
            known = {each: cost for each, cost in costs.items() if cost is not None}
            if known:
                return min(known, key=lambda each: known[each])
        return None

    def _candidates(self, ambiguous: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
        distinct, shared = self._distinct_and_shared()
        rows = [self._rows(side) for side in (0, 1)]
        others = sorted(set(range(self.width)) - {*ambiguous}, key=lambda each: (-shared[each], each))
        if ambiguous:
            yield [(*ambiguous, each) for each in others[:_TRIED]]
        telling = [each for each in others if all(distinct[side][each] >= _NEARLY_ALL * rows[side] for side in (0, 1))]
        yield [(each,) for each in telling[:_TRIED]]
        kept = [each for each in others if shared[each] * 2 >= min(distinct[0][each], distinct[1][each])]
        parts = sorted(kept, key=lambda each: (-min(distinct[0][each], distinct[1][each]), each))[:_PARTS]
        for size in range(2, _LARGEST_KEY + 1):
            yield list(combinations(sorted(parts), size))

    def _distinct_and_shared(self) -> tuple[list[list[int]], list[int]]:
        """About how many values each column has on either side, and on both."""
        counts = ", ".join(f"approx_count_distinct(c{index})" for index in range(self.width))
        one, other = self.sides
        columns = ", ".join(f"c{index}" for index in range(self.width))
        together = f"(SELECT {columns} FROM {one} UNION ALL SELECT {columns} FROM {other})"  # noqa: S608 - made here
        found = [self.workbench.run(f"SELECT {counts} FROM {each}")[0] for each in (one, other, together)]  # noqa: S608 - made here
        shared = [max(a + b - both, 0) for a, b, both in zip(*found, strict=True)]
        return [list(found[0]), list(found[1])], shared

    def _rows(self, side: int) -> int:
        return int(self.workbench.run(f"SELECT count(*) FROM {self.sides[side]}")[0][0])  # noqa: S608 - made here

    def _is_unique(self, key: tuple[int, ...]) -> bool:
        """Whether no two rows of a side have the same values in these columns."""
        columns = ", ".join(f"c{index}" for index in key)
        return not any(
            self.workbench.run(f"SELECT 1 FROM {each} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1")  # noqa: S608 - made here
            for each in self.sides
        )

    def _cost(self, key: tuple[int, ...]) -> int | None:
        """How many cells differ if rows are paired by these columns; None if most of them have no other."""
        pairs, cells = self._pairs_and_cells(key)
        rows = self._rows(0), self._rows(1)
        return cells + self.width * (sum(rows) - 2 * pairs) if pairs * 2 >= max(min(rows), 1) else None

    def _pairs_and_cells(self, key: tuple[int, ...]) -> tuple[int, int]:
        cells = " + ".join(f"(g.c{index} <> c.c{index})::BIGINT" for index in range(self.width))
        ((pairs, altered),) = self.workbench.run(
            f"SELECT count(*), coalesce(sum({cells}), 0) FROM {_joined(self.sides, key)}"  # noqa: S608 - made here
        )
        return int(pairs), int(altered)
