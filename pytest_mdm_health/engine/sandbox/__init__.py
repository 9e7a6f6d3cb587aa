"""Work that may hang or crash, done in a child process that can be killed.

One child serves many calls. After a hang or a crash it is replaced, which costs a fraction of a second and one
answer. Its temporary files are in a folder of its own, which is removed with it.
"""

from __future__ import annotations

import contextlib
import hmac
import importlib
import io
import os
import pickle
import queue
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any, cast

from pytest_mdm_health.core.pace import Step
from pytest_mdm_health.engine.sandbox import sandbox_child
from pytest_mdm_health.engine.sandbox.sandbox_child import read_frame, write_frame

IMPORT_PATH = tuple(sys.path)
"""Where modules came from when this was loaded, before any test folder was put in front."""


class SandboxError(Exception):
    """A call that brought no answer; its text is one line for a person."""


class TimedOut(SandboxError):
    """The call was silent for longer than it may be; the child was killed."""


class Crashed(SandboxError):
    """The child died during the call."""


class Raised(SandboxError):
    """The called function raised; the text has the exception's type and message."""


class Sandbox:
    """A child process that calls functions by name, one at a time."""

    def __init__(self) -> None:
        self._child: _Child | None = None
        self._shared: dict[str, object] = {}

    def share(self, **objects: object) -> None:
        """Objects that calls will mention again and again; each child gets them once."""
        news = {name: value for name, value in objects.items() if self._shared.get(name) is not value}
        self._shared |= news
        if self._child is not None:
            self._child.unsent |= news

    def call(self, function: str, *arguments: object, timeout_s: float) -> Any:  # noqa: ANN401 - the function's answer
        """Call `package.module:function` in the child and return what it returns.

        Args:
            function: what to call.
            arguments: picklable; shared objects among them travel as a word.
            timeout_s: seconds until the child is killed, which begin again whenever it has come further; see `Step`.

        Raises:
            TimedOut, Crashed, Raised: there is no answer, and why.
        """
        if self._child is None or not self._child.alive:
            self.close()
            self._child = _Child(dict(self._shared))
        try:
            return self._child.call(function, arguments, self._shared, timeout_s)
        except Raised:
            raise
        except BaseException:  # interrupted too: a child that goes on working cannot take another call
            self.close()
            raise

    @property
    def step(self) -> Step | None:
        """How far the call that is running has come, as far as it says so."""
        return self._child.step if self._child else None

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._child.process.pid if self._child else None

    def close(self) -> None:
        """End the child, whatever it is doing, and remove what it left in its temporary folder."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()


class InThisProcess(Sandbox):
    """Calls functions right here, where a debugger can stop in them: nothing protects from a hang or a crash."""

    def call(self, function: str, *arguments: object, timeout_s: float) -> Any:  # noqa: ANN401, ARG002 - as the real one
        """Call `package.module:function` and return what it returns; what it raises goes on."""
        module, _, name = function.partition(":")
        return getattr(importlib.import_module(module), name)(*arguments)


class _Child:
    """One child process."""

    def __init__(self, shared: dict[str, object]) -> None:
        self.unsent = shared
        self.step: Step | None = None
        self._secret = secrets.token_bytes()
        self._folder = tempfile.mkdtemp(prefix="mdm-health-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
        self.process = subprocess.Popen(
            [sys.executable, "-I", sandbox_child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder,
            env={**os.environ, "TMPDIR": self._folder, "TEMP": self._folder, "TMP": self._folder},
            start_new_session=True,
        )
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(pickle.dumps((_import_path(), self._secret)))

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def call(self, function: str, arguments: tuple[object, ...], shared: dict[str, object], timeout_s: float) -> object:
        if self.unsent:
            self._send(pickle.dumps(self.unsent))
            self.unsent = {}
        self._send(_pickled((function, arguments), shared))
        fine, value = self._answer(timeout_s)
        if not fine:
            raise Raised(value)
        return value

    def _answer(self, timeout_s: float) -> tuple[bool, Any]:
        """What the call brings, waited for as long as it comes further within the time."""
        self.step, until = None, time.monotonic() + timeout_s
        while True:
            try:
                frame = self._answers.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                raise TimedOut(_stopped(timeout_s, self.step)) from None
            if frame is None:
                raise Crashed(self._last_words())
            if not hmac.compare_digest(frame[: len(self._secret)], self._secret):
                raise Crashed("the process that examined it was answered for by another one")
            fine, value = pickle.loads(frame[len(self._secret) :])  # noqa: S301 - from our own child, as it has the secret
            if fine is not None:
                return fine, value
            self.step, moved_on = value
            if moved_on:
                until = time.monotonic() + timeout_s

    def kill(self) -> None:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self._errors):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", stream).close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, frame: bytes) -> None:
        with contextlib.suppress(OSError):  # it died: the listener says so
            write_frame(cast("IO[bytes]", self.process.stdin), frame)  # type: ignore[arg-type] # a pipe is binary

    def _listen(self) -> None:
        with cast("IO[bytes]", self.process.stdout) as stream:
            while (frame := read_frame(stream)) is not None:  # type: ignore[arg-type] # a pipe is binary
                self._answers.put(frame)
        self._answers.put(None)

    def _last_words(self) -> str:
        code = self.process.wait()
        self._errors.seek(0)
        fatal = [line for line in self._errors.read().decode("utf-8", "replace").splitlines() if "Fatal" in line]
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"exited with code {code}"
        return f"the process that examined it {how}" + (f" ({fatal[-1]})" if fatal else "")


class _Pickler(pickle.Pickler):
    """Writes shared objects as their names."""

    def __init__(self, stream: io.BytesIO, shared: dict[str, object]) -> None:
        super().__init__(stream)
        self._names = {id(value): name for name, value in shared.items() if value is not None}

    def persistent_id(self, obj: Any) -> str | None:  # noqa: ANN401 - any object at all
        return self._names.get(id(obj))


def _pickled(call: tuple[str, tuple[object, ...]], shared: dict[str, object]) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, shared).dump(call)
    return stream.getvalue()


def _import_path() -> list[str]:
    """Where the child imports from: as the parent, but never from the folder that pytest happens to be run in."""
    here = str(Path.cwd())
    package = str(Path(__file__).parents[3])
    return [path for path in IMPORT_PATH if path and (path == package or path != here)]


def _stopped(timeout_s: float, step: Step | None) -> str:
    if step is None:
        return f"took longer than {timeout_s:g} s and was stopped"
    return f"made no progress for {timeout_s:g} s and was stopped, after {step.sentence}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
