"""The values of feature tables: digests for a later run, and how they differ from those of the baseline."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.keep import Failures, Until
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, FeatureTable, ValueChanges
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options

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
    until = Until(time.monotonic() + seconds, seconds)
    gaps: list[str] = []
    digests: dict[str, object] = {}
    values: list[ValueChanges] = []
    for table in facts.tables:
        recorded = baseline.digests.get(table.name) if baseline is not None else None
        if not table.usable or (recorded is None and options.save_baseline is None):
            continue
        try:
            _require_moderate_size(table, options)
            if recorded is not None:
                values.append(_compare(backend, table, recorded, until))
            if options.save_baseline is not None:
                digests[table.name] = _digest(backend, table, None, until).to_plain()
        except (*Failures, ValueError) as error:
            gaps.append(f"the values of {table.name} were not compared: {error}")
    return replace(facts, digests=digests, values=tuple(values), gaps=(*facts.gaps, *gaps))


def _require_moderate_size(table: FeatureTable, options: Options) -> None:
    cells = (table.rows or 0) * len(table.columns)
    if cells > CELLS and Depth(options.depth) is not Depth.FULL:
        raise ValueError(f"there are {cells} (--mdm-depth=full compares all)")


def _compare(backend: Backend, table: FeatureTable, recorded: object, until: Until) -> ValueChanges:
    """How the values differ from those in the baseline.

    Raises:
        ValueError: they cannot be compared, or the baseline has no valid digest.
    """
    from pytest_mdm_health.integrity.compare import compare_digests
    from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest

    if not isinstance(recorded, dict):
        raise BadDigest("the baseline has no digest of it")
    earlier = TableDigest.from_plain(recorded)
    comparison = compare_digests(earlier, _digest(backend, table, earlier, until))
    if comparison.verdict == "incomparable":
        raise ValueError(comparison.reason)
    if comparison.rows_before != comparison.rows_after:
        return ValueChanges(table=table.name, rows=(comparison.rows_before, comparison.rows_after))
    altered = comparison.altered_columns or ()
    copied: set[str] = set()
    if set(altered) & set(table.copied):
        copied = _altered_in_base(backend, table, earlier, until)
    return ValueChanges(
        table=table.name,
        altered=tuple(name for name in altered if name not in copied),
        copied=tuple(name for name in altered if name in copied),
        rearranged=comparison.verdict == "differs" and not altered and not comparison.missing_columns,
    )


def _altered_in_base(backend: Backend, table: FeatureTable, earlier: TableDigest, until: Until) -> set[str]:
    """The columns of the base table that differ from what the feature table had copied from it."""
    from pytest_mdm_health.integrity.compare import compare_digests

    now = _digest(backend, replace(table, name=table.base), earlier, until)
    return set(compare_digests(earlier, now).altered_columns or ())


def _digest(backend: Backend, table: FeatureTable, like: TableDigest | None, until: Until) -> TableDigest:
    from pytest_mdm_health.integrity.digest.tables import digested
    from pytest_mdm_health.integrity.readers.base import TableIn

    source = TableIn(backend, table.name)
    with (
        until.workbench(source) as workbench,
        digested(workbench, source, like, by_column=True) as (digest, _),
    ):
        return digest
