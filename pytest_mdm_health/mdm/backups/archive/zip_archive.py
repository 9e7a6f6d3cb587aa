"""Zip archives, every member of them read to its end."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from pytest_mdm_health.mdm.backups.archive.members import CHUNK, Entry, Ledger, Member, MemberKind

_LARGEST_DIRECTORY = 64 * 1024 * 1024
_LONGEST_TARGET = 4096
_ENCRYPTED = 0x1
_END, _END_BYTES = b"PK\x05\x06", 22
_END_64_LOCATOR_BYTES = 20
_END_64_SIZE_AT = 40
_SATURATED = 0xFFFFFFFF
_KINDS: dict[int, MemberKind] = {
    0: "file",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def zip_entries(file: BinaryIO, ledger: Ledger) -> Iterator[Entry]:
    """The members of a zip archive; those that are encrypted or compressed in an unknown way are noted as problems.

    Raises:
        Stopped, zipfile.BadZipFile: and whatever the decompressors raise.
    """
    if _directory_size(file) > _LARGEST_DIRECTORY:
        raise zipfile.BadZipFile("its list of members is absurdly long")
    with zipfile.ZipFile(file) as archive:
        ledger.size = sum(info.file_size for info in archive.infolist())
        ledger.position = lambda: ledger.unpacked  # its members may be in the file in any order
        for info in archive.infolist():
            kind: MemberKind = "folder" if info.is_dir() else _KINDS.get(stat.S_IFMT(info.external_attr >> 16), "other")
            if info.flag_bits & _ENCRYPTED:
                ledger.note("encrypted", "is encrypted, so that it cannot be read here", info.filename)
                yield Member(info.filename, kind, info.file_size), None
                continue
            try:
                content = archive.open(info)
            except NotImplementedError:
                ledger.note("unknown-form", "is compressed in a way that cannot be read here", info.filename)
                continue
            with content:
                if kind == "link":
                    target = content.read(_LONGEST_TARGET).decode("utf-8", "replace")
                    yield Member(info.filename, kind, target=target), None
                else:
                    mode = (info.external_attr >> 16) & 0o777 or None
                    member = Member(info.filename, kind, info.file_size, mode=mode)
                    yield member, iter(partial(content.read, CHUNK), b"")


def _directory_size(file: BinaryIO) -> int:
    """How long the archive says its list of members is, all of which the standard reader takes into memory."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES - 0xFFFF - _END_64_LOCATOR_BYTES))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _END_BYTES > len(tail):
        raise zipfile.BadZipFile("its end is missing")
    (claimed,) = struct.unpack_from("<L", tail, at + 12)
    if claimed != _SATURATED or at < _END_64_LOCATOR_BYTES:
        return int(claimed)
    (where,) = struct.unpack_from("<Q", tail, at - _END_64_LOCATOR_BYTES + 8)
    file.seek(min(where, size) + _END_64_SIZE_AT)
    return int.from_bytes(file.read(8), "little")
