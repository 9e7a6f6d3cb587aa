"""A dataset's tables compared with what the baseline stored of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace

from pytest_mdm_health.checks.data_corruption.baseline.compare_table import ComparisonRequest, TableComparison
from pytest_mdm_health.checks.data_corruption.baseline.keep import Failures
from pytest_mdm_health.checks.data_corruption.facts import Retyped, TableChange, TableRecord, TableState


class DatasetComparison(ComparisonRequest):
    """A dataset's data tables, compared with those of the baseline."""

    def changes(self) -> Iterator[TableChange]:
        """What became of each table, those that the baseline has nothing of last."""
        features = {table.name.casefold() for table in self.facts.tables if table.kind == "feature"}
        failed = {table.name.casefold(): table.failed for table in self.facts.tables if table.failed}
        now = {table.name.casefold(): table for table in self.now}
        for table in self.before.known:
            name = table.name.casefold()
            if name in now:
                yield self._change(table, now[name])
            elif name in failed:
                yield TableChange(table=table.name, verdict="failed", reason=failed[name])
            elif name not in features:
                yield TableChange(table=table.name, verdict="lost", rows_before=table.rows)
        if self.before.readable:
            yield from self._not_kept()

    def _not_kept(self) -> Iterator[TableChange]:
        """Tables that are new, and those that could not be read when the others were kept."""
        known = {name.casefold() for name in (*_names(self.before.known), *_names(self.before.tables))}
        failed = {table.name.casefold(): table.failed for table in self.before.tables if table.failed}
        for table in self.now:
            name = table.name.casefold()
            if name in failed:
                reason = f"it could not be read when the baseline was recorded: {failed[name]}"
                yield TableChange(table=table.name, verdict="not-compared", reason=reason, rows_after=table.rows)
            elif name not in known:
                yield TableChange(table=table.name, verdict="added", rows_after=table.rows)

    def _change(self, before: TableRecord, now: TableRecord) -> TableChange:
        plan = self.plan.table(before.name)
        change = of_columns(before, now, plan.renamed)
        change = replace(change, recomputed=recomputed(before, now, change.renamed, plan.values))
        change = replace(change, retyped=retyped(before, now, change.renamed, (self.before.engine, self.facts.engine)))
        try:
            return TableComparison(self, before, now, change).compared()
        except Failures as error:
            known = None not in {before.rows, now.rows} and before.rows != now.rows
            verdict, by = ("differs", "count") if known else ("failed", "")
            return replace(change, verdict=verdict, by=by, reason=str(error))


def of_columns(before: TableRecord, now: TableRecord, planned: Mapping[str, str]) -> TableChange:
    """What the names of the columns tell."""
    old, new = ([column.name for column in table.columns] for table in (before, now))
    renamed = {
        one: two for one, two in planned.items() if one in old and one not in new and two in new and two not in old
    }
    expected = [renamed.get(name, name) for name in old]
    return TableChange(
        table=before.name,
        verdict="not-compared",
        rows_before=before.rows,
        rows_after=now.rows,
        dropped=tuple(name for name in expected if name not in new),
        added=tuple(name for name in new if name not in expected),
        renamed=renamed,
    )


def recomputed(
    before: TableRecord, now: TableRecord, renamed: Mapping[str, str], planned: Iterable[str]
) -> tuple[str, ...]:
    """The columns, then and now, whose values are planned to change, by their names now."""
    was = {renamed.get(column.name, column.name) for column in before.columns}
    both = was & {column.name for column in now.columns}
    return tuple(name for name in planned if name in both)


def retyped(
    before: TableRecord, now: TableRecord, renamed: Mapping[str, str], engines: tuple[str, str]
) -> tuple[Retyped, ...]:
    """The columns that are declared to be something else, as the comparison of digests tells them."""
    from pytest_mdm_health.integrity.compare import compare_digests
    from pytest_mdm_health.integrity.digest.canonical import Form
    from pytest_mdm_health.integrity.digest.tables import Buckets, ColumnForm, TableDigest

    def bare(columns: Iterable[tuple[str, str]], engine: str) -> TableDigest:
        forms = tuple(ColumnForm(name, type_, Form.TEXT) for name, type_ in columns)
        nothing = Buckets((0,), (0,), (0,))
        return TableDigest(vector="", engine=engine, how="", columns=forms, rows=0, buckets=nothing)

    old = bare(((renamed.get(each.name, each.name), each.type) for each in before.columns), engines[0])
    new = bare(((each.name, each.type) for each in now.columns), engines[1])
    return tuple(Retyped(**asdict(each)) for each in compare_digests(old, new).retyped)


def _names(tables: Iterable[TableRecord | TableState]) -> Iterator[str]:
    return (table.name for table in tables)
