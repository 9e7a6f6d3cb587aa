"""What to do about a registration that hangs, or about what one left: in words, with commands that only look.

A process may have ended, and a folder may be at work again, by the time that somebody reads this.
"""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks.registration_hang.facts import Leftover, Running
from pytest_mdm_health.core.model import Remedy

_AGAIN = (
    "then look at what it leaves (this check names it) and register again with more in the log and smaller batches: "
    "MDM_LOGGING_LEVEL=DEBUG MDM_PERFORMANCE_BATCH_SIZE=1000 timeout 1h mdm dataset register …"
)
_LOSES = "which loses what it has loaded"


def of_running(code: str, each: Running) -> Remedy:
    """What to do about a registration that runs."""
    state = f"ps -o pid,user,stat,lstart,etime,time,args -p {each.pid}"
    if not each.ours:
        text = (
            "See whose it is and which home it works on: its MDM_HOME_DIR, or `.mdm` in the home folder of its user. "
        )
        return Remedy(
            f"{text}Leave it alone unless it is yours, and examine this home again when it has ended.", (state,)
        )
    looking = (state, f"lsof -p {each.pid}")
    if code == "stopped":
        text = (
            "See whether it is still the registration that you mean. `fg` in its terminal, or the signal CONT, lets it "
            "go on; do that only if the dataset was not restored or registered meanwhile. Otherwise end it, "
            f"{_LOSES}; {_AGAIN}"
        )
        return Remedy(text, looking)
    if code == "waiting-for-lock":
        pids = ",".join(map(str, dict.fromkeys(other.pid for other in each.blockers if other.pid)))
        text = (
            "Let the other process finish, or end it once you know what it is. If that does not help, end the "
            f"registration, {_LOSES}; {_AGAIN}"
        )
        return Remedy(text, ((f"ps -o pid,stat,etime,args -p {pids}",) if pids else ()) + looking)
    if code == "idle":
        text = f"See what it waits for. If it does not go on, end it, {_LOSES}; {_AGAIN}"
        return Remedy(text, (*looking, f"strace -f -p {each.pid}"))
    return Remedy("Nothing, unless it takes much longer than the others did (4.1).", looking[:1])


def of_leftover(each: Leftover) -> Remedy:
    """See that nothing works on it, then move it out of the way. It may be all that is left of the data."""
    folder = shlex.quote(each.folder)
    wait = f"Wait until {each.holder} is done: it may be the registration itself. " if each.holder else ""
    text = (
        f"{wait}Make sure that no registration works on it and that none has ended well meanwhile: no process has it "
        "open, and there is still no registration of that name. Then move the folder out of the datasets, on the same "
        f"disk, and delete nothing. {_again(each)}"
    )
    return Remedy(text, (f"ls -la -- {folder}", f"lsof +D {folder}", "ps -eo pid,user,stat,lstart,args"))


def _again(each: Leftover) -> str:
    if not each.holds:
        return "Then MDM takes the name again."
    sources = ", ".join(each.trace.sources) if each.trace is not None else ""
    source = (
        f"If what it was loaded from is still there ({sources})" if sources else "If you have what it was made from"
    )
    return (
        f"{source}, register that again, and delete what was moved once that is complete. Otherwise keep what was "
        "moved: it may be the only copy."
    )


def of_unfinished() -> Remedy:
    """What stands behind it, and where to look next time."""
    return Remedy(
        "Most often MDM refused what it was given (a name that is taken, a path that is not there) and said so on its "
        "console only. If one was interrupted, register it again; nothing needs cleaning up."
    )
