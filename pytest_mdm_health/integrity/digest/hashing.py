"""Rows as hashes: one number for what a row is, one for what some backends cannot keep of it, and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_mdm_health.backends import literal
from pytest_mdm_health.integrity.digest.canonical import Form, Parts, parts
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch, Reader

BUCKETS = 4096
"""A row's bucket is its hash modulo this."""

WIDE = 16
"""Columns that are treated the same from which on they are summed as one long column."""

_COLUMNS_AT_ONCE = 200
_SEPARATOR = "chr(31)"


@dataclass(frozen=True)
class Plan:
    """What the rows are taken for.

    Attributes:
        names: the columns that count, in the order in which they are hashed: sorted, as tables may differ in it.
        forms: what their values are read as.
        written: for columns of text, how dates are written in them, if they are.
    """

    names: tuple[str, ...]
    forms: Mapping[str, Form]
    written: Mapping[str, str] = field(default_factory=dict)


def cells(plan: Plan, reader: Reader, batch: Batch) -> list[Parts]:
    """The canonical form of each column of a batch."""
    return [
        _with_strays(
            parts(
                f"c{index}",
                batch.arrives[index],
                plan.forms[name],
                single=name in reader.single,
                written=plan.written.get(name, ""),
            ),
            batch.strays.get(index),
        )
        for index, name in enumerate(plan.names)
    ]


def _with_strays(part: Parts, stray: str | None) -> Parts:
    if stray is None:
        return part
    either = f"coalesce({stray}, {part.odd})" if part.odd else stray
    either_if = f"({stray} IS NOT NULL OR {part.odd_if})" if part.odd else f"{stray} IS NOT NULL"
    return replace(part, odd=either, odd_if=either_if)


def row_hashes(plan: Plan, reader: Reader, batch: Batch) -> str:
    """The statement for `h`, `fine` and `place` of the rows of a batch.

    `fine` is true of the rows with something that some backends cannot keep, else NULL; `whole_hashes` tells what.
    """
    columns = cells(plan, reader, batch)
    hashed = _hash([column.value for column in columns])
    some = " OR ".join(column.fine_if for column in columns if column.fine)
    fine = f"CASE WHEN {some} THEN TRUE END" if some else "NULL::BOOLEAN"  # faster than the condition by itself
    odd = _texts(plan, [(column.odd, column.odd_if) for column in columns])
    if not odd:
        return f"SELECT {hashed} AS h, {fine} AS fine, place FROM {batch.relation}"  # noqa: S608 - made here
    return (
        "SELECT CASE WHEN o <> '' THEN hash(h, o) ELSE h END AS h, fine, place "  # noqa: S608 - made here
        f"FROM (SELECT {hashed} AS h, {odd} AS o, {fine} AS fine, place FROM {batch.relation})"
    )


def whole_hashes(plan: Plan, reader: Reader, batch: Batch, key: Sequence[str] = ()) -> str:
    """The statement for `h`, `f` and `place`; `f` is a hash of the row and what some backends cannot keep, mostly NULL.

    With a key also `k`, the hash of its values.
    """
    columns = cells(plan, reader, batch)
    hashed = _hash([column.value for column in columns])
    odd = _texts(plan, [(column.odd, column.odd_if) for column in columns]) or "NULL::VARCHAR"
    fine = _texts(plan, [(column.fine, column.fine_if) for column in columns]) or "NULL::VARCHAR"
    keyed = [column.value for name, column in zip(plan.names, columns, strict=True) if name in key]
    more = f", {_hash(keyed)} AS k" if keyed else ""
    return (
        "SELECT CASE WHEN o <> '' THEN hash(h, o) ELSE h END AS h, "  # noqa: S608 - made here
        f"CASE WHEN f <> '' THEN hash(h, f) END AS f, place{', k' if keyed else ''} "
        f"FROM (SELECT {hashed} AS h, {odd} AS o, {fine} AS f, place{more} FROM {batch.relation})"
    )


def _hash(values: Sequence[str]) -> str:
    return f"hash({', '.join(values) or '0'})"


def _texts(plan: Plan, columns: Sequence[tuple[str | None, str]]) -> str:
    """The texts of a row beside its values, each with the name of its column; empty if no row can have any."""
    some = [(name, each, cheap) for name, (each, cheap) in zip(plan.names, columns, strict=True) if each is not None]
    if not some:
        return ""
    named = ", ".join(f"{literal(f'{name}=')}||({each})" for name, each, _ in some)
    return f"CASE WHEN {' OR '.join(cheap for *_, cheap in some)} THEN concat_ws({_SEPARATOR}, {named}) END"


@dataclass(frozen=True)
class Hashes:
    """Tables of hashes of rows.

    Attributes:
        rows: of all rows; empty if they were not kept.
        fine: `h`, `f` and `place` of those with something that some backends cannot keep.
    """

    rows: str
    fine: str


ROWS = "h UBIGINT, fine BOOLEAN, place"
"""The columns of `Hashes.rows`, the type of a place left to say."""

FINE = "h UBIGINT, f UBIGINT, place BIGINT"
"""The columns of `Hashes.fine`."""

SUMS = "bucket USMALLINT, rows BIGINT, total HUGEINT, fine BIGINT"
"""The columns of a table of sums by bucket; a bucket may be in it more than once."""


def fill(workbench: Workbench, reader: Reader, plan: Plan, hashes: Hashes, sums: str) -> None:
    """Put the hashes of all rows into the tables that there are for them, or else their sums by bucket into `sums`.

    Hashes that are kept are added up as if they were of one bucket: most tables are the same, and `fold` does the rest.

    Raises:
        QueryFailed: the rows cannot be read.
    """
    for batch in reader.batches(plan.names):
        hashed = row_hashes(plan, reader, batch)
        if hashes.rows:
            workbench.run(f"INSERT INTO {hashes.rows} {hashed}")
        else:
            fold(workbench, f"({hashed})", sums)
    if hashes.rows:
        workbench.run(f"INSERT INTO {sums} SELECT 0, count(*), coalesce(sum(h), 0), count(fine) FROM {hashes.rows}")  # noqa: S608 - made here
    if workbench.run(f"SELECT 1 FROM {sums} WHERE fine > 0 LIMIT 1"):  # noqa: S608 - made here
        for batch in reader.batches(plan.names):
            whole = whole_hashes(plan, reader, batch)
            workbench.run(f"INSERT INTO {hashes.fine} SELECT h, f, place FROM ({whole}) WHERE f IS NOT NULL")  # noqa: S608 - made here


def fold(workbench: Workbench, rows: str, sums: str) -> None:
    """Add up the hashes of rows by bucket; as small numbers these need no hash table."""
    workbench.run(
        f"INSERT INTO {sums} SELECT (h & {BUCKETS - 1})::USMALLINT, count(*), sum(h), count(fine) "  # noqa: S608 - made here
        f"FROM {rows} GROUP BY 1"
    )


def column_sums(workbench: Workbench, reader: Reader, plan: Plan) -> dict[str, tuple[int, int]]:
    """For each column by itself the sum of its values' hashes and how many values it has.

    Raises:
        QueryFailed: the rows cannot be read.
    """
    sums: dict[str, tuple[int, int]] = {}
    for some in at_once(reader, plan):
        sums |= _column_sums(workbench, reader, some)
    return sums


def at_once(reader: Reader, plan: Plan) -> Iterator[Plan]:
    """The columns in parts for one statement each, where each statement has the rows sent again; else all of them."""
    size = max(len(plan.names), 1) if reader.how == "direct" else _COLUMNS_AT_ONCE
    for first in range(0, len(plan.names), size):
        yield replace(plan, names=plan.names[first : first + size])


def _column_sums(workbench: Workbench, reader: Reader, plan: Plan) -> dict[str, tuple[int, int]]:
    sums: dict[int, tuple[int, int]] = dict.fromkeys(range(len(plan.names)), (0, 0))
    for batch in reader.batches(plan.names):
        alike, others = _alike(plan, reader, batch)
        found = _one_by_one(workbench, plan, reader, batch, others)
        for indexes in alike:
            found |= _together(workbench, plan, reader, batch, indexes)
        sums = {index: (total + found[index][0], count + found[index][1]) for index, (total, count) in sums.items()}
    return {name: (sums[index][0] % 2**64, sums[index][1]) for index, name in enumerate(plan.names)}


def _alike(plan: Plan, reader: Reader, batch: Batch) -> tuple[list[list[int]], list[int]]:
    """The columns of which many are treated the same, in groups, and the rest; none where rows come once only."""
    if reader.how == "copy":
        return [], list(range(len(plan.names)))
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, name in enumerate(plan.names):
        apart = index if batch.strays.get(index) is not None else None
        how = (batch.arrives[index], plan.forms[name], name in reader.single, plan.written.get(name, ""), apart)
        groups.setdefault(how, []).append(index)
    many = [indexes for indexes in groups.values() if len(indexes) >= WIDE]
    return many, [index for indexes in groups.values() if len(indexes) < WIDE for index in indexes]


def _one_by_one(
    workbench: Workbench, plan: Plan, reader: Reader, batch: Batch, indexes: Sequence[int]
) -> dict[int, tuple[int, int]]:
    if not indexes:
        return {}
    every = cells(plan, reader, batch)
    wanted = ", ".join(f"{_cell_hash(every[index])}, {_has_value(every[index])}" for index in indexes)
    found = workbench.run(f"SELECT {wanted} FROM {batch.relation}")[0]  # noqa: S608 - made here
    pairs = zip(found[::2], found[1::2], strict=True)
    return {index: (total or 0, count) for index, (total, count) in zip(indexes, pairs, strict=True)}


def _together(
    workbench: Workbench, plan: Plan, reader: Reader, batch: Batch, indexes: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """As one long column: for hundreds of columns, making sense of the statement takes longer than the rows of most."""
    name = plan.names[indexes[0]]
    cell = parts(
        "v",
        batch.arrives[indexes[0]],
        plan.forms[name],
        single=name in reader.single,
        written=plan.written.get(name, ""),
    )
    values, places = ", ".join(f"c{index}" for index in indexes), ", ".join(map(str, indexes))
    found = workbench.run(
        f"SELECT p, {_cell_hash(cell)}, {_has_value(cell)} "  # noqa: S608 - made here
        f"FROM (SELECT unnest([{values}]) AS v, unnest([{places}]) AS p FROM {batch.relation}) GROUP BY p"
    )
    sums = {index: (total or 0, count) for index, total, count in found}
    return {index: sums.get(index, (0, 0)) for index in indexes}


def _cell_hash(cell: Parts) -> str:
    if cell.odd is None:
        return f"sum(hash({cell.value}))"
    return f"sum(CASE WHEN ({cell.odd}) IS NULL THEN hash({cell.value}) ELSE hash({cell.value}, {cell.odd}) END)"


def _has_value(cell: Parts) -> str:
    odd = f" OR ({cell.odd}) IS NOT NULL" if cell.odd else ""
    fine = f" OR ({cell.fine}) IS NOT NULL" if cell.fine else ""
    return f"count(CASE WHEN ({cell.value}) IS NOT NULL{odd}{fine} THEN 1 END)"


def fine_counts(workbench: Workbench, reader: Reader, plan: Plan) -> dict[str, dict[str, int]]:
    """How many values of each column some backends cannot keep, by the letters of `canonical`.

    Raises:
        QueryFailed: the rows cannot be read.
    """
    counts: dict[str, dict[str, int]] = {}
    for batch in reader.batches(plan.names):
        fine = [
            (name, cell.fine) for name, cell in zip(plan.names, cells(plan, reader, batch), strict=True) if cell.fine
        ]
        wanted = [f"count(CASE WHEN left({each}, 1) = '{letter}' THEN 1 END)" for _, each in fine for letter in "nzd"]
        if not wanted:
            continue
        found = workbench.run(f"SELECT {', '.join(wanted)} FROM {batch.relation}")[0]  # noqa: S608 - made here
        keys = [(name, letter) for name, _ in fine for letter in "nzd"]
        for (name, letter), count in zip(keys, found, strict=True):
            if count:
                column = counts.setdefault(name, {})
                column[letter] = column.get(letter, 0) + count
    return counts
