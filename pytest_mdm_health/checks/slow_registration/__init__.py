"""The registration of a dataset takes hours instead of minutes.

Symptoms
--------
`mdm dataset register` runs for hours where minutes were expected; the progress bar hardly moves; it uses much memory.

Causes
------
Features that are generated while registering, which takes most of the time for wide tables. Batches so small that
their number decides. SQLite for very large data. A reader that is missing (pyarrow for Parquet). A disk that is full,
for the data or for temporary files.

Diagnosis
---------
Compare the durations in the log, and in `metrics.db` where MDM records them, for each row: with those in the baseline
(only what was measured later than all that the baseline contains counts as new), with earlier registrations of the
same dataset, and with other datasets. Queries are compared with the baseline alone, by the medians of the last twenty
of each kind; row for row where MDM counted rows, else run for run. One registration that was slow in several ways is
one finding, with the code of the first and the others in its evidence; what may have caused it is a note. Profile
`mdm.dataset.register` with cProfile. See the settings `performance.batch_size`, `feature_engineering.enabled`,
`database.default_backend`.

Solutions
---------
The guide: `MDM_PERFORMANCE_BATCH_SIZE=5000`; no features while registering (`--no-features`, or
`MDM_FEATURE_ENGINEERING_ENABLED=false`: the guide's `MDM_FEATURES_GENERATE_ON_REGISTER` is read by no released MDM);
`MDM_DATABASE_DEFAULT_BACKEND=duckdb`; install pyarrow where Parquet is read, or register CSV in parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pytest_mdm_health.checks.slow_registration.collect import collect
from pytest_mdm_health.checks.slow_registration.conditions import check_queries, check_registrations
from pytest_mdm_health.checks.slow_registration.facts import SlowFacts
from pytest_mdm_health.checks.slow_registration.findings import (
    CHECK,
    NO_ROOM,
    NOTE,
    READER_MISSING,
    RULES,
    SMALL_BATCHES,
    SQLITE_FOR_LARGE_DATA,
    WARN,
)
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]

MANY_BATCHES, TOO_MANY_BATCHES = 1000, 10_000
LARGE_SQLITE, VERY_LARGE_SQLITE = 1_000_000_000, 10_000_000_000


def observe(mdm_inventory: Inventory, mdm_installation: Installation | None) -> SlowFacts:
    """Examine past durations and what decides the next one."""
    return collect(mdm_inventory, mdm_installation)


def judge(facts: SlowFacts, before: SlowFacts | None) -> Iterator[Finding]:
    """What took long, what will, and why; one cause is one warning."""
    slow = list(check_registrations(facts, before))
    warned = {finding.subject for finding in slow if finding.severity is WARN}
    yield from slow
    yield from check_queries(facts, before, warned)
    yield from _check_batches(facts, warned)
    yield from _check_sqlite(facts, warned)
    yield from _check_readers(facts)
    yield from _check_space(facts)


def _check_batches(facts: SlowFacts, warned: Collection[str]) -> Iterator[Finding]:
    """One setting, and the dataset that suffers most from it."""
    limit = MANY_BATCHES if facts.batch_set_in else TOO_MANY_BATCHES
    rows_by_name = {dataset.dataset: dataset.rows or 0 for dataset in facts.datasets}
    affected = {name: rows for name, rows in rows_by_name.items() if rows // facts.batch_size > limit}
    if not affected:
        return
    dataset, rows = max(affected.items(), key=lambda named: named[1])
    batches = rows // facts.batch_size
    is_explained = batches <= TOO_MANY_BATCHES or any(name.lower() in warned for name in affected)
    yield SMALL_BATCHES(
        NOTE if is_explained else WARN,
        subject=dataset,
        evidence={**affected},
        dataset=dataset,
        rows=rows,
        batches=batches,
        batch_size=facts.batch_size,
        set_in=facts.batch_set_in or "MDM",
        others=f", {counted(len(affected) - 1, 'other dataset')} in thousands too" if len(affected) > 1 else "",
        better=max(10_000, rows // MANY_BATCHES),
    )


def _check_sqlite(facts: SlowFacts, warned: Collection[str]) -> Iterator[Finding]:
    for dataset in facts.datasets:
        if dataset.backend == "sqlite" and dataset.size >= LARGE_SQLITE:
            name, size = dataset.dataset, dataset.size
            is_warning = size >= VERY_LARGE_SQLITE and name.lower() not in warned
            yield SQLITE_FOR_LARGE_DATA(WARN if is_warning else NOTE, subject=name, dataset=name, size=size)


def _check_readers(facts: SlowFacts) -> Iterator[Finding]:
    """Packages that MDM needs to read the sources of this home."""
    for reader in facts.readers:
        names = ", ".join(map(repr, reader.datasets))
        yield READER_MISSING(
            WARN if reader.datasets else NOTE,
            subject=reader.package,
            python=facts.python,
            package=reader.package,
            suffix=reader.suffix,
            datasets=f"; {names} cannot be registered again" if reader.datasets else "",
        )


def _check_space(facts: SlowFacts) -> Iterator[Finding]:
    for space in facts.spaces:
        if space.free < space.needed:
            yield NO_ROOM(
                subject=space.use,
                folder=space.folder,
                free=space.free,
                use=space.use,
                dataset=space.dataset,
                needed=space.needed,
                elsewhere=", or point TMPDIR elsewhere" if space.use == "temporary files" else "",
            )
