from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.host.accounts import (
    ENTER,
    READ,
    WRITE,
    Account,
    account,
    owner_of,
    readable_by_others,
    shielded,
    writable_by_group,
)

SOMEBODY = Account(uid=4321, name="somebody", groups=frozenset({77}), own_group=88)
ROOT = Account(uid=0, name="root", groups=frozenset({0}))


def state(mode: int, uid: int = 0, gid: int = 0) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own is closed
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "allowed"),
    [
        (0o400, 4321, 0, True),
        (0o044, 4321, 77, False),  # an owner is judged as one, however much the others may
        (0o040, 1, 77, True),
        (0o004, 1, 77, False),
        (0o004, 1, 1, True),
        (0o440, 1, 1, False),
    ],
)
def test_the_first_class_that_fits_decides(mode: int, uid: int, gid: int, allowed: bool) -> None:
    assert SOMEBODY.may(state(mode, uid, gid), READ) is allowed


def test_all_that_is_asked_for_is_needed() -> None:
    assert SOMEBODY.may(state(0o500, 4321), READ | ENTER)
    assert not SOMEBODY.may(state(0o500, 4321), READ | WRITE)


def test_root_may_everything() -> None:
    assert ROOT.may(state(0o000, 4321), READ | WRITE)


def test_a_closed_folder_above_is_in_the_way(open_folder: Path) -> None:
    (open_folder / "a" / "b").mkdir(parents=True)

    assert SOMEBODY.reaches(open_folder / "a" / "b")
    (open_folder / "a").chmod(0o700)
    assert not SOMEBODY.reaches(open_folder / "a" / "b")


def test_the_owner_of_a_file_is_known_with_name_and_groups(tmp_path: Path) -> None:
    owner = owner_of(tmp_path)

    assert owner.uid == os.getuid()
    assert owner.name == pwd.getpwuid(os.getuid()).pw_name
    assert os.getgid() in owner.groups


def test_a_user_without_a_name_is_a_number() -> None:
    assert account(987654, 4) == Account(987654, "987654", frozenset({4}))


def test_a_group_of_the_same_name_is_the_users_own() -> None:
    assert account(0, 0).own_group == 0
    assert account(pwd.getpwnam("nobody").pw_uid, 0).own_group is None


@pytest.mark.parametrize(("mode", "readable"), [(0o600, False), (0o640, True), (0o604, True), (0o660, True)])
def test_others_are_the_group_and_everybody(tmp_path: Path, mode: int, readable: bool) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(mode)

    assert readable_by_others(tmp_path / "a", SOMEBODY) is readable


def test_a_group_of_ones_own_is_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o660)
    owner = Account(os.getuid(), "me", frozenset(), own_group=(tmp_path / "a").stat().st_gid)

    assert not readable_by_others(tmp_path / "a", owner)
    assert not writable_by_group((tmp_path / "a").stat(), owner)
    assert writable_by_group((tmp_path / "a").stat(), SOMEBODY)


def test_a_closed_folder_above_shields_what_is_open(open_folder: Path) -> None:
    (open_folder / "a").mkdir(mode=0o755)
    (open_folder / "a" / "b").touch()

    assert not shielded(open_folder / "a" / "b", SOMEBODY)
    (open_folder / "a").chmod(0o700)
    assert shielded(open_folder / "a" / "b", SOMEBODY)
