"""Run by MDM's interpreter: imports MDM once, then does one task after the other, each in a process of its own.

Started as `python -B _trial.py SETTINGS`, a file of JSON, from a private folder that it lies in. A task is a line of
JSON on standard input. When it is over and its process is gone, it says so, and the answer follows with the secret
that is then given on standard input: a task that can write to our output cannot know it. It needs nothing but Python
3.8 and a POSIX system.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

ANSWERS_KEPT = 4 * 1024 * 1024
FILE_LIMIT = 256 * 1024 * 1024
_POLL_S = 0.005
_DIE_WITH_PARENT, _BECOME_PARENT_OF_ORPHANS = 1, 36


def main(settings_file: str) -> None:
    """Confine this process, import MDM, answer."""
    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    requests, answers = _take_over_streams()
    sys.argv = ["mdm"]
    confinement, tasks = (importlib.import_module(name) for name in ("_trial_confine", "_trial_tasks"))
    guards = confinement.confine(settings["examined"], settings["private"])
    os.environ.update(HOME=settings["home"], USERPROFILE=settings["home"])
    sys.path[:] = [path for path in sys.path if Path(path) != Path(__file__).parent]
    _control(_BECOME_PARENT_OF_ORPHANS, 1)
    _answer(answers, {"guards": guards, **tasks.abilities()})
    streams = (requests.fileno(), answers.fileno())
    for line in iter(requests.readline, ""):
        result = _try(json.loads(line), settings, streams)
        _answer(answers, {"over": True})
        _answer(answers, {**result, **json.loads(requests.readline() or "{}")})


def _take_over_streams() -> tuple[TextIO, TextIO]:
    """The streams for tasks and answers, which nothing that is imported can reach by their usual names."""
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    return requests, answers


def _answer(stream: TextIO, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _try(task: dict[str, Any], settings: dict[str, Any], streams: tuple[int, int]) -> dict[str, Any]:
    """Do one task in a process of its own, which does not have our streams, and end all that it left behind."""
    folder = Path(settings["private"], f"task-{task['number']}")
    folder.mkdir()
    started = time.monotonic()
    mark = os.urandom(16).hex()
    pid = os.fork()
    if pid == 0:
        for stream in streams:
            os.close(stream)
        _do(task, settings, folder, mark)
    code = _wait(pid, started + task["timeout_s"])
    _end_leftovers(pid)
    return {"code": code, "told": list(_told(folder / "told", mark)), "seconds": time.monotonic() - started}


def _do(task: dict[str, Any], settings: dict[str, Any], folder: Path, mark: str) -> None:
    """The task itself; never returns. What it needs at the end is taken now: the code may change whatever it likes."""
    confinement, tasks = sys.modules["_trial_confine"], sys.modules["_trial_tasks"]
    names, kept, anything = vars(builtins), dict(vars(builtins)), BaseException
    leave, write, as_json, process = os._exit, os.write, json.dumps, os.getpid
    asked = process()
    os.setsid()
    _control(_DIE_WITH_PARENT, signal.SIGKILL)
    told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.chdir(folder)

    def tell(kind: str, value: object) -> None:
        if kind not in _COURSE or process() == asked:
            write(told, (as_json([mark, kind, value], default=str) + "\n").encode())

    confinement.watch(settings["examined"], lambda path: tell("wrote", path), settings["private"])
    _limit(settings["memory"], task["timeout_s"])
    try:
        {"generate": tasks.generate, "custom": tasks.load_custom}[task["do"]](task, tell)
        tell("finished", True)
    except anything as error:
        names.update(kept)
        tell("raised", tasks.described(error, task.get("file", "")))
    finally:
        leave(0)  # without anything that the code wants to have done at its end


_COURSE = ("stage", "finished", "raised")
"""How far it came, which the process that was asked tells alone: others that the code started end when they like."""


def _limit(memory: int, timeout_s: float) -> None:
    own = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if _PROC else 0
    limits = {
        "RLIMIT_AS": own + memory,
        "RLIMIT_CPU": (int(timeout_s) + 1) * (os.cpu_count() or 1),
        "RLIMIT_FSIZE": FILE_LIMIT,
        "RLIMIT_CORE": 0,
    }
    for name, value in limits.items():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, name), (value, value))


_PROC = Path("/proc/self/statm").exists()


def _wait(pid: int, deadline: float) -> int | None:
    """How a process ended: its exit code, negative for the signal that killed it, None at the time-out."""
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        time.sleep(_POLL_S)
    return None


def _control(what: int, value: int) -> None:
    """Ask Linux for something about this process; other systems do not have it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _end_leftovers(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for _ in range(100):  # what is killed may have started others meanwhile
        for child in _children():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        try:
            found, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not found:
            time.sleep(_POLL_S)


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def _told(file: Path, mark: str) -> Iterator[Any]:
    """What the task told; lines without its mark were not written by `tell`."""
    with contextlib.suppress(OSError):
        with file.open("rb") as stream:
            text = stream.read(ANSWERS_KEPT).decode("utf-8", "replace")
        for line in text.splitlines():
            with contextlib.suppress(ValueError):  # the line that was being written when it ended
                told = json.loads(line)
                if isinstance(told, list) and told[:1] == [mark]:
                    yield told[1:]


if __name__ == "__main__":
    main(sys.argv[1])
