"""Custom features are not loaded.

Symptoms
--------
Features that are missing from the dataset although their file exists; "Feature not found"; features that work in a
test and not in production; "Failed to load custom features for …" or "Error in … for …" in the log, which is all that
MDM reports.

Causes
------
MDM loads only `<custom features>/<dataset>.py`, instantiates the first class in it that is derived from
`mdm.features.custom.base.BaseDomainFeatures` with the dataset's name, and runs the operations in its
`_operation_registry`. Errors on the way are logged and otherwise ignored. Plain functions, which were called before the
refactoring, are ignored, and so is a file with another name or in another folder. A module that the file imports may
be installed where the file was tested and missing in MDM's own interpreter. Other versions require functions decorated
with `@custom_feature`, in modules that `custom_features/__init__.py` imports and lists in `__all__`.

Diagnosis
---------
List the files in every place where some version looks for them. Read their sources without running them. Then load
each file in MDM's own interpreter and run its operations on 100 rows of its dataset: in a separate process, with a copy
of the file, a private home, a timeout, a memory limit and no permission to write to the examined home. Compare the
features that it creates with the columns of the dataset's feature table.

Solutions
---------
Correct the file as the finding says; where the installed MDM has `discover_custom_features`, import a module that is
not listed in `custom_features/__init__.py` and add it to `__all__`. Then generate the features again, but first save
everything that the dataset has: `mdm dataset register --force` deletes the dataset's folder.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks.custom_features_not_loading.collect import collect
from pytest_mdm_health.checks.custom_features_not_loading.conditions import check_loading, check_path, check_source
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts
from pytest_mdm_health.checks.custom_features_not_loading.findings import CHECK, DELETED, RULES, UNREADABLE
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(mdm_inventory: Inventory, mdm_options: Options, mdm_installation: Installation | None) -> CustomFacts:
    """Read the files, and load them in MDM's own interpreter."""
    return collect(mdm_inventory, mdm_options, mdm_installation)


def judge(facts: CustomFacts) -> Iterator[Finding]:
    """File by file, then files that were deleted."""
    for file in facts.files:
        path = file.path
        if file.withheld:
            continue
        if file.code.problem:
            yield UNREADABLE(at=path, subject=path, path=path, problem=file.code.problem)
            continue
        yield from check_path(facts, file)
        if file.loading is None:
            yield from check_source(facts, file)
        else:
            yield from check_loading(facts, file, file.loading)
    for deleted in facts.deleted:
        yield DELETED(subject=deleted.dataset, dataset=deleted.dataset, path=deleted.path, folder=facts.folder)
