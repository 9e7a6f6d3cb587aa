"""The registration of a dataset is damaged, contradicts itself, or does not fit the data.

Symptoms
--------
`KeyError` (such as `KeyError: 'backend'`) on properties of a dataset; listings and details that tell different
stories; a dataset that registers without complaint and then cannot be used; "uses 'duckdb' backend, but current
backend is 'sqlite'"; a dataset that is missing from `mdm dataset list` though its files are there.

Causes
------
A registration that was edited by hand, cut off in the middle, saved in another encoding, or written by another
generation of MDM. A home that was copied, moved or restored, whose registrations go on pointing at the place it came
from. A registration that was interrupted, so that the data is there and nothing knows of it. A changed default
backend.

MDM keeps every registration twice: `config/datasets/<name>.yaml`, which it reads first, and `dataset_info.json` in
the dataset's folder. When no dataset can be made of the YAML file, MDM's Python API takes the JSON copy and only its
log says so, while its commands read nothing but the YAML file. So one field of the wrong type is enough for both to
disagree.

Diagnosis
---------
Look at the YAML file: a full registration has at least `name`, `database` with `backend` and `path`, and `tables`;
the guide's short one `name`, `path`, `created_at`, `backend` and `version`. Compare it with `dataset_info.json`. Let
MDM build its model from it: `mdm.models.dataset.DatasetInfo(**data)`. See whether `database.path` lies in this home.

Solutions
---------
Correct the damaged copy by what the other one says, field by field, or restore it from a backup. JSON is valid YAML, so
`dataset_info.json` is a registration again where the YAML file should be; but what `mdm dataset update` changed is only
in the YAML file, so keep that too. Never write the JSON copy from a YAML file that may lack fields. With neither copy
usable and no backup, register the dataset's sources under a new name, with the same target, ids and other options:
`mdm dataset register --force` deletes the dataset's folder first and forgets all of these. The guide's
`scripts/rebuild_metadata.py` is part of no released MDM.

Findings
--------
* `syntax` (fail): the YAML file breaks off or is no YAML; MDM's commands do not know the dataset.
* `encoding` (fail): the YAML file is not UTF-8, or holds characters that YAML forbids.
* `unreadable` (fail): no file of a few kilobytes that can be read stands where the YAML file belongs.
* `not-a-mapping` (fail): the YAML file is empty or holds something else than fields with values.
* `duplicate-key` (warn): a field is there twice; MDM silently takes the last.
* `broken-pointer` (fail): the registration points to a folder that holds no `dataset.yaml` to read.
* `missing-field` (fail): a field is not there that a registration of its shape cannot do without.
* `field-type` (fail/warn): MDM refuses a field's value, and with it the whole file; a warning while the JSON copy
  steps in.
* `name-differs` (fail/warn): the name inside is another than that of the file; a warning if only letter case differs.
* `not-seen` (fail/warn): MDM does not look at a file of this name (`.yml`, capital letters); a warning while another
  copy is read in its stead.
* `unregistered` (fail/warn): there is data without a YAML registration; a warning if nothing shows that there ever
  was one. What a registration is at work on, or left behind when it broke off, is told by `registration-hang`.
* `lost-registration` (fail/warn): the YAML registration that the baseline knows is gone, and the data is still there;
  a warning if the data is registered under another name.
* `vanished` (fail/warn/note): the baseline knows a dataset that is neither registered nor on disk any more; a warning
  if nobody can say whether it was registered, a note if its removal was planned, or if nothing registered it.
* `not-done` (fail): the dataset is planned to be removed and still there.
* `unknown-backend` (fail): MDM has no backend of that name.
* `wrong-engine` (fail): the data is not of the engine that is registered.
* `other-default` (fail): MDM's commands refuse datasets that are not on the default backend.
* `missing-data` (fail): the registered file is not there, or is no file; the server has no such database.
* `out-of-reach` (fail/warn): a permission is missing, so nobody can say whether the data, or with a warning the JSON
  copy, is in order.
* `bad-connection` (fail): nobody can connect with what is registered of a server, whatever runs there.
* `path-elsewhere` (fail/warn): the registration points out of this home, as it does in a copied one; a warning for
  data that was deliberately put somewhere else.
* `other-datasets-file` (fail): the registered path is another dataset's own file, though this dataset has one of its
  own.
* `relative-path` (warn): MDM finds the data only when it is started in one certain folder.
* `shared-data` (warn): two registrations lay claim to the same data; what one of them changes, changes the other.
* `missing-column` (fail): the target, id, time or group column is in none of the tables.
* `odd-date` (warn): a date cannot be right.
* `odd-version` (note): the version is no version.
* `damaged-twin` (warn): the JSON copy cannot be used, so nothing steps in for the YAML file.
* `incomplete` (fail/warn): the YAML file lacks fields that its JSON copy has, as when its end is lost; a failure if the
  problem type, tables, or the target, id, time or group column are among them.
* `lost-field` (fail/warn): the target, time or group column or an id column of the baseline is not registered any more,
  or another column is in its place; a warning if another copy of the registration was in force then.
* `changed-field` (warn): the problem type is another one or is gone, tags, description or source are gone, ids came, or
  the version went back since the baseline.
* `twins-disagree` (warn/note): the two copies say different things; a note for what `mdm dataset update` leaves
  behind.
* `no-twin` (note): there is no JSON copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.metadata_corruption import form, gone, since, truth
from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.checks.metadata_corruption.look import gather
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import Dataset, Inventory

CHECK = Check(
    id="metadata-corruption",
    issue="7.2",
    title="Damaged or contradictory dataset registration",
    per=Kind.DATASET,
    requires=("postgres-slowdown.unreachable", "postgres-slowdown.login-refused"),
    tags=("registration", "metadata"),
)


def observe(
    mdm_dataset: Dataset,
    mdm_inventory: Inventory,
    mdm_backend: Backend | None,
    mdm_options: Options,
    mdm_expected: Expected,
    before: MetadataFacts | None,
) -> MetadataFacts:
    """Read both copies of the registration and look at what they speak of."""
    facts = gather(mdm_dataset, mdm_inventory, mdm_backend, mdm_options, before)
    plan = mdm_expected.of(mdm_dataset.name)
    return replace(facts, removal_planned=bool(plan.removed), planned=since.planned_columns(plan))


def judge(facts: MetadataFacts, before: MetadataFacts | None) -> Iterator[Finding]:
    """What is wrong with the registration, from the file as such to what it says."""
    yield from gone.of_absence(CHECK, facts, before)
    if before is not None:
        yield from since.of_fields(CHECK, facts, before)
    found = list(_of_the_yaml(facts))
    yield from found
    yield from truth.of_twin(CHECK, facts, set(truth.failed_fields(found)))


def _of_the_yaml(facts: MetadataFacts) -> Iterator[Finding]:
    yield from form.of_text(CHECK, facts)
    yield from form.of_fields(CHECK, facts)
    yield from form.of_names(CHECK, facts)
    yield from truth.of_backend(CHECK, facts)
    yield from truth.of_place(CHECK, facts)
    yield from truth.of_content(CHECK, facts)
