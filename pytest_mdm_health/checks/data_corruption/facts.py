"""What is known of one dataset's data: the facts of data-corruption."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_mdm_health.backends import Sidecar
from pytest_mdm_health.checks._shared.backup_restore import Saved, in_exchange
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.mdm.backups.search import SavedData

BROKEN = frozenset({"missing", "not-a-file", "empty", "wrong-format", "truncated", "damaged", "no-database"})
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
class ColumnRecord:
    """One column; the figures are as in `integrity.table_profile`, None if they were not made."""

    name: str
    type: str
    nulls: int | None = None
    distinct: int | None = None
    least: str | None = None
    greatest: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableRecord:
    """One data table.

    Attributes:
        key: columns that identify a row, as registered.
        digest: `TableDigest` as plain data; None if none was made.
        sample: `Sample` as plain data, of a large table.
        hashed_by: the release of DuckDB that hashed it.
        why_not: why there is no digest.
    """

    name: str
    rows: int | None
    columns: tuple[ColumnRecord, ...]
    key: tuple[str, ...] = ()
    digest: Mapping[str, Any] | None = None
    sample: Mapping[str, Any] | None = None
    hashed_by: str = ""
    why_not: str = ""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How many rows differ: exactly, or of a sample.

    Attributes:
        of: rows of the sample; None if all were compared.
        complete: whether the counts are exact; if not, as many as went and came count as altered.
    """

    missing: int = 0
    added: int = 0
    duplicated: int = 0
    altered: int = 0
    of: int | None = None
    complete: bool = True

    @property
    def none(self) -> bool:
        """Whether no row differs."""
        return not (self.missing or self.added or self.duplicated or self.altered)


@dataclass(frozen=True, kw_only=True)
class Retyped:
    """A column that is declared to be something else; `code` is as in `integrity.compare`."""

    column: str
    before: str
    after: str
    code: str


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """One data table before and after.

    Attributes:
        verdict: `equal`, `differs`, `incomparable`, `lost`, `added`, or `not-compared`.
        by: what shows it: `digest` (every row, in the columns that remain), `columns` (every column taken by
            itself), `sample`, `count`, or `types`.
        reason: why it is so, or why it was not compared, for a person.
        rows: what differs exactly, if rows of before could be read or sampled.
        cells: in those rows, columns with the number of altered cells; in those looked at if not complete.
        examples: the first of those rows, as plain data: kind, places, key, and cells as hashes or values.
        key: the columns that those rows are known by.
        altered_columns: columns whose values, each column taken by itself, are not as before; None if not known.
        figures: of these columns, what the figures were and are.
        dropped, added: columns; those that were renamed as planned are in neither.
        renamed: old to new names of columns that were renamed as planned.
        recomputed: columns, by their names now, whose values are planned to change, and that were left out therefore.
        unaltered: those of them that have the values that they had.
        alike: dropped to added columns with the same values, each taken by itself: they may have been renamed.
        patterns: what the difference looks like.
        losses: what the backend cannot keep, in words; no damage.
        copy: where the rows of before were read.
        packed: an archive that may hold the rows of before, and that was not unpacked.
        not_it: copies that are not what was there before, or cannot be shown to be.
        reader: by what the rows of now were read, as `Reader.how`; empty if none were.
    """

    table: str
    verdict: str
    by: str = ""
    reason: str = ""
    rows_before: int | None = None
    rows_after: int | None = None
    rows: Rows | None = None
    cells: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    key: tuple[str, ...] = ()
    altered_columns: tuple[str, ...] | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    recomputed: tuple[str, ...] = ()
    unaltered: tuple[str, ...] = ()
    alike: Mapping[str, str] = field(default_factory=dict)
    retyped: tuple[Retyped, ...] = ()
    patterns: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    copy: str = ""
    packed: str = ""
    not_it: tuple[str, ...] = ()
    reader: str = ""


@dataclass(frozen=True, kw_only=True)
class DataFacts(Facts):
    """One dataset's data as it is, and as MDM recorded it.

    Attributes:
        others: further database files in the dataset's folder.
        own_file: whether the file is in the dataset's own folder and is no other dataset's.
        shared_with: other datasets that are registered with the file, or in whose folder it is.
        elsewhere: which of the others hold all registered tables, where the file does not.
        registration, twin: the files of the registration; empty if there are none.
        stray_log: a log or journal of another time beside the file, without which the file is sound; the tables are
            then those of the file by itself.
        source: what the dataset was registered from, if it is still there.
        written_source: the same as it is registered.
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
        lacking = any(not table.present or table.rows == 0 for table in self.data_tables)
        differing = any(each.found not in {None, each.rows} and not each.outdated for each in self.recorded)
        return self.in_file and (spoilt or lost or lacking or differing)

    @property
    def readable(self) -> bool:
        """Whether the database could be opened."""
        return bool(self.file.opened)

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
    def is_misregistered(self) -> bool:
        """Whether the registered file is not, or may not be, the dataset's own, so that nothing is put in its place."""
        return bool(self.elsewhere) or not self.own_file

    @property
    def backup(self) -> str:
        """The backup that holds the data; empty if none was found."""
        return (self.saved.backup or self.saved.member) if self.saved is not None else ""

    @property
    def kept_name(self) -> str:
        """What the file is called after it was exchanged."""
        return f"{self.file.name}{KEPT}"

    @property
    def restore_command(self) -> str:
        """The command that exchanges the file for the one in the backup."""
        assert self.saved is not None
        return in_exchange(Saved(self.saved, self.file.path), self.home, KEPT)

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
    def other_sources(self) -> str:
        """Where the data can come from when no backup is known to be sound."""
        if self.saved is not None:
            doubt = f"{self.backup} holds a copy, but {self.saved_problem or 'it was not opened'}"
            look = "look into it, or for an older one, before anything of it is restored"
            return f"{doubt}: {look}. Without one, {self.register_again}."
        if not self.sought:
            return f"Restore it from a backup. Without one, {self.register_again}."
        no_backup = f"No backup in {' or '.join(self.sought)} holds it."
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
