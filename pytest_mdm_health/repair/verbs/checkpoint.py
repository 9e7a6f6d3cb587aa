"""`checkpoint FILE`: merge the write-ahead log beside a database into it.

The engine does it, on a copy; then the file without a log must hold the rows that file and log held together.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen, one_line
from pytest_mdm_health.backends.sqlite.header import read_header
from pytest_mdm_health.backends.sqlite.log import is_older_than_its_file, of_another_time
from pytest_mdm_health.core.text import size
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    changing_duckdb,
    database_file,
    refuse_damaged,
    refuse_other_data,
    working_copy,
)
from pytest_mdm_health.repair.files import state_of
from pytest_mdm_health.repair.step import Changes, NotDone, Outline


@dataclass(frozen=True)
class Checkpoint:
    """The step; see the module."""

    repair: Repair

    def outline(self) -> Outline:
        """See `Step`."""
        database = self._database()
        logs = ", ".join(f"{log.name} ({size(log.stat().st_size)})" for log in database.logs)
        statement = "PRAGMA wal_checkpoint(TRUNCATE)" if database.engine == "sqlite" else "CHECKPOINT"
        return Outline(
            f"merge {logs} into {database.path}",
            touches=database.files,
            details=(f"{statement}, on a copy that then takes the place of {database.path}",),
            room=3 * database.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database = self._database()
        merged = working_copy(database, work / "merged")
        _checkpoint(merged, database.engine)
        refuse_damaged(merged, database.engine)
        together = working_copy(database, work / "before")
        refuse_other_data(together, merged, database.engine)
        if database.engine == "sqlite" and not _is_same(database.path, merged):
            _refuse_older(database)
        return Changes({database.path: merged, **database.beside()})

    def _database(self) -> DatabaseFile:
        database = database_file(Path(self.repair.place))
        if not database.logs:
            raise NotDone(f"there is no log beside {database.path}")
        for log in database.logs:
            if log.name.endswith("-journal"):
                raise NotDone(f"{log} is a journal, which SQLite rolls back when MDM opens the file")
            if log.name.endswith("-wal") and (why := _foreign(database.path, log)):
                raise NotDone(f"{log} does not belong to the file as it is: {why}; set the log aside instead")
        return database


def step(repair: Repair, home: Home) -> Checkpoint:
    """The step that a call means; see `step_of`."""
    del home
    return Checkpoint(repair)


def _foreign(path: Path, log: Path) -> str:
    try:
        return of_another_time(path, read_header(path), log)
    except CannotOpen as error:
        raise NotDone(f"{path} {error}") from None


def _refuse_older(database: DatabaseFile) -> None:
    """Refuse a log that was last written before the file came to its place.

    Raises:
        NotDone: it was.
    """
    for log in database.logs:
        if is_older_than_its_file(database.path, log):
            raise NotDone(
                f"{database.path} came to its place after {log.name} was written last, as a restored file does, and "
                "the merge would change it; if the file was restored, set the log aside"
            )


def _is_same(one: Path, other: Path) -> bool:
    state = state_of(one)
    return state is not None and state.is_like(state_of(other))


def _checkpoint(path: Path, engine: str) -> None:
    """Have the engine merge the log of a copy.

    Raises:
        NotDone: it cannot.
    """
    if engine == "duckdb":
        with changing_duckdb(path):
            return  # it makes the checkpoint
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise NotDone(
            f"the log of {path.name} cannot be merged: {one_line(error)}; if the file was restored beside an older "
            "log, set the log aside, else put the file back out of a backup"
        ) from error
    if busy:
        raise NotDone(f"SQLite could not merge the log of {path.name}")
