"""The product's own words are listed in the package, and no run reads source code for them."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction import vocabulary
from pytest_mdm_health.redaction.redactor import redactor_for

SCRIPT = Path(__file__).parents[2] / "scripts" / "vocabulary.py"


def test_every_word_of_the_product_is_listed() -> None:
    missing = runpy.run_path(str(SCRIPT))["missing"]()
    assert missing == [], "python scripts/vocabulary.py adds them"


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """The files that are opened while a test runs."""
    names: list[str] = []
    listening = True

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if listening and event == "open":
            names.append(str(arguments[0]))

    sys.addaudithook(hear)
    yield names
    listening = False


def test_no_source_code_is_read_to_know_them(home: Path, opened: list[str]) -> None:
    vocabulary._own_words.cache_clear()
    redactor = redactor_for(take_inventory(home, {}), {"MDM_X_PASSWORD": "table"}, {})
    assert redactor.text("the table is locked") == "the table is locked"
    assert any(name.endswith("words.txt") for name in opened)
    assert not [name for name in opened if name.endswith((".py", ".jinja"))]


@pytest.mark.parametrize("password", ["Tr0ub4dor", "open the window", "sunshine", "correct-horse", "the table is"])
def test_a_password_outside_the_vocabulary_is_masked_everywhere(home: Path, password: str) -> None:
    redactor = redactor_for(take_inventory(home, {}), {"MDM_X_PASSWORD": password}, {})
    assert redactor.text(f"login with {password}.") == "login with ***."


@pytest.mark.parametrize("password", ["mdm-health", "database", "sqlite-locking", "passed", "report.html"])
def test_a_password_in_the_vocabulary_is_readable_as_a_word(home: Path, password: str) -> None:
    redactor = redactor_for(take_inventory(home, {}), {"MDM_X_PASSWORD": password}, {})
    assert redactor.text(f"the {password} is there") == f"the {password} is there"
    assert redactor.leaks.in_content(f"the {password} is there") is None
