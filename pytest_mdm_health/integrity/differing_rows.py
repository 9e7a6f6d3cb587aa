"""The rows that are not on both sides equally often, and where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_mdm_health.integrity.hashing import BUCKETS
from pytest_mdm_health.integrity.patterns import FEWEST
from pytest_mdm_health.integrity.workbench import Workbench

EXAMINED = 1000
"""Places that are told of each side at most: the first."""


@dataclass(frozen=True)
class Span:
    """Where some rows are: how many, the first and the last place, and how many rows of the table are between these."""

    rows: int
    first: int
    last: int
    between: int
    last_of_table: int


@dataclass(frozen=True)
class DifferingRows:
    """What differs between two tables of hashes.

    Attributes:
        missing: rows that are more often before than after.
        added: rows that are more often after.
        duplicated: those of the added that were there before, and not as often.
        gone, come: the places of the first of them, before and after.
        doubled: those of `come` that are duplicates.
        complete: whether `gone` and `come` are all.
        missing_span, added_span: where they are.
    """

    missing: int
    added: int
    duplicated: int
    gone: tuple[int, ...]
    come: tuple[int, ...]
    doubled: frozenset[int]
    missing_span: Span
    added_span: Span

    @property
    def complete(self) -> bool:
        """Whether the places are those of all rows that differ."""
        return len(self.gone) == self.missing and len(self.come) == self.added

    def patterns(self, altered: int) -> Iterator[str]:
        """What the places look like; see `patterns`."""
        gone, come = self.missing_span, self.added_span
        at_the_end = gone.last == gone.last_of_table and gone.between == gone.rows
        if not self.added and not altered and gone.rows >= FEWEST and at_the_end:
            yield "truncated-tail"
        if not self.missing and self.added == self.duplicated and come.rows >= FEWEST and come.between == come.rows:
            yield "repeated-block"


@contextmanager
def differing_rows(
    workbench: Workbench, before: str, after: str, buckets: Sequence[int], *, fine: bool
) -> Iterator[DifferingRows]:
    """Compare two tables of hashes row by row, in these buckets.

    Args:
        workbench: where they are.
        before: the name of one.
        after: the name of the other.
        buckets: those that differ.
        fine: whether what some backends cannot keep counts.
    """
    some = "" if len(buckets) > BUCKETS // 2 else f" WHERE h % {BUCKETS} IN ({', '.join(map(str, buckets))})"
    more = "coalesce(f, 0)" if fine else "0::UBIGINT"
    sides = " UNION ALL ".join(
        f"SELECT h, {more} AS f, {one} AS b, {other} AS a FROM {name}{some}"  # noqa: S608 - made here
        for name, one, other in ((before, 1, 0), (after, 0, 1))
    )
    counted = f"SELECT h, f, sum(b) AS b, sum(a) AS a FROM ({sides}) GROUP BY h, f HAVING sum(b) <> sum(a)"  # noqa: S608 - made here
    with (
        workbench.table("counted", "h UBIGINT, f UBIGINT, b BIGINT, a BIGINT") as found,
        workbench.table("gone", "place BIGINT, doubled BOOLEAN") as gone,
        workbench.table("come", "place BIGINT, doubled BOOLEAN") as come,
    ):
        workbench.run(f"INSERT INTO {found} {counted}")
        _place(workbench, gone, before, some, found, more, ("b", "a"))
        _place(workbench, come, after, some, found, more, ("a", "b"))
        yield _told(workbench, found, (before, gone), (after, come))


def _place(
    workbench: Workbench, into: str, rows: str, some: str, found: str, more: str, sides: tuple[str, str]
) -> None:
    """Where the surplus of one side is; of rows that are there more than once, the last ones."""
    mine, theirs = sides
    workbench.run(
        f"INSERT INTO {into} SELECT r.place, c.{theirs} > 0 FROM "  # noqa: S608 - made here
        f"(SELECT h, {more} AS f, place FROM {rows}{some}) r JOIN {found} c ON r.h = c.h AND r.f = c.f "
        f"WHERE c.{theirs} = 0"
    )
    workbench.run(
        f"INSERT INTO {into} SELECT place, TRUE FROM (SELECT r.place AS place, c.{mine} - c.{theirs} AS surplus, "  # noqa: S608 - made here
        f"row_number() OVER (PARTITION BY r.h, r.f ORDER BY r.place DESC) AS nth FROM "
        f"(SELECT h, {more} AS f, place FROM {rows}{some}) r JOIN "
        f"(SELECT * FROM {found} WHERE {theirs} > 0 AND {mine} > {theirs}) c ON r.h = c.h AND r.f = c.f) "
        f"WHERE nth <= surplus"
    )


def _told(workbench: Workbench, found: str, before: tuple[str, str], after: tuple[str, str]) -> DifferingRows:
    ((missing, added, duplicated),) = workbench.run(
        "SELECT coalesce(sum(greatest(b - a, 0)), 0), coalesce(sum(greatest(a - b, 0)), 0), "  # noqa: S608 - made here
        f"coalesce(sum(CASE WHEN b > 0 THEN greatest(a - b, 0) END), 0) FROM {found}"
    )
    gone, come = (_first(workbench, places) for _, places in (before, after))
    return DifferingRows(
        int(missing),
        int(added),
        int(duplicated),
        tuple(place for place, _ in gone),
        tuple(place for place, _ in come),
        frozenset(place for place, doubled in come if doubled),
        _span(workbench, *before),
        _span(workbench, *after),
    )


def _first(workbench: Workbench, places: str) -> list[tuple[int, bool]]:
    rows = workbench.run(f"SELECT place, doubled FROM {places} ORDER BY place LIMIT {EXAMINED}")  # noqa: S608 - made here
    return [(int(place), bool(doubled)) for place, doubled in rows]


def _span(workbench: Workbench, rows: str, places: str) -> Span:
    ((count, first, last),) = workbench.run(
        f"SELECT count(*), coalesce(min(place), 0), coalesce(max(place), -1) FROM {places}"  # noqa: S608 - made here
    )
    ((between, last_of_table),) = workbench.run(
        f"SELECT count(*) FILTER (place BETWEEN {first} AND {last}), coalesce(max(place), 0) FROM {rows}"  # noqa: S608 - made here
    )
    return Span(int(count), int(first), int(last), int(between), int(last_of_table))
