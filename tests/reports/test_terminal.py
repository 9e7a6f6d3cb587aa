"""What a person reads at the end of a run can be acted on, in a narrow terminal as in a log."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_mdm_health.core.changes import Change, Changed
from pytest_mdm_health.core.model import Check, Kind, Remedy, Result, Status, Target
from pytest_mdm_health.reports.result_text import describe
from pytest_mdm_health.reports.summary_lines import lines
from pytest_mdm_health.reports.terminal import wrapped
from tests.reports.full_report import COMPARISON, REPORT


def test_the_command_after_an_error_is_quoted_whatever_the_dataset_is_called() -> None:
    check = Check(id="data-corruption", issue="5.1", title="Data", per=Kind.DATASET)
    result = Result(check=check, target=Target(Kind.DATASET, "bob's $(id)"), status=Status.ERROR, reason="too slow")
    (command,) = [line for line in describe(result).splitlines() if line.startswith("    $ ")]
    node_id = "mdm-health::data-corruption[bob's $(id)]"
    assert shlex.split(command.strip().removeprefix("$ ")) == ["pytest", node_id, "--mdm-timeout", "600"]


def test_what_to_do_is_said_once_for_findings_that_need_the_same() -> None:
    one = REPORT.results[1].findings[0]
    other = replace(one, remedy=Remedy("Another thing."))
    said = describe(replace(REPORT.results[1], findings=(one, one, other, one))).splitlines()
    steps = [line.strip() for line in said if line.strip().startswith(("next:", "$"))]
    whole = ["next: Let it end, or end it.", "$ ps -p 4711", "$ kill 4711"]
    assert steps == [*whole, "next: as above", "next: Another thing.", *whole]


ACCEPTED = "DELETE, not WAL"


def test_the_summary_says_what_changed_what_to_do_and_what_is_accepted() -> None:
    assert list(lines(REPORT)) == [
        "configuration pass · storage fail · features blocked · diagnostics warn",
        "1 pass, 1 warn, 1 fail, 1 error, 1 skip, 1 blocked, 1 waived",
        "not selected: 2 datasets not examined: big, wine",
        "not selected: 1 check not run: backup-failure",
        (
            "since the baseline /tmp/before.json of 2026-11-21T20:00:00+00:00: 2 regressions "
            "(results: 1 new, 1 unchanged, 1 worse, 1 lost)"
        ),
        "     it examined another place: /srv/old",
        "     2 results of it not asked for in this run",
        "     not comparable: data-corruption [big]: the table big was not compared",
        "     it may have looked for other things, so that what is new may have been there then",
        "REMOVED metadata-corruption.vanished [old]: old is not there any more",
        "     1 data table not as before",
        "     1 data table gone",
        "FAIL sqlite-locking.held-open [shop] (worse): PID 4711 holds the database",
        "     $ ps -p 4711",
        "     $ kill 4711",
        f"waived: sqlite-locking.journal-mode [shop]: moves next week (ann, until 2027-01-31); accepted: {ACCEPTED}",
        f"waived: sqlite-locking.journal-mode [größe]: read only (ann, until 2027-01-31); accepted: {ACCEPTED}",
        "expired waiver (ignored): line 4: a.b on shop",
        "unused waiver: line 9: c.d on home",
        "unused waiver: line 12: e.f",
        "not listed: /srv/mdm/datasets/secret: permission denied",
        "metadata-corruption was ignored: its failure would block sqlite-locking, which ran without it",
        "error: postgres-slowdown: took longer than 60 s",
        "skip: system-check: none here",
        "blocked by sqlite-locking[shop]: feature-generation-failure[shop]",
        "1 note of advice: in the JSON and HTML reports",
    ]


def test_what_waits_for_a_failure_is_counted_and_not_listed() -> None:
    lost = Changed(Change.LOST, "check", "feature-generation-failure", "shop", "", "sqlite-locking failed")
    said = list(lines(replace(REPORT, comparison=replace(COMPARISON, changes=(lost,)))))
    assert not [line for line in said if line.startswith("LOST")]
    assert not [line for line in said if "more change" in line]


def test_long_lists_are_cut_and_say_so() -> None:
    one = COMPARISON.changes[1]
    many = replace(COMPARISON, changes=tuple(replace(one, code=f"a.c{number}") for number in range(9)))
    waivers = replace(REPORT.waivers, unused=("line 1: x",) * 9) if REPORT.waivers else None
    said = list(lines(replace(REPORT, comparison=many, waivers=waivers)))
    assert "     and 4 more changes in these results: in the reports" in said
    assert "     and 7 more about waivers: in the reports" in said


@pytest.mark.parametrize("line", ["FAIL a: " + "word " * 40, "     at a place " + "word " * 40, "x · " * 50])
def test_a_long_line_is_broken_at_words_and_hangs(line: str) -> None:
    first, *more = wrapped(line, 80)
    assert all(len(each) < 80 for each in (first, *more))
    assert all(each.startswith("     ") and each[5] != " " for each in more)
    assert " ".join(" ".join((first, *more)).split()) == " ".join(line.split())


@pytest.mark.parametrize("line", ["     $ " + "echo a b " * 20, "short", "/a/path/without/any/space" * 9])
def test_a_command_and_what_has_no_space_is_never_broken(line: str) -> None:
    assert wrapped(line, 80) == [line]


def test_a_line_of_a_log_is_never_broken() -> None:
    assert wrapped("word " * 100, None) == ["word " * 100]


Health = Callable[..., pytest.RunResult]


@pytest.fixture
def health(health: Health, home: Path) -> Health:
    """Run the suite on a home with a damaged registration."""
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    return health


def test_a_log_has_whole_lines_without_colours_and_says_where_the_reports_are(health: Health, tmp_path: Path) -> None:
    outputs = {name: tmp_path / f"out.{name}" for name in ("html", "json", "markdown", "bundle", "save-baseline")}
    result = health(*(f"--mdm-{name}={path}" for name, path in outputs.items()))
    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines([f"{name}: {path}" for name, path in outputs.items()])
    said = [line for line in result.outlines if line.startswith("FAIL metadata-corruption.syntax [shop]")]
    assert said
    assert said[0].endswith("dataset_info.json instead")
    assert all(path.stat().st_size for path in outputs.values())


def test_quiet_says_the_verdict_and_the_exit_code_only(health: Health) -> None:
    said = health("-q").outlines
    start = next(number for number, line in enumerate(said) if "MDM health: unhealthy" in line)
    assert said[start + 1] == "exit code 1: at least one check failed"
    assert not [line for line in said if line.startswith(("FAIL ", "skip: "))]


def test_a_terminal_of_80_columns_gets_lines_that_fit(home: Path, tmp_path: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    command = [sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "-p", "no:cacheprovider"]
    environ = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    controller, terminal = pty.openpty()
    process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    said = _all_of(controller)
    assert process.wait() == 1
    plain = re.sub(r"\x1b\[[\d;]*[mK]", "", said).replace("\r", "")
    summary = plain[plain.index("MDM health: unhealthy") : plain.index("exit code 1")].splitlines()[1:]
    texts = [line for line in summary if not line.startswith("     $ ")]
    assert any(line.startswith("     ") for line in texts)
    assert all(len(line) < 80 or " " not in line.strip() for line in texts)
    assert "\x1b[31mFAIL\x1b[0m metadata-corruption.syntax" in said


def _all_of(controller: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # how Linux says that the other end is closed
            part = b""
        if not part:
            break
        parts.append(part)
    os.close(controller)
    return b"".join(parts).decode("utf-8", "replace")
