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
ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes of a program's standard output that are kept as an answer: all of them, or there is none."""


class CannotRun(Exception):
    """The program could not be started; the text says why."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    Attributes:
        code: its exit code, negative for the signal that killed it, None when it was stopped at the time-out.
        output: the end of what it wrote, both streams together.
        answer: the whole of its standard output, if it was to be kept apart; None if it was not, or is too long.
    """

    code: int | None
    output: str
    answer: str | None = None

    @property
    def how(self) -> str:
        """In words, to follow the program's name in a sentence."""
        if self.code is None:
            return "did not finish in time and was stopped"
        return f"was killed by {_signal_name(-self.code)}" if self.code < 0 else f"ended with exit code {self.code}"


def run(
    command: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout_s: float, apart: bool = False
) -> Outcome:
    """Run a program to its end or to the time-out, when it and all it started are killed.

    It reads from nowhere, so it cannot wait for an answer from the user. With `apart` its standard output is kept whole
    as its answer, without the warnings that it wrote to the other stream.

    Raises:
        CannotRun: it could not be started.
    """
    # not pipes: these could be held open by what the program leaves behind
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors if apart else subprocess.STDOUT,
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
        if not apart:
            return Outcome(code, _end_of(output.fileno()))
        both = _end_of(output.fileno()) + _end_of(errors.fileno())
        return Outcome(code, both[-OUTPUT_LIMIT:], _whole(output.fileno()))


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


def _whole(descriptor: int) -> str | None:
    if os.fstat(descriptor).st_size > ANSWER_LIMIT:
        return None
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return file.read().decode("utf-8", "replace")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
