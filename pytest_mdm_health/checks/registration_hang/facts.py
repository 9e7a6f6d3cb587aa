"""Registrations that do not end, and what they left behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_mdm_health.core.model import BASELINE_ONLY, Facts
from pytest_mdm_health.mdm.host.processes import Holder
from pytest_mdm_health.mdm.logs.registrations import RegistrationRun
from pytest_mdm_health.mdm.registrations.running import Registering

SHOWN = 10
"""How many files of one folder or process, or how many registrations, are named."""


@dataclass(frozen=True, kw_only=True)
class Blocker:
    """Another process that locks a file which an idle registration has open."""

    file: str
    holder: Holder


@dataclass(frozen=True, kw_only=True)
class RunningRegistration:
    """A registration in progress.

    Attributes:
        process: what it did while it was observed; of its open files, only those in this home.
        silent_s: seconds since its last record in the log; None if the log has none of it.
        blockers: which processes it may be waiting for; only determined for an idle one.
        uses_this_home: whether its environment or its open files prove that it uses this home.
    """

    process: Registering
    silent_s: float | None
    blockers: tuple[Blocker, ...]
    uses_this_home: bool = True


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A folder among the datasets to which no registration refers.

    Attributes:
        content: what is in it, at most `SHOWN` names.
        size: bytes of the databases in it.
        holder: a process that has one of them open.
        run: the registration that left it, if the log has a record of one.
    """

    dataset: str
    folder: str
    content: tuple[str, ...]
    size: int
    holder: Holder | None
    run: RegistrationRun | None


@dataclass(frozen=True, kw_only=True)
class HangFacts(Facts):
    """Registrations that do not end.

    Attributes:
        running: those in progress, in this home or in one that is unknown.
        leftovers: what interrupted ones left on disk.
        unfinished: those that started according to the log, never ended, and left nothing behind.
        registered: the registered datasets, in lower case.
    """

    running: tuple[RunningRegistration, ...]
    leftovers: tuple[Leftover, ...]
    unfinished: tuple[RegistrationRun, ...]
    registered: tuple[str, ...] = field(default=(), metadata=BASELINE_ONLY)
