"""Looking at one dataset's data: its file, its tables, and what MDM recorded about them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.backends import (
    Backend,
    CannotOpen,
    ConnectionLost,
    Database,
    QueryFailed,
    Unfinished,
    close_all,
    quote,
    sidecars,
)
from pytest_mdm_health.backends.private_copy import PrivateCopy
from pytest_mdm_health.backends.sqlite.log import is_of_another_file
from pytest_mdm_health.checks.data_corruption.facts import BROKEN, DataFacts, FileState, LeftOver, Recorded, TableState
from pytest_mdm_health.checks.data_corruption.recorded import COUNTED_ROLES, OWN_TABLES, Record, records
from pytest_mdm_health.checks.data_corruption.saved import holding_tables, opened_copy
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.backups.search import SavedData, search_backups
from pytest_mdm_health.mdm.engines import FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE
from pytest_mdm_health.mdm.registrations.sources import source_of

_SHARE_OF_TIME = 0.5
"""How much of a check's time verifying the file may take."""

_SHARE_FOR_BACKUPS = 0.2
_PASSING = (
    *("is being changed while", "locked", "busy", "lock on file", "interrupt", "permission", "unable to open"),
    *("out of memory", "out-of-memory", "no space", "disk is full", "too many open files"),
)
"""Words of an engine's message that tell of the machine or of other processes, not of the file."""


def gather(dataset: Dataset, backend: Backend | None, home: Home, options: Options) -> DataFacts:
    """Look at one dataset's data, as closely as the depth says, and for a backup of it if it takes one."""
    facts = _gathered(dataset, backend, home, options)
    if backend is not None and backend.connection is None:
        facts = _without_stray_log(dataset, backend, facts, options)
    if not facts.to_restore:
        return facts
    facts = replace(facts, elsewhere=tuple(holding_tables(dataset, facts)))
    if Depth(options.depth) is Depth.QUICK:
        return facts
    path, within_s = _path(dataset, backend), options.timeout * _SHARE_FOR_BACKUPS
    saved, sought = search_backups(home, options.backup, dataset.name, path, within_s)
    facts = replace(facts, saved=saved, sought=sought)
    if saved is None or facts.elsewhere or not facts.own_file or facts.stray_log:
        return facts
    problem = _problem_of(saved, dataset, facts, options, within_s)
    return replace(facts, saved_is_sound=not problem, saved_problem=problem)


def _problem_of(saved: SavedData, dataset: Dataset, facts: DataFacts, options: Options, within_s: float) -> str:
    """What is wrong with the data in a backup, looked at like that of the home; empty if nothing is."""
    with opened_copy(saved, facts.engine, within_s) as copy:
        if isinstance(copy, str):
            return copy
        try:
            with copy.open() as database:
                found = _Looking(dataset, database, _unseen(facts), options).gather()
        except CannotOpen as error:
            return f"that {error}"
    missing = [table.name for table in found.tables if table.kind != "other" and not table.present]
    if missing:
        return f"the registered table {missing[0]} is not in there"
    if found.unexamined or found.to_restore:
        return "it is not sound or not complete either"
    return "" if any(table.kind == "base" for table in found.tables) else "no table is registered to hold it against"


def _unseen(facts: DataFacts) -> DataFacts:
    """The facts without what was seen in the file, to see another one in its stead."""
    file = FileState(path=facts.file.path, size=facts.file.size)
    return replace(facts, examined=0, gaps=(), unexamined=(), file=file, tables=(), recorded=())


def _without_stray_log(dataset: Dataset, backend: Backend, facts: DataFacts, options: Options) -> DataFacts:
    """The facts of the file by itself, if what lies beside it makes a sound file a damaged one."""
    left = next((each for each in facts.left_over if not each.live), None)
    if left is None:
        return facts
    path = Path(facts.file.path)
    real = Path(os.path.realpath(path))
    spoilt = facts.file.code in {*BROKEN, "unreadable"} or facts.file.problems or any(t.failed for t in facts.tables)
    if not spoilt and not (left.kind == "wal" and is_of_another_file(real, Path(left.path))):
        return facts
    try:
        copy = PrivateCopy([real])
    except CannotOpen:
        return facts
    try:
        with Backend(backend.engine, copy.path_of(real)).open() as database:
            found = _Looking(dataset, database, _unseen(facts), options).gather()
    except CannotOpen:
        return facts
    finally:
        close_all()
        copy.remove()
    lost = any(each.failed or (each.kind == "base" and not each.present) for each in found.tables)
    sound = not (found.file.problems or found.unexamined or lost)
    return replace(found, stray_log=left.path) if sound else facts


def _gathered(dataset: Dataset, backend: Backend | None, home: Home, options: Options) -> DataFacts:
    path = _path(dataset, backend)
    source = source_of(dataset.registration) if dataset.registration is not None else None
    facts = DataFacts(
        examined=0,
        name=dataset.name,
        home=str(home.root),
        engine=dataset.backend or "",
        registered=dataset.registration is not None,
        file=FileState(path=str(path), size=path.stat().st_size if kind_of(path) is FileKind.FILE else None),
        left_over=tuple(_left_over(path)),
        others=tuple(str(each) for each in dataset.files if not _same(each, path)),
        own_file=_same(path.parent, dataset.folder) and not dataset.shared_with,
        shared_with=dataset.shared_with,
        registration=str(dataset.registration.file) if dataset.registration is not None else "",
        twin=_twin_of(dataset),
        source=str(source.path) if source is not None and source.path is not None else "",
        written_source=source.written if source is not None else "",
    )
    if backend is None:
        return replace(facts, examined=1, file=replace(facts.file, code="missing", reason="does not exist"))
    try:
        with backend.open() as database:
            return _Looking(dataset, database, facts, options).gather()
    except CannotOpen as error:
        holders = tuple(map(str, error.holders))
        file = replace(facts.file, code=error.code, reason=error.reason, holders=holders)
        return replace(facts, examined=int(error.code in BROKEN), file=file)


def is_damage(engine: str, error: QueryFailed) -> bool:
    """Whether a query that failed shows that the data is spoilt, rather than that it could not be asked just then.

    A server keeps many from reading: for want of a right, for a lock, for the time. A file has few such reasons.
    """
    return error.damaged or (engine in FILE_ENGINES and not any(each in str(error).lower() for each in _PASSING))


class _Looking:
    """One open database, and what is known of it so far."""

    def __init__(self, dataset: Dataset, database: Database, facts: DataFacts, options: Options) -> None:
        self._dataset = dataset
        self._database = database
        self._facts = facts
        self._depth = Depth(options.depth)
        self._compares = options.keeps_tables
        self._within_s = options.timeout * _SHARE_OF_TIME
        self._gaps: list[str] = []
        self._refused: list[str] = []

    def gather(self) -> DataFacts:
        """Everything."""
        file = replace(self._facts.file, opened=self._database.how, surplus=self._database.surplus)
        try:
            there = {name.casefold(): name for name in self._database.tables()}
            found = tuple(records(self._dataset, self._database, self._gaps))
            tables = tuple(self._table(each, there, found) for each in self._expected(there))
            file = self._verified(file)
        except ConnectionLost as error:
            return replace(self._facts, examined=0, file=replace(file, opened="", code="dropped", reason=str(error)))
        except QueryFailed as error:
            if not is_damage(self._database.engine, error):
                return replace(self._facts, file=file, unexamined=(f"{file.path} could not be read: {error}",))
            return replace(self._facts, examined=1, file=replace(file, problems=(str(error),)))
        refused = sum(bool(table.refused) for table in tables)
        return replace(
            self._facts,
            examined=0 if tables and refused == len(tables) else 1 + len(tables) - refused,
            gaps=tuple(self._gaps),
            unexamined=tuple(self._refused),
            file=file,
            tables=tables,
            recorded=tuple(_recorded(found, tables)) if self._counts else (),
        )

    @property
    def _counts(self) -> bool:
        return self._depth is not Depth.QUICK

    def _expected(self, there: Mapping[str, str]) -> Iterator[TableState]:
        """The registered tables, then those that are there without being registered."""
        registration = self._dataset.registration
        base = registration.tables if registration is not None else {}
        features = registration.feature_tables if registration is not None else {}
        for role, name in base.items():
            yield TableState(name=name, role=role, kind="base")
        for role, name in features.items():
            yield TableState(name=name, role=role, kind="feature", base=_base_of(role, name, base))
        known = {name.casefold() for name in (*base.values(), *features.values(), *OWN_TABLES)}
        for folded, name in there.items():
            if folded not in known:
                yield TableState(name=name, role="", kind="other")

    def _table(self, table: TableState, there: Mapping[str, str], found: Sequence[Record]) -> TableState:
        name = there.get(table.name.casefold())
        if name is None:
            return replace(table, present=False)
        about = [each for each in found if _is_about(each, table) and not each.outdated]
        try:
            columns = [column.name.casefold() for column in self._database.columns(name)]
            recorded = dict.fromkeys(column for each in about for column in each.columns)
            return replace(
                table,
                rows=self._rows(name, counted=self._counts or (self._compares and table.kind != "feature")),
                columns=len(columns),
                lost_columns=tuple(column for column in recorded if column.casefold() not in columns),
                had_rows=any(each.had_rows for each in about),
            )
        except ConnectionLost:
            raise
        except QueryFailed as error:
            if is_damage(self._database.engine, error):
                return replace(table, failed=str(error))
            said = self._gaps if table.kind == "other" else self._refused  # nothing depends on what is not registered
            said.append(f"the table {name} could not be read: {error}")
            return replace(table, refused=str(error))

    def _rows(self, name: str, *, counted: bool) -> int | None:
        """How many rows; where they are not counted, still whether there are none."""
        if counted:
            return self._database.count(name)
        return None if self._database.query(f"SELECT 1 FROM {quote(name)} LIMIT 1") else 0  # noqa: S608 - quoted

    def _verified(self, file: FileState) -> FileState:
        if not self._counts:
            return file
        complete = self._depth is Depth.FULL
        try:
            problems = self._database.integrity(complete=complete, within_s=self._within_s)
        except Unfinished:
            self._gaps.append(f"verifying the whole file takes longer than {self._within_s:g} s (see --mdm-timeout)")
            return file
        own = problems[:-1] if file.surplus else problems  # the surplus is told by itself
        return replace(file, problems=own, verified="complete" if complete else "quick")


def _recorded(found: Sequence[Record], tables: Sequence[TableState]) -> Iterator[Recorded]:
    """What was counted once against what is counted now."""
    for each in found:
        if each.rows is None:
            continue
        table = next((table for table in tables if each.about and _is_about(each, table)), None)
        if table is not None:
            now = table.rows
        elif not each.about:
            now = _rows_of_all(tables, each.rows)
        else:
            continue  # about a table that is neither registered nor there
        name = table.name if table is not None else ""
        yield Recorded(source=each.source, table=name, rows=each.rows, found=now, outdated=each.outdated)


def _rows_of_all(tables: Sequence[TableState], recorded: int) -> int | None:
    """The rows of the whole dataset: of the tables that MDM adds up, or of all, whichever is what was recorded."""
    base = [table for table in tables if table.kind == "base"]
    sums = [_sum([table for table in base if table.role in COUNTED_ROLES]), _sum(base)]
    return recorded if recorded in sums else next((each for each in sums if each is not None), None)


def _sum(tables: Sequence[TableState]) -> int | None:
    counts = [table.rows for table in tables]
    return sum(rows for rows in counts if rows is not None) if counts and None not in counts else None


def _is_about(record: Record, table: TableState) -> bool:
    return record.about.casefold() in {table.role.casefold(), table.name.casefold()} - {""}


def _base_of(role: str, name: str, base: Mapping[str, str]) -> str:
    by_role = base.get(role.removesuffix(FEATURES))
    stem = name.removesuffix(FEATURES)
    return by_role or (stem if stem in base.values() else "")


def _path(dataset: Dataset, backend: Backend | None) -> Path:
    if backend is not None and backend.connection is not None:
        return backend.path
    registered = dataset.registration.database if dataset.registration is not None else None
    path = dataset.database or registered
    if path is None:
        raise NotApplicable(_why_no_path(dataset))
    return path


def _why_no_path(dataset: Dataset) -> str:
    if len(dataset.files) > 1:
        return f"there are several databases in {dataset.folder} and no registration tells which is meant"
    return "the registration does not say where the data is"


def _left_over(path: Path) -> Iterator[LeftOver]:
    for each in sidecars(path):
        if each.holds_changes:
            yield LeftOver(path=str(each.path), kind=each.kind, size=each.size, live=each.live)


def _twin_of(dataset: Dataset) -> str:
    twin = dataset.folder / JSON_COPY_FILE
    return str(twin) if kind_of(twin) is FileKind.FILE else ""


def _same(one: Path, other: Path) -> bool:

    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
