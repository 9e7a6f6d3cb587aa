"""What is accepted for a time: the file, what it does to results, and its draft."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from pytest_mdm_health.baseline.user_yaml import schema_of
from pytest_mdm_health.baseline.waivers import (
    PLACEHOLDER,
    SCHEMA,
    WaiverOutcome,
    Waivers,
    WaiversFile,
    apply,
    known_codes,
    read_waivers,
)
from pytest_mdm_health.baseline.waivers_draft import DAYS, MOST_BYTES, MOST_SUBJECTS, draft
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.model import (
    HOME,
    Check,
    Finding,
    Kind,
    Phase,
    Remedy,
    Result,
    Severity,
    Status,
    Target,
    status_of,
)
from pytest_mdm_health.engine.registry import load
from tests.conftest import Examine
from tests.helpers import MakeHome

TODAY = date(2026, 11, 22)
KNOWN = known_codes(load())
DOCS = Path(__file__).parent.parent.parent / "docs" / "waivers-and-expectations.md"
VALIDATOR = Draft202012Validator(schema_of(WaiversFile), format_checker=FormatChecker())
SHOP, NOTES = Target(Kind.DATASET, "shop"), Target(Kind.DATASET, "notes")
LOCKING = load()["sqlite-locking"].check
HELD, LOCKED = "sqlite-locking.held-open", "sqlite-locking.locked-now"

Read = Callable[[str], Waivers]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a file with these entries below the line with its schema."""

    def make(entries: str) -> Waivers:
        path = tmp_path / "mdm-waivers.yaml"
        path.write_text(f"schema: {SCHEMA}\nwaivers:\n{entries}\n", encoding="utf-8")
        return read_waivers(path, KNOWN)

    return make


def entry(**changed: str | None) -> str:
    """An entry of the file; None leaves a key out."""
    keys = {
        "code": HELD,
        "target": "shop",
        "reason": "the importer",
        "owner": "Ann",
        "expires": "2026-12-31",
        **changed,
    }
    return "- {" + ", ".join(f"{key}: {value}" for key, value in keys.items() if value is not None) + "}"


def finding(code: str = HELD, severity: Severity = Severity.WARN, subject: str = "", message: str = "No.") -> Finding:
    return Finding(code, severity, message, Remedy("Repair it."), subject=subject)


def result(*findings: Finding, target: Target = SHOP, status: Status | None = None, check: Check = LOCKING) -> Result:
    return Result(check=check, target=target, status=status or status_of(findings), examined=1, findings=findings)


def waive(waivers: Waivers, *results: Result, phase: Phase = Phase.ANY, today: date = TODAY) -> WaiverOutcome:
    return apply(results, waivers, phase, today)


def test_a_waived_result_shows_reason_owner_and_expiry(read: Read) -> None:
    (after,) = waive(read(entry()), result(finding())).results
    assert after.status is Status.WAIVED
    assert after.waiver == "the importer (Ann, until 2026-12-31)"
    assert after.findings == (replace(finding(), waiver=after.waiver),)


def test_a_code_of_an_earlier_version_means_what_became_of_it(read: Read) -> None:
    waivers = read(entry(code="backup-failure.bomb", target="home"))
    check = load()["backup-failure"].check
    (after,) = waive(
        waivers, result(finding("backup-failure.damaged-archive", Severity.FAIL), target=HOME, check=check)
    ).results
    assert after.status is Status.WAIVED


def test_a_code_that_was_retired_is_valid_and_accepts_nothing(read: Read) -> None:
    outcome = waive(read(entry(code="backup-failure.wrong-format", target="home")), result(finding()))
    assert outcome.results == (result(finding()),)
    assert outcome.unused == ()


def test_a_pattern_means_what_its_codes_are_now(read: Read) -> None:
    (waiver,) = read(entry(code="backup-failure.*-escape", target="home")).entries
    assert waiver.codes == {"backup-failure.damaged-archive"}


def test_a_partly_waived_result_shows_what_is_left_first(read: Read) -> None:
    bad, tolerable = finding(LOCKED, Severity.FAIL), finding()
    (after,) = waive(read(entry(code=LOCKED)), result(bad, tolerable)).results
    assert after.status is Status.WARN
    assert after.waiver is None
    assert after.findings == (tolerable, replace(bad, waiver="the importer (Ann, until 2026-12-31)"))


ALTERED = "data-corruption.altered-rows"


@pytest.mark.parametrize(
    ("code", "evidence", "accepted"),
    [
        (ALTERED, {"cells": {"ts": 900}}, True),
        (ALTERED, {"altered_columns": ["ts", "until"]}, True),
        (ALTERED, {"cells": {"ts": 900}, "rows": {"complete": True}}, True),
        (ALTERED, {"cells": {"ts": 900, "name": 1}}, False),
        (ALTERED, {"altered_columns": ["name"]}, False),
        (ALTERED, {"cells": {"ts": 900}, "rows": {"complete": False}}, False),
        (ALTERED, {"altered_columns": []}, False),
        (ALTERED, {}, False),
        ("data-corruption.missing-rows", {"cells": {"ts": 900}}, False),
        ("data-corruption.added-rows", {"cells": {"ts": 900}}, False),
        ("data-corruption.duplicated-rows", {"cells": {"ts": 900}}, False),
    ],
)
def test_a_waiver_for_columns_accepts_nothing_outside_of_them(
    read: Read, code: str, evidence: dict[str, Any], accepted: bool
) -> None:
    about = replace(finding(code, Severity.FAIL, "table train"), evidence=evidence)
    waivers = read(entry(code="data-corruption.*", columns="[ts, until]"))
    (after,) = waive(waivers, result(about, check=load()["data-corruption"].check)).results
    assert after.status is (Status.WAIVED if accepted else Status.FAIL)


MISSING = "data-corruption.missing-rows"
COUNTS: dict[str, Any] = {"missing": 2, "added": 0, "duplicated": 0, "altered": 3, "of": None, "complete": True}


@pytest.mark.parametrize(
    ("code", "bounds", "evidence", "accepted"),
    [
        (MISSING, {"rows": "2"}, {"rows": COUNTS}, True),
        (MISSING, {"rows": "1"}, {"rows": COUNTS}, False),
        (MISSING, {"rows": "2"}, {"rows_before": 40, "rows_after": 38}, True),
        (MISSING, {"rows": "2"}, {"rows_before": 40, "rows_after": 37}, False),
        (MISSING, {"rows": "2"}, {"rows": {**COUNTS, "of": 1968}}, False),
        (MISSING, {"rows": "2"}, {"rows": {**COUNTS, "complete": False}}, False),
        (MISSING, {"rows": "2"}, {}, False),
        (MISSING, {"rows": "2", "columns": "[ts]"}, {"rows": COUNTS, "cells": {"ts": 3}}, True),
        ("data-corruption.added-rows", {"rows": "1"}, {"rows": {**COUNTS, "added": 1}}, True),
        ("data-corruption.duplicated-rows", {"rows": "1"}, {"rows": {**COUNTS, "duplicated": 2}}, False),
        (ALTERED, {"columns": "[ts]", "rows": "3"}, {"rows": COUNTS, "cells": {"ts": 3}}, True),
        (ALTERED, {"columns": "[ts]", "rows": "2"}, {"rows": COUNTS, "cells": {"ts": 3}}, False),
        (ALTERED, {"rows": "3"}, {"rows": COUNTS, "cells": {"ts": 3}}, False),
        ("data-corruption.row-count", {"rows": "5"}, {"rows": 95, "recorded": 100}, True),
        ("data-corruption.row-count", {"rows": "4"}, {"rows": 95, "recorded": 100}, False),
        ("data-corruption.row-count", {}, {"rows": 95, "recorded": 100}, False),
        ("data-corruption.damaged", {}, {}, True),
        ("data-corruption.damaged", {"rows": "5"}, {}, False),
    ],
)
def test_lost_and_altered_rows_are_accepted_as_far_as_it_says(
    read: Read, code: str, bounds: dict[str, str], evidence: dict[str, Any], accepted: bool
) -> None:
    about = replace(finding(code, Severity.FAIL, "table train"), evidence=evidence)
    before = result(about, check=load()["data-corruption"].check)
    waivers = read(entry(code="data-corruption.*", **bounds))
    outcome = waive(waivers, before)
    assert outcome.results[0].status is (Status.WAIVED if accepted else Status.FAIL)
    assert bool(outcome.use(waivers).unused) is not accepted


def test_more_rows_than_mdm_counted_need_no_bound(read: Read) -> None:
    about = finding("data-corruption.row-count", Severity.WARN, "table train")
    more = replace(about, evidence={"rows": 9, "recorded": 5})
    waivers = read(entry(code="data-corruption.row-count"))
    assert waive(waivers, result(more, check=load()["data-corruption"].check)).results[0].status is Status.WAIVED


@pytest.mark.parametrize(
    ("bounds", "code", "why"),
    [
        ({}, MISSING, "which needs `rows`"),
        ({}, ALTERED, "which needs `columns`"),
        ({"rows": "1"}, MISSING, "which is not within what is accepted"),
        ({"columns": "[name]"}, ALTERED, "which is not within what is accepted"),
    ],
)
def test_an_entry_that_does_not_reach_a_finding_says_why(
    read: Read, bounds: dict[str, str], code: str, why: str
) -> None:
    evidence: dict[str, Any] = {"rows": COUNTS, "cells": {"ts": 3}}
    about = replace(finding(code, Severity.FAIL, "table train"), evidence=evidence)
    waivers = read(entry(code="data-corruption.*", **bounds))
    use = waive(waivers, result(about, check=load()["data-corruption"].check)).use(waivers)
    assert use.unused == (f"line 3: data-corruption.* on shop, for {code}, {why}",)


def test_notes_need_no_waiver_and_keep_none_from_counting(read: Read) -> None:
    note = finding(LOCKED, Severity.NOTE)
    outcome = waive(read(entry(code='"sqlite-*"')), result(finding(), note))
    assert outcome.results[0].status is Status.WAIVED
    assert [bool(each.waiver) for each in outcome.results[0].findings] == [True, False]


@pytest.mark.parametrize("status", [Status.ERROR, Status.SKIP, Status.BLOCKED])
def test_what_was_not_examined_is_never_waived(read: Read, status: Status) -> None:
    before = result(finding(), status=status)
    assert waive(read(entry()), before).results == (before,)


@pytest.mark.parametrize(
    ("changed", "covered"),
    [
        ({"target": '"*"'}, True),
        ({"target": "sh*"}, True),
        ({"target": "SHOP"}, False),
        ({"target": "notes"}, False),
        ({"code": '"*.held-open"'}, True),
        ({"code": LOCKED}, False),
        ({"subject": "orders"}, True),
        ({"subject": '"ord*"'}, True),
        ({"subject": "items"}, False),
        ({"phase": "post"}, True),
        ({"phase": "pre"}, False),
        ({"expires": "2026-11-22"}, True),
        ({"expires": "2026-11-21"}, False),
    ],
)
def test_a_waiver_covers_what_it_names_where_and_while_it_says(
    read: Read, changed: dict[str, str], covered: bool
) -> None:
    outcome = waive(read(entry(**changed)), result(finding(subject="orders")), phase=Phase.POST)
    assert (outcome.results[0].status is Status.WAIVED) is covered


def test_a_waiver_for_one_phase_is_ignored_without_a_phase(read: Read) -> None:
    outcome = waive(read(entry(phase="pre")), result(finding()), phase=Phase.ANY)
    assert outcome.results[0].status is Status.WARN
    assert outcome.unused == ()


def test_of_two_waivers_the_first_speaks_and_both_are_used(read: Read) -> None:
    outcome = waive(read(f"{entry()}\n{entry(target='sh*', reason='another')}"), result(finding()))
    assert outcome.results[0].waiver == "the importer (Ann, until 2026-12-31)"
    assert outcome.unused == ()


def test_an_expired_waiver_does_not_count_and_is_told(read: Read) -> None:
    outcome = waive(read(entry(expires="2026-01-01")), result(finding()))
    assert outcome.results[0].status is Status.WARN
    assert [each.name for each in outcome.expired] == [f"line 3: {HELD} on shop"]
    assert outcome.unused == ()


def test_a_report_lists_unused_entries_with_their_lines(read: Read) -> None:
    waivers = read(f"{entry(expires='2026-01-01')}\n{entry(target='sh*', subject='orders')}")
    use = waive(waivers, result()).use(waivers)
    assert use.file == str(waivers.file)
    assert use.expired == (f"line 3: {HELD} on shop, on 2026-01-01",)
    assert use.unused == (f"line 4: {HELD} on sh*, orders",)


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([result()], True),
        ([result(finding(LOCKED))], True),
        ([result(), result(target=NOTES, status=Status.ERROR)], True),
        ([result(status=Status.ERROR)], False),
        ([result(status=Status.BLOCKED)], False),
        ([result(status=Status.SKIP)], False),
        ([result(target=NOTES)], False),
        ([result(target=SHOP, check=load()["data-corruption"].check)], False),
        ([], False),
    ],
)
def test_an_unused_waiver_is_reported_only_if_its_part_was_seen(read: Read, results: list[Result], told: bool) -> None:
    assert bool(waive(read(entry()), *results).unused) is told


def test_a_pattern_is_unused_only_if_all_it_covers_was_examined(read: Read) -> None:
    everywhere = read(entry(target='"*"'))
    assert waive(everywhere, result(), result(target=NOTES)).unused
    assert not waive(everywhere, result(), result(target=NOTES, status=Status.ERROR)).unused


def test_a_real_finding_of_a_real_home_is_accepted(make_home: MakeHome, examine: Examine, read: Read) -> None:
    before = examine("metadata-corruption", make_home("mdm-0.1.0-sqlite"), "shop")
    assert before.status is Status.WARN
    outcome = waive(read(entry(code="metadata-corruption.field-type")), before)
    assert outcome.results[0].status is Status.WAIVED
    assert outcome.unused == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (entry(owner=None), "`owner` is missing: who answers for that"),
        (entry(owner=None, ower="Ann"), "`ower` is not known here; the nearest is `owner`"),
        (entry(reason="' '"), "`reason` is empty"),
        (entry(reason=""), "`reason` is nothing, where text belongs"),
        (entry(reason="5"), "`reason` is a number, where text belongs; put it in quotes"),
        (entry(reason=PLACEHOLDER), "`reason` still says <fill in>; write it, or take the entry out"),
        (entry(owner=f"{PLACEHOLDER} soon"), "`owner` still says <fill in>"),
        (entry(expires=None), "`expires` is missing"),
        (entry(expires="soon"), "`expires` is text, where a date such as 2027-01-31 belongs"),
        (entry(expires="'2026-02-30'"), "`expires` is text, where a date such as"),
        (entry(expires="2026-02-30"), "looks like a YAML timestamp and is none"),
        (entry(expires="2026-02-03T10:00:00"), "`expires` is a date with a time, where a date such as"),
        (entry(expires="1790000000"), "`expires` is a number, where a date such as"),
        (entry(phase="bevor"), "`phase` is text, where one of pre, post, any belongs"),
        (entry(code="sqlite-locking.hold-open"), "no finding of any check; the nearest is `sqlite-locking.held-open`"),
        (entry(code="sqlite-locking"), "no finding of any check; the nearest is `sqlite-locking.*`"),
        (entry(code=MISSING), f"`{MISSING}` needs `rows`, so that what is lost or altered later is not accepted"),
        (entry(code=MISSING, columns="[ts]"), f"`{MISSING}` needs `rows`"),
        (entry(code=ALTERED), f"`{ALTERED}` needs `columns`"),
        (entry(code=ALTERED, rows="3"), f"`{ALTERED}` needs `columns`"),
        (entry(code='"data-corruption.*ed-rows"'), "`data-corruption.*ed-rows` needs `rows`"),
        (entry(rows="0"), "`rows` is a number, where a whole number belongs"),
        (entry(code='"sqlite-lock.*"'), "no finding of any check; the nearest is `sqlite-locking.*`"),
        (entry(target="''"), "`target` is empty"),
        (entry(target='"\\udcff"'), "`target` holds half a character; `?` stands for any"),
        ("- later", "entry 1 of `waivers` is text, where a mapping belongs"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line_and_what_would(read: Read, text: str, why: str) -> None:
    with pytest.raises(UnusableFile) as refused:
        read(text)
    said = str(refused.value)
    assert re.match(r"--mdm-waivers: .*mdm-waivers\.yaml, line 3: ", said), said
    assert why in said
    assert said.isprintable()


def test_the_line_of_a_later_entry_is_its_own(read: Read) -> None:
    with pytest.raises(UnusableFile, match=r"line 4: `no\.such`"):
        read(f"{entry()}\n{entry(code='no.such')}")


def test_a_file_without_entries_is_one_and_a_missing_one_is_none(read: Read, tmp_path: Path) -> None:
    assert read("  []").entries == ()
    with pytest.raises(UnusableFile, match="does not exist"):
        read_waivers(tmp_path / "other.yaml", KNOWN)


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnusableFile, match="is a FIFO"):
        read_waivers(tmp_path / "fifo", KNOWN)


def test_a_date_in_quotes_is_one(read: Read) -> None:
    assert read(entry(expires="'2026-12-31'")).entries[0].expires == date(2026, 12, 31)


def test_every_finding_that_is_documented_can_be_waived() -> None:
    assert {HELD, "metadata-corruption.field-type"} <= set(KNOWN)
    assert {code.partition(".")[0] for code in KNOWN} == set(load())


@pytest.mark.parametrize("code", ["slow-registration.estimate", "slow-registration.est*"])
def test_a_waiver_for_a_retired_code_covers_its_successor(read: Read, code: str) -> None:
    check = load()["slow-registration"].check
    took_hours, others = (finding(f"{check.id}.{found}") for found in ("took-hours", "slower-than-others"))
    waivers = read(entry(code=code, target="home"))
    (waived,) = waive(waivers, result(took_hours, target=HOME, check=check)).results
    assert waived.status is Status.WAIVED
    (left,) = waive(waivers, result(others, target=HOME, check=check)).results
    assert left.status is Status.WARN


def test_an_unknown_code_is_answered_with_codes_in_use(read: Read) -> None:
    with pytest.raises(UnusableFile) as error:
        read(entry(code="slow-registration.estimates"))
    assert "slow-registration.estimate`" not in str(error.value).partition(";")[2]


def test_a_draft_lists_findings_and_asks_for_reason_and_owner() -> None:
    text = draft([result(finding(message="Somebody\nholds it.")), result(finding(LOCKED), target=HOME)], TODAY)
    data = yaml.safe_load(text)
    assert data == {
        "schema": SCHEMA,
        "waivers": [
            {
                "code": code,
                "target": target,
                "reason": PLACEHOLDER,
                "owner": PLACEHOLDER,
                "expires": TODAY + timedelta(days=DAYS),
            }
            for code, target in ((HELD, "shop"), (LOCKED, "home"))
        ],
    }
    assert "# warn: Somebody\\nholds it.\n" in text


def test_a_draft_is_refused_until_somebody_has_filled_it_in(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(draft([result(finding())], TODAY), encoding="utf-8")
    with pytest.raises(UnusableFile, match="still says <fill in>"):
        read_waivers(path, KNOWN)


def test_a_draft_omits_what_is_accepted_advice_or_unexamined(read: Read) -> None:
    some = waive(read(entry(code=LOCKED)), result(finding(LOCKED), finding())).results
    others = [
        *waive(read(entry()), result(finding())).results,
        result(finding(severity=Severity.NOTE)),
        result(finding(), status=Status.ERROR),
    ]
    assert [each["code"] for each in yaml.safe_load(draft(some, TODAY))["waivers"]] == [HELD]
    assert yaml.safe_load(draft(others, TODAY))["waivers"] == []


@pytest.mark.parametrize(("count", "entries"), [(1, 1), (2, 2), (MOST_SUBJECTS, MOST_SUBJECTS), (MOST_SUBJECTS + 1, 1)])
def test_a_draft_groups_many_subjects_into_one_entry(count: int, entries: int) -> None:
    many = [finding(subject=f"table {number}") for number in range(count)]
    drafted = yaml.safe_load(draft([result(*many)], TODAY))["waivers"]
    assert len(drafted) == entries
    assert all(("subject" in each) is (entries > 1) for each in drafted)


def test_a_draft_accepts_no_more_rows_than_are_lost_or_altered(tmp_path: Path) -> None:
    path, data = tmp_path / "draft.yaml", load()["data-corruption"].check
    evidence: dict[str, Any] = {"rows": COUNTS, "cells": {"ts": 3}}
    lost, altered = (
        replace(finding(code, Severity.FAIL, "table train"), evidence=evidence) for code in (MISSING, ALTERED)
    )
    before = result(lost, altered, check=data)
    path.write_text(draft([before], TODAY).replace(PLACEHOLDER, "known"), encoding="utf-8")
    waivers = read_waivers(path, KNOWN)
    bounds = [(each.code, each.subject, each.rows, each.columns) for each in waivers.entries]
    assert bounds == [(MISSING, "table train", 2, None), (ALTERED, "table train", 3, frozenset({"ts"}))]
    assert waive(waivers, before).results[0].status is Status.WAIVED
    for more in ({"rows": {**COUNTS, "missing": 3}}, {"cells": {"ts": 3, "name": 1}}):
        worse = result(replace(lost, evidence=evidence | more), replace(altered, evidence=evidence | more), check=data)
        assert waive(waivers, worse).results[0].status is Status.FAIL


@pytest.mark.parametrize(
    "evidence",
    [{}, {"rows": {**COUNTS, "of": 1968}}, {"rows": {**COUNTS, "complete": False}, "cells": {"ts": 3}}],
)
def test_a_draft_has_no_entry_for_what_is_not_known_exactly(evidence: dict[str, Any]) -> None:
    findings = (replace(finding(code, Severity.FAIL), evidence=evidence) for code in (MISSING, ALTERED))
    text = draft([result(*findings, check=load()["data-corruption"].check)], TODAY)
    assert yaml.safe_load(text)["waivers"] == []
    assert text.count("# No entry: how much is concerned is not known exactly.") == 2


def test_a_draft_takes_a_name_with_marks_for_that_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    odd, like_it = (result(finding(), target=Target(Kind.DATASET, name)) for name in ("sh*p[1]", "ship1"))
    path.write_text(draft([odd], TODAY).replace(PLACEHOLDER, "known"), encoding="utf-8")
    outcome = apply([odd, like_it], read_waivers(path, KNOWN), Phase.ANY, TODAY)
    assert [each.status for each in outcome.results] == [Status.WAIVED, Status.WARN]


def test_a_draft_stays_readable_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    many = [result(finding(), target=Target(Kind.DATASET, f"{number:06}" + "x" * 800)) for number in range(2500)]
    text = draft(many, TODAY)
    path.write_text(text.replace(PLACEHOLDER, "known"), encoding="utf-8")
    read_back = read_waivers(path, KNOWN).entries
    assert 0 < len(read_back) < len(many)
    assert f"# {len(many) - len(read_back)} more entries have no room here.\n" in text
    assert len(text) < MOST_BYTES + 1000


odd_text = st.text(alphabet=st.characters(), max_size=12) | st.sampled_from(
    [
        "a: b",
        "- x",
        "# no",
        "[x]",
        "*",
        "sh?p",
        "'",
        '"',
        "\u202e",
        "\n",
        "\r\n",
        "\udcff",
        "\U0001f600",
        "null",
        "1",
        "yes",
    ]
)
harmful = st.builds(
    finding,
    st.sampled_from([HELD, LOCKED]),
    st.sampled_from([Severity.WARN, Severity.FAIL]),
    odd_text,
    odd_text,
)
results = st.lists(
    st.builds(
        lambda findings, name: result(*findings, target=Target(Kind.DATASET, name)),
        st.lists(harmful, max_size=4),
        odd_text.filter(bool),
    ),
    max_size=4,
)


@given(results)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_completed_draft_waives_everything_it_was_made_from(tmp_path: Path, before: list[Result]) -> None:
    path = tmp_path / "draft.yaml"
    text = draft(before, TODAY)
    path.write_text(text.replace(PLACEHOLDER, "known"), encoding="utf-8")
    outcome = apply(before, read_waivers(path, KNOWN), Phase.POST, TODAY + timedelta(days=DAYS))
    assert {each.status for each in outcome.results} <= {Status.WAIVED, Status.PASS}
    assert outcome.unused == ()
    assert all(char.isprintable() for char in text.replace("\n", ""))


@given(results, st.sets(st.integers(0, 40)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_results_may_be_waived_one_by_one_and_all_together_again(
    tmp_path: Path, before: list[Result], dropped: set[int]
) -> None:
    path = tmp_path / "draft.yaml"
    data = yaml.safe_load(draft(before, TODAY).replace(PLACEHOLDER, "known"))
    data["waivers"] = [each for number, each in enumerate(data["waivers"]) if number not in dropped]
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    waivers = read_waivers(path, KNOWN)
    together = waive(waivers, *before)
    one_by_one = [waive(waivers, each).results[0] for each in before]
    assert one_by_one == list(together.results)
    assert waive(waivers, *one_by_one) == together


def test_an_unused_waiver_of_a_waived_result_is_also_reported(read: Read) -> None:
    waivers = read(f"{entry()}\n{entry(code=LOCKED)}")
    together = waive(waivers, result(finding()))
    assert [each.code for each in together.unused] == [LOCKED]
    assert waive(waivers, *together.results) == together


def fits(name: str, other: str) -> bool:
    """Whether the names are the same but for what is no character."""
    return len(name) == len(other) and all(b in {"?", a} for a, b in zip(name, other, strict=True))


@given(results, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_draft_of_one_result_waives_nothing_of_another_target(
    tmp_path: Path, before: list[Result], data: st.DataObject
) -> None:
    path = tmp_path / "draft.yaml"
    names = {re.sub("[\ud800-\udfff]", "?", each.target.name) for each in before}
    name = data.draw(odd_text.filter(lambda name: not any(fits(name, each) for each in names)))
    path.write_text(draft(before, TODAY).replace(PLACEHOLDER, "known"), encoding="utf-8")
    other = result(finding(), target=Target(Kind.DATASET, name))
    assert apply([other], read_waivers(path, KNOWN), Phase.ANY, TODAY).results == (other,)


text_or_not: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 5, "", " ", "text", PLACEHOLDER, f"x {PLACEHOLDER}", [], {}]
)
waiver = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([HELD, "", 5]),
        "target": st.sampled_from(["shop", "", None]),
        "subject": st.sampled_from(["", "orders", None, 1]),
        "columns": st.sampled_from([["ts"], ["a", "b"], [], [""], [1], "ts", {}, None]),
        "rows": st.sampled_from([1, 3, 0, -1, True, "3", None]),
        "phase": st.sampled_from(["pre", "post", "any", "", None]),
        "reason": text_or_not,
        "owner": text_or_not,
        "expires": st.sampled_from(["2026-12-31", "2026-02-30", "20261231", "2026-12-31T00:00:00", "soon", 5, None]),
    },
)
good: dict[str, Any] = {"code": HELD, "target": "shop", "reason": "known", "owner": "Ann", "expires": "2026-12-31"}


@given(st.booleans(), waiver, st.sampled_from([SCHEMA, "mdm-waivers/2", None, 1]), st.sampled_from([{}, {"other": 1}]))
def test_the_published_schema_agrees_with_the_reader(
    mostly_good: bool, changed: dict[str, Any], schema: object, more: dict[str, Any]
) -> None:
    one = {**good, **dict(list(changed.items())[:1])} if mostly_good else changed
    document = {"schema": SCHEMA if mostly_good else schema, "waivers": [one], **({} if mostly_good else more)}
    try:
        WaiversFile.model_validate(document)
        taken = True
    except ValidationError:
        taken = False
    assert VALIDATOR.is_valid(document) is taken, document


def test_the_example_in_the_documentation_is_read(tmp_path: Path) -> None:
    examples = [text for text in re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL) if SCHEMA in text]
    assert examples
    for text in examples:
        (tmp_path / "waivers.yaml").write_text(text, encoding="utf-8")
        assert read_waivers(tmp_path / "waivers.yaml", KNOWN).entries
