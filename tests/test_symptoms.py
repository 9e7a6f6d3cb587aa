"""From what a person sees to the issue."""

from __future__ import annotations

import pytest

from pytest_mdm_health.guide import SYMPTOMS
from pytest_mdm_health.symptoms import KNOWN_ERRORS, UnknownSymptom, explanations, known_error


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached", "3.1"),
        ("FATAL:  sorry, too many clients already / Too many connections", "3.1"),
        ("sqlite3.OperationalError: database is locked", "3.2"),
        ("(sqlite3.OperationalError) no such table: train_features", "5.1"),
        ("KeyError: 'backend'", "7.2"),
        ("MemoryError: Unable to allocate 3.2 GiB", "4.2"),
        ("TimeoutError: Operation timed out", "3.3"),
        ("PermissionError: [Errno 13] Permission denied: '/home/ml/.mdm/logs/mdm.log'", "1.1"),
        ("ModuleNotFoundError: No module named 'mdm.core.logging'", "1.2"),
    ],
)
def test_an_error_message_leads_to_its_issue(text: str, issue: str) -> None:
    assert explanations(text)[0].issue == issue
    error = known_error(text)
    assert error is not None
    assert error.issue == issue


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.text)
def test_the_guides_own_words_lead_to_their_issue(symptom: object) -> None:
    text, issue = getattr(symptom, "text", ""), getattr(symptom, "issue", "")
    assert issue in {each.issue for each in explanations(text)}


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("my settings reverted to the defaults", "2.1"),
        ("the progress bar is stuck", "4.1"),
        ("row counts are different", "5.1"),
        ("it is a configuration error", "2"),
        ("feature engineering", "6"),
    ],
)
def test_a_persons_words_lead_there_too(text: str, issue: str) -> None:
    assert issue in {each.issue for each in explanations(text)}


def test_what_nothing_explains_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        UnknownSymptom, match=r"nothing explains 'purple smoke'; the nearest symptoms are '.+' \(\d\.\d\)"
    ):
        explanations("purple smoke")


def test_no_known_error_is_seen_in_a_line_that_has_none() -> None:
    assert known_error("Dataset 'wine' registered successfully") is None


def test_every_known_error_recognises_its_own_name() -> None:
    assert [error.name for error in KNOWN_ERRORS if known_error(error.name) is not error] == []
