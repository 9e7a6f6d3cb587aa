"""What to do about a registration that hangs, or about what one left. Nothing is deleted, only moved aside."""

from __future__ import annotations

import shlex
from pathlib import Path

from pytest_mdm_health.checks._hang_facts import Leftover, Running
from pytest_mdm_health.model import Remedy

ASIDE = "set-aside"
"""The folder in the home, on the same disk, that takes what is moved away; MDM does not look into it."""

_AGAIN = (
    "then move aside what it leaves (this check names it) and register again with more in the log and smaller batches: "
    "MDM_LOGGING_LEVEL=DEBUG MDM_PERFORMANCE_BATCH_SIZE=1000 timeout 1h mdm dataset register …"
)


def of_running(code: str, each: Running) -> Remedy:
    """What to do about a registration that runs."""
    looking = (f"ps -o pid,stat,etime,time,args -p {each.pid}", f"lsof -p {each.pid}")
    if code == "stopped":
        text = f"Let it go on, or end it with `kill -KILL {each.pid}`, which loses what it has loaded; {_AGAIN}"
        return Remedy(text, (f"kill -CONT {each.pid}",))
    if code == "waiting-for-lock":
        pids = ",".join(map(str, dict.fromkeys(other.pid for other in each.blockers if other.pid)))
        text = (
            f"Let the other process finish, or end it. If that does not help, end this one: `kill {each.pid}`; {_AGAIN}"
        )
        return Remedy(text, ((f"ps -o pid,stat,etime,args -p {pids}",) if pids else ()) + looking)
    if code == "idle":
        loses = "which loses what it has loaded"
        text = f"See what it waits for. If it does not go on, end it with `kill {each.pid}`, {loses}; {_AGAIN}"
        return Remedy(text, (*looking, f"strace -f -p {each.pid}"))
    return Remedy("Nothing, unless it takes much longer than the others did (4.1).", looking[:1])


def of_leftover(each: Leftover, home: str) -> Remedy:
    """Move it out of the way, under a name that says what it was. It may be all that is left of the data."""
    aside = Path(home) / ASIDE
    text = "Move it aside. " + _again(each)
    if each.holder:
        text = f"Wait until {each.holder} is done: it may be the registration itself. Otherwise: {text}"
    make = f"mkdir -p -- {shlex.quote(str(aside))}"
    move = f"mv -n -- {shlex.quote(each.folder)} {shlex.quote(str(aside / f'{each.dataset}.{each.changed}'))}"
    return Remedy(text, (f"{make} && {move}",))


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
