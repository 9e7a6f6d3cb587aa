"""The pictures are sound SVG, in proportion, and say nothing that only an eye could read."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from markupsafe import Markup

from pytest_mdm_health.reports.html import svg_bars as pictures


def widths(svg: Markup) -> list[float]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert root.get("aria-hidden") == "true"
    return [float(each.get("width", "nan")) for each in root.iter("rect")]


def test_shares_fill_the_bar_in_proportion() -> None:
    assert widths(pictures.shares({"fail": 1, "pass": 3})) == [24.6, 74.6]


def test_a_share_is_seen_however_small_it_is() -> None:
    fail, passed = widths(pictures.shares({"fail": 1, "pass": 10_000}))
    assert 1 < fail < 2
    assert 98 < fail + passed <= 100


def test_of_nothing_there_is_no_bar() -> None:
    assert widths(pictures.shares({})) == []
    assert widths(pictures.length(0, 0)) == [0]


def test_before_and_after_are_to_one_scale() -> None:
    assert widths(pictures.before_and_after(50, 100, 200, "warn")) == [25, 50]


@pytest.mark.parametrize("word", ["yes", "with care", "no", "not known", "not asked"])
def test_every_answer_has_a_sign(word: str) -> None:
    assert ET.fromstring(pictures.sign(word)).get("class") == "sign"  # noqa: S314 - our own
