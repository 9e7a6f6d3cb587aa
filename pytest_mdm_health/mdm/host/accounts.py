"""What a user of this machine may do, told from modes and owners alone: nobody has to become that user to find out.

Access control lists and mandatory access control are not seen.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

READ, WRITE, ENTER = 4, 2, 1
POSIX = os.name == "posix"


@dataclass(frozen=True)
class Account:
    """A user.

    Attributes:
        uid: the number.
        name: the name, or the number where there is no name.
        groups: the numbers of all groups.
        own_group: the number of the group that is this user's alone, if there is one.
    """

    uid: int
    name: str
    groups: frozenset[int]
    own_group: int | None = None

    def may(self, info: os.stat_result, what: int) -> bool:
        """Whether the user may do `what` (of `READ`, `WRITE`, `ENTER`) with something of this state."""
        if self.uid == 0:
            return True
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid in self.groups else 0
        return (info.st_mode >> shift) & what == what

    def reaches(self, path: Path) -> bool:
        """Whether the user may enter every folder above."""
        return all(self.may(info, ENTER) for info in _above(path))


def owner_of(path: Path) -> Account:
    """The user that something belongs to.

    Raises:
        OSError: it cannot be looked at.
    """
    info = path.stat()
    return account(info.st_uid, info.st_gid)


def account(uid: int, gid: int) -> Account:
    """The user of this number, with the group `gid` where the system does not know the user."""
    try:
        import grp
        import pwd
    except ImportError:
        return Account(uid, str(uid), frozenset({gid}))
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, str(uid), frozenset({gid}))
    groups, own = {user.pw_gid}, None
    with contextlib.suppress(OSError):
        groups |= set(os.getgrouplist(user.pw_name, user.pw_gid))
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(user.pw_gid)
        own = group.gr_gid if group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name} else None
    return Account(uid, user.pw_name, frozenset(groups), own)


def readable_by_others(path: Path, owner: Account) -> bool:
    """Whether somebody else than this user and root may read a file, as far as its own mode says."""
    return _others(path.stat(), READ, owner)


def writable_by_group(info: os.stat_result, owner: Account) -> bool:
    """Whether a group that is not this user's alone may write."""
    return bool(info.st_mode & stat.S_IWGRP) and info.st_gid != owner.own_group


def shielded(path: Path, owner: Account) -> bool:
    """Whether a folder above keeps everybody else out."""
    return any(not _others(info, ENTER, owner) for info in _above(path))


def _others(info: os.stat_result, what: int, owner: Account) -> bool:
    by_group = info.st_mode >> 3 & what and info.st_gid != owner.own_group
    return bool(info.st_mode & what or by_group)


def _above(path: Path) -> Iterator[os.stat_result]:
    for folder in Path(os.path.realpath(path)).parents:
        with contextlib.suppress(OSError):
            yield folder.stat()
