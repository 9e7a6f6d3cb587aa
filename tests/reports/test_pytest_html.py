"""pytest-html's page shows what the checks say, and nothing in it runs."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Open
from tests.helpers import ALONE_OR_ON_WORKERS, Health

HOSTILE = ("<img src=x onerror=alert(1)>", "back\\slash", "\u202egnp", "it's\"quoted", "new\nline")


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'data-jsonblob="(.*?)"', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(html.unescape(found[1]))
    return data


def row_of(page: Path, name: str) -> dict[str, Any]:
    (row,) = data_of(page)["tests"][f"mdm-health::{name}"]
    return dict(row)


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_each_row_has_status_issue_and_next_step(
    home: Path, health: Health, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    (home / "mdm.yaml").write_text("database:\n  bogus: 1\n")
    page = tmp_path / "page.html"
    health(f"--html={page}", "--self-contained-html", *workers)
    failed, warned = row_of(page, "metadata-corruption[shop]"), row_of(page, "config-not-loading[home]")
    assert (failed["result"], failed["status"], failed["issue"]) == ("Failed", "fail", "7.2")
    assert (warned["result"], warned["status"], warned["issue"]) == ("Passed", "warn", "2.1")
    (step,) = [cell for cell in failed["resultsTableRow"] if "col-next" in cell]
    assert "Keep a copy of the file" in step
    assert "<details><summary>evidence of <bdi " in warned["log"]
    assert "repair that first" in row_of(page, "sqlite-locking[shop]")["log"]


def test_the_verdict_comes_first(health: Health, tmp_path: Path) -> None:
    health(f"--html={tmp_path / 'page.html'}")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    prefix = text.partition('class="additional-summary prefix"')[2]
    assert prefix.lstrip("> \n").startswith("<h2>MDM health: degraded</h2>")
    assert (tmp_path / "assets" / "style.css").is_file()


@pytest.mark.slow
def test_a_check_whose_worker_died_is_shown(pytester: pytest.Pytester, health: Health, tmp_path: Path) -> None:
    pytester.makepyfile(
        dies="import os\ndef pytest_runtest_call(item):\n    if item.name == 'sqlite-locking[shop]': os._exit(9)"
    )
    page = tmp_path / "page.html"
    health("-p", "dies", "-n", "2", f"--html={page}", "--self-contained-html")
    row = row_of(page, "sqlite-locking[shop]")
    assert row["result"] == "Failed"
    assert "crashed" in row["log"]


def test_the_users_own_rows_keep_what_they_have(pytester: pytest.Pytester, health: Health, tmp_path: Path) -> None:
    own = pytester.makepyfile(
        "def test_own(extras):\n    from pytest_html.extras import url\n    extras.append(url('x'))"
    )
    page = tmp_path / "page.html"
    assert health(own, f"--html={page}", "--self-contained-html").ret == 0
    (name,) = [each for each in data_of(page)["tests"] if each.endswith("::test_own")]
    (row,) = data_of(page)["tests"][name]
    assert (row["result"], row["status"], row["issue"]) == ("Passed", "", "")
    assert [re.findall(r"col-(\w+)", cell)[0] for cell in row["resultsTableRow"]] == [
        *("result", "status", "issue", "testId", "duration", "next", "links")
    ]


def test_without_html_nothing_is_registered(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makeconftest(
        "def pytest_sessionfinish(session):\n"
        "    print('REGISTERED', session.config.pluginmanager.has_plugin('mdm-health-html'))"
    )
    health("-s").stdout.fnmatch_lines(["*REGISTERED False*"])
    assert health("-p", "no:html").ret == 0


def test_hostile_names_run_nothing(
    pytester: pytest.Pytester, home: Path, health: Health, tmp_path: Path, open_page: Open
) -> None:
    original = (home / "config" / "datasets" / "wine.yaml").read_bytes()
    for name in HOSTILE:
        Path(os.path.join(home, "config", "datasets", f"{name}.yaml")).write_bytes(original)  # noqa: PTH118 - any name
    own = pytester.makepyfile(
        "from pytest_html.extras import url\ndef test_own(mdm_dataset, extras): extras.append(url('about:blank'))"
    )
    page = tmp_path / "page.html"
    health(own, f"--html={page}", "--self-contained-html").stdout.no_fnmatch_line("*INTERNALERROR*")
    opened = open_page(page.read_text(encoding="utf-8"))
    opened.page.evaluate("document.getElementById('show_all_details').click()")
    opened.unfold()
    assert opened.dialogs == []
    assert opened.page.locator("#results-table img[onerror]").count() == 0
    shown = opened.page.locator("#results-table").inner_text()
    assert "<img src=x onerror=alert(1)>" in shown.replace("\\x2f", "/")
    assert "\u202e" not in shown
    assert opened.page.locator("#results-table td.col-status").count() > 30


@pytest.mark.slow
def test_long_names_are_not_wider_than_the_page(home: Path, health: Health, tmp_path: Path, open_page: Open) -> None:
    (home / "config" / "datasets" / f"{'w' * 200}.yaml").write_text("name: [unclosed\n")
    page = tmp_path / "page.html"
    health("--mdm-select=metadata-corruption", f"--html={page}", "--self-contained-html")
    opened = open_page(page.read_text(encoding="utf-8"))
    assert "w" * 200 in opened.page.locator(".additional-summary.prefix").inner_text()
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
