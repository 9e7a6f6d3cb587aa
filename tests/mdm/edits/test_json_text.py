"""One value of a JSON text is changed, and nothing else of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.edits import CannotEdit, changed
from pytest_mdm_health.mdm.edits.json_text import with_value

TEXT = """{
  "name": "shop", "odd"  :1e-05,
  "database": {
    "backend": "sqlite",
    "path": "/old\\u00e9/shop.sqlite"
  },
  "id_columns": [
    "id"
  ],
  "tags": []
}"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("database.path", "C:\\x", '"/old\\u00e9/shop.sqlite"', '"C:\\\\x"'),
        ("odd", None, "1e-05", "null"),
        ("id_columns", [], '[\n    "id"\n  ]', "[]"),
        ("tags", ["a", "b"], "[]", '[\n    "a",\n    "b"\n  ]'),
        ("database.port", 1, 'shop.sqlite"\n', 'shop.sqlite",\n    "port": 1\n'),
        ("last", "x", '"tags": []', '"tags": [],\n  "last": "x"'),
    ],
)
def test_one_value_is_set_and_all_else_stays(key: str, value: object, old: str, new: str, line_end: str) -> None:
    assert TEXT.count(old) == 1
    before, after = (text.replace("\n", line_end).encode() for text in (TEXT, TEXT.replace(old, new)))
    assert with_value(before, key.split("."), value) == after


@pytest.mark.parametrize(("text", "key"), [("{", "a"), ("[]", "a"), ('{"a": 1}', "a.b"), ("{}", "a"), ("\xff", "a")])
def test_what_cannot_be_edited_alone_is_refused(text: str, key: str) -> None:
    with pytest.raises(CannotEdit):
        with_value(text.encode("latin-1"), key.split("."), 1)


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.text(max_size=4), max_size=3)
KEYS = st.sampled_from("abcd")
TREES = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), max_size=4)


@given(TREES, st.lists(KEYS, min_size=1, max_size=2), VALUES, st.sampled_from([None, 2]), st.booleans())
def test_whatever_is_there_only_the_meant_value_changes(
    tree: dict[str, object], keys: list[str], value: object, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    try:
        after = with_value(text.encode("utf-8", "surrogatepass"), keys, value)
    except CannotEdit:
        return
    assert json.loads(after) == changed(tree, keys, value)
