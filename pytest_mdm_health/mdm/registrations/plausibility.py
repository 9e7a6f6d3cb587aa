"""Dates and versions in a registration that cannot be what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from pytest_mdm_health.mdm.registrations.json_copy import moment

DATES = ("registered_at", "created_at", "last_updated_at")
_FIRST = datetime(2000, 1, 1, tzinfo=timezone.utc)
_SLACK = timedelta(days=1)  # clocks differ, and MDM writes some times without their zone
_VERSION = re.compile(r"v?\d+(\.\d+){0,4}([-+._]?[0-9a-z]+)*", re.IGNORECASE)


def odd_dates(data: Mapping[str, object], now: datetime) -> tuple[tuple[str, str], ...]:
    """The date fields that cannot be right, each with why, to follow the field's name in a sentence."""
    return tuple(_odd(data, now))


def is_odd_version(value: object) -> bool:
    """Whether a text is not a version as people count them."""
    return isinstance(value, str) and _VERSION.fullmatch(value.strip()) is None


def _odd(data: Mapping[str, object], now: datetime) -> Iterator[tuple[str, str]]:
    begun = moment(data.get("registered_at")) or moment(data.get("created_at"))
    for field in DATES:
        when = moment(data.get(field))
        if when is None:
            continue
        if when < _FIRST:
            yield field, f"is {when:%Y-%m-%d}, before MDM existed"
        elif when > now + _SLACK:
            yield field, f"is {when:%Y-%m-%d}, in the future"
        elif field == "last_updated_at" and begun is not None and when + _SLACK < begun:
            yield field, f"is {when:%Y-%m-%d}, before the registration on {begun:%Y-%m-%d}"
