from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_mdm_health.mdm.registrations.json_copy import differences, explained, moment, read_json_copy

SHOP: dict[str, object] = {
    "name": "shop",
    "database": {"backend": "sqlite", "path": "/data/shop.sqlite"},
    "tables": {"train": "train"},
    "registered_at": "2026-11-22T08:18:38.796489+00:00",
    "last_updated_at": None,
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_a_json_copy_as_mdm_writes_it_is_usable(each_home: Path) -> None:
    for name in ("shop", "wine", "big"):
        json_copy = read_json_copy(each_home / "datasets" / name / "dataset_info.json")
        assert json_copy is not None
        assert json_copy.usable
        assert json_copy.data is not None
        assert json_copy.data["name"] == name


def test_no_file_is_no_json_copy(tmp_path: Path) -> None:
    assert read_json_copy(tmp_path / "dataset_info.json") is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON: line 1, column 1"),
        (b'{"name": "shop"', "is not JSON: line 1"),
        (b'{"name": "\xff"}', "is not UTF-8: byte 11"),
        (b"[1, 2]", "holds no JSON object"),
        (b"[" * 100_000, "absurd numbers or nesting"),
        (b'{"version": ' + b"9" * 10_000 + b"}", "absurd numbers or nesting"),
    ],
)
def test_a_json_copy_that_cannot_be_read_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "dataset_info.json"
    file.write_bytes(content)
    json_copy = read_json_copy(file)
    assert json_copy is not None
    assert not json_copy.usable
    assert problem in json_copy.problem


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_json_copy_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "dataset_info.json")
    json_copy = read_json_copy(tmp_path / "dataset_info.json")
    assert json_copy is not None
    assert json_copy.problem == "is a FIFO"


def test_a_json_copy_that_mdm_refuses_is_not_usable(tmp_path: Path) -> None:
    file = tmp_path / "dataset_info.json"
    file.write_text(json.dumps(SHOP | {"version": 1.0}))
    json_copy = read_json_copy(file)
    assert json_copy is not None
    assert [refusal.field for refusal in json_copy.refused] == ["version"]
    assert not json_copy.usable


def test_a_json_copy_does_not_show_its_password(tmp_path: Path) -> None:
    file = tmp_path / "dataset_info.json"
    file.write_text(json.dumps(SHOP | {"database": {"backend": "postgresql", "password": "hunter2"}}))
    assert "hunter2" not in repr(read_json_copy(file))


def test_another_format_of_a_date_or_number_is_no_difference() -> None:
    json_copy = SHOP | {
        "registered_at": "2026-11-22 08:18:38.796489+00:00",
        "metadata": {"rows": "12"},
        "description": "",
    }
    assert differences(SHOP | {"metadata": {"rows": 12}, "description": None}, json_copy) == ()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"tables": {"train": "old"}}, ("tables",)),
        ({"database": {"backend": "sqlite", "path": "/old/shop.sqlite"}}, ("database.path",)),
        ({"database": {"backend": "duckdb"}}, ("database.backend", "database.path")),
        ({"database": None}, ("database",)),
        ({"target_column": "y"}, ("target_column",)),
    ],
)
def test_differences_are_named(change: dict[str, object], found: tuple[str, ...]) -> None:
    assert differences(SHOP, SHOP | change) == found
    assert not explained(found, SHOP, SHOP | change)


def test_what_update_leaves_is_explained_while_the_yaml_is_used() -> None:
    yaml = SHOP | {"target_column": "y", "last_updated_at": "2026-11-23T08:00:00"}
    fields = differences(yaml, SHOP)
    assert fields == ("last_updated_at", "target_column")
    assert explained(fields, yaml, SHOP)
    assert not explained(fields, yaml, SHOP, in_force=False)
    assert not explained(fields, SHOP, yaml)  # the copy is newer than the YAML file: no command does that


def test_text_for_people_may_differ() -> None:
    assert explained(("description",), SHOP | {"description": "new"}, SHOP, in_force=False)


def test_a_mapping_in_itself_is_compared_all_the_same() -> None:
    endless: dict[str, object] = {}
    endless["metadata"] = endless
    assert differences(endless, {}) == ("metadata",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22T08:18:38Z", "2026-11-22T08:18:38+00:00"),
        ("2026-11-22 08:18:38.5", "2026-11-22T08:18:38.500000+00:00"),
        ("2026-11-22", "2026-11-22T00:00:00+00:00"),
        ("2026-11-22T08:18:38+02:00", "2026-11-22T08:18:38+02:00"),
    ],
)
def test_a_moment_is_read_as_mdm_reads_it(text: str, expected: str) -> None:
    found = moment(text)
    assert found is not None
    assert found.isoformat() == expected


@pytest.mark.parametrize("value", [None, "", "826160", "2026", "1.0.0", "2026-13-40", 7, []])
def test_what_is_no_date_is_no_moment(value: object) -> None:
    assert moment(value) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5), st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_any_two_copies_can_be_compared(one: dict[str, object], other: dict[str, object]) -> None:
    assert differences(one, one) == ()
    assert differences(one, other) == differences(other, one)
