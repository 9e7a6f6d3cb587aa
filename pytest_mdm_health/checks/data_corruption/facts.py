"""What is known of one dataset's data: the facts of data-corruption."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_mdm_health.checks.data_corruption.change_facts import Place, TableChange, TableRecord
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.mdm.backups.search import SavedData

BROKEN = {
    "missing": "missing-file",
    "not-a-file": "not-a-file",
    "empty": "empty-file",
    "wrong-format": "wrong-format",
    "truncated": "truncated",
    "damaged": "damaged",
    "no-database": "missing-file",
}
"""Why data cannot be opened because it is broken, with the finding; every other reason means that nobody looked."""


@dataclass(frozen=True, kw_only=True)
class FileState:
    """The database file.

    Attributes:
        path: the file; for data on a server, its address.
        size: in bytes; None if there is no file.
        opened: how the database was opened; empty if it could not be.
        code: why it could not be opened, in one word; empty if it could.
        reason: the same for a person, to follow the file's name.
        holders: who keeps it from being opened.
        surplus: bytes after the end of the database.
        verified: how far its integrity was verified: ``, `quick` or `complete`.
        problems: what the engine says is wrong with it.
    """

    path: str
    size: int | None
    opened: str = ""
    code: str = ""
    reason: str = ""
    holders: tuple[str, ...] = ()
    surplus: int = 0
    verified: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LeftOver:
    """A journal or log beside the database without which it is not complete."""

    path: str
    kind: str
    size: int
    live: bool


@dataclass(frozen=True, kw_only=True)
class TableState:
    """One table.

    Attributes:
        name: as registered, else as it is in the database.
        kind: `base`, `feature`, or `other` for one that is not registered.
        base: for a feature table, the table that it was made from.
        present: whether the database has it.
        rows: how many; None if they were not counted.
        failed: why it cannot be read, in one line, if that is damage.
        refused: why it could not be read, in one line, if it is not: a right, a lock, the time.
        lost_columns: columns that MDM recorded and that it does not have.
        had_rows: whether MDM recorded values that cannot have come from an empty table.
    """

    name: str
    role: str
    kind: str
    base: str = ""
    present: bool = True
    rows: int | None = None
    columns: int | None = None
    failed: str = ""
    refused: str = ""
    lost_columns: tuple[str, ...] = ()
    had_rows: bool = False


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A number of rows that MDM once counted.

    Attributes:
        source: where it is recorded.
        table: the table; empty for the whole dataset.
        rows: the number.
        found: the rows there are now; None if they were not counted, or if the tables are not all there.
        outdated: whether the dataset was registered again since.
    """

    source: str
    table: str
    rows: int
    found: int | None
    outdated: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts(Facts):
    """One dataset's data as it is, and as MDM recorded it.

    Attributes:
        others: further database files in the dataset's folder.
        own_file: whether the file lies in the dataset's own folder and is no other dataset's.
        shared_with: other datasets that are registered with the file, or in whose folder it lies.
        elsewhere: which of the others hold all registered tables, where the file does not.
        registration, twin: the files of the registration; empty if there are none.
        stray_log: a log or journal of another time beside the file, without which the file is sound; the tables are
            then those of the file by itself.
        source: what the dataset was registered from, if it is still there.
        written_source: the same as it is registered.
        saved: the data in the newest backup that holds it; looked for where there is something to restore.
        saved_is_sound: whether that was opened, and nothing was found to be wrong with it.
        saved_problem: else what is, for a person, to follow "but".
        sought: the folders where backups were looked for; empty if nobody looked.
        place: where the data is, so that a later run can look there again; None unless a baseline is recorded or given.
        known: the data tables, without those that were made from others, for a later run; likewise.
        changes: what became of the data tables since the baseline.
        plan: what is planned for the dataset; None if there is no plan at all.
        own_plan: what of it is planned under its own name, and not under a pattern.
    """

    name: str
    home: str
    engine: str
    registered: bool
    file: FileState
    left_over: tuple[LeftOver, ...] = ()
    tables: tuple[TableState, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    others: tuple[str, ...] = ()
    own_file: bool = True
    shared_with: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    registration: str = ""
    twin: str = ""
    stray_log: str = ""
    source: str = ""
    written_source: str = ""
    saved: SavedData | None = None
    saved_is_sound: bool = False
    saved_problem: str = ""
    sought: tuple[str, ...] = ()
    place: Place | None = None
    known: tuple[TableRecord, ...] = field(default=(), metadata=BASELINE_ONLY)
    changes: tuple[TableChange, ...] = ()
    plan: ExpectedDataset | None = None
    own_plan: ExpectedDataset | None = None

    @property
    def in_file(self) -> bool:
        """Whether the data is in a file, rather than on a server."""
        return self.engine != "postgresql"

    @property
    def to_restore(self) -> bool:
        """Whether something is wrong that only another copy of the file puts right."""
        spoilt = self.file.code in BROKEN or bool(self.file.problems)
        lost = any(table.failed or table.lost_columns for table in self.tables)
        lacking = any(table.kind == "base" and (not table.present or table.rows == 0) for table in self.tables)
        differing = any(each.found not in {None, each.rows} and not each.outdated for each in self.recorded)
        return self.in_file and (spoilt or lost or lacking or differing)

    @property
    def readable(self) -> bool:
        """Whether the database could be opened."""
        return bool(self.file.opened)
