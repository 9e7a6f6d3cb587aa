"""What registration-hang keeps of what it saw."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_mdm_health.core.model import BASELINE_ONLY, Facts

SHOWN = 10
"""How many files of one folder, or of one process, are named."""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Another process that locks a file which an idle registration has open: which file, who, which kind of lock."""

    file: str
    holder: str
    pid: int
    lock: str


@dataclass(frozen=True, kw_only=True)
class Running:
    """A registration that runs, with what it did in the short time it was watched.

    Attributes:
        dataset: as on its command line; empty if that cannot be seen.
        age_s: since it started.
        silent_s: since the log heard of it; None if the log does not tell.
        moved_bytes: read and written; None if that cannot be seen.
        files: what it has open in the home.
        seen: whether its files and its environment can be seen.
        ours: whether its environment or what it has open proves that it works on this home.
    """

    pid: int
    dataset: str
    age_s: float
    silent_s: float | None
    state: str
    stopped: bool
    idle: bool
    cpu_s: float
    moved_bytes: int | None
    waits_for: str
    connected: bool
    files: tuple[str, ...]
    blockers: tuple[Blocker, ...]
    seen: bool
    ours: bool = True


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What the log tells of a registration that did not end well: when it began, how far it got, and why it failed."""

    dataset: str
    began: str
    step: str
    error: str
    sources: tuple[str, ...]
    file: str
    line: int | None
    registered: bool


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A folder among the datasets that no registration knows.

    Attributes:
        holds: what is in it, at most `SHOWN` names.
        size: bytes of the files in it.
        changed: when it last changed, as digits that fit into a file name.
        holder: a process that has one of its files open.
        trace: the registration that left it, if the log tells of one.
    """

    dataset: str
    folder: str
    holds: tuple[str, ...]
    size: int
    changed: str
    holder: str
    trace: Trace | None


@dataclass(frozen=True, kw_only=True)
class HangFacts(Facts):
    """Registrations that do not come to an end.

    Attributes:
        home: the home's folder.
        running: those that run now, for this home or for one that cannot be told.
        leftovers: what unfinished ones left on disk.
        unfinished: those that began in the log, never ended, and left nothing.
        registered: the datasets that are registered, in lower case.
    """

    home: str
    log: str
    running: tuple[Running, ...]
    leftovers: tuple[Leftover, ...]
    unfinished: tuple[Trace, ...]
    registered: tuple[str, ...] = field(default=(), metadata=BASELINE_ONLY)
