"""What a baseline keeps of each data table, and what became of a table since: facts of data-corruption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a dataset's data is.

    Attributes:
        path: the file; for data on a server, its address.
        relative: the file as seen from the home; as `path` for one that lies elsewhere, and on a server.
        host, port, database, user: for data on a server, how it is reached; no password.
    """

    path: str
    relative: str
    host: str = ""
    port: int = 0
    database: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class ColumnRecord:
    """One column; the figures are as in `integrity.table_profile`, None if they were not made."""

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    least: str | None = None
    greatest: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableRecord:
    """One data table.

    Attributes:
        key: columns that identify a row, as registered.
        digest: `TableDigest` as plain data; None if none was made.
        sample: `Sample` as plain data, of a large table.
        hashed_by: the release of DuckDB that hashed it.
        why_not: why there is no digest.
    """

    name: str
    rows: int | None
    columns: tuple[ColumnRecord, ...]
    key: tuple[str, ...] = ()
    digest: Mapping[str, Any] | None = None
    sample: Mapping[str, Any] | None = None
    hashed_by: str = ""
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How many rows differ: exactly, or of a sample.

    Attributes:
        of: rows of the sample; None if all were compared.
        complete: whether the counts are exact; if not, as many as went and came count as altered.
    """

    missing: int = 0
    added: int = 0
    duplicated: int = 0
    altered: int = 0
    of: int | None = None
    complete: bool = True

    @property
    def none(self) -> bool:
        """Whether no row differs."""
        return not (self.missing or self.added or self.duplicated or self.altered)


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column that is declared to be something else; `code` is as in `integrity.compare`."""

    column: str
    before: str
    after: str
    code: str


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """One data table before and after.

    Attributes:
        verdict: `equal`, `differs`, `incomparable`, `lost`, `added`, or `not-compared`.
        by: what it was told by: `digest` (every row, in the columns that remain), `columns` (every column taken by
            itself), `sample`, `count`, or `types`.
        reason: why it is so, or why it was not compared, for a person.
        rows: what differs exactly, if rows of before could be read or sampled.
        cells: in those rows, columns with the number of altered cells; in those looked at if not complete.
        examples: the first of those rows, as plain data: kind, places, key, and cells as hashes or values.
        key: the columns that those rows are known by.
        altered_columns: columns whose values, each column taken by itself, are not as before; None if not known.
        figures: of these columns, what the figures were and are.
        dropped, added: columns; those that were renamed as planned are in neither.
        renamed: old to new names of columns that were renamed as planned.
        recomputed: columns, by their names now, whose values are planned to change, and that were left out therefore.
        unaltered: those of them that have the values that they had.
        alike: dropped to added columns with the same values, each taken by itself: they may have been renamed.
        patterns: what the difference looks like.
        losses: what the backend cannot keep, in words; no damage.
        copy: where the rows of before were read.
        packed: an archive that may hold the rows of before, and that nobody unpacked.
        not_it: copies that are not what was there before, or cannot be shown to be.
        reader: by what the rows of now were read, as `Reader.how`; empty if none were.
    """

    table: str
    verdict: str
    by: str = ""
    reason: str = ""
    rows_before: int | None = None
    rows_after: int | None = None
    rows: Rows | None = None
    cells: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    key: tuple[str, ...] = ()
    altered_columns: tuple[str, ...] | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    recomputed: tuple[str, ...] = ()
    unaltered: tuple[str, ...] = ()
    alike: Mapping[str, str] = field(default_factory=dict)
    retyped: tuple[Retyped, ...] = ()
    patterns: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    copy: str = ""
    packed: str = ""
    not_it: tuple[str, ...] = ()
    reader: str = ""
