"""`rescue FILE`: read what can be read of a damaged SQLite file into a new one.

The new file takes the place of the damaged one only if nothing is lost: the trees of all tables are sound, each row was
read, and no index knows of more. Otherwise it is kept in the folder of the repair, the damaged file stays where it is,
and it is said per table how many rows were saved and which may be lost: a backup is the better source then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.base import one_line, quote
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.damaged_tables import Keep, Reading, Row
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    changing_sqlite,
    database_file,
    in_wal_mode,
    reading_sqlite,
    refuse_damaged,
    refuse_logs,
    refuse_other_data,
    row_number,
    working_copy,
)
from pytest_mdm_health.repair.step import Changes, NotDone, Outline

_PROBLEMS = 1000
_OF_INDEXES = ("never used", "never referenced", "freelist", "fragmentation")
"""Words in what SQLite complains of where the tree of every table is sound and indexes are left out."""

_SETTINGS = ("page_size", "encoding", "auto_vacuum", "user_version", "application_id")


@dataclass(frozen=True)
class _Object:
    """A line of a database's schema."""

    type: str
    name: str
    table: str
    sql: str

    @property
    def is_virtual(self) -> bool:
        return self.sql.upper().startswith("CREATE VIRTUAL")


@dataclass(frozen=True)
class Rescue:
    """The step; see the module."""

    repair: Repair

    def outline(self) -> Outline:
        """See `Step`."""
        database = self._database()
        return Outline(
            f"read {database.path} into a new file, which takes its place if nothing is lost",
            touches=database.files,
            details=(f"table by table around what cannot be read; {database.path} stays as it is if a row is lost",),
            room=5 * database.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database = self._database()
        damaged = working_copy(database, work / "damaged")
        if _complaints(damaged) == ["ok"]:
            raise NotDone(f"{database.path} is sound")
        kept = work.parent / "rescued"
        kept.mkdir(mode=0o700)
        rescued = kept / database.path.name
        said, whole = _read_into(damaged, rescued)
        sound = whole and _tables_are_sound(working_copy(database, work / "without-indexes"))
        if not sound:
            why = "not every row could be read" if not whole else "it is not certain that every row was read"
            raise NotDone(
                f"{why} ({'; '.join(said)}), so {database.path} stays where it is and what was read is in {rescued}; "
                "put a backup back first, and look there for rows that it lacks"
            )
        refuse_damaged(rescued, database.engine)
        refuse_other_data(damaged, rescued, database.engine)
        rescued.rename(work / rescued.name)
        kept.rmdir()
        return Changes({database.path: work / rescued.name, **database.beside()})

    def _database(self) -> DatabaseFile:
        database = database_file(Path(self.repair.place))
        if database.engine != "sqlite":
            raise NotDone(f"{database.path} is not a SQLite file")
        refuse_logs(database)
        return database


def step(repair: Repair, home: Home) -> Rescue:
    """The step that a call means; see `step_of`."""
    del home
    return Rescue(repair)


def _complaints(path: Path) -> list[str]:
    """What SQLite complains of; `ok` if of nothing."""
    try:
        with closing(reading_sqlite(path)) as connection:
            return [line for (line,) in connection.execute(f"PRAGMA integrity_check({_PROBLEMS})")]
    except sqlite3.Error as error:
        return [one_line(error)]


def _tables_are_sound(path: Path) -> bool:
    """Whether the trees of all tables are sound, which is asked of a copy that knows no index."""
    with suppress(NotDone):
        with changing_sqlite(path) as connection:
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute("DELETE FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        found = [line for line in _complaints(path) if line != "ok"]
        lines = [line for part in found for line in part.splitlines() if line and not line.startswith("***")]
        return all(any(word in line.lower() for word in _OF_INDEXES) for line in lines)
    return False


def _read_into(damaged: Path, rescued: Path) -> tuple[list[str], bool]:
    """Make the new file; what is said of each table, and whether each was read from its first row to its last."""
    with closing(reading_sqlite(damaged)) as source:
        try:
            objects = list(_objects(source))
            settings = [(name, source.execute(f"PRAGMA {name}").fetchone()[0]) for name in _SETTINGS]
        except sqlite3.Error as error:
            raise NotDone(
                f"nothing can be read of {damaged.name}, because its schema cannot: {one_line(error)}; "
                "put a backup back"
            ) from None
        rescued.touch(mode=0o600)
        with changing_sqlite(rescued) as target:
            for name, value in settings:
                target.execute(f"PRAGMA {name}={value if isinstance(value, int) else repr(value)}")
            if in_wal_mode(damaged):
                target.execute("PRAGMA journal_mode=WAL")
            target.execute("PRAGMA ignore_check_constraints=ON")
            target.execute("BEGIN")
            said, whole = [], True
            for each in objects:
                if each.type == "table" and not each.is_virtual:
                    target.execute(each.sql)
                    table_said, table_whole = _read_table(source, target, each.name)
                    said.append(f"{each.name}: {table_said}")
                    whole = whole and table_whole
            _read_sequences(source, target)
            problems = _make_the_rest(target, objects)
            target.execute("COMMIT")
            if source.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone() != (0,):
                target.execute("ANALYZE")
    return [*said, *problems], whole and not problems


def _objects(source: sqlite3.Connection) -> Iterator[_Object]:
    listing = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    for line in source.execute(f"{listing} ORDER BY rowid"):
        yield _Object(*line)


def _read_table(source: sqlite3.Connection, target: sqlite3.Connection, name: str) -> tuple[str, bool]:
    table = quote(name)
    details = target.execute(f"PRAGMA table_xinfo({table})").fetchall()
    columns = [quote(column) for _, column, *_, hidden in details if not hidden]
    number = row_number(target, table, [column for _, column, *_ in details])

    def keep(row: Row) -> bool:
        try:
            target.execute(statement, row)
        except (sqlite3.Error, UnicodeEncodeError):
            return False
        return True

    names = [*([number] if number else []), *columns]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - quoted
    if not number:
        return _read_in_order(source, f"SELECT {', '.join(columns)} FROM {table}", keep)  # noqa: S608 - quoted
    reading = Reading(source, names, table, keep)
    reading.read()
    missed = _known_to_indexes(source, table) - reading.saved
    if missed > 0 and not reading.lost:
        return f"{reading.said}, and an index knows of {missed} more", False
    return reading.said, not reading.lost


def _read_in_order(source: sqlite3.Connection, query: str, keep: Keep) -> tuple[str, bool]:
    """A table without row numbers is read until an error."""
    saved = lost = 0
    try:
        for row in source.execute(query):
            if keep(row):
                saved += 1
            else:
                lost += 1
    except sqlite3.Error as error:
        return f"{counted(saved, 'row')} saved, the rest is lost ({one_line(error)})", False
    return f"{counted(saved, 'row')} saved" + (f", {lost} lost" if lost else ""), not lost


def _known_to_indexes(source: sqlite3.Connection, table: str) -> int:
    """How many rows the index knows that knows most, as far as indexes can be read."""
    most = 0
    for _, index, _, _, partial in source.execute(f"PRAGMA index_list({table})").fetchall():
        if not partial:
            with suppress(sqlite3.Error):
                query = f"SELECT count(*) FROM {table} INDEXED BY {quote(index)}"  # noqa: S608 - quoted
                most = max(most, source.execute(query).fetchone()[0])
    return most


def _read_sequences(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """The highest numbers that were ever given, where tables keep them."""
    with suppress(sqlite3.Error):
        known = source.execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        target.execute("DELETE FROM sqlite_sequence")
        target.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", known)


def _make_the_rest(target: sqlite3.Connection, objects: Sequence[_Object]) -> list[str]:
    """Make indexes, views and triggers, and enter virtual tables; what of them could not be made."""
    problems = []
    for each in objects:
        if each.type == "table" and not each.is_virtual:
            continue
        try:
            if each.is_virtual:
                target.execute("PRAGMA writable_schema=ON")
                line = (each.type, each.name, each.table, 0, each.sql)
                target.execute(
                    "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?,?,?,?,?)", line
                )
            else:
                target.execute(each.sql)
        except sqlite3.Error as error:
            problems.append(f"the {each.type} {each.name} could not be made: {one_line(error)}")
    return problems
