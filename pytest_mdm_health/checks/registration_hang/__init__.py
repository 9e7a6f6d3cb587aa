"""The registration of a dataset does not end.

Symptoms
--------
The progress bar stops; no CPU or disk activity; it looks deadlocked. Afterwards a dataset that `mdm dataset list` does
not show and that MDM refuses to register again, because it "already exists".

Causes
------
Another process keeps the dataset's database locked. The process was stopped (Ctrl-Z, a debugger), or waits for a
server, a network file system, its own threads, or an answer at an unattended terminal. Or it is gone: killed, out of
memory, its terminal closed; or MDM refused its input and reported that on the console only, not in the log.

MDM creates the dataset's folder and database first and its registration last. An interruption in between leaves a
folder without a registration, and the folder alone is enough for MDM to refuse the name.

Diagnosis
---------
Find `mdm dataset register` with `ps`; check its state, what it waits for (`strace -f -p`), what it has open and locked
(`lsof -p`). A process is attributed to this home by its environment and its open files; if neither can be seen, it may
use another home, and its findings are notes. The log shows the last step. Compare the folders of `datasets/` with the
registrations. `MDM_LOGGING_LEVEL=DEBUG` logs more, `MDM_LOGGING_FILE` to another file.

Solutions
---------
End the process that holds the lock, or let the stopped process continue. Otherwise end the registration, move aside
what it left once no process uses it any more, make sure that its source still exists, and start again with a timeout
(the guide: 300 s for each step) and smaller batches: `MDM_PERFORMANCE_BATCH_SIZE=1000`. The guide's
`MDM_PERFORMANCE_MAX_WORKERS=2` is for 0.2.0; other versions load with one worker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_mdm_health.checks.registration_hang.collect import collect
from pytest_mdm_health.checks.registration_hang.facts import SHOWN, HangFacts, Leftover, RunningRegistration
from pytest_mdm_health.checks.registration_hang.findings import (
    CHECK,
    FAIL,
    FIND_OWNER,
    HALF_REGISTERED,
    IDLE,
    NOTE,
    RULES,
    RUNNING,
    STOPPED,
    UNFINISHED,
    WAITING_FOR_LOCK,
    WARN,
)
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import JSON, Finding, Location, Severity
from pytest_mdm_health.core.text import duration, moment, size
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.logs.registrations import RegistrationRun

__all__ = ["CHECK", "RULES", "judge", "observe"]

STEP_S = 300
"""How many seconds the guide allows one step of a registration."""


def observe(mdm_inventory: Inventory) -> HangFacts:
    """Examine registrations in progress, the log, and folders without a registration."""
    return collect(mdm_inventory)


def judge(facts: HangFacts, before: HangFacts | None) -> Iterator[Finding]:
    """What hangs, what was left behind, and what only seems so.

    A dataset that was registered in the baseline is not half registered: it lost its registration (7.2).
    """
    for registration in facts.running:
        yield _check_running(registration)
    for leftover in facts.leftovers:
        if before is None or leftover.dataset not in before.registered:
            yield _check_leftover(leftover)
    if facts.unfinished:
        yield UNFINISHED(at=facts.unfinished[-1].place, registrations=_named(facts))


def _check_running(registration: RunningRegistration) -> Finding:
    process = registration.process
    rule, severity, values = _state(registration)
    whose = f"the registration of {process.dataset!r}" if process.dataset else "a registration"
    return rule(
        severity if registration.uses_this_home else NOTE,
        subject=process.dataset,
        evidence=_evidence(registration),
        remedy=_remedy(rule, values) if registration.uses_this_home else FIND_OWNER,
        who=f"{whose} (PID {process.pid})",
        pid=process.pid,
        age=process.age,
        doubt="" if registration.uses_this_home else "; whether it uses this home is unknown",
        **values,
    )


def _state(registration: RunningRegistration) -> tuple[Rule, Severity, Mapping[str, Any]]:
    """What a registration does, how bad that is, and what else the message says."""
    process = registration.process
    is_old = process.age >= STEP_S
    if process.state == "tracing-stop":
        return STOPPED, WARN, {"cause": "is held by a debugger"}
    if process.stopped:
        return STOPPED, FAIL, {"cause": "was stopped by a signal"}
    if not process.idle:
        return RUNNING, NOTE, {}
    if registration.blockers:
        return WAITING_FOR_LOCK, FAIL if is_old else WARN, _blocked(registration)
    waiting = f"it waits for {process.waits_for}" if process.waits_for else "what it waits for is unknown"
    silent_s = registration.silent_s
    if is_old and silent_s is not None and silent_s >= STEP_S:
        return IDLE, FAIL, {"waiting": waiting, "silence": f" and last logged something {duration(silent_s)} ago"}
    may_wait_for_server = process.connected and not is_old
    return IDLE, NOTE if may_wait_for_server else WARN, {"waiting": waiting, "silence": ""}


def _blocked(registration: RunningRegistration) -> Mapping[str, Any]:
    blocker = registration.blockers[0]
    pids = dict.fromkeys(other.holder.pid for other in registration.blockers if other.holder.pid)
    return {"holder": blocker.holder, "file": blocker.file, "blocker_pids": ",".join(map(str, pids))}


def _remedy(rule: Rule, values: Mapping[str, Any]) -> Steps:
    """The remedy of a rule; without its first command where only the locks of the blockers can be seen."""
    if values.get("blocker_pids") == "":
        return Steps(rule.remedy.text, rule.remedy.commands[1:])
    return rule.remedy


def _evidence(registration: RunningRegistration) -> Mapping[str, JSON]:
    process = registration.process
    return {
        "pid": process.pid,
        "age_s": round(process.age, 1),
        "state": process.state,
        "cpu_s": round(process.cpu, 3),
        "moved_bytes": process.moved,
        "waits_for": process.waits_for or None,
        "files": [str(file) for file in process.files],
        "blockers": [f"{other.holder}: {other.holder.lock} on {other.file}" for other in registration.blockers],
    }


def _check_leftover(leftover: Leftover) -> Finding:
    run, holder = leftover.run, leftover.holder
    content = f"contains {', '.join(leftover.content)} ({size(leftover.size)})" if leftover.content else "is empty"
    return HALF_REGISTERED(
        at=run.place if run is not None else Location(leftover.folder),
        subject=leftover.dataset,
        evidence={"folder": leftover.folder, "size": leftover.size},
        dataset=leftover.dataset,
        state="is half registered" if run is not None or not leftover.size else "is not registered",
        folder=leftover.folder,
        content=content,
        history=_history(run),
        open_in=f"; {holder} has it open" if holder else "",
        wait=f"Wait until {holder} is done: it may be the registration itself. " if holder else "",
        repeat=_repetition(leftover),
    )


def _history(run: RegistrationRun | None) -> str:
    if run is None:
        return "the log does not show whether a registration was interrupted or the registration was lost"
    end = f"failed: {run.error}" if run.error else f"was interrupted while {run.step}"
    return f"its registration, started {_start_of(run) or 'at an unknown time'}, {end}"


def _repetition(leftover: Leftover) -> str:
    """How to register it again. The folder may be all that is left of the data."""
    if not leftover.content:
        return "Then MDM accepts the name again."
    sources = ", ".join(leftover.run.sources[:SHOWN]) if leftover.run is not None else ""
    source = f"If its source still exists ({sources})" if sources else "If you have its source"
    return (
        f"{source}, register that again, and delete what was moved once that is complete. Otherwise keep what was "
        "moved: it may be the only copy."
    )


def _named(facts: HangFacts) -> str:
    """The unfinished registrations, at most `SHOWN` of them."""
    named = []
    for run in facts.unfinished[:SHOWN]:
        registered = ", registered nevertheless" if run.dataset in facts.registered else ""
        named.append(f"{run.dataset!r} ({_start_of(run) or 'time unknown'}, while {run.step}{registered})")
    remaining = len(facts.unfinished) - SHOWN
    return ", ".join(named) + (f" and {remaining} more" if remaining > 0 else "")


def _start_of(run: RegistrationRun) -> str:
    return moment(run.began) if run.began else ""
