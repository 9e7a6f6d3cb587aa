"""Everything in the guide ends in a finding or in a declared step by hand."""

from __future__ import annotations

import pytest

from pytest_mdm_health.guide import SYMPTOMS, Symptom
from pytest_mdm_health.messages import KNOWN_ERRORS, KnownError
from pytest_mdm_health.registry import load

CODES = {f"{id_}.{code}" for id_, each in load().items() for code in each.documentation.findings}
SYMPTOMS_PER_ISSUE = 3


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.text)
def test_every_symptom_ends_in_findings_or_in_a_step_by_hand(symptom: Symptom) -> None:
    assert set(symptom.findings) <= CODES
    assert bool(symptom.findings) != bool(symptom.manual)


@pytest.mark.parametrize("error", KNOWN_ERRORS, ids=lambda error: error.name)
def test_every_row_of_the_table_of_messages_ends_in_a_finding(error: KnownError) -> None:
    assert f"logged-errors.{error.finding}" in CODES


def test_every_issue_with_symptoms_has_all_of_them() -> None:
    issues = sorted({each.check.issue for each in load().values()} - {"8.1", "8.3"})
    counted = {issue: sum(symptom.issue == issue for symptom in SYMPTOMS) for issue in issues}
    assert counted == dict.fromkeys(issues, SYMPTOMS_PER_ISSUE)
