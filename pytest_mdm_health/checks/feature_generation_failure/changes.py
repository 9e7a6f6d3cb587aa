"""Which features came and went since the baseline, and what explains it: features are made of the data, by MDM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, FeatureTable
from pytest_mdm_health.core.expected import EVERY_TABLE
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.mdm.feature_names import made_by_mdm


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """One feature table then and now.

    Attributes:
        was, now: None where there was none, or is none any more.
        lost: features of MDM's own making that are gone.
        lost_custom: others that are gone.
        planned: features that are gone as planned.
        new: features that came.
        retyped: features that were numbers and are none now.
    """

    was: FeatureTable | None
    now: FeatureTable | None
    lost: tuple[str, ...] = ()
    lost_custom: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()


def changes(before: FeatureFacts, facts: FeatureFacts) -> Iterator[TableChange]:
    """Every feature table that was in use or is; one that is there and cannot be used is told of otherwise."""
    then = {table.name: table for table in before.tables if table.usable}
    now = {table.name: table for table in facts.tables if table.usable}
    told = {table.name for table in facts.tables}
    for name, was in then.items():
        if name in now:
            yield _change(facts, was, now[name])
        elif name not in told:
            yield TableChange(was=was, now=None)
    yield from (TableChange(was=None, now=table) for name, table in now.items() if name not in then)


def _change(facts: FeatureFacts, was: FeatureTable, now: FeatureTable) -> TableChange:
    gone = [name for name in was.features if name not in now.columns]
    plan = facts.plan.table(now.name) if facts.plan is not None else None
    planned = {*plan.dropped, *plan.renamed} if plan is not None else set()
    categories = [name for name in was.copied if kind_of(was.columns[name]) not in NUMBERS]
    own = {name for name in gone if made_by_mdm(name, was.copied, categories)}
    both = [name for name in now.features if name in was.columns]
    return TableChange(
        was=was,
        now=now,
        lost=tuple(name for name in gone if name in own - planned),
        lost_custom=tuple(name for name in gone if name not in own | planned),
        planned=tuple(name for name in gone if name in planned),
        new=tuple(name for name in now.features if name not in was.columns),
        retyped=tuple(name for name in both if _is_number(was, name) is True and _is_number(now, name) is False),
    )


def is_planned(facts: FeatureFacts, table: str) -> bool:
    """Whether a whole feature table, or the one that it was made of, is meant to go."""
    gone = facts.plan.dropped_tables if facts.plan is not None else ()
    return bool({table, EVERY_TABLE} & set(gone))


def registered_again(before: FeatureFacts, facts: FeatureFacts) -> bool:
    """Whether the dataset was, or may have been, registered since, which makes its features again."""
    return before.registered_at != facts.registered_at or not facts.registered_at


def reasons(before: FeatureFacts, facts: FeatureFacts, change: TableChange) -> tuple[str, ...]:
    """What explains that other features were made of a table than before, each as a clause."""
    found = list(_of_making(before, facts)) if registered_again(before, facts) else []
    if _other_data(facts, change):
        found.append("the data that they are made of is not the same")
    return tuple(found)


def _of_making(before: FeatureFacts, facts: FeatureFacts) -> Iterator[str]:
    """What is not as it was when they were made."""
    if before.version and facts.version and before.version != facts.version:
        yield f"MDM is {facts.version} and was {before.version}"
    elif before.refactored is not facts.refactored:
        yield f"they were made {_side(facts)} the refactoring, and had been made {_side(before)} it"
    if before.engine != facts.engine:
        yield f"the data is on {facts.engine} and was on {before.engine}"
    other = sorted(key for key in facts.settings if before.settings.get(key, facts.settings[key]) != _plain(facts, key))
    if other:
        yield f"{', '.join(other)} {'is' if len(other) == 1 else 'are'} set otherwise"


def _side(facts: FeatureFacts) -> str:
    return "after" if facts.refactored else "before"


def _plain(facts: FeatureFacts, key: str) -> object:
    value = facts.settings[key]
    return list(value) if isinstance(value, tuple) else value


def _other_data(facts: FeatureFacts, change: TableChange) -> bool:
    was, now = change.was, change.now
    if was is None or now is None:
        return False
    if set(was.copied) != set(now.copied) or (
        None not in {was.base_rows, now.base_rows} and was.base_rows != now.base_rows
    ):
        return True
    return any(each.table == now.name and each.copied for each in facts.values)


def _is_number(table: FeatureTable, name: str) -> bool | None:
    kind = kind_of(table.columns[name])
    return None if kind is Kind.OTHER else kind in {*NUMBERS, Kind.BOOLEAN}
