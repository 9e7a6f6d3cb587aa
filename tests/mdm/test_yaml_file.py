"""Reading YAML files that may be anything."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.yaml_file import YamlDocument, YamlProblem, load_yaml, parse_yaml
from pytest_mdm_health.mdm.yaml_guard import MAX_DEPTH, MAX_NODES

HERE = Path("settings.yaml")
SETTINGS = """\
database:
  default_backend: sqlite
  sqlite: {journal_mode: WAL, cache_size: -64000}
logging:
  level: INFO  # loud enough
  file: 'my mdm.log'
feature_engineering:
  generic:
    binning:
      n_bins: [5, 10]
"""


def read(text: str | bytes) -> YamlDocument:
    return parse_yaml(text if isinstance(text, bytes) else text.encode(), HERE)


def only_problem(text: str | bytes) -> YamlProblem:
    (problem,) = read(text).problems
    return problem


def test_every_real_registration_reads_as_pyyaml_reads_it(each_home: Path) -> None:
    files = sorted((each_home / "config" / "datasets").glob("*.yaml"))
    assert files
    for file in files:
        document = load_yaml(file)
        assert document.usable
        assert document.problems == ()
        assert document.data == yaml.safe_load(file.read_text(encoding="utf-8"))
        assert document.positions["database"] == (document.positions["database.backend"][0] - 1, 1)


def test_positions_count_lines_and_columns_from_one() -> None:
    positions = read(SETTINGS).positions
    assert positions["database"] == (1, 1)
    assert positions["database.default_backend"] == (2, 3)
    assert positions["database.sqlite.cache_size"] == (3, 31)
    assert positions["feature_engineering.generic.binning.n_bins.1"] == (10, 19)


def test_raw_holds_what_stands_without_quotes() -> None:
    raw = read("a: on\nb: 012\nc: 'on'\nd: 1:30\ne:\n").raw
    assert raw == {"a": "on", "b": "012", "d": "1:30", "e": ""}


@pytest.mark.parametrize("text", ["", "\n", "# nothing but a comment\n", "---\n", "~\n"])
def test_a_file_that_says_nothing_is_usable_and_has_no_data(text: str) -> None:
    document = read(text)
    assert document.usable
    assert document.data is None


def test_a_file_that_is_not_there_says_missing(tmp_path: Path) -> None:
    assert [problem.code for problem in load_yaml(tmp_path / "no.yaml").problems] == ["missing"]


def test_a_fifo_is_an_answer_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    assert load_yaml(tmp_path / "fifo.yaml").problems == (YamlProblem("unreadable", "is a FIFO"),)


def test_a_folder_is_unreadable(tmp_path: Path) -> None:
    assert load_yaml(tmp_path).problems == (YamlProblem("unreadable", "is a folder"),)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.yaml"
    with file.open("wb") as out:
        out.truncate(10**9)
    assert [problem.code for problem in load_yaml(file).problems] == ["too-large"]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "syntax", 3, 2),
        ("a: 1\nb:\tc\n", "syntax", 2, 3),
        ("a: b: c\n", "syntax", 1, 5),
        ("a: 'x\n", "syntax", 2, 1),
        ("a: *nowhere\n", "syntax", 1, 4),
        ("? [a]\n: b\n", "syntax", 1, 3),
        ("a: 1\n---\nb: 2\n", "multiple-documents", 2, 1),
        ("a: !thing x\n", "tag", 1, 4),
        ("a: !!python/object/apply:os.system [x]\n", "tag", 1, 4),
        ("a: 1\n<<: 5\n", "merge", 2, 5),
        ("a: &a [*a]\n", "recursive", 1, 8),
        ("a: 1\nb: 2024-13-45\n", "absurd-value", 2, 4),
        ("a: !!int abc\n", "absurd-value", 1, 4),
        ("a: !!bool maybe\n", "absurd-value", 1, 4),
        (f"a: {'9' * 5000}\n", "absurd-value", 1, 4),
        (f"a: 1{':30' * 5000}\n", "absurd-value", 1, 4),
        ("a: x\0y\n", "encoding", 1, 5),
        (b"a: 1\nb: caf\xe9\n", "encoding", 2, 7),
        ("a: 1".encode("utf-16"), "encoding", None, None),
        ("a: 1".encode("utf-32"), "encoding", None, None),
    ],
)
def test_what_mdm_cannot_read_is_one_problem_with_its_place(
    text: str | bytes, code: str, line: int | None, column: int | None
) -> None:
    document = read(text)
    assert [(each.code, each.line, each.column) for each in document.problems] == [(code, line, column)]
    assert document.data is None
    assert not document.usable


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 100_000, "too-deep"),
        ("{a: " * 100_000, "too-deep"),
        ("- " * 100_000, "too-deep"),
        ("{?" * 100_000, "too-deep"),
        ("- a\n" * (MAX_NODES + 1), "too-many-nodes"),
        ("a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(40)), "alias-bomb"),
        (
            "a0: &a0 {x: 1}\n" + "".join(f"a{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}]}}\n" for i in range(40)),
            "alias-bomb",
        ),
    ],
    ids=["sequences", "mappings", "blocks", "question-marks", "nodes", "aliases", "merges"],
)
def test_a_bomb_is_refused_before_it_costs_anything(text: str, code: str) -> None:
    before = time.process_time()
    problem = only_problem(text)
    assert time.process_time() - before < 120
    assert problem.code == code


def test_nesting_up_to_the_limit_is_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH).usable


def test_a_duplicate_key_names_both_lines_and_keeps_the_last() -> None:
    document = read("database:\n  x: 1\nlogging: {}\ndatabase:\n  y: 2\n")
    (problem,) = document.problems
    assert (problem.code, problem.key, problem.line, problem.column) == ("duplicate-key", "database", 4, 1)
    assert "line 1" in problem.message
    assert "line 4" in problem.message
    assert document.usable
    assert document.data == {"database": {"y": 2}, "logging": {}}
    assert set(document.positions) == {"database", "database.y", "logging"}


def test_an_alias_and_a_merge_of_reasonable_size_are_read() -> None:
    document = read("base: &base {x: 1, y: 2}\nmore: {<<: *base, y: 3}\nsame: *base\n")
    assert document.problems == ()
    assert document.data == {"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    assert document.positions["more.x"] == (1, 14)
    assert document.positions["more.y"] == (2, 19)


def test_a_byte_order_mark_of_utf_8_changes_nothing() -> None:
    assert read(b"\xef\xbb\xbf" + SETTINGS.encode()) == read(SETTINGS)


def test_line_ends_of_other_systems_change_nothing() -> None:
    assert read(SETTINGS.replace("\n", "\r\n")) == read(SETTINGS) == read(SETTINGS.replace("\n", "\r"))


@pytest.mark.parametrize("text", ["password: *hunter2\n", "password: !hunter2 x\n", "password: 'hunter2\n"])
def test_no_problem_quotes_a_value(text: str) -> None:
    assert "hunter2" not in repr(read(text))


def test_a_document_goes_through_pickle() -> None:
    document = read(SETTINGS)
    assert pickle.loads(pickle.dumps(document)) == document  # noqa: S301 - made in the line above


def verdict_of_pyyaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except Exception:  # noqa: BLE001 - PyYAML raises all sorts of things, and so would MDM
        return Exception


@given(
    position=st.integers(0, len(SETTINGS)),
    removed=st.integers(0, 3),
    added=st.text("\t\n :-#'\"[]{},&*!|>%@`?~=<\\0a\r\x85\x07é.", max_size=4),
)
def test_damaged_settings_read_as_the_loader_of_mdm_reads_them(position: int, removed: int, added: str) -> None:
    text = SETTINGS[:position] + added + SETTINGS[position + removed :]
    document = read(text)
    expected = verdict_of_pyyaml(text.replace("\r\n", "\n").replace("\r", "\n"))
    assert document.data == (expected if document.usable else None)
    assert document.usable == (expected is not Exception)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(content: bytes) -> None:
    document = read(content)
    assert document.data is None or document.usable
