"""What to do next about a server that cannot be used, by what it said. Pure."""

from __future__ import annotations

import re

from pytest_mdm_health.checks._shared.postgres import commands
from pytest_mdm_health.checks._shared.postgres.commands import Address
from pytest_mdm_health.checks._shared.postgres.facts import ConnectionAttempt
from pytest_mdm_health.checks._shared.postgres.remedies import ANSWERS, CORRECT_THE_LOGIN
from pytest_mdm_health.core.findings import Steps
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.core.text import counted

_UNKNOWN = ConnectionAttempt(user="", database="postgres", sslmode="")
_ROLE = re.compile(r'\b(?:role|user) "([^"]+)"')
_PLACES = {
    "host_places": ("host",),
    "address_places": ("host", "port"),
    "user_places": ("user",),
    "password_places": ("password",),
    "sslmode_places": ("sslmode",),
    "login_places": ("user", "password", "sslmode"),
}
"""The values that name the places where fields of a connection are set."""


def next_step(server: Address, problem: str, reason: str, attempt: ConnectionAttempt | None) -> Remedy:
    """What to do about a server that cannot be used.

    Args:
        server: where it is.
        problem: the one word for it, as in `CannotOpen.code`.
        reason: what the server, or the driver in its stead, said.
        attempt: how the connection was attempted.
    """
    return _steps(problem, reason.casefold()).fill(_values(server, reason, attempt or _UNKNOWN))


def _steps(problem: str, reason: str) -> Steps:
    for answer in ANSWERS:
        if answer.problem == problem and (not answer.words or any(word in reason for word in answer.words)):
            return answer.steps
    return CORRECT_THE_LOGIN


def _values(server: Address, reason: str, attempt: ConnectionAttempt) -> dict[str, object]:
    """All that a remedy may name: the server, the role that it speaks of, commands, and where fields are set."""

    def connect(sslmode: str) -> str:
        return commands.connect(server, attempt.user, attempt.database, sslmode)

    named = _ROLE.search(reason)
    return {
        "server": server,
        **{name: _places(attempt, fields) for name, fields in _PLACES.items()},
        "role": named[1] if named else attempt.user or server.login,
        "database": attempt.database,
        "sslmode": attempt.sslmode or "require",
        "connect": connect(attempt.sslmode),
        "connect_encrypted": connect("require"),
        "connect_preferring_encryption": connect("prefer"),
        "list_databases": commands.list_databases(server, attempt.user),
    }


def _places(attempt: ConnectionAttempt, fields: tuple[str, ...]) -> str:
    """The places that set one of these fields, to follow its name; empty if none is known."""
    places = list(dict.fromkeys(place for field in fields for place in attempt.written.get(field, ())))
    if not places:
        return ""
    more = max(attempt.more.get(field, 0) for field in fields)
    if more:
        places.append(f"and {counted(more, 'more place', 'more places')}")
    return f" where it is set ({'; '.join(places)})"
