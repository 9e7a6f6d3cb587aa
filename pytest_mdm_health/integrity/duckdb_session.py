"""A DuckDB instance of our own, in which tables are compared: it may reach the files named and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from pytest_mdm_health.backends import ConnectionLost, QueryFailed, literal
from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.backends.sqlite.open import is_damage
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.core.text import join_names
from pytest_mdm_health.integrity.duckdb_progress import keep_account, say_how_far

if TYPE_CHECKING:
    from typing_extensions import Self

    from pytest_mdm_health.backends.sqlite.arrow import ArrowRows
    from pytest_mdm_health.integrity.readers.base import Source

MEMORY_LIMIT = "256MB"
"""What DuckDB may hold; the process takes about 100 MB more."""

DIRECT = ("duckdb", "parquet", "csv")
"""What DuckDB reads by itself, so that it can tell how far it is."""

FAILURES = (duckdb.Error, ValueError, RuntimeError, OverflowError, TypeError)
"""What DuckDB raises."""

_T = TypeVar("_T")
_STREAMS = 4
_THREADS = min(4, os.cpu_count() or 1)
_SMALL_GROUPS = 18  # bits: groups by numbers of two bytes, as which buckets are told, need no hash table


class Workbench:
    """An instance, and a private folder for what does not fit into its memory; both are gone at the end of `with`.

    Attributes:
        careful: see `carefully`.
        deadline: until when a server may be at a query, as `time.monotonic` has it; None if that is for others to say.
    """

    def __init__(
        self,
        files: Iterable[Path],
        memory_limit: str = MEMORY_LIMIT,
    ) -> None:
        """Start it.

        Args:
            files: what it may read.
            memory_limit: what DuckDB may hold, in its words.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="mdm-health-compare-", ignore_cleanup_errors=True)
        self._numbers = itertools.count()
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": memory_limit,
            "threads": str(_THREADS),
            "preserve_insertion_order": "false",  # all threads fill a table; every row carries its place
            "secret_directory": str(Path(self._folder.name, "none")),  # what the user keeps there concerns others
            "temp_directory": str(Path(self._folder.name, "spilled")),
        }
        self.connection = duckdb.connect(":memory:", config=config)
        self.deadline: float | None = None
        self.careful = False
        self._streamed: dict[str, ArrowRows] = {}
        self._tune()
        keep_account(self.connection)
        self._restrict(tuple(files))

    @property
    def time_left_ms(self) -> int:
        """Milliseconds, as a server is told a limit: 0 is none."""
        return 0 if self.deadline is None else max(1, int((self.deadline - clock()) * 1000))

    def run(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows that a statement gives.

        Raises:
            QueryFailed: DuckDB refuses the statement, or what it needs cannot be read.
        """
        try:
            for name in self._streamed:
                if name in sql:
                    self._begin(name)
            return self.connection.execute(sql, list(parameters)).fetchall()
        except FAILURES as error:
            reason = redact(one_line(error))
            raise QueryFailed(reason, "damaged" if is_damage(reason) else "other") from (
                error if isinstance(error, duckdb.InterruptException) else None
            )

    def interrupted_after(self, within_s: float, *sources: Source) -> contextlib.AbstractContextManager[None]:
        """A block of statements about these sources that is broken off after some seconds in which none moved on."""
        name = join_names([source.name for source in sources])
        direct = all(source.engine in DIRECT for source in sources)
        return interrupting(
            self.connection.interrupt, within_s, partial(say_how_far, self.connection, name) if direct else None
        )

    def carefully(self, read: Callable[[], _T]) -> _T:
        """What `read` gives; if it fails, what it gives without the short cuts that do for nearly all tables.

        With `careful` set, readers take nothing for granted that a table declares.

        Raises:
            QueryFailed: it failed with these as well, or was broken off.
        """
        self.careful = False
        try:
            return read()
        except QueryFailed as error:
            if isinstance(error.__cause__, duckdb.InterruptException) or isinstance(error, ConnectionLost):
                raise
        self.careful = True
        return read()

    def name(self, stem: str) -> str:
        """A name that nothing else in it has."""
        return f"{stem}_{next(self._numbers)}"

    @contextlib.contextmanager
    def table(self, stem: str, definition: str) -> Iterator[str]:
        """A table of its own, which goes with the `with`."""
        name = self.name(stem)
        self.run(f"CREATE TABLE memory.main.{name} ({definition})")
        try:
            yield f"memory.main.{name}"
        finally:
            self.run(f"DROP TABLE memory.main.{name}")

    @contextlib.contextmanager
    def streamed(self, rows: ArrowRows) -> Iterator[str]:
        """A name for rows that come as Arrow arrays; each statement that has it gets them from the first one."""
        name = self.name("arrays")
        self._streamed[name] = rows
        try:
            yield name
        finally:
            del self._streamed[name]
            self._end(name, rows)

    def stream(self) -> Path:
        """A path that it may read and where nothing is yet: for a pipe."""
        return next(path for path in self._streams() if not path.exists())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self._folder.cleanup()

    def _begin(self, name: str) -> None:
        """Hand rows over once more: up to DuckDB 1.4, what was handed over can be read once."""
        rows = self._streamed[name]
        self._end(name, rows)
        self.connection.register(name, rows)

    def _end(self, name: str, rows: ArrowRows) -> None:
        """Let DuckDB release the stream before what it comes from ends, however often it is interrupted."""
        registered = True
        while registered:
            with contextlib.suppress(duckdb.InterruptException):
                self.connection.unregister(name)
                registered = False
        rows.release()

    def _streams(self) -> Iterator[Path]:
        return (Path(self._folder.name, f"stream{number}") for number in range(_STREAMS))

    def _tune(self) -> None:
        with contextlib.suppress(duckdb.Error):  # one DuckDB or another may not know it
            self.connection.execute(f"SET perfect_ht_threshold = {_SMALL_GROUPS}")

    def _restrict(self, files: Sequence[Path]) -> None:
        paths = [str(file) + suffix for file in files for suffix in ("", ".wal", ".wal.checkpoint")]
        paths += [str(path) for path in self._streams()]
        with contextlib.suppress(duckdb.CatalogException):  # DuckDB 1.1 cannot be told so
            self.connection.execute(f"SET allowed_paths = [{', '.join(map(literal, paths))}]")
            self.connection.execute("SET enable_external_access = false")
        self.connection.execute("SET lock_configuration = true")
