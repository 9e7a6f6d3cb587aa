"""Trying what MDM would do with features, in its own interpreter, on private copies.

Starting that interpreter and importing MDM takes seconds, so it is done once in a process and then asked again and
again; each task runs in a process of its own there, with a time-out and a limit on memory, where neither MDM nor the
user's own code can change what is examined.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import psutil
import yaml

from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.core.session import current
from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, read_bytes
from pytest_mdm_health.mdm.installed.commands import Outcome
from pytest_mdm_health.mdm.installed.trial_answers import Abilities, Trial, abilities_of, trial_of
from pytest_mdm_health.mdm.yaml_file import load_yaml

MEMORY = 1024**3
"""Bytes that a task may use over what MDM itself takes."""

COPIED = 16 * 1024 * 1024
"""Bytes of custom features, and of what lies with them, that are copied."""

LINE_LIMIT = 16 * 1024 * 1024
SETTINGS_FILE = "mdm.yaml"
_ABOUT_FEATURES = ("feature_engineering", "performance", "features")
_SCRIPTS = ("_trial.py", "_trial_confine.py", "_trial_tasks.py")
_KEPT_BACK = ("PYTEST_", "COV_CORE_", "COVERAGE_", "MDM_", "PYTHONINSPECT", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
_GRACE_S = 5.0
_FORGED = "the code that was tried answered in the place of MDM's interpreter"
_ERRORS_KEPT = 4096


class CannotTry(Exception):
    """There is no answer; the text says why, as a sentence without a full stop."""


class BrokenOff(CannotTry):
    """A task began, and what came of it is not known: it ended the interpreter, or something else answered."""


def abilities(python: Path, examined: Path, timeout_s: float) -> Abilities:
    """What the MDM in an interpreter offers for features.

    Raises:
        CannotTry: it cannot be had, and why.
    """
    return current().part(_Servers).server_for(python, examined, timeout_s).abilities


def attempt(
    python: Path, examined: Path, task: Mapping[str, object], timeout_s: float, file: Path | None = None
) -> Trial:
    """Do one task in MDM's interpreter.

    Args:
        python: the interpreter.
        examined: the home, which stays untouched.
        task: as in `_trial_tasks`; `do` is `generate` or `custom`.
        timeout_s: seconds for the task, on top of which the interpreter may take as long to start.
        file: what the task is about; it works on a copy of it and of what lies beside it.

    Raises:
        CannotTry: it cannot be done, and why.
    """
    return current().part(_Servers).server_for(python, examined, timeout_s).attempt(task, timeout_s, file)


class _Servers:
    """The interpreter that waits for tasks, if there is one, and those that could not be started."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._failed: dict[tuple[Path, Path], str] = {}

    def server_for(self, python: Path, examined: Path, timeout_s: float) -> _Server:
        """The one that there is if it is this interpreter with this home, else a new one."""
        key = (python, examined)
        if key in self._failed:
            raise CannotTry(self._failed[key])
        if self._server is None or self._server.key != key or not self._server.alive:
            self.close()
            try:
                self._server = _Server(python, examined, timeout_s)
            except CannotTry as error:
                self._failed[key] = str(error)  # it would take as long to fail again for the next dataset
                raise
        return self._server

    def close(self) -> None:
        """End the interpreter."""
        server, self._server = self._server, None
        if server is not None:
            server.close()


class _Server:
    """MDM's interpreter, waiting for tasks."""

    def __init__(self, python: Path, examined: Path, timeout_s: float) -> None:
        self.key = (python, examined)
        self._folder = Path(tempfile.mkdtemp(prefix="mdm-health-trial-")).resolve()
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._number = 0
        self._process = self._start(python, examined)
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.abilities = abilities_of(self._receive(timeout_s, "get ready"))
        except CannotTry:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def attempt(self, task: Mapping[str, object], timeout_s: float, file: Path | None) -> Trial:
        self._number += 1
        copy = self._folder / f"copy-{self._number}"
        if file is not None:
            _copy(file.parent, copy)
            task = {**task, "file": str(copy / file.name)}
        try:
            self._send({**task, "number": self._number, "timeout_s": timeout_s})
            return trial_of(self._answer(timeout_s + _GRACE_S))
        except OSError as error:
            raise BrokenOff(f"MDM's interpreter {self._last_words()}") from error
        except BrokenOff:
            self.close()
            raise
        except CannotTry as error:
            raise BrokenOff(str(error)) from error
        finally:
            for folder in (copy, self._folder / f"task-{self._number}"):
                shutil.rmtree(folder, ignore_errors=True)

    def _send(self, message: Mapping[str, object]) -> None:
        stream = cast("IO[bytes]", self._process.stdin)
        stream.write(json.dumps(message, default=str).encode() + b"\n")
        stream.flush()

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        """The answer to a task, given only when its process is gone and to a secret that it cannot have known.

        Raises:
            BrokenOff: something else answered.
        """
        over = self._receive(timeout_s, "answer")
        if over != {"over": True} or psutil.Process(self._process.pid).children():
            raise BrokenOff(_FORGED)
        secret = secrets.token_hex()
        self._send({"secret": secret})
        answer = self._receive(_GRACE_S, "answer")
        if answer.pop("secret", None) != secret:
            raise BrokenOff(_FORGED)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            cast("IO[bytes]", self._process.stdin).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, python: Path, examined: Path) -> subprocess.Popen[bytes]:
        home = self._folder / "home" / ".mdm"
        home.mkdir(parents=True)
        (home / SETTINGS_FILE).write_text(yaml.safe_dump(_settings(examined / SETTINGS_FILE)), encoding="utf-8")
        for name in _SCRIPTS:
            shutil.copy(Path(__file__).parent / "_scripts" / name, self._folder)
        settings = {
            "examined": str(examined),
            "private": str(self._folder),
            "home": str(home.parent),
            "memory": MEMORY,
        }
        (self._folder / "settings").write_text(json.dumps(settings), encoding="utf-8")
        try:
            with (self._folder / "errors").open("wb") as errors:
                return subprocess.Popen(
                    [str(python), "-B", str(self._folder / _SCRIPTS[0]), "settings"],
                    cwd=self._folder,
                    env=_environment(self._folder, home),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
        except (OSError, ValueError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            reason = getattr(error, "strerror", None) or error
            raise CannotTry(f"MDM's interpreter {python} cannot be started: {reason}") from error

    def _listen(self) -> None:
        with cast("IO[bytes]", self._process.stdout) as stream:
            while line := stream.readline(LINE_LIMIT):
                self._lines.put(line)
        self._lines.put(b"")

    def _receive(self, timeout_s: float, what: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.close()
            raise CannotTry(f"MDM's interpreter did not {what} within {timeout_s:.0f} s") from None
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise CannotTry(f"MDM's interpreter {self._last_words()}")
        return answer

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        errors = (self._folder / "errors").read_bytes()[-_ERRORS_KEPT:].decode("utf-8", "replace")
        last = redact(errors.strip().rpartition("\n")[2])[:300]
        return Outcome(self._process.returncode, "").how + (f": {last}" if last else "")


def _settings(file: Path) -> dict[str, object]:
    """Of the settings of the home, those that are about features; the rest could lead MDM back there."""
    data = load_yaml(file).data
    return {name: data[name] for name in _ABOUT_FEATURES if name in data} if isinstance(data, dict) else {}


def _environment(folder: Path, home: Path) -> dict[str, str]:
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_BACK)}
    return {
        **passed_on,
        "MDM_HOME_DIR": str(home),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "YDATA_PROFILING_NO_ANALYTICS": "True",  # it reports its use over the network otherwise
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)),
    }


def _copy(folder: Path, to: Path) -> None:
    left = COPIED
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(Unreadable, OSError):
            if kind_of(path) is FileKind.FILE and left > 0 and "__pycache__" not in path.parts:
                content = read_bytes(path, left)
                left -= len(content)
                place = to / path.relative_to(folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
