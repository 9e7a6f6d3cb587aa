"""Where a table can be read from, and what all readers have in common.

A reader hands the rows over as relations of one DuckDB instance, the *workbench*. Their columns are called `c0`, `c1`,
… in the order asked for, and `place` is where the row is: the same row has the same place when it is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_mdm_health.backends import Backend, Column
from pytest_mdm_health.integrity.digest.canonical import Form


@dataclass(frozen=True)
class TableIn:
    """A table of a database.

    Attributes:
        called: names of its columns to what they are to be called; the others keep their names.
        without: columns that are not read, by what they are to be called.
    """

    backend: Backend
    table: str
    called: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return f"table {self.table}"

    @property
    def engine(self) -> str:
        """`sqlite`, `duckdb` or `postgresql`."""
        return self.backend.engine

    @property
    def files(self) -> tuple[Path, ...]:
        """The files on this machine that are read."""
        return () if self.backend.connection is not None else (self.backend.path.absolute(),)


@dataclass(frozen=True)
class TableFile:
    """A table that is a file of its own: Parquet or CSV, which is told by its name; the rest is as of a `TableIn`."""

    path: Path
    called: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return str(self.path)

    @property
    def engine(self) -> str:
        """`parquet` or `csv`."""
        return "parquet" if self.path.name.lower().endswith((".parquet", ".pq")) else "csv"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files on this machine that are read."""
        return (self.path.absolute(),)


Source = TableIn | TableFile


@dataclass(frozen=True)
class Batch:
    """Some rows, or all.

    Attributes:
        relation: what stands for them in SQL.
        arrives: the DuckDB types of its columns.
        strays: for columns where a value may be of another kind than the column, the name of a further column that has
            it then as a text, in the manner of `Parts.odd`.
    """

    relation: str
    arrives: tuple[str, ...]
    strays: Mapping[int, str]


class Reader(Protocol):
    """A table that is open for reading.

    How it is read: `direct` by DuckDB itself, `adbc` by SQLite's ADBC driver, `copy` as the text that a server sends.
    """

    @property
    def engine(self) -> str:
        """As `Source.engine`."""

    @property
    def how(self) -> str:
        """`direct`, `adbc` or `copy`."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in their order, with the types declared."""

    @property
    def forms(self) -> Mapping[str, Form]:
        """What the columns are read as if nothing else is asked for."""

    @property
    def single(self) -> frozenset[str]:
        """Columns whose texts are of floating point numbers of 4 bytes."""

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """The rows, with these columns; only those at these places, if any are given.

        Raises:
            QueryFailed: they cannot be read.
        """
