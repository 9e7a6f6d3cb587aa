"""One table compared with what the baseline stored of it, and with a copy of its rows where one can be read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.change_facts import Rows, TableChange, TableRecord
from pytest_mdm_health.checks.data_corruption.copies import copies
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.keep import Failures, Until, from_kept
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.compare import Comparison
    from pytest_mdm_health.integrity.digest.tables import TableDigest
    from pytest_mdm_health.integrity.drilldown import Detail, Difference
    from pytest_mdm_health.integrity.duckdb_session import Workbench
    from pytest_mdm_health.integrity.readers.base import Source

_TIMES = 4
"""A copy is only looked at with so many times the time left that reading the table took."""


@dataclass(frozen=True)
class ComparisonRequest:
    """What a dataset's tables are compared by.

    Attributes:
        now: what is known of each table.
        facts: of the dataset.
        before: the facts that the baseline stored.
        plan: the changes that are planned.
        until: how long it may take.
    """

    dataset: Dataset
    backend: Backend
    now: tuple[TableRecord, ...]
    facts: DataFacts
    before: DataFacts
    plan: ExpectedDataset
    home: Home
    settings: Settings
    options: Options
    until: Until


@dataclass(frozen=True)
class TableComparison:
    """One table, with what is known of it from its columns."""

    request: ComparisonRequest
    before: TableRecord
    now: TableRecord
    change: TableChange

    def compared(self) -> TableChange:
        """The whole comparison, as close as the depth and the baseline allow."""
        from pytest_mdm_health.integrity.sampling.by_hash import STANDARD_ROWS

        depth = Depth(self.request.options.depth)
        large = max(self.before.rows or 0, self.now.rows or 0) > STANDARD_ROWS and depth is not Depth.FULL
        if depth is Depth.QUICK:
            return self._by_count("beyond the number of its rows none are compared at --mdm-depth=quick")
        if self.before.digest is not None and not large:
            return self._by_digest(self.before.digest)
        if self.before.sample is not None and not self.change.dropped:  # of columns that are recomputed, by the keys
            return self._by_sample(self.before.sample)
        if large and self.before.digest is not None:
            return self._by_count(f"it has {self.now.rows} rows; --mdm-depth=full compares all of them")
        why = self.before.why_not or "it was recorded at --mdm-depth=quick"
        return self._by_count(f"the baseline has no more of its rows than their number: {why}")

    def _by_count(self, why: str) -> TableChange:
        rows = (self.before.rows, self.now.rows)
        if None not in rows and rows[0] != rows[1]:
            return replace(self.change, verdict="differs", by="count")
        return replace(self.change, reason=why)

    def _by_sample(self, plain: Mapping[str, Any]) -> TableChange:
        from pytest_mdm_health.integrity.digest.tables import BadDigest
        from pytest_mdm_health.integrity.sampling.by_hash import Sample, compare_samples, sampled

        try:
            before = Sample.from_plain(plain)
        except BadDigest as error:
            return replace(self.change, verdict="incomparable", reason=str(error))
        with self._workbench(self._as_before) as workbench:
            now = sampled(workbench, self._as_before, (), like=before)
        found = compare_samples(before, now)
        if not found.comparable:
            reason = "the samples were made with different hash functions, so they say nothing about each other"
            return self._incomparable(self.change, reason)
        planned = self.change.recomputed
        altered = 0 if planned else found.altered
        rows = Rows(missing=found.missing, added=found.added, altered=altered, of=found.rows)
        same = rows.none and self.before.rows == self.now.rows
        unaltered = planned if found.rows > found.missing and not found.altered else ()
        change = replace(self.change, by="sample", rows=rows, reader=now.how, unaltered=unaltered)
        return replace(change, verdict="equal" if same else "differs")

    def _incomparable(self, change: TableChange, reason: str) -> TableChange:
        import duckdb

        releases = f"DuckDB {self.before.hashed_by or 'of an unknown release'} then, {duckdb.__version__} now"
        return replace(change, verdict="incomparable", reason=f"{reason} ({releases})")

    def _by_digest(self, plain: Mapping[str, Any]) -> TableChange:
        from pytest_mdm_health.integrity.compare import compare_digests
        from pytest_mdm_health.integrity.digest.tables import BadDigest

        try:
            before = from_kept(plain)
        except BadDigest as error:
            return replace(self.change, verdict="incomparable", reason=str(error))
        started = time.monotonic()
        after = None if self._left_out else self._digest(self._as_before, before, sums=bool(self.change.dropped))
        if after is None:
            after, unaltered = self._without_recomputed(before)
        else:
            unaltered = ()
        took = time.monotonic() - started
        found = compare_digests(before, after)
        losses = tuple(_losses(found, self.change.renamed))
        change = replace(self.change, rows_after=after.rows, losses=losses, patterns=found.patterns, reader=after.how)
        change = replace(change, unaltered=unaltered)
        change = replace(change, alike=self._alike(before, took))
        if found.verdict == "incomparable":
            return self._incomparable(change, found.reason)
        if found.verdict == "equal":
            return replace(change, verdict="equal", by="digest")
        change = self._with_copy(replace(change, verdict="differs", by="digest"), before, took)
        return change if change.copy else self._by_columns(change, found, (before, after), took)

    def _by_columns(
        self, change: TableChange, found: Comparison, digests: tuple[TableDigest, TableDigest], took: float
    ) -> TableChange:
        """Without the rows of before: by each column taken by itself."""
        before, after = digests
        if before.rows == after.rows and (change.dropped or change.recomputed):
            if found.altered_columns is None:
                what = "columns are gone" if change.dropped else "values are planned to change"
                reason = f"{what}, and the baseline has nothing of each column by itself"
                return replace(change, verdict="not-compared", by="", reason=reason)
            if not found.altered_columns:
                return replace(change, verdict="equal", by="columns", altered_columns=())
        return self._with_columns(change, before, after, took)

    def _alike(self, before: TableDigest, took: float) -> dict[str, str]:
        """The columns that went, with those that came and have the same values, each taken by itself."""
        gone, come = self.change.dropped, self.change.added
        if not (gone and come and before.sums and self.request.until.left > _TIMES * took):
            return {}
        try:
            now = self._digest(self._source, None, sums=True).sums or {}
        except Failures:  # a hint less
            return {}
        pairs = ((old, new) for old in gone for new in come if before.sums[old] == now[new] and now[new][1])
        return dict(pairs)

    def _with_copy(self, change: TableChange, before: TableDigest, took: float) -> TableChange:
        """With the rows themselves if those of before can be read, in the columns that remain."""
        not_it: list[str] = []
        for name, source in self._copies():
            if self.request.until.left < _TIMES * took:
                not_it.append(f"{name} was not looked at, because no time was left (see --mdm-timeout)")
                break
            try:
                found = "has to be unpacked first" if source is None else self._opened(source, before)
            except Failures as error:
                found = f"cannot be compared: {error}"
            if not isinstance(found, str):
                change = replace(change, copy=name, not_it=tuple(not_it))
                if change.recomputed and not change.unaltered and change.rows_before != change.rows_after:
                    change = replace(change, unaltered=self._unaltered_in(source, before))
                return self._with_detail(change, found.detail)
            if source is None:
                change = replace(change, packed=change.packed or name)
            not_it.append(f"{name} {found}")
        return replace(change, not_it=tuple(not_it))

    def _opened(self, copy: Source, before: TableDigest, now: Source | None = None) -> Difference | str:
        """How the rows differ from those of a copy of before, or why it is none."""
        from pytest_mdm_health.integrity.drilldown import NotWhatItWas, compared

        now, key, show_values = now or self._compared, self.before.key, self.request.options.show_values
        with self._workbench(copy, now) as workbench:
            try:
                return compared(workbench, copy, now, key=key, show_values=show_values, recorded=before)
            except NotWhatItWas as error:
                return str(error)

    def _unaltered_in(self, copy: Source | None, before: TableDigest) -> tuple[str, ...]:
        """The columns meant to change that did not in any row that is still there; sums tell nothing of lost rows."""
        try:
            found = self._opened(copy, before, self._as_before) if copy is not None else ""
        except Failures:
            return ()
        if isinstance(found, str) or found.detail is None or not found.detail.complete:
            return ()
        names, changed = self.change.renamed, found.detail.columns
        return tuple(names.get(each, each) for each in sorted(self._left_out) if each not in changed)

    def _without_recomputed(self, before: TableDigest) -> tuple[TableDigest, tuple[str, ...]]:
        """The digest without the columns whose values are meant to change, and those of them that did not.

        Those take another reading, which fails where they are of a type that cannot be read as it was.
        """
        from pytest_mdm_health.integrity.compare import compare_digests

        after = self._digest(self._compared, before, sums=True)
        try:
            whole = self._digest(self._as_before, before, sums=before.sums is not None)
        except Failures:
            return after, ()
        found = compare_digests(before, whole)
        sums = whole.sums or {}
        told = {each for each in self._left_out if whole.rows and sums.get(each, (0, 1))[1]}
        if found.verdict != "equal":
            altered = found.altered_columns or ()  # none: values have changed places, and no sum tells which
            told &= set(sums).difference(altered) if altered else set()
        return after, tuple(self.change.renamed.get(each, each) for each in sorted(told))

    def _with_detail(self, change: TableChange, detail: Detail | None) -> TableChange:
        if detail is None:
            return replace(change, verdict="equal") if change.dropped or change.recomputed else change
        names = self.change.renamed
        key = tuple(names.get(each, each) for each in self.before.key)
        return _with(replace(change, key=key), detail, names)

    def _with_columns(self, change: TableChange, before: TableDigest, after: TableDigest, took: float) -> TableChange:
        """Which columns are concerned, each taken by itself, and what the figures of these were and are."""
        from pytest_mdm_health.integrity.compare import compare_digests
        from pytest_mdm_health.integrity.digest.columns import profiled

        if before.sums is None or before.rows != after.rows or self.request.until.left < _TIMES * took:
            return change
        show = self.request.options.show_values
        try:
            with self._workbench(self._source) as workbench:
                after, found = workbench.carefully(lambda: profiled(workbench, self._compared, after, show_values=show))
        except Failures:  # that it differs is known
            return change
        altered = compare_digests(before, after).altered_columns
        old = {each.name: each for each in self.before.columns if each.nulls is not None}
        names = {name: self.change.renamed.get(name, name) for name in altered or ()}
        figures = {
            now: {"before": _figures(old[name], show), "after": _figures(found[name], show)}
            for name, now in names.items()
            if name in old
        }
        unsure = not altered and any("d" in counts for counts in after.fine.values())  # sums have no such digits
        known = None if altered is None or unsure else tuple(names.values())
        return replace(change, altered_columns=known, figures=figures)

    def _workbench(self, *sources: Source) -> AbstractContextManager[Workbench]:
        return self.request.until.workbench(*sources)

    def _copies(self) -> Iterator[tuple[str, Source | None]]:
        one = self.request
        return copies(self.before.name, one.dataset, one.backend, one.before, one.home, one.settings, one.options)

    @property
    def _source(self) -> Source:
        from pytest_mdm_health.integrity.readers.base import TableIn

        return TableIn(self.request.backend, self.now.name)

    @property
    def _as_before(self) -> Source:
        """The table with its columns called as they were."""
        return replace(self._source, called={new: old for old, new in self.change.renamed.items()})

    @property
    def _compared(self) -> Source:
        """As before, without the columns whose values are meant to change."""
        return replace(self._as_before, without=self._left_out)

    @property
    def _left_out(self) -> frozenset[str]:
        """The columns whose values are meant to change, as they were called before."""
        old = {new: old for old, new in self.change.renamed.items()}
        return frozenset(old.get(each, each) for each in self.change.recomputed)

    def _digest(self, source: Source, like: TableDigest | None, *, sums: bool = False) -> TableDigest:
        from pytest_mdm_health.integrity.digest.tables import digested

        with self._workbench(source) as workbench, digested(workbench, source, like, by_column=sums) as found:
            return found[0]


def _losses(found: Comparison, renamed: Mapping[str, str]) -> Iterator[str]:
    from pytest_mdm_health.integrity.compare import LOSSES

    for each in found.losses:
        yield f"{renamed.get(each.column, each.column)}: {LOSSES[each.code]} in {each.values} rows"


def _with(change: TableChange, detail: Detail, renamed: Mapping[str, str]) -> TableChange:
    counts = {name: getattr(detail, name) for name in ("missing", "added", "duplicated", "altered", "complete")}
    rows = (
        replace(row, cells=tuple(replace(cell, column=renamed.get(cell.column, cell.column)) for cell in row.cells))
        for row in detail.rows
    )
    return replace(
        change,
        rows=Rows(**counts),
        cells={renamed.get(name, name): count for name, count in detail.columns.items()},
        examples=tuple(asdict(each) for each in rows),
        patterns=tuple(dict.fromkeys((*change.patterns, *detail.patterns))),
    )


def _figures(column: Any, show_values: bool) -> dict[str, Any]:  # noqa: ANN401 - a record of then or figures of now
    names = ("nulls", "distinct", *(("least", "greatest") if show_values else ()))
    return {name: getattr(column, name) for name in names}
