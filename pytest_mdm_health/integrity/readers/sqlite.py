"""A table of a SQLite file, read as Arrow arrays by SQLite's ADBC driver.

SQLite keeps a type with each value, and an array has one type. The driver takes it from the first array of a column and
refuses later values, but not all: it writes numbers and bytes into arrays of texts, and integers into those of floating
point numbers. So the first array holds rows of our own, which have the types that the columns declare, and what the
driver would convert is turned into what is refused. A table that is refused, and a column of which no declaration tells
what is in it, is asked for the types of its values, and each type of a column gets an array of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf

from pytest_mdm_health.backends import Backend, Column, Database, QueryFailed, Unfinished, quote
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.backends.row_width import row_count
from pytest_mdm_health.backends.sqlite import SqliteDatabase
from pytest_mdm_health.backends.sqlite.arrow import ArrowConnection
from pytest_mdm_health.core.pace import PARTS
from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.integrity.digest.canonical import EXACT, Form, form_of
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch
from pytest_mdm_health.integrity.readers.duckdb import among

PART_BYTES = 64 * 1024 * 1024
"""The rows of larger files are read in parts of about this size."""

_LOOKED_AT = 1000
_ROW_IDS = ("rowid", "_rowid_", "oid")
_ROWS, _CELLS, _BYTES = 8192, 200_000, 32 * 1024 * 1024
"""What one array of each column has at most, together."""

_ASKED_AT_ONCE = 300
"""Columns: six questions for each, and SQLite answers at most 2,000 in one statement."""

_EXAMPLES = {"integer": "0", "real": "0.5", "text": "''", "blob": "x'00'"}
"""A value of each type that SQLite has, in SQL."""

_REFUSED = {"integer": "''", "real": "''", "text": "x'FF'", "blob": "0"}
"""For each type a value that the driver, or for bytes that are no UTF-8 DuckDB, refuses among values of it."""

_ONLY_TEXT = "CASE typeof({0}) WHEN 'text' THEN {0} WHEN 'null' THEN NULL ELSE x'FF' END"
"""A column of texts; another value becomes a byte that is no UTF-8, and so is refused."""

_BEYOND_ASCII = "{0} GLOB '*[^' || char(1) || '-' || char(127) || ']*' OR length({0}) <> length(CAST({0} AS BLOB))"
"""Whether a text has another character than ASCII's, or NUL, where GLOB would stop."""

_UTF_8 = (
    "([0-7].|(C[2-9A-F]|D.)[89AB].|E0[AB].[89AB].|(E[1-9ABCEF]|F0[9AB].)([89AB].){2}|ED[89].[89AB].|"
    "F[1-3]([89AB].){3}|F48.([89AB].){2})*"
)
"""Bytes that are UTF-8, in hexadecimal digits: DuckDB before 1.3 cannot be asked whether they are."""


@contextmanager
def reading(backend: Backend, table: str, workbench: Workbench) -> Iterator[ArrowReader]:
    """A table of a SQLite file.

    Raises:
        CannotOpen: the file cannot be opened.
        QueryFailed: there is no such table, or it cannot be read.
    """
    with backend.open() as database:
        assert isinstance(database, SqliteDatabase)
        columns = database.columns(table)
        declared = {each.name: form_of(each.type, "sqlite") for each in columns}
        forms = {name: form or _form_by_values(database, table, name) for name, form in declared.items()}
        kind = _kind(database, table)
        asked = [each for each in columns if workbench.careful or not _is_told(each, forms[each.name], kind)]
        place = _row_id(database, table, columns) if kind != "view" else ""
        size = backend.path.stat().st_size
        parts = _parts(database, table, place, size) if kind == "table" and place else ()
        stored = _stored(database, table, kind, [each.name for each in asked], parts, workbench.deadline)
        at_once = _at_once(database, table, size, len(columns), kind)
        with database.arrow() as connection:
            yield ArrowReader(columns, forms, connection, table, place, stored, at_once, workbench, parts)


def _kind(database: Database, table: str) -> str:
    """`table`, `virtual` or `view`."""
    sql = (
        "SELECT CASE WHEN sql LIKE 'CREATE VIRTUAL%' THEN 'virtual' ELSE type END FROM main.sqlite_master "
        "WHERE type IN ('table', 'view') AND lower(name) = lower(?)"
    )
    return str(next((kind for (kind,) in database.query(sql, (table,))), "view"))


def _row_id(database: Database, table: str, columns: Sequence[Column]) -> str:
    """What a row is found again by; empty for a table without row ids or a free name for them."""
    free = [name for name in _ROW_IDS if name not in {each.name.lower() for each in columns}]
    try:
        for name in free[:1]:
            database.query(f"SELECT {name} FROM main.{quote(table)} LIMIT 0")  # noqa: S608 - quoted
            return name
    except QueryFailed:
        pass
    return ""


def _parts(database: Database, table: str, place: str, size: int) -> tuple[str, ...]:
    """The conditions for the rows of a large table in parts, so that it is seen how far reading has come."""
    count = -(-size // PART_BYTES)
    ((first, last),) = database.query(f"SELECT min({place}), max({place}) FROM main.{quote(table)}")  # noqa: S608 - quoted
    if count == 1 or first is None:
        return ()
    step = (last - first) // count + 1
    starts = range(first, last + 1, step)
    return tuple(f" WHERE {place} BETWEEN {start} AND {min(start + step - 1, last)}" for start in starts)


def _told(table: str, parts: Sequence[str]) -> Iterator[str]:
    """The parts one by one, saying how many were read; or all rows at once if there are none."""
    if not parts:
        yield ""
    for number, part in enumerate(parts):
        progress(f"table {table}", number, len(parts), PARTS)
        yield part
    if parts:
        progress(f"table {table}", len(parts), len(parts), PARTS)


def _form_by_values(database: Database, table: str, column: str) -> Form:
    """What a column that declares no type is read as: what its first values are."""
    sql = (
        f"SELECT DISTINCT typeof(v) FROM (SELECT {quote(column)} AS v FROM main.{quote(table)} "  # noqa: S608 - quoted
        f"WHERE v IS NOT NULL LIMIT {_LOOKED_AT})"
    )
    found = {kind for (kind,) in database.query(sql)}
    if found == {"blob"}:
        return Form.BYTES
    return Form.FLOAT if found and found <= {"integer", "real"} else Form.TEXT


def _is_told(column: Column, form: Form, kind: str) -> bool:
    """Whether what a column declares tells how its values are stored, or a value that is stored otherwise is refused.

    A table has no integers in columns of floating point numbers, unless they are of the type `NUMERIC` or of none.
    """
    if form.domain == "number":
        return kind == "table" and re.search(r"REAL|FLOA|DOUB", column.type.upper()) is not None
    return form is not Form.BYTES


def _at_once(database: Database, table: str, file_size: int, columns: int, kind: str) -> int:
    """How many rows an array has, as they are on average."""
    rows = row_count(database, table, file_size) if kind == "table" else _ROWS
    average = file_size // max(rows, 1)
    return max(min(_ROWS, rows, _CELLS // (columns + 1), _BYTES // max(average, 1)), 1)


@dataclass(frozen=True)
class Stored:
    """How the values of a column are stored.

    Attributes:
        types: as `typeof` tells them, without NULL.
        large: whether a floating point number cannot hold some of the integers.
        ascii: whether texts have no other characters, or are kept in UTF-16, of which SQLite makes UTF-8.
    """

    types: tuple[str, ...]
    large: bool
    ascii: bool


def _stored(
    database: Database, table: str, kind: str, names: Sequence[str], parts: Sequence[str], deadline: float | None
) -> dict[str, Stored]:
    utf_8 = database.query("PRAGMA encoding") == [("UTF-8",)]
    if kind != "table":  # what expressions give may depend on the SQLite, and the driver has its own
        return dict.fromkeys(names, Stored(tuple(_EXAMPLES), large=True, ascii=not utf_8))
    found: dict[str, Stored] = {}
    for first in range(0, len(names), _ASKED_AT_ONCE):
        some = names[first : first + _ASKED_AT_ONCE]
        questions = ", ".join(f"max({each})" for name in some for each in _questions(quote(name)))
        asked = f"SELECT {questions} FROM main.{quote(table)}"  # noqa: S608 - quoted
        answered = [_within(deadline, database, asked + part)[0] for part in _told(table, parts)]
        answers = [any(each) for each in zip(*answered, strict=True)]
        for name, (*types, large, beyond) in zip(some, zip(*(iter(answers),) * 6, strict=True), strict=True):
            seen = tuple(type_ for type_, yes in zip(_EXAMPLES, types, strict=True) if yes)
            found[name] = Stored(seen, bool(large), not (beyond and utf_8))
    return found


def _questions(c: str) -> Iterator[str]:
    yield from (f"typeof({c}) = '{type_}'" for type_ in _EXAMPLES)
    yield f"typeof({c}) = 'integer' AND ({c} > {EXACT} OR {c} < -{EXACT})"
    yield f"typeof({c}) = 'text' AND ({_BEYOND_ASCII.format(c)})"


def _within(deadline: float | None, database: Database, sql: str) -> list[tuple[int | None, ...]]:
    left = inf if deadline is None else deadline - clock()
    try:
        with interrupting(database.connection.interrupt, None if left == inf else max(left, 0)):
            return database.query(sql)
    except Unfinished as error:
        raise QueryFailed(str(error)) from error


@dataclass(frozen=True)
class ArrowReader:
    """Rows as Arrow arrays; a `base.Reader`.

    Attributes:
        place: the column that finds a row again; empty if rows are counted instead.
        stored: how values are stored, for columns of which that was asked.
        at_once: rows of one array.
        parts: conditions for the rows of each batch, with `WHERE`; none for one batch of all.
    """

    columns: tuple[Column, ...]
    forms: Mapping[str, Form]
    connection: ArrowConnection
    table: str
    place: str
    stored: Mapping[str, Stored]
    at_once: int
    workbench: Workbench
    parts: Sequence[str] = ()
    engine: str = "sqlite"
    how: str = "adbc"
    single: frozenset[str] = frozenset()

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        sent = _Sent(self.place or "row_number() OVER () - 1")
        cells = [self._cell(name, sent) for name in names]
        chosen = "".join(f"{cell.value} AS c{index}, " for index, cell in enumerate(cells))
        strays = {index: f"s{index}" for index, cell in enumerate(cells) if cell.strays}
        chosen += "".join(f"coalesce({', '.join(cells[index].strays)}) AS {name}, " for index, name in strays.items())
        if places is not None:
            parts = iter([f" WHERE {self.place} IN ({', '.join(map(str, places))})" if self.place else ""])
        else:
            parts = _told(self.table, self.parts)
        for part in parts:
            with self.workbench.streamed(self.connection.rows(self._sql(sent, part), self.at_once)) as rows:
                relation = f"(SELECT {chosen}t0 AS place FROM {rows} AS r({sent.names}) WHERE t0 IS NOT NULL)"  # noqa: S608 - made here
                if places is not None and not self.place:
                    relation = among(relation, places)
                yield Batch(relation, tuple(cell.type for cell in cells), strays)

    def _cell(self, name: str, sent: _Sent) -> _Cell:
        declared = form_of(next(each.type for each in self.columns if each.name == name), "sqlite")
        domain, stored = (declared or self.forms[name]).domain, self.stored.get(name)
        return (
            _as_declared(quote(name), domain, sent) if stored is None else _by_type(quote(name), domain, stored, sent)
        )

    def _sql(self, sent: _Sent, where: str) -> str:
        """The statement: rows that fill the first array and have no place, then those of the table."""
        more = f"SELECT i + 1 FROM n WHERE i < {self.at_once}"  # noqa: S608 - a number
        table = f"main.{quote(self.table)}"
        return (
            f"SELECT {', '.join(sent.examples)} "  # noqa: S608 - numbers
            f"FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL {more}) SELECT i FROM n) "
            f"UNION ALL SELECT {', '.join(sent.columns)} FROM {table}{where}"
        )


class _Sent:
    """What SQLite sends: `t0`, which is the place of a row, then `t1`, `t2` and so on.

    Attributes:
        columns: expressions.
        examples: for each a value of the type that it is to have.
    """

    def __init__(self, place: str) -> None:
        self.columns, self.examples = [place], ["NULL"]

    def add(self, column: str, type_: str) -> str:
        """One more; its name."""
        self.columns.append(column)
        self.examples.append(_EXAMPLES[type_])
        return f"t{len(self.columns) - 1}"

    @property
    def names(self) -> str:
        """The names of all."""
        return ", ".join(f"t{index}" for index in range(len(self.columns)))


@dataclass(frozen=True)
class _Cell:
    """A column of the table in DuckDB's SQL: its values, their type, and those of another type as texts."""

    value: str
    type: str
    strays: tuple[str, ...] = ()


def _as_declared(c: str, domain: str, sent: _Sent) -> _Cell:
    if domain == "whole":
        return _Cell(sent.add(c, "integer"), "BIGINT")
    if domain == "number":
        return _Cell(sent.add(c, "real"), "DOUBLE")
    return _Cell(_sound(sent.add(_ONLY_TEXT.format(c), "text")), "VARCHAR")


def _sound(text: str) -> str:
    """A text that is refused unless it is UTF-8; DuckDB takes those in arrays as they are."""
    return f"decode(encode({text}))"


def _by_type(c: str, domain: str, stored: Stored, sent: _Sent) -> _Cell:
    """A column of which values of each type are sent by themselves; of a type that was not seen, they are refused."""
    found: dict[str, str] = {}
    broken: tuple[str, ...] = ()
    for type_ in stored.types:
        as_bytes = type_ == "text" and not stored.ascii
        value = f"CAST({c} AS BLOB)" if as_bytes else c
        sent_as = "blob" if as_bytes else type_
        others = "NULL" if found else _refused_unless(c, stored.types, _REFUSED[sent_as])
        name = sent.add(f"CASE typeof({c}) WHEN '{type_}' THEN {value} ELSE {others} END", sent_as)
        found[type_] = _sound(name) if type_ == "text" else name
        if as_bytes:
            is_text = f"regexp_full_match(hex({name}), '{_UTF_8}')"
            found[type_] = f"CASE WHEN {is_text} THEN decode({name}) END"
            broken = (f"CASE WHEN NOT {is_text} THEN 'b'||hex({name}) END",)
    members, value, arrives = _members(found, domain, stored)
    strays = {"integer": "'n'||{}::VARCHAR", "real": "'n'||{}::VARCHAR", "text": "'t'||{}", "blob": "'b'||hex({})"}
    apart = (strays[type_].format(name) for type_, name in found.items() if type_ not in members)
    return _Cell(value, arrives, (*apart, *broken))


def _refused_unless(c: str, types: Sequence[str], refused: str) -> str:
    """NULL for values of these types, for others what the driver or DuckDB refuses among those of the first type."""
    known = ", ".join(f"'{type_}'" for type_ in (*types, "null"))
    return f"CASE WHEN typeof({c}) NOT IN ({known}) THEN {refused} END"


def _members(found: Mapping[str, str], domain: str, stored: Stored) -> tuple[tuple[str, ...], str, str]:
    """Which types a column is meant for, and its values as one type of DuckDB's."""
    if domain == "bytes":
        return ("blob",), found.get("blob", "NULL::BLOB"), "BLOB"
    if domain not in {"whole", "number"}:
        return ("text",), found.get("text", "NULL::VARCHAR"), "VARCHAR"
    numbers, integers, reals = ("integer", "real"), found.get("integer"), found.get("real")
    if integers is None:
        return numbers, reals or "NULL::DOUBLE", "DOUBLE"
    if reals is None:
        return numbers, integers, "BIGINT"
    if stored.large:
        return numbers, f"coalesce({integers}::VARCHAR, {reals}::VARCHAR)", "VARCHAR"
    return numbers, f"coalesce({integers}::DOUBLE, {reals})", "DOUBLE"
