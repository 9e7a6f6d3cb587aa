"""Looking at the types in one dataset's data: as declared, as they really are, as they were in the source."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, Unfinished
from pytest_mdm_health.checks.type_mismatch.facts import Headings, SourceFile, TypeFacts
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.integrity.profiles.column_types import Kind
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile, declared_profile, profile
from pytest_mdm_health.integrity.profiles.heading_rows import headed_columns, heading_rows
from pytest_mdm_health.integrity.profiles.source_values import look_at
from pytest_mdm_health.integrity.time_limit import time_limit
from pytest_mdm_health.mdm.files import Unreadable
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import Source, source_of

_OWN_COLUMNS_TABLE = "_columns"
_SHARE_OF_TIME = 0.5
"""How much of a check's time reading all rows may take, and half as much reading the sources."""


def gather(dataset: Dataset, backend: Backend | None, home: Home, options: Options) -> TypeFacts:
    """Look at the types in a dataset's data, as closely as the depth says."""
    if backend is None:
        raise NotApplicable("there is no database whose types could be looked at")
    source = source_of(dataset.registration) if dataset.registration is not None else None
    facts = TypeFacts(
        examined=0,
        name=dataset.name,
        home=str(home.root),
        engine=backend.engine,
        database=str(backend.path),
        program=_program(backend),
        source=str(source.path) if source is not None and source.path is not None else "",
        identifiers=_registered(dataset, "id_columns"),
        target=_numeric_target(dataset),
    )
    try:
        with backend.open() as database:
            return _Looking(dataset, database, options).gather(facts, source)
    except CannotOpen as error:
        return replace(facts, unexamined=(f"{backend.path} {error}",))


def _program(backend: Backend) -> tuple[str, ...]:
    """The engine's command line; with a file it may not write, or it would take over a log that lies beside it."""
    server, path = backend.connection, str(backend.path)
    if server is None:
        return ("duckdb", path, "-readonly", "-c") if backend.engine == "duckdb" else ("sqlite3", "-readonly", path)
    user = ("-U", server.user) if server.user else ()
    return ("psql", "-h", server.host, "-p", str(server.port), *user, "-d", server.database, "-c")


class _Looking:
    """One open database."""

    def __init__(self, dataset: Dataset, database: Database, options: Options) -> None:
        self._dataset = dataset
        self._database = database
        self._depth = Depth(options.depth)
        self._within_s = options.timeout * _SHARE_OF_TIME
        self._deadline = time.monotonic() + self._within_s
        self._gaps: list[str] = []
        self._unexamined: list[str] = []

    def gather(self, facts: TypeFacts, source: Source | None) -> TypeFacts:
        """Everything."""
        try:
            there = self._database.tables()
            recorded = self._recorded() if _OWN_COLUMNS_TABLE in there else {}
        except QueryFailed as error:
            return replace(facts, unexamined=(f"{facts.database} could not be read: {error}",))
        tables = tuple(self._profiles(there))
        if self._depth is Depth.QUICK:
            self._gaps.append("no values were looked at, only declared types (see --mdm-depth)")
            sources: Mapping[str, SourceFile] = {}
        else:
            self._gaps += _sampled(tables, self._depth)
            sources = dict(self._sources(tables, source, self._within_s / 2))
        headings = {table.table: found for table in tables if (found := self._headings(table)) is not None}
        return replace(
            facts,
            examined=sum(len(table.columns) for table in tables),
            gaps=tuple(self._gaps),
            unexamined=tuple(self._unexamined),
            tables=tables,
            recorded=recorded,
            sources=sources,
            headings=headings,
        )

    def _profiles(self, there: Sequence[str]) -> Iterator[TableProfile]:
        dates = (*_registered(self._dataset, "datetime_columns"), *_registered(self._dataset, "time_column"))
        for table in _base_tables(self._dataset, there):
            found = self._profile(table, dates)
            if found is not None:
                yield found

    def _profile(self, table: str, dates: Sequence[str]) -> TableProfile | None:
        try:
            if self._depth is Depth.QUICK:
                return declared_profile(self._database, table)
            return self._whole(table, dates) or profile(self._database, table, dates)
        except QueryFailed as error:
            self._unexamined.append(f"the table {table} could not be read: {error}")
            return None

    def _headings(self, table: TableProfile) -> Headings | None:
        """Rows that are headings, looked for where a column has texts among other values."""
        if not any(map(_is_mixed, table.columns)):
            return None
        try:
            with time_limit(self._database, self._deadline - time.monotonic()):
                rows = heading_rows(self._database, table.table)
                columns = headed_columns(self._database.columns(table.table), self._database.engine)
        except (QueryFailed, Unfinished) as error:
            self._gaps.append(f"headings among the rows of {table.table} were not looked for: {error}")
            return None
        return Headings(rows=rows, columns=columns) if rows else None

    def _whole(self, table: str, dates: Sequence[str]) -> TableProfile | None:
        """All rows of a table, if that is wanted and there is the time."""
        if self._depth is not Depth.FULL:
            return None
        try:
            with time_limit(self._database, self._deadline - time.monotonic()):
                return profile(self._database, table, dates, everything=True)
        except Unfinished:
            self._gaps.append(f"reading all of {table} takes too long (see --mdm-timeout)")
            return None

    def _recorded(self) -> Mapping[str, Mapping[str, str]]:
        rows = self._database.query("SELECT table_name, column_name, dtype FROM _columns")
        recorded: dict[str, dict[str, str]] = {}
        for table, column, type_ in rows:
            if isinstance(type_, str):
                recorded.setdefault(str(table), {})[str(column)] = type_
        return recorded

    def _sources(
        self, tables: Sequence[TableProfile], source: Source | None, within_s: float
    ) -> Iterator[tuple[str, SourceFile]]:
        """The source of each table, read in the columns in which something could have been lost."""
        doubtful = {table.table: _doubtful(table) for table in tables}
        if source is None or not any(doubtful.values()):
            return
        if source.path is None:
            self._gaps.append(f"identifiers were not compared with the source: {source.written} is nowhere to be found")
            return
        only = next(iter(source.files.values())) if len(source.files) == len(tables) == 1 else None
        for table, columns in doubtful.items():
            file = source.files.get(table, only)
            found = self._source_of(table, file, columns, within_s) if file is not None and columns else None
            if found is not None:
                yield table, found

    def _source_of(self, table: str, file: Path, columns: Sequence[str], within_s: float) -> SourceFile | None:
        try:
            look = look_at(file, columns, within_s=within_s if self._depth is Depth.FULL else None)
        except Unreadable as error:
            self._gaps.append(f"table {table} was not compared with its source: {error}")
            return None
        if not look.complete:
            self._gaps.append(f"of the source {file.name} only the beginning was looked at")
        return SourceFile(path=str(file), columns=look.columns)


def _base_tables(dataset: Dataset, there: Sequence[str]) -> Sequence[str]:
    """The tables that features are made from; where nothing is registered, all that are not MDM's own."""
    registered = dataset.registration.tables.values() if dataset.registration is not None else ()
    base = [table for table in there if table in set(registered)]
    return base or [table for table in there if not table.startswith("_") and not table.endswith(FEATURES)]


def _is_mixed(column: ColumnProfile) -> bool:
    others = column.looks.get("other", 0)
    return bool(column.texts and column.integers + column.reals) or 0 < others < column.written


def _doubtful(table: TableProfile) -> list[str]:
    """The columns of whole numbers, which may have been identifiers, and of texts that are all numbers."""
    return [column.name for column in table.columns if column.values and _is_doubtful(column)]


def _is_doubtful(column: ColumnProfile) -> bool:
    if column.kind is Kind.TEXT:
        return set(column.looks) == {"number"}
    return column.kind is Kind.INTEGER or (column.kind is Kind.FLOAT and column.whole == column.reals)


def _sampled(tables: Sequence[TableProfile], depth: Depth) -> Iterator[str]:
    more = "" if depth is Depth.FULL else " (--mdm-depth=full looks at all)"
    for table in tables:
        if not table.complete:
            of = f" of about {table.of}" if table.of is not None else ""
            yield f"in table {table.table}, {table.rows}{of} rows were looked at{more}"


def _registered(dataset: Dataset, field: str) -> tuple[str, ...]:
    data = dataset.registration.data if dataset.registration is not None else {}
    metadata = data.get("metadata")
    value = data.get(field) or (metadata.get(field) if isinstance(metadata, Mapping) else None)
    values = value if isinstance(value, list) else [value]
    return tuple(each for each in values if isinstance(each, str))


def _numeric_target(dataset: Dataset) -> str:
    data = dataset.registration.data if dataset.registration is not None else {}
    target = data.get("target_column")
    return target if isinstance(target, str) and data.get("problem_type") == "regression" else ""
