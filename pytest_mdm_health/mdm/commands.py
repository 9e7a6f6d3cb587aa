"""Running another program with a time-out that holds, whatever the program starts and however it behaves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OUTPUT_LIMIT = 64 * 1024
"""Bytes of a program's output that are kept: the last ones."""


class CannotRun(Exception):
    """The program could not be started; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        code: its exit code, negative for the signal that killed it, None when it was stopped at the time-out.
        output: the end of what it wrote, both streams together.
    """

    code: int | None
    output: str

    @property
    def how(self) -> str:
        """In words, to follow the program's name in a sentence."""
        if self.code is None:
            return "did not finish in time and was stopped"
        return f"was killed by {_signal_name(-self.code)}" if self.code < 0 else f"ended with exit code {self.code}"


def run(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout_s: float) -> Outcome:
    """Run a program to its end or to the time-out, when it and all it started are killed.

    It reads from nowhere, so it cannot wait for an answer from the user.

    Raises:
        CannotRun: it could not be started.
    """
    with tempfile.TemporaryFile() as output:  # a pipe could be held open by what the program leaves behind
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise CannotRun(f"{command[0]} cannot be started: {getattr(error, 'strerror', None) or error}") from error
        try:
            code: int | None = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _kill(process)
        return Outcome(code, _end_of(output.fileno()))


def _kill(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone, as it should be
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _end_of(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, max(0, size - OUTPUT_LIMIT), os.SEEK_SET)
    return os.read(descriptor, OUTPUT_LIMIT).decode("utf-8", "replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
