"""Collecting what is known of one dataset's data: its file, its tables, and what MDM recorded about them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pytest_mdm_health.backends import (
    Backend,
    CannotOpen,
    ConnectionLost,
    Database,
    QueryFailed,
    Unfinished,
    Verification,
    close_all,
    quote,
    real_engine,
    sidecars,
)
from pytest_mdm_health.backends.duckdb_log import ignored_logs
from pytest_mdm_health.backends.private_copy import PrivateCopy
from pytest_mdm_health.backends.sqlite.log import is_of_another_file
from pytest_mdm_health.checks._shared.engine_program import program_of
from pytest_mdm_health.checks.data_corruption.facts import (
    BROKEN,
    DataFacts,
    FileState,
    Recorded,
    TableState,
)
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.secrets import without_values
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.mdm.backups.archive import read_archive
from pytest_mdm_health.mdm.backups.archive.restoring import Restored
from pytest_mdm_health.mdm.backups.search import SavedData, search_backups
from pytest_mdm_health.mdm.engines import FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind, Unreadable, is_same_file, kind_of, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.search import UnusableInterpreter, find_interpreter
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES, OWN_TABLES, Registration
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE
from pytest_mdm_health.mdm.registrations.sources import source_of

COUNTED_ROLES = ("train", "test", "validation", "data")
"""The tables whose rows MDM adds up at registration; it leaves out all others."""

STATISTICS = Path("metadata", "statistics.json")
_STATISTICS_LIMIT = 64 * 1024 * 1024
_WHOLE_DATASET = "data"

_SHARE_OF_TIME = 0.5
"""How much of a check's time verifying the file may take."""

_SHARE_FOR_BACKUPS = 0.2
_OBSTACLES = {FileKind.FOLDER, FileKind.FIFO, FileKind.SOCKET, FileKind.DEVICE}
_PASSING = (
    *("is being changed while", "locked", "busy", "lock on file", "interrupt", "permission", "unable to open"),
    *("out of memory", "out-of-memory", "no space", "disk is full", "too many open files"),
)
"""Words of an engine's message that tell of the machine or of other processes, not of the file."""


def collect(dataset: Dataset, backend: Backend | None, home: Home, options: Options) -> DataFacts:
    """Examine one dataset's data, as closely as the depth says, and find a backup of it if it has to be restored."""
    facts = _examined(dataset, backend, home, options)
    if backend is not None and backend.connection is None:
        facts = _without_stray_logs(dataset, backend, facts, options)
        facts = replace(facts, ignored_logs=tuple(_ignored_logs(facts, options)))
    if not facts.to_restore:
        return facts
    facts = replace(facts, elsewhere=tuple(_files_with_tables(dataset, facts)))
    if Depth(options.depth) is Depth.QUICK:
        return facts
    path, within_s = _path(dataset, backend), options.timeout * _SHARE_FOR_BACKUPS
    saved, sought = search_backups(home, options.backup, dataset.name, path, within_s)
    again = _mdm(dataset, options) if saved is None and not facts.stray_logs else ""
    facts = replace(facts, saved=saved, sought=sought, mdm_python=again)
    if saved is None or facts.is_misregistered or facts.stray_logs:
        return facts
    problem = _problem_of(saved, dataset, facts, options, within_s)
    return replace(facts, saved_is_sound=not problem, saved_problem=problem)


def _examined(dataset: Dataset, backend: Backend | None, home: Home, options: Options) -> DataFacts:
    path = _path(dataset, backend)
    registration = dataset.registration
    source = source_of(registration) if registration is not None else None
    json_copy = dataset.folder / JSON_COPY_FILE
    facts = DataFacts(
        examined=0,
        name=dataset.name,
        home=str(home.root),
        engine=dataset.backend or "",
        registered=registration is not None,
        file=FileState(path=str(path), size=path.stat().st_size if kind_of(path) is FileKind.FILE else None),
        left_over=tuple(sidecar for sidecar in sidecars(path) if sidecar.holds_changes),
        others=tuple(str(file) for file in dataset.files if not is_same_file(file, path)),
        own_file=is_same_file(path.parent, dataset.folder) and not dataset.shared_with,
        shared_with=dataset.shared_with,
        program=program_of(backend) if backend is not None else (),
        registration=str(registration.file) if registration is not None else "",
        twin=str(json_copy) if kind_of(json_copy) is FileKind.FILE else "",
        source=str(source.path) if source is not None and source.path is not None else "",
        written_source=source.written if source is not None else "",
    )
    if backend is None:
        kind = kind_of(path)
        there = kind in _OBSTACLES
        code, reason = ("not-a-file", f"is a {kind.value}") if there else ("missing", "does not exist")
        return replace(facts, examined=1, file=replace(facts.file, code=code, reason=reason))
    try:
        with backend.open() as database:
            return _Examination(dataset, database, facts, options).facts()
    except CannotOpen as error:
        holders = tuple(map(str, error.holders))
        file = replace(facts.file, code=error.code, reason=error.reason, holders=holders)
        return replace(facts, examined=int(error.code in BROKEN), file=file)


def _mdm(dataset: Dataset, options: Options) -> str:
    """The interpreter of the MDM that can make the data from its source again; empty if none can."""
    registration = dataset.registration
    if registration is None or registration.shape != "full" or registration.in_force != "yaml":
        return ""
    source = source_of(registration)
    if source is None or not source.files or dataset.backend not in FILE_ENGINES:
        return ""
    try:
        return str(find_interpreter(options.python) or "")
    except UnusableInterpreter:
        return ""


def _path(dataset: Dataset, backend: Backend | None) -> Path:
    if backend is not None and backend.connection is not None:
        return backend.path
    registered = dataset.registration.database if dataset.registration is not None else None
    path = dataset.database or registered
    if path is not None:
        return path
    if len(dataset.files) > 1:
        raise NotApplicable(f"there are several databases in {dataset.folder} and no registration tells which is meant")
    raise NotApplicable("the registration does not say where the data is")


def is_damage(engine: str, error: QueryFailed) -> bool:
    """Whether a query that failed shows that the data is damaged, rather than that it could not be read just then.

    A server keeps many from reading: for a missing permission, for a lock, for the time. A file has few such reasons.
    """
    if error.why != "other":
        return error.damaged
    return engine in FILE_ENGINES and not any(word in str(error).lower() for word in _PASSING)


def is_broken(error: QueryFailed, *, derived: bool) -> bool:
    """Whether a query that failed shows that what it reads refers to something that is not there.

    A view computes its rows, so that what fails without a better reason is its own.
    """
    passing = any(word in str(error).lower() for word in _PASSING)
    return error.why == "broken" or (derived and error.why == "other" and not passing)


class _Examination:
    """One open database, and what is known of it so far."""

    def __init__(self, dataset: Dataset, database: Database, facts: DataFacts, options: Options) -> None:
        self._dataset = dataset
        self._database = database
        self._facts = facts
        self._depth = Depth(options.depth)
        self._counts = self._depth is not Depth.QUICK
        self._compares = options.keeps_tables
        self._within_s = options.timeout * _SHARE_OF_TIME
        self._gaps: list[str] = []
        self._refused: list[str] = []

    def facts(self) -> DataFacts:
        """Everything."""
        file = replace(self._facts.file, opened=self._database.how, surplus=self._database.surplus)
        try:
            names = {name.casefold(): name for name in self._database.tables()}
            derived = self._database.derived()
            recorded = tuple(_records(self._dataset, self._database, self._gaps))
            tables = tuple(
                self._table(table, names, recorded, derived=names.get(table.name.casefold()) in derived)
                for table in self._expected(names)
            )
            found = self._verified()
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
            file=_with_damage(file, found, complete=self._depth is Depth.FULL),
            tables=tables,
            recorded=tuple(_recorded(recorded, tables)) if self._counts else (),
            indexes=found.indexes if found is not None else (),
            violated=found.violated if found is not None else (),
            unusable=found.unusable if found is not None else (),
        )

    def _expected(self, names: Mapping[str, str]) -> Iterator[TableState]:
        """The registered tables, then those that are there without being registered."""
        registration = self._dataset.registration
        base = registration.tables if registration is not None else {}
        features = registration.feature_tables if registration is not None else {}
        for role, name in base.items():
            yield TableState(name=name, role=role, kind="base")
        for role, name in features.items():
            yield TableState(name=name, role=role, kind="feature", base=_base_of(role, name, base))
        known = {name.casefold() for name in (*base.values(), *features.values(), *OWN_TABLES)}
        for folded, name in names.items():
            if folded not in known:
                yield TableState(name=name, role="", kind="other")

    def _table(
        self, table: TableState, names: Mapping[str, str], recorded: Sequence[_Record], *, derived: bool
    ) -> TableState:
        name = names.get(table.name.casefold())
        if name is None:
            return replace(table, present=False)
        table = replace(table, derived=derived)
        about = [record for record in recorded if record.is_about(table) and not record.outdated]
        try:
            declared = [column.name for column in self._database.columns(name)]
            if derived:  # to count rows, an engine does not have to compute them
                chosen = ", ".join(map(quote, declared))
                self._database.query(f"SELECT {chosen} FROM {quote(name)} LIMIT 1")  # noqa: S608 - quoted
            columns = [column.casefold() for column in declared]
            known = dict.fromkeys(column for record in about for column in record.columns)
            return replace(
                table,
                rows=self._rows(name, counted=self._counts or (self._compares and table.kind != "feature")),
                columns=len(columns),
                lost_columns=tuple(column for column in known if column.casefold() not in columns),
                had_rows=any(record.had_rows for record in about),
            )
        except ConnectionLost:
            raise
        except QueryFailed as error:
            table = replace(table, why=error.why)
            registered = table.kind != "other"
            if is_broken(error, derived=derived) or (error.why == "lacking" and not registered):
                return replace(table, broken=without_values(str(error), names.values()))
            if is_damage(self._database.engine, error):
                return replace(table, failed=str(error))
            reasons = self._refused if registered else self._gaps  # nothing depends on unregistered tables
            reasons.append(f"the table {name} could not be read: {error}")
            return replace(table, refused=str(error))

    def _rows(self, name: str, *, counted: bool) -> int | None:
        """How many rows; where they are not counted, still whether there are none."""
        if counted:
            return self._database.count(name)
        return None if self._database.query(f"SELECT 1 FROM {quote(name)} LIMIT 1") else 0  # noqa: S608 - quoted

    def _verified(self) -> Verification | None:
        """What the engine finds when it verifies the data; None if it was not asked, or has not finished."""
        if not self._counts:
            return None
        try:
            found = self._database.verify(complete=self._depth is Depth.FULL, within_s=self._within_s)
        except Unfinished:
            reason = f"verifying it takes longer than {self._within_s:g} s (see --mdm-timeout)"
            self._refused.append(f"the database could not be verified to its end: {reason}")
            return None
        self._gaps += found.unverified
        return found


def _with_damage(file: FileState, found: Verification | None, *, complete: bool) -> FileState:
    if found is None:
        return file
    own = found.damage[:-1] if file.surplus else found.damage  # the surplus is a finding of its own
    return replace(file, problems=own, verified="complete" if complete else "quick")


def _base_of(role: str, name: str, base: Mapping[str, str]) -> str:
    by_role = base.get(role.removesuffix(FEATURES))
    stem = name.removesuffix(FEATURES)
    return by_role or (stem if stem in base.values() else "")


def _without_content(facts: DataFacts) -> DataFacts:
    """The facts without what was found in the file, to examine another one in its place."""
    file = FileState(path=facts.file.path, size=facts.file.size)
    return replace(
        facts,
        examined=0,
        gaps=(),
        unexamined=(),
        file=file,
        tables=(),
        recorded=(),
        indexes=(),
        violated=(),
        unusable=(),
    )


def _ignored_logs(facts: DataFacts, options: Options) -> Iterator[str]:
    """The logs that DuckDB ignores; a quick look does not try that."""
    tried = facts.readable and facts.engine == "duckdb" and Depth(options.depth) is not Depth.QUICK
    if tried and facts.logs and not facts.stray_logs:
        yield from map(str, ignored_logs(Path(facts.file.path), [log.path for log in facts.logs]))


def _without_stray_logs(dataset: Dataset, backend: Backend, facts: DataFacts, options: Options) -> DataFacts:
    """The facts of the file by itself, if logs or a journal beside it make a sound file a damaged one."""
    logs = facts.logs
    if not logs:
        return facts
    real = Path(os.path.realpath(facts.file.path))
    damaged = facts.file.code in {*BROKEN, "unreadable"} or facts.file.problems or any(t.failed for t in facts.tables)
    if not damaged and not any(log.kind == "wal" and is_of_another_file(real, log.path) for log in logs):
        return facts
    try:
        copy = PrivateCopy([real])
    except CannotOpen:
        return facts
    try:
        with Backend(backend.engine, copy.path_of(real)).open() as database:
            alone = _Examination(dataset, database, _without_content(facts), options).facts()
    except CannotOpen:
        return facts
    finally:
        close_all()
        copy.remove()
    lost = any(table.failed or (table.kind == "base" and not table.present) for table in alone.tables)
    sound = not (alone.file.problems or alone.unexamined or lost)
    if not sound:
        return facts
    return replace(
        alone,
        stray_logs=tuple(str(log.path) for log in logs),
        with_logs=facts.file.code,
        reason_with_logs=facts.file.reason,
    )


def _problem_of(saved: SavedData, dataset: Dataset, facts: DataFacts, options: Options, within_s: float) -> str:
    """What is wrong with the data in a backup, examined like that of the home; empty if nothing is."""
    with _opened_copy(saved, facts.engine, within_s) as copy:
        if isinstance(copy, str):
            return copy
        try:
            with copy.open() as database:
                found = _Examination(dataset, database, _without_content(facts), options).facts()
        except CannotOpen as error:
            return f"that {error}"
    missing = [table.name for table in found.tables if table.kind != "other" and not table.present]
    if missing:
        return f"the registered table {missing[0]} is not in there"
    broken = any(table.broken for table in found.tables if table.kind != "other")
    if found.unexamined or found.to_restore or broken:
        return "it is not sound or not complete either"
    return "" if found.data_tables else "no table is registered to compare it with"


@contextmanager
def _opened_copy(saved: SavedData, engine: str, within_s: float) -> Iterator[Backend | str]:
    """The data in a backup, unpacked into a private folder if necessary; or why it could not be opened."""
    if not saved.form:
        yield Backend(engine, Path(saved.member))
        close_all()
        return
    wanted = {saved.member, *saved.beside}
    name = saved.member.rpartition("/")[2]
    with Restored(lambda member: member.written in wanted) as restored:
        reading = read_archive(Path(saved.backup), clock() + within_s, restored)
        files = [path for member, path in restored.files.items() if member.endswith(name)]
        if reading.problems or not reading.complete:
            reasons = [*(problem.message for problem in reading.problems), *reading.gaps]
            yield reasons[0] if reasons else "it could not be read to its end"
        elif len(restored.files) < len(wanted) or len(files) != 1:
            yield next(iter(restored.refused.values()), "it could not be unpacked to look into it")
        else:
            yield Backend(engine, files[0])
        close_all()


def _files_with_tables(dataset: Dataset, facts: DataFacts) -> Iterator[str]:
    """The other databases in the dataset's folder that hold all registered tables, where the file does not."""
    registration = dataset.registration
    wanted = {name.casefold() for name in registration.tables.values()} if registration is not None else set()
    if not wanted or (facts.readable and all(table.present for table in facts.tables)):
        return
    for path in map(Path, facts.others):
        engine = real_engine(path)
        try:
            if engine is not None:
                with Backend(engine, path).open() as database:
                    if wanted <= {name.casefold() for name in database.tables()}:
                        yield str(path)
        except (CannotOpen, QueryFailed):
            continue
    close_all()


@dataclass(frozen=True)
class _Record:
    """What MDM recorded once: its source, the role or table it is about (empty for the whole dataset), what it says.

    Attributes:
        rows: how many rows were counted; None if the record does not say.
        columns: the columns that there were.
        had_rows: whether it tells of values, which an empty table does not have.
        outdated: whether the dataset was registered again since.
    """

    source: str
    about: str
    rows: int | None = None
    columns: tuple[str, ...] = ()
    had_rows: bool = False
    outdated: bool = False

    def is_about(self, table: TableState) -> bool:
        """Whether it means this table, by its role or by its name."""
        return self.about.casefold() in {table.role.casefold(), table.name.casefold()} - {""}


def _records(dataset: Dataset, database: Database, gaps: list[str]) -> Iterator[_Record]:
    """All that MDM recorded about the dataset's rows and columns. What was never computed is no record."""
    registration = dataset.registration
    if registration is not None and registration.recorded_rows:
        yield _Record("the registration", "", registration.recorded_rows)
    yield from _records_of_statistics_file(dataset, gaps)
    own = set(database.tables()).intersection(OWN_TABLES)
    try:
        if "_statistics" in own:
            yield from _records_of_statistics(database)
        if "_columns" in own:
            yield from _records_of_columns(database)
    except QueryFailed as error:
        gaps.append(f"what MDM recorded in the database cannot be read: {error}")


def _records_of_statistics_file(dataset: Dataset, gaps: list[str]) -> Iterator[_Record]:
    """`mdm dataset stats` writes it; a dataset that is registered again keeps the old one."""
    path = dataset.folder / STATISTICS
    if kind_of(path) is FileKind.MISSING:
        return
    try:
        content = json.loads(read_bytes(path, _STATISTICS_LIMIT))
    except Unreadable as error:
        gaps.append(f"{path} {error.reason}")
        return
    except (ValueError, RecursionError) as error:
        gaps.append(f"{path} cannot be read: {str(error).partition(chr(10))[0]}")
        return
    outdated = _is_before(_mapping(content).get("computed_at"), dataset.registration)
    for role, table in _mapping(_mapping(content).get("tables")).items():
        columns, rows = _mapping(_mapping(table).get("columns")), _count(_mapping(table).get("row_count"))
        yield _Record(STATISTICS.name, str(role), rows, tuple(columns), bool(rows), outdated)


def _records_of_statistics(database: Database) -> Iterator[_Record]:
    rows = database.query("SELECT table_name, row_count FROM _statistics ORDER BY id DESC LIMIT 100")
    newest: dict[object, object] = dict(reversed(rows))
    for table, count in newest.items():
        if isinstance(table, str) and _count(count):
            yield _Record("the table _statistics", "" if table == _WHOLE_DATASET else table, _count(count))


def _records_of_columns(database: Database) -> Iterator[_Record]:
    rows = database.query("SELECT table_name, column_name, cardinality, missing_count FROM _columns")
    columns: dict[str, list[str]] = {}
    with_values = set()
    for table, column, different, missing in rows:
        if isinstance(table, str) and isinstance(column, str):
            columns.setdefault(table, []).append(column)
            if _count(different) or _count(missing):
                with_values.add(table)
    for table, names in columns.items():
        yield _Record("the table _columns", table, None, tuple(names), table in with_values)


def _is_before(moment: object, registration: Registration | None) -> bool:
    """Whether something was recorded before the dataset was registered."""
    registered = _moment(registration.data.get("registered_at")) if registration is not None else None
    recorded = _moment(moment)
    return recorded is not None and registered is not None and recorded < registered


def _moment(value: object) -> datetime | None:
    """A point in time; MDM writes local times without a zone in some places, UTC with one in others."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return moment.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _recorded(records: Sequence[_Record], tables: Sequence[TableState]) -> Iterator[Recorded]:
    """What was counted once with what is counted now."""
    for record in records:
        if record.rows is None:
            continue
        table = next((table for table in tables if record.is_about(table)), None)
        if table is not None:
            now = table.rows
        elif not record.about:
            now = _rows_of_all(tables, record.rows)
        else:
            continue  # about a table that is neither registered nor there
        name = table.name if table is not None else ""
        yield Recorded(source=record.source, table=name, rows=record.rows, found=now, outdated=record.outdated)


def _rows_of_all(tables: Sequence[TableState], recorded: int) -> int | None:
    """The rows of the whole dataset: of the tables that MDM adds up, or of all, whichever is what was recorded."""
    base = [table for table in tables if table.kind == "base"]
    sums = [_sum([table for table in base if table.role in COUNTED_ROLES]), _sum(base)]
    return recorded if recorded in sums else next((rows for rows in sums if rows is not None), None)


def _sum(tables: Sequence[TableState]) -> int | None:
    counts = [table.rows for table in tables]
    return sum(rows for rows in counts if rows is not None) if counts and None not in counts else None
