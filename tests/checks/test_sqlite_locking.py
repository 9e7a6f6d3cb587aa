"""Locks that are in somebody's way are found; that a file is merely used, or was, is not held against it."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_mdm_health.checks.sqlite_locking import judge, observe
from pytest_mdm_health.checks.sqlite_locking.collect import _writers, watch
from pytest_mdm_health.checks.sqlite_locking.facts import LockFacts
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.mdm.host import mounts
from pytest_mdm_health.mdm.host.locks import PENDING, RESERVED, LockKind, locks_on
from pytest_mdm_health.mdm.host.mounts import file_system_of, is_network
from pytest_mdm_health.mdm.host.processes import Holder, lock_holders
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.mdm.logs import known_errors
from tests.helpers import follow, repair

CHECK = "sqlite-locking"
WARN, NOTE = Severity.WARN, Severity.NOTE
Examine = Callable[..., Result]
Hold = Callable[[str], "subprocess.Popen[bytes]"]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
MakeHome = Callable[..., Path]

CONNECT = "import sqlite3, os; c = sqlite3.connect({path!r}, isolation_level=None); "
SPILL = "c.execute('PRAGMA cache_size=2'); c.execute('BEGIN'); c.execute('UPDATE train_features SET id = -1')"


@pytest.fixture
def look(examine: Examine) -> Callable[..., Result]:
    def run(home: Path, dataset: str = "shop", **options: object) -> Result:
        return examine(CHECK, home, dataset, **options)

    return run


def data(home: Path, dataset: str = "shop") -> Path:
    return home / f"datasets/{dataset}/{dataset}.sqlite"


@pytest.fixture
def rollback_home(home: Path) -> Path:
    """MDM makes its files in WAL mode; in this home one was converted."""
    connection = sqlite3.connect(data(home))
    assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    connection.close()
    return home


def killed(home: Path, code: str) -> None:
    """Another process that dies in the middle of its work on the data."""
    program = CONNECT.format(path=str(data(home))) + code + "; os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9


def log_error(
    home: Path, about: str = "Failed to update dataset 'shop'", *, days_ago: float = 0, lines: int = 1
) -> None:
    log = home / "logs/mdm.log"
    moment = datetime.now(timezone.utc).astimezone() - timedelta(days=days_ago)
    line = f"{moment:%Y-%m-%d %H:%M:%S} | ERROR | mdm.dataset.manager:update:81 - {about}: database is locked\n"
    with log.open("a", encoding="utf-8") as file:
        file.write(line * lines)


def findings(result: Result) -> dict[str, Finding]:
    return {finding.code: finding for finding in result.findings}


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All values of all tables, with their types, as whoever opens the file with what is beside it sees them."""
    with tempfile.TemporaryDirectory() as folder:
        for each in path.parent.glob(f"{path.name}*"):
            shutil.copy(each, folder)
        return _tables(Path(folder, path.name))


def tables_alone(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The same of the file without what is beside it."""
    with tempfile.TemporaryDirectory() as folder:
        return _tables(Path(shutil.copy(path, folder)))


def _tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: [tuple((value, type(value)) for value in row) for row in connection.execute(f"SELECT * FROM {name}")]
            for name in names
        }


def opened_by_mdm(path: Path) -> None:
    """As SQLAlchemy does for any command that reads: for writing, because the file could have to be recovered."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


def assert_only_looks(finding: Finding) -> None:
    assert [shlex.split(command)[0] for command in finding.remedy.commands] == ["ls"]
    follow(finding)


@pytest.mark.parametrize("name", ["mdm-0.1.0-sqlite", "mdm-1.0.6-sqlite"])
def test_a_healthy_home_is_examined_and_not_accused(make_home: MakeHome, look: Examine, tree: Tree, name: str) -> None:
    home = make_home(name)
    before = tree(home)
    for dataset in ("big", "breast_cancer", "shop", "wine"):
        result = look(home, dataset)
        assert (result.status, result.findings) == (Status.PASS, ())
        assert result.facts["wal"] is True
        assert result.facts["readers"] == 10
    assert tree(home) == before


def test_a_rollback_journal_is_a_note_and_repaired_by_the_pragma(
    rollback_home: Path, look: Examine, tree: Tree
) -> None:
    right = tables(data(rollback_home))
    names = sorted(each.name for each in data(rollback_home).parent.iterdir())
    before = tree(rollback_home)
    result = look(rollback_home)
    finding = findings(result)["sqlite-locking.journal-mode"]
    assert (result.status, finding.severity) == (Status.PASS, NOTE)
    assert "although the settings say WAL" in finding.message
    assert tree(rollback_home) == before
    follow(finding)
    assert tables(data(rollback_home)) == right
    assert sorted(each.name for each in data(rollback_home).parent.iterdir()) == names
    assert look(rollback_home).findings == ()


def test_a_configured_rollback_journal_is_only_a_note(rollback_home: Path, look: Examine) -> None:
    settings = rollback_home / "mdm.yaml"
    settings.write_text(
        settings.read_text(encoding="utf-8").replace("database:", "database:\n  sqlite:\n    journal_mode: DELETE"),
        encoding="utf-8",
    )
    finding = findings(look(rollback_home))["sqlite-locking.journal-mode"]
    assert finding.severity is NOTE
    assert "though" not in finding.message
    assert finding.remedy.commands == ()


@pytest.mark.parametrize("mode", ["OFF", "MEMORY"])
def test_a_journal_mode_that_risks_the_file_is_a_warning(home: Path, look: Examine, mode: str) -> None:
    settings = home / "mdm.yaml"
    sound = settings.read_text(encoding="utf-8")
    settings.write_text(
        sound.replace("database:", f"database:\n  sqlite:\n    journal_mode: '{mode}'"), encoding="utf-8"
    )
    log_error(home)
    found = findings(look(home))
    finding = found["sqlite-locking.unsafe-journal-mode"]
    assert finding.severity is WARN
    assert finding.location is not None
    assert finding.location.file == str(settings)
    assert found["sqlite-locking.lock-errors"].severity is WARN
    home.joinpath("logs/mdm.log").write_text("")
    follow(finding)
    assert "    journal_mode: 'WAL'\n" in settings.read_text(encoding="utf-8")
    assert look(home).findings == ()


@pytest.mark.parametrize(
    "about", ["Failed to update dataset 'shop'", "Failed", "write to /x/datasets/shop/x", "shop.sqlite"]
)
def test_a_rollback_journal_with_logged_errors_is_a_warning(rollback_home: Path, look: Examine, about: str) -> None:
    log_error(rollback_home, about, lines=3)
    finding = findings(look(rollback_home))["sqlite-locking.journal-mode"]
    assert finding.severity is WARN
    assert "3 times" in finding.message


@pytest.mark.parametrize(("about", "days_ago"), [("Failed to update dataset 'wine'", 0), ("Failed", 8)])
def test_old_or_unrelated_lock_errors_are_no_evidence(
    rollback_home: Path, look: Examine, about: str, days_ago: float
) -> None:
    log_error(rollback_home, about, days_ago=days_ago)
    assert findings(look(rollback_home))["sqlite-locking.journal-mode"].severity is NOTE


def test_lock_errors_in_a_rotated_log_count(rollback_home: Path, look: Examine) -> None:
    log_error(rollback_home)
    log = rollback_home / "logs/mdm.log"
    with gzip.open(log.with_name("mdm.log.1.gz"), "wb") as rotated:
        rotated.write(log.read_bytes())
    log.write_text("")
    assert findings(look(rollback_home))["sqlite-locking.journal-mode"].severity is WARN


def test_lock_errors_in_the_log_of_the_old_format_count(make_home: MakeHome, look: Examine) -> None:
    home = make_home("mdm-0.1.0-sqlite")
    seconds = datetime.now(timezone.utc).timestamp()
    with (home / "logs/mdm.log").open("a", encoding="utf-8") as log:
        log.write(
            '{"text": "x", "record": {"level": {"name": "ERROR"}, "name": "mdm", "function": "f", "exception": '
            '{"type": "OperationalError", "value": "(sqlite3.OperationalError) database is locked"}, '
            f'"message": "Failed to update \'shop\'", "time": {{"timestamp": {seconds}}}}}}}\n'
        )
    assert findings(look(home))["sqlite-locking.lock-errors"].severity is WARN


def test_lock_errors_in_wal_mode_warn_until_a_write_succeeds(home: Path, look: Examine) -> None:
    log_error(home)
    finding = findings(look(home))["sqlite-locking.lock-errors"]
    assert finding.severity is WARN
    assert finding.location is not None
    assert finding.location.line is not None
    written = datetime.now(timezone.utc).timestamp() + 5
    connection = sqlite3.connect(data(home))
    connection.execute("UPDATE test SET id = id")
    connection.commit()
    connection.close()
    os.utime(data(home), (written, written))
    repaired = look(home)
    assert (repaired.status, repaired.findings[0].severity) == (Status.PASS, NOTE)


@pytest.mark.parametrize("mode", ["OFF", "MEMORY"])
def test_lock_errors_count_whatever_mode_the_settings_select(rollback_home: Path, look: Examine, mode: str) -> None:
    settings = rollback_home / "mdm.yaml"
    sound = settings.read_text(encoding="utf-8")
    settings.write_text(
        sound.replace("database:", f"database:\n  sqlite:\n    journal_mode: '{mode}'"), encoding="utf-8"
    )
    os.utime(data(rollback_home), (0, 0))
    log_error(rollback_home, lines=2)
    finding = findings(look(rollback_home))["sqlite-locking.lock-errors"]
    assert (finding.severity, "2 times" in finding.message) == (WARN, True)
    assert "WAL mode" not in finding.message


def test_a_reader_after_a_lock_error_is_no_write(home: Path, look: Examine, hold: Hold) -> None:
    """A reader of a file in WAL mode makes a `-shm` and an empty `-wal`."""
    before = datetime.now(timezone.utc).timestamp() - 60
    os.utime(data(home), (before, before))
    log_error(home)
    time.sleep(1.1)  # the log has whole seconds
    hold(CONNECT.format(path=str(data(home))) + "c.execute('SELECT count(*) FROM test').fetchone()")
    assert data(home).with_name("shop.sqlite-shm").stat().st_mtime > before + 60
    assert findings(look(home))["sqlite-locking.lock-errors"].severity is WARN


def test_a_lock_error_in_a_line_of_another_form_is_no_pass(home: Path, look: Examine) -> None:
    with (home / "logs/mdm.log").open("a", encoding="utf-8") as log:
        log.write("ts=2026-11-29T08:17:57Z level=error msg=\"update of 'shop' failed: database is locked\"\n")
    result = look(home)
    assert (result.status, "1 line in a form that MDM does not write" in result.reason) == (Status.ERROR, True)


def test_a_log_too_large_to_be_searched_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_errors, "SEARCH_LIMIT", 10)
    inventory = take_inventory(home, {})
    facts = observe(next(each for each in inventory.datasets if each.name == "shop"), inventory)
    assert any("was not searched" in gap for gap in facts.gaps)


def test_a_fifo_for_a_log_does_not_stop_the_check(home: Path, look: Examine) -> None:
    log = home / "logs/mdm.log"
    log.unlink()
    os.mkfifo(log)
    result = look(home)
    assert result.status is Status.PASS
    assert "FIFO" in result.reason


def test_a_log_left_by_a_killed_process_is_merged_as_printed(home: Path, look: Examine) -> None:
    right = {**tables(data(home)), "test": [row for row in tables(data(home))["test"] if row[0] != (1, int)]}
    killed(home, "c.execute('DELETE FROM test WHERE id = 1')")
    finding = findings(look(home))["sqlite-locking.left-over-wal"]
    assert finding.severity is WARN
    assert "restored or replaced" in finding.remedy.text
    follow(finding)
    assert tables_alone(data(home)) == right
    assert look(home).findings == ()


def test_a_log_older_than_its_file_is_not_merged(home: Path, look: Examine) -> None:
    """A copy of before was restored beside the log of a process that was killed."""
    older = data(home).read_bytes()
    log = left_log(data(home), "UPDATE test SET id = -id WHERE id < 100")
    data(home).with_name("shop.sqlite-wal").write_bytes(log)
    time.sleep(1.1)  # only the times of the two files tell it
    data(home).write_bytes(older)
    finding = findings(look(home))["sqlite-locking.left-over-wal"]
    assert "came to its place" in finding.message
    assert_only_looks(finding)
    assert repair("checkpoint", data(home)) == 1
    assert data(home).read_bytes() == older


def test_a_journal_of_a_killed_process_warns_until_the_next_open(rollback_home: Path, look: Examine) -> None:
    right = tables(data(rollback_home))
    killed(rollback_home, SPILL)
    result = look(rollback_home)
    finding = findings(result)["sqlite-locking.left-over-journal"]
    assert finding.severity is WARN
    assert "concurrent reads were not tried" in result.reason
    assert_only_looks(finding)
    assert findings(result)["sqlite-locking.journal-mode"].remedy.commands == ()
    opened_by_mdm(data(rollback_home))
    assert tables(data(rollback_home)) == right
    assert set(findings(look(rollback_home))) == {"sqlite-locking.journal-mode"}


def left_log(path: Path, change: str, *, then_close: bool = True) -> bytes:
    """The log that a change leaves, of a file in WAL mode; the file itself takes the change over."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(change)
    log = path.with_name(f"{path.name}-wal").read_bytes()
    if then_close:
        connection.close()
    return log


def older_copy_restored(path: Path) -> None:
    """The file of before, under a log of later."""
    older = path.read_bytes()
    left_log(path, "DELETE FROM train WHERE rowid % 7 = 0")
    log = left_log(path, "CREATE TABLE later AS SELECT * FROM train")
    path.write_bytes(older)
    path.with_name(f"{path.name}-wal").write_bytes(log)


def rollback_copy_restored(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    older = path.read_bytes()
    log = left_log(path, "DELETE FROM train WHERE rowid % 9 = 0")
    path.write_bytes(older)
    path.with_name(f"{path.name}-wal").write_bytes(log)


def log_of_another_database(path: Path) -> None:
    other = path.with_name("other.sqlite")
    connection = sqlite3.connect(other)
    connection.execute("PRAGMA page_size=8192")
    connection.execute("CREATE TABLE first (a)")
    connection.close()
    log = left_log(other, "CREATE TABLE t AS SELECT 1 AS a")
    other.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(log)


def log_that_spoils_the_file(path: Path) -> None:
    """Pages that changed without the first one: nothing counts them."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE wide AS SELECT * FROM train")
    connection.close()
    log = left_log(path, "UPDATE wide SET rowid = rowid + 100000")
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TABLE wide")
    connection.execute("CREATE TABLE other AS SELECT * FROM test ORDER BY id DESC")
    connection.execute("VACUUM")
    connection.close()
    path.with_name(f"{path.name}-wal").write_bytes(log)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (older_copy_restored, "the file is at change"),
        (rollback_copy_restored, "not in WAL mode"),
        (log_of_another_database, "its pages have 8192 bytes"),
        (log_that_spoils_the_file, "does not belong to the file as it is now"),
    ],
)
def test_an_unrelated_wal_fails_and_is_repaired_by_moving_it(
    home: Path, look: Examine, damage: Callable[[Path], None], why: str
) -> None:
    damage(data(home))
    log = data(home).with_name("shop.sqlite-wal")
    right = tables_alone(data(home))
    result = look(home)
    finding = findings(result)["sqlite-locking.foreign-log"]
    assert (result.status, finding.severity) == (Status.FAIL, Severity.FAIL)
    assert why in finding.message
    assert "the file alone is intact" in finding.message
    content = log.read_bytes()
    follow(finding)
    (saved,) = home.parent.glob("mdm-health-saved-*")
    assert next(saved.rglob("shop.sqlite-wal")).read_bytes() == content
    assert set(findings(look(home))) <= {"sqlite-locking.journal-mode"}
    assert tables(data(home)) == right


def test_an_unrelated_wal_beside_a_damaged_file_needs_a_backup(rollback_home: Path, look: Examine) -> None:
    rollback_copy_restored(data(rollback_home))
    with data(rollback_home).open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    finding = findings(look(rollback_home, ignore=("metadata-corruption",)))["sqlite-locking.foreign-log"]
    assert "the file alone is damaged" in finding.message
    assert "Restore the dataset from a backup" in finding.remedy.text


@pytest.mark.parametrize(
    "change", ["UPDATE test SET id = id + 1000", "CREATE TABLE later (a)", "DELETE FROM train_features"]
)
@pytest.mark.parametrize("checkpoint", ["", "c.execute('PRAGMA wal_checkpoint(PASSIVE)'); "])
def test_a_files_own_wal_is_not_taken_for_an_unrelated_one(
    home: Path, look: Examine, change: str, checkpoint: str
) -> None:
    """Also after others were open, changes without a count, and a log that was begun again or taken over in part."""
    begin = f"c.execute('CREATE TABLE before (a)'); {checkpoint}c.execute('CREATE TABLE again (a)'); "
    reader = "d = sqlite3.connect(c.execute('PRAGMA database_list').fetchone()[2]); d.execute('BEGIN'); "
    reader += "d.execute('SELECT * FROM again').fetchall(); "
    killed(home, f"{begin}{reader}c.execute({change!r}); {checkpoint}c.execute({change.replace('later', 'later2')!r})")
    assert set(findings(look(home))) == {"sqlite-locking.left-over-wal"}


@pytest.mark.parametrize("content", [b"x" * 9000, bytes(5000), b"\x37\x7f\x06\x82" + bytes(9000)])
def test_a_log_in_which_nothing_is_valid_is_said_to_hold_nothing(home: Path, look: Examine, content: bytes) -> None:
    data(home).with_name("shop.sqlite-wal").write_bytes(content)
    finding = findings(look(home))["sqlite-locking.left-over-wal"]
    assert "without a valid page" in finding.message
    right = tables_alone(data(home))
    follow(finding)
    assert not data(home).with_name("shop.sqlite-wal").exists()
    assert tables(data(home)) == right


def test_a_wal_alone_does_not_reveal_that_changes_are_missing(home: Path, look: Examine) -> None:
    """Why the command keeps a copy: an older file and a later log fit by all that is counted."""
    older = data(home).read_bytes()
    left_log(data(home), "UPDATE test SET id = -id WHERE id < 100")
    right = tables(data(home))
    log = left_log(data(home), "UPDATE test SET id = id + 1000000 WHERE id > 100")
    data(home).write_bytes(older)
    data(home).with_name("shop.sqlite-wal").write_bytes(log)
    mixed = data(home).read_bytes(), log
    follow(findings(look(home))["sqlite-locking.left-over-wal"])
    assert tables(data(home))["test"] != right["test"]
    (saved,) = home.parent.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert (data(home).read_bytes(), data(home).with_name("shop.sqlite-wal").read_bytes()) == mixed


@pytest.mark.parametrize("beside", ["-wal", "-journal"])
def test_a_file_with_something_beside_it_is_not_converted(
    rollback_home: Path, look: Examine, beside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = findings(look(rollback_home))["sqlite-locking.journal-mode"].remedy.commands
    content = data(rollback_home).read_bytes()
    data(rollback_home).with_name(f"shop.sqlite{beside}").write_bytes(b"")
    assert repair(*shlex.split(command)[1:]) == 1
    assert f"shop.sqlite{beside}" in capsys.readouterr().err
    assert data(rollback_home).read_bytes() == content
    assert findings(look(rollback_home))["sqlite-locking.journal-mode"].remedy.commands == ()


@pytest.mark.parametrize("sql", ["SELECT * FROM train", "UPDATE test SET id = id"])
def test_a_file_that_a_process_uses_is_not_converted(
    rollback_home: Path, look: Examine, hold: Hold, sql: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = findings(look(rollback_home))["sqlite-locking.journal-mode"].remedy.commands
    holder = hold(CONNECT.format(path=str(data(rollback_home))) + f"c.execute('BEGIN'); c.execute({sql!r}).fetchone()")
    data(rollback_home).with_name("shop.sqlite-journal").unlink(missing_ok=True)  # left to the lock to refuse
    content = data(rollback_home).read_bytes()
    assert repair(*shlex.split(command)[1:]) == 1
    assert f" (PID {holder.pid}); stop that first" in capsys.readouterr().err
    assert data(rollback_home).read_bytes() == content
    holder.kill()
    holder.wait()


def test_a_file_that_is_gone_is_not_made_by_the_conversion(rollback_home: Path, look: Examine) -> None:
    (command,) = findings(look(rollback_home))["sqlite-locking.journal-mode"].remedy.commands
    data(rollback_home).unlink()
    assert repair(*shlex.split(command)[1:]) == 1
    assert not data(rollback_home).exists()


@pytest.mark.parametrize("suffix", ["-wal", "-journal", "-shm"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("gone")])
def test_what_is_no_file_beside_the_data_keeps_no_reader_waiting(
    rollback_home: Path, look: Examine, suffix: str, make: Callable[[Path], object]
) -> None:
    make(data(rollback_home).with_name(f"shop.sqlite{suffix}"))
    result = look(rollback_home, ignore=("metadata-corruption",))
    assert result.status is Status.PASS
    assert f"concurrent reads were not tried: shop.sqlite{suffix} beside it is no file" in result.reason


@pytest.mark.parametrize(
    ("journal_mode", "code", "lock", "what_waits"),
    [
        ("WAL", "c.execute('BEGIN IMMEDIATE')", "wal-writer", "no other process can write"),
        ("DELETE", "c.execute('BEGIN IMMEDIATE')", "reserved", "no other process can write"),
        ("DELETE", "c.execute('BEGIN EXCLUSIVE')", "exclusive", "no other process can read or write"),
        (
            "WAL",
            "import fcntl; f = open({path!r}, 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX)",
            "whole-file",
            "no other process can read or write",
        ),
    ],
)
def test_a_held_lock_is_a_warning_and_repaired_by_ending_it(
    home: Path, look: Examine, hold: Hold, journal_mode: str, code: str, lock: str, what_waits: str
) -> None:
    connection = sqlite3.connect(data(home))
    connection.execute(f"PRAGMA journal_mode={journal_mode}")
    connection.close()
    before = data(home).read_bytes()
    program = CONNECT.format(path=str(data(home))) + code.format(path=str(data(home)))
    holder = hold(program)
    result = look(home)
    finding = findings(result)["sqlite-locking.locked-now"]
    assert finding.severity is WARN
    assert f"(PID {holder.pid})" in finding.message
    assert what_waits in finding.message
    assert result.facts["locked_by"][0]["lock"] == lock  # type: ignore[index, call-overload] # JSON
    assert data(home).read_bytes() == before
    holder.kill()
    holder.wait()
    assert "sqlite-locking.locked-now" not in findings(look(home))


def test_a_write_that_is_done_soon_is_no_lock_to_speak_of(home: Path, look: Examine, hold: Hold) -> None:
    writing = "import threading; threading.Timer(0.4, c.rollback).start()"
    code = CONNECT.format(path=str(data(home))).replace("isolation_level=None", "check_same_thread=False")
    hold(f"{code} c.execute('BEGIN IMMEDIATE'); {writing}")
    assert "sqlite-locking.locked-now" not in findings(look(home))


LOCK_BYTE = (
    "import fcntl, struct, threading; f = open({path!r}, 'r+b')\n"
    "def lock(how, byte): fcntl.fcntl(f, fcntl.F_OFD_SETLK, struct.pack('@hhqqixxxx', how, 0, byte, 1, 0))\n"
    "lock(fcntl.F_WRLCK, {first})\n"
)
"""A lock without a PID, as those of other containers are."""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has locks that belong to no process")
def test_locks_of_processes_that_cannot_be_seen_are_told_apart(rollback_home: Path, hold: Hold) -> None:
    path = data(rollback_home)
    code = LOCK_BYTE.format(path=str(path), first=RESERVED)
    hold(
        f"{code}threading.Timer(0.4, lambda: (lock(fcntl.F_WRLCK, {PENDING}), lock(fcntl.F_UNLCK, {RESERVED}))).start()"
    )
    found = lock_holders([path])
    assert [(holder.pid, holder.lock) for holder in found] == [(0, LockKind.RESERVED)]
    assert watch([path], found, _writers)[0] == ()
    found = lock_holders([path])
    (holder,), _ = watch([path], found, _writers)
    assert holder.lock is LockKind.PENDING


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has locks that belong to no process")
def test_each_lock_without_a_process_is_named(rollback_home: Path, look: Examine, hold: Hold) -> None:
    path = str(data(rollback_home))
    pids = sorted(hold(LOCK_BYTE.format(path=path, first=byte)).pid for byte in (RESERVED, PENDING))
    finding = findings(look(rollback_home))["sqlite-locking.locked-now"]
    assert "(pending lock) and a process that cannot be seen (reserved lock)" in finding.message
    assert finding.remedy.commands == (f"ps -o pid,lstart,etime,args -p {pids[0]},{pids[1]}",)


MANY_WRITES = (
    "c.execute('CREATE TABLE more (a)')\n"
    "for n in range({rounds}): c.execute('INSERT INTO more VALUES (zeroblob(4000000))')\n"
)


@pytest.fixture
def small_home(home: Path) -> Path:
    """A home with a file of some kilobytes, in WAL mode."""
    data(home).unlink()
    with closing(sqlite3.connect(data(home))) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        for table in ("train", "test"):
            connection.execute(f"CREATE TABLE {table} (id)")
    return home


@pytest.mark.parametrize("rounds", [1, 4], ids=["a hundred times its file", "beyond the limit of a checkpoint"])
def test_a_reader_that_lets_the_wal_grow_is_named(small_home: Path, look: Examine, hold: Hold, rounds: int) -> None:
    connect = CONNECT.format(path=str(data(small_home)))
    reader = hold(connect + "c.execute('BEGIN'); c.execute('SELECT * FROM test').fetchone()")
    hold(f"{connect}\n{MANY_WRITES.format(rounds=rounds)}")
    wal = data(small_home).with_name("shop.sqlite-wal").stat().st_size
    assert wal > 100 * data(small_home).stat().st_size
    finding = findings(look(small_home, ignore=("metadata-corruption",)))["sqlite-locking.large-wal"]
    assert finding.severity is WARN
    assert f"(PID {reader.pid}), running since" in finding.message
    assert f"{wal / data(small_home).stat().st_size:.0f} times as large" in finding.message
    assert finding.remedy.commands == (f"ps -o pid,lstart,etime,args -p {reader.pid}",)
    reader.kill()
    reader.wait()
    again = findings(look(small_home, ignore=("metadata-corruption",)))
    assert [code for code, each in again.items() if each.severity is not NOTE] == []
    assert ("sqlite-locking.large-wal" in again) is (rounds > 1)


@pytest.mark.parametrize("reads", [True, False])
def test_a_wal_of_ordinary_size_is_no_finding(small_home: Path, look: Examine, hold: Hold, reads: bool) -> None:
    connect = CONNECT.format(path=str(data(small_home)))
    if reads:
        hold(connect + "c.execute('BEGIN'); c.execute('SELECT * FROM test').fetchone()")
    hold(connect + "[c.execute('INSERT INTO test VALUES (1)') for _ in range(20)]")
    assert set(findings(look(small_home, ignore=("metadata-corruption",)))) == {"sqlite-locking.held-open"}


def test_a_large_write_in_progress_is_no_reproach(small_home: Path, look: Examine, hold: Hold) -> None:
    spilling = "c.execute('PRAGMA cache_size=2'); c.execute('BEGIN'); "
    code = f"{spilling}c.execute('INSERT INTO test VALUES (zeroblob(20000000))')"
    hold(CONNECT.format(path=str(data(small_home))) + code)
    found = findings(look(small_home, ignore=("metadata-corruption",)))
    assert found["sqlite-locking.large-wal"].severity is NOTE


def test_an_exclusive_lock_is_a_warning_until_its_program_ends(rollback_home: Path, look: Examine, hold: Hold) -> None:
    holder = hold(f"import fcntl; f = open({str(data(rollback_home))!r}, 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX)")
    found = findings(look(rollback_home))
    finding = found["sqlite-locking.readers-refused"]
    assert finding.severity is WARN
    assert "10 of 10" in finding.message
    assert f"(PID {holder.pid})" in finding.message
    assert found["sqlite-locking.journal-mode"].severity is WARN
    holder.kill()
    holder.wait()
    assert findings(look(rollback_home))["sqlite-locking.journal-mode"].severity is NOTE


@pytest.mark.parametrize(
    "code",
    ["c.execute('SELECT * FROM train').fetchone()", "c.execute('BEGIN'); c.execute('SELECT * FROM train').fetchone()"],
)
def test_a_process_that_only_has_the_file_open_is_a_note(home: Path, look: Examine, hold: Hold, code: str) -> None:
    holder = hold(CONNECT.format(path=str(data(home))) + code)
    result = look(home)
    assert set(findings(result)) == {"sqlite-locking.held-open"}
    assert result.findings[0].severity is NOTE
    assert f"(PID {holder.pid})" in result.findings[0].message
    assert result.findings[0].remedy.commands == (f"ps -o pid,lstart,etime,args -p {holder.pid}",)
    assert result.status is Status.PASS


def test_the_log_of_a_running_process_is_not_left_over(home: Path, look: Examine, hold: Hold) -> None:
    hold(CONNECT.format(path=str(data(home))) + "c.execute('DELETE FROM test WHERE id = 1')")
    assert data(home).with_name("shop.sqlite-wal").stat().st_size > 0
    assert set(findings(look(home))) == {"sqlite-locking.held-open"}


def test_no_lock_of_the_probe_stays_behind(rollback_home: Path, look: Examine) -> None:
    look(rollback_home)
    assert locks_on([data(rollback_home)]) == ([], "")
    connection = sqlite3.connect(data(rollback_home), timeout=0)
    connection.execute("BEGIN EXCLUSIVE")
    connection.close()


def facts_of(home: Path) -> LockFacts:
    inventory = take_inventory(home, {})
    return observe(next(each for each in inventory.datasets if each.name == "shop"), inventory)


def test_a_network_file_system_warns_and_a_local_disk_repairs(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No test can count on a file server, so the system's table of mounts says there is one."""
    table = tmp_path / "mounts"
    table.write_text(f"server:/export {home.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr(file_system_of, "__defaults__", (table,))
    (finding,) = judge(facts_of(home))
    assert (finding.code, finding.severity) == ("sqlite-locking.network-file-system", WARN)
    assert "nfs4" in finding.message
    advised = [each.remedy for each in judge(replace(facts_of(home), wal=False, configured="MEMORY"))]
    advised += [each.remedy for each in judge(replace(facts_of(home), wal=False))]
    advised += [each.remedy for each in judge(replace(facts_of(home), wal=False, readers=10, refused_readers=3))]
    assert [each for each in advised if each.commands] == []
    assert [each.text for each in advised if "to WAL" in each.text] == []
    monkeypatch.setattr(file_system_of, "__defaults__", (mounts.MOUNT_TABLE,))
    local = facts_of(home)
    assert list(judge(local)) == []
    assert not is_network(local.file_system)


def test_what_cannot_be_seen_is_said(home: Path) -> None:
    asking = (
        "import os; from pathlib import Path; from pytest_mdm_health.checks.sqlite_locking import observe\n"
        "from pytest_mdm_health.core.session import end_session\n"
        "from pytest_mdm_health.mdm.inventory import take_inventory\n"
        f"inventory = take_inventory(Path({str(home)!r}), {{}})\n"
        "observe(inventory.datasets[2], inventory)  # loads what is loaded late\n"
        "if os.getuid() == 0: os.seteuid(65534)\n"
        "end_session()\n"
        "print(observe(inventory.datasets[2], inventory))"
    )
    for folder in (home, *home.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", asking], capture_output=True, text=True, check=True, env=environ)
    assert "other processes may have the file open" in done.stdout


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"x" * 999),
        lambda path: path.write_bytes(path.read_bytes()[:50]),
        lambda path: os.truncate(path, path.stat().st_size - 4096),
        lambda path: os.truncate(path, path.stat().st_size // 2),
    ],
    ids=["empty", "foreign", "header cut", "a page short", "half"],
)
def test_a_file_that_is_no_whole_database_is_an_error(
    home: Path, look: Examine, damage: Callable[[Path], object]
) -> None:
    damage(data(home))
    result = look(home, ignore=("metadata-corruption",))
    assert result.status is Status.ERROR
    assert str(data(home)) in result.reason


def test_a_file_that_is_gone_is_left_to_others(home: Path, look: Examine) -> None:
    data(home).unlink()
    assert look(home, ignore=("metadata-corruption",)).status is Status.SKIP


def test_a_duckdb_dataset_is_skipped(make_home: MakeHome, look: Examine) -> None:
    result = look(make_home("mdm-1.0.6-duckdb"))
    assert result.status is Status.SKIP
    assert "sqlite" in result.reason


def test_a_damaged_schema_is_said_and_left_to_others(rollback_home: Path, look: Examine) -> None:
    with data(rollback_home).open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)
    assert "sqlite-locking.readers-refused" not in findings(look(rollback_home))


@pytest.mark.parametrize(("pid", "commands"), [(0, ()), (12, ("ps -o pid,lstart,etime,args -p 12",))])
def test_a_process_that_is_not_visible_gets_no_command(home: Path, pid: int, commands: tuple[str, ...]) -> None:
    holder = Holder(pid, "x", mode="writes", lock=LockKind.RESERVED)
    for facts in (
        replace(facts_of(home), holders=(holder,)),
        replace(facts_of(home), holders=(holder,), locked_by=(holder,)),
    ):
        (finding,) = judge(facts)
        assert finding.remedy.commands == commands


def test_the_judgement_needs_nothing_but_the_facts(home: Path) -> None:
    facts = facts_of(home)
    assert [finding.code for finding in judge(replace(facts, wal=False))] == ["sqlite-locking.journal-mode"]
