"""Collect the types in one dataset's data: as declared, as stored, and as the source has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, Unfinished
from pytest_mdm_health.checks._shared.engine_program import program_of
from pytest_mdm_health.checks.type_mismatch.facts import HeaderRows, TypeFacts
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.integrity.profiles.column_types import Kind
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile, declared_profile, profile
from pytest_mdm_health.integrity.profiles.heading_rows import headed_columns, heading_rows
from pytest_mdm_health.integrity.profiles.source_values import SourceColumn, look_at
from pytest_mdm_health.integrity.time_limit import time_limit
from pytest_mdm_health.mdm.files import Unreadable
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import Source, source_of

_TYPES_TABLE = "_columns"
"""Where MDM records the types of a dataset's columns."""

_SHARE_OF_TIME = 0.5
"""How much of a check's time reading all rows may take, and half as much reading the sources."""


def collect(dataset: Dataset, backend: Backend | None, options: Options) -> TypeFacts:
    """Collect the types in a dataset's data, as closely as the depth says."""
    if backend is None:
        raise NotApplicable("there is no database whose types could be examined")
    source = source_of(dataset.registration) if dataset.registration is not None else None
    facts = TypeFacts(
        examined=0,
        engine=backend.engine,
        program=program_of(backend),
        file="" if backend.connection is not None else str(backend.path),
        source=str(source.path) if source is not None and source.path is not None else "",
        identifiers=_registered(dataset, "id_columns"),
        target=_numeric_target(dataset),
    )
    try:
        with backend.open() as database:
            return _Collector(dataset, database, options).collect(facts, source, str(backend.path))
    except CannotOpen as error:
        return replace(facts, unexamined=(f"{backend.path} {error}",))


class _Collector:
    """Collects from one open database."""

    def __init__(self, dataset: Dataset, database: Database, options: Options) -> None:
        self._dataset = dataset
        self._database = database
        self._depth = Depth(options.depth)
        self._within_s = options.timeout * _SHARE_OF_TIME
        self._deadline = clock() + self._within_s
        self._gaps: list[str] = []
        self._unexamined: list[str] = []

    def collect(self, facts: TypeFacts, source: Source | None, path: str) -> TypeFacts:
        """Add what the database and the source contain; `path` is named where the database cannot be read."""
        try:
            names = self._database.tables()
            recorded = self._recorded() if _TYPES_TABLE in names else {}
        except QueryFailed as error:
            return replace(facts, unexamined=(f"{path} could not be read: {error}",))
        tables = tuple(self._profiles(names))
        source_columns: Mapping[str, Mapping[str, SourceColumn]] = {}
        if self._depth is Depth.QUICK:
            self._gaps.append("only declared types were examined, no values (see --mdm-depth)")
        else:
            self._gaps += _sampled(tables, self._depth)
            source_columns = dict(self._source_columns(tables, source))
        headings = {table.table: self._header_rows(table) for table in tables}
        return replace(
            facts,
            examined=sum(len(table.columns) for table in tables),
            gaps=tuple(self._gaps),
            unexamined=tuple(self._unexamined),
            tables=tables,
            recorded=recorded,
            source_columns=source_columns,
            headings={table: rows for table, rows in headings.items() if rows is not None},
        )

    def _profiles(self, names: Sequence[str]) -> Iterator[TableProfile]:
        dates = (*_registered(self._dataset, "datetime_columns"), *_registered(self._dataset, "time_column"))
        for table in _base_tables(self._dataset, names):
            found = self._profile(table, dates)
            if found is not None:
                yield found

    def _profile(self, table: str, dates: Sequence[str]) -> TableProfile | None:
        try:
            if self._depth is Depth.QUICK:
                return declared_profile(self._database, table)
            return self._all_rows(table, dates) or profile(self._database, table, dates)
        except QueryFailed as error:
            self._unexamined.append(f"the table {table} could not be read: {error}")
            return None

    def _all_rows(self, table: str, dates: Sequence[str]) -> TableProfile | None:
        """The profile of all rows of a table, if the depth asks for it and there is time."""
        if self._depth is not Depth.FULL:
            return None
        try:
            with time_limit(self._database, self._deadline - clock()):
                return profile(self._database, table, dates, everything=True)
        except Unfinished:
            within = f"reading them takes longer than {self._within_s:g} s (see --mdm-timeout)"
            self._unexamined.append(f"all rows of the table {table} could not be read: {within}")
            return None

    def _header_rows(self, table: TableProfile) -> HeaderRows | None:
        """Rows that are headers, searched for where a column has texts among other values."""
        if not any(map(_is_mixed, table.columns)):
            return None
        try:
            with time_limit(self._database, self._deadline - clock()):
                rows = heading_rows(self._database, table.table)
                columns = headed_columns(self._database.columns(table.table), self._database.engine)
        except (QueryFailed, Unfinished) as error:
            self._unexamined.append(f"the rows of {table.table} could not be searched for headers: {error}")
            return None
        return HeaderRows(rows=rows, columns=columns) if rows else None

    def _recorded(self) -> Mapping[str, Mapping[str, str]]:
        rows = self._database.query(f"SELECT table_name, column_name, dtype FROM {_TYPES_TABLE}")  # noqa: S608 - a constant
        recorded: dict[str, dict[str, str]] = {}
        for table, column, type_ in rows:
            if isinstance(type_, str):
                recorded.setdefault(str(table), {})[str(column)] = type_
        return recorded

    def _source_columns(
        self, tables: Sequence[TableProfile], source: Source | None
    ) -> Iterator[tuple[str, Mapping[str, SourceColumn]]]:
        """The source of each table, read in the columns in which something could have been lost."""
        suspects = {table.table: _suspect_columns(table) for table in tables}
        if source is None or not any(suspects.values()):
            return
        if source.path is None:
            self._gaps.append(f"identifiers were not compared with the source: {source.written} was not found")
            return
        # The single file of a dataset with a single table belongs to that table, whatever its name.
        only = next(iter(source.files.values())) if len(source.files) == len(tables) == 1 else None
        for table, columns in suspects.items():
            file = source.files.get(table, only)
            if file is None or not columns:
                continue
            found = self._columns_of(file, table, columns)
            if found is not None:
                yield table, found

    def _columns_of(self, file: Path, table: str, columns: Sequence[str]) -> Mapping[str, SourceColumn] | None:
        within_s = self._within_s / 2 if self._depth is Depth.FULL else None
        try:
            look = look_at(file, columns, within_s=within_s)
        except Unreadable as error:
            self._gaps.append(f"table {table} was not compared with its source: {error}")
            return None
        if not look.complete:
            self._gaps.append(f"of the source {file.name} only the beginning was examined")
        return look.columns


def _base_tables(dataset: Dataset, names: Sequence[str]) -> Sequence[str]:
    """The tables that features are made from; where none is registered, all that are not MDM's own."""
    registered = dataset.registration.tables.values() if dataset.registration is not None else ()
    base = [name for name in names if name in set(registered)]
    return base or [name for name in names if not name.startswith("_") and not name.endswith(FEATURES)]


def _is_mixed(column: ColumnProfile) -> bool:
    others = column.looks.get("other", 0)
    return bool(column.texts and column.integers + column.reals) or 0 < others < column.written


def _suspect_columns(table: TableProfile) -> list[str]:
    """The columns of whole numbers, which may have been identifiers, and of texts that are all numbers."""
    return [column.name for column in table.columns if column.values and _is_suspect(column)]


def _is_suspect(column: ColumnProfile) -> bool:
    if column.kind is Kind.TEXT:
        return set(column.looks) == {"number"}
    return column.kind is Kind.INTEGER or (column.kind is Kind.FLOAT and column.whole == column.reals)


def _sampled(tables: Sequence[TableProfile], depth: Depth) -> Iterator[str]:
    more = "" if depth is Depth.FULL else " (--mdm-depth=full examines all)"
    for table in tables:
        if not table.complete:
            of = f" of about {table.of}" if table.of is not None else ""
            yield f"in table {table.table}, {table.rows}{of} rows were examined{more}"


def _registered(dataset: Dataset, field: str) -> tuple[str, ...]:
    """The texts of a registered field, which is a list or a single text, at the top or in the metadata."""
    data = dataset.registration.data if dataset.registration is not None else {}
    metadata = data.get("metadata")
    value = data.get(field) or (metadata.get(field) if isinstance(metadata, Mapping) else None)
    values = value if isinstance(value, list) else [value]
    return tuple(item for item in values if isinstance(item, str))


def _numeric_target(dataset: Dataset) -> str:
    data = dataset.registration.data if dataset.registration is not None else {}
    target = data.get("target_column")
    return target if isinstance(target, str) and data.get("problem_type") == "regression" else ""
