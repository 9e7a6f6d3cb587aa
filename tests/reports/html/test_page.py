"""The HTML report says what it has to, the same again from JSON, safely, and in a size that opens."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pytest_mdm_health.core.changes import ComparedTable
from pytest_mdm_health.core.model import Status
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.html.text import brief, clipped, is_copyable, names, prose
from pytest_mdm_health.reports.json import load as json_load
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.model import Report
from tests.reports.full_report import COMPARISON, REPORT
from tests.reports.worst_report import hostile, many

MADE: dict[str, Callable[[], Report]] = {
    "full": lambda: REPORT,
    "hostile": hostile,
    "nothing": lambda: replace(REPORT, results=(), exit_code=5, comparison=None, waivers=None, mdm=None, gaps=()),
    "passes": lambda: many(50),
}


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest) -> Report:
    return MADE[request.param]()


def text_of(page: str) -> str:
    """The page without its markup, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]).split())


def test_a_report_read_back_from_its_json_gives_the_same_page(made: Report) -> None:
    assert html.render(json_load.load(json.loads(json_report.render(made)))) == html.render(made)


def test_no_character_of_the_page_is_invisible(made: Report) -> None:
    invisible = {char for char in html.render(made) if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co"}}
    assert invisible <= {"\n", "\t"}


def test_every_link_leads_to_a_place_in_the_page(made: Report) -> None:
    page = html.render(made)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in re.findall(r'href="([^"]+)"', page)} <= set(ids)


def test_the_policy_allows_our_style_and_nothing_else() -> None:
    page = html.render(REPORT)
    assert re.search(
        r"content=\"default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'none'\"", page
    )
    assert "<script" not in page


def test_from_the_top_it_is_in_the_order_in_which_people_ask() -> None:
    headings = re.findall(r'<h2 id="([a-z]+)"', html.render(REPORT))
    asked = ["changes", "first", "overview", "findings", "waived", "notes", "results", "coverage", "waivers", "run"]
    assert headings == asked


@pytest.mark.parametrize(
    ("phase", "status", "exit_code", "answer"),
    [
        ("pre", Status.FAIL, 1, "May the migration begin? No."),
        ("post", Status.PASS, 0, "May the migrated home go into service? With care."),
        ("post", Status.WARN, 0, "May the migrated home go into service? With care."),
        ("post", Status.WARN, 1, "May the migrated home go into service? No."),
        ("any", Status.ERROR, 11, "May a migration go on from here? Not known."),
        ("any", Status.PASS, 2, "May a migration go on from here? Not known."),
        ("any", Status.FAIL, 0, "May a migration go on from here? No."),
        ("any", Status.PASS, 0, "May a migration go on from here? Not asked."),
    ],
)
def test_the_answer_fits_the_phase_and_the_exit_code(phase: str, status: Status, exit_code: int, answer: str) -> None:
    result = replace(REPORT.results[1], status=status, findings=())
    report = replace(REPORT, results=(result,), phase=phase, exit_code=exit_code, comparison=None, gaps=())
    assert answer in text_of(html.render(report)).replace(" .", ".")


def test_what_could_not_be_had_this_time_is_no_plain_yes() -> None:
    assert REPORT.comparison is not None
    comparison = replace(REPORT.comparison, regressions=0, lost=1)
    passed = replace(REPORT.results[1], status=Status.PASS, findings=())
    report = replace(REPORT, results=(passed,), exit_code=0, comparison=comparison, gaps=())
    assert "With care. Nothing is broken. 1 result that the baseline has" in text_of(html.render(report))


def test_without_a_baseline_it_says_what_is_unknown_afterwards() -> None:
    passed = replace(REPORT.results[1], status=Status.PASS, findings=())
    report = replace(REPORT, results=(passed,), exit_code=0, comparison=None, gaps=())
    assert "Whether the migration altered data is unknown" in text_of(html.render(report))


def test_it_says_what_the_run_does_not_prove() -> None:
    text = text_of(html.render(replace(REPORT, comparison=None, mdm=None, depth="quick")))
    for sentence in (
        "Part of the home could not be listed",
        "Only the structure was looked at (--mdm-depth=quick)",
        "Nothing was compared with an earlier run",
        "No installed MDM was asked (--mdm-python",
        "had nothing to look at or was not selected: backup-failure,",
    ):
        assert sentence in text


def test_rows_before_and_after_stand_in_the_page_as_numbers() -> None:
    tables = (
        ComparedTable("shop", "train", 2000, 1600, "differs", reader="adbc"),
        ComparedTable("shop", "test", 500, 500, "equal", "digest"),
        ComparedTable("shop", "most", 9, 9, "equal", "sample"),
        ComparedTable("shop", "old", 7, None, "lost"),
    )
    text = text_of(html.render(replace(REPORT, comparison=replace(COMPARISON, tables=tables))))
    for told in ("train 2,000 1,600 -400", "ADBC driver", "old 7 gone -7", "not read"):
        assert told in text
    assert "1 data table with the same rows and values; every row was compared" in text
    assert "1 data table with the same rows in a sample; --mdm-depth=full compares all" in text


def test_changed_tables_are_open_however_many_groups_there_are() -> None:
    verdicts = (("a", "differs", "rows"), ("b", "equal", "digest"))
    tables = tuple(ComparedTable("shop", table, 9, 8, verdict, by) for table, verdict, by in verdicts)
    page = html.render(replace(REPORT, comparison=replace(COMPARISON, tables=tables)))
    assert "<details open><summary>1 data table not as before</summary>" in page
    assert "<details><summary>1 data table with the same rows" in page


def test_what_changed_says_of_what_its_numbers_are() -> None:
    text = text_of(html.render(REPORT))
    assert "2 results became worse or newly bad" in text
    assert "One result may have several of the changes" in text
    assert "Worse than before (1 change)" in text


def test_datasets_with_equal_rows_share_one_and_worst_is_first() -> None:
    report = many(5000)
    broken = replace(report.results[7], status=Status.FAIL)
    text = text_of(html.render(replace(report, results=(*report.results[:7], broken, *report.results[8:]))))
    assert "1 dataset: no-go, 999 datasets: go" in text
    assert text.index("no-go dataset_00001") < text.index("999 datasets dataset_00000 , dataset_00002")


def test_passes_of_every_dataset_are_one_line_for_each_check() -> None:
    page = html.render(many(5000))
    assert text_of(page).count("all 1,000 datasets") == 5


@pytest.mark.parametrize(
    "what",
    [
        pytest.param((), id="passes"),
        pytest.param((1,), id="fails"),
        pytest.param((3, "a long sentence of what is wrong here " * 30), id="long", marks=pytest.mark.slow),
        pytest.param((20,), id="many", marks=pytest.mark.slow),
    ],
)
def test_ten_thousand_results_stay_below_five_megabytes(
    what: tuple[Any, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    report = many(10_000, *what)
    started = time.perf_counter()
    page = html.render(report)
    with capsys.disabled():
        took = time.perf_counter() - started
        print(f"{len(report.results)} results, {len(page) / 1e6:.2f} MB, made in {took:.2f} s")  # noqa: T201 - stated
    assert len(page.encode()) < 5_000_000


def test_a_finding_that_is_not_shown_is_counted() -> None:
    text = text_of(html.render(many(10_000, 1)))
    told = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) further ones of this kind", text))
    in_full, in_lines = (
        sum(int(number) for number in re.findall(rf"(\d+) more, in {how}", text)) for how in ("full", "a line each")
    )
    assert told + in_full + in_lines + 5 * 3 == 10_000


def test_a_command_with_invisible_characters_cannot_be_copied() -> None:
    assert not is_copyable("rm 'a\u202eb'")
    assert not is_copyable("x" * 10_000)
    assert is_copyable("cat <<'E'\n\tא\nE")
    assert "Do not copy this one from here" in html.render(hostile())
    assert "Do not copy this one from here" not in html.render(REPORT)


def test_long_texts_keep_their_beginning_and_their_end() -> None:
    text = "begin" + "x" * 10_000 + "end"
    assert clipped(text, 100).startswith("beginxx")
    assert clipped(text, 100).endswith("xxend")
    assert "[…9,908 characters…]" in clipped(text, 100)
    assert clipped("short", 100) == "short"


def test_a_line_is_cut_where_a_part_of_the_sentence_ends() -> None:
    assert brief("the first part is this one; the second is not", 40) == "the first part is this one …"
    assert brief("x" * 50, 40) == "x" * 40 + " …"
    assert brief("short", 40) == "short"


def test_names_beyond_what_a_person_searches_are_counted() -> None:
    assert names([str(number) for number in range(1000)], 2) == "<bdi>0</bdi>, <bdi>1</bdi> and 998 more"


def test_documentation_becomes_paragraphs_lists_and_code() -> None:
    text = "One\nparagraph with `<code>`.\n\n* an item\n  of two lines\n* another\n\nThe end."
    assert prose(text) == (
        "<p>One paragraph with <code>&lt;code&gt;</code>.</p>"
        "<ul><li>an item of two lines</li><li>another</li></ul><p>The end.</p>"
    )
