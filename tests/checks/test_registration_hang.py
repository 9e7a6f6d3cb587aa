"""7.1: registrations that hang are told from those that work, what they leave is looked at, and noise stays noise."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from pytest_mdm_health.checks.registration_hang import judge
from pytest_mdm_health.checks.registration_hang.facts import Blocker, HangFacts, RunningRegistration
from pytest_mdm_health.core.model import Finding, Location, Result, Severity, Status
from pytest_mdm_health.mdm.host.locks import LockKind
from pytest_mdm_health.mdm.host.processes import Holder
from pytest_mdm_health.mdm.logs.registrations import RegistrationRun
from pytest_mdm_health.mdm.registrations.running import Registering

Examine = Callable[..., Result]
RunMdm = Callable[..., "subprocess.Popen[bytes]"]
REGISTER = ("dataset", "register", "shop", "raw/shop", "--force")


def only(result: Result, code: str) -> Finding:
    (finding,) = [each for each in result.findings if each.code == code]
    return finding


def codes(result: Result) -> set[str]:
    return {each.code for each in result.findings} - {"registration-hang.unfinished"}


def log_of(home: Path, dataset: str, *messages: str, ago: timedelta = timedelta(hours=1)) -> None:
    """Let the log tell of another registration that began a while ago."""
    time = (datetime.now().astimezone() - ago).strftime("%Y-%m-%d %H:%M:%S")
    start = (
        "MDM logging initialized - Level: INFO, File: mdm.log",
        f"Starting registration for dataset '{dataset}'",
    )
    with (home / "logs/mdm.log").open("a") as log:
        log.writelines(f"{time} | INFO | mdm.dataset.registrar:register:93 - {line}\n" for line in (*start, *messages))


def unregister(home: Path, dataset: str = "shop", *, began: bool = True) -> Path:
    """Leave a dataset as a registration leaves it that was killed while it generated features."""
    (home / f"config/datasets/{dataset}.yaml").unlink()
    (home / f"datasets/{dataset}/dataset_info.json").unlink()
    if began:
        generating = f"Generating features for dataset '{dataset}'"
        log_of(home, dataset, "Loading raw/shop/train.csv as table 'train'", generating)
    return home / "datasets" / dataset


def test_a_healthy_real_home_has_only_a_note_of_what_was_refused(examine: Examine, each_home: Path) -> None:
    result = examine("registration-hang", each_home)
    assert result.status is Status.PASS
    (note,) = result.findings
    assert note.code == "registration-hang.unfinished"
    assert "'wine'" in note.message
    assert "registered nevertheless" in note.message
    assert "'ghost'" in note.message
    assert note.location is not None
    assert "ghost" in Path(note.location.file).read_text().splitlines()[(note.location.line or 0) - 1]


def test_the_examined_home_stays_as_it_is(
    examine: Examine, home: Path, run_mdm: RunMdm, tree: Callable[[Path], object]
) -> None:
    unregister(home)
    run_mdm(*REGISTER, before=f"f = open({str(home / 'datasets/shop/shop.sqlite')!r}, 'rb')", home=home)
    before = tree(home)
    examine("registration-hang", home)
    assert tree(home) == before


@pytest.fixture
def stopped(home: Path, run_mdm: RunMdm) -> subprocess.Popen[bytes]:
    process = run_mdm(*REGISTER, home=home)
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    return process


def test_a_stopped_registration_is_a_failure(examine: Examine, home: Path, stopped: subprocess.Popen[bytes]) -> None:
    finding = only(examine("registration-hang", home), "registration-hang.stopped")
    assert finding.severity is Severity.FAIL
    assert f"'shop' (PID {stopped.pid}) was stopped by a signal" in finding.message
    assert not any("kill" in command for command in finding.remedy.commands)
    assert "the signal CONT" in finding.remedy.text


def test_a_stopped_registration_is_repaired_by_letting_it_go_on(
    examine: Examine, home: Path, stopped: subprocess.Popen[bytes]
) -> None:
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.stdin is not None
    stopped.stdin.close()
    stopped.wait()
    assert codes(examine("registration-hang", home)) == set()


@pytest.mark.parametrize("elsewhere", ["/nowhere", "home"], ids=["that is not there", "relative"])
def test_a_stopped_process_of_an_unproven_home_gets_no_signal(
    examine: Examine, home: Path, run_mdm: RunMdm, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    process = run_mdm(*REGISTER, home=Path(elsewhere))
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    monkeypatch.chdir(home.parent)  # from where the relative one would be this home
    result = examine("registration-hang", home)
    finding = only(result, "registration-hang.stopped")
    assert (result.status, finding.severity) == (Status.PASS, Severity.NOTE)
    assert "whether it uses this home is unknown" in finding.message
    assert finding.remedy.commands == (f"ps -o pid,user,stat,lstart,etime,time,args -p {process.pid}",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can examine as somebody else")
def test_a_stopped_registration_of_another_user_is_no_failure(home: Path, stopped: subprocess.Popen[bytes]) -> None:
    from pytest_mdm_health.checks.registration_hang.collect import collect
    from pytest_mdm_health.mdm.inventory import take_inventory

    inventory = take_inventory(home, {})
    collect(inventory)  # imports all that nobody may not be able to
    os.seteuid(65534)
    try:
        facts = collect(inventory)
    finally:
        os.seteuid(0)
    (running,) = facts.running
    assert (running.process.pid, running.process.stopped, running.uses_this_home) == (stopped.pid, True, False)
    (finding,) = (each for each in judge(facts, None) if each.code == "registration-hang.stopped")
    assert finding.severity is Severity.NOTE


@pytest.fixture
def holder(home: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(home / "datasets/shop/shop.sqlite")
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


@pytest.fixture
def waiting(home: Path, run_mdm: RunMdm, holder: sqlite3.Connection) -> subprocess.Popen[bytes]:
    database = home / "datasets/shop/shop.sqlite"
    opening = f"import sqlite3; c = sqlite3.connect({str(database)!r}, timeout=600)"
    assert holder.in_transaction
    return run_mdm(*REGISTER, before=opening, then="c.execute('BEGIN IMMEDIATE')", home=home)


def test_a_registration_waiting_for_a_lock_names_the_holder(
    examine: Examine, home: Path, waiting: subprocess.Popen[bytes]
) -> None:
    finding = only(examine("registration-hang", home), "registration-hang.waiting-for-lock")
    assert finding.severity is Severity.WARN
    assert f"(PID {waiting.pid}) is idle while" in finding.message
    assert f"(PID {os.getpid()}) locks {home / 'datasets/shop/shop.sqlite'}" in finding.message
    assert f"ps -o pid,stat,etime,args -p {os.getpid()}" in finding.remedy.commands


def test_a_waiting_registration_is_healthy_when_the_holder_ends(
    examine: Examine, home: Path, waiting: subprocess.Popen[bytes], holder: sqlite3.Connection
) -> None:
    holder.close()
    waiting.wait()
    assert codes(examine("registration-hang", home)) == set()


@pytest.mark.parametrize(
    ("statement", "code"),
    [("SELECT count(*) FROM train", "idle"), ("BEGIN IMMEDIATE", "waiting-for-lock")],
)
def test_in_wal_mode_only_a_writer_is_in_the_way(
    examine: Examine, home: Path, run_mdm: RunMdm, statement: str, code: str
) -> None:
    database = home / "datasets/shop/shop.sqlite"
    other = sqlite3.connect(database)
    other.execute("PRAGMA journal_mode = WAL")
    rows = other.execute(statement)  # a connection, and a reader while it is not at its end
    run_mdm(*REGISTER, before=f"import sqlite3; c = sqlite3.connect({str(database)!r})", home=home)
    found = codes(examine("registration-hang", home))
    rows.close()
    other.close()
    assert found == {f"registration-hang.{code}"}


def test_an_idle_registration_is_a_warning_with_what_it_awaits(examine: Examine, home: Path, run_mdm: RunMdm) -> None:
    process = run_mdm(*REGISTER, home=home)
    finding = only(examine("registration-hang", home), "registration-hang.idle")
    assert finding.severity is Severity.WARN
    assert "waits for input from a terminal" in finding.message
    assert f"strace -f -p {process.pid}" in finding.remedy.commands


def test_a_registration_at_work_is_a_note(examine: Examine, home: Path, run_mdm: RunMdm) -> None:
    run_mdm(*REGISTER, then="while True: pass", home=home)
    result = examine("registration-hang", home)
    assert only(result, "registration-hang.running").severity is Severity.NOTE
    assert result.status is Status.PASS


def test_a_registration_at_work_has_left_nothing_half_done(examine: Examine, home: Path, run_mdm: RunMdm) -> None:
    unregister(home)
    run_mdm(*REGISTER, then="while True: pass", home=home)
    assert codes(examine("registration-hang", home)) == {"registration-hang.running"}


def test_a_registration_into_another_home_is_not_of_this_one(
    examine: Examine, home: Path, run_mdm: RunMdm, make_home: Callable[..., Path]
) -> None:
    run_mdm(*REGISTER, home=make_home(folder="other"))
    assert codes(examine("registration-hang", home)) == set()


def test_a_registration_in_a_missing_home_is_not_passed_over(
    examine: Examine, home: Path, run_mdm: RunMdm, tmp_path: Path
) -> None:
    run_mdm(*REGISTER, home=tmp_path / "none")
    assert codes(examine("registration-hang", home)) == {"registration-hang.idle"}


def test_one_that_has_a_file_of_this_home_open_is_of_this_home(
    examine: Examine, home: Path, run_mdm: RunMdm, make_home: Callable[..., Path]
) -> None:
    opening = f"f = open({str(home / 'metrics.db')!r}, 'rb')"
    run_mdm(*REGISTER, before=opening, home=make_home(folder="other"))
    assert codes(examine("registration-hang", home)) == {"registration-hang.idle"}


PROCESS = Registering(
    pid=77,
    dataset="shop",
    home=Path("/h"),
    age=10.0,
    state="sleeping",
    cpu=0.0,
    moved=0,
    waits_for="",
    connected=False,
    files=(),
)


@pytest.mark.parametrize(
    ("age", "silent_s", "connected", "severity"),
    [
        (299.0, 299.0, False, Severity.WARN),
        (301.0, 301.0, False, Severity.FAIL),
        (301.0, 10.0, False, Severity.WARN),
        (301.0, None, False, Severity.WARN),
        (10.0, None, True, Severity.NOTE),
        (301.0, None, True, Severity.WARN),
    ],
)
def test_how_bad_it_is_to_do_nothing_depends_on_age_and_silence(
    age: float, silent_s: float | None, connected: bool, severity: Severity
) -> None:
    process = replace(PROCESS, age=age, connected=connected)
    running = RunningRegistration(process=process, silent_s=silent_s, blockers=())
    facts = HangFacts(examined=1, running=(running,), leftovers=(), unfinished=())
    (finding,) = judge(facts, None)
    assert (finding.code, finding.severity) == ("registration-hang.idle", severity)
    assert "what it waits for is unknown" in finding.message


@pytest.mark.parametrize(("pid", "first"), [(0, "ps -o pid,user"), (12, "ps -o pid,stat,etime,args -p 12")])
def test_a_blocker_without_a_visible_process_gets_no_command(pid: int, first: str) -> None:
    blocker = Blocker(file="/h/x.sqlite", holder=Holder(pid, "x", lock=LockKind.RESERVED))
    running = RunningRegistration(process=PROCESS, silent_s=None, blockers=(blocker,))
    facts = HangFacts(examined=1, running=(running,), leftovers=(), unfinished=())
    (finding,) = judge(facts, None)
    assert finding.code == "registration-hang.waiting-for-lock"
    assert finding.remedy.commands[0].startswith(first)
    assert finding.remedy.commands[-1] == "lsof -p 77"


def test_a_running_registration_in_a_baseline_can_be_read_again() -> None:
    blocker = Blocker(file="/h/x.sqlite", holder=Holder(12, "x", lock=LockKind.RESERVED))
    running = RunningRegistration(process=PROCESS, silent_s=None, blockers=(blocker,))
    run = RegistrationRun(dataset="shop", began=datetime.now(timezone.utc), place=Location("/h/logs/mdm.log", 3))
    facts = HangFacts(examined=1, running=(running,), leftovers=(), unfinished=(run,), registered=("wine",))
    adapter = TypeAdapter(HangFacts)
    assert adapter.validate_python(adapter.dump_python(facts, mode="json")) == facts


def test_the_log_tells_how_long_a_running_one_has_been_silent(examine: Examine, home: Path, run_mdm: RunMdm) -> None:
    log_of(home, "shop", "Loading raw/shop/train.csv as table 'train'", ago=timedelta(minutes=20))
    run_mdm(*REGISTER, home=home)
    facts: Any = examine("registration-hang", home).facts
    (running,) = facts["running"]
    assert 1190 < running["silent_s"] < 1260


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can examine as somebody else")
def test_without_privileges_it_is_said_what_cannot_be_told(home: Path, run_mdm: RunMdm) -> None:
    from pytest_mdm_health.checks.registration_hang.collect import collect
    from pytest_mdm_health.mdm.inventory import take_inventory

    inventory = take_inventory(home, {})
    process = run_mdm(*REGISTER, home=home)
    assert collect(inventory).gaps == ()  # and all is imported that nobody may not be able to
    os.seteuid(65534)
    try:
        facts = collect(inventory)
    finally:
        os.seteuid(0)
    assert f"the home and the open files of process {process.pid} are unknown" in "; ".join(facts.gaps)
    assert [running.process.pid for running in facts.running] == [process.pid]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can examine as another user")
@pytest.mark.parametrize("left", [True, False], ids=["left over", "in progress"])
def test_users_of_a_database_that_cannot_be_seen_are_said(home: Path, left: bool) -> None:
    from pytest_mdm_health.checks.registration_hang.collect import _blockers, collect
    from pytest_mdm_health.core.session import end_session
    from pytest_mdm_health.mdm.inventory import take_inventory

    unregister(home)
    gaps: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(shutil.copytree(home, Path(place) / "home")) / "datasets/shop"
        inventory = take_inventory(Path(place) / "home", {})
        collect(inventory)  # imports what the other user may not be able to
        end_session()
        os.seteuid(65534)
        try:
            gaps += collect(inventory).gaps if left else []
            assert list(_blockers(os.getpid(), [] if left else [folder / "shop.sqlite"], gaps)) == []
        finally:
            os.seteuid(0)
            end_session()
    said = f"databases in {folder} open" if left else f"may lock {folder / 'shop.sqlite'}"
    assert any(said in gap and "privileges" in gap for gap in gaps)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can examine as another user")
def test_a_folder_that_cannot_be_listed_is_not_empty(home: Path) -> None:
    from pytest_mdm_health.checks.registration_hang.collect import collect
    from pytest_mdm_health.mdm.inventory import take_inventory

    unregister(home)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        moved = Path(shutil.copytree(home, Path(place) / "home"))
        inventory = take_inventory(moved, {})
        assert [leftover.dataset for leftover in collect(inventory).leftovers] == ["shop"]
        (moved / "datasets" / "shop").chmod(0)
        os.seteuid(65534)
        try:
            facts = collect(inventory)
        finally:
            os.seteuid(0)
    assert facts.leftovers == ()
    assert facts.unexamined == (f"{moved / 'datasets' / 'shop'} cannot be listed: Permission denied",)


@pytest.mark.parametrize("name", ["mdm-1.0.6-sqlite", "mdm-0.1.0-duckdb"])
def test_a_half_registered_dataset_is_told_with_how_far_it_got(
    examine: Examine, make_home: Callable[[str], Path], name: str
) -> None:
    home = make_home(name)
    folder = unregister(home)
    result = examine("registration-hang", home)
    finding = only(result, "registration-hang.half-registered")
    assert result.status is Status.WARN
    assert "was interrupted while generating features" in finding.message
    assert str(folder) in finding.message
    assert "raw/shop/train.csv" in finding.remedy.text


def test_half_registered_data_is_repaired_by_moving_it_aside(
    examine: Examine, home: Path, tree: Callable[[Path], object]
) -> None:
    folder = unregister(home)
    finding = only(examine("registration-hang", home), "registration-hang.half-registered")
    before = tree(home)
    for command in finding.remedy.commands:
        subprocess.run(command, shell=True, check=False, stdout=subprocess.DEVNULL)  # noqa: S602 - as a user pastes it
    assert tree(home) == before
    assert "no registration uses the folder" in finding.remedy.text
    folder.rename(home / "set-aside")
    assert codes(examine("registration-hang", home)) == set()


def test_the_half_that_duckdb_leaves_unlogged_is_found(examine: Examine, make_home: Callable[[str], Path]) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    (home / "datasets/sales").mkdir()
    shutil.copy(home / "datasets/wine/wine.duckdb", home / "datasets/sales/sales.duckdb")
    finding = only(examine("registration-hang", home), "registration-hang.half-registered")
    assert "'sales' is not registered" in finding.message
    assert "the log does not show whether a registration was interrupted" in finding.message


def test_the_possibly_only_copy_of_the_data_is_not_to_be_deleted(examine: Examine, home: Path) -> None:
    unregister(home)
    (home / "datasets/a b'c").mkdir()
    shutil.copy(home / "datasets/wine/wine.sqlite", home / "datasets/a b'c/x.sqlite")
    texts = {each.subject: each.remedy.text for each in examine("registration-hang", home).findings}
    assert "If you have its source, register that again" in texts["a b'c"]
    assert "If its source still exists (raw/shop/train.csv)" in texts["shop"]
    assert all("Otherwise keep what was moved: it may be the only copy." in texts[name] for name in ("a b'c", "shop"))


def test_an_empty_folder_is_enough_for_mdm_to_refuse_the_name(examine: Examine, home: Path) -> None:
    (home / "datasets/sales").mkdir()
    finding = only(examine("registration-hang", home), "registration-hang.half-registered")
    assert "'sales' is half registered" in finding.message
    assert "is empty" in finding.message
    assert finding.remedy.text.endswith("Then MDM accepts the name again.")


def test_a_folder_of_something_else_is_nobodys_registration(examine: Examine, home: Path) -> None:
    (home / "datasets/exports").mkdir()
    (home / "datasets/exports/shop.csv").write_text("a\n1\n")
    (home / "datasets/.trash").mkdir()
    assert codes(examine("registration-hang", home)) == set()


def test_data_that_lost_its_registration_was_registered_whole(examine: Examine, home: Path) -> None:
    unregister(home, "big", began=False)
    assert codes(examine("registration-hang", home)) == set()


def test_a_failed_registration_tells_why(examine: Examine, home: Path) -> None:
    (home / "datasets/sales").mkdir()
    log_of(home, "sales", "Registration failed: no data files found")
    finding = only(examine("registration-hang", home), "registration-hang.half-registered")
    assert "failed: no data files found" in finding.message


def test_a_half_registered_dataset_in_use_may_be_in_progress(
    examine: Examine, home: Path, hold: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    folder = unregister(home)
    process = hold(f"f = open({str(folder / 'shop.sqlite')!r}, 'rb')")
    finding = only(examine("registration-hang", home), "registration-hang.half-registered")
    assert f"(PID {process.pid})" in finding.message
    assert "it may be the registration itself" in finding.remedy.text


def test_an_unfinished_registration_repeated_with_success_is_old(examine: Examine, home: Path) -> None:
    log_of(home, "ghost", "Dataset 'ghost' registered successfully")
    note = only(examine("registration-hang", home), "registration-hang.unfinished")
    assert "ghost" not in note.message


def test_many_unfinished_registrations_are_one_note(examine: Examine, home: Path) -> None:
    for number in range(30):
        log_of(home, f"d{number:02}")
    note = only(examine("registration-hang", home), "registration-hang.unfinished")
    assert "and 22 more" in note.message
    assert len(note.message) < 2000


def test_an_empty_home_has_nothing_to_hang(examine: Examine, tmp_path: Path) -> None:
    (tmp_path / "empty/config/datasets").mkdir(parents=True)
    assert examine("registration-hang", tmp_path / "empty").status is Status.SKIP
