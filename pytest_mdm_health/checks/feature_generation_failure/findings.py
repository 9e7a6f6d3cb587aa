"""What is wrong with a dataset's features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_mdm_health.checks._shared.regenerating_features import RESTORE_OR_REGENERATE, how_to_regenerate
from pytest_mdm_health.checks.feature_generation_failure.facts import (
    Difference,
    FeatureFacts,
    FeatureTable,
    GeneratorTrial,
)
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
NAMED = 8
"""Columns that are named in a message; the evidence has them all."""


def of_table(check: Check, facts: FeatureFacts, table: FeatureTable) -> Iterator[Finding]:
    """Whether a feature table is there, whole, and has values."""
    subject = f"table {table.name}"
    if not table.present:
        message = f"{table.name} is registered and not there"
        yield check.finding("missing-table", FAIL, message, anew(facts), subject=subject)
    elif table.failed:
        return  # nothing is known of it, which makes the result an error
    elif not table.role:
        message = (
            f"{table.name} is there and not registered, as when generating features breaks off; MDM does not use it"
        )
        yield check.finding("left-behind", WARN, message, anew(facts), subject=subject)
    else:
        if table.miscounted:
            message = (
                f"{table.name} has {table.rows} rows, and {table.base}, of which it was made, has {table.base_rows}"
            )
            yield check.finding("row-count", FAIL, message, anew(facts), subject=subject)
        yield from _of_values(check, facts, table)


def _of_values(check: Check, facts: FeatureFacts, table: FeatureTable) -> Iterator[Finding]:
    """Features that have no value, infinite ones, or one and the same."""
    subject, rows = f"table {table.name}", table.looked_at
    if table.empty:
        message = f"{table.name} has no value at all in {listed(table.empty)}, in {rows} rows"
        evidence: dict[str, JSON] = {"columns": [*table.empty], "rows": rows}
        yield check.finding("empty-feature", FAIL, message, anew(facts), evidence=evidence, subject=subject)
    if table.infinite:
        message = f"{table.name} has infinite numbers in {listed(tuple(table.infinite))}"
        evidence = {"columns": {**table.infinite}, "rows": rows}
        remedy = Remedy(
            "Look for what is divided by zero, such as a column that holds zeros, and leave the feature out or correct "
            "the data at its source; models take no infinite numbers."
        )
        yield check.finding("infinite-feature", WARN, message, remedy, evidence=evidence, subject=subject)
    if table.constant:
        message = f"{table.name} has one and the same value in all {rows} rows of {listed(table.constant)}"
        remedy = Remedy("A constant feature tells a model nothing; it can be left out.")
        evidence = {"columns": [*table.constant], "rows": rows}
        yield check.finding("constant-feature", NOTE, message, remedy, evidence=evidence, subject=subject)


def of_difference(check: Check, facts: FeatureFacts, difference: Difference) -> Iterator[Finding]:
    """Features that only one of two tables has."""
    has, lacks = difference.has, difference.lacks
    subject = f"table {lacks}"
    if difference.missed:
        missed = counted(len(difference.missed), "feature")
        message = f"{lacks} lacks {missed} that {has} has: {listed(difference.missed)}"
        text = "A model trained on one cannot be used on the other. See whether the column they are made of has values "
        remedy = Remedy(
            f"{text}there that a transformation does not take, such as negative ones, and train on features that both "
            "tables have until it is corrected."
        )
        evidence: dict[str, JSON] = {"columns": [*difference.missed]}
        yield check.finding("tables-differ", WARN, message, remedy, evidence=evidence, subject=subject)
    if difference.retyped:
        message = f"{listed(difference.retyped)} are numbers in {has} and none in {lacks}"
        evidence = {"columns": [*difference.retyped]}
        yield check.finding("tables-differ", WARN, message, anew(facts), evidence=evidence, subject=f"types in {lacks}")
    if difference.explained:
        message = (
            f"{lacks} lacks {counted(len(difference.explained), 'feature')} "
            f"that {has} has and that may tell too little there: "
            f"{listed(difference.explained)}"
        )
        remedy = Remedy("Use only features that both tables have.")
        evidence = {"columns": [*difference.explained]}
        yield check.finding("left-out", NOTE, message, remedy, evidence=evidence, subject=subject)


def of_log(check: Check, facts: FeatureFacts) -> Iterator[Finding]:
    """What MDM logged, and went on."""
    if facts.failure:
        location = Location(*facts.failure_at) if facts.failure_at else None
        message = f"the last time that features were generated, it failed: {facts.failure}"
        after = "; MDM registered the dataset without any" if not facts.registered else "; the tables are older"
        severity = WARN if facts.registered else FAIL
        yield check.finding("logged-failure", severity, message + after, anew(facts), location=location)
    for error in facts.errors:
        times = f" ({error.count} times)" if error.count > 1 else ""
        text = "MDM went on without these features. Correct the column or its type in the source if they are missed."
        message = f"MDM logged and went on: {error.message}{times}"
        yield check.finding(
            "logged-error", NOTE, message, Remedy(text), location=error.place, subject=error.message[:200]
        )


def of_trial(check: Check, trial: GeneratorTrial) -> Iterator[Finding]:
    """What the installed generator made of some rows."""
    on = f"on the first {counted(trial.rows, 'row')} of {trial.table}"
    if trial.raised:
        message = f"the installed generator fails {on}: {trial.raised}"
        text = "Registering the dataset again would leave it without features. Correct data or installation first."
        yield check.finding("generator-fails", FAIL, message, Remedy(text), subject=trial.table)
    elif trial.errors:
        message = f"the installed generator logs {counted(len(trial.errors), 'error')} {on}: {trial.errors[0]}"
        text = "Registering the dataset again would leave out these features. Correct the column in the source first."
        evidence: dict[str, JSON] = {"errors": [*trial.errors], "features": trial.features}
        yield check.finding("generator-errors", WARN, message, Remedy(text), evidence=evidence, subject=trial.table)


def anew(facts: FeatureFacts) -> Remedy:
    """Make the features again."""
    how = how_to_regenerate(facts.name, facts.source, by_command=facts.regenerates)
    return RESTORE_OR_REGENERATE.fill({"how": how})


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
