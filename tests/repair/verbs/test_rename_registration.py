"""`rename-registration` gives a file the name under which MDM looks for it, and overwrites none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import repair
from tests.registrations import yaml_file

Capture = pytest.CaptureFixture[str]


def test_it_renames_and_undo_renames_back(home: Path, capsys: Capture) -> None:
    right = yaml_file(home).read_bytes()
    other = yaml_file(home).rename(yaml_file(home, "my shop"))
    other.chmod(0o600)
    assert repair("rename-registration", other, "shop") == 0
    undo = capsys.readouterr().out.rpartition("mdm-health ")[2].split()
    assert not other.exists()
    assert yaml_file(home).read_bytes() == right
    assert yaml_file(home).stat().st_mode & 0o777 == 0o600
    assert repair("rename-registration", other, "shop") == 1
    assert repair(*undo) == 0
    assert other.read_bytes() == right
    assert not yaml_file(home).exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wine", "says that the dataset is called 'shop', not 'wine'"),
        ("shop", "is there already"),
        ("../shop", "MDM looks for no dataset called"),
        ("Shop", "MDM looks for no dataset called"),
    ],
)
def test_a_name_that_is_taken_or_wrong_is_refused(
    home: Path, capsys: Capture, tree: Callable[[Path], object], name: str, reason: str
) -> None:
    before = tree(home)
    assert repair("rename-registration", yaml_file(home), name) == 1
    assert reason in capsys.readouterr().err
    assert tree(home) == before
