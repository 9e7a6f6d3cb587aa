"""Zip archives, every member of them read to its end."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from typing import BinaryIO

from pytest_mdm_health.mdm.backups.archive.members import Ledger, Member, MemberKind
from pytest_mdm_health.mdm.backups.archive.restoring import Take, handing_over

CHUNK = 1024 * 1024
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


def read_zip(file: BinaryIO, ledger: Ledger, take: Take | None) -> None:
    """Read a zip archive; members that are encrypted or compressed in an unknown way are noted as problems.

    Raises:
        Stopped, zipfile.BadZipFile: and whatever the decompressors raise.
    """
    if _directory_size(file) > _LARGEST_DIRECTORY:
        raise zipfile.BadZipFile("its list of members is absurdly long")
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.flag_bits & _ENCRYPTED:
                ledger.add(info.filename, Member(info.filename, "file", info.file_size))
                ledger.note("encrypted", "is encrypted, so that it cannot be read here", info.filename)
                continue
            try:
                _read_member(archive, info, ledger, take)
            except NotImplementedError:
                ledger.note("unknown-form", "is compressed in a way that cannot be read here", info.filename)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, ledger: Ledger, take: Take | None) -> None:
    kind: MemberKind = "folder" if info.is_dir() else _KINDS.get(stat.S_IFMT(info.external_attr >> 16), "other")
    with archive.open(info) as content:
        if kind == "link":
            target = content.read(_LONGEST_TARGET).decode("utf-8", "replace")
            ledger.add(info.filename, Member(info.filename, kind, target=target))
            return
        member = ledger.add(info.filename, Member(info.filename, kind, info.file_size))
        with handing_over(take, member) as receive:
            while chunk := content.read(CHUNK):
                ledger.spend(len(chunk))
                receive(chunk)


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
