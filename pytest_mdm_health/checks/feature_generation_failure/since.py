"""What a later run needs to know of feature tables, and what an earlier one knew of their values."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.keep import Failures, Until
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, FeatureTable, ValuesSince
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.digest.tables import TableDigest

CELLS = 20_000_000
"""Values of a feature table up to which all are compared unless everything is asked for."""

_SHARE_OF_TIME = 0.3
_SETTINGS = "feature_engineering."


def with_circumstances(
    facts: FeatureFacts,
    dataset: Dataset,
    settings: Settings,
    installation: Installation | None,
    expected: Expected,
) -> FeatureFacts:
    """With what features depend on: backend, version, settings, and when they were made."""
    data = dataset.registration.data if dataset.registration is not None else {}
    return replace(
        facts,
        engine=dataset.backend or "",
        version=(installation.version or "") if installation is not None else "",
        registered_at=str(data.get("registered_at") or data.get("created_at") or ""),
        settings={key: each.value for key, each in settings.values.items() if key.startswith(_SETTINGS)},
        plan=expected.of(dataset.name) if expected.given else None,
    )


def with_values(
    facts: FeatureFacts, backend: Backend | None, options: Options, before: FeatureFacts | None
) -> FeatureFacts:
    """With the digests of the tables for a baseline, and with how they differ from those of one."""
    if backend is None or not options.keeps_tables or Depth(options.depth) is Depth.QUICK:
        return facts
    seconds = options.timeout * _SHARE_OF_TIME
    until = Until(time.monotonic() + seconds, seconds)
    gaps: list[str] = []
    digests: dict[str, object] = {}
    values: list[ValuesSince] = []
    for table in facts.tables:
        known = before.digests.get(table.name) if before is not None else None
        if not table.usable or (known is None and options.save_baseline is None):
            continue
        try:
            _must_be_small(table, options)
            if known is not None:
                values.append(_since(backend, table, known, until))
            if options.save_baseline is not None:
                digests[table.name] = _digest(backend, table, None, until).to_plain()
        except (*Failures, ValueError) as error:
            gaps.append(f"the values of {table.name} are not compared: {error}")
    return replace(facts, digests=digests, values=tuple(values), gaps=(*facts.gaps, *gaps))


def _must_be_small(table: FeatureTable, options: Options) -> None:
    cells = (table.rows or 0) * len(table.columns)
    if cells > CELLS and Depth(options.depth) is not Depth.FULL:
        raise ValueError(f"there are {cells} (--mdm-depth=full compares all)")


def _since(backend: Backend, table: FeatureTable, known: object, until: Until) -> ValuesSince:
    """How the values differ from those in a baseline.

    Raises:
        ValueError: they cannot be compared, or what the baseline has is no digest.
    """
    from pytest_mdm_health.integrity.compare import compare_digests
    from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest

    if not isinstance(known, dict):
        raise BadDigest("the baseline has no digest of it")
    earlier = TableDigest.from_plain(known)
    found = compare_digests(earlier, _digest(backend, table, earlier, until))
    if found.verdict == "incomparable":
        raise ValueError(found.reason)
    if found.rows_before != found.rows_after:
        return ValuesSince(table=table.name, rows=(found.rows_before, found.rows_after))
    altered = found.altered_columns or ()
    copied = _altered_in_base(backend, table, earlier, until) if set(altered) & set(table.copied) else set()
    return ValuesSince(
        table=table.name,
        altered=tuple(name for name in altered if name not in copied),
        copied=tuple(name for name in altered if name in copied),
        rearranged=found.verdict == "differs" and not altered and not found.missing_columns,
    )


def _altered_in_base(backend: Backend, table: FeatureTable, earlier: TableDigest, until: Until) -> set[str]:
    """The columns of the base table that have other values than the feature table had taken from it."""
    from pytest_mdm_health.integrity.compare import compare_digests

    now = _digest(backend, replace(table, name=table.base), earlier, until)
    return set(compare_digests(earlier, now).altered_columns or ())


def _digest(backend: Backend, table: FeatureTable, like: TableDigest | None, until: Until) -> TableDigest:
    from pytest_mdm_health.integrity.digest.tables import digested
    from pytest_mdm_health.integrity.readers.base import TableIn

    source = TableIn(backend, table.name)
    with (
        until.workbench(source, rows=table.rows) as workbench,
        digested(workbench, source, like, by_column=True) as (digest, _),
    ):
        return digest
