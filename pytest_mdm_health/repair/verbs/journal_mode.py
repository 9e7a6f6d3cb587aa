"""`journal-mode FILE`: convert a SQLite file to WAL mode, so that readers and a writer do not block each other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.base import one_line
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.mounts import file_system_of, is_network
from pytest_mdm_health.repair.databases import (
    DatabaseFile,
    database_file,
    in_wal_mode,
    refuse_damaged,
    refuse_logs,
    refuse_other_data,
    working_copy,
)
from pytest_mdm_health.repair.step import Changes, NotDone, Outline

_STATEMENT = "PRAGMA journal_mode=WAL"


@dataclass(frozen=True)
class JournalMode:
    """The step; see the module."""

    repair: Repair

    def outline(self) -> Outline:
        """See `Step`."""
        database = self._database()
        return Outline(
            f"convert {database.path} to WAL mode",
            touches=database.files,
            details=(f"{_STATEMENT}, on a copy that then takes the place of {database.path}",),
            room=3 * database.size,
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        database = self._database()
        converted = working_copy(database, work / "converted")
        try:
            with closing(sqlite3.connect(converted, isolation_level=None)) as connection:
                connection.execute(_STATEMENT).fetchall()
        except sqlite3.Error as error:
            raise NotDone(f"{database.path} cannot be converted: {one_line(error)}") from error
        if not in_wal_mode(converted):
            raise NotDone(f"SQLite did not convert {database.path}")
        refuse_damaged(converted, database.engine)
        refuse_other_data(working_copy(database, work / "before"), converted, database.engine)
        return Changes({database.path: converted, **database.beside()})

    def _database(self) -> DatabaseFile:
        database = database_file(Path(self.repair.place))
        if database.engine != "sqlite":
            raise NotDone(f"{database.path} is no SQLite file")
        if in_wal_mode(database.path):
            raise NotDone(f"{database.path} is in WAL mode already")
        refuse_logs(database)
        if is_network(system := file_system_of(database.path)):
            raise NotDone(f"{database.path} is on a network file system ({system}), where WAL mode does not work")
        return database


def step(repair: Repair, home: Home) -> JournalMode:
    """The step that a call means; see `step_of`."""
    del home
    return JournalMode(repair)
