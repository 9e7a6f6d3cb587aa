"""Features are missing, incomplete or unusable.

Symptoms
--------
`FeatureGenerationError`; expected features that do not exist; feature tables that have fewer rows than the data;
columns of missing or infinite values that break a model; a model that does not find the features it was trained on in
the test data.

Causes
------
MDM logs errors of features and continues: a column whose features fail is omitted, and where the whole generation
fails, the dataset is registered without features. Tables are processed in batches; a batch that yields other features
than the first one cannot be appended, which leaves a table that is too short. A division by zero creates infinite
numbers. Features that are not informative are omitted from each table separately. Plain functions of older versions are
no longer called.

Diagnosis
---------
Compare each registered feature table with the table that it was generated from: whether it exists, has as many rows,
and has values. Compare the tables for training and testing. Find what failed in the last generation that the log
records. Run the installed generator on 100 rows, in MDM's own interpreter with a private home.

With a baseline, compare the feature tables, their columns and types, and all their values, whatever the backend (in
tables of up to 20 million values; in all with `--mdm-depth=full`). Features that are gone are a failure, because models
that use them do not work any more; the finding names what explains it, such as another MDM, another backend, other
settings or changed data. Where the plan (`--mdm-expect`) names them it is a note. Other values are a note where
something explains them (a plan, changed data, or that the dataset was registered again), and otherwise a warning.

Solutions
---------
Correct the column that is named and generate the features again: with `mdm features regenerate <dataset> --force` where
the installed MDM has it, which no released one does, otherwise by registering the dataset again, preferably under a new
name: with `--force` MDM deletes the dataset's folder first and discards target, ids, problem type, time and group
column, tags and description. Where single features may be missing, set `MDM_FEATURES_SKIP_ON_ERROR=true` or
`MDM_FEATURES_SKIP_LIST=…` in versions that support them. Convert plain functions to
`@custom_feature(name=, input_columns=, output_type=)`, or to the class that the released versions expect (6.2).
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.feature_generation_failure.baseline.changes import check_changes
from pytest_mdm_health.checks.feature_generation_failure.baseline.values import with_values
from pytest_mdm_health.checks.feature_generation_failure.collect import circumstances_of, collect
from pytest_mdm_health.checks.feature_generation_failure.conditions import (
    check_difference,
    check_log,
    check_table,
    check_trial,
)
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts
from pytest_mdm_health.checks.feature_generation_failure.findings import CHECK, RULES
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(
    mdm_dataset: Dataset,
    mdm_backend: Backend | None,
    mdm_home: Home,
    mdm_config: Settings,
    mdm_options: Options,
    mdm_installation: Installation | None,
    mdm_expected: Expected,
    before: FeatureFacts | None,
) -> FeatureFacts:
    """Collect the feature tables, the log, what the installed generator does, and what differs from the baseline."""
    circumstances = circumstances_of(mdm_dataset, mdm_home, mdm_config, mdm_installation, mdm_expected)
    had_tables = before is not None and any(table.usable for table in before.tables)
    facts = collect(
        circumstances, mdm_dataset, mdm_backend, mdm_home, mdm_options, mdm_installation, had_tables=had_tables
    )
    return with_values(facts, mdm_backend, mdm_options, before)


def judge(facts: FeatureFacts, before: FeatureFacts | None) -> Iterator[Finding]:
    """Each table, the tables compared, the log, the installed generator, and changes since the baseline."""
    for table in facts.tables:
        yield from check_table(facts, table)
    for difference in facts.differences:
        yield from check_difference(facts, difference)
    if facts.run is not None:
        yield from check_log(facts, facts.run)
    if facts.trial is not None:
        yield from check_trial(facts.trial)
    if before is not None:
        yield from check_changes(facts, before)
