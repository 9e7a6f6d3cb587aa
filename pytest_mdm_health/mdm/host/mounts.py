"""Which kind of file system a file lies on, from the system's table of mounts."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNT_TABLE = Path("/proc/self/mounts")
_NETWORK = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "gfs2",
    "ocfs2",
    "virtiofs",
)
_NETWORK_IN_USER_SPACE = ("sshfs", "glusterfs", "s3fs", "rclone", "davfs2", "cephfs", "gcsfuse", "juicefs", "goofys")


def file_system_of(path: Path, table: Path = MOUNT_TABLE) -> str:
    """The type of the file system that a path lies on, such as `ext4`; empty where the system does not tell."""
    return _mount_of(path, table)[1]


def mount_of(path: Path, table: Path = MOUNT_TABLE) -> str:
    """Where the file system that a path lies on is mounted; empty where the system does not tell."""
    return _mount_of(path, table)[0]


def _mount_of(path: Path, table: Path) -> tuple[str, str]:
    try:
        lines = os.fsdecode(table.read_bytes()).splitlines()
    except OSError:
        return "", ""
    real = os.path.realpath(path)
    found, length = ("", ""), -1
    for line in lines:
        words = line.split(" ")
        place = _unescaped(words[1]) if len(words) > 2 else ""  # noqa: PLR2004 - device, place, type
        if place and len(place) >= length and _lies_in(real, place):
            found, length = (place, words[2]), len(place)  # of two on one place, the later one hides the earlier
    return found


def is_network(file_system: str) -> bool:
    """Whether this type of file system lies on another machine, where locks are not to be relied on."""
    kind, _, program = file_system.partition(".")
    return file_system in _NETWORK or (kind == "fuse" and program in _NETWORK_IN_USER_SPACE)


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
