from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.registrations.schema import (
    Refusal,
    is_dataset_name,
    missing_fields,
    refusals,
    shape_of,
)

FULL: dict[str, object] = {
    "name": "shop",
    "database": {"backend": "sqlite", "path": "/data/shop.sqlite"},
    "tables": {"train": "train"},
}
FLAT: dict[str, object] = {
    "name": "shop",
    "path": "/data/shop.sqlite",
    "created_at": "2026-01-31T12:00:00",
    "backend": "sqlite",
    "version": "1.0.0",
}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (FULL, "full"),
        (FLAT, "flat"),
        ({"path": "/data/shop"}, "pointer"),
        ({"path": "/data/shop", "name": "shop"}, "pointer"),
        ({"name": "shop", "tables": {"train": "train"}}, "full"),
        ({"name": "shop", "backend": "sqlite"}, "flat"),
        ({"name": "shop"}, "unknown"),
        ({}, "unknown"),
        (None, "unusable"),
        (["shop"], "unusable"),
        ("shop", "unusable"),
    ],
)
def test_the_shape_is_told_by_the_fields(data: object, shape: str) -> None:
    assert shape_of(data) == shape


def test_a_full_registration_as_mdm_writes_it_is_not_refused() -> None:
    written = FULL | {
        "display_name": "Shop",
        "problem_type": None,
        "id_columns": ["id"],
        "feature_tables": {},
        "registered_at": "2026-11-22T08:18:38.796489+00:00",
        "last_updated_at": None,
        "tags": [],
        "version": "1.0.0",
        "metadata": {"statistics": {"row_count": 0}},
        "something_new": 1,
    }
    assert refusals(written, "full") == ()
    assert missing_fields(written, "full") == ()


@pytest.mark.parametrize(
    ("field", "value", "refusal"),
    [
        ("description", {"description": "text"}, Refusal("description", "text", "a mapping")),
        ("version", 1.0, Refusal("version", "text", "a number")),
        ("name", 12, Refusal("name", "a text of letters, digits, _ and -", "a whole number")),
        ("name", "my shop", Refusal("name", "a text of letters, digits, _ and -", "another text")),
        ("name", "", Refusal("name", "a text of letters, digits, _ and -", "an empty text")),
        ("database", "sqlite:///x", Refusal("database", "a mapping", "another text")),
        ("tables", None, Refusal("tables", "a mapping of texts to texts", "nothing")),
        ("tables", {"train": 7}, Refusal("tables.train", "text", "a whole number")),
        ("tags", "old", Refusal("tags", "a list of texts", "another text")),
        ("tags", ["old", 2024], Refusal("tags.1", "text", "a whole number")),
        ("id_columns", {"id": "id"}, Refusal("id_columns", "a list of texts", "a mapping")),
        ("registered_at", "yesterday", Refusal("registered_at", "a date and time", "another text")),
        ("registered_at", None, Refusal("registered_at", "a date and time", "nothing")),
        ("display_name", True, Refusal("display_name", "text", "true or false")),
        ("source", ["a"], Refusal("source", "text", "a list")),
        ("version", date(2026, 1, 1), Refusal("version", "text", "a date")),
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(field: str, value: object, refusal: Refusal) -> None:
    assert refusals(FULL | {field: value}, "full") == (refusal,)


def test_an_unknown_problem_type_is_refused_with_the_known_ones() -> None:
    (refusal,) = refusals(FULL | {"problem_type": "time-series"}, "full")
    assert refusal.field == "problem_type"
    assert "time_series" in refusal.takes


def test_moments_that_yaml_understood_are_taken() -> None:
    assert refusals(FULL | {"registered_at": datetime(2026, 1, 1, tzinfo=timezone.utc)}, "full") == ()
    assert refusals(FULL | {"registered_at": date(2026, 1, 1)}, "full") == ()


def test_a_field_name_that_is_no_text_spoils_a_registration() -> None:
    assert refusals({**FULL, True: "x"}, "full") == (Refusal("True", "a text as its name", "true or false"),)


def test_values_are_never_told() -> None:
    refused = refusals(FULL | {"database": "postgresql://u:hunter2@db/x", "problem_type": "hunter2"}, "full")
    assert len(refused) == 2
    assert "hunter2" not in repr(refused)


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        ({"database": FULL["database"], "tables": FULL["tables"]}, ("name",)),
        ({"name": "shop", "tables": FULL["tables"]}, ("database",)),
        (FULL | {"tables": {}}, ("tables",)),
        (FULL | {"database": {"path": "/x"}}, ("database.backend",)),
        (FULL | {"database": {"backend": "duckdb"}}, ("database.path",)),
        (FULL | {"database": {"backend": "postgresql"}}, ()),
        (FULL | {"database": {"backend": "postgresql", "connection_string": "postgresql://h/d"}}, ()),
        (FULL | {"database": {"backend": "postgresql", "host": "h", "database": "d"}}, ()),
    ],
)
def test_a_full_registration_needs_its_fields(data: Mapping[str, object], missing: tuple[str, ...]) -> None:
    assert missing_fields(data, "full") == missing


@pytest.mark.parametrize("field", FLAT)
def test_a_flat_registration_needs_all_of_its_five_fields(field: str) -> None:
    data = {name: value for name, value in FLAT.items() if name != field}
    assert missing_fields(FLAT, "flat") == ()
    assert missing_fields(data, "flat") == (field,)


def test_a_pointer_needs_its_path() -> None:
    assert missing_fields({"path": "/data/shop"}, "pointer") == ()
    assert missing_fields({"path": ""}, "pointer") == ("path",)


@pytest.mark.parametrize(
    ("name", "taken"),
    [("shop", True), ("Shop-2_b", True), ("zürich", True), ("my shop", False), ("", False), ("a.b", False)],
)
def test_names_are_letters_digits_dashes_and_underscores(name: str, taken: bool) -> None:
    assert is_dataset_name(name) is taken


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*FULL, *FLAT, "tags", "problem_type", "registered_at", "metadata"]), PLAIN))
def test_whatever_is_in_a_registration_gets_an_answer(data: dict[str, object]) -> None:
    shape = shape_of(data)
    for refusal in refusals(data, shape):
        assert refusal.field.split(".")[0] in data
    assert not set(missing_fields(data, shape)) & {refusal.field for refusal in refusals(data, shape)}
