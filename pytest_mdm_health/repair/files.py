"""Files as they are put away and put back: with content, mode, owner and time, or as the link that they are."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import clone

_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class FileState:
    """A file as it was.

    Attributes:
        sha256: of its content, or of where it leads if it is a symbolic link.
        size: in bytes.
        mode: the permission bits.
        uid: its owner.
        gid: its group.
        mtime_ns: when it was written last, in nanoseconds since 1970.
        link: where it leads, if it is a symbolic link.
        fifo: whether it is a FIFO.
    """

    sha256: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    link: str | None = None
    fifo: bool = False

    @property
    def regular(self) -> bool:
        """Whether it has content of its own."""
        return self.link is None and not self.fifo

    def is_like(self, other: FileState | None) -> bool:
        """Whether the other has the same content, whatever its time."""
        return other is not None and (self.sha256, self.link, self.fifo) == (other.sha256, other.link, other.fifo)


def state_of(path: Path) -> FileState | None:
    """What is at this path; None if nothing is.

    Raises:
        OSError: it cannot be read, or it is neither a file nor a symbolic link or FIFO.
    """
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    link = str(path.readlink()) if stat.S_ISLNK(info.st_mode) else None
    fifo = stat.S_ISFIFO(info.st_mode)
    if link is None and not fifo and not stat.S_ISREG(info.st_mode):
        raise OSError(0, "is neither a file nor a symbolic link", str(path))
    digest = hashlib.sha256(os.fsencode(link or "")).hexdigest() if link is not None or fifo else _sha256(path)
    mode = stat.S_IMODE(info.st_mode)
    return FileState(digest, info.st_size, mode, info.st_uid, info.st_gid, info.st_mtime_ns, link, fifo)


def identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a process writes to a file or replaces it; None if nothing is there."""
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_ino, info.st_size, info.st_mtime_ns)


def copy_content(source: Path, destination: Path) -> None:
    """Copy a file's content to where nothing is yet, sharing blocks where the file system can.

    Raises:
        OSError: one cannot be read or the other not written.
    """
    with source.open("rb") as reading, destination.open("xb") as writing:
        if not clone(reading.fileno(), writing.fileno()):
            shutil.copyfileobj(reading, writing, _CHUNK)
        writing.flush()
        os.fsync(writing.fileno())


def put(source: Path, target: Path, like: FileState | None) -> None:
    """Let a copy of `source` take the place of `target` at one moment, with the mode and owner of what was there.

    Where there was no file, it has the mode of `source` and the owner of its folder.

    Raises:
        OSError: it could not be written; the target is as it was.
    """
    with _beside(target) as new:
        copy_content(source, new)
        new.chmod(stat.S_IMODE(source.stat().st_mode))
        _give_access(new, like if like is not None and like.regular else None, target.parent)
        new.replace(target)
    sync_folder(target.parent)


def restore(saved: Path | None, target: Path, state: FileState) -> None:
    """Bring a file or symbolic link back as it was, from the copy of its content.

    Raises:
        OSError: it could not be written; the target is as it was.
    """
    with _beside(target) as new:
        if state.link is not None:
            new.symlink_to(state.link)
        elif state.fifo:
            os.mkfifo(new)
            _give_access(new, state, target.parent)
        else:
            assert saved is not None
            copy_content(saved, new)
            _give_access(new, state, target.parent)
            os.utime(new, ns=(state.mtime_ns, state.mtime_ns))
        new.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _give_access(path: Path, like: FileState | None, folder: Path) -> None:
    """Give a new file the mode and owner of an old one; where there was none, only the owner of its folder."""
    if like is not None:
        uid, gid = like.uid, like.gid
        path.chmod(like.mode)
    else:
        uid, gid = _owner_of(folder)
    _give_to(path, uid, gid)


def make_folder(folder: Path) -> None:
    """Make a folder, if it is not there, which belongs to whom the one above belongs to.

    Raises:
        OSError: it could not be made.
    """
    if not folder.is_dir():
        folder.mkdir()
        _give_to(folder, *_owner_of(folder.parent))


def _owner_of(path: Path) -> tuple[int, int]:
    info = path.stat()
    return info.st_uid, info.st_gid


def _give_to(path: Path, uid: int, gid: int) -> None:
    with contextlib.suppress(PermissionError):  # only root gives files away
        os.chown(path, uid, gid)


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """The name beside the target under which its successor is made; what is left there afterwards is removed."""
    new = beside(target)
    new.unlink(missing_ok=True)
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def beside(target: Path) -> Path:
    """The name under which what takes a file's place is made, in the same folder."""
    return target.with_name(f".{target.name[:200]}.mdm-health")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
