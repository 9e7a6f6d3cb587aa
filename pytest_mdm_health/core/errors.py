"""A file that the user named and that cannot be used."""

from __future__ import annotations

from pytest_mdm_health.core.text import shortened

_LIMIT = 1000


class UnusableFile(Exception):
    """A baseline, waivers or expectations file that cannot be used (exit code 12); the text says why, on one line."""

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text, _LIMIT))
