"""Opens a table for reading, by the reader for its engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pytest_mdm_health.integrity.duckdb_session import MEMORY_LIMIT, Workbench
from pytest_mdm_health.integrity.readers import duckdb, files, postgresql, sqlite
from pytest_mdm_health.integrity.readers.base import Reader, Source, TableFile
from pytest_mdm_health.integrity.readers.renamed import RenamedReader


def workbench_for(*sources: Source, memory_limit: str = MEMORY_LIMIT) -> Workbench:
    """A workbench that may read these."""
    return Workbench((file for each in sources for file in each.files), memory_limit)


@contextmanager
def opened(source: Source, workbench: Workbench) -> Iterator[Reader]:
    """A table, open for reading.

    A database is opened as `Backend.open` does it, so what this process had open is closed.

    Raises:
        CannotOpen: it cannot be opened.
        QueryFailed: there is no such table, or it cannot be read.
        Unreadable: the file cannot be read, or is no table.
    """
    with _reader(source, workbench) as reader:
        as_it_is = not source.called and not source.without
        yield reader if as_it_is else RenamedReader(reader, source.called, source.without)


def _reader(source: Source, workbench: Workbench) -> AbstractContextManager[Reader]:
    if isinstance(source, TableFile):
        return files.reading(source.path, source.engine, workbench)
    if source.engine == "duckdb":
        return duckdb.reading(source.backend, source.table, workbench)
    if source.engine == "sqlite":
        return sqlite.reading(source.backend, source.table, workbench)
    return postgresql.reading(source.backend, source.table, workbench)
