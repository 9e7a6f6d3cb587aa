"""The registration of a dataset is damaged, contradicts itself, or does not fit the data.

Symptoms
--------
`KeyError` (such as `KeyError: 'backend'`) on properties of a dataset; listings and details that contradict each other;
a dataset that registers without an error and then cannot be used; "uses 'duckdb' backend, but current backend is
'sqlite'"; a dataset that is missing from `mdm dataset list` although its files exist.

Causes
------
A registration that was edited by hand, truncated, saved in another encoding, or written by another version of MDM. A
home that was copied, moved or restored, whose registrations still point to its former location. A registration that was
interrupted, so that there is data that nothing registers. A changed default backend.

MDM keeps every registration twice: `config/datasets/<name>.yaml`, which it reads first, and `dataset_info.json` in
the dataset's folder. When no dataset can be made of the YAML file, MDM's Python API takes the JSON copy and only its
log says so, while its commands read nothing but the YAML file. So one field of the wrong type is enough to make the two
disagree.

Diagnosis
---------
Read the YAML file: a full registration has at least `name`, `database` with `backend` and `path`, and `tables`; the
guide's short one `name`, `path`, `created_at`, `backend` and `version`. Compare it with `dataset_info.json`. Let MDM
build its model from it: `mdm.models.dataset.DatasetInfo(**data)`. See whether `database.path` is in this home.

With a baseline, every field of the registration is compared with the recorded one by what it means, whichever copy is
in force. With a plan (`--mdm-expect`), the fields that it names must have their planned values; no other may change.

Solutions
---------
Correct the damaged copy from the other one, field by field, or restore it from a backup. JSON is valid YAML, so
`dataset_info.json` can take the place of the YAML file; but what `mdm dataset update` changed is only in the YAML file,
so keep that too. Never write the JSON copy from a YAML file that may lack fields. With neither copy
usable and no backup, register the dataset's sources under a new name, with the same target, ids and other options:
`mdm dataset register --force` deletes the dataset's folder first and forgets all of these. The guide's
`scripts/rebuild_metadata.py` is part of no released MDM.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.metadata_corruption.baseline.absence import check_absence
from pytest_mdm_health.checks.metadata_corruption.baseline.fields import check_changes, check_planned_values
from pytest_mdm_health.checks.metadata_corruption.collect import collect
from pytest_mdm_health.checks.metadata_corruption.conditions import (
    check_backend,
    check_content,
    check_fields,
    check_json_copy,
    check_names,
    check_place,
    check_text,
)
from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.checks.metadata_corruption.findings import CHECK, RULES
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Dataset, Inventory

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(
    mdm_dataset: Dataset,
    mdm_inventory: Inventory,
    mdm_backend: Backend | None,
    mdm_options: Options,
    mdm_expected: Expected,
    before: MetadataFacts | None,
) -> MetadataFacts:
    """Read both copies of the registration and examine what they describe."""
    return collect(mdm_dataset, mdm_inventory, mdm_backend, mdm_options, mdm_expected, before)


def judge(facts: MetadataFacts, before: MetadataFacts | None) -> Iterator[Finding]:
    """What is wrong with the registration, from the file as such to what it says."""
    yield from check_absence(facts, before)
    yield from check_planned_values(facts)
    if before is not None:
        yield from check_changes(facts, before)
    found = list(_check_yaml(facts))
    yield from found
    yield from check_json_copy(facts, found)


def _check_yaml(facts: MetadataFacts) -> Iterator[Finding]:
    yield from check_text(facts)
    yield from check_fields(facts)
    yield from check_names(facts)
    yield from check_backend(facts)
    yield from check_place(facts)
    yield from check_content(facts)
