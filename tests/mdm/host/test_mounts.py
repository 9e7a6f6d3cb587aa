"""The file system that a file lies on is found in the table of mounts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.host.mounts import MOUNT_TABLE, file_system_of, is_network

TABLE = r"""/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
/dev/vdb /home ext4 rw 0 0
server:/export /home/ann/.mdm nfs4 rw,vers=4.2 0 0
//server/share /mnt/with\040blank cifs rw 0 0
tmpfs /mnt/twice tmpfs rw 0 0
me@host: /mnt/twice fuse.sshfs rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/etc/passwd", "ext4"),
        ("/home/ann/.mdm", "nfs4"),
        ("/home/ann/.mdm/datasets/shop/shop.sqlite", "nfs4"),
        ("/home/ann/.mdm2/shop.sqlite", "ext4"),
        ("/mnt/with blank/shop.sqlite", "cifs"),
        ("/mnt/twice/x", "fuse.sshfs"),
    ],
)
def test_the_longest_place_above_the_file_is_taken(tmp_path: Path, path: str, expected: str) -> None:
    table = tmp_path / "mounts"
    table.write_text(TABLE)
    assert file_system_of(Path(path), table) == expected


@pytest.mark.skipif(not MOUNT_TABLE.exists(), reason="needs the system's table")
def test_the_system_knows_its_own(tmp_path: Path) -> None:
    assert file_system_of(Path("/proc/self/status")) == "proc"
    assert file_system_of(tmp_path)


def test_without_a_table_nothing_is_said(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, tmp_path / "none") == ""


@pytest.mark.skipif(sys.platform == "darwin", reason="this file system takes text only")
def test_a_place_that_is_not_text_is_a_place(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    place = os.fsencode(tmp_path) + b"/\xff"
    table.write_bytes(b"a / ext4 rw 0 0\nb " + place + b" nfs rw 0 0\n")
    assert file_system_of(Path(os.fsdecode(place)) / "x", table) == "nfs"


@pytest.mark.parametrize(
    ("file_system", "network"),
    [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("fuse.ntfs-3g", False), ("ext4", False), ("", False)],
)
def test_a_network_is_told_by_the_type(file_system: str, network: bool) -> None:
    assert is_network(file_system) is network
