"""The ways into a SQLite file that leave no trace.

How a file is opened depends on what lies beside it. Nothing that holds changes: nobody writes, so it is opened as
immutable, without locks and without `-wal` and `-shm` coming into being. A journal or log, and nobody who locks the
database: a private copy is opened, because the first reader of the original would recover it. The same, and somebody
works on it: a copy too, if it is in WAL mode and small, else it is read like any reader would, but for one thing: the
index of the log (`-shm`) is neither made nor written to.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.backends.base import CannotOpen, Failure, How, QueryFailed, Why, one_line, why_refused
from pytest_mdm_health.backends.private_copy import PrivateCopy
from pytest_mdm_health.backends.sidecars import Sidecar, holding_changes, sidecars
from pytest_mdm_health.backends.sqlite.header import SqliteHeader, read_header
from pytest_mdm_health.mdm.host.processes import Holder, lock_holders

ATTEMPTS = 3
"""How often something is done again because the file changed meanwhile."""

FAILURES = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)
"""What the `sqlite3` module raises over files, statements and values."""

PATIENCE_S = 1.0
"""How long to wait for the lock of another process."""

SETTINGS = ("query_only=ON", "trusted_schema=OFF", "cell_size_check=ON")
"""What is set on every connection."""

_SNAPSHOT_LIMIT = 64 * 1024 * 1024
"""Bytes of a database that are copied while others work on it; a larger one is read beside them."""

_WAL_HEADER = 32
_UNCHANGING = "mode=ro&immutable=1"
_BESIDE_OTHERS = "mode=ro&readonly_shm=1"
_DAMAGED = ("malformed", "not a database", "disk I/O error", "corrupt")
_BEGINS: tuple[tuple[str, Failure], ...] = (
    ("unsafe use of", "restricted"),
    ("no such module", "lacking"),
    ("no such function", "lacking"),
    ("no such collation", "lacking"),
    ("no such tokenizer", "lacking"),
    ("unknown tokenizer", "lacking"),
    ("unknown function", "lacking"),
    ("no such ", "broken"),
    ("vtable constructor failed", "broken"),
    ("view ", "broken"),
    ("expected ", "broken"),
)
"""How SQLite's messages begin that tell of what a statement names; names in them may be any words."""

_LOCKED = ("is locked", "is busy")
_WHY: tuple[tuple[str, Why], ...] = (
    ("out of memory", "no-memory"),
    ("disk is full", "no-room"),
    ("unsupported file format", "newer-format"),
    ("encrypted", "encrypted"),
)
_NOT_IN_PLACE = ("unable to open", "readonly database")


def is_damage(text: str) -> bool:
    """Whether SQLite's message means that the file is damaged."""
    return any(word in text for word in _DAMAGED)


def query_failed(error: BaseException) -> QueryFailed:
    """What SQLite said of a statement, with the one word for it."""
    text = one_line(error)
    for beginning, why in _BEGINS:
        if text.startswith(beginning):
            return QueryFailed(text, why)
    if is_damage(text):
        return QueryFailed(text, "damaged")
    return QueryFailed(text, "locked" if any(word in text for word in _LOCKED) else "other")


@dataclass(frozen=True)
class Opened:
    """One way in, with the header that was found."""

    connection: sqlite3.Connection
    how: How
    header: SqliteHeader
    stamp: object
    path: Path
    copy: PrivateCopy | None = field(default=None)

    @property
    def address(self) -> str:
        """The file for another SQLite in this process, as a URI.

        Two of them in one process know nothing of each other's locks, and when one closes a file, the system drops
        those of the other, too. So each needs a file without locks, or the other one has to be closed.

        Raises:
            QueryFailed: the log of a copy cannot be merged into it.
        """
        if self.copy is None:
            return f"{self.path.absolute().as_uri()}?{_UNCHANGING if self.how == 'immutable' else _BESIDE_OTHERS}"
        file = self.copy.path_of(Path(os.path.realpath(self.path)))
        try:
            busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:  # a log of another time, with pages that the file does not reach to
            raise query_failed(error) from error
        if busy:
            raise QueryFailed("the log of its copy is in use")
        return f"{file.as_uri()}?{_UNCHANGING}"

    @property
    def outdated(self) -> bool:
        """Whether somebody wrote to the file since, and what was read may be half old and half new."""
        return self.how == "immutable" and _stamp(self.path) != self.stamp

    def close(self) -> None:
        """Close it and remove the copy."""
        self.connection.close()
        if self.copy is not None:
            self.copy.remove()


def open_sqlite(path: Path) -> Opened:
    """Open a file in the way that fits what lies beside it.

    Raises:
        CannotOpen: it cannot be opened, and why.
    """
    for _ in range(ATTEMPTS):
        stamp = _stamp(path)
        header, beside = read_header(path), sidecars(path)
        if _stamp(path) == stamp:
            return _opened_beside(path, header, stamp, beside)
    raise CannotOpen("locked", "is being changed while it is opened", _writers(path))


def open_alone(path: Path) -> Opened:
    """Open a file as if nothing were beside it: what a journal or log would change is not seen.

    Raises:
        CannotOpen: it cannot be opened, and why.
    """
    stamp, header = _stamp(path), read_header(path)
    _must_be_whole(header)
    return _immutable(path, header, stamp)


def copied_to_memory(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy of an open database that SQLite may write and that is in no file."""
    copy = sqlite3.connect(":memory:")
    for setting in SETTINGS:
        copy.execute(f"PRAGMA {setting}")
    connection.backup(copy)
    return copy


def a_reader(path: Path, header: SqliteHeader, beside: Sequence[Sidecar]) -> sqlite3.Connection:
    """A connection that takes the locks which a reader takes, as far as that leaves nothing beside the file.

    In WAL mode readers wait for nobody, and connecting like one would make log files come into being; so the file is
    then opened as if it could not change.

    Raises:
        CannotOpen: what is beside the file would be changed, or would keep the reader waiting.
    """
    for each in beside:
        if each.kind != "duckdb-wal" and each.size < 0:
            raise CannotOpen("not-a-file", f"{each.path.name} beside it is no file")
        if each.kind == "journal" and each.holds_changes and not each.live:
            raise CannotOpen("unreadable", "the first of them would have to undo the interrupted transaction")
        if each.kind == "wal" and each.holds_changes and not header.wal:
            raise CannotOpen(
                "unreadable", "the first of them would merge the log beside the file, which is not its own"
            )
    address = f"{path.absolute().as_uri()}?{_UNCHANGING if header.wal else _BESIDE_OTHERS}"
    return sqlite3.connect(address, uri=True, timeout=0)


def _opened_beside(path: Path, header: SqliteHeader, stamp: object, beside: Sequence[Sidecar]) -> Opened:
    for each in beside:
        if each.size < 0 and each.kind != "duckdb-wal":
            raise CannotOpen("not-a-file", f"cannot be opened: {each.path.name} beside it is no file")
    needed = holding_changes(beside, "sqlite")
    if not needed:
        _must_be_whole(header)
        return _immutable(path, header, stamp)
    if not any(each.live for each in needed):
        return _copied(path, needed, header)
    return (_snapshot(path, needed, header) if header.wal else None) or _live(path, needed, header)


def _must_be_whole(header: SqliteHeader) -> None:
    if header.surplus < 0:
        raise CannotOpen(
            "truncated", f"is cut off: {-header.surplus} of its {header.size - header.surplus} bytes are missing"
        )


def _immutable(path: Path, header: SqliteHeader, stamp: object) -> Opened:
    opened = _connected(path, path, "immutable", _UNCHANGING, header)
    return Opened(opened.connection, "immutable", header, stamp, path)


def _live(path: Path, needed: Sequence[Sidecar], header: SqliteHeader) -> Opened:
    if header.wal and not any(each.kind == "wal" for each in needed):
        return _copied(path, needed, header)  # the log that SQLite misses it would make
    try:
        return _connected(path, path, "live", _BESIDE_OTHERS, header)
    except _NotReadable:
        return _copied(path, needed, header)


def _copied(path: Path, needed: Sequence[Sidecar], header: SqliteHeader) -> Opened:
    real = Path(os.path.realpath(path))
    return _connected_to_copy(path, PrivateCopy([real, *(each.path for each in needed)]), header)


def _connected_to_copy(path: Path, copy: PrivateCopy, header: SqliteHeader) -> Opened:
    try:
        file = copy.path_of(Path(os.path.realpath(path)))
        opened = _connected(path, file, "copy", "mode=rw", header)
    except BaseException:
        copy.remove()
        raise
    return Opened(opened.connection, "copy", header, None, path, copy)


def _snapshot(path: Path, needed: Sequence[Sidecar], header: SqliteHeader) -> Opened | None:
    """A copy of a database in WAL mode that others work on, if it is small and they leave it in peace for so long.

    Who connects to it instead may turn out to be the last to leave, and the log would then stay behind. Copied while
    others only append to the log, file and log are what a crash at that moment would have left, which SQLite reads.
    """
    real = Path(os.path.realpath(path))
    if header.size + sum(each.size for each in needed) > _SNAPSHOT_LIMIT:
        return None
    for _ in range(ATTEMPTS):
        before = _checkpoint_state(real)
        try:
            copy = PrivateCopy([real, *(each.path for each in needed)])
        except CannotOpen:
            return None
        if before == _checkpoint_state(real):
            return _connected_to_copy(path, copy, header)
        copy.remove()
    return None


def _checkpoint_state(real: Path) -> object:
    """What changes when somebody moves changes from the log into the file, or begins the log anew."""
    try:
        with real.with_name(f"{real.name}-wal").open("rb") as log:
            return _stamp(real), log.read(_WAL_HEADER)
    except OSError:
        return None


class _NotReadable(Exception):
    """SQLite cannot open the original as it lies there; a copy may do."""


def _connected(path: Path, file: Path, how: How, mode: str, header: SqliteHeader) -> Opened:
    """Connect and read the schema, so that what cannot be read is known at once."""
    connection = None
    try:
        address = f"{file.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(
            address, uri=True, timeout=PATIENCE_S, isolation_level=None, check_same_thread=False
        )
        for setting in SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except FAILURES as error:
        if connection is not None:
            connection.close()
        raise _cannot_open(error, path, how) from error
    return Opened(connection, how, header, None, path)


def _cannot_open(error: BaseException, path: Path, how: How) -> Exception:
    text = one_line(error)
    if "locked" in text or "busy" in text:
        holders = _writers(path)
        by = f" by {', '.join(map(str, holders))}" if holders else ""
        return CannotOpen("locked", f"is locked{by}", holders)
    if how == "live" and any(word in text for word in _NOT_IN_PLACE):
        return _NotReadable(text)
    if is_damage(text):
        return CannotOpen("damaged", f"is damaged: {text}")
    return CannotOpen(_why(text, path), f"cannot be opened: {text}")


def _why(text: str, path: Path) -> Why:
    """Why SQLite cannot open a file; where its message does not tell, the system is asked for the file."""
    by_message = next((why for part, why in _WHY if part in text), None)
    if by_message is not None:
        return by_message
    try:
        path.open("rb").close()
    except OSError as error:
        return why_refused(error.errno)
    return "unreadable"


def _writers(path: Path) -> tuple[Holder, ...]:
    return tuple(each for each in lock_holders([path]) if each.mode == "writes")


def _stamp(path: Path) -> object:
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_ino, info.st_size, info.st_mtime_ns)
