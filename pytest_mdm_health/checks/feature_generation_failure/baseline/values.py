"""The values of feature tables: digests for a later run, and how they differ from those of the baseline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, FeatureTable, ValueChanges
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.integrity.deadline import READ_FAILURES, Deadline

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.digest.tables import TableDigest

CELLS = 20_000_000
"""Values of a feature table up to which all are compared at a depth less than full."""

_TIME_SHARE = 0.3


def with_values(
    facts: FeatureFacts, backend: Backend | None, options: Options, baseline: FeatureFacts | None
) -> FeatureFacts:
    """The facts with digests where a baseline is recorded, and with the differences where there is one."""
    if backend is None or not options.keeps_tables or Depth(options.depth) is Depth.QUICK:
        return facts
    seconds = options.timeout * _TIME_SHARE
    deadline = Deadline(clock() + seconds, seconds)
    gaps: list[str] = []
    unexamined: list[str] = []
    digests: dict[str, object] = {}
    values: list[ValueChanges] = []
    for table in facts.tables:
        recorded = baseline.digests.get(table.name) if baseline is not None else None
        if not table.usable:
            continue
        cells = (table.rows or 0) * len(table.columns)
        if cells > CELLS and Depth(options.depth) is not Depth.FULL:
            gaps.append(
                f"the values of {table.name} were not compared: there are {cells} (--mdm-depth=full compares all)"
            )
            continue
        unexamined += _without_digest(table, baseline)
        try:
            if recorded is not None:
                values.append(_compare(backend, table, recorded, deadline))
            if options.save_baseline is not None:
                digests[table.name] = _digest(backend, table, None, deadline).to_plain()
        except (*READ_FAILURES, ValueError) as error:
            missed = gaps if recorded is None else unexamined
            missed.append(f"the values of {table.name} were not compared: {error}")
    return replace(
        facts,
        digests=digests,
        values=tuple(values),
        gaps=(*facts.gaps, *gaps),
        unexamined=(*facts.unexamined, *unexamined),
    )


def _without_digest(table: FeatureTable, baseline: FeatureFacts | None) -> Iterator[str]:
    """Why a table that the baseline knows cannot be compared with what it has of it."""
    if baseline is None or table.name in baseline.digests:
        return
    if any(other.name == table.name and other.usable for other in baseline.tables):
        yield f"the values of {table.name} were not compared: the baseline has none of them"


def _compare(backend: Backend, table: FeatureTable, recorded: object, deadline: Deadline) -> ValueChanges:
    """How the values differ from those in the baseline.

    Raises:
        ValueError: they cannot be compared, or the baseline has no valid digest.
    """
    from pytest_mdm_health.integrity.compare import compare_digests
    from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest

    if not isinstance(recorded, dict):
        raise BadDigest("the baseline has no digest of it")
    earlier = TableDigest.from_plain(recorded)
    comparison = compare_digests(earlier, _digest(backend, table, earlier, deadline))
    if comparison.verdict == "incomparable":
        raise ValueError(comparison.reason)
    if comparison.rows_before != comparison.rows_after:
        return ValueChanges(table=table.name, rows=(comparison.rows_before, comparison.rows_after))
    altered = comparison.altered_columns or ()
    copied: set[str] = set()
    if set(altered) & set(table.copied):
        copied = _altered_in_base(backend, table, earlier, deadline)
    return ValueChanges(
        table=table.name,
        altered=tuple(name for name in altered if name not in copied),
        copied=tuple(name for name in altered if name in copied),
        rearranged=comparison.verdict == "differs" and not altered and not comparison.missing_columns,
    )


def _altered_in_base(backend: Backend, table: FeatureTable, earlier: TableDigest, deadline: Deadline) -> set[str]:
    """The columns of the base table that differ from what the feature table had copied from it."""
    from pytest_mdm_health.integrity.compare import compare_digests

    now = _digest(backend, replace(table, name=table.base), earlier, deadline)
    return set(compare_digests(earlier, now).altered_columns or ())


def _digest(backend: Backend, table: FeatureTable, like: TableDigest | None, deadline: Deadline) -> TableDigest:
    from pytest_mdm_health.integrity.digest.tables import digested
    from pytest_mdm_health.integrity.readers.base import TableIn

    source = TableIn(backend, table.name)
    with (
        deadline.workbench(source) as workbench,
        digested(workbench, source, like, by_column=True) as (digest, _),
    ):
        return digest
