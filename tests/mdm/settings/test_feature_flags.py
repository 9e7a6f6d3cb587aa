"""The switches of the migration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.settings.feature_flags import Flags, read_flags

ALL_NEW = "use_new_backend: true\nuse_new_registrar: true\nuse_new_features: true\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "feature_flags.yaml"


def read(file: Path, text: str, **environ: str) -> Flags:
    file.write_text(text, encoding="utf-8")
    return read_flags(file, environ)


def states(flags: Flags) -> dict[str, bool]:
    return {flag.name: flag.on for flag in flags.switches}


def test_without_a_file_every_switch_is_off_and_nothing_is_given(file: Path) -> None:
    flags = read_flags(file, {"MDM_LOGGING_LEVEL": "DEBUG", "MDM_FEATURE_ENGINEERING_ENABLED": "true"})
    assert not flags.there
    assert not flags.given
    assert not flags.mixed
    assert states(flags) == {"use_new_backend": False, "use_new_registrar": False, "use_new_features": False}


def test_all_switches_on_are_not_mixed(file: Path) -> None:
    flags = read(file, ALL_NEW)
    assert flags.given
    assert not flags.mixed
    assert all(flag.new for flag in flags.switches)
    assert flags.switches[1].origin.line == 2


def test_one_switch_among_three_is_mixed(file: Path) -> None:
    assert read(file, "use_new_backend: true\n").mixed


def test_a_variable_wins_over_the_file(file: Path) -> None:
    flags = read(file, ALL_NEW, MDM_FEATURE_USE_NEW_FEATURES="no")
    assert flags.mixed
    assert states(flags)["use_new_features"] is False
    assert flags.switches[2].origin.name == "MDM_FEATURE_USE_NEW_FEATURES"


@pytest.mark.parametrize(("text", "on"), [("true", True), ("1", True), ("ON", True), ("enabled", False), ("", False)])
def test_a_variable_is_on_only_with_certain_words(file: Path, text: str, on: bool) -> None:
    flags = read_flags(file, {"MDM_FEATURE_USE_NEW_BACKEND": text})
    assert states(flags)["use_new_backend"] is on


def test_a_switch_back_to_the_old_code_counts_as_off(file: Path) -> None:
    flags = read(file, ALL_NEW + "use_legacy_config: true\n")
    assert flags.mixed
    assert [flag.part for flag in flags.switches if not flag.new] == ["config"]


@pytest.mark.parametrize(
    ("text", "name", "what"),
    [
        ("use_new_backend: 'false'\n", "use_new_backend", "counts as true"),
        ("use_new_storage: true\n", "use_new_storage", "no such switch"),
        ("rollout_percentage: {new_backend: 50}\n", "rollout_percentage", "plain true"),
        ("flags: {use_new_backend: true}\nhistory: []\nlast_updated: x\n", "flags", "below this key"),
    ],
)
def test_what_mdm_takes_otherwise_than_written_is_said(file: Path, text: str, name: str, what: str) -> None:
    (misread,) = read(file, text).misread
    assert (misread.name, misread.line, misread.column) == (name, 1, 1)
    assert what in misread.what


def test_switches_written_by_mdm_are_read_as_intended(file: Path) -> None:
    assert states(read(file, "flags: {use_new_backend: true}\n"))["use_new_backend"] is True


@pytest.mark.parametrize(("text", "line"), [("a: [1\n", 2), ("- a\n", 1), ("a: b: c\n", 1)])
def test_a_damaged_file_says_why_and_leaves_the_defaults(file: Path, text: str, line: int) -> None:
    flags = read(file, text)
    assert flags.damage
    assert flags.line == line
    assert not any(states(flags).values())


def test_an_empty_file_is_no_damage(file: Path) -> None:
    flags = read(file, "# none\n")
    assert flags.there
    assert not flags.damage


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_fifo_is_damage_at_once(file: Path) -> None:
    os.mkfifo(file)
    assert read_flags(file, {}).damage == "is a FIFO"
