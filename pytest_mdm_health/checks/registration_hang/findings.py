"""What registration-hang can find: every code with its wording and its remedy.

All commands only look: by the time they are run a process may have ended, and a folder may be in use again.
"""

from __future__ import annotations

from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="registration-hang",
    issue="7.1",
    title="Registration that does not end",
    per=Kind.HOME,
    live=True,
    reads=("log",),
    tags=("registration", "processes"),
)
RULES = Rules(CHECK)

_STATE = "ps -o pid,user,stat,lstart,etime,time,args -p {pid}"
_OPEN_FILES = "lsof -p {pid}"
_THEN_REPEAT = (
    "then check what it leaves (this check names it) and register again with more logging and smaller batches: "
    "MDM_LOGGING_LEVEL=DEBUG MDM_PERFORMANCE_BATCH_SIZE=1000 timeout 1h mdm dataset register …"
)
_END_IT = f"end the registration, which loses what it has loaded; {_THEN_REPEAT}"

FIND_OWNER = Steps(
    "Find out whose process it is and which home it uses: its MDM_HOME_DIR, or `.mdm` in the home folder of its user. "
    "Leave it alone unless it is yours, and examine this home again when it has ended.",
    (_STATE,),
)
"""The remedy for a process that may use another home."""

STOPPED = RULES.declare(
    "stopped",
    FAIL,
    WARN,
    NOTE,
    means="a registration in progress was stopped and will not continue by itself; a warning under a debugger",
    message="{who} {cause}; it will not continue by itself{doubt}",
    remedy="Make sure that it is still the registration you mean. `fg` in its terminal, or the signal CONT, lets it "
    "continue; do that only if the dataset was not restored or registered in the meantime. "
    f"Otherwise {_END_IT}",
    commands=(_STATE, _OPEN_FILES),
    answers=("progress bar stuck", "registration progress stops"),
)
WAITING_FOR_LOCK = RULES.declare(
    "waiting-for-lock",
    FAIL,
    WARN,
    NOTE,
    means="it is idle while another process locks a file that it has open; a warning until it is five minutes old",
    message="{who} is idle while {holder} locks {file}; it started {age:duration} ago{doubt}",
    remedy=f"Let the other process finish, or end it once you know what it is. If that does not help, {_END_IT}",
    commands=("ps -o pid,stat,etime,args -p {blocker_pids}", _STATE, _OPEN_FILES),
    answers=("looks deadlocked",),
)
IDLE = RULES.declare(
    "idle",
    FAIL,
    WARN,
    NOTE,
    means="it uses neither CPU nor disk; a failure when it has logged nothing for five minutes either, a note while it "
    "may be waiting for a server",
    message="{who} uses neither CPU nor disk ({waiting}); it started {age:duration} ago{silence}{doubt}",
    remedy=f"Find out what it waits for. If it does not continue, {_END_IT}",
    commands=(_STATE, _OPEN_FILES, "strace -f -p {pid}"),
    answers=("progress bar stuck", "registration progress stops", "no CPU or disk activity"),
)
RUNNING = RULES.declare(
    "running",
    NOTE,
    means="a registration is in progress",
    message="{who} has been running for {age:duration}{doubt}",
    remedy="No action required, unless it takes much longer than the others did (4.1).",
    commands=(_STATE,),
)
HALF_REGISTERED = RULES.declare(
    "half-registered",
    WARN,
    means="a folder or database without a registration; MDM does not list it and refuses its name",
    message="{dataset!r} {state}: {folder} {content} and no registration refers to it; {history}; MDM does not list "
    "it, and refuses to register the name while the folder exists{open_in}",
    remedy="{wait}Make sure that no registration uses the folder and that none was completed in the meantime: no "
    "process has it open, and there is still no registration of that name. Then move the folder out of the datasets, "
    "on the same disk, and delete nothing. {repeat}",
    commands=("ls -la -- {folder!q}", "lsof +D {folder!q}", "ps -eo pid,user,stat,lstart,args"),
)
UNFINISHED = RULES.declare(
    "unfinished",
    NOTE,
    means="registrations that started according to the log, did not end, and left nothing behind",
    message="registrations without an end in the log that left nothing behind: {registrations}",
    remedy="Usually MDM refused its input (a name that is taken, a path that does not exist) and reported that on the "
    "console only. If one was interrupted, register it again; nothing needs to be cleaned up.",
)
