"""How a saved copy of a database differs from the home's: in its tables, their columns, rows, or any value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, Unfinished, real_engine
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.integrity.shared_session import shared_workbench
from pytest_mdm_health.mdm.files import Unreadable

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.digest.tables import TableDigest
    from pytest_mdm_health.integrity.readers.base import Source

Failures = (CannotOpen, QueryFailed, Unfinished, Unreadable)
"""What reading a database or a file may raise."""

TIME_IS_UP = "the time was up"


@dataclass(frozen=True)
class Shape:
    """What a table is like without its values.

    Attributes:
        columns: their names, in their order.
        rows: how many there are.
    """

    columns: tuple[str, ...]
    rows: int


Shapes = Mapping[str, Shape]
"""Tables by their names in lower case, as both engines take them."""


@dataclass(frozen=True)
class TableDifference:
    """What a table of the home is not in a copy.

    Attributes:
        table: its name in lower case.
        only_rows: whether both have rows and the same columns, so that adding or removing rows explains it.
        text: what is different, to follow the name of the copy in a sentence.
    """

    table: str
    only_rows: bool
    text: str


def file_backend(path: Path, engine: str | None) -> Backend:
    """The handle for a database file: by its first bytes, else as registered."""
    return Backend(real_engine(path) or engine or "sqlite", path)


def shapes_of(backend: Backend, until: float) -> Shapes:
    """The tables of a database, but for those that cannot be read, such as views on what is gone.

    Raises:
        CannotOpen, QueryFailed, Unfinished: it cannot be opened, or not read in the time.
    """
    left = until - clock()
    if left <= 0:
        raise Unfinished(TIME_IS_UP)
    with backend.open() as database, interrupting(database.connection.interrupt, left):
        shapes = {table.casefold(): _shape(database, table) for table in database.tables()}
    if clock() > until:
        raise Unfinished(TIME_IS_UP)
    return {table: shape for table, shape in shapes.items() if shape is not None}


def _shape(database: Database, table: str) -> Shape | None:
    try:
        return Shape(tuple(column.name for column in database.columns(table)), database.count(table))
    except QueryFailed:
        return None


def shape_differences(home: Shapes, copy: Shapes) -> Iterator[TableDifference]:
    """What tables of the home are not in a copy; what only the copy has does no harm."""
    for table, shape in home.items():
        saved = copy.get(table)
        if saved is None:
            yield TableDifference(table, False, f"lacks the table {table!r} with {counted(shape.rows, 'row')}")
            continue
        if text := _column_difference(shape, saved):
            yield TableDifference(table, False, f"has other columns in {table!r}: {text}")
        if shape.rows != saved.rows:
            text = f"has {counted(saved.rows, 'row')} in {table!r}, not {shape.rows} as in the home"
            yield TableDifference(table, saved.rows > 0, text)


def _column_difference(home: Shape, copy: Shape) -> str:
    there, saved = ({name.casefold(): name for name in shape.columns} for shape in (home, copy))
    lacking = [name for key, name in there.items() if key not in saved]
    others = [name for key, name in saved.items() if key not in there]
    parts = (f"it lacks {join_names(lacking)}" if lacking else "", f"it adds {join_names(others)}" if others else "")
    return " and ".join(filter(None, parts))


def contents_differ(one: Path, other: Path, engine: str | None, until: float) -> bool:
    """Whether the tables of two database files differ in anything.

    Raises:
        CannotOpen, QueryFailed, Unreadable, Unfinished: one of them cannot be read to its end in the time.
    """
    first, second = (_digests(file_backend(path, engine), until) for path in (one, other))
    return first != second


def shape_of_file(file: Path, until: float) -> Shape:
    """Read a Parquet or CSV file to its end; what its table is like.

    Raises:
        QueryFailed, Unreadable, Unfinished: as `contents_differ`.
    """
    from pytest_mdm_health.integrity.readers.base import TableFile

    digest = _digest(TableFile(file), until)
    return Shape(tuple(column.name for column in digest.columns), digest.rows)


def _digests(backend: Backend, until: float) -> dict[str, object]:
    from pytest_mdm_health.integrity.readers.base import TableIn

    with backend.open() as database:
        tables = database.tables()
    found: dict[str, object] = {}
    for number, table in enumerate(tables):
        progress(f"tables of {backend.path}", number, len(tables), "tables")
        digest = _digest(TableIn(backend, table), until)
        found[table] = (digest.columns, digest.rows, digest.buckets, dict(digest.fine))
    return found


def _digest(source: Source, until: float) -> TableDigest:
    from pytest_mdm_health.integrity.digest.tables import digested

    left = until - clock()
    if left <= 0:
        raise Unfinished(TIME_IS_UP)
    try:
        with (
            shared_workbench(source) as workbench,
            workbench.interrupted_after(left, source),
            digested(workbench, source) as (digest, _),
        ):
            return digest
    except QueryFailed as error:
        raise (error if clock() < until else Unfinished(TIME_IS_UP)) from error
