"""A home that changes while it is examined is noticed; one that does not, or that others only read, is not accused."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.core.model import HOME, Check, Facts, Finding, Kind, NotApplicable, Result, Status, Target
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.file_stability import files_of, seen_now, what_changed
from pytest_mdm_health.engine.registry import CheckModule, load
from pytest_mdm_health.engine.run import Run
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings
from tests.engine.test_runner import InThisProcess

Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
Hold = Callable[[str], "subprocess.Popen[bytes]"]
SHOP = Target(Kind.DATASET, "shop")
PATIENCE_S = 120.0
AGAIN = "run again when nothing writes"
IN_WAL_MODE = (
    "import sqlite3; c = sqlite3.connect({!r}); c.execute('PRAGMA journal_mode=WAL'); "
    "c.execute('CREATE TABLE later (a)'); c.commit()"
)


@dataclass(frozen=True, kw_only=True)
class Nothing(Facts):
    """What the made-up check sees."""


def another_process(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


def result_of(home: Path, meanwhile: Callable[[], object], *, target: Target = SHOP, live: bool = False) -> Result:
    """The result of a check that passes, while something happens as it reads."""
    per = target.kind
    check = Check(id="made-up", issue="5.1", title="t", per=per, live=live)

    def look(mdm_home: Home, mdm_config: Settings) -> Nothing:  # noqa: ARG001 - fixtures as checks get them
        meanwhile()
        return Nothing(examined=1)

    def look_at_dataset(
        mdm_dataset: Dataset,  # noqa: ARG001 - fixtures as checks get them
        mdm_backend: Backend | None,  # noqa: ARG001 - as above
    ) -> Nothing:
        meanwhile()
        return Nothing(examined=1)

    def judge(facts: Nothing, before: Nothing | None) -> Iterator[Finding]:  # noqa: ARG001 - the contract's
        yield from ()

    module = ModuleType("made_up")
    observe = look_at_dataset if per is Kind.DATASET else look
    module.__dict__.update(CHECK=check, observe=observe, judge=judge)
    made_up = CheckModule(module)
    sandbox = TakesStock({"made-up": made_up})
    run = Run(Options(home=home), environ={}, sandbox=sandbox)
    try:
        return run.result(made_up, target)
    finally:
        run.close()
        sandbox.close()


class TakesStock(InThisProcess):
    """Takes stock in a child, and calls the made-up checks here."""

    def call(self, function: str, *arguments: object, timeout_s: float) -> object:
        if not function.endswith(":examine"):
            return super(InThisProcess, self).call(function, *arguments, timeout_s=timeout_s)
        return super().call(function, *arguments, timeout_s=timeout_s)


def database(home: Path) -> Path:
    return home / "datasets/shop/shop.sqlite"


def writing(path: Path, statement: str = "UPDATE train SET qty = qty + 1 WHERE id = 1") -> str:
    return f"import sqlite3\nwith sqlite3.connect({str(path)!r}) as c: c.execute({statement!r})\nc.close()"


def test_a_check_whose_files_stay_as_they_are_has_its_result(each_home: Path) -> None:
    assert result_of(each_home, lambda: None).status is Status.PASS
    assert result_of(each_home, lambda: None, target=HOME).status is Status.PASS


def test_a_write_by_another_process_makes_a_result_inconclusive(home: Path) -> None:
    result = result_of(home, lambda: another_process(writing(database(home))))
    assert (result.status, result.findings, result.examined) == (Status.ERROR, (), 0)
    assert result.reason == f"{database(home)} changed while it was read; {AGAIN}"


def test_a_check_that_fails_over_a_moving_file_says_both(home: Path) -> None:
    def fail_meanwhile() -> None:
        another_process(writing(database(home)))
        raise LookupError("no such\nthing")

    result = result_of(home, fail_meanwhile)
    moved = f"{database(home)} changed while it was read; {AGAIN}"
    assert result.status is Status.ERROR
    assert result.reason == f"{moved}; the check had failed with LookupError: no such\\nthing"


def test_a_log_that_grows_is_a_change(home: Path, hold: Hold) -> None:
    path = database(home)
    hold(IN_WAL_MODE.format(str(path)))
    result = result_of(home, lambda: another_process(writing(path)))
    assert result.reason == f"{path}-wal changed while it was read; {AGAIN}"


@pytest.mark.parametrize("file", ["config/datasets/shop.yaml", "datasets/shop/dataset_info.json"])
def test_a_registration_that_is_written_meanwhile_is_a_change(home: Path, file: str) -> None:
    code = f"open({str(home / file)!r}, 'a').write('\\n')"
    assert result_of(home, lambda: another_process(code)).reason == f"{home / file} changed while it was read; {AGAIN}"


def test_a_copy_of_the_registration_that_appears_is_a_change(home: Path) -> None:
    file = home / "datasets/shop/dataset_info.json"
    text = file.read_text(encoding="utf-8")
    file.unlink()
    result = result_of(home, lambda: file.write_text(text, encoding="utf-8"))
    assert result.reason == f"{file} came into being while it was read; {AGAIN}"


def test_settings_that_come_or_go_meanwhile_are_a_change(home: Path) -> None:
    file = home / "mdm.yaml"
    gone = result_of(home, file.unlink, target=HOME)
    assert (gone.status, gone.reason) == (Status.ERROR, f"{file} went away while it was read; {AGAIN}")
    came = result_of(home, lambda: file.write_text("cli: {}\n"), target=HOME)
    assert came.reason == f"{file} came into being while it was read; {AGAIN}"


def test_a_replacement_of_equal_size_and_time_is_a_change(home: Path) -> None:
    path = database(home)

    def replace() -> None:
        info, copy = path.stat(), path.with_name("copy")
        copy.write_bytes(path.read_bytes())
        os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
        copy.replace(path)

    assert result_of(home, replace).reason.startswith(f"{path} changed")


def test_what_does_not_concern_a_check_is_no_change(home: Path) -> None:
    def others() -> None:
        another_process(writing(home / "datasets/wine/wine.sqlite", "CREATE TABLE later (a)"))
        (home / "logs/mdm.log").write_text("later\n")
        (home / "more").mkdir()

    assert result_of(home, others).status is Status.PASS


def test_who_only_reads_meanwhile_changes_nothing(home: Path, hold: Hold) -> None:
    path = database(home)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    reading = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT * FROM train').fetchone()"
    assert result_of(home, lambda: hold(reading)).status is Status.PASS
    assert path.with_name(f"{path.name}-shm").exists(), "the reader is there"


def test_our_own_read_of_an_open_database_is_no_change(home: Path, hold: Hold, examine: Examine) -> None:
    path = database(home)
    hold(IN_WAL_MODE.format(str(path)))
    assert path.with_name(f"{path.name}-wal").stat().st_size, "a live log"
    for check in ("data-corruption", "type-mismatch", "feature-generation-failure"):
        result = examine(check, home, "shop", depth="full")
        assert AGAIN not in result.reason, check
        assert result.status is not Status.ERROR


def test_a_check_that_looks_at_what_is_going_on_keeps_its_result(home: Path) -> None:
    result = result_of(home, lambda: another_process(writing(database(home))), live=True)
    assert result.status is Status.PASS
    live = {id_ for id_, each in load().items() if each.check.live}
    assert live == {"sqlite-locking", "registration-hang", "logged-errors"}


@pytest.mark.parametrize("raised", [NotApplicable("it is not there"), FileNotFoundError("shop.sqlite")])
def test_a_result_spoilt_by_a_change_is_not_shown(home: Path, raised: Exception) -> None:
    def vanish() -> None:
        database(home).unlink()
        raise raised

    result = result_of(home, vanish)
    assert (result.status, result.reason) == (
        Status.ERROR,
        f"{database(home)} went away while it was read; {AGAIN}",
    )


def test_what_changes_between_the_stock_and_the_look_is_noticed(home: Path) -> None:
    run = Run(Options(home=home), environ={})
    try:
        before = run.result(run.modules["data-corruption"], SHOP)
        file = home / "config/datasets/wine.yaml"
        another_process(f"open({str(file)!r}, 'a').write('\\n')")
        after = run.result(run.modules["data-corruption"], Target(Kind.DATASET, "wine"))
    finally:
        run.close()
    assert before.status is Status.PASS
    assert (after.status, after.reason) == (
        Status.ERROR,
        f"{file} changed after the run had begun; {AGAIN}",
    )


def test_a_home_moved_during_a_run_is_reported_as_gone(each_home: Path) -> None:
    run = Run(Options(home=each_home), environ={})
    try:
        items = run.items()
        assert run.result(*items[0]).status is not Status.ERROR
        each_home.rename(each_home.with_name("elsewhere"))
        results = [run.result(*item) for item in items[1:]]
    finally:
        run.close()
    assert {result.status for result in results} <= {Status.ERROR, Status.SKIP}
    reasons = {result.reason for result in results if result.status is Status.ERROR}
    assert reasons == {f"{each_home} went away after the run had begun; {AGAIN}"}
    assert {result.target.name for result in results if result.status is Status.ERROR} >= {"home", "shop"}


def test_a_home_that_is_moved_during_a_look_is_a_plain_error(home: Path) -> None:
    result = result_of(home, lambda: home.rename(home.with_name("elsewhere")))
    assert (result.status, result.reason.endswith(AGAIN)) == (Status.ERROR, True)
    assert "went away while it was read" in result.reason


@pytest.mark.home_moves
@pytest.mark.parametrize("check", ["data-corruption", "feature-generation-failure"])
def test_a_dataset_under_continuous_writes_is_not_judged(home: Path, examine: Examine, check: str) -> None:
    path = database(home)
    go_on = f"import sqlite3, time\nc = sqlite3.connect({str(path)!r}, timeout=60, isolation_level=None)\n"
    go_on += "print('ready', flush=True)\n"
    go_on += "while True: c.execute('UPDATE train SET qty = qty + 1 WHERE id = 1'); time.sleep(0.001)"
    writer = subprocess.Popen([sys.executable, "-c", go_on], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        reasons = until_inconclusive(lambda: examine(check, home, "shop", depth="full"))
    finally:
        writer.kill()
        writer.communicate()
    assert any(word in reasons for word in (path.name, f"{path.name}-journal"))
    quiet = examine(check, home, "shop", depth="full")
    assert AGAIN not in quiet.reason


def until_inconclusive(look: Callable[[], Result]) -> str:
    """Why a result was inconclusive; the writer may have had no turn during the first looks."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        result = look()
        if AGAIN in result.reason:
            assert (result.status, result.findings) == (Status.ERROR, ())
            return result.reason
    raise AssertionError("it was never noticed")


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_a_quiet_home_is_never_said_to_move(each_home: Path, tmp_path: Path, workers: str) -> None:
    report = tmp_path / "report.json"
    options = ["--mdm-health", f"--mdm-home={each_home}", "--mdm-depth=full", f"--mdm-json={report}", "-n", workers]
    command = [sys.executable, "-m", "pytest", *options]
    subprocess.run(command, cwd=tmp_path, check=False, timeout=600, capture_output=True)
    results = json.loads(report.read_text(encoding="utf-8"))["results"]
    assert len(results) > 20
    assert [each for each in results if AGAIN in each["reason"] or each["status"] == "error"] == []


def test_a_link_to_a_database_is_watched_with_both_sidecars(tmp_path: Path) -> None:
    real, link = tmp_path / "real.db", tmp_path / "link.db"
    real.write_bytes(b"x")
    link.symlink_to(real)
    files = files_of([Backend("sqlite", link)])
    assert {tmp_path / "real.db-wal", tmp_path / "link.db.wal", link} <= set(files)
    seen = seen_now(files)
    real.with_name("real.db-wal").write_bytes(b"")
    assert what_changed(seen, "now") == "", "an empty log holds nothing"
    real.with_name("real.db-wal").write_bytes(b"x")
    assert what_changed(seen, "now").startswith(f"{real}-wal came into being now")


def test_of_a_server_no_file_is_watched(tmp_path: Path) -> None:
    assert files_of([None, "text", tmp_path]) == ()
