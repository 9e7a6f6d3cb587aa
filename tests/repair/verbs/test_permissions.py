"""Permissions are given to the owner and taken from others, and never given to others."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.helpers import repair

CASES = [
    ("readable", "mdm.yaml", 0o000, 0o400),
    ("readable", "logs", 0o300, 0o700),
    ("usable", "mdm.yaml", 0o044, 0o644),
    ("usable", "logs", 0o050, 0o750),
    ("private", "mdm.yaml", 0o664, 0o600),
    ("private", "logs", 0o755, 0o700),
    ("protected", "mdm.yaml", 0o666, 0o644),
    ("protected", "logs", 0o2777, 0o2755),
]


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("what", "name", "before", "after"), CASES)
def test_a_mode_is_changed_and_changed_back(
    home: Path, tmp_path: Path, what: str, name: str, before: int, after: int
) -> None:
    (home / name).chmod(before)
    assert repair("permissions", home / name, what) == 0
    assert mode_of(home / name) == after
    assert not after & ~before & 0o077
    (saved,) = tmp_path.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert mode_of(home / name) == before


@pytest.mark.parametrize(
    ("name", "what", "why"),
    [
        ("mdm.yaml", "777", "777 is none of readable, usable, private, protected"),
        ("mdm.yaml", "usable", "has mode 644, which is so already"),
        ("none.yaml", "readable", "No such file or directory"),
        ("link.yaml", "private", "is neither a file nor a folder"),
    ],
)
def test_nothing_else_is_done(home: Path, capsys: pytest.CaptureFixture[str], name: str, what: str, why: str) -> None:
    (home / "mdm.yaml").chmod(0o644)
    (home / "link.yaml").symlink_to("mdm.yaml")
    assert repair("permissions", home / name, what) == 1
    assert why in capsys.readouterr().err
    assert mode_of(home / "mdm.yaml") == 0o644
