"""The findings that speak of a change since the baseline, with what has changed and how."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.changes import Change

CHANGES: Mapping[str, tuple[str, Change]] = {
    "metadata-corruption.vanished": ("dataset", Change.REMOVED),
    "metadata-corruption.lost-registration": ("dataset", Change.REMOVED),
}
"""By finding code: the kind of thing, and what became of it."""
