"""What is one value, however it is kept, and what is not."""

from __future__ import annotations

import duckdb
import pytest

from pytest_mdm_health.integrity.digest.canonical import Form, form_of, parts, written_like


def canonical(value: str, type_: str, form: Form, *, single: bool = False, written: str = "") -> tuple[object, ...]:
    """The hash of a value and the texts beside it."""
    part = parts("c", type_, form, single=single, written=written)
    odd = f"CASE WHEN {part.odd_if} THEN {part.odd} END" if part.odd else "NULL"
    fine = f"CASE WHEN {part.fine_if} THEN {part.fine} END" if part.fine else "NULL"
    sql = f"SELECT hash({part.value}), {odd}, {fine} FROM (SELECT CAST({value} AS {type_}) AS c)"
    row = duckdb.execute(sql).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("form", "ways"),
    [
        (
            Form.INTEGER,
            [("3", "BIGINT"), ("3", "TINYINT"), ("3.0", "DOUBLE"), ("3", "DECIMAL(9,2)"), ("'3'", "VARCHAR")],
        ),
        (
            Form.INTEGER,
            [("-3", "BIGINT"), ("-3", "TINYINT"), ("-3", "HUGEINT"), ("-3", "DOUBLE"), ("-3", "DECIMAL(38,0)")],
        ),
        (
            Form.INTEGER,
            [("-3.5", "DOUBLE"), ("-3.5", "DECIMAL(9,1)"), ("-3.50", "DECIMAL(30,2)"), ("'-3.5'", "VARCHAR")],
        ),
        (
            Form.INTEGER,
            [
                ("10000000000000000000", "UBIGINT"),
                ("10000000000000000000", "HUGEINT"),
                ("1e19", "DOUBLE"),
                ("10000000000000000000", "DECIMAL(38,0)"),
                ("'10000000000000000000'", "VARCHAR"),
                ("'1e19'", "VARCHAR"),
            ],
        ),
        (Form.INTEGER, [("'NaN'", "DOUBLE"), ("'nan'", "VARCHAR")]),
        (Form.INTEGER, [("'inf'", "DOUBLE"), ("'inf'", "VARCHAR")]),
        (Form.BOOLEAN, [("false", "BOOLEAN"), ("0", "TINYINT"), ("'false'", "VARCHAR"), ("0", "DECIMAL(9,2)")]),
        (
            Form.INTEGER,
            [("9007199254740993", "BIGINT"), ("9007199254740993", "HUGEINT"), ("'9007199254740993'", "VARCHAR")],
        ),
        (
            Form.INTEGER,
            [("9007199254740992", "BIGINT"), ("9007199254740992", "DOUBLE"), ("'9007199254740992'", "VARCHAR")],
        ),
        (
            Form.DECIMAL,
            [("1.10", "DECIMAL(9,2)"), ("1.1", "DECIMAL(38,10)"), ("1.1", "DOUBLE"), ("'1.100'", "VARCHAR")],
        ),
        (Form.DECIMAL, [("1234567890.123456789", "DECIMAL(38,9)"), ("'1234567890.12345678900'", "VARCHAR")]),
        (Form.DECIMAL, [("12345678901234567890", "DECIMAL(38,5)"), ("'12345678901234567890.00000'", "VARCHAR")]),
        (
            Form.BOOLEAN,
            [("true", "BOOLEAN"), ("1", "BIGINT"), ("'t'", "VARCHAR"), ("'True'", "VARCHAR"), ("1.0", "DOUBLE")],
        ),
        (Form.FLOAT, [("'NaN'", "DOUBLE"), ("'NaN'", "VARCHAR"), ("'nan'", "FLOAT")]),
        (Form.FLOAT, [("'-0.0'", "DOUBLE"), ("'-0'", "VARCHAR")]),
        (Form.FLOAT, [("'inf'", "DOUBLE"), ("'Infinity'", "VARCHAR")]),
        (Form.TIME, [("'1969-07-20'", "DATE"), ("'1969-07-20 00:00'", "TIMESTAMP"), ("'1969-07-20'", "VARCHAR")]),
        (Form.TIME, [("'1900-01-01 01:02:03.5'", "TIMESTAMP"), ("'1900-01-01T01:02:03.500000'", "VARCHAR")]),
        (Form.TIME, [("'1900-01-01 01:02:03.5'", "TIMESTAMP_NS"), ("'1900-01-01 01:02:03.5'", "TIMESTAMP_MS")]),
        (
            Form.INSTANT,
            [("'2024-01-01 02:00:00+02'", "TIMESTAMP WITH TIME ZONE"), ("'2024-01-01 00:00:00+00'", "VARCHAR")],
        ),
        (Form.TIME, [("'0044-03-15 (BC)'", "DATE"), ("'0044-03-15 BC'", "VARCHAR")]),
        (Form.TIME, [("'infinity'", "TIMESTAMP"), ("'infinity'", "VARCHAR")]),
        (Form.TEXT, [("'7'", "VARCHAR"), ("7", "INTEGER")]),
        (Form.FLOAT, [("NULL", "DOUBLE"), ("NULL", "VARCHAR"), ("NULL", "BIGINT"), ("NULL", "DATE"), ("NULL", "BLOB")]),
    ],
)
def test_one_value_is_the_same_in_every_type(form: Form, ways: list[tuple[str, str]]) -> None:
    assert len({canonical(value, type_, form) for value, type_ in ways}) == 1


@pytest.mark.parametrize(
    ("form", "type_", "values"),
    [
        (Form.INTEGER, "BIGINT", ["9007199254740992", "9007199254740993", "9007199254740994", "NULL", "0"]),
        (Form.INTEGER, "BIGINT", ["9223372036854775807", "9223372036854775806", "-9223372036854775808"]),
        (Form.INTEGER, "DOUBLE", ["1", "1.5", "-1.5", "1e30", "'inf'", "'-inf'", "'nan'", "NULL", "'-0.0'", "0"]),
        (Form.INTEGER, "VARCHAR", ["'1'", "'1.5'", "'x'", "''", "NULL", "'9223372036854775808'", "'1e300'", "'nan'"]),
        (Form.INTEGER, "DECIMAL(38,20)", ["1.1", "1.10000000000000000001", "1", "NULL"]),
        (Form.FLOAT, "DOUBLE", ["0.1", "nextafter(0.1::DOUBLE, 1)", "'-0.0'", "0", "'nan'", "NULL", "'inf'", "5e-324"]),
        (Form.TEXT, "VARCHAR", ["''", "NULL", "'NULL'", "' '", "'a'", "'a '", "'A'", "'é'", "'e\u0301'", "'\ufeffa'"]),
        (Form.DECIMAL, "DECIMAL(38,20)", ["1.1", "1.10000000000000000001", "1.10000000000000000002", "1"]),
        (Form.DECIMAL, "VARCHAR", ["'1.1'", "'1.10000000000000000001'", "'1.1 '", "'x'", "''", "NULL"]),
        (Form.TIME, "TIMESTAMP", ["'1969-12-31 23:59:59.999999'", "'1970-01-01'", "NULL", "'1969-12-31 23:59:59'"]),
        (
            Form.TIME,
            "TIMESTAMP_NS",
            ["'1970-01-01 00:00:00.000000001'", "'1970-01-01'", "'1969-12-31 23:59:59.999999999'"],
        ),
        (
            Form.TIME,
            "VARCHAR",
            ["'2024-01-01'", "'2024-01-01x'", "'2024-13-01'", "'2024-01-01 00:00:01'", "NULL", "''"],
        ),
        (Form.BYTES, "BLOB", ["from_hex('00')", "from_hex('')", "from_hex('0000')", "NULL"]),
        (Form.BOOLEAN, "VARCHAR", ["'t'", "'f'", "'yes'", "NULL", "''", "'2'"]),
    ],
)
def test_different_values_stay_different(form: Form, type_: str, values: list[str]) -> None:
    assert len({canonical(value, type_, form) for value in values}) == len(values)


def test_a_four_byte_float_that_arrives_as_text_is_read_as_one() -> None:
    assert canonical("'0.1'", "VARCHAR", Form.FLOAT, single=True) == canonical("0.1", "FLOAT", Form.FLOAT)
    assert canonical("'0.1'", "VARCHAR", Form.FLOAT) == canonical("0.1", "DOUBLE", Form.FLOAT)
    assert canonical("0.1", "FLOAT", Form.FLOAT) != canonical("0.1", "DOUBLE", Form.FLOAT)


def test_a_date_is_the_text_that_it_was_written_as() -> None:
    written = written_like(["2024-01-01 00:00:00.000000", "1999-01-01 00:00:00.000000"])
    text = canonical("'2024-02-03 04:05:06.000000'", "VARCHAR", Form.TEXT)
    assert canonical("'2024-02-03 04:05:06'", "TIMESTAMP", Form.TEXT, written=written) == text
    assert canonical("'2024-02-03 04:05:06'", "TIMESTAMP", Form.TEXT) != text


@pytest.mark.parametrize("texts", [["2024-01-01", "x"], ["12"], [], ["YYYY-MM-DD"]])
def test_texts_that_are_no_dates_have_no_date_format(texts: list[str]) -> None:
    assert not written_like(texts)


@pytest.mark.parametrize(
    ("declared", "engine", "form"),
    [
        ("BIGINT", "duckdb", Form.INTEGER),
        ("FLOAT", "sqlite", Form.FLOAT),
        ("FLOAT", "duckdb", Form.FLOAT32),
        ("real", "postgresql", Form.FLOAT32),
        ("double precision", "postgresql", Form.FLOAT),
        ("numeric(9,2)", "postgresql", Form.DECIMAL),
        ("timestamp without time zone", "postgresql", Form.TIME),
        ("timestamp(3) with time zone", "postgresql", Form.INSTANT),
        ("TIMESTAMP WITH TIME ZONE", "duckdb", Form.INSTANT),
        ("DATETIME", "sqlite", Form.TIME),
        ("TIME", "duckdb", Form.TEXT),
        ("INTEGER[]", "duckdb", Form.TEXT),
        ("STRUCT(a INTEGER)", "duckdb", Form.TEXT),
        ("INTERVAL", "duckdb", Form.TEXT),
        ("bytea", "postgresql", Form.BYTES),
        ("BOOLEAN", "sqlite", Form.BOOLEAN),
        ("", "sqlite", None),
    ],
)
def test_a_declared_type_says_what_values_are_read_as(declared: str, engine: str, form: Form | None) -> None:
    assert form_of(declared, engine) is form
