"""The findings that report a change since the baseline, with what has changed and how."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.engine.registry import load


def changes_by_code() -> Mapping[str, tuple[str, Change]]:
    """By finding code: the kind of thing, and how it has changed."""
    rules = (rule for each in load().values() for rule in each.rules)
    return {rule.full_code: rule.change for rule in rules if rule.change is not None}
