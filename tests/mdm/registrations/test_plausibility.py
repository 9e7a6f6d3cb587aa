from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.registrations.plausibility import is_odd_version, odd_dates

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def test_dates_as_mdm_writes_them_are_not_odd() -> None:
    written = {"registered_at": "2026-11-22T08:18:38.796489+00:00", "last_updated_at": "2026-11-22T08:20:28.070117"}
    assert odd_dates(written, NOW) == ()
    assert odd_dates({"created_at": datetime(2026, 1, 1, tzinfo=timezone.utc), "last_updated_at": None}, NOW) == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"registered_at": "1970-01-01T00:00:00"}, "before MDM existed"),
        ({"created_at": "2062-11-22"}, "in the future"),
        ({"registered_at": "2026-05-01", "last_updated_at": "2026-04-01"}, "before the registration on 2026-05-01"),
    ],
)
def test_a_date_that_cannot_be_is_odd(data: dict[str, object], why: str) -> None:
    ((field, found),) = odd_dates(data, NOW)
    assert field in data
    assert why in found


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["registered_at", "created_at", "last_updated_at"]), st.datetimes() | st.dates() | st.text()
    )
)
def test_any_date_gets_an_answer(data: dict[str, object]) -> None:
    assert {field for field, _ in odd_dates(data, NOW)} <= data.keys()


@pytest.mark.parametrize("version", ["1.0.0", "2", "v1.2", "1.0.0-rc1", "2026.11.22", "1.0.0+local", None, 7])
def test_versions_as_people_count_them_are_not_odd(version: object) -> None:
    assert not is_odd_version(version)


@pytest.mark.parametrize("version", ["", "latest", "..", "1.0.0; rm", "0x00ff ff"])
def test_other_texts_are_odd_versions(version: str) -> None:
    assert is_odd_version(version)
