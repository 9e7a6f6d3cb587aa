"""A JUnit file tells verdict and fix where its readers look, whatever a home's names are."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Finding, Remedy, Severity, Status
from pytest_mdm_health.reports.junit import LONGEST, headline, properties, suite_properties
from tests.helpers import ALONE_OR_ON_WORKERS, Health
from tests.reports.full_report import REPORT


def cases_in(file: Path) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in ET.parse(file).getroot().iter("testcase")}  # noqa: S314 - our own


def properties_of(element: ET.Element) -> dict[str, str]:
    return {each.attrib["name"]: each.attrib["value"] for each in element.iterfind("properties/property")}


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_failure_says_what_to_do_and_a_blocked_check_says_why(
    home: Path, health: Health, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    (home / "mdm.yaml").write_text("database:\n  default_backend: sqlite\n  bogus: 1\n")
    health(f"--junitxml={tmp_path / 'junit.xml'}", *workers)
    cases = cases_in(tmp_path / "junit.xml")
    failure = cases["metadata-corruption[shop]"].find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("metadata-corruption.syntax: ")
    assert len(failure.attrib["message"]) < 500
    assert "FAIL metadata-corruption.syntax" in (failure.text or "")
    assert "       next: Keep a copy of the file" in (failure.text or "")
    blocked = cases["sqlite-locking[shop]"].find("skipped")
    assert blocked is not None
    assert blocked.attrib["message"] == "mdm-health::metadata-corruption[shop] failed; repair that first"
    assert properties_of(cases["sqlite-locking[shop]"])["mdm_status"] == "blocked"
    warned = properties_of(cases["config-not-loading[home]"])
    assert (warned["mdm_status"], warned["mdm_codes"]) == ("warn", "config-not-loading.unknown-key")
    assert warned["mdm_finding"].startswith("config-not-loading.unknown-key: ")


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_the_file_says_how_the_run_ended(health: Health, home: Path, tmp_path: Path, workers: tuple[str, ...]) -> None:
    health(f"--junitxml={tmp_path / 'junit.xml'}", *workers)
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    told = properties_of(suite)
    assert (told["mdm_verdict"], told["mdm_exit_code"], told["mdm_home"]) == ("degraded", "0", str(home))
    counts = [int(value) for name, value in told.items() if name.startswith("mdm_count_")]
    assert sum(counts) == len(cases_in(tmp_path / "junit.xml"))


def test_it_is_well_formed_whatever_a_file_is_called(home: Path, health: Health, tmp_path: Path) -> None:
    folder = os.fsencode(home / "config" / "datasets")
    for name in (b"bad\xffx", b"<img onerror=alert(1)>", b"bell\x07\x1b[31m", "\u202eabc]]>&".encode()):
        Path(os.fsdecode(folder + b"/" + name + b".yaml")).write_text("name: [unclosed\n")
    health(f"--junitxml={tmp_path / 'junit.xml'}")
    statuses = [properties_of(case).get("mdm_status") for case in cases_in(tmp_path / "junit.xml").values()]
    assert statuses.count("fail") >= 4


def test_a_headline_is_one_short_line() -> None:
    finding = Finding("c.f", Severity.FAIL, "a\nb\x07" + "x" * 1000, Remedy("r"))
    line = headline(replace(REPORT.results[0], status=Status.FAIL, findings=(finding, finding)))
    assert line.startswith("c.f: a\\nb\\x07xxx")
    assert (len(line), line[-1]) == (LONGEST, "…")
    assert headline(replace(REPORT.results[0], findings=(), reason="took too long")) == "not examined: took too long"


def test_what_is_accepted_is_told_with_its_reason() -> None:
    (waived,) = [each for each in REPORT.results if each.status is Status.WAIVED]
    assert dict(properties(waived))["mdm_waiver"] == waived.waiver


def test_regressions_are_counted_where_there_is_a_baseline() -> None:
    assert REPORT.comparison is not None
    assert dict(suite_properties(REPORT))["mdm_regressions"] == str(REPORT.comparison.regressions)
