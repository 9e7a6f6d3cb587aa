"""What is known of the types in one dataset's data: the facts of type-mismatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.integrity.profiles.column_types import is_identifier
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile
from pytest_mdm_health.integrity.profiles.source_values import SourceColumn


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """The file that a table was loaded from.

    Attributes:
        path: absolute.
        columns: what it has in the columns whose values are numbers in the table, or texts that are all numbers.
    """

    path: str
    columns: Mapping[str, SourceColumn] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Headings:
    """Rows of a table that hold the names of its columns.

    Attributes:
        rows: their numbers, counted from 1 as the engine reads the table; the first hundred.
        columns: those that hold their own names.
    """

    rows: tuple[int, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TypeFacts(Facts):
    """What was seen.

    Attributes:
        name: the dataset.
        home: the home, absolute.
        engine: `sqlite`, `duckdb` or `postgresql`.
        database: its file, or its address on a server.
        program: the engine's command line with that database, to be followed by a statement.
        source: the file or folder that the dataset came from; empty if it is nowhere to be found.
        identifiers: the columns that are registered as such.
        target: the registered target, if its values are to be predicted as numbers.
        tables: the base tables.
        recorded: by table and column, the types that MDM recorded when it registered the dataset.
        sources: by table, the file that it was loaded from.
        headings: by table, its rows that hold the names of the columns.
    """

    name: str
    home: str
    engine: str
    database: str
    program: tuple[str, ...]
    source: str = ""
    identifiers: tuple[str, ...] = ()
    target: str = ""
    tables: tuple[TableProfile, ...] = ()
    recorded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sources: Mapping[str, SourceFile] = field(default_factory=dict)
    headings: Mapping[str, Headings] = field(default_factory=dict)

    def names_things(self, column: ColumnProfile) -> bool:
        """Whether a column holds identifiers: registered, called so, or written with leading zeros or many digits."""
        written_so = column.looks.get("padded", 0) or column.looks.get("long", 0)
        return column.name in self.identifiers or is_identifier(column.name) or bool(written_so)

    def source_of(self, table: TableProfile, column: ColumnProfile) -> SourceColumn | None:
        """What the source has in a column, as far as it was looked at."""
        source = self.sources.get(table.table)
        return source.columns.get(column.name) if source is not None else None

    def each_column(self) -> Iterator[tuple[TableProfile, ColumnProfile]]:
        """Every column of every table."""
        return ((table, column) for table in self.tables for column in table.columns)
