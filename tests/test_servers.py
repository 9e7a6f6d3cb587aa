"""Whole runs on homes whose data is on PostgreSQL servers, as users make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers import ALONE_OR_ON_WORKERS, Health, results_in
from tests.postgres import PASSWORD, USER, MakePostgresHome, Server


@pytest.fixture
def health(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Health:
    """Run `pytest --mdm-health` on a home."""
    for name in list(os.environ):
        if name.startswith(("MDM_", "PYTEST_MDM_", "PG")):
            monkeypatch.delenv(name)

    pytester.syspathinsert()

    def run(home: Path, *args: str | Path) -> pytest.RunResult:
        start = pytester.runpytest_subprocess if "-n" in args else pytester.runpytest_inprocess
        return start("--mdm-health", f"--mdm-home={home}", *args)

    return run


@pytest.fixture
def shop(postgres: Server) -> Server:
    """A server with a dataset."""
    rows = "CREATE TABLE train AS SELECT i AS id, i % 2 AS target FROM generate_series(1, 100) i"
    postgres.add_database("mdm_shop", rows, "ANALYZE train", owner=USER)
    return postgres


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_home_on_a_server_is_healthy_and_shows_no_password(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    home = make_postgres_home(shop)
    reports = [tmp_path / "report.json", tmp_path / "report.html", tmp_path / "junit.xml"]
    options = [f"--mdm-json={reports[0]}", f"--mdm-html={reports[1]}", f"--junitxml={reports[2]}"]
    result = health(home, *options, *workers)
    results = results_in(reports[0])
    assert {each["status"] for each in results.values()} <= {"pass", "skip"}
    assert results[f"postgres-slowdown[{shop.name}]"]["target"]["kind"] == "server"
    for name in ("pool-exhaustion[home]", "metadata-corruption[shop]", "data-corruption[shop]"):
        assert results[name]["status"] == "pass"
    shown = [result.stdout.str(), result.stderr.str(), *(report.read_text("utf-8") for report in reports)]
    assert not any(PASSWORD in text or "s3cr" in text for text in shown)


def test_an_unreachable_server_is_one_failure_that_blocks(
    own_postgres: Server, make_postgres_home: MakePostgresHome, health: Health, tmp_path: Path
) -> None:
    own_postgres.start()
    own_postgres.stop()
    home = make_postgres_home(own_postgres, **{f"d{number}": {} for number in range(5)})
    result = health(home, f"--mdm-json={tmp_path / 'report.json'}")
    assert result.ret == 1
    results = results_in(tmp_path / "report.json")
    server = f"postgres-slowdown[{own_postgres.name}]"
    assert [name for name, each in results.items() if each["status"] == "fail"] == [server]
    blocked = {name for name, each in results.items() if each["status"] == "blocked"}
    assert blocked >= {f"{check}[d{n}]" for n in range(5) for check in ("metadata-corruption", "data-corruption")}
    assert {results[name]["blocked_by"] for name in blocked} == {f"mdm-health::{server}"}


def test_a_servers_checks_are_selected_by_their_node_ids(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health
) -> None:
    result = health(make_postgres_home(shop), f"mdm-health::postgres-slowdown[{shop.name}]")
    result.assert_outcomes(passed=1)


def test_a_wrong_password_is_told_without_a_traceback(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health
) -> None:
    wrong: dict[str, object] = {"password": "wrong-s3cret"}
    login = {"host": "127.0.0.1", "port": shop.port, "user": USER, **wrong}
    result = health(make_postgres_home(shop, {"postgresql": login}, shop=wrong))
    result.stdout.fnmatch_lines(["*password authentication failed*"])
    assert "wrong-s3cret" not in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_fixtures_give_users_tests_their_servers_and_datasets(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(
        f"""
        def test_server(mdm_server):
            assert mdm_server.name == "{shop.name}"
            assert "s3cr" not in repr(mdm_server)

        def test_rows(mdm_connection, mdm_server, mdm_dataset):
            assert (mdm_dataset.name, mdm_server.prefix) == ("shop", "mdm_")
            assert mdm_connection.count("train") == 100

        def test_frame(mdm_frame):
            assert mdm_frame("train")["target"].sum() == 50

        def test_home(mdm_home):
            assert mdm_home.root.name == "home"
        """
    )
    result = health(make_postgres_home(shop), "--mdm-select=postgres-slowdown", pytester.path)
    result.assert_outcomes(passed=5)
    result.stdout.no_fnmatch_line("*s3cr*")


OF_A_DATASET = ("metadata-corruption", "data-corruption", "type-mismatch", "feature-generation-failure")


REFUSED = [
    pytest.param(["shop"], id="one of two"),
    pytest.param(["other", "shop"], id="both", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("refused", REFUSED)
def test_a_refused_login_is_one_failure_and_blocks_its_datasets(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health, tmp_path: Path, refused: list[str]
) -> None:
    shop.add_database("mdm_other", "CREATE TABLE train AS SELECT 1 AS id", "ANALYZE train", owner=USER)
    wrong = {"password": "not-the-password"}
    home = make_postgres_home(shop, None, **{name: wrong if name in refused else {} for name in ("other", "shop")})
    result = health(home, f"--mdm-json={tmp_path / 'report.json'}")
    results = results_in(tmp_path / "report.json")
    server = f"postgres-slowdown[{shop.name}]"
    assert result.ret == 1
    assert [name for name, each in results.items() if each["status"] in {"fail", "error"}] == [server]
    (finding,) = (each for each in results[server]["findings"] if each["severity"] == "fail")
    assert f"so {', '.join(refused)} cannot be used" in finding["message"]
    of_datasets = {name: each for name, each in results.items() if name.partition("[")[0] in OF_A_DATASET}
    blocked = {name for name, each in of_datasets.items() if each["status"] == "blocked"}
    assert blocked == {f"{check}[{name}]" for check in OF_A_DATASET for name in refused}
    assert {of_datasets[name]["blocked_by"] for name in blocked} == {f"mdm-health::{server}"}


STOPPER = """
import os, pathlib, signal, time

def pytest_runtest_logreport(report):
    data = pathlib.Path({data!r})
    ours = report.when == "call" and report.nodeid.endswith("::data-corruption[apples]")
    if ours and (data / "postmaster.pid").exists():
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
        while (data / "postmaster.pid").exists():
            time.sleep(0.02)
"""


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_server_that_stops_midway_is_one_failure_that_blocks(
    own_postgres: Server,
    make_postgres_home: MakePostgresHome,
    health: Health,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    workers: tuple[str, ...],
) -> None:
    own_postgres.start()
    names = ("apples", "pears", "plums", "shop")
    for name in names:
        own_postgres.add_database(f"mdm_{name}", "CREATE TABLE train AS SELECT 1 AS id", "ANALYZE train", owner=USER)
    home = make_postgres_home(own_postgres, None, **{name: {} for name in names[:3]})
    pytester.makepyfile(stopper=STOPPER.format(data=str(own_postgres.data)))
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
    out = tmp_path / "out.json"
    result = health(home, f"--mdm-json={out}", "-p", "stopper", *workers)
    results = results_in(out)
    failed = {name for name, each in results.items() if each["status"] == "fail"}
    assert failed == {f"postgres-slowdown[{own_postgres.name}]"}
    assert results["data-corruption[apples]"]["status"] == "pass"
    assert results["data-corruption[shop]"]["status"] == "blocked"
    assert results["data-corruption[shop]"]["blocked_by"].startswith("mdm-health::postgres-slowdown[")
    errors = [each["findings"] or each["reason"] for each in results.values() if each["status"] == "error"]
    if not workers:
        assert errors == []
    # The other worker may be in the middle of a check when the server stops: one check, which says that it was cut off.
    assert len(errors) <= 1
    assert all("broke the connection off" in str(error) for error in errors)
    assert result.ret == 1
    assert PASSWORD not in result.stdout.str()


WITHOUT_ITS_ROWS = {
    "hidden": ("ALTER TABLE train ENABLE ROW LEVEL SECURITY", "ALTER TABLE train FORCE ROW LEVEL SECURITY"),
    "forbidden": (f"REVOKE ALL ON train FROM {USER}", "ALTER TABLE train OWNER TO postgres"),
}


@pytest.mark.parametrize("how", WITHOUT_ITS_ROWS)
def test_rows_that_may_not_be_seen_block_their_dataset_alone(
    shop: Server, make_postgres_home: MakePostgresHome, health: Health, tmp_path: Path, how: str
) -> None:
    shop.add_database("mdm_other", "CREATE TABLE train AS SELECT 1 AS id", "ANALYZE train", owner=USER)
    shop.run(*WITHOUT_ITS_ROWS[how], database="mdm_other")
    home = make_postgres_home(shop, None, other={}, shop={})
    health(home, f"--mdm-json={tmp_path / 'report.json'}")
    results = results_in(tmp_path / "report.json")
    server = f"postgres-slowdown[{shop.name}]"
    assert [name for name, each in results.items() if each["status"] == "fail"] == [server]
    about_rows = ("data-corruption", "type-mismatch", "feature-generation-failure")
    assert {results[f"{check}[other]"]["status"] for check in about_rows} == {"blocked"}
    assert not {results[f"{check}[shop]"]["status"] for check in about_rows} & {"blocked", "fail", "error"}
