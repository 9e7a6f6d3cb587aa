"""The HTML report in a real browser: nothing runs, nothing leaves, nothing overflows, nobody is shut out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Page

from pytest_mdm_health.core.model import Kind, Target
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.model import Report
from tests.browser import Media, Open, Opened, Scheme
from tests.reports.full_report import REPORT
from tests.reports.worst_report import hostile, many

Axe = Callable[[Page], list[str]]
MADE: Mapping[str, Callable[[], Report]] = {"full": lambda: REPORT, "hostile": hostile, "many": lambda: many(40, 1)}
WAYS: tuple[tuple[str, Scheme, Media], ...] = (
    ("phone", "light", "screen"),
    ("phone", "dark", "screen"),
    ("laptop", "light", "screen"),
    ("laptop", "dark", "screen"),
    ("paper", "light", "print"),
    ("paper", "dark", "print"),
)

FAST_WAYS = {WAYS[0], WAYS[3], WAYS[4]}  # every window and every scheme once
FAST_PAIRS = {*(("full", way) for way in FAST_WAYS), ("hostile", WAYS[0]), ("many", WAYS[3])}
EACH_PAGE_EACH_WAY = [
    pytest.param(name, way, id="-".join((name, *way)), marks=() if (name, way) in FAST_PAIRS else pytest.mark.slow)
    for name in MADE
    for way in WAYS
]


@cache
def page_of(name: str) -> str:
    return html.render(MADE[name]())


@pytest.fixture(params=MADE)
def page(request: pytest.FixtureRequest) -> str:
    return page_of(request.param)


def nothing_happened(opened: Opened) -> bool:
    """Nothing ran, and nothing was asked for beside the page itself."""
    untouched = opened.page.title().startswith("MDM health: ")
    return untouched and not opened.dialogs and not opened.complaints and len(opened.asked_for) == 1


@pytest.mark.parametrize(("page", "way"), EACH_PAGE_EACH_WAY, indirect=["page"])
def test_it_fits_its_window_loads_nothing_and_is_accessible(
    open_page: Open, axe: Axe, page: str, way: tuple[str, Scheme, Media]
) -> None:
    opened = open_page(page, *way)
    assert opened.overflow() == 0
    opened.unfold()
    assert opened.overflow() == 0
    assert axe(opened.page) == []
    assert nothing_happened(opened)


@pytest.mark.parametrize("width", [320, pytest.param(390, marks=pytest.mark.slow)])
def test_it_fits_other_phones(open_page: Open, page: str, width: int) -> None:
    opened = open_page(page, "phone", scripts=False)
    opened.page.set_viewport_size({"width": width, "height": 740})
    opened.unfold()
    assert opened.overflow() == 0


def test_without_scripts_it_says_the_same(open_page: Open, page: str) -> None:
    with_scripts, without = open_page(page), open_page(page, scripts=False)
    assert without.page.inner_text("body") == with_scripts.page.inner_text("body")
    assert nothing_happened(without)


def test_no_element_or_attribute_comes_from_a_name(open_page: Open) -> None:
    opened = open_page(page_of("hostile"))
    assert opened.page.locator("script, img, iframe, svg[onload], link, object, embed, form, base").count() == 0
    handlers = (
        "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => /^on|^style$/.test(a.name))"
    )
    assert opened.page.evaluate(f"{handlers}.length") == 0


def test_a_script_that_got_into_the_page_would_not_run(open_page: Open) -> None:
    planted = page_of("full").replace(
        "</main>", "<script>document.title = 'it ran'</script><img src='http://x.invalid/a'></main>"
    )
    opened = open_page(planted)
    assert opened.page.title() == "MDM health: unhealthy"
    assert any("Content Security Policy" in each for each in opened.complaints)


def test_names_cannot_turn_the_text_around_them(open_page: Open) -> None:
    result = REPORT.results[1]
    finding = replace(result.findings[0], message="שלום 12 is held")
    result = replace(result, target=Target(Kind.DATASET, "שלום"), findings=(finding,))
    page = open_page(html.render(replace(REPORT, results=(result,)))).page
    parts = page.locator("ol.first > li > p").first.locator("strong, :scope > bdi, a")
    lefts = [parts.nth(index).evaluate("each => each.getBoundingClientRect().left") for index in range(3)]
    assert lefts == sorted(lefts)


def test_printed_it_shows_findings_whole_and_what_passed_folded(open_page: Open) -> None:
    opened = open_page(page_of("full"), media="print")
    seen = "each => each.lastElementChild.checkVisibility()"
    assert opened.page.locator("details.whole").first.evaluate(seen)
    assert not opened.page.locator("section[aria-labelledby=results] details").first.evaluate(seen)
    on_screen = open_page(page_of("full"))
    assert not on_screen.page.locator("details.whole").first.evaluate(seen)
    assert opened.page.pdf().startswith(b"%PDF")


def test_the_keyboard_gets_from_the_top_to_what_to_do_first(open_page: Open) -> None:
    page = open_page(page_of("full")).page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to what to do first"
    assert page.locator(":focus").bounding_box()["x"] >= 0  # type: ignore[index] # it is there
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"


def test_the_keyboard_reaches_every_fold_and_scrolling_box(open_page: Open) -> None:
    page = open_page(page_of("full"), "phone").page
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if not focused.count():
            break
        if focused.evaluate("each => each.tagName === 'SUMMARY' && !each.parentElement.open"):
            page.keyboard.press("Enter")
        reached.add(focused.evaluate("each => each.getAttribute('aria-label') || each.innerText"))
    assert page.locator("details:not([open])").count() == 0
    labels = page.locator(".scroll").evaluate_all("all => all.map(each => each.getAttribute('aria-label'))")
    assert set(labels) <= reached


def test_one_click_selects_a_command_whole_and_only_it(open_page: Open) -> None:
    page = open_page(page_of("full")).page
    page.locator("ol.first .cmd code").first.click()
    assert page.evaluate("getSelection().toString()") == "ps -p 4711"


def test_a_link_to_the_causes_opens_the_folded_documentation(open_page: Open) -> None:
    page = open_page(page_of("full")).page
    page.locator("a", has_text="Usual causes").first.click()
    assert page.locator("#causes-sqlite-locking").is_visible()


@pytest.mark.slow
def test_ten_thousand_results_open(open_page: Open, capsys: pytest.CaptureFixture[str]) -> None:
    text = html.render(many(10_000, 1))
    started = time.perf_counter()
    opened = open_page(text)
    assert opened.page.locator("h1").is_visible()
    with capsys.disabled():
        print(f"{len(text) / 1e6:.2f} MB opened in {time.perf_counter() - started:.2f} s")  # noqa: T201 - stated


def test_a_real_home_gives_a_page_for_everybody(
    pytester: pytest.Pytester, open_page: Open, axe: Axe, each_home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    pytester.runpytest_inprocess("--mdm-health", f"--mdm-home={each_home}", f"--mdm-html={file}")
    opened = open_page(file.read_text(encoding="utf-8"), "phone")
    assert opened.page.locator("h1").inner_text().startswith(("Healthy: of", "Degraded: of"))
    opened.unfold()
    assert opened.overflow() == 0
    assert axe(opened.page) == []
    assert nothing_happened(opened)


def test_a_home_damaged_since_its_baseline_says_so_first(
    pytester: pytest.Pytester, open_page: Open, axe: Axe, home: Path, tmp_path: Path
) -> None:
    baseline, file = tmp_path / "before.json", tmp_path / "report.html"
    run = ("--mdm-health", f"--mdm-home={home}", "--mdm-select=metadata-corruption")
    pytester.runpytest_inprocess(*run, f"--mdm-save-baseline={baseline}")
    (home / "datasets" / "wine" / "wine.sqlite").unlink()
    pytester.runpytest_inprocess(*run, "--mdm-phase=post", f"--mdm-baseline={baseline}", f"--mdm-html={file}")
    opened = open_page(file.read_text(encoding="utf-8"), "phone", "dark")
    assert "May the migrated home go into service? No." in opened.page.locator("header").inner_text()
    changed = opened.page.locator("section[aria-labelledby=changes]").inner_text()
    assert "Newly broken or at risk" in changed
    assert "wine.sqlite does not exist" in changed
    assert "wine.sqlite does not exist" in opened.page.locator("ol.first > li").first.inner_text()
    opened.unfold()
    assert opened.overflow() == 0
    assert axe(opened.page) == []
