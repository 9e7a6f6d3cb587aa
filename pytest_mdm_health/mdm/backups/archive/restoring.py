"""Restoring chosen members of an archive into a private folder, never in place and never beside the archive."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pytest_mdm_health.mdm.backups.archive.members import Member

if TYPE_CHECKING:
    from typing_extensions import Self

SPARE = 64 * 1024 * 1024
"""Bytes that must stay free on the temporary file system."""

Receiver = Callable[[bytes], object]
Take = Callable[[Member], AbstractContextManager[Receiver] | None]
"""Says of a member what its content is handed to, piece by piece; None to pass it by."""


class Restored:
    """A private folder with the members that were chosen; it is gone with the `with` block.

    A member's own path is never used, so that none can lead out of the folder.

    Attributes:
        files: where they are, by the member's name. Members of one folder are in one folder.
        refused: why others are not there.
    """

    def __init__(self, wanted: Callable[[Member], bool], within: Path | None = None) -> None:
        """Choose the members by a function; the folder is made in another one, by default that of temporary files."""
        self.files: dict[str, Path] = {}
        self.refused: dict[str, str] = {}
        self._wanted = wanted
        self._folders: dict[str, Path] = {}
        self._temporary = tempfile.TemporaryDirectory(
            prefix="mdm-health-backup-", dir=within, ignore_cleanup_errors=True
        )

    def __call__(self, member: Member) -> AbstractContextManager[Receiver] | None:
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
        return self._receive(member.name, place / name)

    @contextmanager
    def _receive(self, name: str, path: Path) -> Iterator[Receiver]:
        """Write one file. What cannot be written is refused, and does not keep the archive from being read."""
        failed: list[str] = []

        def write(chunk: bytes) -> None:
            try:
                if not failed:
                    with path.open("ab") as file:
                        file.write(chunk)
            except OSError as error:
                failed.append(f"cannot be written: {error.strerror}")

        with suppress(OSError):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
        try:
            write(b"")
            yield write
        except BaseException:
            failed.append("could not be read to its end")
            raise
        finally:
            if failed:
                self.files.pop(name, None)
                self.refused[name] = failed[-1]
                with suppress(OSError):
                    path.unlink()
            else:
                self.files[name] = path
                self.refused.pop(name, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._temporary.cleanup()
