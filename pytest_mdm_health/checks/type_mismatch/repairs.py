"""What to do about wrong types: statements that show the values, and words for the rest.

No statement changes anything. What a value means that was written in another way than its column is known to people
only (18,5 is eighteen and a half or no number at all), and a conversion that guesses cannot be taken back.
"""

from __future__ import annotations

import shlex

from pytest_mdm_health.backends import quote
from pytest_mdm_health.checks._shared.registering_again import under_a_new_name
from pytest_mdm_health.checks.type_mismatch.facts import TypeFacts
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.integrity.profiles.columns import ColumnProfile, TableProfile
from pytest_mdm_health.integrity.profiles.heading_rows import is_heading

_NUMERIC = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_EXACT_DIGITS = 15
"""Digits of a number that a floating point number keeps in any case."""

_SHOWN = 100


class Repair:
    """The remedies for one column."""

    def __init__(self, facts: TypeFacts, table: TableProfile, column: ColumnProfile) -> None:
        self._facts, self._column = facts, column
        self._source = facts.source_of(table, column)
        self._t, self._c = quote(table.table), quote(column.name)
        self._again = under_a_new_name(facts.source)

    def as_numbers(self) -> Remedy:
        """Texts that should be numbers."""
        c = self._c
        if self._facts.engine == "sqlite":
            strays = f"{c} GLOB '*[^-+0-9.eE]*' OR {c} GLOB '0[0-9]*' OR {c} GLOB '[-+]0[0-9]*'"
        elif self._facts.engine == "duckdb":
            strays = f"TRY_CAST({c} AS DOUBLE) IS NULL OR regexp_matches({c}, '^[-+]?0[0-9]')"
        else:
            strays = f"{c} !~ '{_NUMERIC}' OR {c} ~ '^[-+]?0[0-9]'"
        shown = self._show(f"{c} IS NOT NULL AND ({strays} OR length({c}) > {_EXACT_DIGITS})")
        text = (
            "Look at the values that are no plain numbers, or that would lose zeros or digits as such; nothing is lost "
            f"while they are text. {self._as_written()}Correct the source where it is wrong, and {self._again}."
        )
        return Remedy(text, (shown,))

    def without_texts(self) -> Remedy:
        """Texts and raw bytes in a column of numbers, which only SQLite lets in."""
        text = (
            "Look at the values that are no numbers, and find out what each of them means. "
            f"{self._as_written()}Correct them in the source, and {self._again}."
        )
        return Remedy(text, (self._show(f"typeof({self._c}) IN ('text', 'blob')"),))

    def as_text(self, width: int = 0) -> Remedy:
        """Numbers that should be the digits of identifiers."""
        zeros = f", all with {width} digits" if width else ""
        known = (
            f"the source still has them{zeros}" if self._source is not None else "only a source or a backup has them"
        )
        text = (
            f"Do not put zeros or digits back by calculation: {known}. MDM makes numbers of a column of digits; put a "
            f"letter before each in the source, which keeps it text, and {self._again}."
        )
        return Remedy(text, (self._some(),))

    def as_integers(self) -> Remedy:
        """Whole numbers that are kept as floating point numbers."""
        text = (
            "No value is lost: missing ones made floating point numbers of them, which keep whole numbers of up to "
            f"{_EXACT_DIGITS} digits. Where the column is used, read it as integers that may be missing (Int64 in "
            "pandas)."
        )
        return Remedy(text, (self._run(f"SELECT count(*), count({self._c}) FROM {self._t}"),))  # noqa: S608 - quoted

    def as_moments(self) -> Remedy:
        """Numbers that were dates or times."""
        text = (
            "Find out what these numbers count (seconds, milliseconds or microseconds since 1970, and in which time "
            f"zone) before anything converts them. Where the source has the times as written, {self._again}."
        )
        return Remedy(text, (self._some(),))

    def as_truth(self) -> Remedy:
        """One truth value in several spellings."""
        text = (
            "Decide of each word whether it means true, false or a missing value; one that is neither of the first two "
            f"is not false. Write them in one way in the source, and {self._again}."
        )
        return Remedy(text, (self._grouped(),))

    def one_format(self, *, iso: bool) -> Remedy:
        """Dates that are written in several ways."""
        ways = (
            "Nothing is lost as they are, and pandas reads the mixture with to_datetime(format='ISO8601')."
            if iso
            else "Which part is the day and which the month only the source, or whoever made it, can tell."
        )
        text = (
            f"{ways} Write all dates of the source in one way, best as YYYY-MM-DD HH:MM:SS with the fractions of "
            f"seconds and the time zones that there are, and {self._again}."
        )
        lengths = f"SELECT length({self._c}), min({self._c}), max({self._c}), count(*) FROM {self._t} GROUP BY 1"  # noqa: S608 - quoted
        return Remedy(text, (self._run(f"{lengths} ORDER BY 4 DESC LIMIT {_SHOWN}"),))

    def looked_at(self, condition: str, advice: str) -> Remedy:
        """Look at certain values first; `{c}` in the condition is the column."""
        return Remedy(f"{advice} Then {self._again}.", (self._show(condition.format(c=self._c)),))

    def registered(self, advice: str) -> Remedy:
        """What only the source tells."""
        return Remedy(f"{advice} Then {self._again}.", (self._grouped(),))

    def _as_written(self) -> str:
        """What a conversion would get wrong, where it looks as if it could."""
        if not {"decorated", "other"} & self._column.looks.keys():
            return ""
        return (
            "A comma may part decimals (18,5) or thousands (24,775), and 5% is 0.05: a conversion that guesses makes "
            "other numbers of them, or none. "
        )

    def _show(self, condition: str) -> str:
        rows = f"SELECT {self._c}, count(*) FROM {self._t} WHERE {condition} GROUP BY 1"  # noqa: S608 - quoted
        return self._run(f"{rows} ORDER BY 2 DESC LIMIT {_SHOWN}")

    def _grouped(self) -> str:
        return self._run(f"SELECT {self._c}, count(*) FROM {self._t} GROUP BY 1 ORDER BY 2 DESC LIMIT {_SHOWN}")  # noqa: S608 - quoted

    def _some(self) -> str:
        return self._run(f"SELECT {self._c} FROM {self._t} WHERE {self._c} IS NOT NULL LIMIT {_SHOWN}")  # noqa: S608 - quoted

    def _run(self, statement: str) -> str:
        return shlex.join((*self._facts.program, statement))


def without_headings(facts: TypeFacts, table: TableProfile) -> Remedy:
    """Rows that hold the names of the columns."""
    named = is_heading(facts.headings[table.table].columns)
    shown = shlex.join((*facts.program, f"SELECT * FROM {quote(table.table)} WHERE {named} LIMIT {_SHOWN}"))  # noqa: S608 - quoted
    text = (
        "A heading lies among the rows, as where files were put together with theirs. Take it out of the source, and "
        f"{under_a_new_name(facts.source)}. Converting the columns instead would leave a row of missing values, its "
        "identifier included."
    )
    return Remedy(text, (shown,))
