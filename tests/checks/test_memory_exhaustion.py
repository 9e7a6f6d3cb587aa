"""4.2: what does not fit into memory is reported before it runs out, in this machine's own numbers."""

from __future__ import annotations

import re
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.checks.memory_exhaustion import judge
from pytest_mdm_health.checks.memory_exhaustion.collect import collect
from pytest_mdm_health.checks.memory_exhaustion.facts import MemoryFacts
from pytest_mdm_health.core.model import HOME, Depth, Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.run import Run
from pytest_mdm_health.engine.sandbox import Sandbox
from pytest_mdm_health.mdm.host.machine import ControlGroup, Killed, Machine
from pytest_mdm_health.mdm.inventory import take_inventory

CHECK = "memory-exhaustion"
LIMIT = 400_000_000
Examine = Callable[..., Result]
MakeHome = Callable[[str], Path]


@pytest.fixture(scope="module")
def _limited() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def examine_limited(_limited: Sandbox, watching: Callable[..., AbstractContextManager[None]]) -> Examine:
    """Examine in a process that may have `LIMIT` bytes, as after `ulimit -d` in a shell."""

    def run(home: Path, environ: dict[str, str] | None = None) -> Result:
        made = Run(Options(home=home), environ=environ or {}, sandbox=_limited)
        assert _limited.pid is not None
        resource.prlimit(_limited.pid, resource.RLIMIT_DATA, (LIMIT, LIMIT))
        with watching(home), closing(made):
            return made.result(made.modules[CHECK], HOME)

    return run


def only(result: Result, code: str) -> Finding:
    (finding,) = [each for each in result.findings if each.code == code]
    return finding


def codes(result: Result) -> set[str]:
    """What was found, but for what happened on the machine before."""
    return {each.code for each in result.findings} - {"memory-exhaustion.oom-kills"}


def change(file: Path, pattern: str, replacement: str) -> None:
    text = file.read_text()
    changed = re.sub(pattern, replacement, text)
    assert changed != text
    file.write_text(changed)


def widen(home: Path, rows: int, width: int) -> None:
    """Give a SQLite dataset wide rows."""
    with sqlite3.connect(home / "datasets/big/big.sqlite") as connection:
        connection.execute("DROP TABLE big")
        connection.execute("CREATE TABLE big (text TEXT)")
        connection.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            "INSERT INTO big SELECT CAST(zeroblob(?) AS TEXT) FROM n",
            (rows, width),
        )
    connection.close()


@pytest.fixture
def duckdb_home(make_home: MakeHome) -> Path:
    return make_home("mdm-1.0.6-duckdb")


@pytest.fixture
def large(duckdb_home: Path) -> Path:
    """A home with a DuckDB dataset that takes more than `LIMIT` as a data frame, and little on disk."""
    with duckdb.connect(str(duckdb_home / "datasets/big/big.duckdb")) as connection:
        connection.execute("CREATE OR REPLACE TABLE big AS SELECT repeat('x', 1000) AS text FROM range(500_000)")
    return duckdb_home


def test_a_healthy_real_home_needs_no_more_than_there_is(examine: Examine, each_home: Path) -> None:
    result = examine(CHECK, each_home)
    assert (result.status, codes(result)) == (Status.PASS, set())


def test_the_defaults_of_mdm_are_no_finding_by_themselves(examine_limited: Examine, duckdb_home: Path) -> None:
    (duckdb_home / "mdm.yaml").unlink()
    result = examine_limited(duckdb_home, {"MDM_DATABASE_DEFAULT_BACKEND": "duckdb"})
    assert (result.status, codes(result)) == (Status.PASS, set())


def test_the_examined_home_stays_as_it_is(examine: Examine, large: Path, tree: Callable[[Path], object]) -> None:
    before = tree(large)
    examine(CHECK, large)
    assert tree(large) == before


def test_a_batch_that_takes_most_of_the_memory_is_a_warning(examine_limited: Examine, home: Path) -> None:
    widen(home, rows=2000, width=40_000)
    finding = only(examine_limited(home), "memory-exhaustion.batch-too-large")
    assert finding.severity is Severity.WARN
    assert "2000 rows of 39.1 KiB" in finding.message
    assert "ulimit -d" in finding.message
    assert "mdm.yaml, line" in finding.message


def test_a_batch_that_takes_more_than_a_tenth_is_a_note(examine_limited: Examine, home: Path) -> None:
    widen(home, rows=2000, width=10_000)
    assert only(examine_limited(home), "memory-exhaustion.batch-too-large").severity is Severity.NOTE


def test_a_batch_is_repaired_by_the_size_that_is_proposed(examine_limited: Examine, home: Path) -> None:
    widen(home, rows=2000, width=40_000)
    remedy = only(examine_limited(home), "memory-exhaustion.batch-too-large").remedy
    proposed = re.search(r"available memory: (\d+) rows, as (MDM_\w+) or `performance.batch_size`", remedy.text)
    assert proposed is not None
    assert (remedy.commands, "check its feature tables" in remedy.text) == ((), True)
    assert codes(examine_limited(home, {proposed[2]: proposed[1]})) == set()


def test_at_quick_depth_nothing_is_opened_and_sizes_are_guessed(examine: Examine, home: Path) -> None:
    facts = collect(take_inventory(home, {}), Depth.QUICK)
    assert {each.dataset: each.how for each in facts.datasets} == {
        "big": "file size",
        "breast_cancer": "file size",
        "wine": "file size",
        "shop": "recorded",
    }
    assert examine(CHECK, home, depth="quick").status is Status.PASS


def test_a_database_that_would_have_to_be_copied_is_not_measured(home: Path) -> None:
    (home / "datasets/big/big.sqlite-wal").write_bytes(b"x")
    facts = collect(take_inventory(home, {}), Depth.STANDARD)
    assert {each.dataset: each.how for each in facts.datasets}["big"] == "file size"


def test_a_damaged_database_is_a_gap_and_no_crash(examine: Examine, home: Path) -> None:
    file = home / "datasets/big/big.sqlite"
    file.write_bytes(file.read_bytes()[:16] + b"\xff" * 4096)
    result = examine(CHECK, home)
    assert result.status is Status.PASS
    assert "the rows of big could not be measured" in result.reason


def test_a_dataset_that_does_not_fit_as_a_whole_is_a_warning(examine_limited: Examine, large: Path) -> None:
    finding = only(examine_limited(large), "memory-exhaustion.dataset-too-large")
    assert finding.severity is Severity.WARN
    assert "'big' needs about 504 MiB as data frames" in finding.message


def test_a_source_that_mdm_reads_whole_counts_twice(examine_limited: Examine, large: Path) -> None:
    with duckdb.connect(str(large / "datasets/big/big.duckdb")) as connection:
        connection.execute("CREATE OR REPLACE TABLE big AS SELECT repeat('x', 1000) AS text FROM range(240_000)")
    assert only(examine_limited(large), "memory-exhaustion.dataset-too-large").severity is Severity.NOTE
    (large / "raw").mkdir()
    (large / "raw/big.parquet").write_bytes(b"PAR1")
    change(large / "config/datasets/big.yaml", r"source: .*", "source: raw/big.parquet")
    finding = only(examine_limited(large), "memory-exhaustion.dataset-too-large")
    assert finding.severity is Severity.WARN
    assert "reads" in finding.message
    assert "twice" in finding.message


def test_a_dataset_is_repaired_when_it_is_made_smaller(examine_limited: Examine, large: Path) -> None:
    with duckdb.connect(str(large / "datasets/big/big.duckdb")) as connection:
        connection.execute("DELETE FROM big WHERE rowid >= 1000")
    assert codes(examine_limited(large)) <= {"memory-exhaustion.duckdb-limit"}


def test_a_limit_that_data_but_not_memory_can_reach_is_a_warning(examine_limited: Examine, large: Path) -> None:
    finding = only(examine_limited(large), "memory-exhaustion.duckdb-limit")
    assert finding.severity is Severity.WARN
    assert "may use 2GB" in finding.message


def test_a_limit_above_memory_is_a_note_while_the_data_is_small(examine: Examine, duckdb_home: Path) -> None:
    change(duckdb_home / "mdm.yaml", "memory_limit: 2GB", "memory_limit: 900TB")
    result = examine(CHECK, duckdb_home)
    assert only(result, "memory-exhaustion.duckdb-limit").severity is Severity.NOTE
    assert result.status is Status.PASS


def test_a_limit_is_repaired_by_the_one_that_is_proposed(examine_limited: Examine, large: Path) -> None:
    finding = only(examine_limited(large), "memory-exhaustion.duckdb-limit")
    proposed = re.search(r"memory_limit: (\w+)`", finding.remedy.text)
    assert proposed is not None
    change(large / "mdm.yaml", "memory_limit: 2GB", f"memory_limit: {proposed[1]}")
    assert "memory-exhaustion.duckdb-limit" not in codes(examine_limited(large))


def test_a_limit_that_duckdb_refuses_is_a_failure(examine: Examine, duckdb_home: Path) -> None:
    change(duckdb_home / "mdm.yaml", "memory_limit: 2GB", "memory_limit: plenty")
    finding = only(examine(CHECK, duckdb_home), "memory-exhaustion.duckdb-limit-unusable")
    assert finding.severity is Severity.FAIL
    with pytest.raises(duckdb.Error):
        duckdb.connect(config={"memory_limit": "plenty"})
    change(duckdb_home / "mdm.yaml", "memory_limit: plenty", "memory_limit: 2GB")
    assert codes(examine(CHECK, duckdb_home)) == set()


def test_duckdbs_settings_do_not_matter_where_it_is_not_used(examine: Examine, home: Path) -> None:
    change(home / "mdm.yaml", "memory_limit: 2GB", "memory_limit: plenty")
    assert codes(examine(CHECK, home)) == set()


def test_many_threads_for_little_memory_are_a_note(examine: Examine, duckdb_home: Path) -> None:
    change(duckdb_home / "mdm.yaml", "threads: 2", "threads: 64")
    result = examine(CHECK, duckdb_home)
    assert only(result, "memory-exhaustion.duckdb-threads").severity is Severity.NOTE
    change(duckdb_home / "mdm.yaml", "threads: 64", "threads: 4")
    assert codes(examine(CHECK, duckdb_home)) == set()


@pytest.fixture
def spill_into(large: Path) -> Callable[[str], Path]:
    def set_folder(folder: str) -> Path:
        change(large / "mdm.yaml", "threads: 2", f"threads: 2\n    temp_directory: {folder}")
        return large

    return set_folder


def test_a_folder_to_spill_into_that_cannot_be_used_is_a_warning(
    examine: Examine, examine_limited: Examine, spill_into: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    home = spill_into(str(tmp_path / "file"))
    finding = only(examine_limited(home), "memory-exhaustion.duckdb-spill")
    assert finding.severity is Severity.WARN
    assert "is a file" in finding.message
    assert only(examine(CHECK, home), "memory-exhaustion.duckdb-spill").severity is Severity.NOTE


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system in memory")
def test_a_folder_to_spill_into_in_memory_is_a_warning(
    examine_limited: Examine, spill_into: Callable[[str], Path]
) -> None:
    finding = only(examine_limited(spill_into("/dev/shm/mdm")), "memory-exhaustion.duckdb-spill")
    assert "in memory itself" in finding.message


def test_a_folder_to_spill_into_is_repaired_by_another_one(
    examine_limited: Examine, spill_into: Callable[[str], Path], tmp_path: Path
) -> None:
    assert "memory-exhaustion.duckdb-spill" not in codes(examine_limited(spill_into(str(tmp_path / "new" / "spill"))))
    assert not (tmp_path / "new").exists()


def test_a_process_that_holds_nearly_all_memory_is_a_warning(
    examine_limited: Examine, home: Path, run_mdm: Callable[..., subprocess.Popen[bytes]]
) -> None:
    process = run_mdm("dataset", "export", "--secret=hunter2", before=f"held = bytearray(b'x') * {LIMIT}", home=home)
    finding = only(examine_limited(home), "memory-exhaustion.process-memory")
    assert f"`mdm dataset export` (PID {process.pid})" in finding.message
    assert "hunter2" not in str(finding)
    process.kill()
    process.wait()
    assert codes(examine_limited(home)) == set()


@pytest.fixture
def facts(home: Path) -> MemoryFacts:
    """What is collected on a home, on a machine on which no process was killed."""
    collected = collect(take_inventory(home, {}), Depth.STANDARD)
    return replace(collected, machine=replace(collected.machine, kills=0, killed=(), group=ControlGroup()))


KILLED_AT = "2026-11-22 08:00:00+00:00"
FIREFOX = (Killed(name="firefox", at=1.0, size=1),)


@pytest.mark.parametrize(
    ("machine", "killed_at", "succeeded", "code", "severity"),
    [
        (
            {"available": 1_000_000_000, "ram": 16_000_000_000, "ulimits": {}},
            "",
            False,
            "memory-exhaustion.memory-low",
            Severity.WARN,
        ),
        ({"kills": 1}, KILLED_AT, False, "memory-exhaustion.oom-kills", Severity.WARN),
        ({"kills": 1}, KILLED_AT, True, "memory-exhaustion.oom-kills", Severity.NOTE),
        (
            {"kills": 2, "group": ControlGroup(limit=16_000_000_000, kills=2)},
            "",
            False,
            "memory-exhaustion.oom-kills",
            Severity.WARN,
        ),
        ({"kills": 3, "killed": FIREFOX}, "", False, "memory-exhaustion.oom-kills", Severity.NOTE),
        ({"kills": 3, "killed": None}, "", False, "memory-exhaustion.oom-kills", Severity.NOTE),
    ],
)
def test_what_happened_on_the_machine_is_judged_by_whom_it_hit(
    facts: MemoryFacts, machine: dict[str, object], killed_at: str, succeeded: bool, code: str, severity: Severity
) -> None:
    changed: Machine = replace(facts.machine, **machine)  # type: ignore[arg-type] # by name
    (finding,) = judge(replace(facts, machine=changed, mdm_killed_at=killed_at, succeeded_since=succeeded))
    assert (finding.code, finding.severity) == (code, severity)


def test_a_machine_with_enough_memory_has_no_finding(facts: MemoryFacts) -> None:
    assert list(judge(facts)) == []


def out_of_memory(home: Path) -> None:
    record = "2026-11-22 09:00:00 | ERROR | mdm.features.generator:generate:47 - Failed: Unable to allocate 12.0 GiB"
    with (home / "logs/mdm.log").open("a") as log:
        log.write(
            f"2026-11-22 08:59:59 | INFO | mdm.r:register:93 - Starting registration for dataset 'big'\n{record}\n"
        )


def test_exhausted_memory_is_a_warning_with_its_place_in_the_log(examine: Examine, home: Path) -> None:
    out_of_memory(home)
    finding = only(examine(CHECK, home), "memory-exhaustion.ran-out")
    assert finding.severity is Severity.WARN
    assert "while 'big' was registered" in finding.message
    assert finding.location is not None
    (command,) = finding.remedy.commands
    shown = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True, timeout=60).stdout
    assert "Unable to allocate" in shown
    assert (
        "Unable to allocate" in Path(finding.location.file).read_text().splitlines()[(finding.location.line or 0) - 1]
    )


def test_memory_that_ran_out_is_repaired_by_success(examine: Examine, home: Path) -> None:
    out_of_memory(home)
    with (home / "logs/mdm.log").open("a") as log:
        log.write("2026-11-22 10:00:00 | INFO | mdm.r:register:93 - Dataset 'big' registered successfully\n")
    result = examine(CHECK, home)
    assert only(result, "memory-exhaustion.ran-out").severity is Severity.NOTE
    assert result.status is Status.PASS


def test_on_an_empty_home_the_machine_is_examined(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "empty/config/datasets").mkdir(parents=True)
    assert examine(CHECK, tmp_path / "empty").status is Status.PASS
