"""What to do about a PostgreSQL server that lets nobody in like that, told by its English words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pytest_mdm_health.checks._shared.postgres import commands as repairs
from pytest_mdm_health.checks._shared.postgres.commands import Address
from pytest_mdm_health.checks._shared.postgres.facts import Way
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.core.text import counted

_ROLE = re.compile(r'\b(?:role|user) "([^"]+)"')


@dataclass(frozen=True)
class Case:
    """A server that cannot be used: where it is, what it said, and how it was tried to get in."""

    server: Address
    reason: str
    way: Way

    @property
    def user(self) -> str:
        """The role that the server speaks of, else the one that was given."""
        named = _ROLE.search(self.reason)
        return named[1] if named else self.way.user or self.server.login

    def where(self, *fields: str) -> str:
        """The places that set one of these fields, to end a clause."""
        places = dict.fromkeys(place for field in fields for place in self.way.written.get(field, ()))
        more = max(self.way.more.get(field, 0) for field in fields)
        listed = [*places, *([f"and {counted(more, 'more place', 'more places')}"] if more else [])]
        return f" where it is written ({'; '.join(listed)})" if places else ""

    def enter(self, sslmode: str | None = None) -> str:
        """Go the same way with psql, which asks for the password."""
        return repairs.enter(self.server, self.way.user, self.way.database, sslmode or self.way.sslmode)

    def ask(self, statement: str) -> str:
        """One statement of an administrator's."""
        return repairs.psql(self.server, statement, admin=True)


def _password(case: Case) -> Remedy:
    text = (
        f"Correct the password of {case.user}{case.where('password')}, or the user. Try it with psql, which asks for "
        "it, so that it stays out of the command line; an administrator sets a new one with \\password in psql."
    )
    return Remedy(text, (case.enter(),))


def _no_password(case: Case) -> Remedy:
    text = (
        f"The server asks {case.user} for a password, and none is set: write it as `password` into the registration "
        "and its JSON copy, or into mdm.yaml. psql asks for it, so that it can be tried first."
    )
    return Remedy(text, (case.enter(),))


def _no_role(case: Case) -> Remedy:
    text = (
        f"The server knows no role {case.user}: correct the user{case.where('user')}, or, if the name is right, let an "
        "administrator make the role (createuser --login --pwprompt)."
    )
    return Remedy(text, (case.ask("SELECT rolname FROM pg_roles WHERE rolcanlogin"),))


def _no_login(case: Case) -> Remedy:
    text = (
        f"Ask the administrator why the role {case.user} may not log in and to allow it (ALTER ROLE ... LOGIN), or "
        f"correct the user{case.where('user')}."
    )
    return Remedy(text, (case.ask("SELECT rolname FROM pg_roles WHERE rolcanlogin"),))


def _operating_system(case: Case) -> Remedy:
    text = (
        f"On this way the server lets {case.user} in only as the user of that name of the operating system: run MDM as "
        "that user, or let an administrator write scram-sha-256 for it in pg_hba.conf and reload."
    )
    return Remedy(text, (case.ask("SHOW hba_file"),))


def _not_admitted(case: Case) -> Remedy:
    line = f"a line for {case.user}, {case.way.database} and this machine's address"
    text = f"Let an administrator add {line} to pg_hba.conf and reload it."
    commands = (case.ask("SHOW hba_file"),)
    if "no encryption" not in case.reason.casefold():
        return Remedy(text, commands)
    text = f"If the server wants encryption, set sslmode to `require`{case.where('sslmode')}. {text}"
    return Remedy(text, (case.enter("require"), *commands))


def _no_encryption(case: Case) -> Remedy:
    text = (
        f"The server offers no encryption and sslmode {case.way.sslmode or 'require'} insists on it: set sslmode to "
        f"`prefer`{case.where('sslmode')}, or let an administrator switch ssl on."
    )
    return Remedy(text, (case.enter("prefer"), case.ask("SHOW ssl")))


def _certificate(case: Case) -> Remedy:
    text = (
        f"Correct the files of certificates that the connection names, or set sslmode{case.where('sslmode')} to "
        "`require`, which encrypts without asking whose server it is."
    )
    return Remedy(text, (case.enter("require"),))


def _sslmode(case: Case) -> Remedy:
    text = f"Set sslmode{case.where('sslmode')} to disable, allow, prefer, require, verify-ca or verify-full."
    return Remedy(text, (case.enter("prefer"),))


def _no_right(case: Case) -> Remedy:
    text = (
        f"Ask the administrator whether {case.user} is meant to use the database {case.way.database}, and to allow it "
        f"(GRANT CONNECT ON DATABASE); or correct the user{case.where('user')}."
    )
    return Remedy(text, (case.ask("SELECT datname, datacl FROM pg_database"),))


def _closed_database(case: Case) -> Remedy:
    text = (
        f"Ask the administrator why the database {case.way.database} takes no connections, and to open it again "
        "(ALTER DATABASE ... ALLOW_CONNECTIONS true) once that is over."
    )
    return Remedy(text, (case.ask("SELECT datname, datallowconn FROM pg_database"),))


def let_in(case: Case) -> Remedy:
    text = (
        f"Correct user, password and sslmode{case.where('user', 'password', 'sslmode')}, or the role and pg_hba.conf "
        "on the server. psql goes the same way and asks for the password."
    )
    return Remedy(text, (case.enter(),))


Step = Callable[[Case], Remedy]
Steps = tuple[tuple[tuple[str, ...], Step], ...]
"""Words that tell what it is, each with what to do; the first that fits."""

REFUSALS: Steps = (
    (("peer authentication", "ident authentication"), _operating_system),
    (("no password supplied", "empty password"), _no_password),
    (("is not permitted to log in",), _no_login),
    (("pg_hba.conf",), _not_admitted),
    (("permission denied for database",), _no_right),
    (("is not currently accepting connections",), _closed_database),
    (("invalid sslmode",), _sslmode),
    (("does not support ssl",), _no_encryption),
    (("certificate", "ssl error", "private key"), _certificate),
    (("authentication failed",), _password),
    (("no such user", 'role "'), _no_role),
)
