"""Old archives are deleted only while a newer one is proven good, and none that may be the last copy of anything."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.helpers import repair


@pytest.fixture
def backups(home: Path) -> Path:
    """A home with three archives, the first of which is the oldest."""
    assert repair("back-up", home) == 0
    (made,) = (home / "backup").iterdir()
    for number in (1, 2, 3):
        copy = home / f"backup/mdm_backup_{number}.tar.gz"
        shutil.copy(made, copy)
        os.utime(copy, (time.time() - 86400 * (4 - number),) * 2)
    made.unlink()
    return home / "backup"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refused(folder: Path, keep: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = names(folder)
    assert repair("prune-backups", folder, f"--keep={keep}") == 1
    said = capsys.readouterr()
    assert why in said.out + said.err
    assert names(folder) == before


def test_all_but_the_newest_go_and_it_is_said_beforehand(
    backups: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_mdm_health.cli import main

    (backups / "mine.tar.gz").write_bytes((backups / "mdm_backup_1.tar.gz").read_bytes())
    monkeypatch.delenv("MDM_HEALTH_YES", raising=False)
    assert main(["prune-backups", str(backups), "--keep=2"]) == 1
    assert "This cannot be taken back." in capsys.readouterr().out
    assert len(names(backups)) == 4
    assert repair("prune-backups", backups, "--keep=2") == 0
    assert names(backups) == ["mdm_backup_2.tar.gz", "mdm_backup_3.tar.gz", "mine.tar.gz"]
    refused(backups, "2", "none is to be deleted", capsys)


def test_nothing_goes_while_the_newest_is_doubtful(backups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = backups / "mdm_backup_3.tar.gz"
    times = newest.stat().st_mtime_ns
    os.truncate(newest, newest.stat().st_size - 100)
    os.utime(newest, ns=(times, times))
    refused(backups, "1", "is not known to be good (is truncated", capsys)


def test_the_last_copy_of_a_dataset_stays(home: Path, backups: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(home / "datasets/wine")
    (home / "config/datasets/wine.yaml").unlink()
    assert repair("back-up", home) == 0
    refused(backups, "1", "has the dataset 'wine', which neither the home nor", capsys)


@pytest.mark.parametrize("keep", ["0", "-1", "all", ""])
def test_how_many_stay_has_to_be_said(backups: Path, capsys: pytest.CaptureFixture[str], keep: str) -> None:
    refused(backups, keep, "say with --keep how many archives are kept", capsys)
