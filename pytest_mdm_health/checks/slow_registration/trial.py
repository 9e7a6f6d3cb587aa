"""Reading a part of a source file and storing it in a private database, as a registration would, with a watch.

Imported only where it is asked for, because of what it imports.
"""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import duckdb
import pandas as pd

from pytest_mdm_health.checks.slow_registration.facts import Trial
from pytest_mdm_health.mdm.files import Unreadable, open_regular
from pytest_mdm_health.mdm.registrations.sources import suffix_of

TRIAL_S = 2.0
"""After so many seconds with one file no further batch is taken."""

_DELIMITERS = (b",", b";", b"\t", b"|")
_HEAD = 64 * 1024
_BATCH_BYTES = 16_000_000
"""Of wide rows fewer are taken at once, so that a batch does not take all the memory or time."""

_VECTOR = 2048
"""Rows that DuckDB hands over at once."""

_PARQUET_BATCH = 10_000
Store = Callable[[pd.DataFrame], None]


class _CannotBeTried(Exception):
    """There is no way to read a part of the file."""


@dataclass
class _Batches:
    """Batches of a file, and the share of it that they are."""

    frames: Iterator[pd.DataFrame]
    share: Callable[[int], float]


def try_out(dataset: str, file: Path, backend: str, batch_size: int, features_per_row: float) -> Trial | str:
    """Read and store a sample of a file, and what all of it would take.

    Args:
        dataset: whose source it is.
        file: a regular file.
        backend: the backend that it would be stored in.
        batch_size: in rows.
        features_per_row: seconds that features of a row took before; 0 if not known.

    Returns:
        What came of it, or why the file cannot be tried, to follow its name in a sentence.
    """
    with contextlib.ExitStack() as stack:
        try:
            batches = _batches(file, batch_size, stack)
            rows, read_s, store_s = _timed(batches, stack.enter_context(_store(backend)))
        except _CannotBeTried as error:
            return str(error)
        except (Unreadable, OSError, EOFError, ValueError, sqlite3.Error, duckdb.Error) as error:
            return f"cannot be read in part: {str(error).partition(chr(10))[0]}"
        share = min(1.0, batches.share(rows))
    if not rows or not share:
        return "has no rows"
    total = round(rows / share)
    features_s = features_per_row * total
    return Trial(
        dataset=dataset,
        file=str(file),
        rows=rows,
        total_rows=total,
        read_s=round(read_s, 3),
        store_s=round(store_s, 3),
        features_s=round(features_s, 3),
        whole_s=round((read_s + store_s) / share + features_s, 3),
    )


def _timed(batches: _Batches, store: Store) -> tuple[int, float, float]:
    rows, read_s, store_s = 0, 0.0, 0.0
    watch = time.perf_counter()
    for frame in batches.frames:
        read_s += (read := time.perf_counter()) - watch
        store(frame)
        store_s += (watch := time.perf_counter()) - read
        rows += len(frame)
        if read_s + store_s > TRIAL_S:
            break
    return rows, read_s, store_s


def _batches(file: Path, batch_size: int, stack: contextlib.ExitStack) -> _Batches:
    suffix = suffix_of(file)
    if suffix == ".parquet":
        return _parquet(file, batch_size, stack)
    if suffix not in {".csv", ".tsv", ".csv.gz", ".tsv.gz"}:
        raise _CannotBeTried("is in a format that can be read as a whole only")
    raw = stack.enter_context(open_regular(file))
    size = file.stat().st_size
    stream = stack.enter_context(gzip.GzipFile(fileobj=raw)) if suffix.endswith(".gz") else raw
    head = _head(file, suffix)
    delimiter = b"\t" if suffix.startswith(".tsv") else max(_DELIMITERS, key=head.partition(b"\n")[0].count)
    fitting = max(1, _BATCH_BYTES // max(len(line) + 1 for line in head.split(b"\n")))
    frames = pd.read_csv(stream, sep=delimiter.decode(), chunksize=min(batch_size, fitting), encoding_errors="replace")
    return _Batches(iter(frames), lambda _rows: raw.tell() / size if size else 0.0)


def _head(file: Path, suffix: str) -> bytes:
    with open_regular(file) as raw:
        return (gzip.GzipFile(fileobj=raw) if suffix.endswith(".gz") else raw).read(_HEAD)


def _parquet(file: Path, batch_size: int, stack: contextlib.ExitStack) -> _Batches:
    if set(str(file)) & set("*?["):
        raise _CannotBeTried("has a name that DuckDB takes for a pattern")
    connection = stack.enter_context(duckdb.connect())
    ((total,),) = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(file)]).fetchall()
    frames = _parquet_frames(connection.execute("SELECT * FROM read_parquet(?)", [str(file)]), batch_size)
    return _Batches(frames, lambda rows: rows / total if total else 0.0)


def _parquet_frames(answer: duckdb.DuckDBPyConnection, batch_size: int) -> Iterator[pd.DataFrame]:
    while len(frame := answer.fetch_df_chunk(max(1, min(batch_size, _PARQUET_BATCH) // _VECTOR))):
        yield frame


@contextlib.contextmanager
def _store(backend: str) -> Iterator[Store]:
    """A private database of the same kind, which goes again at once."""
    with tempfile.TemporaryDirectory(prefix="trial-") as folder:
        opened = _into_duckdb(folder) if backend == "duckdb" else _into_sqlite(folder)
        with opened as store:
            yield store


@contextlib.contextmanager
def _into_sqlite(folder: str) -> Iterator[Store]:
    with contextlib.closing(sqlite3.connect(f"{folder}/trial.sqlite")) as connection:
        yield lambda frame: cast("None", frame.to_sql("trial", connection, if_exists="append", index=False))


@contextlib.contextmanager
def _into_duckdb(folder: str) -> Iterator[Store]:
    with duckdb.connect(f"{folder}/trial.duckdb") as connection:

        def store(frame: pd.DataFrame) -> None:
            connection.register("batch", frame)
            connection.execute("CREATE TABLE IF NOT EXISTS trial AS SELECT * FROM batch LIMIT 0")
            connection.execute("INSERT INTO trial SELECT * FROM batch")
            connection.unregister("batch")

        yield store
