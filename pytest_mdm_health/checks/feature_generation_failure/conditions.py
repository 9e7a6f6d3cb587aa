"""When a dataset's features are wrong now: in a table, between tables, in the log, and with the installed generator."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_mdm_health.checks._shared.regenerating_features import how_to_regenerate
from pytest_mdm_health.checks.feature_generation_failure.facts import (
    Difference,
    FeatureFacts,
    FeatureTable,
    GeneratorTrial,
)
from pytest_mdm_health.checks.feature_generation_failure.findings import (
    CONSTANT_FEATURE,
    EMPTY_FEATURE,
    GENERATOR_ERRORS,
    GENERATOR_FAILS,
    INFINITE_FEATURE,
    LEFT_BEHIND,
    LEFT_OUT,
    LOGGED_ERROR,
    LOGGED_FAILURE,
    LOGGED_FAILURE_AFTER_SUCCESS,
    MISSING_TABLE,
    NOTE,
    ROW_COUNT,
    TABLES_DIFFER,
    TYPES_DIFFER,
    WARN,
)
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.mdm.logs.features import FeatureRun

_NAMED_COLUMN = re.compile(r"\bcolumn '(?P<column>[^']+)'")
SUBJECT_LENGTH = 200
"""Characters of a logged error that tell it from others."""


def regenerate(facts: FeatureFacts) -> str:
    """How this dataset's features are generated again."""
    return how_to_regenerate(facts.name, facts.source, by_command=facts.has_regenerate)


def check_table(facts: FeatureFacts, table: FeatureTable) -> Iterator[Finding]:
    """Whether a feature table exists, is registered, is complete and has values."""
    name, subject = table.name, f"table {table.name}"
    if not table.present:
        yield MISSING_TABLE(subject=subject, table=name, how=regenerate(facts))
    elif table.failed:
        return  # nothing is known of it, which makes the result an error
    elif not table.role:
        yield LEFT_BEHIND(subject=subject, table=name, how=regenerate(facts))
    else:
        if table.miscounted:
            yield ROW_COUNT(
                subject=subject,
                table=name,
                rows=table.rows,
                base=table.base,
                base_rows=table.base_rows,
                how=regenerate(facts),
            )
        yield from _check_values(facts, table)


def _check_values(facts: FeatureFacts, table: FeatureTable) -> Iterator[Finding]:
    name, subject, rows = table.name, f"table {table.name}", table.rows_examined
    if table.empty:
        evidence: dict[str, JSON] = {"columns": [*table.empty], "rows": rows}
        names = join_names(table.empty)
        yield EMPTY_FEATURE(
            subject=subject, evidence=evidence, table=name, columns=names, rows=rows, how=regenerate(facts)
        )
    if table.infinite:
        evidence = {"columns": {**table.infinite}, "rows": rows}
        names = join_names(tuple(table.infinite))
        yield INFINITE_FEATURE(subject=subject, evidence=evidence, table=name, columns=names)
    if table.constant:
        evidence = {"columns": [*table.constant], "rows": rows}
        names = join_names(table.constant)
        yield CONSTANT_FEATURE(subject=subject, evidence=evidence, table=name, columns=names, rows=rows)


def check_difference(facts: FeatureFacts, difference: Difference) -> Iterator[Finding]:
    """Features that only one of two tables has, or that have another type there."""
    has, lacks, subject = difference.has, difference.lacks, f"table {difference.lacks}"
    if difference.missed:
        evidence: dict[str, JSON] = {"columns": [*difference.missed]}
        count, names = counted(len(difference.missed), "feature"), join_names(difference.missed)
        yield TABLES_DIFFER(subject=subject, evidence=evidence, lacks=lacks, has=has, count=count, names=names)
    if difference.retyped:
        evidence = {"columns": [*difference.retyped]}
        names, subject_of_types = join_names(difference.retyped), f"types in {lacks}"
        yield TYPES_DIFFER(
            subject=subject_of_types, evidence=evidence, lacks=lacks, has=has, names=names, how=regenerate(facts)
        )
    if difference.explained:
        evidence = {"columns": [*difference.explained]}
        count, names = counted(len(difference.explained), "feature"), join_names(difference.explained)
        yield LEFT_OUT(subject=subject, evidence=evidence, lacks=lacks, has=has, count=count, names=names)


def check_log(facts: FeatureFacts, run: FeatureRun) -> Iterator[Finding]:
    """What MDM logged when it last generated the features."""
    if run.failure and facts.registered:
        yield LOGGED_FAILURE_AFTER_SUCCESS(at=run.place, error=run.failure, how=regenerate(facts))
    elif run.failure:
        yield LOGGED_FAILURE(at=run.place, error=run.failure, how=regenerate(facts))
    for error in run.errors.values():
        repeated = f" ({error.count} times)" if error.count > 1 else ""
        subject = error.message[:SUBJECT_LENGTH]
        severity = NOTE if _has_features_of(facts, error.message) else WARN
        yield LOGGED_ERROR(severity, at=error.place, subject=subject, error=error.message, repeated=repeated)


def _has_features_of(facts: FeatureFacts, message: str) -> bool:
    """Whether every usable table has features of the column that an error names, so that they were not omitted."""
    named = _NAMED_COLUMN.search(message)
    usable = [table for table in facts.tables if table.usable]
    if named is None or not usable:
        return False
    return all(any(name.startswith(f"{named['column']}_") for name in table.features) for table in usable)


def check_trial(trial: GeneratorTrial) -> Iterator[Finding]:
    """What the installed generator did with some rows."""
    table = trial.table
    if trial.raised:
        yield GENERATOR_FAILS(subject=table, rows=trial.rows, table=table, error=trial.raised)
    elif trial.errors:
        evidence: dict[str, JSON] = {"errors": [*trial.errors], "features": trial.features}
        count = counted(len(trial.errors), "error")
        yield GENERATOR_ERRORS(
            subject=table, evidence=evidence, count=count, rows=trial.rows, table=table, error=trial.errors[0]
        )
