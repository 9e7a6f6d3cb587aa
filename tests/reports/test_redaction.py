"""Secrets are gone before anything is shown."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.mdm.secrets import HIDDEN as MASK
from pytest_mdm_health.model import HOME, Check, Finding, Kind, Remedy, Result, Severity, Status
from pytest_mdm_health.reports.redaction import Redactor

SECRETS = st.text(min_size=4).filter(lambda text: text.strip() and text not in MASK)


@given(secret=SECRETS, before=st.text(), after=st.text())
def test_a_known_secret_never_survives(secret: str, before: str, after: str) -> None:
    redactor = Redactor([secret])
    assert secret not in redactor.text(before + secret + after).replace(MASK, "\0")


@given(secret=st.text(st.characters(codec="utf-8"), min_size=4).filter(lambda text: quote(text, safe="") != text))
def test_nor_does_it_survive_quoted_for_a_url(secret: str) -> None:
    assert quote(secret, safe="") not in Redactor([secret]).text(f"connect to {quote(secret, safe='')}!")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("postgresql://ml:s3cr:et@host/db down", f"postgresql://ml:{MASK}@host/db down"),
        ("password=hunter2 host=x", f"password={MASK} host=x"),
        ("Password: 'a b c', next", f"Password: '{MASK}', next"),
        ("no secrets here: http://host:80/path", "no secrets here: http://host:80/path"),
    ],
)
def test_what_looks_like_a_secret_is_masked_without_being_known(text: str, clean: str) -> None:
    assert Redactor([]).text(text) == clean


def test_every_text_of_a_result_is_cleaned_and_its_types_stay() -> None:
    finding = Finding(
        "c.f", Severity.FAIL, "hunter22 seen", Remedy("drop hunter22", ("psql hunter22",)), {"a": ["hunter22"]}
    )
    check = Check(id="c", issue="1.1", title="t", per=Kind.HOME)
    result = Result(check=check, target=HOME, status=Status.FAIL, facts={"k": {"l": "hunter22"}}, findings=(finding,))
    clean = Redactor(["hunter22"]).everywhere(result)
    assert "hunter22" not in repr(clean)
    assert clean.findings[0].remedy.commands == (f"psql {MASK}",)
    assert clean.check is check
    assert json.dumps(dict(clean.facts)) == json.dumps({"k": {"l": MASK}})
