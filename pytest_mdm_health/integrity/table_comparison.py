"""How a table has changed since it was stored: the fact, the JSON of it and the row of a report. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RowCounts:
    """How many rows differ: exactly, or of a sample.

    Attributes:
        duplicated: rows that appear more often than before.
        of: rows of the sample; None if all were compared.
        complete: whether the counts are exact. If not, there are more rows than were read again, and no key that tells
            which of them are the same: as many as are on both sides count as altered.
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


@dataclass(frozen=True)
class CellChange:
    """One cell; the values themselves if that was asked for, else their salted hashes; NULL is None."""

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RowChange:
    """One row.

    Attributes:
        kind: `altered`, `missing`, `added`, or `duplicated`: there were such rows before, and are more now.
        before, after: its place on either side: the row id, or its number from 0 where there is none.
        key: the values of the key if there is one, or their hashes.
    """

    kind: str
    before: int | None
    after: int | None
    key: tuple[str | None, ...]
    cells: tuple[CellChange, ...] = ()


@dataclass(frozen=True)
class Retyped:
    """A column that is declared with another type than before; its values are compared by the digests.

    Attributes:
        code: `boolean-as-number`, `time-as-text`, `integer-as-float`, `decimal-as-float`, `zone-dropped`, `as-text`, or
            `other`.
    """

    column: str
    before: str
    after: str
    code: str


@dataclass(frozen=True, kw_only=True)
class TableComparison:
    """One data table before and after; columns by their names now.

    Attributes:
        verdict: `equal`, `differs`, `incomparable`, `lost`, `added`, `failed`, or `not-compared`.
        by: what shows it: `digest` (every row, in the columns that remain), `columns` (every column taken by itself),
            `sample`, or `count`.
        reason: why it is so, or why it was not compared, for a person.
        beyond_depth: whether its rows were not compared because the depth that was asked for leaves them out.
        rows: what differs exactly, if earlier rows could be read or sampled.
        cells: in those rows, columns with the number of altered cells; in those read again if not complete.
        examples: the first of those rows.
        key: the columns that those rows are known by.
        altered_columns: columns whose values, each column taken by itself, are not as before; None if not known.
        figures: of these columns, what the figures were and are.
        dropped, added: columns; those that were renamed as planned are in neither.
        renamed: old to new names of columns that were renamed as planned.
        recomputed: columns whose values are planned to change, and that were left out therefore.
        unaltered: those of them that have the values that they had.
        alike: dropped to added columns with the same values, each taken by itself: they may have been renamed.
        patterns: what the difference looks like.
        losses: what the backend cannot keep, in words; no damage.
        copy: where the earlier rows were read.
        packed: an archive that may hold the earlier rows, and that was not unpacked.
        not_it: copies that are not what was there before, or cannot be shown to be.
        reader: by what the rows of now were read, as `Reader.how`; empty if none were.
    """

    table: str
    verdict: str
    by: str = ""
    reason: str = ""
    beyond_depth: bool = False
    rows_before: int | None = None
    rows_after: int | None = None
    rows: RowCounts | None = None
    cells: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[RowChange, ...] = ()
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

    @property
    def difference(self) -> int:
        """How many more rows there are; fewer if it is below zero."""
        return (self.rows_after or 0) - (self.rows_before or 0)

    @property
    def is_renumbered(self) -> bool:
        """Whether both numbers of rows are known, and are not the same."""
        return None not in {self.rows_before, self.rows_after} and self.difference != 0

    @property
    def evidence(self) -> dict[str, Any]:
        """What a finding about its rows shows, without what is empty."""
        found = asdict(self)
        always = {name: found[name] for name in ("rows_before", "rows_after", "by")}
        names = ("rows", "cells", "examples", "altered_columns", "figures", "patterns", "copy", "not_it")
        some = {name: found[name] for name in names if found[name]}
        return always | {name: list(value) if isinstance(value, tuple) else value for name, value in some.items()}
