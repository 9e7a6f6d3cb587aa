"""The findings about features."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.prerequisites import ROWS_ARE_VISIBLE
from pytest_mdm_health.checks._shared.regenerating_features import RESTORE_OR_REGENERATE
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="feature-generation-failure",
    issue="6.1",
    title="Missing, incomplete or unusable features",
    per=Kind.DATASET,
    requires=("metadata-corruption", *ROWS_ARE_VISIBLE),
    tolerates=("metadata-corruption.incomplete", "metadata-corruption.lost-field"),
    reads=("log",),
    tags=("features",),
)
RULES = Rules(CHECK)

GENERATION_ERROR = "FeatureGenerationError"
FEATURES_MISSING = "expected features missing"
VALUES_INCOMPATIBLE = "incompatible feature values"

TRAIN_AGAIN = Steps("Train models on the current features, or provide the ones that they need as custom features.")
ACCEPT_OR_PROVIDE = Steps(
    "Models that use these features do not work any more: train them again, or provide the features as custom ones. If "
    "the loss is intended, list the features as `dropped` for this table in the plan (--mdm-expect)."
)
NO_ACTION = Steps("No action is required.")
NO_ACTION_FOR_NEW = Steps("No action is required; models that were trained without these features do not use them.")

MISSING_TABLE = RULES.declare(
    "missing-table",
    FAIL,
    means="a registered feature table does not exist. One that exists and cannot be read, because it is locked or "
    "permission is denied, makes the result an error",
    message="{table} is registered but does not exist",
    remedy=RESTORE_OR_REGENERATE,
    answers=(FEATURES_MISSING,),
)
ROW_COUNT = RULES.declare(
    "row-count",
    FAIL,
    means="a feature table has more or fewer rows than the table that it was generated from",
    message="{table} has {rows:rows}, but {base}, which it was generated from, has {base_rows}",
    remedy=RESTORE_OR_REGENERATE,
    answers=("row counts differ",),
)
LEFT_BEHIND = RULES.declare(
    "left-behind",
    WARN,
    means="a feature table exists that is not registered",
    message="{table} exists but is not registered, as after an interrupted generation; MDM does not use it",
    remedy=RESTORE_OR_REGENERATE,
)
EMPTY_FEATURE = RULES.declare(
    "empty-feature",
    FAIL,
    means="a feature has no value in any row",
    message="{table} has no values in {columns} ({rows:rows} examined)",
    remedy=RESTORE_OR_REGENERATE,
    answers=(VALUES_INCOMPATIBLE,),
)
INFINITE_FEATURE = RULES.declare(
    "infinite-feature",
    WARN,
    means="a feature has infinite numbers",
    message="{table} has infinite numbers in {columns}",
    remedy="Find what is divided by zero, such as by a column that contains zeros, and omit the feature or correct the "
    "data at its source; models do not accept infinite numbers.",
    answers=(VALUES_INCOMPATIBLE,),
)
CONSTANT_FEATURE = RULES.declare(
    "constant-feature",
    NOTE,
    means="a feature has the same value in all rows",
    message="{table} has the same value in all {rows:rows} of {columns}",
    remedy="A constant feature is of no use to a model; it can be omitted.",
)
TABLES_DIFFER = RULES.declare(
    "tables-differ",
    WARN,
    means="a feature is in the table for training but not in another one, or the other way round, or has another type "
    "there",
    message="{lacks} lacks {count} that {has} has: {names}",
    remedy="A model trained on one cannot be used on the other. Check whether the column that they are generated from "
    "has values there that a transformation does not accept, such as negative ones, and train on features that both "
    "tables have until that is corrected.",
    answers=(FEATURES_MISSING,),
)
TYPES_DIFFER = RULES.reworded(
    TABLES_DIFFER, message="numeric in {has} but not in {lacks}: {names}", remedy=RESTORE_OR_REGENERATE
)
LEFT_OUT = RULES.declare(
    "left-out",
    WARN,
    means="the same, where MDM may have omitted the feature because it is not informative",
    message="{lacks} lacks {count} that {has} has, possibly because they are not informative there: {names}",
    remedy="A model trained on one cannot be used on the other: use only features that both tables have.",
)
LOGGED_FAILURE = RULES.declare(
    "logged-failure",
    FAIL,
    means="the last feature generation failed; a warning if there are tables of an earlier one",
    message="the last feature generation failed: {error}; MDM registered the dataset without features",
    remedy=RESTORE_OR_REGENERATE,
    answers=(GENERATION_ERROR,),
)
LOGGED_FAILURE_AFTER_SUCCESS = RULES.reworded(
    LOGGED_FAILURE,
    WARN,
    message="the last feature generation failed: {error}; the registered tables are from an earlier one",
    remedy=RESTORE_OR_REGENERATE,
)
LOGGED_ERROR = RULES.declare(
    "logged-error",
    WARN,
    NOTE,
    means="MDM logged an error and continued without the feature; a note if features of that column exist",
    message="MDM logged an error and continued: {error}{repeated}",
    remedy="MDM continued without these features. If they are needed, correct the column or its type in the source.",
)
GENERATOR_FAILS = RULES.declare(
    "generator-fails",
    FAIL,
    means="the installed generator fails on this dataset's rows",
    message="the installed generator fails on the first {rows:rows} of {table}: {error}",
    remedy="If the dataset were registered again, it would have no features. Correct the data or the installation "
    "first.",
    answers=(GENERATION_ERROR,),
)
GENERATOR_ERRORS = RULES.declare(
    "generator-errors",
    WARN,
    means="the installed generator logs errors on this dataset's rows",
    message="the installed generator logs {count} on the first {rows:rows} of {table}: {error}",
    remedy="If the dataset were registered again, these features would be missing. Correct the source first.",
)
LOST_FEATURES = RULES.declare(
    "lost-features",
    FAIL,
    NOTE,
    means="a feature table or features of the baseline no longer exist; a note if the plan names them",
    message="{table} lost {features}; no explanation found{logged}",
    remedy=RESTORE_OR_REGENERATE,
    change=("feature", Change.REMOVED),
    answers=(FEATURES_MISSING,),
)
EXPLAINED_LOSS = RULES.reworded(
    LOST_FEATURES, FAIL, message="{table} lost {features}; {reasons}{logged}", remedy=ACCEPT_OR_PROVIDE
)
PLANNED_LOSS = RULES.reworded(LOST_FEATURES, NOTE, message="{table} lost {features}, as planned", remedy=NO_ACTION)
LOST_CUSTOM_FEATURES = RULES.reworded(
    LOST_FEATURES,
    FAIL,
    message="{table} lost {features}, which MDM does not generate by itself",
    remedy="Check the dataset's custom features (`custom-features-not-loading`). " + RESTORE_OR_REGENERATE.text,
)
LOST_TABLE = RULES.reworded(
    LOST_FEATURES,
    FAIL,
    message="{table} no longer exists and is no longer registered: the dataset lost its features",
    remedy=RESTORE_OR_REGENERATE,
)
PLANNED_LOSS_OF_TABLE = RULES.reworded(
    LOST_FEATURES,
    NOTE,
    message="{table} no longer exists and is no longer registered, as planned",
    remedy=NO_ACTION,
)
NEW_FEATURES = RULES.declare(
    "new-features",
    NOTE,
    means="a feature table or features exist that the baseline does not have",
    message="{table} has {features} that it did not have in the baseline{reasons}",
    remedy=NO_ACTION_FOR_NEW,
    change=("feature", Change.ADDED),
)
NEW_TABLE = RULES.reworded(NEW_FEATURES, message="{table} was added, with {count}", remedy=NO_ACTION_FOR_NEW)
ALTERED_FEATURES = RULES.declare(
    "altered-features",
    WARN,
    means="features have other values or types than in the baseline; a note if that is explained",
    message="{difference}, although nothing shows that it was generated again",
    remedy=RESTORE_OR_REGENERATE,
    change=("feature", Change.NEW),
    answers=(VALUES_INCOMPATIBLE,),
)
EXPLAINED_VALUES = RULES.reworded(ALTERED_FEATURES, NOTE, message="{difference}; {reasons}", remedy=TRAIN_AGAIN)
RETYPED_FEATURES = RULES.reworded(
    ALTERED_FEATURES, message="{table} no longer has numbers in {names}", remedy=RESTORE_OR_REGENERATE
)
