"""Features that MDM makes by itself are told from others by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, kind_of
from pytest_mdm_health.mdm.feature_names import made_by_mdm

COLUMNS = ("amount", "qty", "city", "unit_price")


def test_all_features_of_the_real_homes_are_mdms_own(each_home: Path) -> None:
    seen = 0
    for file in sorted(each_home.glob("datasets/*/*.*")):
        if file.suffix not in {".sqlite", ".duckdb"}:
            continue
        with Backend(file.suffix[1:], file).open() as database:
            for table in (name for name in database.tables() if name.endswith("_features")):
                base = {each.name: each.type for each in database.columns(table.removesuffix("_features"))}
                categories = [name for name, type_ in base.items() if kind_of(type_) not in NUMBERS]
                features = [each.name for each in database.columns(table) if each.name not in base]
                assert [name for name in features if not made_by_mdm(name, base, categories)] == []
                seen += len(features)
    assert seen > 300


@pytest.mark.parametrize(
    ("feature", "own"),
    [
        ("amount_log", True),
        ("amount_plus_qty", True),
        ("unit_price_div_amount", True),
        ("max_amount_unit_price", True),
        ("missing_ratio", True),
        ("city_Zürich", True),
        ("qty_Zürich", False),
        ("amount_per_piece", False),
        ("amount_plus_tax", False),
        ("per_piece", False),
        ("log", False),
        ("", False),
    ],
)
def test_a_name_tells_who_made_the_feature(feature: str, own: bool) -> None:
    assert made_by_mdm(feature, COLUMNS, ("city",)) is own
