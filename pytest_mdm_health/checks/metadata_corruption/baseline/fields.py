"""What a registration says compared with what it said in the baseline."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.checks.metadata_corruption.findings import CHANGED_FIELD, FAIL, LOST_FIELD, WARN
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.model import Finding

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


def check_changes(facts: MetadataFacts, baseline: MetadataFacts) -> Iterator[Finding]:
    """Fields of the baseline that are lost or changed; nothing where one of the two registrations cannot be read."""
    if not _is_comparable(facts) or not _is_comparable(baseline):
        return
    for field in ("target_column", "time_column", "group_column", _IDS):
        yield from _check_columns(field, facts, baseline)
    for field, value in baseline.described.items():
        now = facts.described.get(field, "")
        if not now:
            yield _changed(field, "had a value in the baseline and has none now", facts)
        elif field == _PROBLEM and now != value:
            yield _changed(field, f"was {value!r} in the baseline and is {now!r}", facts)
    then, now_ = (_numbers(each.content.version) for each in (baseline, facts))
    if then and now_ and now_ < then:
        yield _changed("version", f"went back from {baseline.content.version} to {facts.content.version}", facts)


def _is_comparable(facts: MetadataFacts) -> bool:
    """Whether a registration that can have such fields is in force."""
    flat = facts.in_force == "yaml" and facts.yaml.shape == "flat"
    return facts.registered and facts.in_force is not None and not flat


def _check_columns(field: str, facts: MetadataFacts, baseline: MetadataFacts) -> Iterator[Finding]:
    planned = _planned_columns(facts.plan or ExpectedDataset())
    was, now = (found.content.columns.get(field, ()) for found in (baseline, facts))
    known = {name.casefold() for name in now}
    allowed = {name: {name.casefold(), planned.get(name, name).casefold()} for name in was}
    lost = [name for name, names in allowed.items() if not names & {"", *known}]
    added = [name for name in now if not any(name.casefold() in names for names in allowed.values())]
    if lost:
        yield LOST_FIELD(
            FAIL if facts.in_force == baseline.in_force else WARN,
            at=facts.yaml.place(field),
            subject=field,
            field=field,
            lost=", ".join(map(repr, lost)),
            now=f"names {', '.join(map(repr, added))} now" if added else "does not now",
            file=facts.yaml.path,
            json_copy=facts.json_copy.file,
        )
    elif field == _IDS and added and was:
        yield _changed(field, f"now also names {', '.join(map(repr, added))}, unlike in the baseline", facts)


def _planned_columns(plan: ExpectedDataset) -> dict[str, str]:
    """The columns that are expected to get another name, each with that, or to be dropped, with an empty text."""
    dropped = {name: "" for names in plan.dropped.values() for name in names}
    return {**dropped, **{old: new for names in plan.renamed.values() for old, new in names.items()}}


def _changed(field: str, change: str, facts: MetadataFacts) -> Finding:
    return CHANGED_FIELD(
        at=facts.yaml.place(field),
        subject=field,
        field=field,
        change=change,
        file=facts.yaml.path,
        json_copy=facts.json_copy.file,
    )


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = (version or "").split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() and part.isascii() for part in parts) else ()
