"""A table of a SQLite file: by DuckDB's extension where it loads and reads what is there, else in batches of rows.

The extension knows types only as columns declare them. It refuses a table with a number or text of another type than
declared, which then comes in batches, where every value is seen as it is stored. What it looks away from is asked here:
dates, of which it takes more than we do, and the last row, which it forgets where row ids fill its groups.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_mdm_health.backends import Backend, CannotOpen, Column, Database, QueryFailed, literal, quote, sidecars
from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.backends.private_copy import PrivateCopy
from pytest_mdm_health.backends.sqlite.header import read_header
from pytest_mdm_health.integrity.digest.canonical import Form, form_of
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch, Reader
from pytest_mdm_health.integrity.readers.delegating import ReaderAround

if TYPE_CHECKING:
    import pandas as pd

_CELLS = 200_000
"""Values of one batch."""

_LOOKED_AT = 1000
_PLACES_AT_ONCE = 500
_SCANNED = {
    Form.INTEGER: "BIGINT",
    Form.FLOAT: "DOUBLE",
    Form.TEXT: "VARCHAR",
    Form.BOOLEAN: "BIGINT",
    Form.TIME: "TIMESTAMP",
}
_ROW_IDS = ("rowid", "_rowid_", "oid")
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"( [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?"
_USUAL_MOMENT = "0000-00-00 00:00:00.000000".replace("0", "[0-9]")  # what pandas writes, sooner told
_GROUP = 2048
"""The extension reads row ids in groups of a multiple of this, and a last one of one row not at all."""

_Failure = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)


@contextmanager
def reading(backend: Backend, table: str, workbench: Workbench) -> Iterator[Reader]:
    """A table of a SQLite file.

    Raises:
        CannotOpen: the file cannot be opened.
        QueryFailed: there is no such table, or it cannot be read.
    """
    with backend.open() as database:
        slow = _in_batches(database, table, workbench)
        fast = workbench.reads_sqlite and not workbench.careful and _is_plain(slow)
        file = _for_scanner(database, backend.path, workbench) if fast else None
        if file is None:
            yield slow
            return
        alias = workbench.name("source")
        workbench.run(f"ATTACH {literal(file)} AS {alias} (TYPE sqlite, READ_ONLY)")
        try:
            relation = f"{alias}.{quote(table)}"
            yield SqliteScanner(slow, relation) if _are_as_expected(slow, alias, relation) else slow
        finally:
            workbench.run(f"DETACH {alias}")
            if file != backend.path.absolute():
                file.unlink()


def _for_scanner(database: Database, path: Path, workbench: Workbench) -> Path | None:
    """The file that the extension can open without a change beside it: in WAL mode, or if it is not alone, a copy."""
    if database.how != "immutable":
        return None
    if not read_header(path).wal and not any(each.kind in {"wal", "journal"} for each in sidecars(path)):
        return path.absolute()
    try:
        copy = PrivateCopy([path.absolute()])
    except CannotOpen:
        return None
    private = workbench.stream()
    shutil.move(copy.path_of(path), private)
    copy.remove()
    return private


def _in_batches(database: Database, table: str, workbench: Workbench) -> BatchReader:
    columns = database.columns(table)
    forms = {each.name: form_of(each.type, "sqlite") or _form_by_values(database, table, each.name) for each in columns}
    return BatchReader(columns, forms, database, table, _row_id(database, table, columns), workbench)


def _row_id(database: Database, table: str, columns: Sequence[Column]) -> str:
    """What a row is found again by; empty for a view, and for a table without row ids or a free name for them."""
    if not database.query("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (table,)):
        return ""
    free = [name for name in _ROW_IDS if name not in {each.name.lower() for each in columns}]
    try:
        for name in free[:1]:
            database.query(f"SELECT {name} FROM main.{quote(table)} LIMIT 0")  # noqa: S608 - quoted
            return name
    except QueryFailed:
        pass
    return ""


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


def _is_plain(reader: BatchReader) -> bool:
    """Whether the extension reads the columns as we do, and all rows."""
    forms = [form_of(each.type, "sqlite") for each in reader.columns if "DEC" not in each.type.upper()]
    if reader.place != _ROW_IDS[0] or len(forms) < len(reader.columns) or not all(form in _SCANNED for form in forms):
        return False
    first, last = (
        reader.database.query(f"SELECT {which}({reader.place}) FROM main.{quote(reader.table)}")[0][0]  # noqa: S608 - quoted
        for which in ("min", "max")  # asked for both at once, SQLite reads the whole table
    )
    return first is None or (last - max(first - 1, 0)) % _GROUP != 0


def _are_as_expected(reader: BatchReader, alias: str, relation: str) -> bool:
    """Whether the extension takes each column for what we do, and finds dates that all readers understand alike."""
    described = reader.workbench.run(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608 - quoted
    types = {name: type_ for name, type_, *_ in described}
    for name, form in reader.forms.items():
        expected = {_SCANNED[form], "DATE"} if form is Form.TIME else {_SCANNED[form]}
        if types.get(name) not in expected:
            return False
    return _are_dates(reader, alias, {name: types[name] for name, form in reader.forms.items() if form is Form.TIME})


def _are_dates(reader: BatchReader, alias: str, types: Mapping[str, str]) -> bool:
    """Whether every value of these columns is NULL, or a usual text; a DATE of the extension's has no time of day."""
    if not types:
        return True
    chosen = ", ".join(f"{quote(name)} AS c{index}" for index, name in enumerate(types))
    texts = literal(f"SELECT {chosen} FROM {quote(reader.table)}")  # noqa: S608 - quoted
    strange = " OR ".join(_strange(f"c{index}", type_) for index, type_ in enumerate(types.values()))
    # one that is enough would make another thread wait for it in circles
    found = f"SELECT count(*) FROM sqlite_query({literal(alias)}, {texts}) WHERE {strange}"  # noqa: S608 - made here
    return reader.workbench.run(found) == [(0,)]


def _strange(column: str, type_: str) -> str:
    if type_ == "DATE":
        return f"NOT regexp_full_match({column}, '{_DAY}')"
    moment = f"regexp_full_match({column}, '{_DAY}{_CLOCK}')"
    return f"CASE WHEN {column} GLOB '{_USUAL_MOMENT}' THEN FALSE ELSE NOT {moment} END"


@dataclass(frozen=True)
class SqliteScanner(ReaderAround):
    """Rows by DuckDB's extension; a `sources.Reader`. Those at given places come in batches.

    Attributes:
        reader: the one that takes batches.
        relation: what stands for the table in SQL.
    """

    reader: BatchReader
    relation: str

    @property
    def how(self) -> str:
        """As `Reader.how`."""
        return "scanner"

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        if places is not None:
            yield from self.reader.batches(names, places)
            return
        types = {name: _SCANNED[form] for name, form in self.forms.items()}
        chosen = "".join(f"{_sound(quote(name), types[name])} AS c{index}, " for index, name in enumerate(names))
        yield Batch(f"(SELECT {chosen}rowid AS place FROM {self.relation})", tuple(types[name] for name in names), {})  # noqa: S608 - quoted


def _sound(column: str, type_: str) -> str:
    """A column of the extension's; it hands over any bytes as text, of which decoding fails if they are none."""
    return f"decode(encode({column}))" if type_ == "VARCHAR" else f"{column}::{type_}"


@dataclass(frozen=True)
class BatchReader:
    """Rows in batches; a `sources.Reader`.

    Attributes:
        place: the column that finds a row again; empty if rows are counted instead.
    """

    columns: tuple[Column, ...]
    forms: Mapping[str, Form]
    database: Database
    table: str
    place: str
    workbench: Workbench
    engine: str = "sqlite"
    how: str = "batches"
    single: frozenset[str] = frozenset()

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        affinities = [self._affinity(name) for name in names]
        name = self.workbench.name("batch")
        start = 0
        for rows in self._rows(names, places):
            batch, frame = _batch(name, rows, affinities, None if self.place else start)
            start += len(rows)
            self.workbench.connection.register(name, frame)
            try:
                yield batch
            finally:
                self.workbench.connection.unregister(name)

    def _affinity(self, name: str) -> str:
        form = form_of(next(each.type for each in self.columns if each.name == name), "sqlite") or self.forms[name]
        return form.domain

    def _rows(self, names: Sequence[str], places: Sequence[int] | None) -> Iterator[list[tuple[Any, ...]]]:
        size = max(_CELLS // (len(names) + 1), 1)
        chosen = ", ".join((self.place or "0", *map(quote, names)))
        sql = f"SELECT {chosen} FROM main.{quote(self.table)}"  # noqa: S608 - quoted
        if places is None or not self.place:
            yield from self._fetched(sql, size)
            return
        for first in range(0, len(places), _PLACES_AT_ONCE):
            some = ", ".join(str(int(place)) for place in places[first : first + _PLACES_AT_ONCE])
            yield from self._fetched(f"{sql} WHERE {self.place} IN ({some})", size)

    def _fetched(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in batches; from where a text is no UTF-8, with those of its bytes that are none as surrogates."""
        connection: sqlite3.Connection = self.database.connection
        usual, done = connection.text_factory, 0
        try:
            for factory in (str, _decoded):
                connection.text_factory = factory
                try:
                    cursor = connection.execute(sql)
                    _skip(cursor, done, size)
                    while rows := cursor.fetchmany(size):
                        done += len(rows)
                        yield rows
                except sqlite3.OperationalError as error:
                    if "decode" not in str(error):
                        raise
                else:
                    return
        except _Failure as error:
            raise QueryFailed(one_line(error), damaged="malformed" in str(error)) from error
        finally:
            connection.text_factory = usual


def _skip(cursor: sqlite3.Cursor, rows: int, size: int) -> None:
    while rows:
        rows -= len(cursor.fetchmany(min(rows, size)))


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _batch(
    name: str, rows: list[tuple[Any, ...]], affinities: Sequence[str], start: int | None
) -> tuple[Batch, pd.DataFrame]:
    import numpy as np
    import pandas as pd

    from pytest_mdm_health.integrity.readers.sqlite_arrays import array_of

    places, *columns = zip(*rows, strict=True)
    series: dict[str, Any] = {"place": np.array(places) if start is None else np.arange(start, start + len(rows))}
    chosen, arrives, strays = ["place"], [], {}
    for index, (values, affinity) in enumerate(zip(columns, affinities, strict=True)):
        array = array_of(values, affinity)
        series[f"v{index}"] = array.data
        chosen.append(f"{array.sql.format(f'v{index}')}::{array.type} AS c{index}")
        arrives.append(array.type)
        if array.strays is not None:
            series[f"w{index}"], strays[index] = array.strays, f"s{index}"
            chosen.append(f"w{index}::VARCHAR AS s{index}")
    relation = f"(SELECT {', '.join(chosen)} FROM {name})"  # noqa: S608 - made here
    return Batch(relation, tuple(arrives), strays), pd.DataFrame(series)
