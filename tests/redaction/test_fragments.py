"""What a cut or a half mask leaves of a secret does not leave either."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mdm_health.redaction.known import Secret
from pytest_mdm_health.redaction.redactor import Redactor
from pytest_mdm_health.redaction.scan import Leaks
from pytest_mdm_health.reports import markdown
from pytest_mdm_health.reports.html import page as html_report
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.model import Report
from tests.helpers import Health
from tests.reports.full_report import REPORT

SECRET = "Tr0ub4dor&Zebra,Qx;99 tail)more"
PLAIN = "Qwertz-Geheimnis-Uvwxyz-Kennwort"


def logged(home: Path, health: Health, tmp_path: Path, password: str, *messages: str) -> str:
    """The JSON report on a home whose log has these messages."""
    (home / "mdm.yaml").write_text(
        json.dumps({"database": {"default_backend": "sqlite", "postgresql": {"password": password}}})
    )
    (home / "logs").mkdir(exist_ok=True)
    lines = (f"2026-11-22 10:00:00,000 - mdm.l{n} - ERROR - {text}\n" for n, text in enumerate(messages))
    (home / "logs" / "mdm.log").write_text("".join(lines))
    file = tmp_path / "out.json"
    health("--mdm-select=logged-errors", f"--mdm-json={file}")
    return file.read_text()


def test_a_known_secret_in_the_log_is_masked_to_its_end(home: Path, health: Health, tmp_path: Path) -> None:
    texts = [f"connect failed password={SECRET} for bob", f'"password": "{SECRET}" x', f"third {SECRET} x"]
    written = logged(home, health, tmp_path, SECRET, *texts)
    assert "connect failed password=*** for bob" in written
    for part in (SECRET[:10], "Zebra", "99 tail", ")more"):
        assert part not in written


@pytest.mark.parametrize("front", [1565, pytest.param(1575, marks=pytest.mark.slow)])
def test_a_secret_at_which_a_message_is_cut_shows_no_start(
    home: Path, health: Health, tmp_path: Path, front: int
) -> None:
    written = logged(home, health, tmp_path, PLAIN, f"'{'x' * front}' login with {PLAIN} y")
    assert "login with ***" in written
    assert "Qwertz" not in written


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"password=***{SECRET[9:]} for bob", "password=*** for bob"),
        (f'password="***"{SECRET[9:]}', 'password="***'),
        (f"password=***{PLAIN[5:20]}", "password=***"),
        (f"at {PLAIN[:8]}…", "at ***…"),
        (f"at '{PLAIN[:20]}'… more", "at '***'… more"),
        (f"at {PLAIN[:9]}", "at ***"),
        (f"in the {PLAIN[:20]} middle", "in the *** middle"),
        (f"in the {PLAIN[-20:]} middle", "in the *** middle"),
        (f"at {PLAIN[:7]}…", f"at {PLAIN[:7]}…"),
        (f"no {PLAIN[:9]} here", f"no {PLAIN[:9]} here"),
    ],
)
def test_a_fragment_is_masked_if_its_place_or_length_reveals_it(text: str, clean: str) -> None:
    assert Redactor([SECRET, PLAIN]).text(text) == clean


def test_a_fragment_that_is_told_anyway_stays() -> None:
    redactor = Redactor(["customer_orders_2024!"], is_public_part=lambda part: part in "customer_orders")
    assert redactor.text("customer_orders") == "customer_orders"
    assert redactor.leaks.in_content("customer_orders") is None


@pytest.mark.parametrize("part", [PLAIN[:20], PLAIN[-20:]])
def test_most_of_a_secret_counts_as_a_leak(part: str) -> None:
    assert Redactor([PLAIN]).leaks.in_content(f"in the {part} middle") is not None


LINES = 'ab cd"ef\nGH&ij;kl<mn>\U0001f600\u202eop%2Fqr'


@pytest.mark.parametrize("render", [html_report.render, json_report.render, markdown.render])
@pytest.mark.parametrize(
    "written",
    [LINES, LINES.replace("\n", "\\n"), LINES.replace("\n", "\\\\n"), repr(repr(LINES)), json.dumps(repr(LINES))],
)
def test_the_search_sees_through_the_escapes_of_every_format(render: Callable[[Report], str], written: str) -> None:
    finding = replace(REPORT.results[1].findings[0], message=f"url postgresql://u:{written}@h/d")
    result = replace(REPORT.results[1], findings=(finding,))
    assert Leaks({Secret(LINES, "x"): frozenset({LINES})}).in_content(
        render(replace(REPORT, results=(result,)))
    ) == Secret(LINES, "x")


@pytest.mark.parametrize("written", [LINES, pytest.param(LINES.replace("\n", "\\n"), marks=pytest.mark.slow)])
def test_a_multiline_secret_is_masked_in_the_log_line_by_line(
    home: Path, health: Health, tmp_path: Path, written: str
) -> None:
    text = logged(home, health, tmp_path, LINES, f"url postgresql://u:{written}@h/d there")
    assert "***" in text
    for part in ("ab cd", "GH&ij", "op%2Fqr"):
        assert part not in text


def test_the_frame_of_a_key_is_no_secret() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\n-----END PRIVATE KEY-----"
    assert Redactor([key]).text("-----BEGIN PRIVATE KEY----- and MIIEvQIBADAN") == "-----BEGIN PRIVATE KEY----- and ***"
