"""Restoring chosen members of an archive into a private folder, never in place and never beside the archive."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol

from pytest_mdm_health.mdm.backups.archive.members import Member

if TYPE_CHECKING:
    from typing_extensions import Self

SPARE = 64 * 1024 * 1024
"""Bytes that must stay free on the temporary file system."""


class Take(Protocol):
    """Says of a member whether and into what its content goes."""

    def __call__(self, member: Member) -> Part | None:
        """The file that takes the content; None to pass it by."""


class Part:
    """One file that is being restored. It never raises: what cannot be written is refused, with the reason."""

    def __init__(self, path: Path, refuse: Callable[[str], None]) -> None:
        self._path, self._refuse = path, refuse
        self._file: BinaryIO | None = None
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
            self._file = path.open("xb")
        except OSError as error:
            self.give_up(f"cannot be written: {error.strerror}")

    def write(self, chunk: bytes) -> None:
        """Write more of it."""
        if self._file is not None:
            try:
                self._file.write(chunk)
            except OSError as error:
                self.give_up(f"cannot be written: {error.strerror}")

    def close(self) -> None:
        """It is complete."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self.give_up(f"cannot be written: {error.strerror}")

    def give_up(self, why: str) -> None:
        """It cannot be completed."""
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()
            self._path.unlink(missing_ok=True)
        self._refuse(why)


@contextmanager
def handing_over(take: Take | None, member: Member | None) -> Iterator[Callable[[bytes], None]]:
    """What is to be called with each piece of a member's content; only a content that came whole is kept."""
    part = take(member) if take is not None and member is not None else None
    if part is None:
        yield lambda _: None
        return
    try:
        yield part.write
    except BaseException:
        part.give_up("could not be read to its end")
        raise
    part.close()


class Restored:
    """A private folder with the members that were chosen; it is gone with the `with` block.

    Attributes:
        files: where they are, by the member's name. Members of one folder lie in one folder.
        refused: why others are not there.
    """

    def __init__(self, wanted: Callable[[Member], bool]) -> None:
        """Choose the members by a function."""
        self.files: dict[str, Path] = {}
        self.refused: dict[str, str] = {}
        self._wanted = wanted
        self._folders: dict[str, Path] = {}
        self._temporary = tempfile.TemporaryDirectory(prefix="mdm-health-backup-", ignore_cleanup_errors=True)

    def __call__(self, member: Member) -> Part | None:
        """As `Take`."""
        if member.kind != "file" or not self._wanted(member):
            return None
        missing = member.size + SPARE - shutil.disk_usage(self._temporary.name).free
        if missing > 0:
            where = Path(self._temporary.name).parent
            self.refused[member.name] = f"there is no room for it in {where}: {missing} bytes are missing"
            return None
        folder, _, name = member.name.rpartition("/")
        place = self._folders.setdefault(folder, Path(self._temporary.name, str(len(self._folders))))
        self.refused.pop(member.name, None)
        self.files[member.name] = place / name
        return Part(place / name, lambda why: self._refuse(member.name, why))

    def _refuse(self, name: str, why: str) -> None:
        self.files.pop(name, None)
        self.refused[name] = why

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()
