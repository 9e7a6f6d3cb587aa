"""Opens a table for reading, by the reader for its engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from pytest_mdm_health.integrity.duckdb_session import MEMORY_LIMIT, Workbench
from pytest_mdm_health.integrity.readers import duckdb, files, postgresql, sqlite
from pytest_mdm_health.integrity.readers.base import Reader, Source, TableFile
from pytest_mdm_health.integrity.readers.narrowed import NarrowedReader
from pytest_mdm_health.integrity.readers.renamed import RenamedReader


def workbench_for(*sources: Source, memory_limit: str = MEMORY_LIMIT, deadline: float | None = None) -> Workbench:
    """A workbench that may read these in the fastest way there is; `deadline` is as of a `Workbench`."""
    files = (file for each in sources for file in each.files)
    servers = (server for each in sources for server in each.servers)
    sqlite = any(each.engine == "sqlite" for each in sources)
    return Workbench(files, memory_limit, sqlite=sqlite, servers=servers, deadline=deadline)


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
        named = RenamedReader(reader, source.called) if source.called else reader
        yield NarrowedReader(named, source.without) if source.without else named


def _reader(source: Source, workbench: Workbench) -> AbstractContextManager[Reader]:
    if isinstance(source, TableFile):
        return files.reading(source.path, source.engine, workbench)
    if source.engine == "duckdb":
        return duckdb.reading(source.backend, source.table, workbench)
    if source.engine == "sqlite":
        return sqlite.reading(source.backend, source.table, workbench)
    return postgresql.reading(source.backend, source.table, workbench)
