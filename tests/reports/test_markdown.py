"""The Markdown report says all that it should, and nothing from a home is more than text in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from pytest_mdm_health.core.changes import Change, Changed
from pytest_mdm_health.core.model import Check, Finding, Kind, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.reports import markdown
from pytest_mdm_health.reports.markdown_text import LONGEST, cell, code, fence, plain
from pytest_mdm_health.reports.model import Report
from tests.reports.full_report import COMPARISON, LOCKING, REPORT, RESULTS, SHOP

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
NOTHING = "\N{ZERO WIDTH SPACE}"
MARKUP = "a|b `c` ``d``\n# <script>x</script> \u202egnp [l](//x) **b** _i_ $m$ \\ &amp; ~~s~~"
HOSTILE = f"{MARKUP} @ann #7 !8 ~l GH-9 https://e.x/1"


def leaves(tokens: list[Token]) -> list[Token]:
    """Every token within."""
    return [each for token in tokens for each in (token, *leaves(token.children or []))]


def text_in(source: str) -> str:
    """What a reader sees of one paragraph that has to be text alone."""
    tokens = leaves(PARSER.parse(source))
    kinds = {token.type for token in tokens}
    assert kinds <= {"paragraph_open", "inline", "text", "text_special", "paragraph_close"}, kinds
    return "".join(token.content for token in tokens if token.type.startswith("text"))


@given(st.text(max_size=200) | st.text(st.sampled_from("_*~`<>[]()!#@&;|\\$ a0.-+:/\"'=\n"), max_size=40))
@example(HOSTILE)
@example("__0__ a_b a__b")
@example("*a* a_b_ _c_ ~~d~~ ![e](f) <g@h.i> &lt; \\* $1$ `")
def test_any_text_is_shown_as_it_is_and_is_no_markup(text: str) -> None:
    assert text_in(f"Next: {plain(text)}.").replace(NOTHING, "") == f"Next: {one_line(text)}."


@given(st.text(st.sampled_from("`| a\\\n\u202e"), min_size=1, max_size=20))
def test_any_name_is_code_and_one_cell_of_a_table(text: str) -> None:
    tokens = leaves(PARSER.parse(f"| a | b |\n|---|---|\n| {cell(code(text))} | x |"))
    (shown,) = (token.content for token in tokens if token.type == "code_inline")
    assert sum(token.type == "td_open" for token in tokens) == 2
    assert shown.strip() == one_line(text).strip()


@given(st.lists(st.text(st.sampled_from("`~$ a\n"), max_size=20), min_size=1, max_size=3))
@example(["```", "rm -rf /"])
@example(["a", "````"])
def test_no_command_leaves_its_fence(commands: list[str]) -> None:
    (token,) = PARSER.parse(fence(commands))
    assert token.type == "fence"
    assert token.content == "\n".join(map(one_line, commands)) + "\n"


@pytest.mark.parametrize(
    "reference",
    [
        "@ann",
        "#12",
        "o/r#12",
        "!7",
        "%milestone",
        "GH-5",
        "gh-5",
        "ann@example.org",
        "https://e.org/i/1",
        "www.e.org",
        "&4",
    ],
)
def test_nobody_is_called_and_nothing_is_linked(reference: str) -> None:
    assert reference not in text_in(f"see {plain(reference)}")


def test_long_texts_are_cut_and_say_so() -> None:
    assert plain("x" * (LONGEST + 5)).endswith(r"x \[…5 characters more\]")


def headings(report: Report) -> list[str]:
    return [line.lstrip("# ") for line in markdown.render(report).splitlines() if line.startswith("#")]


def test_it_has_everything_in_the_order_in_which_it_is_read() -> None:
    assert headings(REPORT) == [
        "❌ MDM health: unhealthy",
        "Since the baseline",
        "What to do first",
        "Datasets",
        "3 Storage backends",
        "Waived",
        "Not examined",
        "Environment",
        "What this run does not prove",
    ]


def test_what_is_not_there_has_no_heading() -> None:
    bare = replace(REPORT, results=RESULTS[:1], comparison=None, waivers=None, gaps=(), exit_code=0)
    assert headings(bare) == ["✅ MDM health: healthy", "Environment", "What this run does not prove"]


def test_findings_come_with_place_next_step_and_commands() -> None:
    text = markdown.render(REPORT)
    finding = "**FAIL** `sqlite-locking.held-open` on `shop`: PID 4711 holds the database  \n"
    place = "at `/srv/mdm/datasets/shop/shop.sqlite:3:7`  \n"
    assert f"{finding}{place}Next: Let it end, or end it.\n\n```sh\nps -p 4711\nkill 4711\n```" in text
    assert "**2 regressions**" in text
    assert "| `shop` | ❌ no-go | 1 fail, 1 blocked |" in text
    assert "expired waiver (ignored): line 4: a.b on shop" in text
    assert "skip: `system-check` on `odd:1`: none here" in text


def test_what_waits_for_one_cause_is_one_line() -> None:
    waiting = [replace(RESULTS[4], check=check) for check in (RESULTS[4].check, LOCKING)]
    lost = [Changed(Change.LOST, "check", each.check.id, "shop", "", each.reason) for each in waiting]
    text = markdown.render(replace(REPORT, results=tuple(waiting), comparison=replace(COMPARISON, changes=tuple(lost))))
    names = "`feature-generation-failure[shop]`, `sqlite-locking[shop]`"
    assert f"- blocked: {names}: sqlite-locking failed\n" in text
    assert "- `feature-generation-failure`, `sqlite-locking` on `shop`: sqlite-locking failed\n" in text


def many(count: int, name: str = "d{}") -> Report:
    """A report with as many failing datasets."""
    check = Check(id="sqlite-locking", issue="3.2", title="t", per=Kind.DATASET)
    finding = Finding("sqlite-locking.x", Severity.FAIL, name, Remedy(name, (name,)))
    targets = (Target(Kind.DATASET, name.format(number)) for number in range(count))
    results = (Result(check=check, target=each, status=Status.FAIL, findings=(finding,)) for each in targets)
    return replace(REPORT, results=tuple(results), comparison=None)


def test_ten_thousand_findings_stay_readable() -> None:
    text = markdown.render(many(10_000))
    assert len(text) < 20_000
    assert "And `sqlite-locking.x` 9995 more times, on `d5`, `d6`" in text
    assert "and 9990 more | ❌ no-go | 1 fail |" in text


def test_a_hostile_home_adds_no_markup() -> None:
    failed = replace(RESULTS[1], findings=RESULTS[1].findings[:1])
    hostile = replace(many(12, HOSTILE + "{}"), home=HOSTILE, gaps=(HOSTILE,), environment={HOSTILE: HOSTILE})
    tame = replace(many(12, "d{}"), home="h", gaps=("g",), environment={"e": "f"})
    report = replace(hostile, results=(replace(failed, target=replace(SHOP, name=HOSTILE)), *hostile.results))
    tame = replace(tame, results=(failed, *tame.results))

    def shape(each: Report) -> list[str]:
        return [t.type for t in leaves(PARSER.parse(markdown.render(each))) if not t.type.startswith("text")]

    assert shape(report) == shape(tame)
    assert "\u202e" not in markdown.render(report)
