"""Waiting for a server no longer than it makes sense, whatever stands in between."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

import psycopg

from pytest_mdm_health.backends.base import ConnectionLost, Row


@contextlib.contextmanager
def hanging_up_after(connection: psycopg.Connection[Row], patience_s: float) -> Iterator[None]:
    """A block after which we hang up if nothing has come: a pooler whose server is away lets clients wait for minutes.

    Raises:
        ConnectionLost: that happened.
    """
    hung_up = threading.Event()

    def hang_up() -> None:
        hung_up.set()
        with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(patience_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except psycopg.Error:
        if hung_up.is_set():
            raise ConnectionLost(f"the server, or a pooler before it, gave no answer for {patience_s:g} s") from None
        raise
    finally:
        timer.cancel()
