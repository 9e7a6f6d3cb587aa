"""What is said about the checks is what the checks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mdm_health.engine import documentation
from pytest_mdm_health.engine.registry import UnknownCheck, load

PAGE = Path(__file__).parent.parent.parent / "docs" / "checks.md"


def test_the_page_is_made_from_the_modules() -> None:
    assert PAGE.read_text(encoding="utf-8") == documentation.page(), "mdm-health docs > docs/checks.md"


def test_the_listing_has_every_check_below_its_section() -> None:
    listing = documentation.listing()
    assert all(f"{each.check.issue}  {each.check.id}" in listing for each in load().values())
    assert listing.startswith("1 Pre-migration\n  1.1  backup-failure")


@pytest.mark.parametrize("name", ["sqlite-locking", "3.2", "sqlite-locking.locked-now"])
def test_a_check_is_explained_by_id_issue_or_finding(name: str) -> None:
    text = documentation.explain(name)
    assert text.startswith("sqlite-locking (guide 3.2, per dataset)")
    assert "\nSolutions\n---------\n" in text


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownCheck, match="'sqlite-locking'"):
        documentation.explain("sqlite-lock")
