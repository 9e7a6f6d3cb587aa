"""What metadata-corruption concludes from what a registration said when the baseline was recorded. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import Check, Finding, Remedy, Severity

FAIL, WARN = Severity.FAIL, Severity.WARN
_IDS = "id_columns"
_PROBLEM = "problem_type"
_DESCRIBED = (_PROBLEM, "tags", "description", "source")


def described(data: Mapping[str, object]) -> dict[str, str]:
    """The further fields that have a value: the problem type as it is, of the others a digest."""
    found = {}
    for field in _DESCRIBED:
        value = data.get(field)
        if value and field == _PROBLEM:
            found[field] = str(value)
        elif value:
            text = json.dumps(value, sort_keys=True, default=str)
            found[field] = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
    return found


def planned_columns(plan: ExpectedDataset) -> dict[str, str]:
    """The columns that are meant to get another name, each with that, or to go, with an empty text."""
    dropped = {name: "" for names in plan.dropped.values() for name in names}
    return {**dropped, **{old: new for names in plan.renamed.values() for old, new in names.items()}}


def of_fields(check: Check, facts: MetadataFacts, before: MetadataFacts) -> Iterator[Finding]:
    """Fields of the baseline that are lost or changed; nothing where one of the two registrations cannot be read."""
    if not _is_whole(facts) or not _is_whole(before):
        return
    for field in ("target_column", "time_column", "group_column", _IDS):
        yield from _of_columns(check, facts, before, field)
    for field, value in before.described.items():
        now = facts.described.get(field, "")
        if not now:
            yield _changed(
                check, facts, field, f"`{field}` had a value when the baseline was recorded and has none now"
            )
        elif field == _PROBLEM and now != value:
            yield _changed(
                check, facts, field, f"`{field}` was {value!r} when the baseline was recorded and is {now!r}"
            )
    then, since = (_numbers(each.content.version) for each in (before, facts))
    if then and since and since < then:
        message = f"`version` went back from {before.content.version} in the baseline to {facts.content.version}"
        yield _changed(check, facts, "version", message)


def _is_whole(facts: MetadataFacts) -> bool:
    """Whether a registration that can have such fields is in force."""
    flat = facts.in_force == "yaml" and facts.yaml.shape == "flat"
    return facts.registered and facts.in_force is not None and not flat


def _of_columns(check: Check, facts: MetadataFacts, before: MetadataFacts, field: str) -> Iterator[Finding]:
    was, now = (each.content.columns.get(field, ()) for each in (before, facts))
    known = {name.casefold() for name in now}
    meant = {name: {name.casefold(), facts.planned.get(name, name).casefold()} for name in was}
    lost = [name for name, names in meant.items() if not names & {"", *known}]
    came = [name for name in now if not any(name.casefold() in names for names in meant.values())]
    if lost:
        named = ", ".join(map(repr, lost))
        message = f"`{field}` named {named} when the baseline was recorded and "
        message += f"names {', '.join(map(repr, came))} now" if came else "does not any more"
        severity = FAIL if facts.in_force == before.in_force else WARN
        remedy = Remedy(_restored(facts, field))
        yield check.finding("lost-field", severity, message, remedy, location=facts.yaml.place(field), subject=field)
    elif field == _IDS and came and was:
        message = f"`{field}` names {', '.join(map(repr, came))} too, which it did not when the baseline was recorded"
        yield _changed(check, facts, field, message)


def _changed(check: Check, facts: MetadataFacts, field: str, message: str) -> Finding:
    remedy, location = Remedy(_restored(facts, field)), facts.yaml.place(field)
    return check.finding("changed-field", WARN, message, remedy, location=location, subject=field)


def _restored(facts: MetadataFacts, field: str) -> str:
    where = facts.yaml.pointer or facts.yaml.file
    text = f"If that was not meant, compare {where} with that of a backup from before and put `{field}` right, in "
    return f"{text}{facts.twin.file} too; keep both files first. Registering with `--force` again loses such fields."


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = (version or "").split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() and part.isascii() for part in parts) else ()
