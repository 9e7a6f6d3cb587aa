"""Custom features are not loaded.

Symptoms
--------
Features that are not in the dataset though their file is there; "Feature not found"; features that work in a test and
not in production; "Failed to load custom features for …" or "Error in … for …" in the log, which is all that MDM says.

Causes
------
MDM loads `<custom features>/<dataset>.py` and nothing else, makes an instance of the first class in it that is derived
from `mdm.features.custom.base.BaseDomainFeatures` with the dataset's name, and runs what that puts into
`_operation_registry`. Whatever goes wrong is logged and swallowed. Bare functions, which were called before the
refactoring, are passed over; so is a file that is called otherwise or lies elsewhere. What a file imports may be
installed where it was tested and missing in MDM's own interpreter. Other versions want functions decorated with
`@custom_feature`, in modules that `custom_features/__init__.py` imports and lists in `__all__`.

Diagnosis
---------
List the files, wherever some version looks for them. Read their sources without running them. Then load each in MDM's
own interpreter, and run what it registers on 100 rows of its dataset: in a process of its own, with a copy of the
file, a home of its own, a time-out and a limit on memory, and without the means to write in the home. Compare what it
makes with the columns of the dataset's feature table.

Solutions
---------
Correct the file as the finding says; a module that is not listed is added to `custom_features/__init__.py` and its
`__all__`, where the installed MDM has `discover_custom_features`. Then make the features again, with all that the
dataset has saved before: `mdm dataset register --force` deletes the dataset's folder first.

Findings
--------
* `unreadable` (fail): a file cannot be read.
* `syntax` (fail): a file is no Python.
* `wrong-place` (warn): a file lies where the installed MDM does not look.
* `unknown-dataset` (warn): no dataset is registered under a file's name.
* `not-listed` (warn/note): the folder's `__init__.py` leaves a module out; a note if the installed MDM does not
  read it.
* `bare-functions` (fail): a file has old bare functions, which nothing calls any more.
* `no-features` (warn): a file defines no features at all.
* `other-api` (fail): a file is written for another MDM than the installed one.
* `constructor` (fail): MDM cannot make an instance of the class.
* `several-classes` (warn): MDM uses only the first of several classes.
* `fails-to-load` (fail): loading or running a file raises, or does not end.
* `ends-process` (fail): loading or running a file ends MDM's own process: an exit or a crash.
* `no-operations` (warn): the class registers nothing.
* `operation-fails` (fail): an operation raises on the dataset's rows.
* `not-in-table` (warn): a feature is not in the dataset's feature table.
* `writes` (warn/note): a file tries to write in the home; a note where it only was
  kept from what might write, or from writing elsewhere.
* `gone` (warn): a file that MDM used the last time is not there any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.custom_features_not_loading import findings
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts
from pytest_mdm_health.checks.custom_features_not_loading.look import gather
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

CHECK = Check(
    id="custom-features-not-loading",
    issue="6.2",
    title="Custom features that are not loaded",
    per=Kind.HOME,
    tags=("features",),
)


def observe(mdm_inventory: Inventory, mdm_options: Options, mdm_installation: Installation | None) -> CustomFacts:
    """Read the files, and load them in MDM's own interpreter."""
    return gather(mdm_inventory, mdm_options, mdm_installation)


def judge(facts: CustomFacts, before: CustomFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """File by file, then those that are gone."""
    for file in facts.files:
        yield from findings.FileJudge(CHECK, facts, file).findings()
    for gone in facts.gone:
        yield findings.of_gone(CHECK, facts, gone)
