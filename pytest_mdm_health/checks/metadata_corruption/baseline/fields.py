"""What a registration says compared with what it said in the baseline, and with the plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mdm_health.checks.metadata_corruption.facts import MetadataFacts
from pytest_mdm_health.checks.metadata_corruption.findings import (
    CHANGED_FIELD,
    FAIL,
    FIELD_AS_BEFORE,
    FIELD_NOT_DONE,
    LOST_FIELD,
    PLAN_IT_OR,
    SET_PLANNED_VALUE,
    WARN,
)
from pytest_mdm_health.core.expected import ExpectedDataset
from pytest_mdm_health.core.findings import Steps
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.text import shortened
from pytest_mdm_health.mdm.registrations.edits import LISTS, TEXTS, as_text
from pytest_mdm_health.mdm.registrations.fields import (
    COLUMN_FIELDS,
    DATE_COLUMNS,
    TABLE_FIELDS,
    is_same,
    is_shown,
    recorded_value,
    without_extras,
)

_FIRST_VERSION = "1.0.0"
"""What MDM takes for the version of a registration that names none."""


@dataclass(frozen=True)
class ColumnChange:
    """How the columns that a field names have changed; renamed and dropped ones of the plan left out."""

    lost: tuple[str, ...]
    added: tuple[str, ...]


def check_planned_values(facts: MetadataFacts) -> Iterator[Finding]:
    """Fields without their planned value."""
    if facts.plan is None or not _has_fields(facts):
        return
    for field, value in facts.plan.registration.items():
        if not _has_value(field, value, facts):
            yield FIELD_NOT_DONE(
                at=facts.yaml.place(field),
                subject=field,
                remedy=SET_PLANNED_VALUE if _can_be_set(field, value, facts) else FIELD_NOT_DONE.remedy,
                field=field,
                value=shortened(json.dumps(without_extras(field, value), ensure_ascii=False, default=str)),
                file=facts.yaml.path,
                json_copy=facts.json_copy.file,
                yaml=facts.yaml.file,
                planned=as_text(value),
            )


def _can_be_set(field: str, value: object, facts: MetadataFacts) -> bool:
    """Whether a planned value is one that `set-field` writes into the YAML file in force."""
    if facts.in_force != "yaml" or not value:
        return False
    is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return is_list if field in LISTS else field in TEXTS and isinstance(value, str)


def check_changes(facts: MetadataFacts, baseline: MetadataFacts) -> Iterator[Finding]:
    """Fields that are lost or changed without a plan, and those that are planned to change and did not."""
    if not _has_fields(facts) or not _has_fields(baseline):
        return
    plan = facts.plan or ExpectedDataset()
    changed = dict(_changes(facts, baseline))
    for field, finding in changed.items():
        if field not in plan.registration and field not in plan.changed_fields:
            yield finding
    for field in plan.changed_fields:
        if field not in changed and _is_as_before(field, facts, baseline):
            yield FIELD_AS_BEFORE(at=facts.yaml.place(field), subject=field, field=field, file=facts.yaml.path)


def _changes(facts: MetadataFacts, baseline: MetadataFacts) -> Iterator[tuple[str, Finding]]:
    """The fields with another value than in the baseline."""
    for field in COLUMN_FIELDS:
        finding = _check_columns(field, facts, baseline)
        if finding is not None:
            yield field, finding
    for field in _other_fields(facts, baseline):
        yield field, _changed(field, _described(field, facts, baseline), facts)
    then, now = _version(baseline), _version(facts)
    if _numbers(then) and _numbers(now) and _numbers(now) < _numbers(then):
        yield "version", _changed("version", f"went back from {then} to {now}", facts)


def _has_fields(facts: MetadataFacts) -> bool:
    """Whether a registration is in force that can have all fields, which the guide's short one cannot."""
    flat = facts.in_force == "yaml" and facts.yaml.shape == "flat"
    return facts.registered and facts.in_force is not None and not flat


def _check_columns(field: str, facts: MetadataFacts, baseline: MetadataFacts) -> Finding | None:
    was, now = (found.content.columns.get(field, ()) for found in (baseline, facts))
    change = _column_change(was, now, facts.plan or ExpectedDataset())
    if change.lost:
        return LOST_FIELD(
            FAIL if facts.in_force == baseline.in_force else WARN,
            at=facts.yaml.place(field),
            subject=field,
            field=field,
            lost=", ".join(map(repr, change.lost)),
            now=f"names {', '.join(map(repr, change.added))} now" if change.added else "does not now",
            file=facts.yaml.path,
            json_copy=facts.json_copy.file,
        )
    if change.added:
        also = "also " if was else ""
        return _changed(field, f"now {also}names {', '.join(map(repr, change.added))}, unlike in the baseline", facts)
    return None


def _column_change(was: tuple[str, ...], now: tuple[str, ...], plan: ExpectedDataset) -> ColumnChange:
    """SQL compares names of columns without letter case, and so does this."""
    dropped = {name: "" for names in plan.dropped.values() for name in names}
    planned = {**dropped, **{old: new for names in plan.renamed.values() for old, new in names.items()}}
    known = {name.casefold() for name in now}
    allowed = {name: {name.casefold(), planned.get(name, name).casefold()} for name in was}
    lost = tuple(name for name, names in allowed.items() if not names & {"", *known})
    added = tuple(name for name in now if not any(name.casefold() in names for names in allowed.values()))
    return ColumnChange(lost, added)


def _other_fields(facts: MetadataFacts, baseline: MetadataFacts) -> Iterator[str]:
    """The fields that name no target, id, time or group column and mean something else than in the baseline.

    What is recorded of the other copy counts where the copies in force differ: the JSON copy lacks what `mdm dataset
    update` changed. A baseline of an older version recorded none of them.
    """
    then, now = (found.recorded.get(found.in_force or "", {}) for found in (baseline, facts))
    earlier = [then]
    if facts.in_force != baseline.in_force:
        earlier = [*baseline.recorded.values()]
    for field in sorted({*then, *now}) if baseline.recorded else ():
        same = any(is_same(field, copied.get(field, ""), now.get(field, "")) for copied in earlier)
        if not same and not _is_expected(field, then.get(field, ""), now.get(field, ""), facts, baseline):
            yield field


def _is_expected(field: str, then: str, now: str, facts: MetadataFacts, baseline: MetadataFacts) -> bool:
    """Whether a change follows from another one that is planned, or that another check reports."""
    plan = facts.plan or ExpectedDataset()
    if field.startswith("database."):
        return facts.data.backend != baseline.data.backend
    if field == DATE_COLUMNS:
        earlier, current = (tuple(map(str, json.loads(text or "[]"))) for text in (then, now))
        return _column_change(earlier, current, plan) == ColumnChange((), ())
    if field in TABLE_FIELDS:
        planned = {*plan.added_tables, *plan.dropped_tables}
        earlier_tables, tables = (json.loads(text or "{}").items() for text in (then, now))
        return all(table in planned for _, table in earlier_tables ^ tables)
    return False


def _described(field: str, facts: MetadataFacts, baseline: MetadataFacts) -> str:
    """How a field has changed; with its values where they are recorded as such."""
    then, now = _recorded(field, baseline), _recorded(field, facts)
    if then and now and not is_shown(field):
        return "has another value than in the baseline"
    return f"is {_shown(field, now)}, and was {_shown(field, then)} in the baseline"


def _shown(field: str, recorded: str) -> str:
    if not recorded:
        return "empty"
    return shortened(json.dumps(json.loads(recorded), ensure_ascii=False)) if is_shown(field) else "set"


def _changed(field: str, change: str, facts: MetadataFacts) -> Finding:
    remedy = CHANGED_FIELD.remedy
    if facts.plan is not None:
        remedy = Steps(f"{PLAN_IT_OR}{remedy.text}")
    return CHANGED_FIELD(
        WARN if facts.plan is None else FAIL,
        at=facts.yaml.place(field),
        subject=field,
        remedy=remedy,
        field=field,
        change=change,
        file=facts.yaml.path,
        json_copy=facts.json_copy.file,
    )


def _has_value(field: str, value: object, facts: MetadataFacts) -> bool:
    """Whether a field has its planned value; None and what is empty are no value."""
    if field in COLUMN_FIELDS:
        names = value if isinstance(value, list) else [value]
        planned = {str(name).casefold() for name in names if name}
        return planned == {name.casefold() for name in facts.content.columns.get(field, ())}
    if field == "version":
        return _version(facts) == str(value or _FIRST_VERSION)
    if field == "display_name" and value == facts.content.name:  # what MDM shows where there is none
        value = None
    return is_same(field, recorded_value(field, value), _recorded(field, facts))


def _is_as_before(field: str, facts: MetadataFacts, baseline: MetadataFacts) -> bool:
    """Whether a field that is planned to change has not changed, in whatever direction."""
    if field in COLUMN_FIELDS:
        return set(facts.content.columns.get(field, ())) == set(baseline.content.columns.get(field, ()))
    if field == "version":
        return _version(facts) == _version(baseline)
    return bool(baseline.recorded) and is_same(field, _recorded(field, baseline), _recorded(field, facts))


def _version(facts: MetadataFacts) -> str:
    return facts.content.version or _FIRST_VERSION


def _recorded(field: str, facts: MetadataFacts) -> str:
    """What is recorded of a field in the copy that is in force."""
    return facts.recorded.get(facts.in_force or "", {}).get(field, "")


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version without zeros at its end; none if it is not made of numbers."""
    parts = version.strip().split(".")
    if not all(part.isdecimal() and part.isascii() for part in parts):
        return ()
    numbers = [int(part) for part in parts]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
