"""What metadata-corruption concludes where a dataset has no YAML file, and of datasets that are gone. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from pytest_mdm_health.checks._shared.backup_restore import put_back
from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.metadata_corruption import repairs
from pytest_mdm_health.checks.metadata_corruption.facts import Absence, MetadataFacts
from pytest_mdm_health.core.model import Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.registrations.schema import is_dataset_name

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE


def of_absence(check: Check, facts: MetadataFacts, before: MetadataFacts | None) -> Iterator[Finding]:
    """A dataset that is not registered as it should be, or that should not be there any more."""
    absence = facts.absence
    gone = absence is not None and absence.remembered and not (absence.lies or absence.on_server)
    if facts.removal_planned and not gone:
        yield _not_done(check, facts)
    elif absence is None:
        return
    elif gone:
        yield _vanished(check, facts, absence)
    elif absence.remembered or _lost(facts, before):
        yield _lost_registration(check, facts, absence)
    elif facts.twin.barrier is not None:
        message = f"{facts.twin.file} cannot be reached for want of a permission, and there is no YAML file, so nobody "
        message += f"can say what {facts.name!r} is"
        remedy, location = allowed(facts.twin.barrier), Location(facts.twin.file)
        yield check.finding("out-of-reach", WARN, message, remedy, location=location, subject="copy")
    elif facts.registered:
        yield _only_a_copy(check, facts, absence)
    else:
        yield _unregistered(check, facts, absence)


def _lost(facts: MetadataFacts, before: MetadataFacts | None) -> bool:
    """Whether a registration was there when the baseline was recorded that is not there now."""
    return before is not None and (before.yaml.there or (before.registered and not facts.registered))


def _vanished(check: Check, facts: MetadataFacts, absence: Absence) -> Finding:
    where = f" (it was {absence.was})" if absence.was else ""
    if facts.removal_planned:
        message = f"{facts.name!r} was removed, as planned"
        return check.finding("vanished", NOTE, message, Remedy("Nothing is to be done."))
    if absence.was_registered is False:
        message = f"data that nothing registered, {facts.name!r}, was there and is gone{where}"
        return check.finding("vanished", NOTE, message, Remedy("Restore it from a backup if somebody needs it."))
    then = f"{facts.name!r} was there when the baseline was recorded"
    message = f"{then}; neither its registration nor its data{where} is now"
    if absence.was_registered is None:
        message = f"{then} and is gone{where}; whether anything registered it is not known"
    severity = FAIL if absence.was_registered else WARN
    return check.finding("vanished", severity, message, _restored(facts, absence))


def _lost_registration(check: Check, facts: MetadataFacts, absence: Absence) -> Finding:
    lying = absence.was if absence.remembered else ", ".join(facts.data.files)
    message = f"{facts.name!r} was registered when the baseline was recorded and has no YAML file any more"
    if absence.known_as:
        message += f"; its data, {lying}, is registered as {absence.known_as!r} now"
        remedy = Remedy(
            "Ask for it by its new name, or give the registration its old name back if that was no purpose."
        )
        return check.finding("lost-registration", WARN, message, remedy)
    if absence.on_server:
        message += f"; its data was on a server ({absence.was or 'which is not known'}) and was not looked at"
    else:
        message += f", though its data is still there: {lying or facts.twin.file}"
    remedy = _of_copy(facts, absence) if facts.registered else _restored(facts, absence)
    return check.finding("lost-registration", FAIL, message, remedy, location=Location(facts.usual_yaml))


def _only_a_copy(check: Check, facts: MetadataFacts, absence: Absence) -> Finding:
    works = "MDM's Python API still finds it" if facts.in_force else "MDM's Python API does not find it either"
    works += f": the JSON copy {facts.twin.problem}" if facts.twin.problem else ""
    message = f"{facts.name!r} has a {facts.twin.file} and no YAML file: `mdm dataset list` does not show it; {works}"
    return check.finding("unregistered", FAIL, message, _of_copy(facts, absence), location=Location(facts.twin.file))


def _unregistered(check: Check, facts: MetadataFacts, absence: Absence) -> Finding:
    lying = ", ".join(facts.data.files)
    message = f"nothing registers {facts.name!r}, whose data lies in {lying}; MDM does not know of it"
    remedy = _restored(facts, absence)
    return check.finding("unregistered", WARN, message, remedy, location=Location(facts.yaml.file))


def _not_done(check: Check, facts: MetadataFacts) -> Finding:
    registered = f"it is registered in {facts.yaml.file}"
    lying = ", ".join(facts.data.files) or (facts.absence.was if facts.absence is not None else "")
    state = registered if facts.registered else f"its data is still there ({lying})"
    message = f"{facts.name!r} is planned to be removed, and {state}"
    if not facts.registered:
        remedy = Remedy(
            "Move the data away once it is saved: nothing registers it any more. Or take the removal out of the plan."
        )
        return check.finding("not-done", FAIL, message, remedy)
    text = (
        f"Once a backup of it was read to its end, remove it with `mdm dataset remove {facts.name}`, which deletes its "
    )
    text += "folder and registration. Or take the removal out of the plan."
    return check.finding("not-done", FAIL, message, Remedy(text))


def _of_copy(facts: MetadataFacts, absence: Absence) -> Remedy:
    if facts.twin.barrier is not None:
        return allowed(facts.twin.barrier)
    if facts.in_force is None:
        return _restored(facts, absence)
    if absence.usual:
        return _looked_for_elsewhere(facts, absence)
    if _is_copied(facts):
        return _of_copied(facts)
    text = "Restore the YAML file from a backup; without one, make it from its JSON copy (what `mdm dataset update` "
    if facts.keeps_to_defaults and not facts.twin.as_yaml:
        text += "changed is not in there). Do not copy it as it is: YAML takes some of its values for others, such as "
        return Remedy(f"{text}numbers written as 1e-05 and characters written as two escapes. Write these by hand.")
    commands = repairs.yaml_from_twin(facts.usual_yaml, facts.twin.file) if facts.keeps_to_defaults else ()
    if not commands:
        text = f"See whether {facts.registrations} is where the registrations are: `paths.configs_path` says so. If it "
        text += (
            "is, restore the YAML file from a backup; without one, copy the JSON copy there (what `mdm dataset update` "
        )
    return Remedy(f"{text}changed is not in there).", commands)


def _looked_for_elsewhere(facts: MetadataFacts, absence: Absence) -> Remedy:
    text = f"Its registration is {absence.usual}, and the settings have MDM look in {facts.registrations}: correct "
    text += "`paths.configs_path` or take it out, rather than making registrations again"
    odd = any(mark in facts.registrations for mark in "~$")
    return Remedy(f"{text}. MDM expands neither `~` nor variables in it." if odd else f"{text}.")


def _is_copied(facts: MetadataFacts) -> bool:
    """Whether the JSON copy speaks of another dataset, as it does in a folder that was copied or renamed."""
    place, named = facts.data.place, facts.content.name or facts.name
    own = place is not None and place.instead
    return named.lower() != facts.name.lower() or bool(facts.data.shared_with and own)


def _of_copied(facts: MetadataFacts) -> Remedy:
    place, data = facts.data.place, facts.data
    whose = data.shared_with[0] if data.shared_with else facts.content.name
    text = f"Its JSON copy is that of {whose!r}, as in a folder that was copied or renamed. "
    aside = f"move {posixpath.dirname(facts.twin.file)} out of the datasets"
    own = "" if place is None else place.instead or ("" if data.shared_with else place.path)
    if not own or not is_dataset_name(facts.name):
        why = "nothing beside it is its own" if not own else "MDM takes no dataset of this name"
        return Remedy(f"{text}As {why}, {aside}.")
    text += f"If it is to be a dataset of its own, copy that to {facts.usual_yaml} and let `name` and `path` say "
    return Remedy(f"{text}{facts.name.lower()} and {own} in both files; or, if it is not needed, {aside}.")


def _restored(facts: MetadataFacts, absence: Absence) -> Remedy:
    """Take out of a backup what is missing; with the data still there, that is the registration."""
    if absence.usual:
        return _looked_for_elsewhere(facts, absence)
    commands = put_back(absence.saved, facts.root) if facts.keeps_to_defaults else ()
    data_missing = absence.remembered and not (absence.lies or absence.on_server)
    complete = any(each.file == facts.usual_yaml for each in absence.saved)
    complete &= not data_missing or any(each.file == absence.was for each in absence.saved)
    if commands and complete:
        backups = ", ".join(dict.fromkeys(each.backup for each in absence.saved))
        return Remedy(f"Restore it from {backups}; what changed since then is not in there.", commands)
    lacks = f"No backup in {' or '.join(absence.sought)} holds all of it. " if absence.sought else ""
    if data_missing:
        what = "its data and its registration" if not commands else "the rest"
        again = "or register its sources again with the same target, ids and other options"
        return Remedy(f"{lacks}Restore {what} from a backup, {again}.", commands)
    text = f"Restore {facts.usual_yaml} from a backup. Otherwise register the sources under a new name, with the same "
    text += "target, ids and other options, and compare the data; MDM refuses the old name while this data is there"
    return Remedy(f"{lacks}{text}, and `--force` would delete it.", commands)
