"""What is known of one dataset's data: the facts of data-corruption."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass, field

from pytest_mdm_health.backends import IndexProblem, Sidecar, Unusable, Violated
from pytest_mdm_health.backends.sidecars import holding_changes
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.integrity.stored_tables import StoredTable
from pytest_mdm_health.integrity.table_comparison import TableComparison
from pytest_mdm_health.mdm.backups.search import SavedData
from pytest_mdm_health.mdm.registrations import OWN_TABLES

BROKEN = frozenset(
    {
        *("missing", "not-a-file", "empty", "wrong-format", "truncated", "damaged", "no-database"),
        *("foreign-log", "damaged-log"),
    }
)
"""Why data cannot be opened because it is broken; every other reason means that it was not examined."""

KEPT = ".damaged"
"""The ending of a file that was exchanged."""


@dataclass(frozen=True, kw_only=True)
class FileState:
    """The database file.

    Attributes:
        path: the file; for data on a server, its address.
        size: in bytes; None if it does not exist.
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

    @property
    def name(self) -> str:
        """The name without the folder."""
        return posixpath.basename(self.path)


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
        broken: the same if it refers to what the database does not have, or for one that is not registered to what
            only another program has; nothing is damaged by it.
        why: the one word for it, as in `QueryFailed.why`.
        derived: whether its rows are not stored as such, as those of a view.
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
    broken: str = ""
    why: str = ""
    derived: bool = False
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
class Place:
    """Where a dataset's data is.

    Attributes:
        path: the file; for data on a server, its address.
        relative: the file as seen from the home; as `path` for one that is elsewhere, and on a server.
        host, port, database, user: for data on a server, how it is reached; no password.
    """

    path: str
    relative: str
    host: str = ""
    port: int = 0
    database: str = ""
    user: str = ""


@dataclass(frozen=True, kw_only=True)
class DataFacts(Facts):
    """One dataset's data as it is, and as MDM recorded it.

    Attributes:
        others: further database files in the dataset's folder.
        own_file: whether the file is in the dataset's own folder and is no other dataset's.
        shared_with: other datasets that are registered with the file, or in whose folder it is.
        elsewhere: which of the others hold all registered tables, where the file does not.
        registration, twin: the files of the registration; empty if there are none.
        program: the engine's command line, which only looks at the data; empty if it could not be opened.
        indexes: indexes that disagree with their tables.
        violated: constraints that rows break.
        unusable: indexes and tables that need what this engine does not have.
        stray_logs: logs or journals beside the file, of another time or damaged, without which the file is sound; the
            tables are then those of the file by itself.
        with_logs: why the file cannot be opened together with them, in one word; empty if it can.
        reason_with_logs: the same for a person, to follow the file's name.
        ignored_logs: logs from which the engine takes nothing when it opens the file.
        source: what the dataset was registered from, if it is still there.
        written_source: the same as it is registered.
        mdm_python: the interpreter of the MDM that can make the data from its source again, where no backup holds it;
            empty if none can.
        saved: the data in the newest backup that holds it; looked for where there is something to restore.
        saved_is_sound: whether that was opened, and nothing was found to be wrong with it.
        saved_problem: else what is, for a person, to follow "but".
        sought: the folders where backups were looked for; empty if they were not searched.
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
    left_over: tuple[Sidecar, ...] = ()
    tables: tuple[TableState, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    others: tuple[str, ...] = ()
    own_file: bool = True
    shared_with: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    registration: str = ""
    twin: str = ""
    program: tuple[str, ...] = ()
    indexes: tuple[IndexProblem, ...] = ()
    violated: tuple[Violated, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    stray_logs: tuple[str, ...] = ()
    with_logs: str = ""
    reason_with_logs: str = ""
    ignored_logs: tuple[str, ...] = ()
    source: str = ""
    written_source: str = ""
    mdm_python: str = ""
    saved: SavedData | None = None
    saved_is_sound: bool = False
    saved_problem: str = ""
    sought: tuple[str, ...] = ()
    place: Place | None = None
    known: tuple[StoredTable, ...] = field(default=(), metadata=BASELINE_ONLY)
    changes: tuple[TableComparison, ...] = ()
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
        lacking = any(not table.present or table.rows == 0 for table in self.data_tables)
        differing = any(each.found not in {None, each.rows} and not each.outdated for each in self.recorded)
        return self.in_file and (spoilt or lost or lacking or differing)

    @property
    def readable(self) -> bool:
        """Whether the database could be opened."""
        return bool(self.file.opened)

    @property
    def logs(self) -> tuple[Sidecar, ...]:
        """The logs and journals that the engine takes for the file's own and no process uses."""
        own = holding_changes(self.left_over, self.engine)
        return tuple(sidecar for sidecar in own if not sidecar.live)

    @property
    def expected(self) -> ExpectedDataset:
        """What is planned; nothing without a file of expectations."""
        return self.plan or ExpectedDataset()

    @property
    def location(self) -> str | None:
        """The file, for the location of a finding."""
        return self.file.path if self.in_file else None

    @property
    def data_tables(self) -> tuple[TableState, ...]:
        """The tables that are registered and not made from others."""
        return tuple(table for table in self.tables if table.kind == "base")

    @property
    def command_line(self) -> str:
        """The engine's command line, quoted for a shell."""
        return shlex.join(self.program)

    def is_registered(self, table: str) -> bool:
        """Whether a table is one that MDM reads, its own included."""
        folded = table.casefold()
        names = {each.name.casefold() for each in self.tables if each.kind != "other"}
        return folded in names or folded in OWN_TABLES

    @property
    def is_misregistered(self) -> bool:
        """Whether the registered file is not, or may not be, the dataset's own, so that nothing is put in its place."""
        return bool(self.elsewhere) or not self.own_file

    @property
    def backup(self) -> str:
        """The backup that holds the data; empty if none was found."""
        return self.saved.origin if self.saved is not None else ""

    @property
    def registrations(self) -> str:
        """The files of the registration, quoted for a shell."""
        return shlex.join(each for each in (self.registration, self.twin) if each)

    @property
    def unpacked(self) -> str:
        """The folder beside the home where a backup is unpacked to be compared."""
        return f"{self.home.rstrip('/')}.unpacked"

    @property
    def register_again(self) -> str:
        """How the data is made from its source, to follow a subject."""
        if self.written_source and not self.source:
            return under_a_new_name(f"its source ({self.written_source}, which is not where it was)")
        return under_a_new_name(self.source)

    @property
    def no_backup(self) -> str:
        """That no backup holds the data."""
        return f"No backup in {' or '.join(self.sought)} holds it."

    @property
    def other_sources(self) -> str:
        """Where the data can come from when no backup is known to be sound."""
        if self.saved is not None:
            doubt = f"{self.backup} holds a copy, but {self.saved_problem or 'it was not opened'}"
            look = "look into it, or for an older one, before anything of it is restored"
            return f"{doubt}: {look}. Without one, {self.register_again}."
        if not self.sought:
            return f"Restore it from a backup. Without one, {self.register_again}."
        no_backup = self.no_backup
        if not self.written_source and not self.source:
            return (
                f"{no_backup} What remains is to register the dataset again from what it was made from; MDM kept no "
                "record."
            )
        return f"{no_backup} What remains is this: {self.register_again}."

    @property
    def other_file(self) -> str:
        """What to do where the registered file is not, or may not be, the dataset's own."""
        parts = []
        if self.shared_with:
            owners = " and ".join(map(repr, self.shared_with))
            parts.append(f"Leave {self.file.path} as it is: it is the data of {owners}.")
        elif not self.own_file:
            parts.append(
                f"Leave {self.file.path} as it is: it is not in the dataset's own folder, and may be another's."
            )
        where = f"path of the data in {self.registration or 'the registration'}"
        if self.elsewhere:
            parts.append(
                f"{' and '.join(self.elsewhere)} in the dataset's folder holds the registered tables: see whether the "
                f"{where} should name it, keep a copy of the registration, and correct the path."
            )
        else:
            parts.append(
                f"See whether the {where} is right; restore the data from a backup only where it is the dataset's own."
            )
        return " ".join(parts)
