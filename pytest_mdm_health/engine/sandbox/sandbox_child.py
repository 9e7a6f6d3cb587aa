"""The child's side of the sandbox: run as a script, it answers calls until its parent is gone.

It is a script of its own so that nothing is imported before the parent has said where to import from. Frames in
both directions are a length in eight bytes and a pickle: a pair (function, arguments) is a call, a dictionary is
objects to keep because calls will mention them.

What the child writes begins with a secret that it got from its parent: any process of the same user may find the pipe
in /proc. Beside answers it writes how far it has come.
"""

from __future__ import annotations

import faulthandler
import importlib
import io
import os
import pickle
import queue
import shutil
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO

HEADER = struct.Struct("!Q")


class SharedUnpickler(pickle.Unpickler):
    """Resolves references to objects that were sent once, when the parent shared them."""

    def __init__(self, frame: bytes, shared: dict[str, Any]) -> None:
        super().__init__(io.BytesIO(frame))
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:  # noqa: ANN401 - whatever was shared
        """The object of that name."""
        return self._shared[pid]


def main() -> None:
    """Take over standard input and output for the frames, then answer calls."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what examined code prints must not end up between the frames
    faulthandler.enable()
    sys.path[:], secret = pickle.loads(read_frame(requests) or b"")  # noqa: S301 - from the parent
    writing = threading.Lock()

    def answer(*what: Any) -> None:  # noqa: ANN401 - whatever was asked for
        frame = secret + pickle.dumps(what)
        with writing:
            write_frame(answers, frame)

    session = importlib.import_module("pytest_mdm_health.core.session")
    session.current().pace.tell = lambda *reached: answer(None, reached)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, calls), daemon=True).start()
    shared: dict[str, Any] = {}
    while True:
        _serve(calls.get(), shared, answer)


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame, or None at the end of the stream."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (size,) = HEADER.unpack(header)
    frame = stream.read(size)
    return frame if len(frame) == size else None


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    """Write one frame at once."""
    stream.write(HEADER.pack(len(frame)) + frame)
    stream.flush()


def _listen(requests: BinaryIO, calls: queue.SimpleQueue[bytes]) -> None:
    while (frame := read_frame(requests)) is not None:
        calls.put(frame)
    shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)  # this child's own, see sandbox.py
    os._exit(0)  # the parent is gone: no process waits for what is still running


def _serve(frame: bytes, shared: dict[str, Any], answer: Callable[..., None]) -> None:
    try:
        message = SharedUnpickler(frame, shared).load()
        if isinstance(message, dict):
            shared |= message
            return
        function, arguments = message
        module, _, name = function.partition(":")
        answer(True, getattr(importlib.import_module(module), name)(*arguments))
    except BaseException as error:  # noqa: BLE001 - SystemExit out of user code must not end the child either
        answer(False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
