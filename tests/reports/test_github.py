"""GitHub Actions shows the report and the worst findings by itself, within its limits."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pytest_mdm_health.core.model import Finding, Kind, Location, Remedy, Severity, Target
from pytest_mdm_health.redaction.known import Secret
from pytest_mdm_health.redaction.redactor import Redactor
from pytest_mdm_health.reports import github, markdown
from pytest_mdm_health.reports.model import Report
from tests.helpers import ALONE_OR_ON_WORKERS, Health
from tests.reports.full_report import REPORT, RESULTS


def report_with(*findings: Finding) -> Report:
    return replace(REPORT, results=(replace(RESULTS[1], findings=findings),))


def found(number: int, severity: Severity = Severity.WARN, message: str = "m", file: str = "/repo/a.yaml") -> Finding:
    return Finding("sqlite-locking.x", severity, message, Remedy("do it"), location=Location(file, number, 2))


IN_ACTIONS = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": "/repo"}


def test_an_annotation_names_a_position_below_the_workspace() -> None:
    assert list(github.workflow_commands(report_with(found(3)), IN_ACTIONS)) == [
        "::warning file=a.yaml,line=3,col=2,title=sqlite-locking.x [shop]::m%0Anext: do it"
    ]


@pytest.mark.parametrize("file", ["/repository/a.yaml", "/repo/../home/a.yaml"])
def test_a_file_elsewhere_is_no_place_in_the_checkout(file: str) -> None:
    (line,) = github.workflow_commands(report_with(found(3, file=file)), IN_ACTIONS)
    assert line == "::warning title=sqlite-locking.x [shop]::m%0Anext: do it"
    (line,) = github.workflow_commands(report_with(found(3)), {"GITHUB_ACTIONS": "true"})
    assert line.startswith("::warning title=")


def test_nothing_from_a_home_ends_a_property_or_a_line() -> None:
    hostile = found(1, message="50% a:b,c\r\n::error::x \u202e", file="/repo/a,line=9::b%\n.yaml")
    (line,) = github.workflow_commands(report_with(hostile), IN_ACTIONS)
    place = "file=a%2Cline=9%3A%3Ab%25\\n.yaml,line=1,col=2,title=sqlite-locking.x [shop]"
    assert line == f"::warning {place}::50%25 a:b,c\\x0d\\n::error::x \\u202e%0Anext: do it"


def test_there_are_at_most_ten_and_the_worst_come_first() -> None:
    warnings = (replace(found(number), code=f"sqlite-locking.x{number}") for number in range(1, 20))
    lines = list(github.workflow_commands(report_with(*warnings, found(99, Severity.FAIL)), IN_ACTIONS))
    assert len(lines) == 10
    assert lines[0].startswith("::error file=a.yaml,line=99,")
    assert lines[1].startswith("::warning file=a.yaml,line=1,")


def test_one_code_takes_no_more_than_three_and_one_of_a_target() -> None:
    results = tuple(
        replace(RESULTS[1], target=Target(Kind.DATASET, name), findings=(found(1), found(2))) for name in "abcde"
    )
    other = replace(results[4], findings=(replace(found(7), code="sqlite-locking.y"),))
    lines = list(github.workflow_commands(replace(REPORT, results=(*results, other)), IN_ACTIONS))
    titles = [line.partition("title=sqlite-locking.")[2].partition("::")[0] for line in lines]
    assert titles == ["x [a]", "x [b]", "x [c]", "y [e]"]


def test_what_has_no_line_has_no_annotation() -> None:
    nowhere = replace(found(1), location=Location("/repo/a.yaml"))
    assert list(github.workflow_commands(report_with(nowhere, replace(nowhere, location=None)), IN_ACTIONS)) == []


def test_there_are_none_elsewhere() -> None:
    assert list(github.workflow_commands(report_with(found(3)), {})) == []


def test_the_summary_is_appended_to_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    file.write_text("# mine")
    assert github.append_summary(REPORT, {"GITHUB_STEP_SUMMARY": str(file)}) == ""
    assert file.read_text() == f"# mine\n\n{markdown.render(REPORT)}"


@pytest.mark.parametrize("left", [0, 50, 200, 500, 2000, 2500, 4000])
def test_it_keeps_to_the_limit_beside_other_annotations(tmp_path: Path, left: int) -> None:
    file = tmp_path / "summary.md"
    file.write_bytes(b"x" * (github.LIMIT_BYTES - left))
    github.append_summary(REPORT, {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.stat().st_size <= github.LIMIT_BYTES
    written = file.read_bytes()[github.LIMIT_BYTES - left :].decode()
    assert ("left out here" in written) == (200 <= left <= 2500)


def test_what_is_cut_is_cut_between_blocks() -> None:
    blocks = list(markdown.blocks(REPORT))
    whole = markdown.joined(["", *blocks])
    for limit in range(300, len(whole.encode()), 97):
        *kept, note = github.cut(blocks, limit).strip().split("\n\n")
        assert whole.strip().startswith("\n\n".join(kept))
        assert "left out here" in note
        fences = [token for token in MarkdownIt().parse("\n\n".join(kept)) if token.type == "fence"]
        assert all(token.map and token.markup in "\n\n".join(kept).splitlines()[token.map[1] - 1] for token in fences)


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    os.mkfifo(tmp_path / "fifo")
    report = replace(REPORT, home=str(tmp_path / "home"))
    for name, why in {
        "fifo": "is not a file to write to but a FIFO",
        "home": "is not a file to write to but a folder",
        "home/summary.md": "is in the home that is examined, where nothing is written",
        "missing/summary.md": "could not be written: No such file or directory",
        "nul\0": "cannot be reached",
    }.items():
        path = tmp_path / name
        assert github.append_summary(report, {"GITHUB_STEP_SUMMARY": str(path)}) == f"GITHUB_STEP_SUMMARY: {path} {why}"


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_run_in_actions_writes_both_once(
    health: Health, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: shop\ntables: [unclosed\n")
    summary = tmp_path / "summary.md"
    for name, value in {"ACTIONS": "true", "WORKSPACE": str(home), "STEP_SUMMARY": str(summary)}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    result = health("-q", *workers)
    assert result.ret == 1
    assert summary.read_text().count("MDM health: unhealthy") == 1
    lines = [line for line in result.outlines if line.startswith("::")]
    assert [line.partition(",line=")[0] for line in lines] == ["::error file=config/datasets/shop.yaml"]


def test_a_summary_that_cannot_be_written_changes_no_exit_code(
    health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    result = health()
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"WARNING GITHUB_STEP_SUMMARY: {tmp_path} is not a file to write to but a folder"])


def test_nothing_that_shows_a_secret_is_published(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    leaks, report = Redactor([Secret("tr0ub4dor", "mdm.yaml")]).leaks, report_with(found(3, message="tr0ub4dor"))
    (line,) = github.publish(report, leaks, {"GITHUB_STEP_SUMMARY": str(file), **IN_ACTIONS})
    assert line == "WARNING GitHub is shown nothing of this run: it would have shown a secret, the one in mdm.yaml"
    assert not file.exists()
    assert list(github.publish(report, leaks, {})) == []
