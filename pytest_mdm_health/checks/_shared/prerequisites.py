"""What several checks require."""

from __future__ import annotations

DATA_IS_READABLE = (
    "metadata-corruption.incomplete",
    "metadata-corruption.lost-field",
    "metadata-corruption.other-default",
    "metadata-corruption.missing-column",
    "metadata-corruption.name-differs",
    "metadata-corruption.not-seen",
)
"""Failures of a registration beside which its data can be found and examined all the same."""
