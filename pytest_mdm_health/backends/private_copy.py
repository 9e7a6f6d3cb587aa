"""A copy of a database and its sidecar files, in a private folder, to read what reading would change."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen, why_refused
from pytest_mdm_health.core.session import progress
from pytest_mdm_health.mdm.files import Unreadable, clone, open_regular

_CHUNK = 1024 * 1024
_SPARE = 64 * 1024 * 1024
"""Bytes that must stay free on the temporary file system."""


class PrivateCopy:
    """Files copied under their own names into a folder of their own, which goes with it."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Copy these files.

        Raises:
            CannotOpen: there is no room for them, or one cannot be read.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="mdm-health-copy-", ignore_cleanup_errors=True)
        try:
            _need_room(files, Path(self._folder.name))
            for file in files:
                _copy(file, self.path_of(file))
        except OSError as error:
            self.remove()
            raise CannotOpen(why_refused(error.errno), f"cannot be copied: {error.strerror}") from error
        except BaseException:
            self.remove()
            raise

    def path_of(self, file: Path) -> Path:
        """Where the copy of a file is."""
        return Path(self._folder.name, file.name)

    def remove(self) -> None:
        """Remove the copy."""
        self._folder.cleanup()


def _need_room(files: Sequence[Path], folder: Path) -> None:
    needed = sum(file.stat().st_size for file in files)
    free = shutil.disk_usage(folder).free
    if needed + _SPARE > free:
        raise CannotOpen(
            "no-room",
            "can be read without changing it only from a copy, for which there is no room: "
            f"{needed} bytes are needed and {free} are free in {folder.parent} (TMPDIR names another folder)",
        )


def _copy(source: Path, destination: Path) -> None:
    try:
        with open_regular(source) as reading, destination.open("xb") as writing:
            if not clone(reading.fileno(), writing.fileno()):
                size = os.fstat(reading.fileno()).st_size
                while chunk := reading.read(_CHUNK):
                    writing.write(chunk)
                    progress(f"a copy of {source}", reading.tell(), size)
    except Unreadable as error:
        raise CannotOpen(why_refused(error.errno), f"cannot be copied: {error}") from error
