"""What the checks of PostgreSQL servers have in common: plain data, without passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ConnectionAttempt:
    """How a connection was attempted.

    Attributes:
        user: as whom; empty where nothing says.
        sslmode: the encryption that was requested; empty where nothing says.
        written: by field of the connection, the first places that set it, such as `/home/ml/.mdm/mdm.yaml, line 3`.
        more: by field, how many further places there are.
    """

    user: str
    database: str
    sslmode: str
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    more: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RefusedLogin:
    """A user of the home whom the server refuses, and the datasets that depend on that user."""

    user: str
    datasets: tuple[str, ...]
    reason: str
    attempt: ConnectionAttempt | None = None


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """How many sessions there are alike; what this role may not see is empty."""

    application: str
    user: str
    state: str
    count: int


@dataclass(frozen=True, kw_only=True)
class ClosedDatabase:
    """A database that accepts no connection of this home's role, while the server accepts it for others.

    Attributes:
        state: `invalid`, `closed`, `limited` to no connection at all, or `full`.
        limit: how many connections it allows.
        datasets: those that are in it.
    """

    database: str
    state: str
    limit: int
    datasets: tuple[str, ...]
