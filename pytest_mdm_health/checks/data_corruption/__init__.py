"""The data of a dataset is damaged, incomplete, or not what MDM recorded.

Symptoms
--------
Other row counts than before a migration; checksums that fail; values that are missing or altered; "database disk
image is malformed", "file is not a database", "Corrupt database file"; a dataset that opens and is empty.

Causes
------
A copy that broke off, a full disk, a process that was killed while it wrote, a disk that returns wrong data. A
migration that was interrupted, ran twice, or took another file. Data and registration from different backups.

Diagnosis
---------
Compare the dataset with what it was before: run this once with `--mdm-save-baseline` and afterwards with
`--mdm-baseline`. Every row counts in a digest of each table, whatever backend it is on and in whatever order its rows
are; the same number of rows and the same columns prove nothing. Where the rows of before can still be read (the old
file or server, a backup, the files the dataset was registered from), and are shown to be those by their own digest,
the rows and cells that differ are named; their values only with `--mdm-show-values`. Tables of more than a million rows
are compared by a sample, and completely with `--mdm-depth=full`. Feature tables are made from the others; that one is
missing, or has other rows or values, is told by `feature-generation-failure`.

Without a baseline, the file still tells a lot: whether it begins and ends like a database of its engine, whether the
engine finds its pages sound, whether the registered tables are there, and whether their rows are as many as MDM counted
when it registered the dataset, when it last computed statistics, and when it made features from them.

What this cannot see without a copy from before is a value that was replaced by another valid one: SQLite keeps no
checksums, and most single altered bits leave a file that it calls sound. DuckDB keeps a checksum for each block;
`--mdm-depth=full` reads them all.

Solutions
---------
Put the damaged file aside with its logs and restore it from a backup. The command for that is printed where a backup
was found, opened, and nothing is wrong with the copy in it. Without a backup, register the dataset from its source
under a new name and compare; MDM, forced to register it under the old name, removes the dataset's folder first and
forgets what the registration says. The guide's `restore_dataset.sh`, `migrate_dataset.sh` and
`fix_data_corruption.py` are part of no released MDM. SQLite's `.recover` gets out of a damaged file what can still be
read, seldom all of it. A log of another time beside the file must be moved away before anything opens the dataset.

Findings
--------
* `missing-file` (fail): the dataset is registered and its data, a file or a database on a server, is not there.
* `not-a-file` (fail): a folder, FIFO, socket or device stands where the data belongs.
* `empty-file` (fail): the file has no content at all.
* `wrong-format` (fail): the file does not begin like a database of its engine.
* `truncated` (fail): the file is shorter than its header says.
* `damaged` (fail): the engine finds damage in the file, or cannot read a table.
* `surplus` (warn): bytes after the end of the database do not belong to it.
* `not-examined` (warn): the data could not be examined, because it is locked, of a newer format, not readable for
  this user, because there is no room for the copy that reading it without a trace needs, or because a server refuses;
  or a registered table could not be read, for want of a right, for a lock, or for the time; the result is an error,
  neither good nor bad.
* `missing-table` (fail): a registered data table is not in the database.
* `empty-table` (fail/warn): a registered table has no rows; a failure if MDM recorded that it had some.
* `lost-columns` (fail): a table does not have columns that MDM recorded.
* `row-count` (fail/warn): there are fewer rows than MDM counted; a warning if there are more.
* `foreign-log` (fail): a log or journal beside the file belongs to another copy of it; by itself the file is sound.
* `left-over-log` (warn): changes lie in a DuckDB log that a process left behind.
* `interrupted-write` (note): a SQLite journal was left behind; the transaction will be undone.
* `orphan-data` (note): the data is not registered, so most of this cannot be told.
* `extra-file` (note): another database lies in the dataset's folder.
* `unregistered-table` (note): the database has a table that is not registered.
* `altered-rows` (fail): rows are not as they were when the baseline was recorded.
* `missing-rows` (fail): rows are gone since the baseline.
* `added-rows` (fail): rows are there that were not; MDM writes a table when it registers it and never after.
* `duplicated-rows` (fail): rows are there more often than they were.
* `lost-table` (fail): a table that the baseline has is gone, and its registration with it.
* `dropped-columns` (fail): a table does not have columns that the baseline has.
* `added-table` (note): a table is there that the baseline does not have.
* `added-columns` (note): a table has columns that the baseline does not have.
* `retyped` (note): columns are declared to be of another type; whether their values changed is told by the rows.
* `lossy-backend` (note): values differ in what the backend cannot keep, and in nothing else.
* `backend-changed` (note): the data is on another backend than before.
* `moved` (note): the home or the file is at another place than before.
* `incomparable` (warn): the baseline cannot be compared with, because it was made with another hash function or is no
  digest; the result is an error, neither good nor bad.
* `not-compared` (warn): a table could not be read for the comparison, or not in time; the result is an error.
* `as-planned` (note): a change that the file of expectations has.
* `unplanned-change` (fail): a change that does no harm and that the file of expectations does not have.
* `not-done` (fail): a change that the file of expectations has, and that did not happen.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE
from pytest_mdm_health.checks.data_corruption import findings
from pytest_mdm_health.checks.data_corruption.change_findings import of_changes
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.look import gather
from pytest_mdm_health.checks.data_corruption.planned import unexcused
from pytest_mdm_health.checks.data_corruption.since import Since, with_tables
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

CHECK = Check(
    id="data-corruption",
    issue="5.1",
    title="Damaged, incomplete or altered data",
    per=Kind.DATASET,
    requires=("postgres-slowdown.unreachable", "postgres-slowdown.login-refused", "metadata-corruption"),
    despite=DATA_IS_READABLE,
    backends=("sqlite", "duckdb", "postgresql"),
    tags=("data", "storage"),
)


def observe(
    mdm_dataset: Dataset,
    mdm_backend: Backend | None,
    mdm_home: Home,
    mdm_config: Settings,
    mdm_options: Options,
    mdm_expected: Expected,
    before: DataFacts | None = None,
) -> DataFacts:
    """Open the data, count, verify, read what MDM recorded, and hold the tables against a baseline."""
    since = Since(mdm_dataset, mdm_backend, mdm_home, mdm_config, mdm_options, mdm_expected, before)
    return with_tables(gather(mdm_dataset, mdm_backend, mdm_home, mdm_options), since)


def judge(facts: DataFacts, before: DataFacts | None) -> Iterator[Finding]:
    """From the file as such to its rows: what became of them, which is exact, then what was recorded of them."""
    yield from findings.of_file(CHECK, facts)
    yield from findings.of_left_over(CHECK, facts)
    if before is not None:
        yield from of_changes(CHECK, facts, before)
    yield from unexcused(_as_registered(facts), facts)


def _as_registered(facts: DataFacts) -> Iterator[Finding]:
    yield from findings.of_registration(CHECK, facts)
    yield from findings.of_tables(CHECK, facts)
    yield from findings.of_recorded(CHECK, facts)
