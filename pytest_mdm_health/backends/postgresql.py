"""Databases on a PostgreSQL server, read in a session that cannot write and that waits for nothing long.

A server says why it lets nobody in as text only, in its own language; what does not match the English words is told
as a refusal, with the server's own words.

A pooler such as pgbouncer takes no settings for a session, and one set later would stay with a connection that it
gives to others next. Behind it each statement is a transaction with settings of its own.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors

from pytest_mdm_health.backends.base import (
    CannotOpen,
    Column,
    ConnectionLost,
    Failure,
    How,
    QueryFailed,
    Row,
    SharedConnection,
    Unfinished,
    Verification,
    Why,
    one_line,
    quote,
)
from pytest_mdm_health.backends.hanging_up import hanging_up_after
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.core.session import clock, progress
from pytest_mdm_health.mdm.servers import OURS, Connection

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_MS = 20_000
LOCK_TIMEOUT_MS = 2_000
GRACE_S = 5.0
"""So much longer than the server may take we wait for its answer."""

_OPTIONS: Mapping[str, object] = {
    "statement_timeout": STATEMENT_TIMEOUT_MS,
    "lock_timeout": LOCK_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": STATEMENT_TIMEOUT_MS,
    "default_transaction_read_only": "on",
}
_WHY: tuple[tuple[str, Why], ...] = (
    ("starting up", "starting"),
    ("not yet accepting connections", "starting"),
    ("not accepting connections", "starting"),
    ("shutting down", "starting"),
    ("recovery mode", "starting"),
    ("too many connections", "full"),
    ("too many clients", "full"),
    ("connection slots are reserved", "full"),
    ("no more connections allowed", "full"),
    ("expected authentication request", "foreign"),
    ("invalid response to ssl negotiation", "foreign"),
    ("closed the connection unexpectedly", "dropped"),
    ("terminating connection", "dropped"),
    ("connection refused", "away"),
    ("timeout expired", "away"),
    ("timed out", "away"),
    ("no route to host", "away"),
    ("network is unreachable", "away"),
    ("failed to resolve host", "away"),
    ("could not translate host name", "away"),
    ("name or service not known", "away"),
    ("nodename nor servname", "away"),
    ("name resolution", "away"),
    ("no such file or directory", "away"),
    ("is the server running", "away"),
    ("cannot connect to server", "away"),
    ("server login has been failing", "away"),
)
_STATES: tuple[tuple[tuple[str, ...], Failure], ...] = (
    (("XX", "58"), "damaged"),
    (("55P03", "40P01"), "locked"),
    (("42501",), "forbidden"),
    (("08", "HV"), "remote"),
    (("42", "3F", "22", "P0", "2F", "38", "39", "55000", "0A"), "broken"),
)
"""How the codes of errors begin, and the one word for them. Of damage tell internal errors, and the system's over
files; of what is broken what a view, or a function that it calls, refers to or computes."""

_OWN_FILE = re.compile(r"(?<![\w/.])(?:base|global|pg_\w+)/")
"""A file of the server's own data, in the message of an error."""

_NAMED_HOLDERS = 3
_HOLDERS = """
WITH exclusive AS (
  SELECT l.relation, l.database, l.pid, l.virtualtransaction, l.granted
  FROM pg_locks l JOIN pg_database d ON d.oid = l.database
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND d.datname = current_database()
    AND l.pid IS DISTINCT FROM pg_backend_pid()
), blocking AS (
  SELECT relation, pid, virtualtransaction FROM exclusive
  UNION
  SELECT l.relation, l.pid, l.virtualtransaction
  FROM exclusive e JOIN pg_locks l ON l.database = e.database AND l.relation = e.relation
  WHERE NOT e.granted AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
)
SELECT c.relname, b.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, p.owner::text, ''),
  coalesce(a.state, ''),
  coalesce(to_char(coalesce(a.query_start, p.prepared) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), ''),
  coalesce(quote_literal(p.gid), '')
FROM blocking b JOIN pg_class c ON c.oid = b.relation LEFT JOIN pg_stat_activity a ON a.pid = b.pid
  LEFT JOIN pg_locks x ON b.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = b.virtualtransaction
    AND x.locktype = 'transactionid'
  LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') ORDER BY 1, 2 LIMIT 100
"""
"""Who locks tables of this database against readers, or waits to and holds up those who come after; also who in turn
holds up the latter."""

_NO_DATABASE = re.compile(r'database "[^"]*" does not exist|no such database')
_POOLER = "unsupported startup parameter"
_WORDS = {
    "away": "does not answer",
    "starting": "is not accepting connections now",
    "full": "has no connection left",
    "dropped": "broke the connection off",
    "no-database": "has no such database",
    "foreign": "is no PostgreSQL server",
    "refused": "does not let us in",
}
_PREFACE = re.compile(
    r"^(?:connection failed: |connection is bad: )?(?:connection to server (?:at|on socket) .*? failed: )?(?:FATAL: )?"
)
_ADVICE = re.compile(r" Is the server running (?:on that host|locally) and accepting [^?]*\?")
_PLACEHOLDER = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[?%]")


class PostgresDatabase(SharedConnection):
    """An open database on a server; a `base.Database`.

    Attributes:
        application: what sessions of ours are called, those of other workers too.
        connect_s: how long it took to connect, in seconds.
    """

    engine = "postgresql"
    application = OURS
    how: How = "connected"
    surplus = 0

    def __init__(self, wanted: Connection) -> None:
        """Connect.

        Raises:
            CannotOpen: there is no connection, and why.
        """
        if wanted.problem:
            raise CannotOpen("unreadable", f"cannot be opened: {wanted.problem}")
        started = time.perf_counter()
        self._connection = connect(wanted)
        self.connect_s = time.perf_counter() - started
        self._pooled = not self._connection.info.get_parameters().get("options")

    @property
    def connection(self) -> psycopg.Connection[Row]:
        """The connection of psycopg."""
        return self._connection

    @property
    def closed(self) -> bool:
        """Whether the connection is gone, as far as is known without asking the server."""
        return self._connection.closed

    def tables(self) -> tuple[str, ...]:
        """As `Database.tables`: those that a statement reaches without naming a schema."""
        rows = self.query(
            "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(pg_class.oid) "
            "AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS "
            "(SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')"
        )
        return tuple(sorted(name for (name,) in rows))

    def derived(self) -> frozenset[str]:
        """As `Database.derived`."""
        rows = self.query(
            "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm', 'f') AND pg_table_is_visible(pg_class.oid)"
        )
        return frozenset(name for (name,) in rows)

    def columns(self, table: str) -> tuple[Column, ...]:
        """As `Database.columns`."""
        rows = self.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (quote(table),),
        )
        if not rows:
            raise QueryFailed(f"no such table: {table}")
        return tuple(Column(name, type_) for name, type_ in rows)

    def count(self, table: str) -> int:
        """As `Database.count`."""
        return int(self.query(f"SELECT count(*) FROM {quote(table)}")[0][0])  # noqa: S608 - quoted

    def verify(self, complete: bool, within_s: float | None = None) -> Verification:
        """As `Database.verify`: if complete, every value is read, which verifies checksums where they are on."""
        problems = list(self._known_failures())
        deadline = None if within_s is None else clock() + within_s
        tables = self.tables() if complete else ()
        for number, table in enumerate(tables):
            progress("the tables of the database", number, len(tables), "tables")
            problems += self._read_through(table, deadline)
        return Verification(damage=tuple(problems))

    def query(self, sql: str, parameters: Sequence[object] = (), within_s: float | None = None) -> list[Row]:
        """As `Database.query`; `within_s` takes the place of the usual time-out.

        Raises:
            ConnectionLost: the server broke the connection off.
            Unfinished: it took longer than `within_s`, where that was given.
        """
        own = {} if within_s is None else {"statement_timeout": max(1, int(within_s * 1000))}
        local = {**_OPTIONS, **own} if self._pooled else own
        patience_s = (STATEMENT_TIMEOUT_MS / 1000 if within_s is None else within_s) + GRACE_S
        try:
            with hanging_up_after(self._connection, patience_s):
                return self._asked(sql, parameters, local)
        except psycopg.Error as error:
            raise self.failed(error, sql, within_s) from None
        except UnicodeDecodeError:
            raise QueryFailed("the server sent a text that is not in UTF-8") from None

    def close(self) -> None:
        """As `Database.close`."""
        self._connection.close()

    def _asked(self, sql: str, parameters: Sequence[object], local: Mapping[str, object]) -> list[Row]:
        if not local:
            return _rows(self._connection, sql, parameters)
        with self._connection.transaction():
            settings = "; ".join(f"SET LOCAL {name} = {value}" for name, value in local.items())
            self._connection.execute(settings.encode())
            return _rows(self._connection, sql, parameters)

    def _known_failures(self) -> Sequence[str]:
        rows = self.query("SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()")
        failures = rows[0][0] if rows else None
        return (f"{failures} pages failed their checksum since the statistics were reset",) if failures else ()

    def _read_through(self, table: str, deadline: float | None) -> Sequence[str]:
        left = None if deadline is None else deadline - clock()
        if left is not None and left <= 0:
            raise Unfinished("did not finish in the time given")
        try:
            self.query(f"SELECT count(t::text) FROM {quote(table)} t", (), left)  # noqa: S608 - quoted
        except ConnectionLost:
            raise
        except QueryFailed as error:  # a lock, a right or a view that fails is no damage; whoever counts rows tells it
            return (f"table {table}: {error}",) if error.damaged else ()
        return ()

    def failed(self, error: psycopg.Error, sql: str, within_s: float | None = None) -> Exception:
        """What an error of the driver's is for whoever asked.

        Args:
            error: the error.
            sql: the statement that failed.
            within_s: the time that was given for it, if any.
        """
        text = redact(one_line(error))
        if self._connection.closed:
            return ConnectionLost(f"the server broke the connection off: {text}")
        if isinstance(error, errors.QueryCanceled) and within_s is not None:
            return Unfinished(f"did not finish within {within_s:g} s")
        why = _why_failed(error, text)
        holders = self._holders(sql) if why == "locked" else ""
        return QueryFailed(f"{text}: {holders}" if holders else text, why)

    def _holders(self, sql: str) -> str:
        """Who keeps others from reading the tables that a statement names; empty if no session does any more.

        Where it names none of those that are locked, it reads a view, and whoever locks any table is named.
        """
        try:
            rows = self._asked(_HOLDERS, (), _OPTIONS if self._pooled else {})
        except psycopg.Error:
            return ""
        named = [row for row in rows if quote(row[0]) in sql] or rows
        holders = list(dict.fromkeys(_holder(*row) for row in named))
        more = f" and {len(holders) - _NAMED_HOLDERS} more" if len(holders) > _NAMED_HOLDERS else ""
        return f"{' and '.join(holders[:_NAMED_HOLDERS])}{more}"


def _why_failed(error: psycopg.Error, text: str) -> Failure:
    state = error.sqlstate or ""
    why: Failure = next((word for beginnings, word in _STATES if state.startswith(beginnings)), "other")
    if state.startswith("58P01") and not _OWN_FILE.search(text):
        return "remote"  # a file that a foreign table reads
    return why


def _holder(relation: str, pid: int | None, application: str, user: str, state: str, began: str, prepared: str) -> str:
    """Who holds a lock, in words: a session, or a transaction that was prepared and is in no session any more."""
    if pid is None:
        return f"{relation} is locked by the prepared transaction {prepared} of {user} (prepared {began})"
    details = [f"application {application}" if application else "", f"role {user}" if user else "", state]
    details.append(f"its query began {began}" if began else "")
    return f"{relation} is locked by process {pid} ({', '.join(each for each in details if each)})"


def connect(wanted: Connection) -> psycopg.Connection[Row]:
    """A connection that cannot write, for what needs the driver's own.

    Raises:
        CannotOpen: there is none, and why.
    """
    connection = _connected_anyhow(wanted, _OPTIONS)
    connection.read_only = True
    return connection


def connect_for_repair(wanted: Connection, settings: Mapping[str, object]) -> psycopg.Connection[Row]:
    """A connection that can write, with these settings where no pooler is in between; only the repair makes one.

    Raises:
        CannotOpen: there is none, and why.
    """
    return _connected_anyhow(wanted, {**settings, "default_transaction_read_only": "off"})


@contextlib.contextmanager
def connecting(wanted: Connection) -> Iterator[None]:
    """A block that finds out whether a connection can be used; what the driver raises in it is told as for `connect`.

    Raises:
        CannotOpen: it cannot, and why.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _cannot_open(error, wanted) from None


def connection_string(wanted: Connection, settings: Mapping[str, str]) -> str:
    """What another client is given for a connection like ours, with settings of its own; the password is in it."""
    return psycopg.conninfo.make_conninfo("", **_parameters(wanted, _as_options({**_OPTIONS, **settings})))


def _as_options(settings: Mapping[str, object]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _parameters(wanted: Connection, options: str) -> dict[str, Any]:
    given = {
        "host": wanted.host,
        "port": wanted.port,
        "dbname": wanted.database,
        "user": wanted.user,
        "password": wanted.password,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "client_encoding": "UTF8",  # whatever the database has; psycopg makes no texts of one that says it has none
        "application_name": OURS,
        "options": options,
        **dict(wanted.ssl),
    }
    return {name: value for name, value in given.items() if value is not None}


def _connected_anyhow(wanted: Connection, settings: Mapping[str, object]) -> psycopg.Connection[Row]:
    """A connection with these settings, or without them where a pooler takes none."""
    try:
        return _connected(wanted, _as_options(settings))
    except psycopg.Error as error:
        if _POOLER not in str(error):
            raise _cannot_open(error, wanted) from None  # the driver's own traceback shows the password
    try:
        return _connected(wanted, "")
    except psycopg.Error as error:
        raise _cannot_open(error, wanted) from None


def _connected(wanted: Connection, options: str) -> psycopg.Connection[Row]:
    return psycopg.connect("", autocommit=True, prepare_threshold=None, **_parameters(wanted, options))


def _rows(connection: psycopg.Connection[Row], sql: str, parameters: Sequence[object]) -> list[Row]:
    cursor = connection.execute(*_with_placeholders(sql, parameters))
    return cursor.fetchall() if cursor.description is not None else []


def _cannot_open(error: psycopg.Error, wanted: Connection) -> CannotOpen:
    text = _own_words(error)
    code = why(text)
    whom = f", as {wanted.user}" if code == "refused" and wanted.user else ""
    return CannotOpen(code, f"cannot be opened: the server {_WORDS[code]}{whom}: {redact(text)}")


def why(text: str) -> Why:
    """The one word for what a server, or the driver in its stead, says when there is no connection."""
    folded = text.casefold()
    if _NO_DATABASE.search(folded):
        return "no-database"
    return next((code for words, code in _WHY if words in folded), "refused")


def _own_words(error: psycopg.Error) -> str:
    """The server's message, without what the driver adds."""
    text = " ".join(str(error).split())
    words = _ADVICE.sub("", _PREFACE.sub("", text)).strip()
    return words if len(words) <= 300 else words[:299] + "…"  # noqa: PLR2004 - as `one_line`


def _with_placeholders(sql: str, parameters: Sequence[object]) -> tuple[Any, ...]:
    """The statement with psycopg's placeholders for our question marks; as it is where there are no parameters."""
    if not parameters:
        return (sql.encode(),)
    translated = _PLACEHOLDER.sub(lambda match: {"?": "%s", "%": "%%"}.get(match[0], match[0].replace("%", "%%")), sql)
    return (translated.encode(), parameters)
