"""One value of a YAML text is changed, and nothing else of it."""

from __future__ import annotations

import difflib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.edits import CannotEdit, changed
from pytest_mdm_health.mdm.edits.yaml_text import with_value, without, written

TEXT = """\
# The settings of the team. \u00fcber
database:   # which one
  default_backend: "sqlite"
  sqlite:
    journal_mode: 'DELETE' # slow
    cache_size: -64_000


  duckdb: {memory_limit: 2GB, threads: 2}
tags:
- one
- two  # the second
note: |
  several
  lines

empty:
last: 1.50
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("key", "value", "old", "new"),
    [
        ("database.default_backend", "duckdb", '"sqlite"', '"duckdb"'),
        ("database.sqlite.journal_mode", "WAL", "'DELETE' # slow", "'WAL' # slow"),
        ("database.sqlite.cache_size", -2000, "-64_000", "-2000"),
        ("database.duckdb.memory_limit", "4GB", "memory_limit: 2GB", "memory_limit: 4GB"),
        ("database.duckdb.access_mode", "READ_ONLY", "threads: 2}", "threads: 2, access_mode: READ_ONLY}"),
        ("database.sqlite.synchronous", "OFF", "-64_000\n", "-64_000\n    synchronous: 'OFF'\n"),
        ("empty", "0123", "empty:", "empty: '0123'"),
        ("empty.level", "INFO", "empty:\n", "empty:\n  level: INFO\n"),
        ("note", "short", "|\n  several\n  lines", "short"),
        ("last", None, "1.50", "null"),
        ("last", "1.50", "1.50", "'1.50'"),
        ("last", ["a", "b"], " 1.50", "\n- a\n- b"),
        ("logging.level", "DEBUG", "last: 1.50\n", "last: 1.50\nlogging:\n  level: DEBUG\n"),
        ("database.postgresql.port", 5433, "threads: 2}\n", "threads: 2}\n  postgresql:\n    port: 5433\n"),
    ],
)
def test_one_value_is_set_and_all_else_stays(key: str, value: object, old: str, new: str, line_end: str) -> None:
    assert TEXT.count(old) == 1
    before, after = (text.replace("\n", line_end).encode() for text in (TEXT, TEXT.replace(old, new)))
    assert with_value(before, key.split("."), value) == after


@pytest.mark.parametrize(
    ("key", "gone"),
    [
        ("database.sqlite.cache_size", "    cache_size: -64_000\n"),
        ("last", "last: 1.50\n"),
        ("note", "note: |\n  several\n  lines\n"),
        ("empty", "empty:\n"),
        ("tags", "tags:\n- one\n- two  # the second\n"),
    ],
)
def test_one_key_is_removed_and_all_else_stays(key: str, gone: str) -> None:
    assert without(TEXT.encode(), key.split(".")) == TEXT.replace(gone, "").encode()


def test_a_section_goes_with_the_last_key_in_it() -> None:
    assert without(b"a: 1\nb:\n  c:\n    d: 2\n# end\n", ["b", "c", "d"]) == b"a: 1\n# end\n"


def test_a_mark_at_the_beginning_and_a_missing_last_line_end_stay() -> None:
    assert with_value("\ufeffa: 1".encode(), ["a"], 2) == "\ufeffa: 2".encode()
    assert with_value(b"a: 1", ["b"], 2) == b"a: 1\nb: 2\n"
    assert with_value(b"", ["a", "b"], 2) == b"a:\n  b: 2\n"
    assert with_value(b"# nothing yet", ["a"], 2) == b"# nothing yet\na: 2\n"
    assert with_value(b"---\na: 1\n...\n", ["b"], 2) == b"---\na: 1\nb: 2\n...\n"


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("a: [1\n", "a", 2),
        ("a: &x 1\nb: *x\n", "a", 2),
        ("a: &x 1\nb: *x\n", "b", 2),
        ("a: !!str 1\n", "a", "2"),
        ("a: 1\n", "a.b", 2),
        ("- 1\n", "a", 2),
        ("a:\n- 1\n# kept\n- 2\n", "a", [3]),
        ("a: >  # folded\n  text\nb: 1\n", "a", ["x"]),
    ],
)
def test_what_cannot_be_edited_alone_is_refused(text: str, key: str, value: object) -> None:
    with pytest.raises(CannotEdit):
        with_value(text.encode(), key.split("."), value)


@pytest.mark.parametrize("key", ["b.c", "b", "missing", "b.missing"])
def test_a_key_is_not_removed_with_what_belongs_to_another(key: str) -> None:
    with pytest.raises(CannotEdit):
        without(b"a: 1\nb:\n  # why\n  c: 2\nd: {e: 1}\n", key.split("."))
    with pytest.raises(CannotEdit):
        without(b"a: 1\nd: {e: 1, f: 2}\n", ["d", "e"])


def test_a_setting_in_quotes_that_is_a_number_stays_text() -> None:
    assert yaml.safe_load(with_value(b"a: x\n", ["a"], "1e5")) == {"a": "1e5"}
    assert yaml.safe_load(with_value(b"a: x\n", ["a"], "C:\\new # 1: 'q'")) == {"a": "C:\\new # 1: 'q'"}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
VALUES = SCALARS | st.lists(st.text(max_size=5), max_size=3)
KEYS = st.sampled_from("abcdefgh")
TREES = st.dictionaries(
    KEYS, VALUES | st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=2), max_size=3), max_size=4
)


@given(TREES, st.lists(KEYS, min_size=1, max_size=3), VALUES, st.sampled_from([None, False, True]), st.booleans())
def test_whatever_is_there_only_the_meant_value_changes(
    tree: dict[str, object], keys: list[str], value: object, flow: bool | None, unicode: bool
) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=unicode, sort_keys=False).encode()
    try:
        after = with_value(text, keys, value)
    except CannotEdit:
        return
    wanted = changed(tree, keys, value)
    read = yaml.safe_load(after)
    assert repr(read) == repr(wanted)
    if flow is False and keys[0] in tree:  # the lines of the other keys are what they were
        others = {key: item for key, item in tree.items() if key != keys[0]}
        lines = (
            yaml.safe_dump(others, default_flow_style=flow, allow_unicode=unicode, sort_keys=False).splitlines()
            if others
            else []
        )
        kept = after.decode().splitlines()
        blocks = difflib.SequenceMatcher(None, lines, kept, autojunk=False).get_matching_blocks()
        assert sum(block.size for block in blocks) == len(lines)


@given(TREES)
def test_what_is_written_says_what_was_given(tree: dict[str, object]) -> None:
    try:
        text = written(tree)
    except CannotEdit:
        assert not repr(tree).isascii() or "\\" in repr(tree)  # a character that YAML cannot hold
        return
    assert repr(yaml.safe_load(text)) == repr(tree)
