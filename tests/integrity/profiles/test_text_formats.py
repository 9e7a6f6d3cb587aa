from __future__ import annotations

import pytest

from pytest_mdm_health.integrity.profiles.text_formats import Dates, Shape, dates_of, spelled_differently


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2024-01-31", "YYYY-MM-DD"),
        ("2024-1-31", "YYYY-MM-DD"),
        ("2024/01/31 10:00", "YYYY/MM/DD HH:MM"),
        ("2024-01-31T10:00:00Z", "YYYY-MM-DDTHH:MM:SS+ZZ"),
        ("2024-01-31 10:00:00.123+02:00", "YYYY-MM-DD HH:MM:SS.f+ZZ"),
        ("31.01.2024", "NN.NN.YYYY"),
        ("1/31/24 9:05 PM", "NN/NN/YY HH:MM AM"),
        ("20240131", "YYYYMMDD"),
        ("Jan 31, 2024", "with the month's name"),
        ("31-Jan-2024", "with the month's name"),
    ],
)
def test_the_way_a_date_is_written_has_a_name(text: str, name: str) -> None:
    shape = "".join("0" if character.isdigit() else character for character in text)
    assert dates_of([Shape(shape, 3)]) == Dates({name: 3})


@pytest.mark.parametrize("shape", ["000.000.0.0", "00-00-00", "0.0.00", "late 0000", "00:00", "0000-00", "c0000"])
def test_what_is_no_date_is_not_taken_for_one(shape: str) -> None:
    assert dates_of([Shape(shape, 2)]) == Dates({}, others=2)


def test_a_number_above_twelve_tells_whether_the_day_comes_first() -> None:
    assert dates_of([Shape("00/00/0000", 5, first=31, second=12)]).formats == {"DD/MM/YYYY": 5}
    assert dates_of([Shape("00/00/0000", 5, first=12, second=31)]).formats == {"MM/DD/YYYY": 5}
    both = dates_of([Shape("00/00/0000", 5, first=31, second=31, impossible=1)])
    assert both == Dates({"NN/NN/YYYY": 4}, both_orders=True, impossible=1)


def test_dates_that_do_not_exist_are_counted_apart() -> None:
    found = dates_of([Shape("0000-00-00", 5, impossible=2), Shape("soon", 1)])
    assert found == Dates({"YYYY-MM-DD": 3}, impossible=2, others=1)
    assert found.written == 3


@pytest.mark.parametrize(
    ("words", "mixed"),
    [
        (("yes", "no"), False),
        (("True", "False"), False),
        (("True",), False),
        (("True", "true", "False"), True),
        (("Y", "N", "yes"), True),
        (("1", "0", "no"), True),
    ],
)
def test_one_spelling_for_each_truth_value_is_enough(words: tuple[str, ...], mixed: bool) -> None:
    assert spelled_differently(words) is mixed
