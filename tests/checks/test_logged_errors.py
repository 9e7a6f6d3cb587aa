from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_mdm_health.checks.logged_errors import judge
from pytest_mdm_health.checks.logged_errors.collect import MAX_GROUPS, read_errors
from pytest_mdm_health.core.model import HOME, Finding, Result, Severity, Status
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS

CHECK = "logged-errors"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
START = datetime(2026, 12, 1, 9, 0, tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
SUCCESS = "Dataset 'shop' registered successfully"
BEGIN = "Starting registration for dataset 'shop'"

MESSAGES = (
    ("QueuePool limit of size 5 overflow 10 reached, connection timed out", "pool-limit", "3.1"),
    ("(sqlite3.OperationalError) database is locked", "database-locked", "3.2"),
    ("(sqlite3.OperationalError) no such table: train", "no-such-table", "5.1"),
    ("Failed to load dataset: KeyError: 'backend'", "metadata-key", "7.2"),
    ("MemoryError: Unable to allocate 8 GiB", "out-of-memory", "4.2"),
    ("TimeoutError: Operation timed out", "timed-out", "3.3"),
    ("PermissionError: [Errno 13] Permission denied: '/srv/mdm/x'", "permission-denied", "1.1"),
    ("ModuleNotFoundError: No module named 'mdm.storage'", "module-missing", "1.2"),
)


def text_line(second: int, level: str, message: str, logger: str = "mdm.dataset.registrar") -> str:
    """A line as MDM after the refactoring writes it."""
    return f"{START + timedelta(seconds=second):%Y-%m-%d %H:%M:%S} | {level} | {logger}:f:7 - {message}\n"


def json_line(second: int, level: str, message: str, logger: str = "mdm.dataset.registrar") -> str:
    """A line as MDM before the refactoring writes it."""
    moment = (START + timedelta(seconds=second)).astimezone()
    record = {"level": {"name": level}, "message": message, "name": logger, "function": "f", "exception": None}
    return json.dumps({"text": message, "record": {**record, "time": {"timestamp": moment.timestamp()}}}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a home of its own."""
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "mdm.log"


def found_in(log: Path) -> list[Finding]:
    return list(judge(read_errors(log)))


def test_the_logs_of_healthy_real_homes_bring_notes_at_most(
    each_home: Path, examine: Callable[..., Result], tree: Callable[[Path], object]
) -> None:
    before = tree(each_home)

    result = examine(CHECK, each_home)

    assert tree(each_home) == before
    assert result.status is Status.PASS
    assert result.examined >= 85
    assert {found.severity for found in result.findings} <= {NOTE}


def test_old_noise_in_a_real_log_is_one_note_with_its_count(make_home: Callable[..., Path]) -> None:
    (found,) = found_in(make_home("mdm-1.0.6-sqlite") / "logs" / "mdm.log")

    assert (found.code, found.severity) == ("logged-errors.error", NOTE)
    assert "column 'signup'" in found.message
    assert "2 times" in found.message
    assert "a later operation succeeded" in found.message
    assert found.evidence["datasets"] == ["shop"]
    assert "issue 6.1" in found.remedy.text


def test_every_message_of_the_guide_has_a_test() -> None:
    assert {finding for _, finding, _ in MESSAGES} == {error.finding for error in KNOWN_ERRORS}
    codes = {f"{CHECK}.{finding}" for _, finding, _ in MESSAGES}
    assert codes == {
        "logged-errors.pool-limit",
        "logged-errors.database-locked",
        "logged-errors.no-such-table",
        "logged-errors.metadata-key",
        "logged-errors.out-of-memory",
        "logged-errors.timed-out",
        "logged-errors.permission-denied",
        "logged-errors.module-missing",
    }
    assert {code.partition(".")[2] for code in codes} <= set(load()[CHECK].documentation.findings)


@pytest.mark.parametrize("line", [text_line, json_line])
@pytest.mark.parametrize(("message", "finding", "issue"), MESSAGES, ids=[finding for _, finding, _ in MESSAGES])
def test_a_guide_message_leads_to_its_issue_until_repaired(
    log: Path, line: Callable[..., str], message: str, finding: str, issue: str
) -> None:
    log.write_text(line(0, "INFO", BEGIN) + line(1, "ERROR", message) + line(60, "ERROR", message))

    (found,) = found_in(log)

    assert (found.code, found.severity) == (f"{CHECK}.{finding}", WARN)
    assert f"Issue {issue}:" in found.remedy.text
    assert "2 times" in found.message
    assert (found.evidence["first"], found.evidence["last"]) == (iso(1), iso(60))
    assert found.location
    assert found.location.line == 3

    with log.open("a") as file:  # the issue's repair was applied, and the command run again
        file.write(line(90, "INFO", SUCCESS))

    (found,) = found_in(log)
    assert (found.code, found.severity) == (f"{CHECK}.{finding}", NOTE)


def iso(second: int) -> str:
    return (START + timedelta(seconds=second)).astimezone(timezone.utc).isoformat(sep=" ", timespec="seconds")


def test_success_of_another_dataset_does_not_make_good(log: Path) -> None:
    log.write_text(
        text_line(0, "INFO", BEGIN)
        + text_line(1, "ERROR", "Failed to generate features: odd values")
        + text_line(2, "INFO", "MDM logging initialized - Level: INFO", "mdm.cli.main")
        + text_line(3, "INFO", "Starting registration for dataset 'wine'")
        + text_line(4, "INFO", "Dataset 'wine' registered successfully")
    )

    assert [found.severity for found in found_in(log)] == [WARN]


def test_trouble_outside_any_dataset_is_over_after_any_success(log: Path) -> None:
    trouble = text_line(1, "ERROR", "cannot reach the registry", "mdm.cli.main")
    log.write_text(trouble)
    assert [found.severity for found in found_in(log)] == [WARN]

    log.write_text(trouble + text_line(2, "INFO", "Dataset 'wine' updated successfully"))

    assert [found.severity for found in found_in(log)] == [NOTE]


@pytest.mark.parametrize(
    "success",
    [
        "Dataset 'shop' deleted successfully",
        "Statistics saved for dataset 'shop'",
        "Statistics saved to /home/ml/.mdm/datasets/shop/metadata/statistics.json",
    ],
)
def test_every_way_in_which_mdm_reports_success_counts(log: Path, success: str) -> None:
    log.write_text(
        text_line(1, "ERROR", "Failed to load statistics for dataset 'shop'") + text_line(2, "INFO", success)
    )

    assert [found.severity for found in found_in(log)] == [NOTE]


def test_an_error_after_a_success_is_open_again(log: Path) -> None:
    error = "Failed to save dataset 'shop'"
    log.write_text(text_line(1, "ERROR", error) + text_line(2, "INFO", SUCCESS) + text_line(3, "ERROR", error))

    (found,) = found_in(log)

    assert found.severity is WARN
    assert (found.evidence["count"], found.evidence["count_not_followed_by_success"]) == (2, 1)


def test_errors_that_differ_in_names_and_numbers_are_one_kind(log: Path) -> None:
    log.write_text(
        "".join(text_line(n, "ERROR", f"Failed to read '/data/{n}.csv' after {n} s", "mdm.x") for n in range(50))
        + text_line(60, "ERROR", "Failed to parse", "mdm.x")
    )

    found = found_in(log)

    assert [each.evidence["count"] for each in found] == [50, 1]
    assert "49.csv" in found[0].message
    assert len({each.fingerprint(HOME) for each in found}) == 2


def test_a_critical_record_is_a_failure_until_repaired(log: Path) -> None:
    log.write_text(text_line(1, "CRITICAL", "cannot start", "mdm.cli.main"))
    assert [(found.code, found.severity) for found in found_in(log)] == [("logged-errors.critical", FAIL)]

    with log.open("a") as file:
        file.write(text_line(2, "INFO", SUCCESS))

    assert [found.severity for found in found_in(log)] == [NOTE]


def test_a_traceback_without_an_error_is_shown_by_its_last_line(log: Path) -> None:
    log.write_text(
        text_line(1, "INFO", "did not work") + "Traceback (most recent call last):\n  File x\nZeroDivisionError: oh\n"
    )

    (found,) = found_in(log)

    assert (found.code, found.severity) == ("logged-errors.traceback", WARN)
    assert found.evidence["error"] == "ZeroDivisionError: oh"


def test_a_known_error_is_recognised_by_its_traceback(log: Path) -> None:
    trace = "Traceback (most recent call last):\n  File x\nsqlite3.OperationalError: database is locked\n"
    log.write_text(text_line(1, "ERROR", "it failed") + trace)

    assert [found.code for found in found_in(log)] == ["logged-errors.database-locked"]


def test_a_warning_about_a_known_error_is_a_note(log: Path) -> None:
    log.write_text(text_line(1, "WARNING", "database is locked, trying again"))

    assert [(found.code, found.severity) for found in found_in(log)] == [("logged-errors.database-locked", NOTE)]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
def test_ordinary_records_are_no_findings(log: Path, level: str) -> None:
    log.write_text(text_line(1, level, "No column info found for table type wine_features"))

    assert found_in(log) == []


def test_rotated_logs_count_too_and_lie_before(log: Path) -> None:
    with gzip.open(log.with_name("mdm.log.1.gz"), "wt") as packed:
        packed.write(text_line(1, "ERROR", "Failed to save dataset 'shop'"))
    assert [found.severity for found in found_in(log)] == [WARN]
    assert found_in(log)[0].remedy.commands[0].startswith("zcat ")

    log.write_text(text_line(2, "INFO", SUCCESS))

    assert [found.severity for found in found_in(log)] == [NOTE]


def test_the_command_that_is_given_shows_the_record(log: Path, tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    file = folder / "mdm.log"
    file.write_text("".join(text_line(n, "INFO", f"line {n}") for n in range(30)) + text_line(31, "ERROR", "boom"))
    assert log.parent.is_dir()

    (command,) = found_in(file)[0].remedy.commands
    shown = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout

    assert "boom" in shown
    assert len(shown.splitlines()) == 6


def test_passwords_are_nowhere_in_the_findings(log: Path) -> None:
    log.write_text(
        text_line(1, "ERROR", "cannot connect to postgresql://ml:hunter2@db/mdm_shop")
        + "Traceback (most recent call last):\nOperationalError: {'password': 'hunter2'}\n"
    )

    found = found_in(log)

    assert len(found) == 1
    assert "hunter2" not in repr(found)


def test_findings_contain_names_but_no_values_of_data(log: Path) -> None:
    signup = "Error generating features for column 'signup': Can only use .str accessor with string values!"
    insert = "(sqlite3.IntegrityError) failed\n[SQL: INSERT INTO t VALUES (?)]\n[parameters: ('Jane Doe', '4111 1111')]"
    log.write_text(
        text_line(1, "ERROR", signup)
        + text_line(2, "ERROR", insert)
        + text_line(3, "ERROR", "it failed", "mdm.x")
        + "Traceback (most recent call last):\nValueError: could not convert string to float: 'Jane Doe'\n"
    )

    facts = read_errors(log)

    assert "Jane" not in repr((facts, [*judge(facts)]))
    assert "4111" not in repr(facts)
    assert any(signup in found.message for found in judge(facts))


def test_a_damaged_rotated_log_is_found_and_once_repaired_is_not(log: Path) -> None:
    log.write_text(text_line(2, "INFO", SUCCESS))
    broken = log.with_name("mdm.log.1.gz")
    broken.write_bytes(gzip.compress(text_line(1, "INFO", "x").encode() * 900)[:60])

    (found,) = found_in(log)

    assert (found.code, found.severity) == ("logged-errors.unreadable", WARN)
    assert str(broken) in found.message
    broken.unlink()
    assert found_in(log) == []


def test_a_fifo_where_the_log_belongs_is_a_finding_at_once(home: Path, examine: Callable[..., Result]) -> None:
    (home / "logs" / "mdm.log").unlink()
    os.mkfifo(home / "logs" / "mdm.log")

    result = examine(CHECK, home)

    assert result.status is Status.WARN
    assert [found.code for found in result.findings] == ["logged-errors.unreadable"]
    assert "is a FIFO" in result.findings[0].message


def test_a_home_without_a_log_is_skipped_with_the_reason(home: Path, examine: Callable[..., Result]) -> None:
    (home / "logs" / "mdm.log").unlink()

    result = examine(CHECK, home)

    assert result.status is Status.SKIP
    assert result.reason == f"there is no log at {home / 'logs' / 'mdm.log'}"


def test_many_different_errors_take_bounded_memory(log: Path) -> None:
    with log.open("w") as file:
        for n in range(10_000):
            name = "".join(chr(ord("a") + int(digit)) for digit in str(n))
            file.write(text_line(n % 60, "ERROR", f"{name} went wrong for dataset 'd{n}'", "mdm.x"))
    tracemalloc.start()

    facts = read_errors(log)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 1024 * 1024
    assert len(facts.errors) == MAX_GROUPS
    assert facts.examined == 10_000
    assert re.match(r"\d+ more records report errors of further kinds", facts.gaps[0])
