"""Values are of another type than they should be.

Symptoms
--------
`TypeError`; columns whose type nobody expected; strings that should be numeric, dates that do not parse, identifiers
whose leading zeros are gone; "Can only use .str accessor with string values!" in the log.

Causes
------
A value that is no number makes text of its whole column, and a missing one makes floating point numbers of integers.
MDM reads a file in batches, and on SQLite the first batch decides the type while later ones store what they like.
SQLite declares types and does not enforce them. Whatever consists of digits is read as a number, identifiers too. A
migration to another backend carries types over as best it can.

Diagnosis
---------
Compare the declared type of each column with what its values are (`typeof` in SQLite), and what texts look like:
numbers, dates and in how many ways they are written, truth values and in how many ways. Compare columns of whole
numbers with the source file that is registered, where leading zeros and long digits are still there. Missing values,
identifiers kept as text, and dates that SQLite keeps as text in one format are as they should be. With
`--mdm-depth=quick` only declared types are compared, with `standard` a sample of large tables, with `full` all rows;
the result says which.

Solutions
---------
Look at the values, correct the source, register it again under a new name and compare the two: identifiers stay
strings, timestamps are datetime64, amounts float64, counts int64. No command that converts is printed. What a value
means that is written in another way than its column (18,5; 5%; 1.234; a heading among the rows) is known to people
only, and `ALTER TABLE … ALTER COLUMN … TYPE …` makes other values of it, or none, which nothing brings back.

Findings
--------
* `mixed-types` (fail): a column holds values of several types.
* `heading-row` (fail): rows hold the names of the columns, a heading among the data.
* `declared-type` (fail/warn): values are not of the type that their column declares; a failure if a column of numbers
  holds none.
* `numbers-as-text` (warn/note): a column that is meant to hold numbers keeps them as text; a note if nothing but their
  decimal points, exponents, signs or separators says so.
* `mixed-dates` (warn): dates of one column are written in several ways.
* `odd-dates` (warn): a column of dates holds values that are none.
* `boolean-spellings` (warn): one truth value is spelled in several ways.
* `lost-identifiers` (fail/warn): leading zeros or digits that the source has are gone; a warning if the column is not
  known to hold identifiers.
* `rounded-identifiers` (fail): identifiers are kept as floating point numbers that cannot tell them apart.
* `float-integers` (warn/note): missing values made floating point numbers of integers; a warning for identifiers.
* `tables-differ` (warn): a column is of one type in one table and of another in another one.
* `changed-type` (warn): a column is of another type than it was.
* `not-examined` (warn): the data or one of its tables could not be read, because of a lock, a missing right, the time
  or damage; the result is an error, neither good nor bad.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE
from pytest_mdm_health.checks.type_mismatch import findings
from pytest_mdm_health.checks.type_mismatch.facts import TypeFacts
from pytest_mdm_health.checks.type_mismatch.look import gather
from pytest_mdm_health.core.model import Check, Finding, Kind
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset

CHECK = Check(
    id="type-mismatch",
    issue="5.2",
    title="Values of the wrong type",
    per=Kind.DATASET,
    requires=("metadata-corruption",),
    despite=DATA_IS_READABLE,
    tags=("data", "types"),
)


def observe(mdm_dataset: Dataset, mdm_backend: Backend | None, mdm_home: Home, mdm_options: Options) -> TypeFacts:
    """Count, in the engine, what the columns hold, and compare them with the source."""
    return gather(mdm_dataset, mdm_backend, mdm_home, mdm_options)


def judge(facts: TypeFacts, before: TypeFacts | None) -> Iterator[Finding]:
    """Column by column, then tables against each other, then against what was; one cause is told once."""
    yield from findings.of_unexamined(CHECK, facts)
    yield from findings.of_headings(CHECK, facts)
    changed = {each.subject: each for each in findings.of_recorded(CHECK, facts, before)}
    for table, column in facts.each_column():
        for each in findings.ColumnJudge(CHECK, facts, table, column).findings():
            if each.subject not in changed or each.code != findings.NUMBERS_AS_TEXT:
                yield each
    yield from findings.of_tables(CHECK, facts)
    yield from changed.values()
