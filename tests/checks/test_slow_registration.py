"""4.1: what took long is distinguished from what is large."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status

CHECK = "slow-registration"
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
MakePython = Callable[..., Path]
START = datetime(2026, 11, 22, 12)  # noqa: DTZ001 - as MDM writes it


def only(result: Result, code: str) -> Finding:
    (finding,) = [each for each in result.findings if each.code == code]
    return finding


def codes(result: Result) -> set[str]:
    return {each.code for each in result.findings}


def registered(
    home: Path, dataset: str, rows: int, seconds: float, features: float = 0.0, start: datetime = START
) -> None:
    """Let the log tell of a registration that took so long, features included."""
    steps: list[tuple[float, str]] = [
        (0, "MDM logging initialized - Level: INFO"),
        (0, f"Starting registration for dataset '{dataset}'"),
        (0, f"Loading raw/{dataset}.csv as table 'data'"),
        (seconds - features, f"Loaded {rows} rows into 'data'"),
        *([(seconds - features, f"Generating features for dataset '{dataset}'")] if features else []),
        *([(seconds, "Generated 1 feature tables")] if features else []),
        (seconds, f"Dataset '{dataset}' registered successfully"),
    ]
    with (home / "logs/mdm.log").open("a") as log:
        for after, message in steps:
            time = (start + timedelta(seconds=after)).strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
            log.write(f"{time} - mdm.dataset.registrar - INFO - {message}\n")


def change(file: Path, pattern: str, replacement: str) -> None:
    text = file.read_text()
    changed = re.sub(pattern, replacement, text)
    assert changed != text
    file.write_text(changed)


def test_a_healthy_real_home_was_registered_in_no_time(examine: Examine, each_home: Path) -> None:
    result = examine(CHECK, each_home)
    assert (result.status, result.findings) == (Status.PASS, ())
    facts: Any = result.facts
    assert [each["dataset"] for each in facts["timings"]] == ["wine", "breast_cancer", "shop", "big"]
    assert [each["rows"] for each in facts["timings"]] == [178, 569, 2500, 25000]


def test_the_examined_home_stays_as_it_is(
    examine: Examine, make_home: MakeHome, tree: Callable[[Path], object]
) -> None:
    home, _ = make_home(), make_home("raw", "raw")
    before = tree(home)
    examine(CHECK, home, depth="full")
    assert tree(home) == before


def test_the_metrics_of_mdm_are_more_exact_than_its_log(examine: Examine, home: Path) -> None:
    facts: Any = examine(CHECK, home).facts
    shop = facts["timings"][2]
    assert (shop["recorded_in"], shop["seconds"], shop["rows"], shop["features"]) == (
        "metrics.db",
        1.735797,
        2500,
        True,
    )
    (home / "metrics.db").unlink()
    facts = examine(CHECK, home).facts
    assert facts["timings"][2]["recorded_in"] == "log"


@pytest.mark.parametrize("damage", [b"", b"SQLite format 3\0" + b"\xff" * 4096, b"not a database at all"])
def test_damaged_metrics_are_a_gap_and_the_log_is_still_there(examine: Examine, home: Path, damage: bytes) -> None:
    (home / "metrics.db").write_bytes(damage)
    result = examine(CHECK, home)
    assert result.status is Status.PASS
    assert "metrics.db could not be read" in result.reason
    assert len(result.facts["timings"]) == 4  # type: ignore[arg-type] # a list


def test_metrics_of_another_shape_are_a_gap(examine: Examine, home: Path) -> None:
    with sqlite3.connect(home / "metrics.db") as connection:
        connection.execute("ALTER TABLE metrics RENAME COLUMN duration_ms TO duration")
    connection.close()
    assert "metrics.db could not be read" in examine(CHECK, home).reason


def test_one_that_took_longer_than_before_is_a_warning(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=25_000, seconds=600)
    finding = only(examine(CHECK, home), "slow-registration.slower-than-before")
    assert finding.severity is Severity.WARN
    assert "'big'" in finding.message
    assert "10 minutes for 25000 rows" in finding.message


def test_one_that_took_longer_for_more_rows_did_not(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=50_000_000, seconds=600)
    assert "slow-registration.slower-than-before" not in codes(examine(CHECK, home))


def test_one_slower_than_before_is_repaired_by_a_quick_one(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=25_000, seconds=600)
    registered(home, "big", rows=25_000, seconds=1, start=START + timedelta(hours=1))
    assert codes(examine(CHECK, home)) == set()


def test_one_that_took_longer_than_the_others_is_a_warning(examine: Examine, home: Path) -> None:
    registered(home, "sales", rows=25_000, seconds=120)
    finding = only(examine(CHECK, home), "slow-registration.slower-than-others")
    assert finding.severity is Severity.WARN
    assert "252 times as long" in finding.message
    assert f"`MDM_HOME_DIR={home} python -m cProfile" in finding.remedy.text


def test_rows_with_features_are_not_compared_with_rows_without(examine: Examine, home: Path) -> None:
    registered(home, "sales", rows=25_000, seconds=40, features=39)
    assert codes(examine(CHECK, home)) == set()


def test_one_of_hours_is_a_warning_unless_its_rows_explain_it(examine: Examine, home: Path) -> None:
    registered(home, "few", rows=100, seconds=7300, features=7200)
    registered(home, "many", rows=200_000_000, seconds=7300, start=START + timedelta(hours=4))
    result = examine(CHECK, home)
    few, many = (each for each in result.findings if each.code == "slow-registration.took-hours")
    assert (few.subject, few.severity, many.subject, many.severity) == ("few", Severity.WARN, "many", Severity.NOTE)
    assert few.remedy.commands == ()
    assert "MDM_FEATURE_ENGINEERING_ENABLED=false in front of that one command" in few.remedy.text
    assert "2 hours" in few.message


def test_an_hour_that_only_the_metrics_tell_of_is_seen(examine: Examine, home: Path) -> None:
    with sqlite3.connect(home / "metrics.db") as connection:
        connection.execute(
            "INSERT INTO metrics (timestamp, metric_type, operation, duration_ms, dataset_name, row_count)"
            " VALUES ('2026-11-22 20:00:00.1', 'dataset_register', 'register_sales', 4e6, 'sales', 5000)"
        )
    connection.close()
    assert only(examine(CHECK, home), "slow-registration.took-hours").subject == "sales"


def test_one_that_took_hours_is_repaired_by_one_that_did_not(examine: Examine, home: Path) -> None:
    registered(home, "few", rows=100, seconds=7300, features=7200)
    registered(home, "few", rows=100, seconds=3, start=START + timedelta(hours=4))
    assert codes(examine(CHECK, home)) == set()


def test_features_that_take_most_of_a_minute_are_a_note(examine: Examine, home: Path) -> None:
    registered(home, "sales", rows=900, seconds=100, features=80)
    result = examine(CHECK, home)
    finding = only(result, "slow-registration.features-take-most")
    assert (finding.severity, result.status) == (Severity.NOTE, Status.PASS)
    registered(home, "sales", rows=900, seconds=20, start=START + timedelta(hours=1))
    assert codes(examine(CHECK, home)) == set()


def test_thousands_of_batches_are_a_warning_until_resized(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=2_000_000, seconds=20)
    small = {"MDM_PERFORMANCE_BATCH_SIZE": "100"}
    finding = only(examine(CHECK, home, environ=small), "slow-registration.small-batches")
    assert finding.severity is Severity.WARN
    assert "20000 batches of 100" in finding.message
    assert "MDM_PERFORMANCE_BATCH_SIZE" in finding.message
    assert finding.remedy.commands == ()
    named = re.search(r"(MDM_\w+)=(\d+) in front of that one command", finding.remedy.text)
    assert named is not None
    variable, value = named.groups()
    assert codes(examine(CHECK, home, environ={variable: value})) == set()


def test_small_batches_are_a_note_while_there_are_not_too_many(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=300_000, seconds=20)
    result = examine(CHECK, home, environ={"MDM_PERFORMANCE_BATCH_SIZE": "100"})
    assert only(result, "slow-registration.small-batches").severity is Severity.NOTE


def test_mdms_own_batch_size_is_no_finding_for_millions_of_rows(examine: Examine, home: Path) -> None:
    change(home / "mdm.yaml", "batch_size: 5000", "batch_size: 10000")
    registered(home, "big", rows=9_000_000, seconds=20)
    assert codes(examine(CHECK, home)) == set()
    (home / "mdm.yaml").unlink()
    registered(home, "big", rows=50_000_000, seconds=100, start=START + timedelta(hours=1))
    assert codes(examine(CHECK, home)) == set()


def test_rows_that_nothing_tells_are_counted(examine: Examine, home: Path) -> None:
    for file in ("logs/mdm.log", "metrics.db"):
        (home / file).unlink()
    facts: Any = examine(CHECK, home).facts
    assert {each["dataset"]: each["rows"] for each in facts["datasets"]} == {
        "big": None,  # too small a file for its rows to matter
        "breast_cancer": 569,
        "shop": 2500,
        "wine": None,
    }


@pytest.mark.parametrize(("size", "severity"), [(2 * 10**9, Severity.NOTE), (11 * 10**9, Severity.WARN)])
def test_gigabytes_in_sqlite_are_reported_with_what_to_consider(
    examine: Examine, home: Path, size: int, severity: Severity
) -> None:
    os.truncate(home / "datasets/big/big.sqlite", size)
    finding = only(examine(CHECK, home), "slow-registration.sqlite-for-large-data")
    assert finding.severity is severity
    assert finding.remedy.commands == ()
    assert "MDM_DATABASE_DEFAULT_BACKEND=duckdb in front of that one command" in finding.remedy.text
    assert "do not change the default for those that stay on SQLite" in finding.remedy.text


def test_gigabytes_in_sqlite_are_repaired_by_duckdb(examine: Examine, make_home: MakeHome) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    os.truncate(home / "datasets/big/big.duckdb", 11 * 10**9)
    assert "slow-registration.sqlite-for-large-data" not in codes(examine(CHECK, home))


def test_a_missing_reader_is_a_note_until_a_dataset_needs_it(
    examine: Examine, home: Path, make_python: MakePython
) -> None:
    python = make_python(distributions={"pandas": "2.3.0"})
    note = only(examine(CHECK, home, python=str(python)), "slow-registration.reader-missing")
    assert (note.severity, note.subject) == (Severity.NOTE, "pyarrow")
    change(home / "config/datasets/big.yaml", "source: .*", "source: /gone/big.parquet")
    finding = only(examine(CHECK, home, python=str(python)), "slow-registration.reader-missing")
    assert finding.severity is Severity.WARN
    assert "'big' cannot be registered again" in finding.message
    assert finding.remedy.commands == (f"{python} -m pip install --dry-run pyarrow",)


def test_a_missing_reader_is_repaired_when_it_is_installed(
    examine: Examine, home: Path, make_python: MakePython
) -> None:
    change(home / "config/datasets/big.yaml", "source: .*", "source: /gone/big.parquet")
    for number, package in enumerate(("pyarrow", "fastparquet")):
        python = make_python(distributions={"pandas": "2.3.0", package: "1.0"}, name=f"python{number}")
        assert codes(examine(CHECK, home, python=str(python))) == set()


def test_a_disk_without_room_for_another_copy_is_a_warning(examine: Examine, home: Path) -> None:
    file = home / "datasets/big/big.sqlite"
    size = file.stat().st_size
    os.truncate(file, shutil.disk_usage(home).free + 10**10)  # takes no room itself
    found = [each for each in examine(CHECK, home).findings if each.code == "slow-registration.no-room"]
    assert "the data" in {each.subject for each in found}
    assert found[0].severity is Severity.WARN
    os.truncate(file, size)
    assert codes(examine(CHECK, home)) == set()


def test_a_registration_that_is_slow_in_every_way_is_one_warning(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=2_000_000, seconds=800_000, features=700_000)
    os.truncate(home / "datasets/big/big.sqlite", 11 * 10**9)
    small = {"MDM_PERFORMANCE_BATCH_SIZE": "100"}
    result = examine(CHECK, home, environ=small)
    (finding,) = [each for each in result.findings if each.severity is Severity.WARN and "no-room" not in each.code]
    assert finding.code == "slow-registration.slower-than-before"
    assert finding.evidence["also"] == ["took-hours", "slower-than-others", "features-take-most"]
    assert "2000000 rows, " in finding.message
    assert ", 2 rows a second, " in finding.message
    assert codes(result) >= {f"{CHECK}.{code}" for code in ("small-batches", "sqlite-for-large-data")}
    registered(home, "big", rows=2_000_000, seconds=20, start=START + timedelta(days=20))
    warned = {each.code for each in examine(CHECK, home, environ=small).findings if each.severity is Severity.WARN}
    assert warned - {f"{CHECK}.no-room"} == {f"{CHECK}.small-batches", f"{CHECK}.sqlite-for-large-data"}


def test_a_setting_too_small_for_many_datasets_is_one_finding(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=2_000_000, seconds=20)
    registered(home, "shop", rows=3_000_000, seconds=30, start=START + timedelta(hours=1))
    finding = only(examine(CHECK, home, environ={"MDM_PERFORMANCE_BATCH_SIZE": "100"}), f"{CHECK}.small-batches")
    assert finding.message.startswith("'shop' with 3000000 rows")
    assert finding.message.endswith(", 1 other dataset in thousands too")


Measure = Callable[..., None]


@pytest.fixture
def measure(home: Path) -> Measure:
    """Let MDM's metrics tell of a query or a registration that took so long."""

    def insert(
        seconds: float,
        *,
        kind: str = "query_execution",
        operation: str = "load_shop",
        dataset: str | None = "shop",
        rows: int = 0,
        start: datetime = START,
    ) -> None:
        row = (str(start), kind, operation, seconds * 1000, dataset, rows)
        with contextlib.closing(sqlite3.connect(home / "metrics.db")) as connection, connection:
            connection.execute(
                "INSERT INTO metrics (timestamp, metric_type, operation, duration_ms, dataset_name, row_count)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )

    return insert


LATER = START + timedelta(hours=1)


def test_a_registration_slower_than_the_baseline_is_one_warning(examine: Examine, home: Path) -> None:
    registered(home, "big", rows=25_000, seconds=4)
    before = examine(CHECK, home)
    registered(home, "big", rows=50_000, seconds=20, start=LATER)
    assert codes(examine(CHECK, home)) == set()
    finding = only(examine(CHECK, home, before=before), f"{CHECK}.slower-than-before")
    assert (finding.severity, finding.subject) == (Severity.WARN, "big")
    assert "20 s for 50000 rows, " in finding.message
    assert finding.message.endswith(" times as long for each row as in the baseline")
    registered(home, "big", rows=50_000, seconds=2, start=LATER + timedelta(hours=1))
    assert codes(examine(CHECK, home, before=before)) == set()  # repaired


@pytest.mark.parametrize(
    ("rows", "seconds"),
    [(25_000, 4.9), (250_000, 9), (2_500_000, 80), (25_000, 0.3)],
    ids=["too little", "as expected", "less than twice", "quicker"],
)
def test_a_hardly_slower_registration_is_healthy(examine: Examine, home: Path, rows: int, seconds: float) -> None:
    before = examine(CHECK, home)
    registered(home, "big", rows=rows, seconds=seconds, start=LATER)
    assert codes(examine(CHECK, home, before=before)) == set()


def test_what_the_baseline_may_already_contain_is_not_compared(examine: Examine, home: Path, measure: Measure) -> None:
    measure(1, start=LATER)
    before = examine(CHECK, home)
    registered(home, "big", rows=25_000, seconds=29)
    measure(60, start=START)
    assert codes(examine(CHECK, home, before=before)) == set()


def test_a_registration_of_unknown_rows_is_not_compared(examine: Examine, home: Path, measure: Measure) -> None:
    before = examine(CHECK, home)
    measure(500, kind="dataset_register", operation="register_shop", start=LATER)
    assert codes(examine(CHECK, home, before=before)) == set()


def test_slower_queries_are_one_warning_per_dataset(examine: Examine, home: Path, measure: Measure) -> None:
    for operation, seconds in {"load_shop": 1, "count_shop": 2, "list": 0.5}.items():
        measure(seconds, operation=operation, dataset=None if operation == "list" else "Shop")
    before = examine(CHECK, home)
    assert "queries" not in before.facts
    for operation, seconds in {"load_shop": 5, "count_shop": 4, "list": 1.4}.items():
        measure(seconds, operation=operation, dataset=None if operation == "list" else "Shop", start=LATER)
    result = examine(CHECK, home, before=before)
    finding = only(result, f"{CHECK}.slower-than-before")
    assert (finding.severity, finding.subject) == (Severity.WARN, "queries shop")
    assert finding.message == (
        "'load_shop' on 'shop' takes 5.0 s, 5 times as long as in the baseline; 1 more kind of query became slower"
    )
    assert finding.evidence == {"count_shop": [2.0, 4.0], "load_shop": [1.0, 5.0]}
    done = subprocess.run(["/bin/sh", "-c", finding.remedy.commands[0]], capture_output=True, text=True, check=True)
    assert "load_shop" in done.stdout
    for _ in range(3):
        measure(1, start=LATER + timedelta(minutes=1))
        measure(1, operation="count_shop", start=LATER + timedelta(minutes=1))
    assert codes(examine(CHECK, home, before=before)) == set()  # repaired


@pytest.mark.parametrize(("then", "now"), [(0.4, 1.3), (10, 19)], ids=["too little", "less than twice"])
def test_hardly_slower_queries_are_healthy(
    examine: Examine, home: Path, measure: Measure, then: float, now: float
) -> None:
    measure(then)
    before = examine(CHECK, home)
    measure(now, start=LATER)
    assert codes(examine(CHECK, home, before=before)) == set()


def test_queries_for_more_rows_may_take_longer(examine: Examine, home: Path, measure: Measure) -> None:
    measure(1, rows=1000)
    before = examine(CHECK, home)
    measure(50, rows=50_000, start=LATER)
    assert codes(examine(CHECK, home, before=before)) == set()
    measure(50, rows=5000, start=LATER)
    measure(50, rows=5000, start=LATER)
    assert codes(examine(CHECK, home, before=before)) == {f"{CHECK}.slower-than-before"}


def test_rows_that_are_known_on_one_side_only_compare_nothing(examine: Examine, home: Path, measure: Measure) -> None:
    measure(1)
    before = examine(CHECK, home)
    measure(50, rows=5000, start=LATER)
    assert codes(examine(CHECK, home, before=before)) == set()


def test_slow_queries_are_a_note_beside_a_slow_registration(examine: Examine, home: Path, measure: Measure) -> None:
    measure(1)
    before = examine(CHECK, home)
    registered(home, "shop", rows=2500, seconds=20, start=LATER)
    measure(50, start=LATER)
    found = [(each.subject, each.severity) for each in examine(CHECK, home, before=before).findings]
    assert found == [("shop", Severity.WARN), ("queries shop", Severity.NOTE)]


def test_a_baseline_that_knew_of_no_queries_still_loads(examine: Examine, home: Path, measure: Measure) -> None:
    before = examine(CHECK, home)
    old = replace(before, kept={})
    measure(50, start=LATER)
    assert examine(CHECK, home, before=old).status is Status.PASS


def test_an_empty_home_has_nothing_to_time(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "empty/config/datasets").mkdir(parents=True)
    assert examine(CHECK, tmp_path / "empty").status is Status.SKIP
