"""From what a person sees to the issue."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.knowledge.guide import SYMPTOMS
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS, MESSAGES, known_error
from pytest_mdm_health.knowledge.symptoms import UnknownSymptom, explanations


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached", "3.1"),
        ("FATAL:  sorry, too many clients already / Too many connections", "3.1"),
        ("sqlite3.OperationalError: database is locked", "3.2"),
        ("(sqlite3.OperationalError) no such table: train_features", "5.1"),
        ("KeyError: 'backend'", "7.2"),
        ("MemoryError: Unable to allocate 3.2 GiB", "4.2"),
        ("TimeoutError: Operation timed out", "3.3"),
        ("PermissionError: [Errno 13] Permission denied: '/home/ml/.mdm/logs/mdm.log'", "1.1"),
        ("ModuleNotFoundError: No module named 'mdm.core.logging'", "1.2"),
    ],
)
def test_an_error_message_leads_to_its_issue(text: str, issue: str) -> None:
    assert explanations(text)[0].issue == issue
    error = known_error(text)
    assert error is not None
    assert error.issue == issue


@pytest.mark.parametrize(
    ("text", "issues"),
    [
        # SQLite
        ("sqlite3.DatabaseError: database disk image is malformed", ["5.1"]),
        ("file is not a database", ["5.1"]),
        ("malformed database schema (wine_features) - incomplete input", ["5.1"]),
        ("sqlite3.OperationalError: disk I/O error", ["5.1"]),
        ("sqlite3.OperationalError: unable to open database file", ["7.2", "5.1", "1.1"]),
        ("sqlite3.OperationalError: attempt to write a readonly database", ["1.1"]),
        ("sqlite3.OperationalError: database or disk is full", ["1.1", "4.1", "4.2"]),
        ("sqlite3.OperationalError: no such table: train_features", ["5.1", "6.1"]),
        ("sqlite3.OperationalError: no such column: price", ["5.1"]),
        ("sqlite3.OperationalError: table train_features has no column named age_zscore", ["6.1"]),
        ("sqlite3.IntegrityError: datatype mismatch", ["5.2"]),
        # DuckDB
        ("duckdb.IOException: Corrupt database file: computed checksum 1 does not match stored checksum 2", ["5.1"]),
        ('IO Error: The file "x.duckdb" exists, but it is not a valid DuckDB database file!', ["5.1"]),
        ("Trying to read a database file with version number 67, but we can only read version 64", ["5.1", "1.2"]),
        ('IO Error: Could not set lock on file "x": Conflicting lock is held in python (PID 7)', ["7.1", "5.1"]),
        ("Out of Memory Error: failed to allocate data of size 16.0 MiB (7.4 GiB/7.4 GiB used)", ["4.2"]),
        ("Catalog Error: Table with name train does not exist!", ["5.1"]),
        ("Conversion Error: Could not convert string 'x' to INT64", ["5.2"]),
        # PostgreSQL
        ("the database system is starting up", ["3.3"]),
        ('FATAL:  database "mdm_shop" does not exist', ["7.2", "5.1"]),
        ("server closed the connection unexpectedly", ["3.3"]),
        ('FATAL:  password authentication failed for user "ml"', ["3.3"]),
        ('connection to server at "localhost" (::1), port 5432 failed: Connection refused', ["3.3"]),
        ("canceling statement due to statement timeout", ["3.3"]),
        ("deadlock detected", ["3.3"]),
        ('relation "train" does not exist', ["5.1"]),
        ("permission denied for table train", ["3.3"]),
        ("invalid page in block 3 of relation base/1/2", ["3.3", "5.1"]),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", ["3.1"]),
        ('invalid input syntax for type integer: "abc"', ["5.2"]),
        # MDM
        ("Dataset 'shop' uses 'duckdb' backend, but current backend is 'sqlite'", ["7.2"]),
        ("DatasetError: Dataset 'shop' not found", ["7.2"]),
        ("Dataset 'shop' already exists", ["7.1", "7.2"]),
        ("Table 'train' not found in dataset", ["5.1", "7.2"]),
        ("Failed to load dataset info: while parsing a block mapping", ["7.2", "2.1"]),
        ("PostgreSQL user not configured", ["2.1", "3.3"]),
        ("Unsupported backend type: mysql", ["7.2", "2.1"]),
        ("ConfigError: Failed to load configuration from /home/ml/.mdm/mdm.yaml: bad", ["2.1"]),
        ("ConfigError: Invalid configuration: 1 validation error for MDMConfig", ["2.1"]),
        ("FeatureGenerationError: x", ["6.1"]),
        ("Failed to load custom features for shop: x", ["6.2"]),
        ("Error in ratio for shop: division by zero", ["6.2"]),
        ("Registration failed at step 'load': boom", ["7.1", "4.1"]),
        # Python and the system
        ("AttributeError: Can only use .str accessor with string values!", ["5.2", "6.1"]),
        ("numpy.core._exceptions.MemoryError: Unable to allocate 2.3 GiB for an array", ["4.2"]),
        ("Unable to allocate 2.3 GiB for an array with shape (1, 2)", ["4.2"]),
        ("OSError: [Errno 28] No space left on device", ["1.1", "4.1", "4.2"]),
        ("ValueError: could not convert string to float: 'abc'", ["5.2"]),
        ("ModuleNotFoundError: No module named 'pkg_resources'", ["1.2"]),
        ("ERROR: ResolutionImpossible: for help visit", ["1.2"]),
        ("mdm 1.0.6 has requirement pydantic>=2, but you have pydantic 1.10", ["1.2"]),
        ("gzip: stdin: unexpected end of file", ["1.1"]),
    ],
)
def test_a_message_leads_to_every_issue_that_explains_it(text: str, issues: list[str]) -> None:
    assert [each.issue for each in explanations(text)] == issues


def _quoted() -> list[tuple[str, str]]:
    """The messages that the documentation of the checks quotes as symptoms, each with the check's issue."""
    sections = {each.check.issue: " ".join(each.documentation.sections["Symptoms"].split()) for each in load().values()}
    return [
        (quoted or code, issue)
        for issue, section in sections.items()
        for quoted, code in re.findall(r'"([^"]+)"|`([^`]*Error[^`]*)`', section)
    ]


@pytest.mark.parametrize(("text", "issue"), _quoted())
def test_every_message_a_check_names_as_symptom_leads_to_it(text: str, issue: str) -> None:
    assert issue in {each.issue for each in explanations(text)}


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("backup_mdm_state.sh ended with 1", "1.1"),
        ("mdm dataset list shows nothing", "7.2"),
        ("mdm storage test fails", "8.1"),
        ("mdm dataset register does not end", "7.1"),
        ("mdm dataset register takes hours", "4.1"),
    ],
)
def test_a_command_that_does_not_work_leads_to_what_examines_it(text: str, issue: str) -> None:
    assert issue in {each.issue for each in explanations(text)}


@pytest.mark.parametrize(
    "text", ["the database is an error", "a database error is in the file", "my dataset has a problem", "data"]
)
def test_words_that_every_message_has_lead_nowhere_near_an_issue(text: str) -> None:
    try:
        found = explanations(text)
    except UnknownSymptom:
        return
    assert [each for each in found if "." in each.issue] == []


def test_a_damaged_file_is_found_by_the_message_that_it_causes(
    home: Path, health: Callable[..., pytest.RunResult]
) -> None:
    (database,) = (home / "datasets" / "wine").glob("*.sqlite")
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)

    result = health("--mdm-symptom", "sqlite3.DatabaseError: database disk image is malformed")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["MDM symptom: 5.1, because of the message*", "FAIL data-corruption.damaged ?wine?*"])


@pytest.mark.parametrize("asked", [("--mdm-symptom", "TimeoutError: Operation timed out"), ("--mdm-select", "3.3")])
def test_a_check_without_anything_to_examine_names_what_it_needs(
    health: Callable[..., pytest.RunResult], asked: tuple[str, str]
) -> None:
    result = health(*asked)

    assert result.ret == 11
    result.stdout.fnmatch_lines(
        [
            "MDM home: postgres-slowdown (3.3) examines nothing here: it needs a PostgreSQL server, *",
            "*MDM health: inconclusive*",
            "exit code 11: *",
        ]
    )


def test_a_check_without_targets_leaves_the_run_conclusive(
    health: Callable[..., pytest.RunResult],
) -> None:
    result = health("--mdm-select", "3.2", "--mdm-select", "3.3")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["MDM home: postgres-slowdown (3.3) examines nothing here: *"])


def test_an_unselective_run_names_no_check_without_targets(
    health: Callable[..., pytest.RunResult],
) -> None:
    result = health("--collect-only")

    result.stdout.fnmatch_lines(["MDM home: *"])
    result.stdout.no_fnmatch_line("*examines nothing here*")


@pytest.mark.parametrize("symptom", SYMPTOMS, ids=lambda symptom: symptom.text)
def test_the_guides_own_words_lead_to_their_issue(symptom: object) -> None:
    text, issue = getattr(symptom, "text", ""), getattr(symptom, "issue", "")
    assert issue in {each.issue for each in explanations(text)}


@pytest.mark.parametrize(
    ("text", "issues"),
    [
        ("checksum failures", ["5.1", "3.3"]),
        ("the progress bar is stuck", ["4.1", "7.1"]),
        ("high memory during registration", ["4.1", "4.2"]),
        ("row counts differ", ["5.1"]),
    ],
)
def test_a_symptom_leads_to_every_check_that_can_find_it(text: str, issues: list[str]) -> None:
    assert [each.issue for each in explanations(text)][: len(issues)] == issues


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("my settings reverted to the defaults", "2.1"),
        ("the progress bar is stuck", "4.1"),
        ("row counts are different", "5.1"),
        ("it is a configuration error", "2"),
        ("feature engineering", "6"),
        ("type mismatch", "5.2"),
        ("data corruption after migration", "5.1"),
        ("slow queries", "3.3"),
        ("unresponsive system", "4.2"),
        ("MDM hangs", "7.1"),
        ("the backup fails", "1.1"),
        ("it is slow", "4.1"),
    ],
)
def test_a_persons_words_lead_there_too(text: str, issue: str) -> None:
    assert issue in {each.issue for each in explanations(text)}


def test_what_nothing_explains_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        UnknownSymptom, match=r"nothing explains 'purple smoke'; the nearest symptoms are '.+' \(\d\.\d\)"
    ):
        explanations("purple smoke")
    with pytest.raises(UnknownSymptom, match="the nearest symptoms are 'too many connections'"):
        explanations("connection problem")


def test_no_known_error_is_seen_in_a_line_that_has_none() -> None:
    assert known_error("Dataset 'wine' registered successfully") is None


def test_every_known_error_recognises_its_own_name() -> None:
    assert [error.name for error in KNOWN_ERRORS if known_error(error.name) is not error] == []
    assert [message.name for message in MESSAGES if not message.is_in(message.name)] == []
