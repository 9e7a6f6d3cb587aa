"""The files beside a database file that belong to it: journals and write-ahead logs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, open_regular
from pytest_mdm_health.mdm.host.processes import lock_holders

SidecarKind = Literal["wal", "shm", "journal", "duckdb-wal"]
SUFFIXES: tuple[tuple[str, SidecarKind], ...] = (
    ("-wal", "wal"),
    ("-shm", "shm"),
    ("-journal", "journal"),
    (".wal", "duckdb-wal"),
    (".wal.checkpoint", "duckdb-wal"),  # what was written while a checkpoint was under way; since DuckDB 1.5
)
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


@dataclass(frozen=True)
class Sidecar:
    """A file beside a database.

    Attributes:
        path: the file.
        kind: `wal`, `shm` and `journal` are SQLite's, `duckdb-wal` is DuckDB's.
        size: in bytes; -1 if something else than a file stands there.
        live: whether a running process locks the database, so that the file is in use rather than left over.
        holds_changes: whether the database is not complete without it, or not consistent: log entries, or what an
            interrupted transaction has to be undone with.
    """

    path: Path
    kind: SidecarKind
    size: int
    live: bool
    holds_changes: bool = True  # which older baselines do not say of those that they have


def sidecars(path: Path) -> tuple[Sidecar, ...]:
    """The files beside this database, whether or not the database itself is there. Opens no database, takes no lock."""
    found = list(_beside(path))
    if not found:
        return ()
    live = bool(lock_holders([path, *(file for file, _, kind in found if kind is FileKind.FILE)]))
    return tuple(_sidecar(file, word, kind, live) for file, word, kind in found)


def holding_changes(found: Sequence[Sidecar], engine: str) -> tuple[Sidecar, ...]:
    """Those without which a database of this engine is not complete."""
    return tuple(each for each in found if each.holds_changes and (each.kind == "duckdb-wal") == (engine == "duckdb"))


def _beside(path: Path) -> Iterator[tuple[Path, SidecarKind, FileKind]]:
    real = Path(os.path.realpath(path))  # SQLite puts them beside the file, DuckDB beside the link to it
    for suffix, word in SUFFIXES:
        base = path if word == "duckdb-wal" else real
        file = base.with_name(base.name + suffix)
        kind = kind_of(file)
        if kind is not FileKind.MISSING:
            yield file, word, kind


def _sidecar(file: Path, word: SidecarKind, kind: FileKind, live: bool) -> Sidecar:
    size = file.stat().st_size if kind is FileKind.FILE else -1
    return Sidecar(file, word, size, live, size > 0 and word != "shm" and (word != "journal" or _is_hot(file)))


def _is_hot(journal: Path) -> bool:
    """Whether a journal has something to undo; in mode `persist` SQLite leaves it there with its head wiped."""
    try:
        with open_regular(journal) as file:
            return file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
    except (Unreadable, OSError):
        return True
