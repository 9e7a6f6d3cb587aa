"""PostgreSQL servers as the repair reaches them: by the registration of a dataset, with the credentials of the home.

Where the home has no password for a role, the client library takes that of the environment (`PGPASSWORD`, `~/.pgpass`).
No password is ever shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

from pytest_mdm_health.backends import CannotOpen
from pytest_mdm_health.backends.base import Row, one_line, quote
from pytest_mdm_health.backends.postgresql import connect_for_repair
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.core.text import one_line as printable
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.mdm.registrations import Registration
from pytest_mdm_health.mdm.servers import (
    MAINTENANCE,
    Connection,
    connection_of,
    connection_of_settings,
    server_key,
    servers_of,
)
from pytest_mdm_health.repair.step import NotDone

LOCK_TIMEOUT_MS = 10_000
"""So long a statement waits for what another session holds, before it gives up."""

NOTICED_S = 10.0
"""So long it may take until the server's counters show what was done."""

_PAUSE_S = 0.1
_TABLE_KINDS = ("r", "p", "m")
_SETTINGS = {"statement_timeout": 0, "lock_timeout": LOCK_TIMEOUT_MS}
_TABLE = """
SELECT c.oid, c.relkind::text, format('%%I.%%I', n.nspname, c.relname), pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = coalesce(to_regclass(%s), to_regclass(%s))
"""


@dataclass(frozen=True)
class Relation:
    """A table or an index.

    Attributes:
        oid: the number that the server has for it.
        kind: the letter that the server has for its kind.
        name: with its schema, quoted for SQL where necessary.
        owner: the role that it belongs to.
    """

    oid: int
    kind: str
    name: str
    owner: str


@dataclass(frozen=True)
class Session:
    """A session on a server, each of whose statements is a transaction of its own.

    Attributes:
        address: of the database, for sentences.
        warnings: what the server warned of.
    """

    connection: psycopg.Connection[Row]
    address: str
    warnings: list[str] = field(default_factory=list)

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a statement; its rows."""
        cursor = self.connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description is not None else []

    def value(self, statement: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401 - whatever it is
        """The only value that a query gives."""
        ((value,),) = self.rows(statement, parameters)
        return value

    def relation(self, name: str) -> Relation:
        """The table or index of a name, which may be as it is or as SQL has it: with its schema, and quoted.

        Raises:
            NotDone: there is none.
        """
        found = self.rows(_TABLE, (quote(name), name))
        if not found:
            raise NotDone(f"{self.address} has no {name}")
        return Relation(*found[0])

    def table(self, name: str) -> Relation:
        """The table of a name.

        Raises:
            NotDone: there is none.
        """
        found = self.relation(name)
        if found.kind not in _TABLE_KINDS:
            raise NotDone(f"{found.name} in {self.address} is no table")
        return found

    def soon(self, is_so: Callable[[], bool]) -> bool:
        """Whether something is so, or becomes so while the server's counters catch up."""
        until = time.monotonic() + NOTICED_S
        while not is_so():
            if time.monotonic() > until:
                return False
            time.sleep(_PAUSE_S)
        return True

    @property
    def said(self) -> str:
        """What the server warned of, to follow a sentence."""
        return f": {'; '.join(self.warnings[:3])}" if self.warnings else ""


def connection_for(repair: Repair, home: Home) -> Connection:
    """How the database is reached that a call is about.

    Its place is the registration of a dataset there, or `mdm.yaml` for the server of the settings; the options
    `database` and `as` name another database of the server and another role.

    Raises:
        NotDone: the place leads to no database on a server.
    """
    inventory = take_inventory(home.root, os.environ)
    place = Path(repair.place)
    if place == home.settings_file:
        connection: Connection | None = connection_of_settings(inventory.settings, "").to(MAINTENANCE)
    else:
        dataset = next((each for each in inventory.datasets if _is_registration(each.registration, place)), None)
        if dataset is None:
            raise NotDone(f"{place} registers no dataset of this home")
        connection = connection_of(dataset, inventory.settings)
    if connection is None:
        raise NotDone(f"{place} registers no dataset on PostgreSQL")
    if connection.problem:
        raise NotDone(f"{place} leads to no server: {connection.problem}")
    role = repair.option("as")
    if role is not None and role != connection.user:
        key = server_key(connection)
        same = [server for server in servers_of(inventory) if server_key(server.logins[0]) == key]
        known = [login for server in same for login in (*server.logins, *server.databases.values())]
        login = next((each for each in known if each.user == role), replace(connection, user=role, password=None))
        connection = login.to(connection.database)
    return connection.to(repair.option("database") or connection.database)


@contextmanager
def session_on(wanted: Connection) -> Iterator[Session]:
    """A session that can write; a refusal of the server in the block is one line.

    Raises:
        NotDone: the server cannot be reached, or refused something.
    """
    try:
        connection = connect_for_repair(wanted, _SETTINGS)
    except CannotOpen as error:
        raise NotDone(f"{wanted.address} {error}") from None
    with closing(connection):
        session = Session(connection, wanted.address)
        connection.add_notice_handler(_keeping(session.warnings))
        try:
            yield session
        except psycopg.Error as error:
            raise NotDone(f"{wanted.address} refused it: {redact(one_line(error))}") from None


def _is_registration(registration: Registration | None, place: Path) -> bool:
    return registration is not None and registration.file.resolve() == place.resolve()


def _keeping(warnings: list[str]) -> Callable[[Diagnostic], None]:
    def keep(notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(redact(printable(notice.message_primary or "")))

    return keep
