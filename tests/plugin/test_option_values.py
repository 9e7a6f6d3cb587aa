"""An option with an invalid value is a usage error, and so is one that has no effect."""

from __future__ import annotations

import venv
from collections.abc import Callable
from pathlib import Path

import pytest

Health = Callable[..., pytest.RunResult]


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_an_empty_symptom_is_a_usage_error(health_here: Health, text: str) -> None:
    result = health_here(f"--mdm-symptom={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--mdm-symptom: an error message or a few words are needed*"])


@pytest.mark.parametrize(
    "option",
    ["--mdm-symptom=database is locked", "--mdm-home=.", "--mdm-strict", "--mdm-json=x.json", "--mdm-select=3.2"],
)
def test_an_option_without_the_suite_is_a_usage_error(pytester: pytest.Pytester, option: str) -> None:
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "no:hypothesispytest", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{option.partition('=')[0]} has no effect without --mdm-health*"])


def test_settings_of_the_suite_in_a_file_are_silent_without_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("def test_it(): pass")
    pytester.makeini("[pytest]\nmdm_strict = true\naddopts = --mdm-depth=quick\n")
    monkeypatch.setenv("PYTEST_MDM_PHASE", "pre")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--mdm-select=3.2")
    assert pytester.runpytest_inprocess("-p", "no:hypothesispytest").ret == 0


def test_an_interpreter_without_an_mdm_is_a_usage_error(health_here: Health, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / "bin" / "python"
    result = health_here(f"--mdm-python={python}", "--mdm-select=1.2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--mdm-python: {python} has no MDM; name the interpreter*"])


def test_an_ignored_prerequisite_is_named_with_its_dependents(home: Path, health_here: Health, tmp_path: Path) -> None:
    for each in (home / "config" / "datasets").glob("shop.yaml"):
        each.write_text("name: [unclosed\n", encoding="utf-8")
    result = health_here(
        "--mdm-ignore=7.2", "--mdm-select=3.2", "--mdm-dataset=wine", f"--mdm-json={tmp_path / 'out.json'}"
    )
    sentence = "metadata-corruption was ignored: its failure would block sqlite-locking, which ran without it"
    result.stdout.fnmatch_lines([sentence])
    assert sentence in (tmp_path / "out.json").read_text(encoding="utf-8")
    assert "was ignored" not in health_here("--mdm-select=3.2", "--mdm-dataset=wine").stdout.str()
