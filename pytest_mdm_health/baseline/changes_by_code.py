"""The findings that report a change since the baseline, with what has changed and how."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.engine.registry import load


def changes_by_code() -> Mapping[str, tuple[str, Change]]:
    """By finding code: the kind of thing, and what became of it."""
    rules = (rule for each in load().values() for rule in each.rules)
    return {**_CHANGES, **{rule.full_code: rule.change for rule in rules if rule.change is not None}}


_CHANGES: Mapping[str, tuple[str, Change]] = {
    "data-corruption.added-columns": ("column", Change.ADDED),
    "data-corruption.added-rows": ("table", Change.WORSE),
    "data-corruption.added-table": ("table", Change.ADDED),
    "data-corruption.altered-rows": ("table", Change.WORSE),
    "data-corruption.backend-changed": ("dataset", Change.NEW),
    "data-corruption.dropped-columns": ("column", Change.REMOVED),
    "data-corruption.duplicated-rows": ("table", Change.WORSE),
    "data-corruption.lossy-backend": ("table", Change.NEW),
    "data-corruption.lost-table": ("table", Change.REMOVED),
    "data-corruption.missing-rows": ("table", Change.WORSE),
    "data-corruption.retyped": ("column", Change.NEW),
}
"""Those of the checks whose findings are not declared as rules."""
