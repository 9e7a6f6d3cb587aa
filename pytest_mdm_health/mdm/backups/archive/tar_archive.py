"""Tar archives, read once from their beginning to their end."""

from __future__ import annotations

import math
import tarfile
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.backups.archive.members import CHUNK, Entry, Ledger, Member, MemberKind

_LONGEST_HEADER = 4 * CHUNK
_KINDS: dict[bytes, MemberKind] = {
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hard link",
    tarfile.FIFOTYPE: "FIFO",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
}


class Truncated(Exception):
    """The archive ends before it is complete; the text says how that shows."""


def tar_entries(stream: BinaryIO, ledger: Ledger) -> Iterator[Entry]:
    """The members of a tar archive up to its end, uncompressed as it comes out of the stream.

    The standard reader takes a damaged header in the middle, and the end of a file that was truncated between two
    members, for the end of the archive; here only the mark that belongs there is one.

    Raises:
        Stopped, Truncated, tarfile.TarError: and whatever the stream raises.
    """
    forward = _Forward(stream, ledger)
    with tarfile.open(fileobj=cast("IO[bytes]", forward), mode="r:") as tar:
        seen: list[tarfile.TarInfo] = cast("Any", tar).members
        while (info := tar.next()) is not None:
            seen.clear()  # it would keep all of them
            kind = "file" if info.isreg() else _KINDS.get(info.type, "other")
            modified = float(info.mtime) if math.isfinite(info.mtime) else None
            member = Member(info.name, kind, info.size, modified, info.linkname, mode=info.mode & 0o777)
            yield member, _content(tar, info) if info.isreg() else None
    if len(forward.last) < tarfile.BLOCKSIZE:
        raise Truncated("ends without the mark that ends an archive")
    if forward.last.strip(b"\0"):
        raise tarfile.ReadError("a header does not add up")
    ledger.ended = True
    while chunk := forward.read(CHUNK):
        ledger.spend(len(chunk))
        if chunk.strip(b"\0"):
            raise tarfile.ReadError("it goes on after its end mark with what no program would restore")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    content, left = cast("BinaryIO", tar.extractfile(info)), info.size
    while chunk := content.read(CHUNK):
        left -= len(chunk)
        yield chunk
    if left > 0:
        raise Truncated(f"ends in the middle of {shortened(info.name)}")


class _Forward:
    """A stream as the tar reader needs it, which can only be read on, and remembers what was read last."""

    def __init__(self, stream: BinaryIO, ledger: Ledger) -> None:
        self._stream, self._ledger = stream, ledger
        self._position = 0
        self.last = b""

    def read(self, count: int = -1) -> bytes:
        """Read on; what is asked for at once beyond reason is a header made to fill the memory."""
        if not 0 <= count <= _LONGEST_HEADER:
            raise tarfile.ReadError("a header claims to be absurdly long")
        self._ledger.check_time()
        parts, missing = [], count
        while missing and (part := self._stream.read(missing)):
            parts.append(part)
            missing -= len(part)
        self.last = b"".join(parts)
        self._position += len(self.last)
        return self.last

    def tell(self) -> int:
        """How many bytes were read."""
        return self._position

    def seek(self, position: int) -> int:
        """Read on to a later position, or as far as there is anything."""
        if position < self._position:
            raise tarfile.ReadError("a header leads backwards")
        while self._position < position and self.read(min(CHUNK, position - self._position)):
            pass
        return self._position
