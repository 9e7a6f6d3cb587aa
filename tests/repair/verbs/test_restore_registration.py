"""`restore-registration` completes or makes a YAML file of its JSON copy, and loses nothing of either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import repair
from tests.registrations import differing, json_copy_file, said, yaml_file

Capture = pytest.CaptureFixture[str]


def restore(home: Path, name: str = "wine") -> int:
    return repair("restore-registration", yaml_file(home, name))


def cut_at(home: Path, mark: str, text: str = "") -> str:
    kept = yaml_file(home, "wine").read_text(encoding="utf-8").partition(mark)[0] + text
    yaml_file(home, "wine").write_text(kept, encoding="utf-8")
    return kept


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_is_left_stays_with_its_comments_and_line_ends(home: Path, line_end: str) -> None:
    right = said(yaml_file(home, "wine"))
    kept = ("# ours\n" + cut_at(home, "id_columns:") + "# more\n").replace("\n", line_end).encode()
    yaml_file(home, "wine").write_bytes(kept)
    assert restore(home) == 0
    result = yaml_file(home, "wine").read_bytes()
    assert result.startswith(kept)
    assert result.count(b"\n") == result.count(line_end.encode())
    assert differing(said(yaml_file(home, "wine")), right) == set()


@pytest.mark.parametrize(
    ("mark", "text"), [("  statistics:", ""), ("    row_count:", "    row_c"), ("tables:\n", "tables:")]
)
def test_a_field_that_broke_off_inside_is_completed(home: Path, mark: str, text: str) -> None:
    right = said(yaml_file(home, "wine"))
    cut_at(home, mark, text)
    assert restore(home) == 0
    assert differing(said(yaml_file(home, "wine")), right) == set()


def test_a_lost_file_is_made_with_the_mode_of_the_copy(home: Path, capsys: Capture) -> None:
    yaml_file(home, "wine").unlink()
    json_copy_file(home, "wine").chmod(0o600)
    copy = json_copy_file(home, "wine").read_bytes()
    assert restore(home) == 0
    undo = capsys.readouterr().out.rpartition("mdm-health ")[2].split()
    assert said(yaml_file(home, "wine")) == said(json_copy_file(home, "wine"))
    assert yaml_file(home, "wine").stat().st_mode & 0o777 == 0o600
    assert json_copy_file(home, "wine").read_bytes() == copy
    assert restore(home) == 1
    assert "has all that its JSON copy has" in capsys.readouterr().err
    assert repair(*undo) == 0
    assert not yaml_file(home, "wine").exists()


def contradict(home: Path) -> None:
    cut_at(home, "id_columns:", "version: 2.0.0\n")


def break_off_in_other_text(home: Path) -> None:
    cut_at(home, "id_columns:", "id_col: [")


def damage_in_the_middle(home: Path) -> None:
    file = yaml_file(home, "wine")
    file.write_text(file.read_text(encoding="utf-8").replace("tables:\n", "tables\n"), encoding="utf-8")


def lose_a_line_in_the_middle(home: Path) -> None:
    file = yaml_file(home, "wine")
    file.write_text(file.read_text(encoding="utf-8").replace("  temp_store: MEMORY\n", ""), encoding="utf-8")


def damage_the_copy(home: Path) -> None:
    yaml_file(home, "wine").unlink()
    json_copy_file(home, "wine").write_text("{", encoding="utf-8")


def copy_of_another(home: Path) -> None:
    yaml_file(home, "wine").unlink()
    json_copy_file(home, "wine").write_bytes(json_copy_file(home).read_bytes())


def zeros(home: Path) -> None:
    yaml_file(home, "wine").write_bytes(b"\0" * 100)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (contradict, "says something else than its JSON copy"),
        (break_off_in_other_text, "is damaged not at its end"),
        (damage_in_the_middle, "is damaged not at its end"),
        (lose_a_line_in_the_middle, "lacks something in its middle"),
        (damage_the_copy, "no JSON copy that can be used"),
        (copy_of_another, "is that of 'shop'"),
        (zeros, "is damaged not at its end"),
    ],
)
def test_where_something_could_be_lost_nothing_changes(
    home: Path, capsys: Capture, tree: Callable[[Path], object], damage: Callable[[Path], None], reason: str
) -> None:
    damage(home)
    before = tree(home)
    assert restore(home) == 1
    assert reason in capsys.readouterr().err
    assert tree(home) == before


def test_a_file_that_mdm_does_not_look_for_is_not_made(home: Path, capsys: Capture) -> None:
    assert repair("restore-registration", home / "config/wine.yaml") == 1
    assert "where MDM looks for registrations" in capsys.readouterr().err
    assert repair("restore-registration", home / "config/datasets/nothing.yaml") == 1
    assert "neither" in capsys.readouterr().err
