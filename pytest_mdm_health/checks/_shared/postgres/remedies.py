"""What to do about a PostgreSQL server that cannot be used, by what it said.

A server says why it refuses in its own language; where none of the English words match, the general remedy is given.
`pg_isready` helps only where nothing answered: it says nothing about users, passwords, encryption and databases.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_mdm_health.checks._shared.postgres.commands import IS_READY, SESSIONS, admin_template
from pytest_mdm_health.core.findings import Steps


@dataclass(frozen=True)
class Answer:
    """A remedy, and when it fits.

    Attributes:
        problem: the one word for it, as in `CannotOpen.code`.
        words: one of them, in lower case, is in what the server said; empty for everything else.
        steps: the remedy; `next_step` says which values it may name.
    """

    problem: str
    words: tuple[str, ...]
    steps: Steps


def _answer(problem: str, words: str, text: str, *commands: str) -> Answer:
    """An answer; its words are separated by `|`."""
    return Answer(problem, tuple(words.split("|")) if words else (), Steps(text, commands))


CORRECT_THE_LOGIN = Steps(
    "Correct user, password and sslmode{login_places}, or the role and pg_hba.conf on the server. psql connects in the "
    "same way and asks for the password.",
    ("{connect}",),
)
BEHIND_THE_POOLER = Steps(
    "If a pooler runs at {server.host}:{server.port}, see its log, and start or correct the server behind it, which "
    "its section [databases] names; otherwise see the server's own log."
)
_LIST_ROLES = admin_template("SELECT rolname FROM pg_roles WHERE rolcanlogin")
_SHOW_HBA = admin_template("SHOW hba_file")
_SHOW_SESSIONS = admin_template(SESSIONS)
_ADD_TO_HBA = (
    "let an administrator add a line for {role}, {database} and this machine's address to pg_hba.conf and reload it."
)

ANSWERS = (
    _answer(
        "refused",
        "peer authentication|ident authentication",
        "Here the server accepts {role} only as the operating system's user of that name: run MDM as that user, or "
        "let an administrator set scram-sha-256 for the role in pg_hba.conf and reload it.",
        _SHOW_HBA,
    ),
    _answer(
        "refused",
        "no password supplied|empty password",
        "The server asks {role} for a password, and none is set: write it as `password` into the registration and "
        "its JSON copy, or into mdm.yaml. psql asks for it, so it can be tried first.",
        "{connect}",
    ),
    _answer(
        "refused",
        "is not permitted to log in",
        "Ask the administrator why the role {role} may not log in and to allow it (ALTER ROLE ... LOGIN), or "
        "correct the user{user_places}.",
        _LIST_ROLES,
    ),
    _answer(
        "refused",
        "no encryption",
        "If the server requires encryption, set sslmode to `require`{sslmode_places}; otherwise " + _ADD_TO_HBA,
        "{connect_encrypted}",
        _SHOW_HBA,
    ),
    _answer(
        "refused",
        "pg_hba.conf",
        "To allow the connection, " + _ADD_TO_HBA,
        _SHOW_HBA,
    ),
    _answer(
        "refused",
        "permission denied for database",
        "Ask the administrator whether {role} should use the database {database}, and to allow it (GRANT CONNECT "
        "ON DATABASE); or correct the user{user_places}.",
        admin_template("SELECT datname, datacl FROM pg_database"),
    ),
    _answer(
        "refused",
        "is not currently accepting connections",
        "Ask the administrator why the database {database} accepts no connections, and to open it again (ALTER "
        "DATABASE ... ALLOW_CONNECTIONS true) when the reason is gone.",
        admin_template("SELECT datname, datallowconn FROM pg_database"),
    ),
    _answer(
        "refused",
        "invalid sslmode",
        "Set sslmode{sslmode_places} to disable, allow, prefer, require, verify-ca or verify-full.",
        "{connect_preferring_encryption}",
    ),
    _answer(
        "refused",
        "does not support ssl",
        "The server offers no encryption, and sslmode `{sslmode}` makes it mandatory: set sslmode to "
        "`prefer`{sslmode_places}, or let an administrator turn on ssl.",
        "{connect_preferring_encryption}",
        admin_template("SHOW ssl"),
    ),
    _answer(
        "refused",
        "certificate|ssl error|private key",
        "Correct the certificate files that the connection names, or set sslmode{sslmode_places} to `require`, "
        "which encrypts without verifying the server.",
        "{connect_encrypted}",
    ),
    _answer(
        "refused",
        "authentication failed",
        "Correct the password of {role}{password_places}, or the user. Try it with psql, which asks for it, so it "
        "stays out of the command line; an administrator sets a new one with \\password in psql.",
        "{connect}",
    ),
    _answer(
        "refused",
        'no such user|role "',
        "The server has no role {role}: correct the user{user_places}, or, if the name is right, let an "
        "administrator create the role (createuser --login --pwprompt).",
        _LIST_ROLES,
    ),
    Answer("refused", (), CORRECT_THE_LOGIN),
    _answer(
        "away",
        "resolve host|translate host|not known|nodename nor|name resolution",
        "The host name {server.host} has no address: correct the host{host_places}, or name resolution.",
        "getent hosts -- {server.host!q}",
    ),
    Answer("away", ("server login",), BEHIND_THE_POOLER),
    _answer(
        "away",
        "timeout expired|timed out|no route|unreachable",
        "No response: see whether the machine is up, whether a firewall is in between and, with a pooler, whether "
        "the server behind it runs; or correct host and port{host_places}.",
        IS_READY,
    ),
    _answer(
        "away",
        "",
        "Start the server, or correct host and port{host_places}.",
        IS_READY,
    ),
    _answer(
        "starting",
        "",
        "Wait until it has started (or stopped, then start it); its log says what it is doing.",
        IS_READY,
    ),
    Answer("dropped", ("server login", "query_wait_timeout", "pooler"), BEHIND_THE_POOLER),
    _answer(
        "dropped",
        "",
        "See the server's log for why it stopped or closed the connection, and whether it answers again.",
        IS_READY,
    ),
    _answer(
        "full",
        "for role",
        "The role {role} has a connection limit of its own: stop programs that hold its sessions and are not "
        "needed, or let an administrator raise the limit (ALTER ROLE ... CONNECTION LIMIT), after a note of the "
        "former one.",
        _SHOW_SESSIONS,
        admin_template("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolconnlimit >= 0"),
    ),
    _answer(
        "full",
        "for database",
        "The database {database} has a connection limit of its own: stop programs that hold its sessions and are "
        "not needed, or let an administrator raise the limit (ALTER DATABASE ... CONNECTION LIMIT), after a note "
        "of the former one.",
        _SHOW_SESSIONS,
        admin_template("SELECT datname, datconnlimit FROM pg_database WHERE datconnlimit >= 0"),
    ),
    _answer(
        "full",
        "no more connections allowed",
        "The pooler at {server.host}:{server.port} accepts no more clients: stop programs that hold "
        "connections, or raise its max_client_conn.",
    ),
    _answer(
        "full",
        "",
        "An administrator can still connect and see what holds the connections: stop programs that are not needed, "
        "or raise max_connections and restart the server.",
        _SHOW_SESSIONS,
    ),
    _answer(
        "no-database",
        "",
        "List the existing databases; correct `database` in the registration, or restore {database} from a backup: "
        "an empty database of that name would hide that its data is lost. The database `postgres`, which clients "
        "use for what concerns the whole server, contains no data: an administrator creates it with createdb.",
        "{list_databases}",
    ),
    _answer(
        "foreign",
        "",
        "Another program answers there: correct host and port{address_places}.",
        IS_READY,
    ),
)
"""The first that fits."""
