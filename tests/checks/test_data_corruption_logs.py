"""Logs beside DuckDB and SQLite files: those that do not fit, that are damaged, or whose file is gone."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import follow

FAIL, WARN = Severity.FAIL, Severity.WARN
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
TWO_LOGS = tuple(map(int, duckdb.__version__.split(".")[:2])) >= (1, 5)

WRITING = (
    "import duckdb, os; c = duckdb.connect({path!r}); c.execute(\"SET wal_autocheckpoint='1GB'\")\n"
    "c.execute('CREATE TABLE more AS SELECT range AS a FROM range(700)'); c.execute('CHECKPOINT')\n"
    "for n in range(9): c.execute('INSERT INTO more SELECT range + ? FROM range(300)', [n])\n"
    "os._exit(9)"
)
CHECKPOINTING = """
import duckdb, threading
c = duckdb.connect({path!r}); c.execute("SET wal_autocheckpoint='1GB'")
c.execute('CREATE TABLE more AS SELECT range AS a FROM range(2000000)'); c.execute('CREATE TABLE counted (a INTEGER)')
def write():
    cursor = c.cursor()
    while True: cursor.execute('INSERT INTO counted VALUES (1)')
threading.Thread(target=write, daemon=True).start()
print('ready', flush=True)
while True:
    c.execute('UPDATE more SET a = a + 1')
    try: c.execute('CHECKPOINT')
    except duckdb.Error: pass
"""


@pytest.fixture
def look(examine: Examine) -> Examine:
    def run(home: Path, **options: object) -> Result:
        return examine("data-corruption", home, "shop", ignore=("metadata-corruption",), **options)

    return run


@pytest.fixture
def home(make_home: MakeHome) -> Path:
    return make_home("mdm-1.0.6-duckdb")


def data(home: Path) -> Path:
    return home / "datasets/shop/shop.duckdb"


def wal(home: Path) -> Path:
    return data(home).with_name("shop.duckdb.wal")


@pytest.fixture
def killed_home(home: Path) -> Path:
    """A home whose writer was killed: committed rows are in the log only."""
    program = WRITING.format(path=str(data(home)))
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert wal(home).stat().st_size > 0
    return home


def finding_of(result: Result, code: str) -> Finding:
    assert code in {each.code for each in result.findings}, result.findings
    (finding,) = (each for each in result.findings if each.code == code)
    return finding


def only_looks(finding: Finding) -> bool:
    for command in finding.remedy.commands:
        subprocess.run(command, shell=True, check=True, capture_output=True)  # noqa: S602 - commands are for the shell
    return {shlex.split(command)[0] for command in finding.remedy.commands} <= {"ls"}


@pytest.mark.parametrize("at", [0.3, 0.5, 0.9])
def test_a_damaged_duckdb_log_is_no_foreign_one(killed_home: Path, look: Examine, tree: Tree, at: float) -> None:
    content = bytearray(wal(killed_home).read_bytes())
    content[int(len(content) * at)] ^= 0x10
    wal(killed_home).write_bytes(content)
    before = tree(killed_home)
    result = look(killed_home)
    finding = finding_of(result, "data-corruption.unreplayable-log")
    assert (result.status, finding.severity) == (Status.FAIL, FAIL)
    assert [each.code for each in result.findings if each.severity is FAIL] == [finding.code]
    assert "Corrupt WAL" in finding.message
    assert tree(killed_home) == before
    follow(finding)
    assert not wal(killed_home).exists()
    assert look(killed_home).status is Status.PASS


@pytest.mark.skipif(not TWO_LOGS, reason="logs of this DuckDB do not name their file")
def test_a_log_of_an_older_state_of_the_file_is_foreign(home: Path, look: Examine) -> None:
    old = data(home).rename(home.parent / "old.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        connection.execute(f"ATTACH '{data(home)}' AS fresh (STORAGE_VERSION 'latest')")
        connection.execute("COPY FROM DATABASE old TO fresh")
    subprocess.run([sys.executable, "-c", WRITING.format(path=str(data(home)))], check=False)
    log = wal(home).read_bytes()
    with duckdb.connect(str(data(home))) as connection:
        connection.execute("DELETE FROM more")
    wal(home).write_bytes(log)
    finding = finding_of(look(home), "data-corruption.foreign-log")
    assert "refuses to open the file with it" in finding.message
    follow(finding)
    assert not wal(home).exists()
    assert look(home).status is Status.PASS


@pytest.mark.parametrize("content", [b"\0" * 3000, b"id,name\n" * 40, b"\x64"], ids=["zeros", "text", "a single byte"])
def test_a_log_that_duckdb_passes_over_is_said_to_be(home: Path, look: Examine, tree: Tree, content: bytes) -> None:
    wal(home).write_bytes(content)
    before = tree(home)
    finding = finding_of(look(home), "data-corruption.left-over-log")
    assert finding.severity is WARN
    assert "without taking anything from it" in finding.message
    assert only_looks(finding)
    assert tree(home) == before
    wal(home).unlink()
    assert look(home).status is Status.PASS


def test_a_log_that_duckdb_merges_is_merged_as_printed(killed_home: Path, look: Examine) -> None:
    finding = finding_of(look(killed_home), "data-corruption.left-over-log")
    follow(finding)
    assert not wal(killed_home).exists()
    assert look(killed_home).status is Status.PASS


def crash_in_checkpoint(path: Path) -> bool:
    """Kill a process while it has a second log beside the first."""
    program = CHECKPOINTING.format(path=str(path))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    second, until = path.with_name(f"{path.name}.wal.checkpoint"), time.monotonic() + 20
    try:
        while not second.exists() and time.monotonic() < until:
            time.sleep(0.001)
    finally:
        process.kill()
        process.communicate()
    return second.exists() and second.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.skipif(not TWO_LOGS, reason="this DuckDB writes no second log during a checkpoint")
def test_what_a_crash_in_a_checkpoint_leaves_is_no_failure(home: Path, look: Examine, tree: Tree) -> None:
    if not any(crash_in_checkpoint(data(home)) for _ in range(5)):
        pytest.skip("no checkpoint was caught")
    before = tree(home)
    result = look(home)
    finding = finding_of(result, "data-corruption.left-over-log")
    assert (result.status, finding.severity) == (Status.WARN, WARN)
    assert f"{wal(home)} and {wal(home)}.checkpoint" in finding.message
    assert tree(home) == before
    follow(finding)
    assert look(home).status is Status.PASS


def test_a_second_log_without_the_first_is_passed_over(killed_home: Path, look: Examine) -> None:
    wal(killed_home).rename(f"{wal(killed_home)}.checkpoint")
    finding = finding_of(look(killed_home), "data-corruption.left-over-log")
    assert "shop.duckdb.wal.checkpoint" in finding.message
    if TWO_LOGS:
        assert "without taking anything from it" in finding.message


def leave_sqlite_log(path: Path, suffix: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if suffix == "-wal":
            connection.execute("PRAGMA journal_mode=WAL")
        else:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA cache_size=2")
            connection.execute("BEGIN")
        connection.execute("UPDATE train SET id = id + 1")
        left = path.with_name(path.name + suffix).read_bytes()
    path.with_name(path.name + suffix).write_bytes(left)


GONE = [
    ("mdm-1.0.6-duckdb", ".wal"),
    ("mdm-1.0.6-duckdb", ".wal.checkpoint"),
    ("mdm-1.0.6-sqlite", "-wal"),
    ("mdm-1.0.6-sqlite", "-journal"),
]


def home_without_file(make_home: MakeHome, name: str, suffix: str) -> tuple[Path, Path]:
    """A home whose file is gone while its log is there, and the log."""
    home = make_home(name)
    path = home / f"datasets/shop/shop.{name.rpartition('-')[2]}"
    log = path.with_name(path.name + suffix)
    if path.suffix == ".sqlite":
        leave_sqlite_log(path, suffix)
    else:
        subprocess.run([sys.executable, "-c", WRITING.format(path=str(path))], check=False)
        path.with_name(f"{path.name}.wal").rename(log)
    path.unlink()
    return home, log


@pytest.mark.parametrize(("name", "suffix"), GONE)
def test_a_log_whose_file_is_gone_comes_before_any_restoring(
    make_home: MakeHome, examine: Examine, look: Examine, tree: Tree, name: str, suffix: str
) -> None:
    home, log = home_without_file(make_home, name, suffix)
    before = tree(home)
    result = look(home)
    finding = finding_of(result, "data-corruption.missing-file")
    registered = finding_of(examine("metadata-corruption", home, "shop"), "metadata-corruption.missing-data")
    for each in (finding, registered):
        assert f"but {log} is still there" in each.message
        assert each.remedy.text.startswith(f"Before anything is opened or restored there, move {log}")
        assert only_looks(each)
    assert {each.code for each in result.findings} == {finding.code}
    assert tree(home) == before
    log.unlink()
    assert "still there" not in finding_of(look(home), "data-corruption.missing-file").message


@pytest.mark.parametrize(("name", "suffix"), GONE)
def test_restoring_beside_a_log_puts_the_log_aside(make_home: MakeHome, look: Examine, name: str, suffix: str) -> None:
    saved = make_home(name, "saved")
    home, log = home_without_file(make_home, name, suffix)
    (home / "backup").mkdir(exist_ok=True)
    subprocess.run(["tar", "-C", saved, "-czf", home / "backup/mdm_backup_1.tar.gz", "datasets"], check=True)
    content = log.read_bytes()
    finding = finding_of(look(home), "data-corruption.missing-file")
    follow(finding)
    (kept,) = (file for saved in home.parent.glob("mdm-health-saved-*") for file in saved.rglob(log.name))
    assert (log.exists(), kept.read_bytes()) == (False, content)
    assert look(home).status is Status.PASS
