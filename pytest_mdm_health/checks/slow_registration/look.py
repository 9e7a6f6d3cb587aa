"""What slow-registration looks at: past durations, settings, sizes, readers, room, and at full depth a trial."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, sidecars
from pytest_mdm_health.backends.row_width import row_count
from pytest_mdm_health.checks.slow_registration.facts import Reader, Sized, SlowFacts, Space, Timing, Trial
from pytest_mdm_health.checks.slow_registration.metrics import queries_of, read_metrics
from pytest_mdm_health.checks.slow_registration.timings import timings_of
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.registrations import FEATURES, read_history
from pytest_mdm_health.mdm.registrations.sources import Source, source_of, suffix_of

LARGEST = 5
"""How many datasets are looked at for their size."""

TRIED = 3
"""How many source files are tried at full depth: the largest."""

READERS = {
    ".parquet": ("pyarrow", "fastparquet"),
    ".xlsx": ("openpyxl",),
    ".xls": ("xlrd",),
}
"""What reads a file for pandas: the first is the one to install, any of them will do."""

PRIVATE_PREFIX = "mdm-health-"
_LEAST_ROOM = 50_000_000
_WORTH_COUNTING = 1_000_000
"""Smaller files hold too few rows to matter here."""


def gather(inventory: Inventory, installation: Installation | None, depth: Depth) -> SlowFacts:
    """Look at all of it."""
    settings, home = inventory.settings, inventory.home
    history = read_history(home.log_file)
    gaps = list(history.gaps)
    metrics = read_metrics(home.metrics, gaps)
    timings = timings_of(history, metrics)
    registered = [each for each in inventory.datasets if each.registration is not None]
    largest = sorted(registered, key=lambda each: (-_size(each), each.name))[:LARGEST]
    sources = {each.name: found for each in registered if (found := _source(each)) is not None}
    sized = [_sized(each, timings, gaps) for each in largest]
    batch_size = int(settings["performance.batch_size"])
    trials = _trials(sources, inventory, timings, gaps) if depth is Depth.FULL else []
    return SlowFacts(
        examined=len(timings) + len(registered),
        home=str(home.root),
        timings=timings,
        queries=queries_of(metrics),
        datasets=tuple(sized),
        batch_size=batch_size,
        batch_set_in=settings.values["performance.batch_size"].origin.place,
        features_enabled=bool(settings["feature_engineering.enabled"]),
        default_backend=str(settings["database.default_backend"]),
        python=str(installation.python) if installation is not None else "",
        readers=tuple(_missing_readers(sources, installation)),
        spaces=tuple(_spaces(home.datasets, sized)),
        trials=tuple(trials),
        gaps=tuple(gaps),
    )


def _size(dataset: Dataset) -> int:
    path = dataset.database
    try:
        return path.stat().st_size if path is not None and kind_of(path) is FileKind.FILE else 0
    except OSError:
        return 0


def _source(dataset: Dataset) -> Source | None:
    return source_of(dataset.registration) if dataset.registration is not None else None


def _sized(dataset: Dataset, timings: Sequence[Timing], gaps: list[str]) -> Sized:
    told = [each.rows for each in timings if each.dataset == dataset.name.lower() and each.rows]
    recorded = dataset.registration.recorded_rows if dataset.registration is not None else None
    rows = told[-1] if told else recorded
    size = _size(dataset)
    if rows is None and size >= _WORTH_COUNTING:
        rows = _counted(dataset, size, gaps)
    return Sized(dataset=dataset.name, backend=dataset.backend or "", rows=rows, size=size)


def _counted(dataset: Dataset, size: int, gaps: list[str]) -> int | None:
    """The rows of its largest table, if that can be told without copying the database."""
    path, registration = dataset.database, dataset.registration
    engine = engine_of(path) if path is not None else None
    if path is None or registration is None or engine not in FILE_ENGINES or sidecars(path):
        return None
    try:
        with Backend(str(engine), path).open() as database:
            there = set(database.tables()).intersection(registration.tables.values())
            return max((row_count(database, table, size) for table in there), default=None)
    except (CannotOpen, QueryFailed) as error:
        gaps.append(f"the rows of {dataset.name} could not be counted: its database {error}")
        return None


def _missing_readers(sources: Mapping[str, Source], installation: Installation | None) -> Iterator[Reader]:
    if installation is None or not installation.is_ml_data_manager or not installation.distributions:
        return
    comes_from: dict[str, list[str]] = defaultdict(list)
    for name, source in sources.items():
        endings = {suffix_of(file) for file in source.files.values()} or {suffix_of(Path(source.written))}
        for suffix in sorted(endings):
            comes_from[suffix].append(name)
    for suffix, packages in READERS.items():
        wanted = suffix in comes_from or suffix == ".parquet"
        if wanted and not any(package in installation.distributions for package in packages):
            yield Reader(package=packages[0], suffix=suffix, datasets=tuple(comes_from.get(suffix, ())[:LARGEST]))


def _spaces(datasets: Path, sized: Sequence[Sized]) -> Iterator[Space]:
    """Where a registration of the largest dataset would write: among the datasets, and among temporary files."""
    largest = max(sized, key=lambda each: each.size, default=None)
    if largest is None:
        return
    temporary = Path(tempfile.gettempdir())
    own = (
        temporary.parent if temporary.name.startswith(PRIVATE_PREFIX) else temporary
    )  # that of a check is a private one
    folders = {"the data": datasets, "temporary files": own}
    for use, folder in folders.items():
        existing = next((each for each in (folder, *folder.parents) if kind_of(each) is FileKind.FOLDER), folder)
        try:
            free = shutil.disk_usage(existing).free
        except OSError:
            continue
        needed = max(_LEAST_ROOM, largest.size)
        yield Space(use=use, folder=str(existing), free=free, needed=needed, dataset=largest.dataset)


def _trials(
    sources: Mapping[str, Source], inventory: Inventory, timings: Sequence[Timing], gaps: list[str]
) -> Iterator[Trial]:
    from pytest_mdm_health.checks.slow_registration.trial import try_out

    for name, source in sources.items():
        if source.path is None:
            gaps.append(f"the source of {name}, {source.written}, is in none of the likely places")
    files = [(file.stat().st_size, name, file) for name, source in sources.items() for file in source.files.values()]
    backend = str(inventory.settings["database.default_backend"])
    batch = int(inventory.settings["performance.batch_size"])
    for _, name, file in sorted(files, reverse=True)[:TRIED]:
        outcome = try_out(name, file, backend, batch, _features_per_row(name, timings))
        if isinstance(outcome, Trial):
            yield outcome
        else:
            gaps.append(f"{file} {outcome}")


def _features_per_row(name: str, timings: Sequence[Timing]) -> float:
    known = [each for each in timings if each.dataset == name.lower() and each.rows and FEATURES in each.stages]
    return statistics.median(each.stages[FEATURES] / (each.rows or 1) for each in known) if known else 0.0
