"""Values are of another type than they should be.

Symptoms
--------
`TypeError`; columns of an unexpected type; strings that should be numeric, dates that do not parse, identifiers whose
leading zeros are gone; "Can only use .str accessor with string values!" in the log.

Causes
------
One value that is not a number turns its whole column into text, and a missing value turns integers into floating-point
numbers. MDM reads a file in batches, and on SQLite the first batch decides the type while later ones store what they
like. SQLite declares types and does not enforce them. Whatever consists of digits is read as a number, identifiers
too. A migration to another backend converts types as well as it can.

Diagnosis
---------
Compare the declared type of each column with the type of its values (`typeof` in SQLite), and see what text looks like:
numbers, dates and the formats they are written in, truth values and their spellings. Compare columns of whole numbers
with the registered source file, where leading zeros and long digits still exist. Missing values, identifiers stored as
text, and dates that SQLite stores as text in one format are as they should be. With `--mdm-depth=quick` only declared
types are compared, with `standard` a sample of large tables, with `full` all rows; the result says which.

Solutions
---------
Look at the values, correct the source, register it again under a new name and compare the two: identifiers stay
strings, timestamps are datetime64, amounts float64, counts int64. No command that converts is printed. Only people know
what a value means that is written differently from the rest of its column (18,5; 5%; 1.234; a header among the rows),
and `ALTER TABLE … ALTER COLUMN … TYPE …` turns it into another value, or none, which cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.type_mismatch import conditions
from pytest_mdm_health.checks.type_mismatch.collect import collect
from pytest_mdm_health.checks.type_mismatch.facts import TypeFacts
from pytest_mdm_health.checks.type_mismatch.findings import CHECK, NOT_EXAMINED, NUMBERS_AS_TEXT, RULES
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(
    mdm_dataset: Dataset,
    mdm_backend: Backend | None,
    mdm_home: Home,  # noqa: ARG001 - what a check asks for is watched: its data may be elsewhere with other settings
    mdm_options: Options,
) -> TypeFacts:
    """Count, in the engine, what the columns contain, and compare them with the source."""
    return collect(mdm_dataset, mdm_backend, mdm_options)


def judge(facts: TypeFacts, baseline: TypeFacts | None) -> Iterator[Finding]:
    """Check each column, then tables against each other, then against the baseline; report each cause once."""
    for reason in facts.unexamined:
        yield NOT_EXAMINED(subject=reason.partition(" could")[0], reason=reason)
    yield from conditions.check_header_rows(facts)
    changed = {finding.subject: finding for finding in conditions.check_recorded_types(facts, baseline)}
    for column in facts.examined_columns():
        for finding in conditions.check_column(column):
            # A changed type already explains why numbers are stored as text.
            if finding.code != NUMBERS_AS_TEXT.full_code or finding.subject not in changed:
                yield finding
    yield from conditions.check_tables(facts)
    yield from changed.values()
