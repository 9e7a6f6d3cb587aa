"""Features are missing, incomplete or useless.

Symptoms
--------
`FeatureGenerationError`; expected features that are not there; feature tables that are shorter than the data; columns
of missing or infinite values that break a model; a model that does not find in the test data what it was trained on.

Causes
------
MDM logs errors of features and goes on: a column whose features fail is left out, and where generating fails as a
whole, the dataset is registered without any. Tables are worked on in batches; where a batch makes other features than
the first one, it cannot be appended, and a table that is too short is left behind. A division by zero makes infinite
numbers. Features that tell too little are left out of each table by itself. Old bare functions are not called any more.

Diagnosis
---------
Compare each registered feature table with the table that it was made of: whether it is there, has as many rows, and
has values. Compare the tables for training and testing. Read in the log what went wrong the last time. Run the
installed generator on 100 rows, in MDM's own interpreter, with a home of its own.

With a baseline, compare the feature tables, their columns and types, and all their values, whatever the backend (in
tables of up to 20 million values; in all with `--mdm-depth=full`). Features are made of the data and can be made again,
so a change in them is no failure by itself. It is a note where something explains it: a plan (`--mdm-expect`), other
data, or that the dataset was registered again, for other features by another MDM, on another backend or under other
settings. Otherwise it is a warning, and so is the loss of a feature that MDM does not make by itself.

Solutions
---------
Correct the column that is named and make the features again: `mdm features regenerate <dataset> --force` where the
installed MDM has it, which no released one does, else by registering the dataset again, best under a new name: with
`--force` MDM deletes the dataset's folder first and forgets target, ids, problem type, time and group column, tags and
description. Where single features may be missing,
`MDM_FEATURES_SKIP_ON_ERROR=true` or `MDM_FEATURES_SKIP_LIST=…` in versions that know them. Old bare functions become
`@custom_feature(name=, input_columns=, output_type=)`, or the class that the released versions expect (6.2).

Findings
--------
* `missing-table` (fail): a registered feature table is not there. One that is there and cannot be read, for want of a
  permission or because it is locked, makes the result an error.
* `row-count` (fail): a feature table has more or fewer rows than the table that it was made of.
* `left-behind` (warn): a feature table is there that is not registered.
* `empty-feature` (fail): a feature has no value in any row.
* `infinite-feature` (warn): a feature has infinite numbers.
* `constant-feature` (note): a feature has the same value in all rows.
* `tables-differ` (warn): a feature is in the table for training and not in another one, or the other way round, or of
  another type there.
* `left-out` (note): the same, where MDM may have left it out because it tells too little.
* `logged-failure` (fail/warn): generating features failed the last time; a warning if there are older ones.
* `logged-error` (note): MDM logged an error and went on without the feature.
* `generator-fails` (fail): the installed generator fails on this dataset's rows.
* `generator-errors` (warn): the installed generator logs errors on this dataset's rows.
* `lost-features` (warn/note): a feature table or features of the baseline are gone; a note if that is explained.
* `new-features` (note): a feature table or features are there that the baseline has not.
* `altered-features` (warn/note): features have other values or types than in the baseline; a note if that is explained.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.feature_generation_failure import findings
from pytest_mdm_health.checks.feature_generation_failure.change_findings import of_changes
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts
from pytest_mdm_health.checks.feature_generation_failure.look import gather
from pytest_mdm_health.checks.feature_generation_failure.since import with_circumstances, with_values
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

CHECK = Check(
    id="feature-generation-failure",
    issue="6.1",
    title="Missing, incomplete or useless features",
    per=Kind.DATASET,
    requires=("metadata-corruption",),
    despite=("metadata-corruption.incomplete", "metadata-corruption.lost-field"),
    tags=("features",),
)


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
    """Look at the feature tables, the log, what the installed generator does, and what is not as it was."""
    had_some = before is not None and any(table.usable for table in before.tables)
    facts = gather(mdm_dataset, mdm_backend, mdm_home, mdm_options, mdm_installation, had_some=had_some)
    facts = with_circumstances(facts, mdm_dataset, mdm_config, mdm_installation, mdm_expected)
    return with_values(facts, mdm_backend, mdm_options, before)


def judge(facts: FeatureFacts, before: FeatureFacts | None) -> Iterator[Finding]:
    """Table by table, then against each other, what was logged, what would happen now, and what was not so before."""
    for table in facts.tables:
        yield from findings.of_table(CHECK, facts, table)
    for difference in facts.differences:
        yield from findings.of_difference(CHECK, facts, difference)
    yield from findings.of_log(CHECK, facts)
    if facts.trial is not None:
        yield from findings.of_trial(CHECK, facts.trial)
    if before is not None:
        yield from of_changes(CHECK, facts, before)
