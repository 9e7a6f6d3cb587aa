"""The PostgreSQL servers that a home names, and how each of its databases is reached.

A registration has the connection in fields of its own, or as a connection string, or says no more than that the data
is on PostgreSQL; then the settings say where, and the prefix and the dataset's name which database. What a
registration leaves out comes from the settings too, as MDM has it, but a password goes to no other server or user
than the one it was written for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from pytest_mdm_health.mdm.inventory import Dataset, Inventory
    from pytest_mdm_health.mdm.registrations import Registration
    from pytest_mdm_health.mdm.settings import Settings

MAINTENANCE = "postgres"
"""The database that MDM itself goes to for what concerns the whole server."""

OF_MDM = "mdm"
"""With what the names begin that MDM's programs give their sessions."""

OURS = "mdm-health"
"""What the server's lists of sessions show for those of this suite."""

DEFAULT_PORT = 5432
_SETTINGS = "database.postgresql."
_ADDRESS = re.compile(
    r"(?P<scheme>postgres(?:ql)?(?:\+\w+)?)://(?:(?P<user>[^:/@]*)(?::(?P<password>.*))?@)?"
    r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:/?@]*))(?::(?P<port>[^/?@]*))?(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_PAIR = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S*))")
_SSL = ("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl")
_ALIASES = {"dbname": "database", "username": "user"}
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1", re.IGNORECASE)


@dataclass(frozen=True)
class Connection:
    """How one database on a server is reached. Never shows the password.

    Attributes:
        host: its name or address, or the folder of its socket.
        database: the name of the database.
        user: as whom; None leaves it to the client library, as MDM does.
        ssl: further parameters for encryption, such as the name of a certificate's file.
        origin: where it comes from: `fields`, `connection_string` or `settings`.
        problem: what makes it unusable, as a sentence without a full stop; empty if nothing does.
    """

    host: str
    port: int
    database: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    origin: str = "fields"
    problem: str = ""

    @property
    def server(self) -> str:
        """Host and port, as a person writes them."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Host, port and database."""
        return f"{self.server}/{self.database}"

    @property
    def login(self) -> tuple[object, ...]:
        """What two connections to one server have in common if one of them says whether the other is let in."""
        return (self.user, self.password, self.ssl)

    @property
    def local(self) -> bool:
        """Whether the server is known to run on this machine."""
        return self.host.startswith("/") or _LOOPBACK.fullmatch(self.host) is not None

    def to(self, database: str) -> Connection:
        """The same for another database of the server."""
        return replace(self, database=database)


@dataclass(frozen=True)
class Server:
    """A server, with the ways that lead to it.

    Attributes:
        name: host and port as first met.
        logins: one connection to the maintenance database for each user, password and encryption that the home has for
            this server; that of the settings first.
        databases: the connection of each dataset that is registered here, by the dataset's name.
        prefix: with what the names of MDM's databases begin.
        assumed: the place that makes PostgreSQL the default backend, if nothing else leads to this server and nobody
            says which one it is, so that it is MDM's own default; else empty.
    """

    name: str
    logins: tuple[Connection, ...]
    databases: Mapping[str, Connection]
    prefix: str = "mdm_"
    assumed: str = ""

    @property
    def local(self) -> bool:
        """Whether it is known to run on this machine."""
        return self.logins[0].local

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the home has a login of."""
        connections = (*self.logins, *self.databases.values())
        return tuple(sorted({connection.user for connection in connections if connection.user}))


def connection_of(dataset: Dataset, settings: Settings) -> Connection | None:
    """How a dataset's data is reached; None if it is not on PostgreSQL."""
    registration = dataset.registration
    if registration is None or registration.backend != "postgresql":
        return None
    fallback = connection_of_settings(settings, dataset.name)
    given = _given(registration)
    own = {name: value for name, value in given.items() if value not in (None, "")}
    if {"host", "database"} & own.keys():
        return _merged(own, fallback, "fields")
    if "connection_string" in own:
        return _of_string(str(own["connection_string"]), fallback)
    return _merged(own, fallback, "settings")


def connection_of_settings(settings: Settings, name: str) -> Connection:
    """How the settings lead to the database of a dataset of this name."""

    def setting(key: str) -> object:
        return settings[f"{_SETTINGS}{key}"]

    user, password = setting("user"), setting("password")
    return Connection(
        host=str(setting("host")),
        port=int(str(setting("port"))),
        database=f"{setting('database_prefix')}{name.lower()}",
        user=None if user is None else str(user),
        password=None if password is None else str(password),
        ssl=(("sslmode", str(setting("sslmode"))),),
        origin="settings",
    )


def is_left_to_defaults(dataset: Dataset, settings: Settings) -> bool:
    """Whether data is on PostgreSQL, and neither its registration nor the settings say on which server."""
    connection = connection_of(dataset, settings)
    if connection is None or connection.origin != "settings":
        return False
    return _names_no_server(settings)


def servers_of(inventory: Inventory) -> tuple[Server, ...]:
    """The servers that registrations name, and the one of the settings if PostgreSQL is the default backend."""
    settings = inventory.settings
    found: dict[str, list[tuple[str, Connection]]] = {}
    if settings["database.default_backend"] == "postgresql":
        own = connection_of_settings(settings, "").to(MAINTENANCE)
        found.setdefault(server_key(own), []).append(("", own))
    for dataset in inventory.datasets:
        connection = connection_of(dataset, settings)
        if connection is not None and not connection.problem:
            found.setdefault(server_key(connection), []).append((dataset.name, connection))
    prefix = str(settings[f"{_SETTINGS}database_prefix"])
    assumed = settings.values["database.default_backend"].origin.place if _names_no_server(settings) else ""
    servers = (_server(members, prefix, assumed) for members in found.values())
    return tuple(sorted(servers, key=lambda server: server.name))


def registrations_on(server: Server, inventory: Inventory) -> dict[str, str]:
    """By database of a server, the file that registers a dataset in it."""
    return {
        server.databases[dataset.name].database: str(dataset.registration.file)
        for dataset in inventory.datasets
        if dataset.registration is not None and dataset.name in server.databases
    }


def server_key(connection: Connection) -> str:
    """The same text for two connections to one server, whatever a machine calls itself."""
    host = "localhost" if _LOOPBACK.fullmatch(connection.host) else connection.host.casefold()
    return f"{host}:{connection.port}"


def _names_no_server(settings: Settings) -> bool:
    return all(settings.values[f"{_SETTINGS}{key}"].origin.kind == "default" for key in ("host", "port", "user"))


def _server(members: Iterable[tuple[str, Connection]], prefix: str, assumed: str) -> Server:
    members = list(members)
    logins: dict[tuple[object, ...], Connection] = {}
    named = [connection for _, connection in members if connection.user]
    for connection in named or [connection for _, connection in members]:  # without a user it is anybody's guess
        logins.setdefault(connection.login, connection.to(MAINTENANCE))
    databases = {name: connection for name, connection in members if name}
    return Server(members[0][1].server, tuple(logins.values()), databases, prefix, "" if databases else assumed)


def _given(registration: Registration) -> Mapping[str, object]:
    database = registration.data.get("database")
    return database if isinstance(database, Mapping) else registration.data if database is None else {}


def _of_string(text: str, fallback: Connection) -> Connection:
    address = _ADDRESS.fullmatch(text.strip())
    if address is not None:
        parts = {name: value for name, value in address.groupdict().items() if value}
        given = {
            name: unquote(parts[name]) for name in ("user", "password", "host", "port", "database") if name in parts
        }
        given |= {"host": parts["v6"]} if "v6" in parts else {}
        given |= dict(parse_qsl(parts.get("query", "")))
    elif "://" not in text and _PAIR.match(text):
        given = {name: re.sub(r"\\(.)", r"\1", quoted) or plain for name, quoted, plain in _PAIR.findall(text)}
    else:
        return replace(
            fallback, origin="connection_string", problem="its connection string is no address of PostgreSQL"
        )
    named = {_ALIASES.get(name, name): value for name, value in given.items()}
    return _merged(named, fallback, "connection_string")


def _merged(own: Mapping[str, object], fallback: Connection, origin: str) -> Connection:
    port, problem = _port(own.get("port", fallback.port))
    host = str(own.get("host") or fallback.host)
    user = str(own["user"]) if own.get("user") else fallback.user
    merged = Connection(host, port, str(own.get("database") or fallback.database), user, origin=origin, problem=problem)
    same = server_key(merged) == server_key(fallback) and user == fallback.user
    password = own.get("password", fallback.password if same else None)
    ssl = dict(fallback.ssl) | {name: str(own[name]) for name in _SSL if own.get(name)}
    return replace(merged, password=None if password is None else str(password), ssl=tuple(sorted(ssl.items())))


def _port(value: object) -> tuple[int, str]:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 1 << 16:
        return DEFAULT_PORT, "its port is no number of a port"
    return int(text), ""
