"""Two tables that can both be read, compared to the cell: only what differs is read again."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from pytest_mdm_health.integrity import patterns
from pytest_mdm_health.integrity.compare import Comparison, compare_digests
from pytest_mdm_health.integrity.differing_rows import PLACES, DifferingRows, differing_rows
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.digest.hashing import Hashes, Plan, cells
from pytest_mdm_health.integrity.digest.tables import TableDigest, digested, in_buckets, plan_for
from pytest_mdm_health.integrity.duckdb_session import MEMORY_LIMIT, Workbench
from pytest_mdm_health.integrity.keyed_rows import keyed_rows
from pytest_mdm_health.integrity.readers.base import Batch, Reader, Source
from pytest_mdm_health.integrity.readers.sources import opened, workbench_for
from pytest_mdm_health.integrity.row_pairs import COMPARED, Cells, Pairs, paired
from pytest_mdm_health.integrity.table_comparison import CellChange, RowChange, RowCounts

SHOWN = 10
"""Rows that are told of one by one."""

_MANY = 100
"""Rows from which on it is no chance that a column other than the key tells all of them apart."""

_SALT = secrets.token_bytes(16)
"""Drawn again by each process: otherwise anyone could look up the hash of a small number or a yes."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What exactly is different.

    Attributes:
        rows: how many.
        cells: for each column concerned, how many of its cells are altered; in the rows read again if not complete.
        examples: the first of the rows.
        patterns: what the difference looks like.
    """

    rows: RowCounts
    cells: Mapping[str, int]
    examples: tuple[RowChange, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A comparison, and its detail if there is a difference that can be opened.

    Attributes:
        before, after: the digests; their buckets are added up as one.
    """

    comparison: Comparison
    before: TableDigest
    after: TableDigest
    detail: Detail | None


class NotWhatItWas(Exception):
    """A table that is not the one that was recorded, or cannot be shown to be; its text follows the table's name."""


def compare_tables(
    before: Source,
    after: Source,
    *,
    key: Sequence[str] = (),
    show_values: bool = False,
    memory_limit: str = MEMORY_LIMIT,
) -> Difference:
    """Compare two tables to the cell.

    Args:
        before: where the table is as it was.
        after: where it is as it is.
        key: columns that identify a row, if some do.
        show_values: tell values of differing cells, rather than hashes of them.
        memory_limit: what DuckDB may hold.

    Raises:
        CannotOpen: one cannot be opened.
        QueryFailed: one cannot be read, or is not there.
        Unreadable: a file cannot be read, or is no table.
    """
    with workbench_for(before, after, memory_limit=memory_limit) as workbench:
        return compared(workbench, before, after, key=key, show_values=show_values)


def compared(
    workbench: Workbench,
    before: Source,
    after: Source,
    *,
    key: Sequence[str] = (),
    show_values: bool = False,
    recorded: TableDigest | None = None,
) -> Difference:
    """As `compare_tables`, in a workbench that there is; `recorded` is what a baseline says was there before.

    Raises:
        NotWhatItWas: the table of before is not that.
    """
    with ExitStack() as stack:
        old, old_rows = _kept(stack, workbench, before, recorded or _typed_like(workbench, before, after))
        if recorded is not None:
            _must_be(recorded, old)
        new, new_rows = _kept(stack, workbench, after, old)
        like = old
        if {each.name for each in old.columns} - {each.name for each in new.columns} and new.columns:
            like, old_rows = _kept(stack, workbench, before, new)
        comparison, detail = compare_digests(like, new), None
        if comparison.differing:
            comparison = compare_digests(in_buckets(workbench, like, old_rows), in_buckets(workbench, new, new_rows))
            rows = like.rows + new.rows
            gone, come = (stack.enter_context(workbench.table(each, PLACES)) for each in ("gone", "come"))
            buckets, sides = comparison.differing, (old_rows, new_rows)
            differing = differing_rows(workbench, sides, (gone, come), buckets, rows, fine=comparison.fine)
            look = _Look(workbench, before, after, new, tuple(key), comparison.fine, show_values)
            detail = workbench.carefully(lambda: look.detail(differing))
        if len(like.columns) < len(old.columns):
            comparison = _without_missing(comparison, old, new)
        return Difference(comparison, old, new, detail)


def _must_be(recorded: TableDigest, found: TableDigest) -> None:
    comparison = compare_digests(recorded, found)
    if comparison.verdict == "incomparable":
        raise NotWhatItWas("cannot be shown to be what was there before")
    if comparison.verdict != "equal":
        raise NotWhatItWas("is not what was there before")


def _typed_like(workbench: Workbench, before: Source, after: Source) -> TableDigest | None:
    """A text file has no types of its own, so it is read as what it is compared with."""
    if before.engine == "csv" and after.engine != "csv":
        with digested(workbench, after) as (digest, _):
            return digest
    return None


def _kept(
    stack: ExitStack, workbench: Workbench, source: Source, like: TableDigest | None
) -> tuple[TableDigest, Hashes]:
    return stack.enter_context(digested(workbench, source, like, keep=True))


def _without_missing(comparison: Comparison, old: TableDigest, new: TableDigest) -> Comparison:
    gone = tuple(each.name for each in old.columns if each.name not in {other.name for other in new.columns})
    reason = f"columns are gone: {', '.join(gone)}; in the others {comparison.reason}"
    return replace(comparison, verdict="differs", reason=reason, missing_columns=gone)


@dataclass(frozen=True)
class _Counts:
    """How many rows are altered, and how many cells of which columns, where not only those looked at were counted."""

    altered: int
    columns: Mapping[str, int] | None = None
    complete: bool = True


def _both_sides(differing: DifferingRows) -> bool:
    """Whether rows may have become others: some are gone, and others came."""
    return differing.missing > 0 and differing.added > differing.duplicated


def _may_be_altered(pairs: Pairs, key: Sequence[int], width: int) -> bool:
    """Whether rows of which each was looked at may still be the same: their key changed, or they are too many."""
    gone, come = len(pairs.gone), len(pairs.come)
    if key:
        return not pairs.altered and min(gone, come) >= _MANY
    return gone * come * width > COMPARED


@dataclass(frozen=True)
class _Look:
    """A second reading of what differs."""

    workbench: Workbench
    before: Source
    after: Source
    like: TableDigest
    key: tuple[str, ...]
    fine: bool
    show_values: bool

    def detail(self, differing: DifferingRows) -> Detail:
        """What exactly is different."""
        exact = self._by_key(differing) if not differing.complete and _both_sides(differing) else None
        return exact or self._by_looking(differing)

    def _by_looking(self, differing: DifferingRows) -> Detail:
        """By the rows that are looked at one by one, which are all if they are not many."""
        names, gone = self._read(self.before, differing.gone)
        _, come = self._read(self.after, differing.come)
        key = [names.index(each) for each in self.key if each in names]
        pairs = paired(gone, {place: row for place, row in come.items() if place not in differing.doubled}, key)
        unsure = not differing.complete and _both_sides(differing)
        if differing.complete and _may_be_altered(pairs, key, len(names)):
            exact = self._by_key(differing)
            if exact is not None:
                return exact
            unsure = not key
        looked = len(pairs.altered)
        altered = min(differing.missing, differing.added - differing.duplicated) if unsure else looked
        return self._told(names, gone, come, pairs, differing, _Counts(altered, complete=not unsure))

    def _by_key(self, differing: DifferingRows) -> Detail | None:
        """By a key, in the engine: all rows, of which the first are looked at."""
        names = self._names()
        rows = max(differing.missing, differing.added)
        hashed = partial(self._hashed, differing.places)
        exact = keyed_rows(self.workbench, hashed, names, self.key, rows, SHOWN)
        if exact is None:
            return None
        pairs = Pairs(exact.pairs, exact.gone, exact.come)
        doubled = sorted(differing.doubled)[:SHOWN]
        _, gone = self._read(self.before, sorted({*exact.gone, *(one for one, _ in exact.pairs)}))
        _, come = self._read(self.after, sorted({*exact.come, *doubled, *(other for _, other in exact.pairs)}))
        counts = _Counts(exact.altered, columns=exact.columns, complete=True)
        return self._told(names, gone, come, pairs, differing, counts)

    def _told(
        self,
        names: Sequence[str],
        gone: Mapping[int, Cells],
        come: Mapping[int, Cells],
        pairs: Pairs,
        differing: DifferingRows,
        counts: _Counts,
    ) -> Detail:
        key = [names.index(each) for each in self.key if each in names]
        changes = [
            (column, one, other)
            for place, target in pairs.altered
            for column, one, other in _changes(gone[place], come[target])
        ]
        altered = counts.altered
        columns = dict(Counter(names[column] for column, *_ in changes)) if counts.columns is None else counts.columns
        rows = [(gone[place], come[target]) for place, target in pairs.altered]
        found = (*differing.patterns(altered), *patterns.of_cells(changes), *patterns.of_rows(rows))
        return Detail(
            rows=RowCounts(
                missing=differing.missing - altered,
                added=differing.added - differing.duplicated - altered,
                duplicated=differing.duplicated,
                altered=altered,
                complete=counts.complete,
            ),
            cells=columns,
            examples=tuple(
                each
                for each in self._rows(names, gone, come, pairs, differing.doubled, key)
                if counts.complete or each.kind not in {"missing", "added"}
            ),
            patterns=tuple(each for each in found if each != "one-column" or len(columns) == 1),
        )

    def _names(self) -> tuple[str, ...]:
        with opened(self.after, self.workbench) as reader:
            return plan_for(self.workbench, reader, self.like).names

    @contextmanager
    def _hashed(self, places: tuple[str, str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
        """A table of hashes of cells for each side; without rows that the other side has as well."""
        definition = ", ".join(("place BIGINT", *(f"c{index} UBIGINT" for index in range(len(names)))))
        with self.workbench.table("gone", definition) as gone, self.workbench.table("come", definition) as come:
            self._fill(gone, self.before, names, places[0])
            self._fill(come, self.after, names, f"(SELECT place FROM {places[1]} WHERE NOT doubled)")  # noqa: S608 - made here
            yield gone, come

    def _fill(self, table: str, source: Source, names: Sequence[str], places: str) -> None:
        with opened(source, self.workbench) as reader:
            plan = replace(plan_for(self.workbench, reader, self.like), names=tuple(names))
            for batch in reader.batches(plan.names):
                hashed = "".join(f", hash({each})" for each in self._texts(plan, reader, batch))
                self.workbench.run(
                    f"INSERT INTO {table} SELECT r.place{hashed} FROM {batch.relation} r SEMI JOIN {places} p "  # noqa: S608 - made here
                    "ON r.place = p.place"
                )

    def _read(self, source: Source, places: Sequence[int]) -> tuple[tuple[str, ...], dict[int, Cells]]:
        """The rows at some places, each cell as a text that begins with the letter of what it is."""
        with opened(source, self.workbench) as reader:
            plan = plan_for(self.workbench, reader, self.like)
            return plan.names, dict(self._cells(reader, plan, places)) if places else {}

    def _cells(self, reader: Reader, plan: Plan, places: Sequence[int]) -> list[tuple[int, Cells]]:
        found: list[tuple[int, Cells]] = []
        for batch in reader.batches(plan.names, places):
            columns = "".join(f", {each}" for each in self._texts(plan, reader, batch))
            rows = self.workbench.run(f"SELECT place{columns} FROM {batch.relation}")  # noqa: S608 - made here
            wanted = set(places)
            found += [(place, tuple(row)) for place, *row in rows if place in wanted]
        return found

    def _texts(self, plan: Plan, reader: Reader, batch: Batch) -> list[str]:
        """Each cell of a batch as a text that begins with the letter of what it is, in SQL."""
        shown: list[str] = []
        for part in cells(plan, reader, batch):
            beside = f"{part.odd}, " if part.odd else ""
            beside += f"{part.fine}, " if part.fine and self.fine else ""
            shown.append(f"coalesce({beside}'v'||({_plain(part.value, plan, len(shown))})::VARCHAR)")
        return shown

    def _rows(
        self,
        names: Sequence[str],
        gone: Mapping[int, Cells],
        come: Mapping[int, Cells],
        pairs: Pairs,
        doubled: frozenset[int],
        key: Sequence[int],
    ) -> list[RowChange]:
        found = [
            RowChange(
                "altered",
                place,
                target,
                self._key(come[target], key),
                tuple(
                    CellChange(names[column], self._shown(one), self._shown(other))
                    for column, one, other in _changes(gone[place], come[target])
                ),
            )
            for place, target in pairs.altered[:SHOWN]
        ]
        found += [RowChange("missing", each, None, self._key(gone[each], key)) for each in pairs.gone[:SHOWN]]
        found += [RowChange("added", None, each, self._key(come[each], key)) for each in pairs.come[:SHOWN]]
        twice = sorted(each for each in doubled if each in come)[:SHOWN]
        return found + [RowChange("duplicated", None, each, self._key(come[each], key)) for each in twice]

    def _key(self, row: Cells, key: Sequence[int]) -> tuple[str | None, ...]:
        return tuple(self._shown(row[index]) for index in key)

    def _shown(self, cell: str | None) -> str | None:
        if cell is None:
            return None
        if self.show_values:
            return cell[1:] if cell[0] in "vitdf" else {"n": "NaN", "z": "-0.0"}.get(cell, cell)
        hashed = hashlib.blake2b(cell.encode(errors="surrogatepass"), digest_size=4, key=_SALT)
        return f"#{hashed.hexdigest()}"


def _plain(value: str, plan: Plan, index: int) -> str:
    form = plan.forms[plan.names[index]]
    if form.domain == "number":
        return f"CASE WHEN ({value}) = 0 THEN '0.0' ELSE ({value})::VARCHAR END"
    return f"hex({value})" if form is Form.BYTES else value


def _changes(before: Cells, after: Cells) -> list[tuple[int, str | None, str | None]]:
    pairs = zip(before, after, strict=True)
    return [(column, one, other) for column, (one, other) in enumerate(pairs) if one != other]
