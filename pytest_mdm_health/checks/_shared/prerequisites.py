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

SERVER_LETS_IN = (
    "postgres-slowdown.unreachable",
    "postgres-slowdown.login-refused",
    "postgres-slowdown.closed-database",
)
"""Failures of a server that keep a dataset's database from being opened."""

ROWS_ARE_VISIBLE = ("postgres-slowdown.hidden-rows", "postgres-slowdown.no-privilege")
"""Failures of a server that make tables look empty or unreadable, so that nothing can be said of their rows."""
