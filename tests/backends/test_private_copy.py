"""Copies are private, complete, and gone afterwards."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from pytest_mdm_health.backends.base import CannotOpen
from pytest_mdm_health.backends.private_copy import PrivateCopy


def test_files_are_copied_by_name_to_a_private_place(tmp_path: Path) -> None:
    files = [tmp_path / "a.sqlite", tmp_path / "a.sqlite-wal"]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 100_000)
    copy = PrivateCopy(files)
    assert [copy.path_of(file).read_bytes() for file in files] == [file.read_bytes() for file in files]
    assert [copy.path_of(file).name for file in files] == [file.name for file in files]
    folder = copy.path_of(files[0]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    copy.remove()
    assert not folder.exists()


def test_a_copy_that_cannot_be_made_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, temporary = tmp_path / "there", tmp_path / "tmp"
    there.write_bytes(b"x")
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with pytest.raises(CannotOpen) as caught:
        PrivateCopy([there, tmp_path / "gone"])
    assert caught.value.code == "unreadable"
    assert list(temporary.iterdir()) == []


def test_a_fifo_is_not_copied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CannotOpen, match="FIFO"):
        PrivateCopy([tmp_path / "fifo"])
