"""What the columns of a table really hold, counted by the engine.

First one look at all columns, which tells the sound ones; then a closer one at each of the others, and at every
column of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_mdm_health.backends import Column, Database, quote
from pytest_mdm_health.integrity.profiles.column_sql import EXACT, IMPOSSIBLE, ISO, LONGEST, ColumnSql
from pytest_mdm_health.integrity.profiles.column_types import Kind, kind_of
from pytest_mdm_health.integrity.profiles.decimals import LOOKED_AT, are_decimals
from pytest_mdm_health.integrity.profiles.regex_columns import RegexSql
from pytest_mdm_health.integrity.profiles.sqlite_columns import SqliteSql
from pytest_mdm_health.integrity.profiles.text_formats import FALSE, MARKERS, TRUE, Dates, Shape, dates_of
from pytest_mdm_health.integrity.sampling.blocks import ROWS, Sample, sample_of

_COLUMNS_AT_ONCE = 200
_SHAPES = 200
_SPELLINGS = 20


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """What was counted in one column.

    Attributes:
        declared: its type, as the database has it.
        kind: what that type means.
        values: how many of the rows looked at have a value.
        integers, reals, texts, blobs: how the values are stored, where that need not be as declared.
        whole: reals that are whole numbers.
        inexact: whole reals so large that they may have been rounded.
        beyond_truth: integers that are neither 0 nor 1, in a column of truth values.
        looks: texts by what they look like, as in `ColumnSql.text_class`.
        spellings: the words for truth values in a column that has nothing else.
        dates: how dates are written, in a column that seems to hold dates.
        decimals: whether its texts are all numbers, and written as programs write those; see `are_decimals`.
    """

    name: str
    declared: str
    kind: Kind
    values: int = 0
    integers: int = 0
    reals: int = 0
    texts: int = 0
    blobs: int = 0
    whole: int = 0
    inexact: int = 0
    beyond_truth: int = 0
    looks: Mapping[str, int] = field(default_factory=dict)
    spellings: tuple[str, ...] = ()
    dates: Dates | None = None
    decimals: bool = False

    @property
    def written(self) -> int:
        """Texts that are not blank."""
        return sum(count for look, count in self.looks.items() if look != "blank")


@dataclass(frozen=True, kw_only=True)
class TableProfile:
    """What was counted in one table.

    Attributes:
        rows: rows looked at; None if only the declared types were.
        of: rows that there are, more or less; None if unknown.
        complete: whether all rows were looked at.
    """

    table: str
    columns: tuple[ColumnProfile, ...]
    rows: int | None = None
    of: int | None = None
    complete: bool = False


def declared_profile(database: Database, table: str) -> TableProfile:
    """The declared types of a table's columns, nothing counted.

    Raises:
        QueryFailed: there is no such table, or the catalogue cannot be read.
    """
    columns = (_declared(column) for column in database.columns(table))
    return TableProfile(table=table, columns=tuple(columns))


def profile(database: Database, table: str, dates: Sequence[str] = (), *, everything: bool = False) -> TableProfile:
    """What the columns of a table hold.

    Args:
        database: where the table is.
        table: its name.
        dates: columns that are meant to hold dates, whatever they look like.
        everything: look at all rows rather than at a sample.

    Raises:
        QueryFailed: there is no such table, or it cannot be read.
    """
    declared = declared_profile(database, table).columns
    sample = sample_of(database, table, len(declared), everything=everything)
    look = _Look(database, _sql_for(database.engine), sample, frozenset(dates))
    counted: list[ColumnProfile] = []
    rows = 0
    for start in range(0, len(declared), _COLUMNS_AT_ONCE):
        rows, some = look.at(declared[start : start + _COLUMNS_AT_ONCE])
        counted += some
    of = rows if sample.complete else sample.of
    return TableProfile(table=table, columns=tuple(counted), rows=rows, of=of, complete=sample.complete)


def _sql_for(engine: str) -> ColumnSql:
    return SqliteSql() if engine == "sqlite" else RegexSql(engine)


def _declared(column: Column) -> ColumnProfile:
    return ColumnProfile(name=column.name, declared=column.type, kind=kind_of(column.type))


@dataclass(frozen=True)
class _Look:
    """A look at some rows of a table."""

    database: Database
    sql: ColumnSql
    sample: Sample
    dates: frozenset[str]

    def at(self, columns: Sequence[ColumnProfile]) -> tuple[int, list[ColumnProfile]]:
        """How many rows there are, and the columns with what is in them."""
        wanted = ", ".join(expression for each in columns for expression in self._counts(each))
        ((rows, *found),) = self.database.query(f"SELECT count(*), {wanted} FROM {self.sample.relation}")  # noqa: S608 - quoted
        threes = zip(*(iter(found),) * 3, strict=True)
        return int(rows), [self._closer(each, *map(int, counts)) for each, counts in zip(columns, threes, strict=True)]

    def _counts(self, column: ColumnProfile) -> tuple[str, str, str]:
        """Of a column the values, those stored as declared, and what is worth knowing of numbers and truth values."""
        c = quote(column.name)
        sound = _counted(self.sql.as_declared(c, column.kind)) if self.sql.free else f"count({c})"
        more = {Kind.FLOAT: _counted(self.sql.whole(c))}
        if self.sql.free:
            more[Kind.BOOLEAN] = _counted(f"{c} NOT IN (0, 1)")
        return f"count({c})", sound, more.get(column.kind, "0")

    def _closer(self, column: ColumnProfile, values: int, sound: int, more: int) -> ColumnProfile:
        """The column with what the first look found, and a closer one where that calls for it."""
        column = replace(column, values=values)
        if values > sound:
            column = self._by_storage(column)
        elif column.kind in self.sql.stored_as:
            column = _stored(column, {self.sql.stored_as[column.kind]: values})
        if column.kind is Kind.FLOAT and more:
            (inexact,) = self._count(f"{self.sql.whole(quote(column.name))} AND abs({quote(column.name)}) >= {EXACT}")[
                1:
            ]
            column = replace(column, whole=more, inexact=inexact)
        elif column.kind is Kind.BOOLEAN:
            column = replace(column, beyond_truth=more)
        return self._texts(column) if column.texts else column

    def _by_storage(self, column: ColumnProfile) -> ColumnProfile:
        storage = self.sql.storage(quote(column.name))
        return _stored(column, dict(zip(storage, self._count(*storage.values())[1:], strict=True)))

    def _texts(self, column: ColumnProfile) -> ColumnProfile:
        """What the texts look like, and how dates and truth values are written in them."""
        c = quote(column.name)
        looks = self._looks(c)
        column = replace(column, looks=looks)
        if looks.get("boolean") and set(looks) <= {"blank", "boolean", "number", "marker"}:
            return replace(column, spellings=self._spellings(c))
        if column.written and set(looks) <= {"blank", "number", "decorated"}:
            return replace(column, decimals=are_decimals(column.name, self._some(c)))
        dated = sum(count for look, count in looks.items() if look == "date" or look in ISO)
        if column.name in self.dates or dated > column.written // 2:
            return replace(column, dates=self._dates(c, looks))
        return column

    def _looks(self, c: str) -> dict[str, int]:
        """How many texts look like what; where values repeat, each is looked at once."""
        if not self._repeats(c):
            return dict(self._grouped(c, self.sql.text_class(c)))
        distinct = (
            f"SELECT CASE WHEN length({c}) <= {LONGEST} THEN {c} END AS v, count(*) AS n "  # noqa: S608 - quoted
            f"FROM {self.sample.relation} WHERE {self._texts_only(c)} GROUP BY 1"
        )
        look = f"CASE WHEN v IS NULL THEN 'other' ELSE {self.sql.text_class('v')} END"
        rows = self.database.query(f"SELECT {look}, sum(n) FROM ({distinct}) AS d GROUP BY 1 ORDER BY 2 DESC, 1")  # noqa: S608 - quoted
        return {str(value): int(count) for value, count in rows}

    def _repeats(self, c: str) -> bool:
        """Whether the values of a large SQLite table are worth sorting first; others need no sorting for that."""
        if not self.sql.free:
            return True
        if not self.sample.complete:
            return False
        ((rows, distinct),) = self.database.query(
            f"SELECT count(*), count(DISTINCT v) FROM (SELECT {c} AS v FROM {self.sample.relation} LIMIT {ROWS})"  # noqa: S608 - quoted
        )
        return bool(rows == ROWS and distinct < ROWS // 4)

    def _some(self, c: str) -> list[str]:
        rows = self.database.query(
            f"SELECT trim({c}) FROM {self.sample.relation} WHERE {self._texts_only(c)} LIMIT {LOOKED_AT}"  # noqa: S608 - quoted
        )
        return [str(text) for (text,) in rows]

    def _spellings(self, c: str) -> tuple[str, ...]:
        words = [str(word) for word, _ in self._grouped(c, f"trim({c})", limit=_SPELLINGS) if word]
        known = {word.lower() for word in words} <= {*TRUE, *FALSE, *MARKERS, "0", "1"}
        return tuple(sorted(word for word in words if word.lower() not in MARKERS)) if known else ()

    def _dates(self, c: str, looks: Mapping[str, int]) -> Dates:
        if set(looks) <= set(ISO):
            return Dates(looks)
        written = self._texts_only(c)
        inner = (
            f"SELECT {self.sql.shape(c)} AS shape, {self.sql.numbers(c)} FROM {self.sample.relation} WHERE {written}"  # noqa: S608 - quoted
        )
        rows = self.database.query(
            f"SELECT shape, count(*), coalesce(max(n1), 0), coalesce(max(n2), 0), {_counted(IMPOSSIBLE)} "  # noqa: S608 - quoted
            f"FROM ({inner}) AS numbers GROUP BY shape ORDER BY count(*) DESC LIMIT {_SHAPES}"
        )
        return dates_of(Shape(str(shape), *map(int, numbers)) for shape, *numbers in rows)

    def _grouped(self, c: str, expression: str, limit: int = 100) -> list[tuple[str, int]]:
        rows = self.database.query(
            f"SELECT {expression}, count(*) FROM {self.sample.relation} WHERE {self._texts_only(c)} "  # noqa: S608 - quoted
            f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit}"
        )
        return [(str(value), int(count)) for value, count in rows]

    def _texts_only(self, c: str) -> str:
        return f"typeof({c}) = 'text' AND trim({c}) <> ''" if self.sql.free else f"trim({c}) <> ''"

    def _count(self, *conditions: str) -> list[int]:
        """How many rows there are, and for how many of them each condition holds."""
        counts = "".join(f", {_counted(condition)}" for condition in conditions)
        (row,) = self.database.query(f"SELECT count(*){counts} FROM {self.sample.relation}")  # noqa: S608 - quoted
        return [int(count) for count in row]


def _stored(column: ColumnProfile, counts: Mapping[str, int]) -> ColumnProfile:
    integers, reals, texts, blobs = (counts.get(name, 0) for name in ("integers", "reals", "texts", "blobs"))
    return replace(column, integers=integers, reals=reals, texts=texts, blobs=blobs)


def _counted(condition: str) -> str:
    return f"count(CASE WHEN {condition} THEN 1 END)"
