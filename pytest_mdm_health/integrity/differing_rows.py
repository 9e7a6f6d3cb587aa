"""The rows that are not on both sides equally often, and where they are.

They are looked for in one part of the buckets after the other, so that memory stays the same when every row differs.
Their places are kept in tables, which the engine moves to disk if they are many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_mdm_health.integrity.digest.hashing import BUCKETS, Hashes
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.patterns import FEWEST

EXAMINED = 1000
"""Places that are told of each side at most: the first."""

PLACES = "place BIGINT, doubled BOOLEAN"
"""The columns of a table of places: where a row is, and whether the other side has it as well, and not as often."""

_ROWS_AT_ONCE = 1_000_000
_FEW_BUCKETS = 64


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
        doubled: the first of those that came that are duplicates; all of those in `come`.
        complete: whether `gone` and `come` are all.
        missing_span, added_span: where they are.
        places: the tables of all places, before and after: `place`, and `doubled` as above.
    """

    missing: int
    added: int
    duplicated: int
    gone: tuple[int, ...]
    come: tuple[int, ...]
    doubled: frozenset[int]
    missing_span: Span
    added_span: Span
    places: tuple[str, str]

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


def differing_rows(
    workbench: Workbench,
    sides: tuple[Hashes, Hashes],
    places: tuple[str, str],
    buckets: Sequence[int],
    rows: int,
    *,
    fine: bool,
) -> DifferingRows:
    """Compare two tables of hashes row by row, in these buckets.

    Args:
        workbench: where they are.
        sides: the hashes of before and of after.
        places: an empty table for each side, as `PLACES` has it; they are filled with the rows that differ.
        buckets: those that differ.
        rows: how many both have.
        fine: whether what some backends cannot keep counts.
    """
    at_once = max(_ROWS_AT_ONCE * BUCKETS // max(rows, 1), 1)
    for start in range(0, len(buckets), at_once):
        _compare(workbench, sides, buckets[start : start + at_once], places, fine=fine)
    (gone, _), (come, doubled) = (_counted(workbench, each) for each in places)
    first = [_first(workbench, each) for each in places]
    return DifferingRows(
        gone.rows,
        come.rows,
        doubled,
        tuple(place for place, _ in first[0]),
        tuple(place for place, _ in first[1]),
        frozenset(place for place, twice in (*first[1], *_first(workbench, places[1], "WHERE doubled")) if twice),
        _within(workbench, gone, sides[0].rows),
        _within(workbench, come, sides[1].rows),
        places,
    )


def _counted(workbench: Workbench, places: str) -> tuple[Span, int]:
    """Where the rows of one side are, and how many of them are on the other side as well."""
    ((rows, doubled, first, last),) = workbench.run(
        f"SELECT count(*), count(*) FILTER (doubled), coalesce(min(place), 0), coalesce(max(place), -1) FROM {places}"  # noqa: S608 - made here
    )
    return Span(int(rows), int(first), int(last), 0, 0), int(doubled)


def _first(workbench: Workbench, places: str, which: str = "") -> list[tuple[int, bool]]:
    found = workbench.run(f"SELECT place, doubled FROM {places} {which} ORDER BY place LIMIT {EXAMINED}")  # noqa: S608 - made here
    return [(int(place), bool(doubled)) for place, doubled in found]


def _within(workbench: Workbench, span: Span, rows: str) -> Span:
    """With what the table has between the first and the last of these rows."""
    ((between, last_of_table),) = workbench.run(
        f"SELECT count(*) FILTER (place BETWEEN {span.first} AND {span.last}), coalesce(max(place), 0) FROM {rows}"  # noqa: S608 - made here
    )
    return replace(span, between=int(between), last_of_table=int(last_of_table))


def _compare(
    workbench: Workbench,
    sides: tuple[Hashes, Hashes],
    buckets: Sequence[int],
    places: tuple[str, str],
    *,
    fine: bool,
) -> None:
    """Add what is found in some buckets."""
    with (
        workbench.table("some", "side BOOLEAN, h UBIGINT, f UBIGINT, place BIGINT") as some,
        workbench.table("counted", "h UBIGINT, f UBIGINT, b BIGINT, a BIGINT") as found,
    ):
        for side, hashes in enumerate(sides):
            workbench.run(f"INSERT INTO {some} {_rows(hashes, buckets, side, fine=fine)}")
        workbench.run(
            f"INSERT INTO {found} SELECT h, f, count(*) FILTER (NOT side) AS b, count(*) FILTER (side) AS a "  # noqa: S608 - made here
            f"FROM {some} GROUP BY h, f HAVING b <> a"
        )
        for side, (mine, theirs) in enumerate((("b", "a"), ("a", "b"))):
            _place(workbench, places[side], (some, side), found, mine, theirs)


def _rows(hashes: Hashes, buckets: Sequence[int], side: int, *, fine: bool) -> str:
    """The statement for the rows in some buckets, or in a range of buckets that has all of them."""
    bucket = f"(r.h & {BUCKETS - 1})"
    chosen = f"{bucket} BETWEEN {buckets[0]} AND {buckets[-1]}"
    if len(buckets) <= _FEW_BUCKETS:
        chosen = f"{bucket} IN ({', '.join(map(str, buckets))})"
    if not fine:
        return f"SELECT {side}::BOOLEAN, h, 0, place FROM {hashes.rows} r WHERE {chosen}"  # noqa: S608 - made here
    return (
        f"SELECT {side}::BOOLEAN, r.h, coalesce(x.f, 0), r.place FROM {hashes.rows} r "  # noqa: S608 - made here
        f"LEFT JOIN {hashes.fine} x ON r.fine AND r.place = x.place WHERE {chosen}"
    )


def _place(workbench: Workbench, into: str, rows: tuple[str, int], found: str, mine: str, theirs: str) -> None:
    """Where the surplus of one side is; of rows that are there more than once, the last ones."""
    some, side = rows
    matched = f"{some} r JOIN {found} c ON r.h = c.h AND r.f = c.f WHERE r.side = {side}::BOOLEAN"
    workbench.run(f"INSERT INTO {into} SELECT r.place, FALSE FROM {matched} AND c.{theirs} = 0")  # noqa: S608 - made here
    workbench.run(
        f"INSERT INTO {into} SELECT place, TRUE FROM (SELECT r.place AS place, c.{mine} - c.{theirs} AS surplus, "  # noqa: S608 - made here
        f"row_number() OVER (PARTITION BY r.h, r.f ORDER BY r.place DESC) AS nth FROM {matched} "
        f"AND c.{theirs} > 0 AND c.{mine} > c.{theirs}) WHERE nth <= surplus"
    )
