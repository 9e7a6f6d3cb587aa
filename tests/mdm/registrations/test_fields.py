"""What of a registration is recorded for the next run, and what counts as the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.registrations.fields import is_compared, is_same, recorded_fields, recorded_value
from pytest_mdm_health.mdm.registrations.json_copy import JsonCopy
from pytest_mdm_health.mdm.yaml_file import YamlDocument

FILE = Path("/home/ml/.mdm/config/datasets/shop.yaml")


def recorded(**data: object) -> dict[str, str]:
    """What is recorded of a YAML file with these fields."""
    whole: dict[str, object] = {"name": "shop", **data}
    document = YamlDocument(FILE, data=whole)
    registration = Registration(name="shop", file=FILE, root=FILE.parent, shape="full", document=document, data=whole)
    return dict(recorded_fields(registration)["yaml"])


SAME: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "nothing in several ways": ({"description": None, "tags": [], "metadata": {"a": ""}}, {"description": ""}),
    "a number as text": ({"metadata": {"limit": 5}}, {"metadata": {"limit": "5"}}),
    "tags in another order": ({"tags": ["a", "b"]}, {"tags": ["b", "a", "b"]}),
    "keys in another order": ({"team": {"a": 1, "b": 2}}, {"team": {"b": 2, "a": 1}}),
    "a date in two ways": ({"reviewed": "2026-11-22T08:00:00Z"}, {"reviewed": "2026-11-22 09:00:00+01:00"}),
    "dates of MDM": ({"registered_at": "2026-01-01", "last_updated_at": None}, {"last_updated_at": "2027-01-01"}),
    "statistics": ({"metadata": {"statistics": {"row_count": 1}}}, {"metadata": {"statistics": {"row_count": 2}}}),
    "the name as display name": ({"display_name": "shop"}, {"display_name": None}),
    "the description of 0.1.0": ({"description": {"description": "x"}}, {"description": "x"}),
    "feature tables listed apart": (
        {"tables": {"t": "t", "t_features": "t_features"}},
        {"tables": {"t": "t"}, "feature_tables": {"t_features": "t_features"}},
    ),
    "path and backend": ({"database": {"backend": "sqlite", "path": "/a"}}, {"database": {"backend": "duckdb"}}),
    "settings that MDM copies": ({"database": {"journal_mode": "WAL"}}, {"database": {"memory_limit": "8GB"}}),
    "user and password": ({"database": {"user": "a", "password": "b"}}, {"database": {"user": "c"}}),
    "the user in an address": (
        {"database": {"connection_string": "postgresql://a:secret@db/x"}},
        {"database": {"connection_string": "postgresql://b@db/x"}},
    ),
}
DIFFERENT: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "a text with a zero": ({"code": "007"}, {"code": 7}, "code"),
    "other tags": ({"tags": ["a"]}, {"tags": ["b"]}, "tags"),
    "an unknown list in another order": ({"steps": ["a", "b"]}, {"steps": ["b", "a"]}, "steps"),
    "an unknown field that is gone": ({"metadata": {"owner": "Ann"}}, {}, "metadata.owner"),
    "another server": ({"database": {"host": "a"}}, {"database": {"host": "b"}}, "database.host"),
    "what MDM does not know": (
        {"database": {"zone": "a"}},
        {"database": {"zone": "b"}},
        "database.zone",
    ),
    "another address": (
        {"database": {"connection_string": "postgresql://u:p@a/x"}},
        {"database": {"connection_string": "postgresql://u:p@b/x"}},
        "database.connection_string",
    ),
    "another role": ({"tables": {"train": "t"}}, {"tables": {"test": "t"}}, "tables"),
    "a description": ({"description": "a"}, {"description": "b"}, "description"),
    "a mapping deep inside": ({"x": {"y": {"z": 1}}}, {"x": {"y": {"z": 2}}}, "x"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_means_the_same_is_recorded_alike(name: str) -> None:
    one, other = SAME[name]
    assert recorded(**one) == recorded(**other)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_means_something_else_differs_in_its_field(name: str) -> None:
    one, other = (recorded(**data) for data in DIFFERENT[name][:2])
    differing = {field for field in {*one, *other} if not is_same(field, one.get(field, ""), other.get(field, ""))}
    assert differing == {DIFFERENT[name][2]}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/home/ml/raw/shop", "raw/shop", True),
        ("raw/shop", "../raw/shop", True),
        ("./raw/shop/", "raw/shop", True),
        ("C:\\data\\raw\\shop.csv", "raw/shop.csv", True),
        ("/home/ml/raw/shop", "/srv/ml/raw/shop", False),
        ("/home/ml/raw/shop", "raw/wine", False),
        ("/shop", "raw/shop", False),
        ("/home/ml/raw/workshop", "shop", False),
    ],
)
def test_a_source_may_be_seen_from_another_folder(one: str, other: str, same: bool) -> None:
    first, second = (recorded_value("source", path) for path in (one, other))
    assert is_same("source", first, second) is same
    assert is_same("source", second, first) is same


def test_both_copies_are_recorded_whichever_is_in_force() -> None:
    data = {"name": "shop", "tags": ["a"]}
    registration = Registration(
        name="shop",
        file=FILE,
        root=FILE.parent,
        shape="full",
        document=YamlDocument(FILE, data={**data, "tags": ["b"]}),
        json_copy=JsonCopy(FILE, data=data),
        in_force="json",
        data=data,
    )
    fields = recorded_fields(registration)
    assert fields["yaml"]["tags"] == recorded_value("tags", ["b"])
    assert fields["json"]["tags"] == recorded_value("tags", ["a"])


def test_neither_secrets_nor_what_a_person_wrote_is_recorded() -> None:
    connection = {
        "backend": "postgresql",
        "host": "db",
        "password": "hunter2",
        "connection_string": "pg://u:hunter2@db/x",
    }
    found = recorded(database=connection, description="to be kept secret", api_token="hunter3", tags=["confidential"])
    assert "database.password" not in found
    assert "api_token" not in found
    for word in ("hunter", "secret", "confidential"):
        assert word not in json.dumps(found)


NEVER = ("name", "registered_at", "database.path", "database", "metadata", "database.password")


@pytest.mark.parametrize("field", NEVER)
def test_some_fields_are_never_compared(field: str) -> None:
    assert not is_compared(field)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), VALUES, max_size=4), VALUES, VALUES, VALUES)
def test_any_registration_can_be_recorded(
    data: dict[str, object], database: object, metadata: object, source: object
) -> None:
    whole = {**data, "database": database, "metadata": metadata, "tags": metadata, "source": source, "tables": data}
    whole.pop("name", None)
    found = recorded(**whole)
    assert recorded(**whole) == found
    assert is_same("source", found.get("source", ""), found.get("source", ""))
    assert is_same("source", found.get("source", ""), recorded_value("source", "raw/shop")) in {True, False}
