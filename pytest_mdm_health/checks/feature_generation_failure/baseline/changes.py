"""What it means that features are not those of the baseline.

Features that are gone are a failure, whatever explains it, because models that use them do not work any more; only the
plan makes them a note. Other values are a warning, or a note where something explains them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mdm_health.checks.feature_generation_failure.conditions import regenerate
from pytest_mdm_health.checks.feature_generation_failure.facts import FeatureFacts, FeatureTable, ValueChanges
from pytest_mdm_health.checks.feature_generation_failure.findings import (
    ALTERED_FEATURES,
    EXPLAINED_LOSS,
    EXPLAINED_VALUES,
    LOST_CUSTOM_FEATURES,
    LOST_FEATURES,
    LOST_TABLE,
    NEW_FEATURES,
    NEW_TABLE,
    PLANNED_LOSS,
    PLANNED_LOSS_OF_TABLE,
    RETYPED_FEATURES,
)
from pytest_mdm_health.core.expected import EVERY_TABLE
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, kind_of
from pytest_mdm_health.mdm.feature_names import made_by_mdm


def check_changes(facts: FeatureFacts, baseline: FeatureFacts) -> Iterator[Finding]:
    """Every feature table that was usable or is; one that exists and is not usable is reported by other findings."""
    earlier = {table.name: table for table in baseline.tables if table.usable}
    current = {table.name: table for table in facts.tables if table.usable}
    known = {table.name for table in facts.tables}
    for name, table in earlier.items():
        if name in current:
            yield from _check_table(facts, baseline, table, current[name])
        elif name not in known:
            yield _lost_table(facts, table)
    for name, table in current.items():
        if name not in earlier:
            count = counted(len(table.features), "feature")
            yield NEW_TABLE(subject=f"table {name}", evidence=_columns(table.features), table=name, count=count)


def _lost_table(facts: FeatureFacts, table: FeatureTable) -> Finding:
    dropped = set(facts.plan.dropped_tables) if facts.plan is not None else set()
    subject, evidence = f"table {table.name}", _columns(table.features)
    if dropped & {table.name, EVERY_TABLE}:
        return PLANNED_LOSS_OF_TABLE(subject=subject, evidence=evidence, table=table.name)
    return LOST_TABLE(subject=subject, evidence=evidence, table=table.name, how=regenerate(facts))


def _check_table(
    facts: FeatureFacts, baseline: FeatureFacts, earlier: FeatureTable, table: FeatureTable
) -> Iterator[Finding]:
    """One feature table that the baseline has too."""
    name = table.name
    changes = next((each for each in facts.values if each.table == name), None)
    registered_again = _registered_again(facts, baseline)
    reasons = list(_changed_circumstances(facts, baseline)) if registered_again else []
    if _data_changed(earlier, table) or (changes is not None and changes.copied):
        reasons.append("the data that they are generated from changed")
    yield from _check_lost(facts, earlier, table, reasons)
    new = [column for column in table.features if column not in earlier.columns]
    if new:
        because = f"; {_joined(reasons)}" if reasons else ""
        yield NEW_FEATURES(
            subject=f"table {name}", evidence=_columns(new), table=name, features=_counted(new), reasons=because
        )
    retyped = [column for column in table.features if _was_numeric(earlier, table, column)]
    if retyped:
        evidence, names = _columns(retyped), join_names(retyped)
        yield RETYPED_FEATURES(
            subject=f"types in {name}", evidence=evidence, table=name, names=names, how=regenerate(facts)
        )
    if changes is not None and not (table.miscounted and changes.rows):
        if registered_again:
            reasons.append("the dataset was registered again")
        yield from _check_values(facts, changes, reasons)


def _check_lost(
    facts: FeatureFacts, earlier: FeatureTable, table: FeatureTable, reasons: Sequence[str]
) -> Iterator[Finding]:
    name = table.name
    missing = [column for column in earlier.features if column not in table.columns]
    planned = [column for column in missing if column in _planned(facts, name)]
    others = [column for column in missing if column not in planned]
    categories = [column for column in earlier.copied if kind_of(earlier.columns[column]) not in NUMBERS]
    lost = [column for column in others if made_by_mdm(column, earlier.copied, categories)]
    custom = [column for column in others if column not in lost]
    if lost:
        features, logged = _counted(lost), _logged(facts, earlier, lost)
        subject, evidence = f"table {name}", _columns(lost)
        if reasons:
            because = _joined(reasons)
            yield EXPLAINED_LOSS(
                subject=subject, evidence=evidence, table=name, features=features, reasons=because, logged=logged
            )
        else:
            yield LOST_FEATURES(
                subject=subject, evidence=evidence, table=name, features=features, logged=logged, how=regenerate(facts)
            )
    if custom:
        subject, evidence, features = f"custom features of {name}", _columns(custom), _counted(custom)
        yield LOST_CUSTOM_FEATURES(
            subject=subject, evidence=evidence, table=name, features=features, how=regenerate(facts)
        )
    if planned:
        subject = f"planned for {name}"
        yield PLANNED_LOSS(subject=subject, evidence=_columns(planned), table=name, features=_counted(planned))


def _check_values(facts: FeatureFacts, changes: ValueChanges, reasons: Sequence[str]) -> Iterator[Finding]:
    """Other values are expected where features were generated again."""
    difference = _difference(changes)
    if not difference:
        return
    subject, evidence = f"values in {changes.table}", _columns((*changes.altered, *changes.copied))
    if _are_planned(facts, changes):
        reasons = (*reasons, "the change is planned")
    if reasons:
        yield EXPLAINED_VALUES(subject=subject, evidence=evidence, difference=difference, reasons=_joined(reasons))
    else:
        yield ALTERED_FEATURES(subject=subject, evidence=evidence, difference=difference, how=regenerate(facts))


def _are_planned(facts: FeatureFacts, changes: ValueChanges) -> bool:
    """Whether all columns are planned to change: the table's own by its plan, copies of the data by any table's."""
    if facts.plan is None or not (changes.altered or changes.copied):
        return False
    anywhere = {column for columns in facts.plan.values.values() for column in columns}
    return {*changes.altered} <= {*facts.plan.table(changes.table).values} and {*changes.copied} <= anywhere


def _difference(changes: ValueChanges) -> str:
    """How the values differ, as a clause; empty if they do not."""
    table = changes.table
    if changes.rows is not None:
        before, now = changes.rows
        return f"{table} had {counted(before, 'row')} and has {now}"
    if changes.altered:
        return f"{table} has different values in {_counted(changes.altered)}"
    if changes.copied:
        return f"{table} has different values in columns that are copied from the data: {join_names(changes.copied)}"
    if changes.rearranged:
        return f"{table} has the same values in each column, but in different rows"
    return ""


def _registered_again(facts: FeatureFacts, baseline: FeatureFacts) -> bool:
    """Whether the dataset was, or may have been, registered since, which generates its features again."""
    return baseline.registered_at != facts.registered_at or not facts.registered_at


def _changed_circumstances(facts: FeatureFacts, baseline: FeatureFacts) -> Iterator[str]:
    """What was different when the features were generated, each as a clause."""
    if baseline.version and facts.version and baseline.version != facts.version:
        yield f"MDM is {facts.version}, previously {baseline.version}"
    elif baseline.refactored is not facts.refactored:
        now, then = ("after", "before") if facts.refactored else ("before", "after")
        yield f"they were generated {now} the refactoring, previously {then} it"
    if baseline.engine != facts.engine:
        yield f"the backend is {facts.engine}, previously {baseline.engine}"
    changed = sorted(key for key, value in facts.settings.items() if _is_changed(baseline, key, value))
    if changed:
        yield f"{', '.join(changed)} changed"


def _is_changed(baseline: FeatureFacts, key: str, value: object) -> bool:
    plain = list(value) if isinstance(value, tuple) else value  # a baseline has lists
    return key in baseline.settings and bool(baseline.settings[key] != plain)


def _data_changed(earlier: FeatureTable, table: FeatureTable) -> bool:
    """Whether the columns or the number of rows show that the base table changed."""
    if set(earlier.copied) != set(table.copied):
        return True
    counted_both = earlier.base_rows is not None and table.base_rows is not None
    return counted_both and earlier.base_rows != table.base_rows


def _was_numeric(earlier: FeatureTable, table: FeatureTable, column: str) -> bool:
    """Whether a column had numbers and has none now."""
    return column in earlier.columns and earlier.is_numeric(column) is True and table.is_numeric(column) is False


def _planned(facts: FeatureFacts, table: str) -> set[str]:
    """The columns of a table that are expected to be dropped or renamed."""
    if facts.plan is None:
        return set()
    plan = facts.plan.table(table)
    return {*plan.dropped, *plan.renamed}


def _logged(facts: FeatureFacts, earlier: FeatureTable, lost: Sequence[str]) -> str:
    """The columns of lost features about which MDM logged an error when it generated the others."""
    errors = facts.run.errors.values() if facts.run is not None else ()
    columns = [column for column in earlier.copied if any(name.startswith(f"{column}_") for name in lost)]
    logged = [column for column in columns if any(f"'{column}'" in error.message for error in errors)]
    return f"; MDM logged an error about {join_names(logged)}" if logged else ""


def _counted(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'feature')} ({join_names(names)})"


def _joined(reasons: Sequence[str]) -> str:
    return ", and ".join(reasons)


def _columns(names: Sequence[str]) -> dict[str, JSON]:
    return {"columns": [*names]}
