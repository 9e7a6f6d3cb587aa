"""What is known of the types in one dataset's data."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.backends import quote
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.core.model import JSON, Facts
from pytest_mdm_health.integrity.profiles.column_types import Kind, is_identifier
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile
from pytest_mdm_health.integrity.profiles.source_values import SourceColumn
from pytest_mdm_health.integrity.profiles.text_formats import Dates

EXACT_DIGITS = 15
"""Digits of a number that a floating-point number always keeps."""

_MOSTLY_DATES = 0.8
_TYPES = {
    "sqlite": {Kind.INTEGER: "INTEGER", Kind.FLOAT: "REAL", Kind.BOOLEAN: "BOOLEAN"},
    "duckdb": {Kind.INTEGER: "BIGINT", Kind.FLOAT: "DOUBLE", Kind.BOOLEAN: "BOOLEAN"},
}
_SHOWN = 100
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"


@dataclass(frozen=True, kw_only=True)
class HeaderRows:
    """Rows of a table that hold the names of its columns.

    Attributes:
        rows: their numbers, counted from 1 as the engine reads the table; the first hundred.
        columns: those that hold their own names.
    """

    rows: tuple[int, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TypeFacts(Facts):
    """What was examined.

    Attributes:
        engine: `sqlite`, `duckdb` or `postgresql`.
        program: the engine's command line with the database, to be followed by a statement.
        file: the database file; empty for data on a server.
        source: the file or folder that the dataset came from; empty if it was not found.
        identifiers: the columns that are registered as such.
        target: the registered target, if its values are to be predicted as numbers.
        tables: the base tables.
        recorded: by table and column, the types that MDM recorded when it registered the dataset.
        source_columns: by table and column, what the source file has in the columns whose values are numbers in the
            table, or texts that are all numbers.
        headings: by table, its rows that hold the names of the columns.
    """

    engine: str
    program: tuple[str, ...]
    file: str = ""
    source: str = ""
    identifiers: tuple[str, ...] = ()
    target: str = ""
    tables: tuple[TableProfile, ...] = ()
    recorded: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    source_columns: Mapping[str, Mapping[str, SourceColumn]] = field(default_factory=dict)
    headings: Mapping[str, HeaderRows] = field(default_factory=dict)

    @property
    def command_line(self) -> str:
        """The engine's command line, quoted for a shell."""
        return shlex.join(self.program)

    def examined_columns(self) -> Iterator[ExaminedColumn]:
        """Every column of every table."""
        for table in self.tables:
            for column in table.columns:
                yield ExaminedColumn(self, table, column)


@dataclass(frozen=True)
class ExaminedColumn:
    """One column with its table and what else is known of it, and how findings show it."""

    facts: TypeFacts
    table: TableProfile
    profile: ColumnProfile

    @property
    def name(self) -> str:
        """`<table>.<column>`."""
        return f"{self.table.table}.{self.profile.name}"

    @property
    def declared(self) -> str:
        """The type that the database declares."""
        return self.profile.declared

    @property
    def source(self) -> SourceColumn | None:
        """What the source has in this column, as far as it was read."""
        return self.facts.source_columns.get(self.table.table, {}).get(self.profile.name)

    @property
    def is_identifier(self) -> bool:
        """Whether it is registered as an identifier, named like one, or has leading zeros or many digits."""
        profile = self.profile
        written_like_one = profile.looks.get("padded", 0) > 0 or profile.looks.get("long", 0) > 0
        return profile.name in self.facts.identifiers or is_identifier(profile.name) or written_like_one

    @property
    def dates(self) -> Dates | None:
        """How its dates are written; None for a column in which few values are dates."""
        dates = self.profile.dates
        if dates is None or not dates.written:
            return None
        mostly = dates.written + dates.impossible >= _MOSTLY_DATES * self.profile.written
        return dates if mostly else None

    def are_headings(self, strays: int) -> bool:
        """Whether so many stray values are those of the rows that are reported as headers."""
        headings = self.facts.headings.get(self.table.table)
        return headings is not None and self.profile.name in headings.columns and 0 < strays <= len(headings.rows)

    @property
    def has_plain_numbers_only(self) -> bool:
        """Whether it is in a file, and all of its texts look like numbers that nothing was added to."""
        return bool(self.facts.file) and set(self.profile.looks) == {"number"}

    def type_for(self, kind: Kind) -> str:
        """How its engine calls the type of numbers or truth values of a kind."""
        return _TYPES[self.facts.engine][kind]

    @property
    def evidence(self) -> dict[str, JSON]:
        """How much of it was examined."""
        return {"rows": self.table.rows, "values": self.profile.values, "complete": self.table.complete}

    @property
    def conversion_warning(self) -> str:
        """What a conversion to numbers would get wrong, where some values are not plain numbers."""
        if not {"decorated", "other"} & self.profile.looks.keys():
            return ""
        return (
            "A comma may separate decimals (18,5) or thousands (24,775), and 5% is 0.05: a conversion that guesses "
            "produces other numbers, or none. "
        )

    @property
    def original_digits(self) -> str:
        """Where identifiers that became numbers still have all their digits."""
        if self.source is None:
            return "only a source or a backup has them"
        if self.source.padded and self.source.widest == self.source.narrowest:
            return f"the source still has them, all with {self.source.widest} digits"
        return "the source still has them"

    @property
    def register_again(self) -> str:
        """How its dataset is registered again, as the end of a sentence."""
        return under_a_new_name(self.facts.source)

    @property
    def program(self) -> str:
        """The engine's command line, to be followed by one of the statements below."""
        return self.facts.command_line

    @property
    def stray_values(self) -> str:
        """The statement that shows values which do not belong in a column of its type."""
        column, kind = self._quoted, self.profile.kind
        if kind is Kind.BOOLEAN:
            return self._values_where(f"{column} NOT IN (0, 1)")
        expected = {Kind.INTEGER: "'integer'", Kind.FLOAT: "'integer', 'real'"}.get(kind, "'text'")
        return self._values_where(f"typeof({column}) NOT IN ({expected}, 'null')")

    @property
    def not_plain_numbers(self) -> str:
        """The statement that shows texts that are not numbers, or that would lose zeros or digits as numbers."""
        column = self._quoted
        if self.facts.engine == "sqlite":
            strays = f"{column} GLOB '*[^-+0-9.eE]*' OR {column} GLOB '0[0-9]*' OR {column} GLOB '[-+]0[0-9]*'"
        elif self.facts.engine == "duckdb":
            strays = f"TRY_CAST({column} AS DOUBLE) IS NULL OR regexp_matches({column}, '^[-+]?0[0-9]')"
        else:
            strays = f"{column} !~ '{_NUMBER}' OR {column} ~ '^[-+]?0[0-9]'"
        return self._values_where(f"{column} IS NOT NULL AND ({strays} OR length({column}) > {EXACT_DIGITS})")

    @property
    def value_counts(self) -> str:
        """The statement that shows the most frequent values."""
        return self._select(f"{self._quoted}, count(*)", f"GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN}")

    @property
    def first_values(self) -> str:
        """The statement that shows some values."""
        return self._select(self._quoted, f"WHERE {self._quoted} IS NOT NULL LIMIT {_SHOWN}")

    @property
    def missing_values(self) -> str:
        """The statement that counts rows and values."""
        return self._select(f"count(*), count({self._quoted})")

    @property
    def value_lengths(self) -> str:
        """The statement that shows a first and a last value of each length."""
        column = self._quoted
        columns = f"length({column}), min({column}), max({column}), count(*)"
        return self._select(columns, f"GROUP BY 1 ORDER BY 4 DESC LIMIT {_SHOWN}")

    @property
    def _quoted(self) -> str:
        return quote(self.profile.name)

    def _values_where(self, condition: str) -> str:
        rest = f"WHERE {condition} GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN}"
        return self._select(f"{self._quoted}, count(*)", rest)

    def _select(self, columns: str, rest: str = "") -> str:
        return f"SELECT {columns} FROM {quote(self.table.table)} {rest}".strip()  # noqa: S608 - quoted
