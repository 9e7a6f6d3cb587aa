"""Wording that is not standard English of the field does not increase."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from scripts import words

LONGEST_NAME = 60
TESTS = sorted(Path(__file__).parent.rglob("*.py"))


def test_no_file_has_more_rejected_expressions_than_its_baseline() -> None:
    exceeded = words.above_baseline(
        words.scan(words.ROOT, words.project_files(words.ROOT)), words.load_baseline(words.BASELINE)
    )
    assert "\n".join(str(each) for occurrences in exceeded.values() for each in occurrences) == ""


def test_the_baseline_names_only_files_of_the_project() -> None:
    assert set(words.load_baseline(words.BASELINE)) <= set(words.project_files(words.ROOT))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(Path(__file__).parent)))
def test_the_name_of_a_test_fits_on_a_line(path: Path) -> None:
    names = re.findall(r"\bdef (test_\w+)", path.read_text(encoding="utf-8"))
    assert [name for name in names if len(name) > LONGEST_NAME] == [], f"at most {LONGEST_NAME} characters"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('message = "the index is made anew"', ["anew"]),  # words: allow
        ("def test_nobody_listens(): ...", ["nobody"]),  # words: allow
        ('f"stands {count} times in the log"', ["stands {count} times"]),  # words: allow
        ("# the user is told, and stock was taken", ["is told", "stock was taken"]),  # words: allow
        ("because it is no YAML", ["is no YAML"]),  # words: allow
        ("a renewal, two replies, retold and a recommended fix", []),
        ("has been started again for want of memory  # words: allow", []),
    ],
)
def test_an_expression_is_found_in_sentences_and_names(line: str, found: list[str]) -> None:
    assert [each.text for each in words.find("made_up.py", f"\n{line}\n")] == found
    assert {each.line for each in words.find("made_up.py", f"\n{line}\n")} <= {2}


def test_a_new_file_may_contain_none() -> None:
    found = {"new.py": list(words.find("new.py", "nobody"))}  # words: allow
    assert words.above_baseline(found, {"old.py": 1}) == found
    assert words.above_baseline(found, {"new.py": 1}) == {}


def test_counts_may_move_between_files_but_not_grow() -> None:
    found = {"moved.py": list(words.find("moved.py", "nobody"))}  # words: allow
    assert words.lowered(found, {"old.py": 1}) == {"moved.py": 1}
    with pytest.raises(ValueError, match="1 expressions, 0 in the baseline"):
        words.lowered(found, {})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one file, which may contain one rejected expression."""
    monkeypatch.setattr(words, "ROOT", tmp_path)
    monkeypatch.setattr(words, "BASELINE", tmp_path / "scripts" / "words_baseline.json")
    (tmp_path / "scripts").mkdir()
    words.BASELINE.write_text('{"README.md": 1}\n', encoding="utf-8")
    (tmp_path / "README.md").write_text("nobody\n", encoding="utf-8")  # words: allow
    return tmp_path


def test_the_command_names_place_and_replacement(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert words.main([]) == 0
    (project / "README.md").write_text("nobody\nanew\n", encoding="utf-8")  # words: allow
    assert words.main([]) == 1
    assert "README.md:2: 'anew': write 'again'\n" in capsys.readouterr().out  # words: allow


def test_the_command_takes_the_files_that_changed(project: Path) -> None:
    (project / "README.md").write_text("nobody\nanew\n", encoding="utf-8")  # words: allow
    (project / "CHANGELOG.md").touch()
    assert words.main([str(project / "CHANGELOG.md")]) == 0
    assert words.main([str(project / "README.md")]) == 1


def test_an_update_lowers_the_baseline_and_never_raises_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "README.md").write_text("nobody\nanew\n", encoding="utf-8")  # words: allow
    assert words.main(["--update"]) == 1
    assert "the baseline is unchanged" in capsys.readouterr().out
    assert words.load_baseline(words.BASELINE) == {"README.md": 1}
    (project / "README.md").write_text("fine\n", encoding="utf-8")
    assert words.main(["--update"]) == 0
    assert json.loads(words.BASELINE.read_text(encoding="utf-8")) == {}
