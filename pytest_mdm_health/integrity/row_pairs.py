"""Which of the rows that are gone became which of those that came: by key, else by what they have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Cells = tuple[str | None, ...]
COMPARED = 4_000_000
"""Rows gone times rows that came times columns, up to which rows are paired by likeness."""


@dataclass(frozen=True)
class Pairs:
    """Rows that changed, and those that are only on one side, by their places."""

    altered: tuple[tuple[int, int], ...]
    gone: tuple[int, ...]
    come: tuple[int, ...]


def paired(gone: Mapping[int, Cells], come: Mapping[int, Cells], key: Sequence[int] = ()) -> Pairs:
    """Pair rows.

    Args:
        gone: rows that are only before, by place.
        come: rows that are only after.
        key: the columns that identify a row; a row whose key is on one side only is not paired, unless all are such and
            one column of several tells the rows apart as well: then another one was altered in all of them.
    """
    pairs = list(_by_key(gone, come, key) if key else _by_all_but_one(gone, come))
    if key and not pairs:
        pairs = list(_by_part_of_key(gone, come, key))
    if not key:
        left = {place: row for place, row in gone.items() if place not in {one for one, _ in pairs}}
        others = {place: row for place, row in come.items() if place not in {other for _, other in pairs}}
        pairs += _by_likeness(left, others)
    taken, given = {one for one, _ in pairs}, {other for _, other in pairs}
    return Pairs(
        tuple(sorted(pairs)),
        tuple(place for place in gone if place not in taken),
        tuple(place for place in come if place not in given),
    )


def _by_key(gone: Mapping[int, Cells], come: Mapping[int, Cells], key: Sequence[int]) -> Iterator[tuple[int, int]]:
    waiting: dict[Cells, list[int]] = defaultdict(list)
    for place, row in come.items():
        waiting[tuple(row[index] for index in key)].append(place)
    for place, row in gone.items():
        others = waiting.get(tuple(row[index] for index in key))
        if others:
            yield place, others.pop(0)


def _by_part_of_key(
    gone: Mapping[int, Cells], come: Mapping[int, Cells], key: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Where no key is on both sides: by a column of the key that tells all rows apart by itself."""
    if len(key) == 1:
        return
    for column in key:
        old, new = ({row[column]: place for place, row in side.items()} for side in (gone, come))
        if len(old) == len(gone) > 1 and len(new) == len(come) > 1 and not old.keys().isdisjoint(new):
            yield from ((place, new[value]) for value, place in old.items() if value in new)
            return


def _by_all_but_one(gone: Mapping[int, Cells], come: Mapping[int, Cells]) -> Iterator[tuple[int, int]]:
    """Rows that differ in one column; told by sums, from which one column is taken out."""
    width = len(next(iter(gone.values()), ()))
    sums = [{place: sum(hash(cell) for cell in enumerate(row)) for place, row in side.items()} for side in (gone, come)]
    taken: set[int] = set()
    given: set[int] = set()
    for column in range(width):
        waiting: dict[int, list[int]] = defaultdict(list)
        for place, row in come.items():
            if place not in given:
                waiting[sums[1][place] - hash((column, row[column]))].append(place)
        for place, row in gone.items():
            others = waiting.get(sums[0][place] - hash((column, row[column]))) if place not in taken else None
            if others:
                taken.add(place)
                given.add(others[0])
                yield place, others.pop(0)


def _by_likeness(gone: Mapping[int, Cells], come: Mapping[int, Cells]) -> Iterator[tuple[int, int]]:
    """The best of what is left, if more than half of the columns are the same."""
    width = len(next(iter(gone.values()), ()))
    if len(gone) * len(come) * width > COMPARED:
        return
    likeness = (
        (sum(a == b for a, b in zip(row, other, strict=True)), place, target)
        for place, row in gone.items()
        for target, other in come.items()
    )
    taken: set[int] = set()
    given: set[int] = set()
    for same, place, target in sorted(likeness, key=lambda each: (-each[0], *each[1:])):
        if same * 2 > width and place not in taken and target not in given:
            taken.add(place)
            given.add(target)
            yield place, target
