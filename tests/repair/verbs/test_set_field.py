"""`set-field` changes one field in both copies of a registration, or nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.edits import value_at
from pytest_mdm_health.mdm.registrations.edits import as_text
from tests.helpers import repair
from tests.registrations import json_copy_file, said, yaml_file

Capture = pytest.CaptureFixture[str]


def texts(home: Path) -> tuple[str, str]:
    return yaml_file(home).read_text(encoding="utf-8"), json_copy_file(home).read_text(encoding="utf-8")


def set_field(home: Path, *arguments: str) -> int:
    return repair("set-field", yaml_file(home), *arguments)


@pytest.mark.parametrize(
    ("field", "word", "lines"),
    [
        ("path", "/a b/it's.sqlite", ("  path: /a b/it's.sqlite", '"path": "/a b/it\'s.sqlite"')),
        ("target_column", "when", ("target_column: when", '"target_column": "when"')),
        ("time_column", "2026", ("time_column: '2026'", '"time_column": "2026"')),
        ("problem_type", "regression", ("problem_type: regression", '"problem_type": "regression"')),
        ("tags", '["a", "b"]', ("tags:\n- a\n- b", '"tags": [\n    "a",\n    "b"\n  ]')),
        ("id_columns", "key", ("id_columns:\n- key", '"id_columns": [\n    "key"\n  ]')),
        ("database.cache_size", "-2000", ("  cache_size: -2000", '"cache_size": -2000')),
    ],
)
def test_only_the_lines_of_the_field_change(home: Path, field: str, word: str, lines: tuple[str, str]) -> None:
    comment = "# kept\nname: shop"
    yaml_file(home).write_text(texts(home)[0].replace("name: shop", comment, 1), encoding="utf-8")
    before = texts(home)
    assert set_field(home, field, word) == 0
    after = texts(home)
    for old, new, line in zip(before, after, lines, strict=True):
        assert line in new
        gone = set(old.splitlines()) - set(new.splitlines())
        assert len(gone) == 1
    name = field if field != "path" else "database.path"
    for file in (yaml_file(home), json_copy_file(home)):
        found, value = value_at(said(file), name.split("."))
        assert found
        assert as_text(value) in {word, f'["{word}"]'}


def test_a_field_without_a_value_is_left_as_mdm_writes_it(home: Path) -> None:
    assert set_field(home, "target_column") == 0
    assert set_field(home, "id_columns") == 0
    assert "target_column: null\nid_columns: []\n" in texts(home)[0]
    assert '"target_column": null,\n  "id_columns": [],' in texts(home)[1]


def test_it_is_done_once_and_undone_byte_for_byte(home: Path, capsys: Capture) -> None:
    before = texts(home)
    assert set_field(home, "target_column", "when") == 0
    undo = capsys.readouterr().out.rpartition("mdm-health ")[2].split()
    after = texts(home)
    assert set_field(home, "target_column", "when") == 1
    assert "'when' already" in capsys.readouterr().err
    assert texts(home) == after
    assert repair(*undo) == 0
    assert texts(home) == before


def test_it_keeps_the_mode_of_each_file(home: Path) -> None:
    yaml_file(home).chmod(0o600)
    assert set_field(home, "target_column", "when") == 0
    assert yaml_file(home).stat().st_mode & 0o777 == 0o600


def test_a_copy_that_is_right_already_is_not_written(home: Path) -> None:
    json_copy_file(home).write_text(texts(home)[1].replace('"churn"', '"when"'), encoding="utf-8")
    before = texts(home)[1]
    assert set_field(home, "target_column", "when", "--was=churn") == 0
    assert texts(home)[1] == before
    assert said(yaml_file(home))["target_column"] == "when"


def test_a_damaged_copy_stays_and_that_is_said(home: Path, capsys: Capture) -> None:
    json_copy_file(home).write_text("{", encoding="utf-8")
    assert set_field(home, "target_column", "when", "--dry-run") == 0
    assert "the JSON copy is damaged, and stays" in capsys.readouterr().out
    assert set_field(home, "target_column", "when") == 0
    assert texts(home)[1] == "{"


def damaged(home: Path) -> None:
    yaml_file(home).write_text("name: [", encoding="utf-8")


def linked(home: Path) -> None:
    os.link(yaml_file(home), home / "second.yaml")


def nothing(home: Path) -> None:
    del home


@pytest.mark.parametrize(
    ("damage", "arguments", "reason"),
    [
        (nothing, ("target_column", "when", "--was=other"), "is 'churn', not 'other'"),
        (nothing, ("tables", "x"), "no single field `tables`"),
        (nothing, ("target_colum", "x"), "no single field `target_colum`"),
        (nothing, ("database.password", "x"), "does not belong on a command line"),
        (nothing, ("problem_type", "guessing"), "would not be taken by MDM"),
        (nothing, ("name", "my shop"), "would not be taken by MDM"),
        (nothing, ("path",), "would not be taken by MDM"),
        (nothing, ("database.cache_size", "much"), "takes a whole number"),
        (nothing, ("tags", "[1]"), "takes a list of texts"),
        (damaged, ("target_column", "when"), "cannot be read"),
        (linked, ("target_column", "when"), "a hard link"),
    ],
)
def test_where_its_premise_does_not_hold_nothing_changes(
    home: Path,
    capsys: Capture,
    tree: Callable[[Path], object],
    damage: Callable[[Path], None],
    arguments: tuple[str, ...],
    reason: str,
) -> None:
    damage(home)
    before = tree(home)
    assert set_field(home, *arguments) == 1
    assert reason in capsys.readouterr().err
    assert tree(home) == before
