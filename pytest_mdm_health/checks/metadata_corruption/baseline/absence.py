"""Datasets that lost their registration since the baseline, were never registered, or are gone."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.metadata_corruption.facts import Absence, MetadataFacts
from pytest_mdm_health.checks.metadata_corruption.findings import (
    COPIED,
    COPIED_UNDER_IMPOSSIBLE_NAME,
    COPIED_WITHOUT_DATA,
    DATA_NOT_REMOVED,
    DATA_ONLY,
    IN_THE_FOLDER_OF_THE_SETTINGS,
    LOST_REGISTRATION,
    NOT_DONE,
    OUT_OF_REACH,
    REMOVED_AS_PLANNED,
    RENAMED,
    RESTORE_FROM,
    UNREGISTERED,
    VANISHED,
    VANISHED_UNKNOWN,
    VANISHED_UNREGISTERED,
    WARN,
    WRONG_FOLDER,
)
from pytest_mdm_health.core.findings import remedy_of
from pytest_mdm_health.core.model import Finding, Remedy
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE
from pytest_mdm_health.mdm.registrations.schema import is_dataset_name


def check_absence(facts: MetadataFacts, baseline: MetadataFacts | None) -> Iterator[Finding]:
    """A dataset that is not registered as it should be, or that should not exist any more."""
    absence = facts.absence
    if facts.removal_planned and not (absence is not None and absence.is_gone):
        yield _check_removal(facts)
    elif absence is None:
        return
    elif absence.is_gone:
        yield _check_vanished(facts, absence)
    elif absence.remembered or _lost_its_registration(facts, baseline):
        yield _check_lost_registration(facts, absence)
    elif facts.json_copy.barrier is not None:
        file, remedy = facts.json_copy.file, allowed(facts.json_copy.barrier, facts.root)
        effect = f"and the YAML file is missing, so what {facts.name!r} is remains unknown"
        yield OUT_OF_REACH(WARN, at=file, subject="copy", remedy=remedy, path=file, effect=effect)
    elif facts.registered:
        yield _check_json_copy_alone(facts, absence)
    else:
        files = ", ".join(facts.data.files)
        yield DATA_ONLY(at=facts.yaml.file, remedy=_restoring(facts, absence), name=facts.name, files=files)


def _check_removal(facts: MetadataFacts) -> Finding:
    if facts.registered:
        return NOT_DONE(name=facts.name, file=facts.yaml.file)
    files = ", ".join(facts.data.files) or (facts.absence.former_place if facts.absence is not None else "")
    return DATA_NOT_REMOVED(name=facts.name, files=files)


def _check_vanished(facts: MetadataFacts, absence: Absence) -> Finding:
    if facts.removal_planned:
        return REMOVED_AS_PLANNED(name=facts.name)
    where = f" (it was {absence.former_place})" if absence.former_place else ""
    if absence.was_registered is False:
        return VANISHED_UNREGISTERED(name=facts.name, where=where)
    rule = VANISHED if absence.was_registered else VANISHED_UNKNOWN
    return rule(remedy=_restoring(facts, absence), name=facts.name, where=where)


def _lost_its_registration(facts: MetadataFacts, baseline: MetadataFacts | None) -> bool:
    """Whether the baseline has a registration that does not exist now."""
    return baseline is not None and (baseline.yaml.exists or (baseline.registered and not facts.registered))


def _check_lost_registration(facts: MetadataFacts, absence: Absence) -> Finding:
    files = absence.former_place if absence.remembered else ", ".join(facts.data.files)
    if absence.known_as:
        data = f"; its data, {files}, is now registered as {absence.known_as!r}"
        return LOST_REGISTRATION(WARN, remedy=RENAMED, name=facts.name, data=data)
    data = f", though its data still exists: {files or facts.json_copy.file}"
    if absence.on_server:
        data = f"; its data was on a server ({absence.former_place or 'unknown'}), which was not examined"
    remedy = _restoring_from_json_copy(facts, absence) if facts.registered else _restoring(facts, absence)
    return LOST_REGISTRATION(at=facts.expected_yaml, remedy=remedy, name=facts.name, data=data)


def _check_json_copy_alone(facts: MetadataFacts, absence: Absence) -> Finding:
    api = "still finds it" if facts.in_force else "does not find it either"
    problem = f": the JSON copy {facts.json_copy.problem}" if facts.json_copy.problem else ""
    return UNREGISTERED(
        at=facts.json_copy.file,
        remedy=_restoring_from_json_copy(facts, absence),
        name=facts.name,
        json_copy=facts.json_copy.file,
        api=f"{api}{problem}",
    )


def _restoring_from_json_copy(facts: MetadataFacts, absence: Absence) -> Remedy:
    """How to make the YAML file again where its JSON copy is left."""
    if facts.json_copy.barrier is not None:
        return allowed(facts.json_copy.barrier, facts.root)
    if facts.in_force is None:
        return _restoring(facts, absence)
    if absence.default_yaml:
        return _correcting_settings(facts, absence)
    place, name = facts.data.place, facts.content.name or facts.name
    own = place is not None and place.instead
    if name.lower() != facts.name.lower() or (facts.data.shared_with and own):
        return _registering_copied_folder(facts)
    if facts.in_default_folder and absence.saved:
        return _out_of_backups(absence)
    steps = UNREGISTERED.remedy if facts.in_default_folder else IN_THE_FOLDER_OF_THE_SETTINGS
    return steps.fill(
        {
            "json_copy": facts.json_copy.file,
            "wanted": facts.expected_yaml,
            "registrations": facts.registrations,
        }
    )


def _registering_copied_folder(facts: MetadataFacts) -> Remedy:
    """How to register a folder whose JSON copy is that of another dataset."""
    place, data = facts.data.place, facts.data
    own = ""
    if place is not None:
        own = place.instead or ("" if data.shared_with else place.path)
    steps = COPIED if own else COPIED_WITHOUT_DATA
    if own and not is_dataset_name(facts.name):
        steps = COPIED_UNDER_IMPOSSIBLE_NAME
    return steps.fill(
        {
            "owner": data.shared_with[0] if data.shared_with else facts.content.name,
            "folder": posixpath.dirname(facts.json_copy.file),
            "wanted": facts.expected_yaml,
            "name": facts.name.lower(),
            "data": own,
        }
    )


def _correcting_settings(facts: MetadataFacts, absence: Absence) -> Remedy:
    literal = any(mark in facts.registrations for mark in "~$")
    values = {"default_yaml": absence.default_yaml, "registrations": facts.registrations}
    return WRONG_FOLDER.fill({**values, "hint": " MDM expands neither `~` nor variables in it." if literal else ""})


def _restoring(facts: MetadataFacts, absence: Absence) -> Remedy:
    """How to get what is missing out of a backup; with the data still there, that is the registration."""
    if absence.default_yaml:
        return _correcting_settings(facts, absence)
    repairs = tuple(_putting_back(absence)) if facts.in_default_folder else ()
    files = {saved.file for saved in absence.saved}
    complete = facts.expected_yaml in files and (not absence.is_gone or absence.former_place in files)
    if repairs and complete:
        return _out_of_backups(absence)
    lacking = f"No backup in {' or '.join(absence.searched)} has all of it. " if absence.searched else ""
    if absence.is_gone:
        what = "the rest" if repairs else "its data and its registration"
        return remedy_of(VANISHED.remedy.fill({"lacking": lacking, "what": what}).text, repairs)
    return remedy_of(f"{lacking}{DATA_ONLY.remedy.fill({'wanted': facts.expected_yaml}).text}", repairs)


def _out_of_backups(absence: Absence) -> Remedy:
    backups = ", ".join(dict.fromkeys(saved.data.origin for saved in absence.saved))
    return remedy_of(RESTORE_FROM.fill({"backups": backups}).text, _putting_back(absence))


def _putting_back(absence: Absence) -> Iterator[Repair]:
    """The calls that put back what is missing; a registration brings its JSON copy out of an archive or folder."""
    by_name = {posixpath.basename(saved.file): saved for saved in absence.saved}
    json_copy = by_name.get(JSON_COPY_FILE)
    for saved in absence.saved:
        brings_it = saved.data.origin != saved.data.member and saved.file.endswith(".yaml")
        if brings_it and json_copy is not None and json_copy.data.origin == saved.data.origin:
            json_copy = None
        if saved is not by_name.get(JSON_COPY_FILE) or json_copy is not None:
            yield Repair("put-back", saved.file, options=(("from", saved.data.origin),))
