"""Secrets are gone before anything is shown."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.core.secrets import HIDDEN as MASK
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction.encodings import is_word
from pytest_mdm_health.redaction.redactor import Redactor, redactor_for

SECRETS = st.text(min_size=4).filter(lambda text: text.strip("* ") and not is_word(text))


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
    assert clean.findings[0].remedy.commands == ()
    assert "left out" in clean.findings[0].remedy.text
    assert clean.check is check
    assert json.dumps(dict(clean.facts)) == json.dumps({"k": {"l": MASK}})


def test_what_a_result_is_about_stays_whatever_the_password_is() -> None:
    check = Check(id="postgres-slowdown", issue="3.3", title="postgres", per=Kind.SERVER)
    finding = Finding("postgres-slowdown.unreachable", Severity.FAIL, "postgres is the word", Remedy("no postgres"))
    target, by = Target(Kind.SERVER, "postgres:5432"), "mdm-health::postgres-slowdown[x]"
    result = Result(check=check, target=target, status=Status.FAIL, findings=(finding,), blocked_by=by)
    clean = Redactor(["postgres"]).everywhere(result)
    assert (clean.check, clean.target, clean.blocked_by) == (check, target, by)
    assert clean.findings[0].code == finding.code
    assert clean.findings[0].message == f"{MASK} is the word"


def test_a_short_secret_is_masked_as_a_word_only() -> None:
    assert Redactor(["ml"]).text("ml: yaml, html, 'ml'") == f"{MASK}: yaml, html, '{MASK}'"


def test_passwords_of_both_copies_and_connections_are_known(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "datasets"
    folder.mkdir(parents=True)
    (tmp_path / "datasets" / "shop").mkdir(parents=True)
    address = "postgresql://ml:p@ss/w:rd-1@db/mdm_shop"
    data: dict[str, object] = {"name": "shop", "tables": {"t": "t"}}
    database = {"backend": "postgresql", "connection_string": address}
    (folder / "shop.yaml").write_text(yaml.safe_dump({**data, "database": database}))
    twin = {"backend": "postgresql", "host": "db", "user": "ml", "password": "other-1", "database": "mdm_shop"}
    (tmp_path / "datasets" / "shop" / "dataset_info.json").write_text(json.dumps({**data, "database": twin}))
    redactor = redactor_for(take_inventory(tmp_path, {}), {})
    assert redactor.text("p@ss/w:rd-1 and other-1 of ml") == f"{MASK} and {MASK} of ml"


def test_a_name_that_is_a_password_too_is_told_as_a_name(tmp_path: Path) -> None:
    login = {"user": "postgres", "password": "postgres"}
    (tmp_path / "mdm.yaml").write_text(yaml.safe_dump({"database": {"postgresql": login}}))
    assert redactor_for(take_inventory(tmp_path, {}), {}).text("psql -U postgres") == "psql -U postgres"


def test_names_that_only_sound_like_secrets_are_told(home: Path) -> None:
    file = home / "config" / "datasets" / "shop.yaml"
    data = yaml.safe_load(file.read_text())
    metadata = {"max_tokens": 512, "has_secret": True}
    file.write_text(yaml.safe_dump({**data, "tables": {"tokens": "shop_tokens"}, "metadata": metadata}))
    text = "shop_tokens has 512 rows: True"
    assert redactor_for(take_inventory(home, {}), {}).text(text) == text
