"""What every backend offers: a small read-only view of a database, and one exception for each way to fail."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_mdm_health.mdm.host.processes import Holder

if TYPE_CHECKING:
    from typing_extensions import Self

Why = Literal[
    "missing",
    "not-a-file",
    "empty",
    "wrong-format",
    "truncated",
    "locked",
    "unreadable",
    "damaged",
    "newer-format",
    "older-format",
    "encrypted",
    "foreign-log",
    "damaged-log",
    "no-permission",
    "no-descriptors",
    "no-memory",
    "io-error",
    "no-room",
    "away",
    "refused",
    "starting",
    "full",
    "no-database",
    "foreign",
    "dropped",
]
How = Literal["immutable", "copy", "live", "attached", "connected"]
Failure = Literal["damaged", "broken", "lacking", "restricted", "locked", "forbidden", "remote", "other"]
Row = tuple[Any, ...]
_DISTURBING = ("live", "attached")


_BY_ERRNO: Mapping[int, Why] = {
    errno.EACCES: "no-permission",
    errno.EPERM: "no-permission",
    errno.EMFILE: "no-descriptors",
    errno.ENFILE: "no-descriptors",
    errno.ENOMEM: "no-memory",
    errno.EIO: "io-error",
    errno.ESTALE: "io-error",
    errno.ENOSPC: "no-room",
    errno.EDQUOT: "no-room",
}


def why_refused(number: int | None) -> Why:
    """Why the system refuses a file, by its error number."""
    return _BY_ERRNO.get(number or 0, "unreadable")


class CannotOpen(Exception):
    """A database that cannot be opened.

    Attributes:
        code: one word for why; `unreadable` if none of the others is known to be true. For a server: nobody answers, it
            lets nobody in like that, it is starting up or shutting down, it has no connection left, it has no such
            database, it broke the connection off.
        reason: the same for a person, to follow the file's name in a sentence ("is a FIFO").
        holders: for `locked`, the processes that hold it, as far as known.
    """

    def __init__(self, code: Why, reason: str, holders: tuple[Holder, ...] = ()) -> None:
        super().__init__(code, reason, holders)
        self.code, self.reason, self.holders = code, reason, holders

    def __str__(self) -> str:
        return self.reason


class QueryFailed(Exception):
    """A statement that the database could not answer; its text is one line.

    Attributes:
        why: one word for it, as far as the engine tells. `damaged`: the data is. `broken`: it refers to something that
            the database does not have, or fails by itself. `lacking`: it needs a module, function or collation that is
            not in the database but in the program that made it. `restricted`: it needs what this suite forbids.
            `locked`: another session holds it. `forbidden`: the role may not. `remote`: it is on another server or in
            a file beside the database, which cannot be reached.
    """

    def __init__(self, reason: str, why: Failure = "other") -> None:
        super().__init__(reason, why)
        self.why = why

    @property
    def damaged(self) -> bool:
        """Whether the engine says that the data is damaged, rather than that the statement makes no sense."""
        return self.why == "damaged"

    def __str__(self) -> str:
        return str(self.args[0])


class ConnectionLost(QueryFailed):
    """The server broke the connection off; the next who opens the database gets a new one."""


class Unfinished(Exception):
    """What was asked of a database was not finished in the time given."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its name and its type as the database declares it."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """What the engine cannot use because it lacks something that only the program which made it has.

    Attributes:
        kind: `index`, `table` or `view`.
        table: the table that it belongs to; a table itself.
        reason: what is lacking, as the engine says it.
    """

    kind: str
    name: str
    table: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Violated:
    """A constraint that rows break.

    Attributes:
        constraint: `NOT NULL`, `CHECK`, `UNIQUE`, `FOREIGN KEY`, or `type` for values of another type.
        table: the table; empty if only the index is known.
        detail: the column, index or other table, as far as it is known.
        count: how many rows were found to break it.
    """

    constraint: str
    table: str
    detail: str
    count: int


@dataclass(frozen=True, kw_only=True)
class IndexProblem:
    """An index that does not have what its table has; the table itself is sound.

    Attributes:
        table: the table; empty if it is not known.
        problems: what the engine says, the first of it.
        surplus: whether the index may have entries of rows that the table does not have.
    """

    name: str
    table: str
    problems: tuple[str, ...]
    surplus: bool


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What an engine found when it verified its data.

    Attributes:
        damage: what is wrong with the pages of the file, in sentences; a surplus after the end is the last of them.
        indexes: indexes that disagree with their tables, where nothing is damaged besides.
        violated: constraints that rows break.
        unusable: what could not be compared or verified, because the engine lacks something.
        unverified: what could not be verified at all, each with its reason.
    """

    damage: tuple[str, ...] = ()
    indexes: tuple[IndexProblem, ...] = ()
    violated: tuple[Violated, ...] = ()
    unusable: tuple[Unusable, ...] = ()
    unverified: tuple[str, ...] = ()


class Database(Protocol):
    """An open database, read-only.

    Leaving it as a context manager hands it back: what others could have to wait for is closed at once, the rest
    stays open for the next one who opens it.

    """

    @property
    def engine(self) -> str:
        """`sqlite`, `duckdb` or `postgresql`."""

    @property
    def how(self) -> How:
        """How it was opened.

        `immutable`: nobody writes. `copy`: of it and of what lies beside it, because reading would change those.
        `live`: beside others that have it open. `attached`: DuckDB, which refuses writers meanwhile. `connected`: to a
        server, in a session that cannot write.
        """

    @property
    def surplus(self) -> int:
        """Bytes of the file after the end of what belongs to the database."""

    @property
    def connection(self) -> Any:  # noqa: ANN401 - the engine's own
        """The engine's own connection, for what this view does not offer."""

    def tables(self) -> tuple[str, ...]:
        """The names of all tables and views but the engine's own, sorted.

        Raises:
            QueryFailed: the catalogue cannot be read.
        """

    def derived(self) -> frozenset[str]:
        """Those of `tables` whose rows are not stored as such in this database: views, virtual and foreign tables.

        Raises:
            QueryFailed: the catalogue cannot be read.
        """

    def columns(self, table: str) -> tuple[Column, ...]:
        """The columns of a table in their order.

        Raises:
            QueryFailed: there is no such table, or the catalogue cannot be read.
        """

    def count(self, table: str) -> int:
        """How many rows a table has.

        Raises:
            QueryFailed: there is no such table, or it cannot be read.
        """

    def integrity(self, complete: bool, within_s: float | None = None) -> tuple[str, ...]:
        """The damage alone that `verify` finds; empty if there is none."""

    def verify(self, complete: bool, within_s: float | None = None) -> Verification:
        """Let the engine verify the data.

        Args:
            complete: look at everything the engine can verify, rather than at what it can verify quickly.
            within_s: give up after this many seconds.

        Raises:
            Unfinished: it would have taken longer.
        """

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """The rows that a statement gives.

        Raises:
            QueryFailed: the engine refuses the statement, or what it needs cannot be read.
            Unfinished: it was broken off because its time was up, where the engine tells that from a failure.
        """

    @property
    def closed(self) -> bool:
        """Whether nothing can be asked any more."""

    @property
    def in_use(self) -> bool:
        """Whether a `with` block on it has not ended yet."""

    def close(self) -> None:
        """Close it and remove what was copied."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SharedConnection:
    """What happens at the end of a `with` on a database, the same for all backends."""

    how: How
    _entered = 0

    @property
    def in_use(self) -> bool:
        """Whether a `with` block on it has not ended yet."""
        return self._entered > 0

    def __enter__(self) -> Self:
        self._entered += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered -= 1
        if not self._entered and self.how in _DISTURBING:
            self.close()

    def integrity(self, complete: bool, within_s: float | None = None) -> tuple[str, ...]:
        """As `Database.integrity`."""
        return self.verify(complete, within_s).damage

    def verify(self, complete: bool, within_s: float | None = None) -> Verification:
        """As `Database.verify`."""
        raise NotImplementedError

    def close(self) -> None:
        """As `Database.close`."""
        raise NotImplementedError


def quote(identifier: str) -> str:
    """A name as SQL takes it, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: object) -> str:
    """A text as SQL takes it, whatever characters it has."""
    return "'" + str(value).replace("'", "''") + "'"


def one_line(error: BaseException, limit: int = 300) -> str:
    """An engine's message as one line, without its advice."""
    line = str(error).strip().partition("\n")[0].strip() or type(error).__name__
    return line if len(line) <= limit else line[: limit - 1] + "…"


def surplus_sentence(surplus: int) -> str:
    """What `integrity` says of bytes after the end."""
    return f"{surplus} bytes after the end of the database do not belong to it"
