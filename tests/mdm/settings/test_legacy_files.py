"""Looking for settings files that MDM does not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.home import Home, locate
from pytest_mdm_health.mdm.settings import legacy_files, read_settings
from pytest_mdm_health.mdm.settings.legacy_files import DEEPEST, LegacyFile, search


@pytest.fixture
def at(tmp_path: Path) -> Home:
    return locate(tmp_path, read_settings(tmp_path, {}))


def put(home: Home, place: str, text: str | bytes) -> str:
    file = home.root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_what_is_mdms_is_told_by_its_sections_and_keys(at: Home) -> None:
    by_section = put(at, "a.conf", "[Database]\nx = 1\n")
    by_key = put(at, "b.ini", "batch_size: 5\n")
    other = put(at, "c.ini", "[formatters]\nkeys = plain\n")
    assert search(at).found == (
        LegacyFile(by_section, "old", ("Database",)),
        LegacyFile(by_key, "old", ("batch_size",)),
        LegacyFile(other, "old", ()),
    )


def test_a_lookalike_counts_only_at_the_top_of_the_home(at: Home) -> None:
    file = put(at, "mdm.yml", "logging: {level: DEBUG}\n")
    put(at, "config/mdm.yml", "logging: {level: DEBUG}\n")
    assert search(at).found == (LegacyFile(file, "lookalike", ("logging",)),)


@pytest.mark.parametrize("content", [b"\xff\xfe\0[", b"", b"[" * 100_000, b"[database" * 50_000, b"a" * 300_000])
def test_any_content_is_survived(at: Home, content: bytes) -> None:
    file = put(at, "odd.conf", content)
    assert search(at).found == (LegacyFile(file, "old", ()),)


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_fifo_of_that_name_is_no_file(at: Home) -> None:
    os.mkfifo(at.root / "mdm.conf")
    assert search(at).found == ()


def test_a_home_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    gone = locate(tmp_path / "gone", read_settings(tmp_path / "gone", {}))
    assert (search(gone).found, search(gone).looked_at, search(gone).complete) == ((), 0, True)


def test_the_search_has_a_bottom(at: Home) -> None:
    put(at, "/".join(["d"] * DEEPEST) + "/in.conf", "[database]\n")
    put(at, "/".join(["d"] * (DEEPEST + 1)) + "/out.conf", "[database]\n")
    assert [Path(each.file).name for each in search(at).found] == ["in.conf"]


def test_the_search_has_an_end(at: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        put(at, f"{number}.txt", "")
    monkeypatch.setattr(legacy_files, "MOST_ENTRIES", 10)
    assert not search(at).complete
