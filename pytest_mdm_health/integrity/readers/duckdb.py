"""A table of a DuckDB file, read by the workbench itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pytest_mdm_health.backends import Backend, Column, QueryFailed, close_all, literal, quote
from pytest_mdm_health.integrity.digest.canonical import Form, form_of
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch

COUNTED = "row_number() OVER () - 1"
"""The number of a row, of rows that come in their order."""


@dataclass(frozen=True)
class DirectReader:
    """A relation that DuckDB reads without help; a `base.Reader`.

    Attributes:
        relation: what stands for the table in SQL.
        place: the expression for where a row is.
    """

    engine: str
    columns: tuple[Column, ...]
    relation: str
    place: str
    forms: Mapping[str, Form]
    how: str = "direct"
    single: frozenset[str] = frozenset()

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        types = {column.name: column.type for column in self.columns}
        chosen = "".join(f"{quote(name)} AS c{index}, " for index, name in enumerate(names))
        relation = f"(SELECT {chosen}{self.place} AS place FROM {self.relation})"  # noqa: S608 - quoted
        if places is not None:
            relation = among(relation, places)
        yield Batch(relation, tuple(types[name] for name in names), {})


def among(relation: str, places: Sequence[int]) -> str:
    """The rows of a relation that are at some places."""
    wanted = f"SELECT unnest([{', '.join(map(str, places))}]::BIGINT[])"  # faster than a list after IN
    return f"(SELECT * FROM {relation} WHERE place IN ({wanted}))"  # noqa: S608 - numbers


@contextmanager
def reading(backend: Backend, table: str, workbench: Workbench) -> Iterator[DirectReader]:
    """A table of a DuckDB file.

    Raises:
        CannotOpen: the file cannot be opened.
        QueryFailed: there is no such table.
    """
    with backend.open() as database:
        columns = database.columns(table)
    close_all()
    alias = workbench.name("source")
    workbench.run(f"ATTACH {literal(backend.path.absolute())} AS {alias} (READ_ONLY)")
    try:
        relation = f"{alias}.main.{quote(table)}"
        yield DirectReader("duckdb", columns, relation, _place(workbench, relation, columns), forms(columns, "duckdb"))
    finally:
        workbench.run(f"DETACH {alias}")


def _place(workbench: Workbench, relation: str, columns: Sequence[Column]) -> str:
    if "rowid" in {each.name.lower() for each in columns}:
        return COUNTED
    try:
        workbench.run(f"SELECT rowid FROM {relation} LIMIT 0")  # noqa: S608 - quoted
    except QueryFailed:  # a view
        return COUNTED
    return "rowid"


def forms(columns: Sequence[Column], engine: str) -> dict[str, Form]:
    """What the columns are read as by their declared types; what has none is text."""
    return {column.name: form_of(column.type, engine) or Form.TEXT for column in columns}
