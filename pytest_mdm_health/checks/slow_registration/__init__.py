"""The registration of a dataset takes hours instead of minutes.

Symptoms
--------
`mdm dataset register` runs for hours where minutes were expected; the progress bar hardly moves; much memory is taken.

Causes
------
Features that are generated while registering, which takes most of the time for wide tables. Batches so small that
their number decides. SQLite for very large data. A reader that is missing (pyarrow for Parquet). A disk that is full,
for the data or for temporary files.

Diagnosis
---------
Compare the durations in the log, and in `metrics.db` where MDM keeps one, for each row: with those in the baseline
(only what was measured later than all that the baseline has counts as since then), with earlier registrations of the
same dataset, and with other datasets. Queries are compared with the baseline alone, by the medians of the last twenty
of each kind; row for row where MDM counted rows, else run for run. Profile `mdm.dataset.register` with cProfile. See
the settings `performance.batch_size`, `feature_engineering.enabled`, `database.default_backend`. At
`--mdm-depth=full`, part of the source file is read and stored privately, to tell what a registration would take now.

Solutions
---------
The guide: `MDM_PERFORMANCE_BATCH_SIZE=5000`; no features while registering (`--no-features`, or
`MDM_FEATURE_ENGINEERING_ENABLED=false`: the guide's `MDM_FEATURES_GENERATE_ON_REGISTER` is read by no released MDM);
`MDM_DATABASE_DEFAULT_BACKEND=duckdb`; install pyarrow where Parquet is read, or CSV in parts.

Findings
--------
One registration that was slow in several ways is one finding, called by the first that is true; the others are in its
evidence, and what may be the cause of it is a note.

* `slower-than-before` (warn/note): for each row it took three times as long as earlier registrations of the same
  dataset; or twice as long as in the baseline and at least 5 seconds more; or a query takes twice as long as in the
  baseline and at least 1 second more (a note if the registration of its dataset is told of as slow).
* `slower-than-others` (warn): for each row it took ten times as long as comparable datasets in this home.
* `took-hours` (warn/note): it took an hour or more; a note where the number of rows explains it.
* `features-take-most` (note): most of a long registration went into features.
* `small-batches` (warn/note): the data is cut into thousands of batches.
* `sqlite-for-large-data` (warn/note): gigabytes in SQLite; a warning from ten.
* `reader-missing` (warn/note): MDM's interpreter cannot read the kind of file that a dataset comes from; a note while
  no dataset needs it.
* `no-room` (warn): too little room for what a registration writes.
* `estimate` (warn/note): what a registration would take now, measured; a warning from an hour.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.slow_registration import findings
from pytest_mdm_health.checks.slow_registration.durations import of_durations
from pytest_mdm_health.checks.slow_registration.facts import SlowFacts
from pytest_mdm_health.checks.slow_registration.look import gather
from pytest_mdm_health.core.model import Check, Depth, Finding, Kind, Severity
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="slow-registration",
    issue="4.1",
    title="Registration that takes hours instead of minutes",
    per=Kind.HOME,
    tags=("performance", "registration"),
)


def observe(mdm_inventory: Inventory, mdm_installation: Installation | None, mdm_options: Options) -> SlowFacts:
    """Look at past durations and at what decides the next one."""
    return gather(mdm_inventory, mdm_installation, Depth(mdm_options.depth))


def judge(facts: SlowFacts, before: SlowFacts | None) -> Iterator[Finding]:
    """What took long, what will, and why; one cause is one warning."""
    took = list(of_durations(CHECK, facts, before))
    warned = {each.subject for each in took if each.severity is Severity.WARN}
    yield from took
    yield from findings.of_settings(CHECK, facts, warned)
    yield from findings.of_readers(CHECK, facts)
    yield from findings.of_space(CHECK, facts)
    yield from findings.of_trials(CHECK, facts, warned)
