"""What to do about wrong types, in the words of each engine; whatever loses a value says so first."""

from __future__ import annotations

import shlex

from pytest_mdm_health.backends import quote
from pytest_mdm_health.checks._type_facts import TypeFacts
from pytest_mdm_health.integrity.column_profile import ColumnProfile, TableProfile
from pytest_mdm_health.integrity.column_types import Kind
from pytest_mdm_health.integrity.text_formats import FALSE, TRUE
from pytest_mdm_health.model import Remedy

KEPT = ".before"
_TYPES = {
    "sqlite": {
        Kind.INTEGER: "BIGINT",
        Kind.FLOAT: "FLOAT",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TEXT: "TEXT",
        Kind.TIME: "DATETIME",
    },
    "duckdb": {
        Kind.INTEGER: "BIGINT",
        Kind.FLOAT: "DOUBLE",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.TEXT: "VARCHAR",
        Kind.TIME: "TIMESTAMP",
    },
    "postgresql": {
        Kind.INTEGER: "bigint",
        Kind.FLOAT: "double precision",
        Kind.BOOLEAN: "boolean",
        Kind.TEXT: "text",
        Kind.TIME: "timestamp",
    },
}
_NUMERIC = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"


class Repair:
    """The repairs of one column."""

    def __init__(self, facts: TypeFacts, table: TableProfile, column: ColumnProfile) -> None:
        self._facts = facts
        self._t, self._c = quote(table.table), quote(column.name)
        self._new = quote(f"{column.name}__new")
        self._sqlite = facts.engine == "sqlite"

    def as_numbers(self) -> Remedy:
        """Make numbers of texts."""
        bare = f"replace(trim({self._c}), ',', '')"
        stray, value = f"{self._c} GLOB '*[^-+0-9.,eE ]*'", bare
        if not self._sqlite:
            value = f"TRY_CAST({bare} AS DOUBLE)" if self._facts.engine == "duckdb" else _postgres_number(bare)
            stray = f"{value} IS NULL AND {self._c} IS NOT NULL"
        text = "Look at the values that are no numbers. Then make numbers of the others; these become NULL."
        return Remedy(text, (self._show(stray), *self._retyped(Kind.FLOAT, value)))

    def without_texts(self) -> Remedy:
        """Take texts out of a column of numbers, which only SQLite lets in."""
        stray = f"typeof({self._c}) IN ('text', 'blob')"
        change = self._update(f"replace(trim({self._c}), ',', '')", stray) + self._update("NULL", stray)
        text = (
            "Look at the values that are no numbers. Then make numbers of those with thousands separators, and NULL of "
        )
        return Remedy(f"{text}the others.", (self._show(stray), *self._changed(change)))

    def as_text(self, width: int) -> Remedy:
        """Make identifiers of numbers again; where all had the same width, their zeros can be put back."""
        if not width:
            text = (
                "MDM makes a number of a column of digits. Put a letter before them in the source; register it again."
            )
            return self.registered(text)
        text = f"Keep them as text; all had {width} digits in the source, so the zeros can be put back."
        digits = f"lpad(CAST(CAST({self._c} AS BIGINT) AS VARCHAR), {width}, '0')"
        value = f"printf('%0{width}d', {self._c})" if self._sqlite else digits
        return Remedy(text, self._retyped(Kind.TEXT, value))

    def as_integers(self) -> Remedy:
        """Store whole numbers as integers."""
        text = "Store them as integers, which may be NULL too in a database."
        return Remedy(text, self._retyped(Kind.INTEGER, f"CAST({self._c} AS BIGINT)"))

    def as_truth(self) -> Remedy:
        """Make one truth value of all its spellings."""
        word = f"lower(trim(CAST({self._c} AS {self._type(Kind.TEXT)})))"
        true, false = ("1", "0") if self._sqlite else ("TRUE", "FALSE")
        true_words, false_words = (", ".join(f"'{word}'" for word in words) for words in ((*TRUE, "1"), (*FALSE, "0")))
        value = f"CASE WHEN {word} IN ({true_words}) THEN {true} WHEN {word} IN ({false_words}) THEN {false} END"
        return Remedy("Store truth values as such; other words become NULL.", self._retyped(Kind.BOOLEAN, value))

    def one_format(self, *, iso: bool) -> Remedy:
        """Write all dates alike; only ISO 8601 can be read without knowing what was meant."""
        text = "Write all dates of the source in one way, best as YYYY-MM-DD HH:MM:SS, and register it again."
        if not iso:
            return self.registered(text)
        text = f"{text} Or write them alike in the database:"
        if self._sqlite:
            value = f"strftime('%Y-%m-%d %H:%M:%S', {self._c})"
            return Remedy(text, self._changed(self._update(value, f"{value} IS NOT NULL")))
        cast = "TRY_CAST" if self._facts.engine == "duckdb" else "CAST"
        return Remedy(text, self._retyped(Kind.TIME, f"{cast}({self._c} AS TIMESTAMP)"))

    def looked_at(self, condition: str, advice: str) -> Remedy:
        """Look at certain values first; `{c}` in the condition is the column."""
        return Remedy(advice, (self._show(condition.format(c=self._c)),))

    def registered(self, advice: str) -> Remedy:
        """Make the dataset anew from its source."""
        if not self._facts.source:
            return Remedy(advice)
        words = shlex.join(["dataset", "register", self._facts.name, self._facts.source, "--force"])
        return Remedy(advice, (f"MDM_HOME_DIR={shlex.quote(self._facts.home)} mdm {words}",))

    def _type(self, kind: Kind) -> str:
        return _TYPES[self._facts.engine][kind]

    def _retyped(self, kind: Kind, value: str) -> tuple[str, ...]:
        if not self._sqlite:
            return self._changed(f"ALTER TABLE {self._t} ALTER COLUMN {self._c} TYPE {self._type(kind)} USING {value};")
        strays = "" if kind is Kind.TEXT else self._update("NULL", f"typeof({self._new}) = 'text'", self._new)
        return self._changed(  # SQLite alters no types: a new column, the last of the table, takes the old one's place
            f"BEGIN; ALTER TABLE {self._t} ADD COLUMN {self._new} {self._type(kind)}; "
            f"{self._update(value, f'{self._c} IS NOT NULL', self._new)}{strays}"
            f"ALTER TABLE {self._t} DROP COLUMN {self._c}; "
            f"ALTER TABLE {self._t} RENAME COLUMN {self._new} TO {self._c}; COMMIT;"
        )

    def _show(self, condition: str) -> str:
        return self._run(f"SELECT {self._c}, count(*) FROM {self._t} WHERE {condition} GROUP BY 1")  # noqa: S608 - quoted

    def _update(self, value: str, condition: str, column: str = "") -> str:
        return f"UPDATE {self._t} SET {column or self._c} = {value} WHERE {condition}; "  # noqa: S608 - quoted

    def _changed(self, statements: str) -> tuple[str, ...]:
        """The command that changes data, after one that keeps it as it was."""
        change = self._run(statements.strip())
        if self._facts.engine == "postgresql":
            return (change,)
        file = shlex.quote(self._facts.database)
        return (f"cp -p -- {file} {shlex.quote(self._facts.database + KEPT)}", change)

    def _run(self, statement: str) -> str:
        return shlex.join((*self._facts.program, statement))


def _postgres_number(text: str) -> str:
    return f"CASE WHEN {text} ~ '{_NUMERIC}' THEN CAST({text} AS double precision) END"
