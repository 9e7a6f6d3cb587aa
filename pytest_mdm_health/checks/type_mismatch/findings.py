"""The findings about types.

What a value means that is written differently from the rest of its column is known to people only (18,5 is eighteen
and a half or not a number at all), so a column is converted only where every value is the same value afterwards.
"""

from __future__ import annotations

from pytest_mdm_health.checks._shared.prerequisites import DATA_IS_READABLE, ROWS_ARE_VISIBLE
from pytest_mdm_health.checks.type_mismatch.facts import EXACT_DIGITS
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="type-mismatch",
    issue="5.2",
    title="Values of the wrong type",
    per=Kind.DATASET,
    requires=("metadata-corruption", *ROWS_ARE_VISIBLE),
    tolerates=DATA_IS_READABLE,
    tags=("data", "types"),
)
RULES = Rules(CHECK)

VALUE_COUNTS = ("{column.program} {column.value_counts!q}",)
FIRST_VALUES = ("{column.program} {column.first_values!q}",)
VALUE_LENGTHS = ("{column.program} {column.value_lengths!q}",)
STRAY_VALUES = ("{column.program} {column.stray_values!q}",)

CORRECT_VALUES = Steps(
    "Look at these values, and correct them in the source. Then {column.register_again}.", STRAY_VALUES
)
CORRECT_NUMBERS = Steps(
    "Look at the values that are not numbers, and find out what each of them means. {column.conversion_warning}"
    "Correct them in the source, and {column.register_again}.",
    STRAY_VALUES,
)
CHECK_NUMBERS = Steps(
    "Look at the values that are not plain numbers, or that would lose zeros or digits as numbers; nothing is lost "
    "while they are text. {column.conversion_warning}Correct the source where it is wrong, and "
    "{column.register_again}.",
    ("{column.program} {column.not_plain_numbers!q}",),
)
CONVERT_NUMBERS = Steps(
    "The values look like plain numbers. The conversion changes nothing if one of them does not fit the type exactly, "
    "and shows it; then look at it, correct it in the source, and {column.register_again}.",
    (
        "{column.program} {column.not_plain_numbers!q}",
        Call("convert-column", "{column.facts.file}", ("{column.table.table}", "{column.profile.name}", "{wanted}")),
    ),
)
RESTORE_TEXT = Steps(
    "Do not restore zeros or digits by calculation: {column.original_digits}. MDM reads a column of digits as numbers; "
    "put a letter in front of each identifier in the source, which keeps the column text, and {column.register_again}.",
    FIRST_VALUES,
)
RESTORE_TIMES = Steps(
    "Find out what these numbers count (seconds, milliseconds or microseconds since 1970, and in which time zone) "
    "before anything converts them. Where the source has the times as text, {column.register_again}.",
    FIRST_VALUES,
)
_ONE_FORMAT = (
    "Write all dates of the source in one format, preferably YYYY-MM-DD HH:MM:SS with the fractions of seconds and the "
    "time zones that they have, and {column.register_again}."
)
ONE_ISO_FORMAT = Steps(
    f"Nothing is lost as they are, and pandas reads the mixture with to_datetime(format='ISO8601'). {_ONE_FORMAT}",
    VALUE_LENGTHS,
)
ONE_DATE_FORMAT = Steps(
    f"Only the source, or its author, can tell which part is the day and which the month. {_ONE_FORMAT}",
    VALUE_LENGTHS,
)

MIXED_TYPES = RULES.declare(
    "mixed-types",
    FAIL,
    means="a column contains values of several types",
    message="{column.name} mixes value types: {stored}",
    remedy=CORRECT_VALUES,
    answers=("TypeError while processing data",),
)
HEADING_ROW = RULES.declare(
    "heading-row",
    FAIL,
    means="rows hold the names of the columns, a header among the data",
    message="table {table} contains a header among its data, in {rows}",
    remedy=(
        "Header rows usually come from files that were concatenated with their headers. Remove them from the source, "
        "and {register_again}. Converting the columns instead would leave a row of missing values, its identifier "
        "included."
    ),
    commands=("{program} {statement!q}",),
)
DECLARED_TYPE = RULES.declare(
    "declared-type",
    WARN,
    FAIL,
    means="values are not of the type that their column declares; a failure if a column of numbers contains no number",
    message="{column.name} is declared {column.declared} but contains {contents}",
    remedy=CORRECT_VALUES,
    answers=("unexpected column types",),
)
NUMBERS_AS_TEXT = RULES.declare(
    "numbers-as-text",
    WARN,
    means=(
        "a column of numbers stores them as text; a note if the only sign of that is their decimal points, exponents, "
        "signs or separators"
    ),
    message="{column.name} stores {count} as text: {reason}",
    remedy=CHECK_NUMBERS,
    answers=("strings that should be numeric",),
)
NUMBERS_AMONG_TEXT = RULES.reworded(
    NUMBERS_AS_TEXT,
    message="{column.name} stores numbers as text, mixed with other text: {contents}",
    remedy=CHECK_NUMBERS,
)
DECIMALS_AS_TEXT = RULES.reworded(
    NUMBERS_AS_TEXT,
    NOTE,
    message="{column.name} stores {count} as text, written with a decimal point, exponent, sign or separators",
    remedy=CHECK_NUMBERS,
)
MIXED_DATES = RULES.declare(
    "mixed-dates",
    WARN,
    means="dates of one column are written in several formats",
    message="{column.name} contains dates in several formats: {formats}",
    remedy=ONE_DATE_FORMAT,
)
MIXED_DATE_ORDERS = RULES.reworded(
    MIXED_DATES,
    message="{column.name} contains dates with the day first and dates with the month first",
    remedy=ONE_DATE_FORMAT,
)
ODD_DATES = RULES.declare(
    "odd-dates",
    WARN,
    means="a column of dates contains values that are not dates",
    message="{column.name} contains dates, but of {count} values {problems}",
    remedy="Find the values that are not dates, and correct them in the source. Then {column.register_again}.",
    commands=VALUE_COUNTS,
)
BOOLEAN_SPELLINGS = RULES.declare(
    "boolean-spellings",
    WARN,
    means="one truth value is spelled in several ways",
    message="{column.name} spells truth values in several ways: {spellings}",
    remedy=(
        "Decide for each word whether it means true, false or a missing value; a word that means neither true nor "
        "false is not false. Use one spelling for each in the source, and {column.register_again}."
    ),
    commands=VALUE_COUNTS,
)
LOST_IDENTIFIERS = RULES.declare(
    "lost-identifiers",
    FAIL,
    WARN,
    means="leading zeros or digits that the source has are lost; a warning if the column may not hold identifiers",
    message="{column.name} has lost the leading zeros that {values} in the source{merged}",
    remedy=RESTORE_TEXT,
)
LOST_DIGITS = RULES.reworded(
    LOST_IDENTIFIERS,
    FAIL,
    message="{column.name} has lost digits: {values} more in the source than a floating-point number keeps",
    remedy=RESTORE_TEXT,
)
ROUNDED_IDENTIFIERS = RULES.declare(
    "rounded-identifiers",
    FAIL,
    means="identifiers are stored as floating-point numbers that cannot tell them apart",
    message="{column.name} stores identifiers as {column.declared}, which rounds {count} of them",
    remedy=RESTORE_TEXT,
)
FLOAT_INTEGERS = RULES.declare(
    "float-integers",
    NOTE,
    WARN,
    means="missing values turned integers into floating-point numbers; a warning for identifiers",
    message="{column.name} is {column.declared} because values are missing, although {values}",
    remedy=(
        f"No value is lost: floating-point numbers keep whole numbers of up to {EXACT_DIGITS} digits. Where the column "
        "is used, read it as nullable integers (Int64 in pandas)."
    ),
    commands=("{column.program} {column.missing_values!q}",),
)
TABLES_DIFFER = RULES.declare(
    "tables-differ",
    WARN,
    means="a column has one type in one table and another type in another table",
    message="{column.name} is {column.declared}, but {other.name} is {other.declared}",
    remedy="Find out which values caused the difference, and correct them in the source. Then {column.register_again}.",
    commands=VALUE_COUNTS,
    answers=("unexpected column types",),
)
CHANGED_TYPE = RULES.declare(
    "changed-type",
    WARN,
    means="a column has another type than before, or than MDM recorded when it registered the dataset",
    message="{column.name} is {column.declared} but was {earlier} {when}",
    remedy=CHECK_NUMBERS,
    answers=("TypeError while processing data", "unexpected column types"),
)
NOT_EXAMINED = RULES.declare(
    "not-examined",
    WARN,
    means=(
        "the data or one of its tables could not be read, because of a lock, a missing permission, the time limit, "
        "damage, or a view whose table is gone; the result is an error"
    ),
    message="{reason}",
    remedy=(
        "Remove what prevents reading (a lock, a permission that the registered role lacks, what data-corruption "
        "reports), then run this check again: until then the types are unknown."
    ),
)
