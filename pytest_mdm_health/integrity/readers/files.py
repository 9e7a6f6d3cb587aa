"""A Parquet or CSV file, read by the workbench itself."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from pytest_mdm_health.backends import Column, QueryFailed, literal
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import Batch
from pytest_mdm_health.integrity.readers.duckdb import COUNTED, DirectReader, forms
from pytest_mdm_health.mdm.files import FileKind, Unreadable, open_regular

_DELIMITERS = ",;\t|"
LONGEST_LINE = 32 * 1024 * 1024
"""Bytes of the longest row of text that is read."""


@contextmanager
def reading(path: Path, engine: str, workbench: Workbench) -> Iterator[DirectReader | TextReader]:
    """A table that is a file of its own.

    Raises:
        Unreadable: it cannot be read, or is no table.
    """
    with open_regular(path) as file:
        if engine == "csv":
            delimiter, names = _header(path, file)
    if engine == "csv":
        columns = tuple(Column(name, "VARCHAR") for name in names)
        relation = csv_relation(path.absolute(), ["VARCHAR"] * len(names), delimiter, header=True)
        yield TextReader("csv", columns, relation)
        return
    relation = f"read_parquet({literal(path.absolute())}, file_row_number = true)"
    try:
        described = workbench.run(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {relation}")  # noqa: S608 - quoted
    except QueryFailed as error:
        raise Unreadable(path, FileKind.FILE, f"is no Parquet file that can be read: {error}") from error
    columns = tuple(Column(name, type_) for name, type_, *_ in described)
    yield DirectReader("parquet", columns, relation, "file_row_number", forms(columns, "parquet"))


@dataclass(frozen=True)
class TextReader:
    """Rows that come as text; a `base.Reader`. What the text means is for others to say."""

    engine: str
    columns: tuple[Column, ...]
    relation: str
    how: str = "direct"
    single: frozenset[str] = frozenset()

    @property
    def forms(self) -> dict[str, Form]:
        """Everything is text."""
        return {column.name: Form.TEXT for column in self.columns}

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`; the file is read to its end, whatever places are given."""
        order = {column.name: index for index, column in enumerate(self.columns)}
        chosen = [f"t{order[name]}" for name in names]
        batch = numbered(self.relation, chosen, ["VARCHAR"] * len(chosen))
        if places is not None:
            wanted = f"SELECT * FROM {batch.relation} WHERE place IN ({', '.join(map(str, places))})"  # noqa: S608 - numbers
            batch = replace(batch, relation=f"({wanted})")
        yield batch


def numbered(relation: str, columns: Sequence[str], types: Sequence[str], place: str = COUNTED) -> Batch:
    """Columns under the names that are wanted, with the number of the row as its place."""
    chosen = "".join(f"{column} AS c{index}, " for index, column in enumerate(columns))
    return Batch(f"(SELECT {chosen}{place} AS place FROM {relation})", tuple(types), {})  # noqa: S608 - made here


def csv_relation(path: Path, types: Sequence[str], delimiter: str = ",", *, header: bool = False) -> str:
    """Comma separated text, with columns `t0`, `t1`, …; a field is NULL if it is empty and has no quotes."""
    columns = ", ".join(f"'t{index}': '{type_}'" for index, type_ in enumerate(types))
    return (
        f"read_csv({literal(path)}, auto_detect = false, columns = {{{columns}}}, header = {str(header).lower()}, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
        f"parallel = false, max_line_size = {LONGEST_LINE}, buffer_size = {2 * LONGEST_LINE})"
    )


def _header(path: Path, file: BinaryIO) -> tuple[str, list[str]]:
    plain = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if path.name.lower().endswith(".gz") else file
    try:
        with io.TextIOWrapper(plain, encoding="utf-8-sig", newline="") as stream:
            line = stream.readline(LONGEST_LINE)
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise Unreadable(path, FileKind.FILE, "is no text in UTF-8") from error
    delimiter = max(_DELIMITERS, key=line.count)
    names = next(csv.reader([line], delimiter=delimiter), [])
    if not names or len(set(names)) < len(names):
        raise Unreadable(path, FileKind.FILE, "does not begin with a line of different column names")
    return delimiter, names
