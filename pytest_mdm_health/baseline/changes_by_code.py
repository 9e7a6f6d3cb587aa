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
    "metadata-corruption.changed-field": ("field", Change.NEW),
    "metadata-corruption.lost-field": ("field", Change.REMOVED),
    "metadata-corruption.lost-registration": ("dataset", Change.REMOVED),
    "metadata-corruption.vanished": ("dataset", Change.REMOVED),
    "slow-registration.slower-than-before": ("duration", Change.WORSE),
}
"""Those of the checks whose findings are not declared as rules."""
