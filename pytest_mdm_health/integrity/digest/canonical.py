"""The canonical form of a value: what it is, whichever engine keeps it.

A value becomes up to three things. *Canonical* is what every engine can keep: a number as DOUBLE, or as BIGINT in a
column of whole numbers, a date or time as TIMESTAMP, text, bytes, NULL. *Odd* is a text beside it for what that cannot
say and no engine may lose: an integer beyond 2^53 that is no floating point number, a fraction in a column of whole
numbers, text in a column of numbers. *Fine* is what some backends cannot keep: NaN (`n`), the sign of -0.0 (`z`),
digits of a decimal that a floating point number does not have (`d` and the number). NaN is NULL in the canonical form
and -0.0 is 0.0, so that only *fine* tells them apart.

All of it is SQL for DuckDB; no value passes through Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

EXACT = 2**53
"""From here on a floating point number does not tell every whole number from the next."""

_SURE_DIGITS = 15
"""Digits that a floating point number always keeps."""


class Form(str, Enum):
    """What a column's values are read as."""

    INTEGER = "integer"
    FLOAT = "float"
    FLOAT32 = "float32"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    INSTANT = "instant"
    TEXT = "text"
    BYTES = "bytes"

    @property
    def domain(self) -> str:
        """Forms of one domain have the same canonical values: `whole`, `number`, `time`, `text` or `bytes`."""
        if self in _WHOLES:
            return "whole"
        if self in _NUMBERS:
            return "number"
        return "time" if self is Form.INSTANT else self.value


_WHOLES = (Form.INTEGER, Form.BOOLEAN)
_NUMBERS = (Form.FLOAT, Form.FLOAT32, Form.DECIMAL)

_FORMS: tuple[tuple[str, Form], ...] = (
    (r"\[|\(.*\[|^(STRUCT|MAP|UNION|LIST|ENUM|INTERVAL|JSON|UUID|BIT|TIME(\(\d\))?$|TIME WITH)", Form.TEXT),
    (r"BOOL", Form.BOOLEAN),
    (r"^(TIMESTAMP WITH TIME ZONE|TIMESTAMPTZ|TIMESTAMP\(\d\) WITH TIME ZONE)", Form.INSTANT),
    (r"^(DATE|TIMESTAMP|DATETIME|SMALLDATETIME)", Form.TIME),
    (r"INT|SERIAL", Form.INTEGER),
    (r"CHAR|CLOB|TEXT|STRING", Form.TEXT),
    (r"BLOB|BYTEA|BINARY", Form.BYTES),
    (r"DEC|NUMERIC", Form.DECIMAL),
    (r"DOUB|FLOAT8", Form.FLOAT),
)


def form_of(declared: str, engine: str) -> Form | None:
    """What the values of a column are read as by its declared type; None if it declares none that is known.

    `REAL` and `FLOAT` have 4 bytes everywhere but in SQLite, which has only the one of 8.
    """
    name = declared.strip().upper()
    for pattern, form in _FORMS:
        if re.search(pattern, name):
            return form
    if re.search(r"REAL|FLOA", name):
        return Form.FLOAT if engine == "sqlite" else Form.FLOAT32
    return None


@dataclass(frozen=True)
class Parts:
    """A value in SQL.

    Attributes:
        value: the canonical value.
        odd: the text beside it, NULL for most values; None if no value of this column has one.
        odd_if: what is true of every value that has one, and cheap to tell.
        fine: as `odd`, what some backends cannot keep.
        fine_if: as `odd_if`.
    """

    value: str
    odd: str | None = None
    odd_if: str = "TRUE"
    fine: str | None = None
    fine_if: str = "TRUE"


_SMALL = ("TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
_LARGE = ("BIGINT", "UBIGINT", "HUGEINT")
_NUMBER = r"(?i)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?|nan"
_WHOLE = r"[+-]?[0-9]+(\.0*)?"
_MOMENT = (
    r"[0-9]{4,6}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6}0*)?)?)?"
    r"( ?(Z|[+-][0-9]{2}(:?[0-9]{2}(:[0-9]{2})?)?))?( BC)?|-?infinity"
)
_ZONED = r".*:.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)( BC)?"


def parts(column: str, arrives: str, wanted: Form, *, single: bool = False, written: str = "") -> Parts:
    """How a value is brought into its canonical form.

    Args:
        column: the column, as SQL takes it.
        arrives: the DuckDB type that it arrives in.
        wanted: what it is read as.
        single: texts of numbers are of floating point numbers of 4 bytes.
        written: how dates are written where they are wanted as text; see `WRITTEN`.
    """
    base = arrives.upper().partition("(")[0]
    if wanted.domain == "whole":
        return _whole(column, arrives.upper(), base, wanted)
    if wanted.domain == "number":
        single = single or wanted is Form.FLOAT32
        return _number(column, arrives.upper(), base, single=single, decimal=wanted is Form.DECIMAL)
    if wanted.domain == "time":
        return _moment(column, base)
    if wanted is Form.BYTES:
        return Parts(column) if base == "BLOB" else _stray(column, base, "NULL::BLOB")
    return _text(column, base, written)


def _stray(column: str, base: str, nothing: str) -> Parts:
    """A value that cannot be read as what it should be: kept as a text of its own."""
    tagged = f"'b'||hex({column})" if base == "BLOB" else f"'t'||{column}::VARCHAR"
    return Parts(nothing, tagged, f"{column} IS NOT NULL")


def _whole(c: str, arrives: str, base: str, wanted: Form) -> Parts:
    """A whole number, which every engine keeps to the last digit; what is none, or too large, is kept beside it."""
    if base == "BIGINT":
        return Parts(c)
    if base in _SMALL or base == "BOOLEAN":
        return Parts(f"{c}::BIGINT")  # numbers below zero have other hashes in other types
    if base in {"UBIGINT", "HUGEINT"}:
        value = f"TRY_CAST({c} AS BIGINT)"
        too_large = f"({c} IS NOT NULL AND {value} IS NULL)"
        return Parts(value, f"CASE WHEN {too_large} THEN 'i'||{c}::VARCHAR END", too_large)
    if base == "VARCHAR":
        return _whole_from_text(c, wanted)
    if base not in {"FLOAT", "DOUBLE", "DECIMAL"}:
        return _stray(c, base, "NULL::BIGINT")
    number = _number(c, arrives, base, single=False, decimal=True)
    exact = f"trunc({c})" if base == "DECIMAL" else number.value
    is_whole = f"{c} = trunc({c})"
    value = f"(CASE WHEN {is_whole} THEN TRY_CAST({exact} AS BIGINT) END)"
    large = f"TRY_CAST({exact} AS HUGEINT)"
    odd = (
        f"CASE WHEN {value} IS NULL THEN coalesce(CASE WHEN {is_whole} THEN 'i'||{large}::VARCHAR END, "
        f"'f'||({number.value})::VARCHAR) END"
    )
    return Parts(value, odd, f"({c} IS NOT NULL AND {value} IS NULL)", number.fine, number.fine_if)


def _number(c: str, arrives: str, base: str, *, single: bool, decimal: bool) -> Parts:
    if base in _SMALL or base == "BOOLEAN":
        return Parts(f"{c}::DOUBLE")
    if base in _LARGE:
        return Parts(f"{c}::DOUBLE", _unrepresented(f"{c}::HUGEINT"), f"({c} > {EXACT} OR {c} < -{EXACT})")
    if base in {"FLOAT", "DOUBLE"}:
        fine = f"CASE WHEN isnan({c}) THEN 'n' WHEN {c} = 0 AND signbit({c}) THEN 'z' END"
        cheap = f"(sign({c}) = 0 AND (isnan({c}) OR signbit({c})))"  # the sign of NaN is 0
        return Parts(f"nullif({c}, 'nan')::DOUBLE", fine=fine, fine_if=cheap)
    if base == "DECIMAL":
        return _decimal(c, arrives)
    if base == "VARCHAR":
        return _number_from_text(c, single=single, decimal=decimal)
    return _stray(c, base, "NULL::DOUBLE")


def _unrepresented(whole: str) -> str:
    """An integer that is no floating point number, as a text; NULL for all others."""
    as_double = f"TRY_CAST({whole}::DOUBLE AS HUGEINT)"
    return f"CASE WHEN {as_double} IS DISTINCT FROM {whole} THEN 'i'||{whole}::VARCHAR END"


def _decimal(c: str, arrives: str) -> Parts:
    found = re.search(r"\((\d+)\s*,\s*(\d+)\)", arrives)
    width, scale = (int(found[1]), int(found[2])) if found else (38, 10)
    if width <= _SURE_DIGITS:
        return Parts(f"{c}::DOUBLE")
    text = f"{c}::VARCHAR"
    if not scale:
        return Parts(f"{text}::DOUBLE", _unrepresented(f"{c}::HUGEINT"), f"abs({c}) > {EXACT}")
    whole = f"CASE WHEN {c} = trunc({c}) THEN {_unrepresented(f'trunc({c})::HUGEINT')} END"
    broken = f"{c} <> trunc({c})"
    lost = f"CASE WHEN {broken} THEN {_lost_digits(text)} END"
    return Parts(f"{text}::DOUBLE", whole, f"abs({c}) > {EXACT}", lost, broken)


def _lost_digits(text: str) -> str:
    """A decimal fraction with more digits than a floating point number shows, as a text; NULL for all others."""
    plain = f"rtrim(ltrim({text}, '+'), '0')"
    digits = f"length(replace(ltrim({plain}, '-0.'), '.', ''))"
    shown = f"TRY_CAST({text} AS DOUBLE)::VARCHAR"
    return f"CASE WHEN {digits} > {_SURE_DIGITS} AND {plain} <> {shown} THEN 'd'||{plain} END"


def _number_from_text(c: str, *, single: bool, decimal: bool) -> Parts:
    number = f"regexp_full_match({c}, '{_NUMBER}')"
    double = f"TRY_CAST({c} AS FLOAT)::DOUBLE" if single else f"TRY_CAST({c} AS DOUBLE)"
    value = f"(CASE WHEN {number} THEN nullif({double}, 'nan'::DOUBLE) END)::DOUBLE"
    whole = f"TRY_CAST(split_part({c}, '.', 1) AS HUGEINT)"
    odd = (
        f"CASE WHEN NOT {number} THEN 't'||{c} "
        f"WHEN length({c}) > {_SURE_DIGITS} AND regexp_full_match({c}, '{_WHOLE}') "
        f"THEN CASE WHEN {whole} IS NULL THEN 'i'||{c} ELSE {_unrepresented(whole)} END END"
    )
    unsure = f"({c} IS NOT NULL AND (length({c}) > {_SURE_DIGITS} OR NOT {number}))"
    return Parts(value, odd, unsure, _lost_by_text(c, number, double, decimal=decimal), f"{c} IS NOT NULL")


def _lost_by_text(c: str, number: str, double: str, *, decimal: bool) -> str:
    lost = f"WHEN length({c}) > {_SURE_DIGITS} AND NOT regexp_full_match({c}, '{_WHOLE}') THEN {_lost_digits(c)} "
    return (
        f"CASE WHEN NOT {number} THEN NULL WHEN isnan({double}) THEN 'n' "
        f"WHEN {double} = 0 AND {c} LIKE '-%' THEN 'z' {lost if decimal else ''}END"
    )


def _whole_from_text(c: str, wanted: Form) -> Parts:
    number = f"regexp_full_match({c}, '{_NUMBER}')"
    double, known, truth = f"TRY_CAST({c} AS DOUBLE)", number, ""
    if wanted is Form.BOOLEAN:
        truth = f"WHEN lower({c}) IN ('t', 'true') THEN 1 WHEN lower({c}) IN ('f', 'false') THEN 0 "
        known = f"({number} OR lower({c}) IN ('t', 'true', 'f', 'false'))"
    digits, literal = f"split_part({c}, '.', 1)", f"regexp_full_match({c}, '{_WHOLE}')"
    value = (
        f"(CASE WHEN {literal} THEN TRY_CAST({digits} AS BIGINT) WHEN NOT {known} THEN NULL {truth}"
        f"WHEN {double} = trunc({double}) THEN TRY_CAST({double} AS BIGINT) END)"
    )
    odd = (
        f"CASE WHEN {value} IS NOT NULL OR isnan({double}) THEN NULL WHEN NOT {known} THEN 't'||{c} "
        f"WHEN {literal} THEN 'i'||coalesce(TRY_CAST({digits} AS HUGEINT)::VARCHAR, {c}) "
        f"WHEN {double} = trunc({double}) AND TRY_CAST({double} AS HUGEINT) IS NOT NULL "
        f"THEN 'i'||TRY_CAST({double} AS HUGEINT)::VARCHAR ELSE 'f'||{double}::VARCHAR END"
    )
    unsure = f"({c} IS NOT NULL AND {value} IS NULL)"
    return Parts(value, odd, unsure, _lost_by_text(c, number, double, decimal=True), f"{c} IS NOT NULL")


def _moment(c: str, base: str) -> Parts:
    if base in {"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"}:
        return Parts(f"{c}::TIMESTAMP")
    if base == "TIMESTAMP_NS":
        finer = f"(isfinite({c}) AND epoch_ns({c}) % 1000 <> 0)"
        moment = f"CASE WHEN isfinite({c}) THEN make_timestamp(epoch_ns({c}) // 1000) ELSE {c}::TIMESTAMP END"
        return Parts(moment, f"CASE WHEN {finer} THEN 't'||{c}::VARCHAR END", finer)
    if base == "TIMESTAMP WITH TIME ZONE":
        finite = f"isfinite({c})"
        return Parts(
            f"CASE WHEN {finite} THEN make_timestamp(epoch_us({c})) WHEN {c} > '2000-01-01'::TIMESTAMPTZ "
            f"THEN 'infinity'::TIMESTAMP WHEN NOT {finite} THEN '-infinity'::TIMESTAMP END"
        )
    if base != "VARCHAR":
        return _stray(c, base, "NULL::TIMESTAMP")
    plain = f"(CASE WHEN {c} LIKE '% BC' THEN regexp_replace({c}, '^([^ ]+)( .*)? BC$', '\\1 (BC)\\2') ELSE {c} END)"
    zoned = f"make_timestamp(epoch_us(TRY_CAST({plain} AS TIMESTAMPTZ)))"
    as_pandas_writes_it = f"strftime(TRY_CAST({c} AS TIMESTAMP), '%Y-%m-%d %H:%M:%S.%f') = {c} AND NOT {c} LIKE '-%'"
    value = (
        f"(CASE WHEN {as_pandas_writes_it} THEN TRY_CAST({c} AS TIMESTAMP) "  # sooner told than by the expressions
        f"WHEN NOT regexp_full_match({c}, '{_MOMENT}') THEN NULL WHEN regexp_full_match({c}, '{_ZONED}') "
        f"THEN {zoned} ELSE TRY_CAST({plain} AS TIMESTAMP) END)"
    )
    strange = f"({c} IS NOT NULL AND {value} IS NULL)"
    return Parts(value, f"CASE WHEN {strange} THEN 't'||{c} END", strange)


WRITTEN = {
    "": "",
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYY-MM-DD HH:MM:SS": "%Y-%m-%d %H:%M:%S",
    "YYYY-MM-DDTHH:MM:SS": "%Y-%m-%dT%H:%M:%S",
    "YYYY-MM-DD HH:MM:SS.ffffff": "%Y-%m-%d %H:%M:%S.%f",
    "YYYY-MM-DDTHH:MM:SS.ffffff": "%Y-%m-%dT%H:%M:%S.%f",
}
"""Ways to write a date that a date can be compared in with texts: without one, as DuckDB writes it."""


def written_like(texts: list[str]) -> str:
    """How all of these texts write a date, if they do and all alike; else the empty string."""
    shapes = {re.sub(r"[0-9]", "0", text) for text in texts}
    known = {re.sub(r"[A-SU-Zf]", "0", shape): shape for shape in WRITTEN if shape}
    return known.get(shapes.pop(), "") if len(shapes) == 1 else ""


def _text(c: str, base: str, written: str) -> Parts:
    if base == "VARCHAR":
        return Parts(c)
    if base == "BLOB":
        return _stray(c, base, "NULL::VARCHAR")
    if base in {"DATE", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP_S", "TIMESTAMP_MS"} and written:
        return Parts(f"strftime({c}::TIMESTAMP, '{WRITTEN[written]}')")
    return Parts(f"{c}::VARCHAR")
