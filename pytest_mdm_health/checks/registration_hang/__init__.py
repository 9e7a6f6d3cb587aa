"""The registration of a dataset does not come to an end.

Symptoms
--------
The progress bar stops; no CPU or disk activity; it looks deadlocked. Afterwards a dataset that `mdm dataset list` does
not show and that MDM refuses to register again, because it "already exists".

Causes
------
Another process keeps the dataset's database locked. The process was stopped (Ctrl-Z, a debugger), waits for a server,
a network file system, its own threads, or for an answer at a terminal that nobody looks at. Or it is gone: killed, out
of memory, its terminal closed; or MDM refused what it was given and said so on its console only, not in the log.

MDM makes the dataset's folder and database first and its registration last. What breaks off in between leaves a folder
without a registration, and the folder alone is enough for MDM to refuse the name.

Diagnosis
---------
Find `mdm dataset register` with `ps`; see its state, what it waits for (`strace -f -p`), what it has open and locked
(`lsof -p`). Read how far the log says that it got. Compare the folders of `datasets/` with the registrations. More is
logged with `MDM_LOGGING_LEVEL=DEBUG`, elsewhere with `MDM_LOGGING_FILE`.

Solutions
---------
End what holds the lock, or let the stopped process go on. Otherwise end the registration, move what it left aside once
nothing works on it any more, see that its source is still there, and start again with a time-out (the guide: 300 s for
each step) and smaller batches: `MDM_PERFORMANCE_BATCH_SIZE=1000`. The guide's `MDM_PERFORMANCE_MAX_WORKERS=2` is for
0.2.0; other versions load with one worker.

Findings
--------
A registration that may be that of another home, because neither its environment nor what it has open can be seen, is
never more than a note.

* `stopped` (fail/warn): a running registration was stopped and will not go on by itself; a warning under a debugger.
* `waiting-for-lock` (fail/warn): it does nothing while another process locks a file that it has open; a warning until
  it is five minutes old.
* `idle` (fail/warn/note): it uses neither processor nor disk; a failure when its log has been silent for five minutes
  too, a note while it may rightly wait for a server.
* `running` (note): a registration is at work.
* `half-registered` (warn): a folder or database without a registration; MDM does not show it and refuses its name.
* `unfinished` (note): registrations that began in the log, never ended, and left nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.registration_hang import repairs
from pytest_mdm_health.checks.registration_hang.facts import SHOWN, HangFacts, Leftover, Running
from pytest_mdm_health.checks.registration_hang.look import gather
from pytest_mdm_health.core.model import JSON, Check, Finding, Kind, Location, Severity
from pytest_mdm_health.core.text import duration, size
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="registration-hang",
    issue="7.1",
    title="Registration that does not come to an end",
    per=Kind.HOME,
    live=True,
    tags=("registration", "processes"),
)
STEP_S = 300
"""What the guide gives one step of a registration."""


def observe(mdm_inventory: Inventory) -> HangFacts:
    """Look at running registrations, at the log, and at folders without a registration."""
    return gather(mdm_inventory)


def judge(facts: HangFacts, before: HangFacts | None) -> Iterator[Finding]:
    """What hangs, what was left behind, and what only looks like it: data that was registered once is 7.2's."""
    for running in facts.running:
        yield _of_running(running)
    for leftover in facts.leftovers:
        if before is None or leftover.dataset not in before.registered:
            yield _of_leftover(leftover)
    if facts.unfinished:
        yield _of_unfinished(facts)


def _of_running(each: Running) -> Finding:
    who = (
        f"the registration of {each.dataset!r} (PID {each.pid})" if each.dataset else f"a registration (PID {each.pid})"
    )
    code, severity, what = _verdict(each)
    if not each.ours:
        severity, what = Severity.NOTE, f"{what}; whether it works on this home cannot be told"
    evidence: dict[str, JSON] = {
        "pid": each.pid,
        "age_s": each.age_s,
        "state": each.state,
        "cpu_s": each.cpu_s,
        "moved_bytes": each.moved_bytes,
        "waits_for": each.waits_for or None,
        "files": list(each.files),
        "blockers": [f"{other.holder}: {other.lock} on {other.file}" for other in each.blockers],
    }
    remedy = repairs.of_running(code, each)
    return CHECK.finding(code, severity, f"{who} {what}", remedy, evidence=evidence, subject=each.dataset)


def _verdict(each: Running) -> tuple[str, Severity, str]:
    old = each.age_s >= STEP_S
    age = duration(each.age_s)
    if each.stopped:
        traced = each.state == "tracing-stop"
        how = "is held by a debugger" if traced else "was stopped by a signal"
        return "stopped", Severity.WARN if traced else Severity.FAIL, f"{how}; it will not go on by itself"
    if not each.idle:
        return "running", Severity.NOTE, f"has been at work for {age}"
    if each.blockers:
        what = f"does nothing while {each.blockers[0].holder} locks {each.blockers[0].file}; it started {age} ago"
        return "waiting-for-lock", Severity.FAIL if old else Severity.WARN, what
    waits = f"waits for {each.waits_for}" if each.waits_for else "what it waits for cannot be told"
    what = f"uses neither processor nor disk and {waits}; it started {age} ago"
    if old and each.silent_s is not None and each.silent_s >= STEP_S:
        return "idle", Severity.FAIL, f"{what} and was last heard of in the log {duration(each.silent_s)} ago"
    return "idle", Severity.NOTE if each.connected and not old else Severity.WARN, what


def _of_leftover(each: Leftover) -> Finding:
    holds = f"holds {', '.join(each.holds)} ({size(each.size)})" if each.holds else "is empty"
    state = "is half registered" if each.trace is not None or not each.size else "is not registered"
    history = "the log does not tell whether a registration broke off or its registration was lost"
    location = Location(each.folder)
    if each.trace is not None:
        ended = f"failed: {each.trace.error}" if each.trace.error else f"broke off while {each.trace.step}"
        history = f"its registration of {each.trace.began or 'an unknown time'} {ended}"
        location = Location(each.trace.file, each.trace.line)
    message = (
        f"{each.dataset!r} {state}: {each.folder} {holds} and nothing registers it; {history}; "
        "MDM does not list it, and refuses to register the name while the folder is there"
    )
    if each.holder:
        message += f"; {each.holder} has it open"
    evidence: dict[str, JSON] = {"folder": each.folder, "size": each.size}
    remedy = repairs.of_leftover(each)
    return CHECK.finding(
        "half-registered", Severity.WARN, message, remedy, evidence=evidence, location=location, subject=each.dataset
    )


def _of_unfinished(facts: HangFacts) -> Finding:
    traces = facts.unfinished
    named = [
        f"{each.dataset!r} ({each.began or 'time unknown'}"
        f"{', registered all the same' if each.registered else ''}, while {each.step})"
        for each in traces[:SHOWN]
    ]
    more = f" and {len(traces) - SHOWN} more" if len(traces) > SHOWN else ""
    message = f"began in the log, never ended, and left nothing behind: {', '.join(named)}{more}"
    location = Location(traces[-1].file, traces[-1].line)
    return CHECK.finding("unfinished", Severity.NOTE, message, repairs.of_unfinished(), location=location)
