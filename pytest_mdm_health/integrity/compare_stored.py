"""One table compared with what a baseline stored of it, and with a copy of its earlier rows where one can be read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.core.expected import ExpectedTable
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.integrity.deadline import READ_FAILURES, Deadline, unless_it_fails
from pytest_mdm_health.integrity.stored_tables import StoredColumn, StoredTable
from pytest_mdm_health.integrity.table_comparison import RowChange, TableComparison

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.compare import Comparison
    from pytest_mdm_health.integrity.digest.columns import ColumnFigures
    from pytest_mdm_health.integrity.digest.tables import TableDigest
    from pytest_mdm_health.integrity.drilldown import Detail
    from pytest_mdm_health.integrity.duckdb_session import Workbench
    from pytest_mdm_health.integrity.readers.base import Source, TableIn

_TIMES = 4
"""A copy is only read with so many times the time left that reading the table took."""


@dataclass(frozen=True, kw_only=True)
class StoredComparison:
    """What a table is compared by.

    Attributes:
        source: the table.
        before: what the baseline stored.
        now: the names and types of its columns, and the number of its rows.
        engine_before: the engine that it was on.
        planned: the columns that are renamed, and those whose values change.
        copies: what may be copies of the table as it was, the likeliest first, each with its name for a person; None
            stands for one that has to be unpacked first.
        options: how closely tables are compared, and whether values may be shown.
        deadline: until when.
    """

    source: TableIn
    before: StoredTable
    now: StoredTable
    engine_before: str
    planned: ExpectedTable
    copies: Callable[[], Iterable[tuple[str, Source | None]]]
    options: Options
    deadline: Deadline

    def result(self) -> TableComparison:
        """The comparison, as close as the depth and the baseline allow."""
        found = self._declared
        try:
            return self._in_names_of_now(self._compared(found))
        except READ_FAILURES as error:
            verdict, by = ("differs", "count") if found.is_renumbered else ("failed", "")
            return replace(found, verdict=verdict, by=by, reason=str(error))

    @cached_property
    def _declared(self) -> TableComparison:
        """What the names and types of the columns show."""
        from pytest_mdm_health.integrity.compare import retyped_columns

        old, new = ({column.name: column.type for column in table.columns} for table in (self.before, self.now))
        renamed = {
            one: two
            for one, two in self.planned.renamed.items()
            if one in old and one not in new and two in new and two not in old
        }
        expected = {renamed.get(name, name): type_ for name, type_ in old.items()}
        return TableComparison(
            table=self.before.name,
            verdict="not-compared",
            rows_before=self.before.rows,
            rows_after=self.now.rows,
            dropped=tuple(name for name in expected if name not in new),
            added=tuple(name for name in new if name not in expected),
            renamed=renamed,
            recomputed=tuple(name for name in self.planned.values if name in expected and name in new),
            retyped=retyped_columns(expected, new, (self.engine_before, self.source.engine)),
        )

    def _in_names_of_now(self, found: TableComparison) -> TableComparison:
        """With columns called as they are now; what was stored, and is compared with it, has their earlier names."""

        def now(name: str) -> str:
            return found.renamed.get(name, name)

        def cells_now(row: RowChange) -> RowChange:
            return replace(row, cells=tuple(replace(cell, column=now(cell.column)) for cell in row.cells))

        return replace(
            found,
            cells={now(name): count for name, count in found.cells.items()},
            examples=tuple(map(cells_now, found.examples)),
            key=tuple(map(now, found.key)),
            altered_columns=None if found.altered_columns is None else tuple(map(now, found.altered_columns)),
            figures={now(name): figures for name, figures in found.figures.items()},
            unaltered=tuple(map(now, found.unaltered)),
        )

    def _compared(self, found: TableComparison) -> TableComparison:
        from pytest_mdm_health.integrity.sampling.by_hash import STANDARD_ROWS

        depth = Depth(self.options.depth)
        large = self._most_rows > STANDARD_ROWS and depth is not Depth.FULL
        if depth is Depth.QUICK:
            quick = replace(found, beyond_depth=True)
            return _by_count(quick, "beyond the number of its rows none are compared at --mdm-depth=quick")
        if self.before.digest is not None and not large:
            return self._by_digest(found, self.before.digest)
        if self.before.sample is not None and not found.dropped:  # of columns that are recomputed, by the keys
            return self._by_sample(found, self.before.sample)
        if large and self.before.digest is not None:
            return _by_count(found, f"it has {self.now.rows} rows; --mdm-depth=full compares all of them")
        reason = self.before.why_not or "it was recorded at --mdm-depth=quick"
        return _by_count(found, f"the baseline has no more of its rows than their number: {reason}")

    def _by_sample(self, found: TableComparison, plain: Mapping[str, Any]) -> TableComparison:
        from pytest_mdm_health.integrity.digest.tables import BadDigest
        from pytest_mdm_health.integrity.sampling.by_hash import Sample, compare_samples, sampled

        try:
            before = Sample.from_plain(plain)
        except BadDigest as error:
            return replace(found, verdict="incomparable", reason=str(error))
        with self._workbench(self._as_before) as workbench:
            now = sampled(workbench, self._as_before, (), like=before)
        counts = compare_samples(before, now)
        if counts is None:
            reason = "the samples were made with different hash functions, so they say nothing about each other"
            return self._incomparable(found, reason)
        unaltered = found.recomputed if len(before.rows) > counts.missing and not counts.altered else ()
        rows = replace(counts, altered=0) if found.recomputed else counts
        verdict = "equal" if rows.none and self.before.rows == self.now.rows else "differs"
        return replace(found, verdict=verdict, by="sample", rows=rows, reader=now.how, unaltered=unaltered)

    def _incomparable(self, found: TableComparison, reason: str) -> TableComparison:
        import duckdb

        releases = f"DuckDB {self.before.hashed_by or 'of an unknown release'} then, {duckdb.__version__} now"
        return replace(found, verdict="incomparable", reason=f"{reason} ({releases})")

    def _by_digest(self, found: TableComparison, plain: Mapping[str, Any]) -> TableComparison:
        from pytest_mdm_health.integrity.compare import compare_digests
        from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest

        try:
            before = TableDigest.from_plain(plain)
        except BadDigest as error:
            return replace(found, verdict="incomparable", reason=str(error))
        started = time.monotonic()
        unaltered: tuple[str, ...] = ()
        if self._left_out:
            after, unaltered = self._without_recomputed(before)
        else:
            after = self._digest(self._as_before, before, sums=bool(found.dropped))
        took = time.monotonic() - started
        comparison = compare_digests(before, after)
        found = replace(
            found,
            rows_after=after.rows,
            losses=tuple(_losses(comparison, found.renamed)),
            patterns=comparison.patterns,
            reader=after.how,
            unaltered=unaltered,
            alike=self._rename_candidates(found, before, took),
        )
        if comparison.verdict == "incomparable":
            return self._incomparable(found, comparison.reason)
        if comparison.verdict == "equal":
            return replace(found, verdict="equal", by="digest")
        found = self._with_copy(replace(found, verdict="differs", by="digest"), before, took)
        return found if found.copy else self._by_columns(found, comparison, (before, after), took)

    def _without_recomputed(self, before: TableDigest) -> tuple[TableDigest, tuple[str, ...]]:
        """The digest without the columns whose values are meant to change, and those of them that did not.

        Those take another reading, which fails where they are of a type that cannot be read as it was.
        """
        from pytest_mdm_health.integrity.compare import compare_digests

        after = self._digest(self._compared_columns, before, sums=True)
        whole = unless_it_fails(lambda: self._digest(self._as_before, before, sums=before.sums is not None))
        if whole is None:
            return after, ()
        comparison = compare_digests(before, whole)
        sums = whole.sums or {}
        unaltered = {name for name in self._left_out if whole.rows and sums.get(name, (0, 1))[1]}
        if comparison.verdict != "equal":
            altered = comparison.altered_columns or ()  # none: values were swapped, and no sum tells in which column
            unaltered &= set(sums).difference(altered) if altered else set()
        return after, tuple(sorted(unaltered))

    def _rename_candidates(self, found: TableComparison, before: TableDigest, took: float) -> dict[str, str]:
        """The columns that went, with those that came and have the same values, each taken by itself."""
        stored = before.sums
        if not (found.dropped and found.added and stored and self.deadline.allows(took, _TIMES)):
            return {}
        digest = unless_it_fails(lambda: self._digest(self.source, None, sums=True))
        now = digest.sums if digest is not None and digest.sums is not None else {}
        pairs = ((old, new) for old in found.dropped for new in found.added if new in now)
        return {old: new for old, new in pairs if stored[old] == now[new] and now[new][1]}

    def _with_copy(self, found: TableComparison, before: TableDigest, took: float) -> TableComparison:
        """With the rows themselves if the earlier ones can be read, in the columns that remain."""
        from pytest_mdm_health.integrity.drilldown import NotWhatItWas

        rejected: list[str] = []
        for name, copy in self.copies():
            if not self.deadline.allows(took, _TIMES):
                rejected.append(f"{name} was not looked at, because no time was left (see --mdm-timeout)")
                break
            if copy is None:
                found = replace(found, packed=found.packed or name)
                rejected.append(f"{name} has to be unpacked first")
                continue
            try:
                detail = self._opened(copy, before, self._compared_columns)
            except NotWhatItWas as error:
                rejected.append(f"{name} {error}")
            except READ_FAILURES as error:
                rejected.append(f"{name} cannot be compared: {error}")
            else:
                found = replace(found, copy=name, not_it=tuple(rejected))
                return self._with_detail(found, detail, copy, before)
        return replace(found, not_it=tuple(rejected))

    def _opened(self, copy: Source, before: TableDigest, now: Source) -> Detail | None:
        """How the rows differ from those of a copy; None if they do not.

        Raises:
            NotWhatItWas: the copy is not what was stored.
        """
        from pytest_mdm_health.integrity.drilldown import compared

        key, show_values = self.before.key, self.options.show_values
        with self._workbench(copy, now) as workbench:
            return compared(workbench, copy, now, key=key, show_values=show_values, recorded=before).detail

    def _with_detail(
        self, found: TableComparison, detail: Detail | None, copy: Source, before: TableDigest
    ) -> TableComparison:
        if found.recomputed and not found.unaltered and found.rows_before != found.rows_after:
            found = replace(found, unaltered=self._unaltered_in(copy, before))
        if detail is None:
            return replace(found, verdict="equal") if found.dropped or found.recomputed else found
        patterns = tuple(dict.fromkeys((*found.patterns, *detail.patterns)))
        return replace(found, key=self.before.key, **{**vars(detail), "patterns": patterns})

    def _unaltered_in(self, copy: Source, before: TableDigest) -> tuple[str, ...]:
        """The columns meant to change that did not in any row that is still there; sums tell nothing of lost rows."""
        from pytest_mdm_health.integrity.drilldown import NotWhatItWas

        try:
            detail = self._opened(copy, before, self._as_before)
        except (NotWhatItWas, *READ_FAILURES):
            return ()
        if detail is None or not detail.rows.complete:
            return ()
        return tuple(name for name in sorted(self._left_out) if name not in detail.cells)

    def _by_columns(
        self, found: TableComparison, comparison: Comparison, digests: tuple[TableDigest, TableDigest], took: float
    ) -> TableComparison:
        """Without the earlier rows: by each column taken by itself."""
        before, after = digests
        if before.rows == after.rows and (found.dropped or found.recomputed):
            if comparison.altered_columns is None:
                what = "columns are gone" if found.dropped else "values are planned to change"
                reason = f"{what}, and the baseline has nothing of each column by itself"
                return replace(found, verdict="not-compared", by="", reason=reason)
            if not comparison.altered_columns:
                return replace(found, verdict="equal", by="columns", altered_columns=())
        if before.sums is None or before.rows != after.rows or not self.deadline.allows(took, _TIMES):
            return found
        return self._with_figures(found, before, after)

    def _with_figures(self, found: TableComparison, before: TableDigest, after: TableDigest) -> TableComparison:
        """With the columns that differ, each taken by itself, and what the figures of these were and are."""
        from pytest_mdm_health.integrity.compare import compare_digests
        from pytest_mdm_health.integrity.digest.columns import profiled

        show, source = self.options.show_values, self._compared_columns
        try:
            with self._workbench(self.source) as workbench:
                after, now = workbench.carefully(lambda: profiled(workbench, source, after, show_values=show))
        except READ_FAILURES:  # that it differs is known
            return found
        altered = compare_digests(before, after).altered_columns
        stored = {column.name: column for column in self.before.columns if column.nulls is not None}
        figures = {
            name: {"before": _figures(stored[name], show), "after": _figures(now[name], show)}
            for name in altered or ()
            if name in stored
        }
        unsure = not altered and any("d" in counts for counts in after.fine.values())  # sums have no such digits
        return replace(found, altered_columns=None if unsure else altered, figures=figures)

    @property
    def _most_rows(self) -> int:
        return max(self.before.rows or 0, self.now.rows or 0)

    @property
    def _as_before(self) -> Source:
        """The table with its columns called as they were."""
        return replace(self.source, called={new: old for old, new in self._declared.renamed.items()})

    @property
    def _compared_columns(self) -> Source:
        """As before, without the columns whose values are meant to change."""
        return replace(self._as_before, without=self._left_out)

    @property
    def _left_out(self) -> frozenset[str]:
        """The columns whose values are meant to change, as they were called before."""
        old = {new: old for old, new in self._declared.renamed.items()}
        return frozenset(old.get(name, name) for name in self._declared.recomputed)

    def _workbench(self, *sources: Source) -> AbstractContextManager[Workbench]:
        return self.deadline.workbench(*sources)

    def _digest(self, source: Source, like: TableDigest | None, *, sums: bool) -> TableDigest:
        from pytest_mdm_health.integrity.digest.tables import digested

        with self._workbench(source) as workbench, digested(workbench, source, like, by_column=sums) as (digest, _):
            return digest


def _by_count(found: TableComparison, reason: str) -> TableComparison:
    """By the number of rows alone."""
    if found.is_renumbered:
        return replace(found, verdict="differs", by="count")
    return replace(found, reason=reason)


def _losses(comparison: Comparison, renamed: Mapping[str, str]) -> Iterable[str]:
    from pytest_mdm_health.integrity.compare import LOSSES

    for loss in comparison.losses:
        yield f"{renamed.get(loss.column, loss.column)}: {LOSSES[loss.code]} in {loss.values} rows"


def _figures(column: StoredColumn | ColumnFigures, show_values: bool) -> dict[str, Any]:
    names = ("nulls", "distinct", *(("least", "greatest") if show_values else ()))
    return {name: getattr(column, name) for name in names}
