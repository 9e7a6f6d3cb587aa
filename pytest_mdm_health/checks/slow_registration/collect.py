"""Collects what slow-registration judges: past durations, settings, sizes, readers, free space."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Row, sidecars
from pytest_mdm_health.backends.row_width import row_count
from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks.slow_registration.facts import (
    DatasetSize,
    Measured,
    MissingReader,
    Query,
    SlowFacts,
    Space,
    Timing,
)
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.registrations import FEATURES, Outcome, RegistrationRun
from pytest_mdm_health.mdm.registrations.sources import Source, source_of, suffix_of

LARGEST = 5
"""How many datasets are measured."""

TIMINGS = 10
"""How many registrations of one dataset are stored: the newest."""

OPERATIONS, RUNS = 50, 20
"""How many kinds of queries are stored, those that took most time, and how many runs of each, the newest."""

QUERY_TYPES = ("query_execution", "dataset_read")
"""The types of metrics that MDM records for queries."""

READERS = {".parquet": ("pyarrow", "fastparquet"), ".xlsx": ("openpyxl",), ".xls": ("xlrd",)}
"""What reads a file for pandas: the first is the one to install, any of them is enough."""

PRIVATE_PREFIX = "mdm-health-"
"""How the temporary folders begin that checks run in."""

_SAME_S = 5.0
"""How far apart the log and the metrics may record the end of one registration."""

_LEAST_SPACE = 50_000_000
_WORTH_COUNTING = 1_000_000
"""Smaller files have too few rows to matter here."""

# MDM records local time without a zone, and 0 rows where it did not count. SQLite stores any type in any column.
_METRICS = """
    SELECT operation, lower(coalesce(dataset_name, '')), CAST(timestamp AS TEXT), duration_ms / 1000.0,
      CASE WHEN typeof(row_count) = 'integer' AND row_count > 0 THEN row_count END
    FROM metrics
    WHERE metric_type {types} AND success AND duration_ms > 0 AND typeof(duration_ms) IN ('integer', 'real')
      AND typeof({named}) = 'text'
    ORDER BY id DESC LIMIT {most}
"""
_REGISTRATIONS = _METRICS.format(types="= 'dataset_register'", named="dataset_name", most=2000)
_QUERIES = _METRICS.format(types=f"IN {QUERY_TYPES}", named="operation", most=20_000)


def collect(inventory: Inventory, installation: Installation | None) -> SlowFacts:
    """Examine the log, the metrics, the settings, the largest datasets, their sources, and the free space."""
    settings, home = inventory.settings, inventory.home
    events = read_events(home.log_file)
    gaps, unexamined = list(events.gaps), list(events.not_understood)
    registrations, queries = _read_metrics(home.metrics, gaps)
    timings = _timings([run for run in events.history.runs if run.outcome is Outcome.COMPLETED], registrations)
    registered = [dataset for dataset in inventory.datasets if dataset.registration is not None]
    largest = sorted(registered, key=lambda dataset: (-_file_size(dataset), dataset.name))[:LARGEST]
    sizes = tuple(_size_of(dataset, timings, gaps, unexamined) for dataset in largest)
    return SlowFacts(
        examined=len(timings) + len(registered),
        home=str(home.root),
        timings=timings,
        queries=_slowest_queries(queries),
        datasets=sizes,
        batch_size=int(settings["performance.batch_size"]),
        batch_set_in=settings.values["performance.batch_size"].origin.place,
        features_enabled=bool(settings["feature_engineering.enabled"]),
        python=str(installation.python) if installation is not None else "",
        readers=tuple(_missing_readers(_sources(registered), installation)),
        spaces=tuple(_spaces(home.datasets, sizes)),
        gaps=tuple(gaps),
        unexamined=tuple(unexamined),
    )


def _read_metrics(file: Path, gaps: list[str]) -> tuple[list[Row], list[Row]]:
    """The durations of registrations and of queries, newest first; only MDM 0.2.0 records them."""
    if kind_of(file) is FileKind.MISSING:
        return [], []
    try:
        with Backend("sqlite", file).open() as database:
            return database.query(_REGISTRATIONS), database.query(_QUERIES)
    except (CannotOpen, QueryFailed) as error:
        gaps.append(f"the durations in {file} could not be read: it {error}")
        return [], []


def _slowest_queries(rows: Iterable[Row]) -> tuple[Query, ...]:
    runs: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for operation, dataset, timestamp, seconds, count in rows:
        run = Measured(ended=_utc(_time(timestamp)), seconds=round(seconds, 6), rows=count)
        runs[shown(operation), dataset].append(run)
    slowest = sorted(runs, key=lambda query: (-sum(run.seconds for run in runs[query]), query))[:OPERATIONS]
    return tuple(
        Query(operation=operation, dataset=dataset, measured=tuple(runs[operation, dataset][:RUNS]))
        for operation, dataset in sorted(slowest)
    )


def _timings(runs: list[RegistrationRun], metrics: Iterable[Row]) -> tuple[Timing, ...]:
    """The completed registrations whose duration is known, oldest first; a metric is more exact than the log."""
    found: list[tuple[float, Timing]] = []
    for _, dataset, timestamp, seconds, rows in metrics:
        ended = _time(timestamp)
        run = _same_registration(dataset, ended, runs)
        if run is not None:
            runs.remove(run)
        timing = _logged(run) if run is not None else Timing(dataset=dataset)
        timing = replace(timing, ended=_utc(ended), seconds=seconds, rows=timing.rows or rows, recorded_in="metrics.db")
        found.append((_stamp(ended), timing))
    found += [(_stamp(run.last), _logged(run)) for run in runs if run.seconds is not None]
    found.sort(key=lambda timed: timed[0], reverse=True)
    stored: Counter[str] = Counter()
    newest = []
    for _, timing in found:
        stored[timing.dataset] += 1
        if stored[timing.dataset] <= TIMINGS:
            newest.append(timing)
    return tuple(reversed(newest))


def _same_registration(dataset: str, ended: datetime | None, runs: Sequence[RegistrationRun]) -> RegistrationRun | None:
    """The run in the log that a metric is about: the one of the same dataset that ended at nearly the same time."""

    def seconds_apart(run: RegistrationRun) -> float:
        return abs(_stamp(run.last) - _stamp(ended))

    near = [run for run in runs if run.dataset == dataset and seconds_apart(run) <= _SAME_S]
    return min(near, key=seconds_apart, default=None)


def _logged(run: RegistrationRun) -> Timing:
    return Timing(
        dataset=run.dataset,
        ended=_utc(run.last),
        seconds=run.seconds or 0.0,
        rows=sum(run.rows.values()) or None,
        features=bool(run.feature_tables) or FEATURES in run.stages,
        stages=dict(run.stages),
        recorded_in="log",
    )


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone() if text is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _stamp(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0


def _utc(time: datetime | None) -> str:
    """A time to the second, so that later ones sort later; empty for None."""
    return time.astimezone(timezone.utc).isoformat(" ", "seconds") if time is not None else ""


def _file_size(dataset: Dataset) -> int:
    path = dataset.database
    try:
        return path.stat().st_size if path is not None and kind_of(path) is FileKind.FILE else 0
    except OSError:
        return 0


def _size_of(dataset: Dataset, timings: Sequence[Timing], gaps: list[str], unexamined: list[str]) -> DatasetSize:
    loaded = [timing.rows for timing in timings if timing.dataset == dataset.name.lower() and timing.rows]
    recorded = dataset.registration.recorded_rows if dataset.registration is not None else None
    rows = loaded[-1] if loaded else recorded
    size = _file_size(dataset)
    if rows is None and size >= _WORTH_COUNTING:
        rows = _count_rows(dataset, size, gaps, unexamined)
    return DatasetSize(dataset=dataset.name, backend=dataset.backend or "", rows=rows, size=size)


def _count_rows(dataset: Dataset, size: int, gaps: list[str], unexamined: list[str]) -> int | None:
    """The rows of its largest table, if they can be counted without copying the database."""
    path, registration = dataset.database, dataset.registration
    engine = engine_of(path) if path is not None else None
    if path is None or registration is None or engine not in FILE_ENGINES or sidecars(path):
        return None
    try:
        with Backend(str(engine), path).open() as database:
            existing = set(database.tables()).intersection(registration.tables.values())
            return max((row_count(database, table, size) for table in existing), default=None)
    except (CannotOpen, QueryFailed) as error:
        missed = unexamined if getattr(error, "code", "") == "unreadable" else gaps
        missed.append(f"the rows of {dataset.name} could not be counted: its database {error}")
        return None


def _sources(registered: Iterable[Dataset]) -> Mapping[str, Source]:
    sources = {
        dataset.name: source_of(dataset.registration) for dataset in registered if dataset.registration is not None
    }
    return {name: source for name, source in sources.items() if source is not None}


def _missing_readers(sources: Mapping[str, Source], installation: Installation | None) -> Iterator[MissingReader]:
    if installation is None or not installation.is_ml_data_manager or not installation.distributions:
        return
    datasets: dict[str, list[str]] = defaultdict(list)
    for name, source in sources.items():
        suffixes = {suffix_of(file) for file in source.files.values()} or {suffix_of(Path(source.written))}
        for suffix in sorted(suffixes):
            datasets[suffix].append(name)
    for suffix, packages in READERS.items():
        wanted = suffix in datasets or suffix == ".parquet"
        if wanted and not any(package in installation.distributions for package in packages):
            yield MissingReader(package=packages[0], suffix=suffix, datasets=tuple(datasets.get(suffix, ())[:LARGEST]))


def _spaces(datasets: Path, sizes: Sequence[DatasetSize]) -> Iterator[Space]:
    """Where a registration of the largest dataset would write: among the datasets, and among temporary files."""
    largest = max(sizes, key=lambda dataset: dataset.size, default=None)
    if largest is None:
        return
    temporary = Path(tempfile.gettempdir())
    if temporary.name.startswith(PRIVATE_PREFIX):
        temporary = temporary.parent
    for use, folder in {"the data": datasets, "temporary files": temporary}.items():
        existing = next((path for path in (folder, *folder.parents) if kind_of(path) is FileKind.FOLDER), folder)
        try:
            free = shutil.disk_usage(existing).free
        except OSError:
            continue
        needed = max(_LEAST_SPACE, largest.size)
        yield Space(use=use, folder=str(existing), free=free, needed=needed, dataset=largest.dataset)
