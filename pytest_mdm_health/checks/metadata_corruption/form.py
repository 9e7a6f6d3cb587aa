"""What metadata-corruption concludes from a registration as a file: its text, its fields, its name. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.metadata_corruption import repairs
from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.core.model import Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.registrations.schema import Refusal, is_dataset_name

FAIL, WARN = Severity.FAIL, Severity.WARN


def of_text(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """The YAML file as a text."""
    yaml = facts.yaml
    file = yaml.pointer or yaml.file
    if yaml.there and yaml.shape == "pointer" and not yaml.readable:
        message = f"the registration points to {yaml.pointer or 'nowhere'}, which cannot be read"
        text = "Correct `path`, or put the dataset's folder with its dataset.yaml back to where it points."
        remedy = allowed(yaml.barrier) if yaml.barrier is not None else Remedy(text)
        yield check.finding("broken-pointer", FAIL, message, remedy, location=yaml.place("path"))
    for unread in yaml.unread:
        place = Location(file, unread.line, unread.column)
        if unread.code == "duplicate-key":
            message = f"`{unread.key}` is there twice; MDM takes the last without a word"
            remedy = Remedy("Delete the line that is not meant.")
            yield check.finding("duplicate-key", WARN, message, remedy, location=place, subject=unread.key)
        elif not yaml.readable and yaml.shape != "pointer":
            code = unread.code if unread.code in {"syntax", "encoding"} else "unreadable"
            message = f"{file}: {unread.message}; {_consequence(facts)}"
            yield check.finding(code, FAIL, message, _from_twin(facts), location=place)
    if yaml.there and not yaml.readable and not yaml.unread and yaml.shape != "pointer":
        holds = "is empty" if yaml.empty else "holds no fields with values"
        message = f"{file} {holds}; {_consequence(facts)}"
        yield check.finding("not-a-mapping", FAIL, message, _from_twin(facts), location=Location(file))


def of_fields(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """Fields that are missing from the YAML mapping or hold what MDM refuses."""
    if not facts.yaml.readable:
        return
    place = Location(facts.yaml.pointer or facts.yaml.file)
    for field in facts.yaml.missing:
        message = f"`{field}` is missing; {_consequence(facts)}"
        yield check.finding("missing-field", FAIL, message, _missing_field(facts, field), location=place, subject=field)
    for refusal in facts.yaml.refused:
        message = f"`{refusal.field}` takes {refusal.takes}, not {refusal.got}; {_consequence(facts)}"
        severity = WARN if facts.in_force == "json" else FAIL
        location = facts.yaml.place(refusal.field)
        remedy = _refused(refusal, location)
        yield check.finding("field-type", severity, message, remedy, location=location, subject=refusal.field)


def of_names(check: Check, facts: MetadataFacts) -> Iterator[Finding]:
    """The name of the file against the name inside it and against what MDM looks for."""
    yaml, inside = facts.yaml, facts.content.name
    if yaml.readable and inside is not None and inside != facts.name.lower():
        severity = WARN if inside.lower() == facts.name.lower() else FAIL
        message = f"the file is called {facts.name!r} and the name inside is {inside!r}: "
        message += "MDM lists the one and opens the other"
        yield check.finding("name-differs", severity, message, _named(facts, inside), location=yaml.place("name"))
    if yaml.there and not yaml.seen and (is_dataset_name(facts.name) or inside is None or inside == facts.name.lower()):
        yield _not_seen(check, facts)
    for file in yaml.overlooked:
        message = f"MDM looks for {facts.usual_yaml} and never at {file}"
        text = f"Compare the two. If {facts.usual_yaml} is the right one, move this one out of the folder and keep it."
        remedy = Remedy(text, repairs.both_seen(facts.usual_yaml, file))
        yield check.finding("not-seen", WARN, message, remedy, location=Location(file), subject=file)


def _not_seen(check: Check, facts: MetadataFacts) -> Finding:
    file, wanted = facts.yaml.file, facts.usual_yaml
    capitals = file.endswith(".yaml")  # MDM's commands take a name as it is given, its API in lower case
    who = "MDM's Python API" if capitals else "MDM"
    message = f"{who} looks for {wanted} and never at {file}"
    remedy = _renamed(facts, "Give the file the name that MDM looks for.", wanted)
    if not is_dataset_name(facts.name):
        message = f"MDM takes no dataset of the name {facts.name!r}, so {who} never looks at {file}"
        remedy = Remedy("Give the file a name of letters, digits, `-` and `_`, in lower case, and `name` the same.")
    severity = WARN if capitals and facts.in_force else FAIL
    return check.finding("not-seen", severity, message, remedy, location=Location(file))


def _consequence(facts: MetadataFacts) -> str:
    if facts.in_force == "yaml":
        return "MDM takes the file all the same"
    if facts.in_force is None:
        return "MDM's Python API cannot make a dataset of it"
    commands = "go on reading this file" if facts.yaml.readable else "do not know the dataset"
    return f"MDM's commands {commands}, its Python API silently reads {facts.twin.file} instead"


def _from_twin(facts: MetadataFacts) -> Remedy:
    if facts.yaml.barrier is not None:
        return allowed(facts.yaml.barrier)
    if not facts.twin.usable:
        return Remedy(
            "Correct the file, or restore it from a backup. Without one, register the dataset's sources under a new "
            "name, with the same target, ids and other options, and compare the data; with `--force` MDM deletes the "
            "dataset's folder."
        )
    return Remedy(
        f"Keep a copy of the file, then correct it, or restore it from a backup. Its JSON copy, {facts.twin.file}, has "
        f"all fields, and JSON is valid YAML; but {_lacks(facts)}, so compare it with what is left of the YAML file, "
        "field by field."
    )


def _lacks(facts: MetadataFacts) -> str:
    """What may not be in the JSON copy."""
    if facts.twin.older:
        return f"it is older, {facts.twin.older}: what changed in between is not in there"
    return "what `mdm dataset update` changed is not in there"


def _missing_field(facts: MetadataFacts, field: str) -> Remedy:
    file = facts.yaml.pointer or facts.yaml.file
    if facts.twin.usable and facts.yaml.shape != "flat" and field not in facts.twin.refused:
        text = f"Add `{field}` to {file} as its JSON copy, {facts.twin.file}, has it"
        text += "; keep a copy of the file first, and compare the other fields of the two"
        return Remedy(f"{text}: {_lacks(facts)}." if facts.twin.older else f"{text}.")
    return Remedy(f"Add `{field}` to {file}, as in the registration of another dataset; keep a copy of the file first.")


def _named(facts: MetadataFacts, inside: str) -> Remedy:
    if is_dataset_name(facts.name):
        text = (
            f"Let `name` say what the file is called, {facts.name.lower()!r}, if that is the dataset's name; if it is "
        )
        return Remedy(f"{text}{inside!r}, another registration was copied here, which belongs under that name.")
    text = "MDM takes no dataset of the file's name: call the file what `name` says."
    return _renamed(facts, text, facts.yaml_of(inside)) if is_dataset_name(inside) else Remedy(text)


def _renamed(facts: MetadataFacts, text: str, wanted: str) -> Remedy:
    if wanted in facts.taken:
        return Remedy(f"{wanted} is there already: compare the two, keep the right one and put the other away.")
    return Remedy(text, repairs.renamed(facts.yaml.file, wanted))


def _refused(refusal: Refusal, location: Location) -> Remedy:
    line = f" in line {location.line}" if location.line else ""
    text = f"Write {refusal.takes} for `{refusal.field}`{line} of {location.file}."
    if refusal.field == "description" and refusal.got == "a mapping":
        text += " `mdm dataset update` of MDM 0.1.0 puts all that it is given there."
    return Remedy(f"{text} A text that looks like a number needs quotes." if "number" in refusal.got else text)
