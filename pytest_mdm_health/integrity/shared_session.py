"""One workbench for all the tables of a home: making one takes longer than reading a small table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.core.session import current

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.duckdb_session import Workbench
    from pytest_mdm_health.integrity.readers.base import Source

_NEIGHBOURS = 2000


@contextmanager
def shared_workbench(*sources: Source) -> Iterator[Workbench]:
    """The workbench of this process if it may read these, else a new one, which is then kept.

    After anything that goes wrong it is not used again.
    """
    workbench = current().part(_Shared).to_read(tuple(file for source in sources for file in source.files))
    try:
        yield workbench
    except BaseException:
        current().part(_Shared).close()
        raise


class _Shared:
    """The workbench of this process, if there is one."""

    def __init__(self) -> None:
        self._workbench: Workbench | None = None
        self._files: frozenset[Path] = frozenset()

    def to_read(self, files: tuple[Path, ...]) -> Workbench:
        """It, or a new one, which may also read the databases of other datasets beside these files."""
        from pytest_mdm_health.integrity.duckdb_session import Workbench

        if self._workbench is None or not self._files.issuperset(files):
            self.close()
            self._files = frozenset((*files, *(other for file in files for other in _neighbours(file))))
            self._workbench = Workbench(sorted(self._files))
        self._workbench.deadline = None
        self._workbench.careful = False  # a table that a reader stumbled over says nothing of the next
        return self._workbench

    def close(self) -> None:
        """End it; the next tables get a new one."""
        workbench, self._workbench = self._workbench, None
        if workbench is not None:
            workbench.__exit__(None, None, None)


def _neighbours(file: Path) -> Iterator[Path]:
    """The databases beside it where MDM puts them, each in a folder of its own name; elsewhere they are unknown."""
    found = file.parent.parent.glob(f"*/*{file.suffix}") if file.suffix and file.stem == file.parent.name else ()
    with suppress(OSError):  # a folder that was there a moment ago
        for _, neighbour in zip(range(_NEIGHBOURS), found, strict=False):
            with suppress(UnicodeEncodeError):
                str(neighbour).encode()
                yield neighbour
