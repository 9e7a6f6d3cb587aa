"""The findings about custom features."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.regenerating_features import RESTORE_OR_REGENERATE
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="custom-features-not-loading",
    issue="6.2",
    title="Custom features that are not loaded",
    per=Kind.HOME,
    reads=("log", "custom-features"),
    tags=("features",),
)
RULES = Rules(CHECK)

NOT_IN_DATASET = "custom features not in dataset"
NOT_FOUND = "Feature not found"
ONLY_IN_TEST = "custom features work in test but not production"

DEFINE_CLASS = Steps(
    "Define the features as methods of a class derived from mdm.features.custom.base.BaseDomainFeatures, and add these "
    "to self._operation_registry in _register_operations(self). Each method gets the data frame and returns columns by "
    "name."
)
DECORATE_FUNCTIONS = Steps(
    "Decorate each function with @custom_feature(name=…, input_columns=[…], output_type=…) from mdm.features."
)
CORRECT_SYNTAX = Steps("Correct the line, or restore the file from a backup.")
MATCH_CONSTRUCTOR = Steps(
    "MDM passes only the dataset's name to the class. Accept it, pass it on to super().__init__, and define "
    "_register_operations(self)."
)
ONLY_COMPUTE = Steps("Custom features should only compute; MDM loads them for every batch.")

UNREADABLE = RULES.declare(
    "unreadable",
    FAIL,
    means="a file cannot be read",
    message="{path} {problem}",
    remedy="Restore the path as a regular file that MDM's user can read.",
)
SYNTAX = RULES.declare(
    "syntax",
    FAIL,
    means="a file has a syntax error",
    message="{path} has a syntax error: {error}",
    remedy=CORRECT_SYNTAX,
)
WRONG_PLACE = RULES.declare(
    "wrong-place",
    WARN,
    means="a file is not where the installed MDM looks for it",
    message="{path} is not where MDM looks for it: expected {expected}",
    remedy="If the installed MDM should use it, copy it to {expected}; if that file already exists, compare the two. "
    "Keep this one: another MDM may look for it here.",
    answers=(NOT_FOUND,),
)
UNKNOWN_DATASET = RULES.declare(
    "unknown-dataset",
    WARN,
    means="no dataset is registered under a file's name",
    message="{path} is not named after a registered dataset{hint}",
    remedy="MDM loads a file only for the dataset of the same name. Keep it: that dataset may return, or be registered "
    "in another home. If another dataset is intended, copy the file to {name}.py in the same folder.",
)
NOT_LISTED = RULES.declare(
    "not-listed",
    WARN,
    NOTE,
    means="the folder's `__init__.py` omits a module; a note if the installed MDM does not read it",
    message="{path} is not imported in __init__.py, or not listed in its __all__",
    remedy="Import `{module}` in {index} and list it in `__all__`.",
    answers=(NOT_FOUND,),
)
BARE_FUNCTIONS = RULES.declare(
    "bare-functions",
    FAIL,
    means="a file has plain functions, which MDM no longer calls",
    message="{path} defines plain functions ({functions}), which MDM no longer calls",
    remedy=DEFINE_CLASS,
    answers=(NOT_IN_DATASET,),
)
NO_FEATURES = RULES.declare(
    "no-features",
    WARN,
    means="a file defines no features at all",
    message="{path} defines no features",
    remedy=DEFINE_CLASS,
)
OTHER_API = RULES.declare(
    "other-api",
    FAIL,
    means="a file is written for another MDM than the installed one",
    message="{path} decorates {functions} with @custom_feature, which the installed MDM does not support",
    remedy=DEFINE_CLASS,
    answers=(ONLY_IN_TEST,),
)
OTHER_API_CLASSES = RULES.reworded(
    OTHER_API,
    message="{path} defines {classes}, but the installed MDM requires functions decorated with @custom_feature",
    remedy=DECORATE_FUNCTIONS,
)
CONSTRUCTOR = RULES.declare(
    "constructor",
    FAIL,
    means="MDM cannot instantiate the class",
    message="{path} defines {class_name}, which MDM cannot instantiate: {reason}",
    remedy=MATCH_CONSTRUCTOR,
)
SEVERAL_CLASSES = RULES.declare(
    "several-classes",
    WARN,
    means="MDM uses only the first of several classes",
    message="{path} defines {classes}; MDM uses only {first}",
    remedy="Put all operations into one class, and shared code into a class that is not derived from "
    "BaseDomainFeatures.",
)
FAILS_TO_LOAD = RULES.declare(
    "fails-to-load",
    FAIL,
    means="loading or running a file raises an exception, or does not finish",
    message="{path} fails {when}: {error}",
    remedy="MDM logs this and continues without the features. Correct the file, and run this check again.",
    answers=(ONLY_IN_TEST,),
)
DOES_NOT_FINISH = RULES.reworded(
    FAILS_TO_LOAD,
    message="{path} hangs {when}: its process {ended}",
    remedy="MDM has no timeout and would wait forever. Find the loop, or what the file waits for, and run this check "
    "again.",
)
ENDS_PROCESS = RULES.declare(
    "ends-process",
    FAIL,
    means="loading or running a file ends MDM's own process: an exit or a crash",
    message="{path} ends its process {when}: {reason}",
    remedy="MDM ends with it, in the middle of a registration. Raise an ordinary exception instead of exiting; MDM "
    "logs that and continues. A signal is a crash in compiled code that the file calls.",
)
NO_OPERATIONS = RULES.declare(
    "no-operations",
    WARN,
    means="the class registers no operations",
    message="{path} defines {class_name}, which registers no operations",
    remedy="Add each operation to self._operation_registry in _register_operations(self).",
    answers=(NOT_IN_DATASET,),
)
OPERATION_FAILS = RULES.declare(
    "operation-fails",
    FAIL,
    means="an operation raises an exception on the dataset's rows",
    message="{path} registers {operation}, which fails on the first rows of the dataset: {error}",
    remedy="MDM logs this and continues without its features. Correct the operation, and generate the features again.",
    answers=(NOT_IN_DATASET,),
)
NOT_IN_TABLE = RULES.declare(
    "not-in-table",
    WARN,
    means="a feature is not in the dataset's feature table",
    message="{path} creates features that are not in {table}: {features}",
    remedy=RESTORE_OR_REGENERATE,
    answers=(NOT_IN_DATASET,),
)
WRITES = RULES.declare(
    "writes",
    WARN,
    means="a file tries to write to the home; a note where it was only blocked from a call that might write, or from "
    "writing elsewhere",
    message="{path} tries to write to the home when it is loaded or run: {places}{untested}",
    remedy=ONLY_COMPUTE,
)
MIGHT_WRITE = RULES.reworded(
    WRITES,
    NOTE,
    message="{path} tried to {place} when it was loaded or run, which is refused while it is only tried{untested}",
    remedy=ONLY_COMPUTE,
)
DELETED = RULES.declare(
    "gone",
    WARN,
    means="a file that MDM used to generate the current features no longer exists",
    message="the features of {dataset} were last generated with {path}, which is no longer in {folder}",
    remedy="Restore the file from a backup before the dataset's features are generated again without it.",
)
