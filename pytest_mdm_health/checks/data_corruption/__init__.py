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
are; the same number of rows and the same columns prove nothing. Where the earlier rows can still be read (the old file
or server, a backup, the files the dataset was registered from), and their own digest proves that they are those, the
rows and cells that differ are named; their values only with `--mdm-show-values`. Tables of more than a million rows are
compared by a sample, and completely with `--mdm-depth=full`. Feature tables are made from the others; that one is
missing, or has other rows or values, is reported by `feature-generation-failure`.

Without a baseline, the file still shows a lot: whether it begins and ends like a database of its engine, whether the
engine finds its pages sound, whether the registered tables are there, and whether their rows are as many as MDM counted
when it registered the dataset, when it last computed statistics, and when it made features from them.

What this cannot see without an earlier copy is a value that was replaced by another valid one: SQLite keeps no
checksums, and most single altered bits leave a file that it calls sound. DuckDB keeps a checksum for each block;
`--mdm-depth=full` reads them all.

Solutions
---------
Put the damaged file aside with its logs and restore it from a backup. The command for that is printed where a backup
was found, opened, and nothing is wrong with the copy in it. Without a backup, register the dataset from its source
under a new name and compare; MDM, forced to register it under the old name, removes the dataset's folder first and
forgets what the registration says. The guide's `restore_dataset.sh`, `migrate_dataset.sh` and
`fix_data_corruption.py` are part of no released MDM. What is around the damaged pages of a copy can be
read table by table, seldom all of it. A log of another copy beside the file must be moved away before anything opens
the dataset; so must one that DuckDB cannot replay, and one whose file is gone, before another is restored there.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption import conditions
from pytest_mdm_health.checks.data_corruption.baseline import SnapshotRequest, plan
from pytest_mdm_health.checks.data_corruption.baseline import conditions as changes
from pytest_mdm_health.checks.data_corruption.baseline.collect import with_tables
from pytest_mdm_health.checks.data_corruption.collect import collect
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.findings import CHECK, RULES
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(
    mdm_dataset: Dataset,
    mdm_backend: Backend | None,
    mdm_home: Home,
    mdm_config: Settings,
    mdm_options: Options,
    mdm_expected: Expected,
    before: DataFacts | None = None,
) -> DataFacts:
    """Open the data, count, verify, read what MDM recorded, and compare the tables with a baseline."""
    request = SnapshotRequest(mdm_dataset, mdm_backend, mdm_home, mdm_config, mdm_options, mdm_expected, before)
    return with_tables(collect(mdm_dataset, mdm_backend, mdm_home, mdm_options), request)


def judge(facts: DataFacts, baseline: DataFacts | None) -> Iterator[Finding]:
    """From the file as such to its rows: what became of them, which is exact, then what MDM recorded about them."""
    yield from conditions.check_file(facts)
    yield from conditions.check_objects(facts)
    yield from conditions.check_logs(facts)
    if baseline is not None:
        yield from plan.applied(changes.check_changes(facts, baseline), facts, baseline)
        yield from plan.check_plan(facts, baseline)
    yield from conditions.check_registration(facts)
    for finding in (*conditions.check_tables(facts), *conditions.check_recorded(facts)):
        if not plan.excuses(finding, facts):
            yield finding
