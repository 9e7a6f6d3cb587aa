"""A run that was asked about part of a home says so in everything that it writes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Health = Callable[..., pytest.RunResult]


@pytest.fixture
def backup(home: Path, tmp_path: Path) -> Path:
    """A folder with a backup of the home, which a migration needs."""
    folder = tmp_path / "backups"
    folder.mkdir()
    archive = folder / "mdm_backup_20261129_000000.tar.gz"
    subprocess.run(["tar", "-C", str(home), "-czf", str(archive), "."], check=True)
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mdm-dataset=wine",), ["3 datasets not examined: big, breast_cancer, shop"]),
        (
            ("-k", "wine or backup-failure"),
            ["3 datasets not examined: big, breast_cancer, shop", "10 checks not run: "],
        ),
        (
            ("--mdm-select=1.1", "--mdm-select=5.1", "--mdm-dataset=[bw]*"),
            ["1 dataset not examined: shop", "checks not run: "],
        ),
        (
            ("--mdm-dataset=wine", "--deselect=mdm-health::data-corruption[[]wine]", "--mdm-ignore=4"),
            ["3 datasets not examined: ", "2 checks not run: slow-registration, memory-exhaustion"],
        ),
        (
            ("mdm-health::backup-failure[home]", "mdm-health::data-corruption[wine]"),
            ["3 datasets not examined: ", "checks not run: "],
        ),
    ],
)
def test_a_yes_before_a_migration_is_one_for_what_was_selected(
    health: Health, backup: Path, tmp_path: Path, options: tuple[str, ...], said: list[str]
) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("json", "html", "markdown")}
    written = [f"--mdm-{name}={file}" for name, file in files.items()]
    result = health("--mdm-phase=pre", f"--mdm-backup={backup}", *options, *written)
    assert result.ret == 0
    document = json.loads(files["json"].read_text())
    assert document["verdict"] == "healthy"
    for sentence in said:
        assert any(sentence in each for each in document["not_selected"]), document["not_selected"]
        result.stdout.fnmatch_lines([f"not selected: *{sentence}*"])
        for name in ("html", "markdown"):
            assert "Yes, as far as selected." in files[name].read_text()
            assert sentence in files[name].read_text().replace("\\_", "_").replace("\\-", "-")


def test_a_run_of_everything_speaks_of_the_whole_home(health: Health, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    result = health(f"--mdm-json={report}", "--mdm-depth=quick")
    assert json.loads(report.read_text())["not_selected"] == []
    result.stdout.no_fnmatch_line("not selected*")
