"""Numbers are told from codes and versions by the way they are written."""

from __future__ import annotations

import pytest

from pytest_mdm_health.integrity.profiles.decimals import are_decimals

NUMBERS = {
    "prices": ["12.50", "9.99", "100.00"],
    "one price": ["12.50"],
    "quarters": [str(number / 4) for number in range(100)],
    "exponents": ["1e3", "2.5E-7", "10"],
    "differences": ["-5", "3", "0", "-12"],
    "thousands": ["1,200", "950", "1,234,567.89"],
    "without a whole part": [".5", "-.25"],
    "mostly nothing": ["0"] * 9 + ["0.75"],
    "marks out of ten": [f"{number % 10}.5" for number in range(100)],
    "temperatures": [f"{number / 10:.1f}" for number in range(350, 400)] * 3,
}
TEXTS = {
    "codes": ["1001", "2002"],
    "codes with zeros": ["007.5", "012.5"],
    "codes with a mark for none": ["12", "7", "-999"],
    "classes of diseases": ["250.00", "401.9", "250.10"],
    "telephone numbers": ["+4930123456", "+15550123"],
    "telephone numbers with a point": ["030.123456", "089.654321"],
    "versions": ["1.9", "1.10", "2.0"],
    "short versions": ["1.0", "1.1", "2.0", "12.1"] * 50,
    "prices now and then among codes": ["4711"] * 99 + ["12.5"],
    "nothing": [],
    "a point": ["."],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_parsed_by_point_exponent_sign_and_separator(name: str) -> None:
    assert are_decimals("value", NUMBERS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_codes_and_versions_stay_texts(name: str) -> None:
    assert not are_decimals("value", TEXTS[name])


@pytest.mark.parametrize("column", ["version", "app_version", "pythonVersion", "Release", "os"])
def test_a_column_that_is_called_so_holds_versions(column: str) -> None:
    assert not are_decimals(column, ["3.11", "3.12"])
    assert are_decimals("conversion", ["3.11", "3.12"])
