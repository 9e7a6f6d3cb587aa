"""pool-exhaustion, on real homes and real servers: healthy, exhausted in each way, and repaired."""

from __future__ import annotations

import contextlib
import re
import resource
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import yaml

from pytest_mdm_health.backends import CannotOpen
from pytest_mdm_health.checks.pool_exhaustion import probe as _pool_probe
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.engine.sandbox import Sandbox
from pytest_mdm_health.mdm.servers import Connection
from tests.helpers import repair
from tests.postgres import HOST, PASSWORD, USER, MakePostgresHome, Server, broken_line

Examine = Callable[..., Result]
TRAIN = ("CREATE TABLE train AS SELECT i AS id FROM generate_series(1, 100) i", "ANALYZE train")


def codes(result: Result, severity: Severity | None = None) -> set[str]:
    return {each.code.partition(".")[2] for each in result.findings if severity in {None, each.severity}}


def found(result: Result, code: str) -> Finding:
    (finding,) = [each for each in result.findings if each.code == code]
    return finding


def configure(home: Path, **settings: object) -> None:
    (home / "mdm.yaml").write_text(yaml.safe_dump(settings))


@pytest.fixture
def shop(own_postgres: Server) -> Server:
    """A server with ten usable connections and a dataset."""
    own_postgres.start(max_connections="13", superuser_reserved_connections="3")
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    return own_postgres


@contextlib.contextmanager
def held(server: Server, count: int, application: str = "") -> Iterator[None]:
    """So many connections that are not returned."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(contextlib.closing(server.connect("mdm_shop", USER, application=application)))
        yield


SMALL = {"sqlalchemy": {"max_overflow": 0, "pool_timeout": 1, "pool_recycle": 1}}


def small(server: Server, make_postgres_home: MakePostgresHome, size: int = 1) -> Path:
    """A home with a small pool; other tests may run processes called mdm at the same time, and each has one."""
    login = {"host": "127.0.0.1", "port": server.port, "user": USER, "password": PASSWORD, "pool_size": size}
    home = make_postgres_home(server, {**SMALL, "postgresql": login})
    written = yaml.safe_load((home / "mdm.yaml").read_text())
    configure(home, **written, performance={"max_concurrent_operations": 1})
    return home


def test_every_real_home_is_healthy(each_home: Path, examine: Examine) -> None:
    result = examine("pool-exhaustion", each_home)
    assert (result.status, result.findings, result.reason) == (Status.PASS, (), "")
    assert result.facts["probe"]["wanted"] == 15  # type: ignore[call-overload, index] # nested facts


def test_an_empty_home_has_mdms_pool_and_is_healthy(tmp_path: Path, examine: Examine) -> None:
    (tmp_path / "config/datasets").mkdir(parents=True)
    result = examine("pool-exhaustion", tmp_path)
    assert (result.status, result.examined) == (Status.PASS, 1)


def test_only_structure_is_looked_at_where_that_was_asked_for(home: Path, examine: Examine) -> None:
    result = examine("pool-exhaustion", home, depth="quick")
    assert result.facts["probe"] is None
    assert "--mdm-depth=standard" in result.reason


def test_a_server_with_room_is_healthy(shop: Server, make_postgres_home: MakePostgresHome, examine: Examine) -> None:
    result = examine("pool-exhaustion", small(shop, make_postgres_home))
    assert (result.status, result.findings) == (Status.PASS, ())
    assert PASSWORD not in repr(result)
    assert re.search(r"'wanted': 1, 'opened': 1, 'held': True", repr(result.facts["servers"]))
    assert shop.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mdm-health'")[0][0] <= 1


def test_a_pool_smaller_than_what_runs_is_noticed_and_repaired(home: Path, examine: Examine) -> None:
    configure(home, performance={"max_concurrent_operations": 40})
    result = examine("pool-exhaustion", home)
    finding = found(result, "pool-exhaustion.pool-too-small")
    assert codes(result, Severity.WARN) == {"pool-too-small"}
    assert "line 2" in finding.message
    assert "`database.sqlalchemy.pool_size` to 40" in finding.remedy.text
    configure(home, performance={"max_concurrent_operations": 40}, database={"sqlalchemy": {"pool_size": 40}})
    assert examine("pool-exhaustion", home).findings == ()


def test_workers_count_as_demand_around_the_migration_and_are_no_setting_of_the_pool(
    home: Path, examine: Examine
) -> None:
    configure(home, performance={"max_workers": 64})
    assert codes(examine("pool-exhaustion", home)) == {"ignored-setting"}
    (home / "feature_flags.yaml").write_text("use_new_backend: true\n")
    result = examine("pool-exhaustion", home)
    assert codes(result) == {"pool-too-small"}
    finding = found(result, "pool-exhaustion.pool-too-small")
    assert finding.message.startswith(f"64 operations may run at the same time ({home / 'mdm.yaml'}, line 2)")
    assert "`performance.max_workers` in mdm.yaml to 15" in finding.remedy.text


@pytest.mark.parametrize(
    ("database", "environ", "names"),
    [
        (
            {"pool_size": 30, "sqlalchemy_max_overflow": 20},
            {},
            {"database.pool_size", "database.sqlalchemy_max_overflow"},
        ),
        ({}, {"MDM_DATABASE_POOL_SIZE": "30"}, {"MDM_DATABASE_POOL_SIZE"}),
        ({}, {"MDM_DATABASE_SQLALCHEMY_POOL_SIZE": "30"}, {"MDM_DATABASE_SQLALCHEMY_POOL_SIZE"}),
    ],
)
def test_settings_of_the_pool_that_mdm_ignores_are_noted(
    home: Path, examine: Examine, database: dict[str, object], environ: dict[str, str], names: set[str]
) -> None:
    configure(home, database=database)
    result = examine("pool-exhaustion", home, environ=environ)
    assert {each.code for each in result.findings} == {"pool-exhaustion.ignored-setting"}
    assert {each.subject for each in result.findings} == names
    assert result.status is Status.PASS


def test_an_mdm_with_fixed_pools_is_judged_by_those(
    home: Path, examine: Examine, make_python: Callable[..., Path]
) -> None:
    configure(home, performance={"max_concurrent_operations": 40}, database={"sqlalchemy": {"pool_size": 40}})
    result = examine("pool-exhaustion", home, python=str(make_python()))
    finding = found(result, "pool-exhaustion.pool-too-small")
    assert "MDM 1.0.6, whatever is set" in finding.message
    assert "pool_size" not in finding.remedy.text
    configure(home)
    assert examine("pool-exhaustion", home, python=str(make_python(name="again"))).status is Status.PASS


def test_a_pool_that_cannot_be_filled_is_noticed_and_repaired(home: Path) -> None:
    from pytest_mdm_health.core.options import Options
    from pytest_mdm_health.engine.run import Run

    configure(home, database={"sqlalchemy": {"pool_size": 150}})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    results = []
    for limit in (100, before[0]):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
        sandbox = Sandbox()
        try:
            run = Run(Options(home=home), environ={}, sandbox=sandbox)
            results.append(run.result(run.modules["pool-exhaustion"], run.items()[0][1]))
        finally:
            sandbox.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    damaged, repaired = results
    finding = found(damaged, "pool-exhaustion.probe-failed")
    assert finding.severity is Severity.WARN
    assert "of 160 connections" in finding.message
    assert "100 files open" in finding.message
    shown = subprocess.run(
        ["sh", "-c", f"{finding.remedy.commands[0]}; ulimit -n"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[0] == shown.stdout.split()[2], "the limit stays what it is"
    assert "`ulimit -Sn`, to 640" in finding.remedy.text
    assert repaired.findings == ()


LIMIT = (
    "2026-07-08 09:00:00,000 - mdm.storage.base - ERROR - TimeoutError: QueuePool limit of size 5 overflow 10 reached\n"
)
SUCCESS = "2026-07-08 10:00:00,000 - mdm.cli.main - INFO - Dataset 'shop' registered successfully\n"


def test_exhaustion_in_a_line_of_another_form_is_no_pass(home: Path, examine: Examine) -> None:
    with (home / "logs/mdm.log").open("a", encoding="utf-8") as log:
        log.write("[2026/11/29 08:17:57] [worker-2] ERROR QueuePool limit of size 5 overflow 10 reached\n")
    result = examine("pool-exhaustion", home, depth="quick")
    assert (result.status, "1 line in a form that MDM does not write" in result.reason) == (Status.ERROR, True)


def test_exhaustion_in_the_log_is_noticed_and_a_note_once_it_was_repaired(home: Path, examine: Examine) -> None:
    (home / "logs" / "mdm.log").write_text(LIMIT * 3)
    mtime = time.mktime((2026, 7, 8, 11, 0, 0, 0, 0, -1))
    __import__("os").utime(home / "logs" / "mdm.log", (mtime, mtime))
    finding = found(examine("pool-exhaustion", home), "pool-exhaustion.logged-exhaustion")
    assert finding.severity is Severity.WARN
    assert "3 times" in finding.message
    assert finding.location is not None
    assert finding.location.line == 3
    (home / "logs" / "mdm.log").write_text(LIMIT * 3 + SUCCESS)
    repaired = found(examine("pool-exhaustion", home), "pool-exhaustion.logged-exhaustion")
    assert repaired.severity is Severity.NOTE


def test_exhaustion_long_ago_is_a_note(home: Path, examine: Examine) -> None:
    (home / "logs" / "mdm.log").write_text(LIMIT.replace("2026", "2024"))
    assert found(examine("pool-exhaustion", home), "pool-exhaustion.logged-exhaustion").severity is Severity.NOTE


def test_a_server_that_is_full_is_one_failure_until_it_is_repaired(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    home = small(shop, make_postgres_home)
    with held(shop, 10):
        result = examine("pool-exhaustion", home)
        assert "remaining connection slots" in found(result, "pool-exhaustion.server-full").message
        assert result.status is Status.WARN  # the failure is the server's own
        assert examine("postgres-slowdown", home, server=shop.name).status is Status.FAIL
    with held(shop, 9, "notebook"):
        result = examine("pool-exhaustion", home)
        finding = found(result, "pool-exhaustion.server-nearly-full")
        assert f"9 of 10 connections of {shop.name} are in use" in finding.message
        assert "9 by notebook (idle)" in finding.message
        assert codes(result, Severity.WARN) == {"server-nearly-full"}
    assert examine("pool-exhaustion", home).status is Status.PASS


def test_a_server_that_keeps_its_last_connections_for_administrators_is_full(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    shop.run(f"ALTER ROLE {USER} SUPERUSER")
    with held(shop, 10):
        result = examine("pool-exhaustion", small(shop, make_postgres_home))
    assert "10 of 10 connections" in found(result, "pool-exhaustion.server-full").message


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "broke the connection off"),
    ],
)
def test_a_server_that_fails_while_the_pool_is_filled_is_an_answer_and_keeps_no_connection(
    shop: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    reason: str,
) -> None:
    monkeypatch.setattr(_pool_probe, "_ON_SERVER", statement)
    with pytest.raises(CannotOpen, match=reason):
        _pool_probe.fill_from(Connection(HOST, shop.port, "mdm_shop", USER, PASSWORD), 1, 100)
    assert caplog.records == []
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mdm-health'"
    deadline = time.monotonic() + 30
    while shop.run(sessions) != [(0,)]:  # the server notices a little later
        assert time.monotonic() < deadline


def test_a_pool_larger_than_the_server_is_noticed_and_repaired(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    result = examine("pool-exhaustion", small(shop, make_postgres_home, size=30))
    finding = found(result, "pool-exhaustion.exceeds-server")
    assert codes(result, Severity.WARN) == {"exceeds-server"}
    assert "30 connections each" in finding.message
    assert "allows 10 (the server's max_connections)" in finding.message
    assert re.search(r"add up to \d+ at most", finding.remedy.text)
    shop.follow(finding.remedy.commands[0])
    assert examine("pool-exhaustion", small(shop, make_postgres_home)).status is Status.PASS


@pytest.mark.parametrize("what", ["ROLE ml", "DATABASE mdm_shop"])
def test_limits_of_the_role_and_the_database_count_too(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine, what: str
) -> None:
    shop.run(f"ALTER {what} CONNECTION LIMIT 3")
    result = examine("pool-exhaustion", small(shop, make_postgres_home, size=4))
    assert (
        f"allows 3 (the connection limit of the {what.lower()})"
        in found(result, "pool-exhaustion.exceeds-server").message
    )


def test_running_mdm_processes_each_have_a_pool(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine, tmp_path: Path
) -> None:
    shutil.copy("/bin/sleep", tmp_path / "mdm")
    running = [subprocess.Popen([tmp_path / "mdm", "60"]) for _ in range(3)]
    try:
        result = examine("pool-exhaustion", small(shop, make_postgres_home, size=5))
    finally:
        for process in running:
            process.kill()
            process.wait()
    said = re.match(
        r"(\d+) MDM processes with 5 connections each may open (\d+),",
        found(result, "pool-exhaustion.exceeds-server").message,
    )
    assert said is not None
    assert int(said[1]) >= 3
    assert int(said[2]) == 5 * int(said[1])


def test_leaked_sessions_have_client_and_age_until_repaired(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    home = small(shop, make_postgres_home)
    with contextlib.closing(shop.connect("mdm_shop", USER, application="mdm")) as connection, held(shop, 1, "notebook"):
        connection.execute("BEGIN")
        connection.execute("SELECT 'secret' FROM train")
        age = "extract(epoch FROM clock_timestamp() - max(state_change))"
        while shop.run(f"SELECT {age} FROM pg_stat_activity WHERE state ~ 'idle'")[0][0] < 1.05:
            time.sleep(0.05)
        result = examine("pool-exhaustion", home)
        open_one = found(result, "pool-exhaustion.leaked-transaction")
        forgotten = found(result, "pool-exhaustion.leaked-connection")
        assert (open_one.severity, forgotten.severity) == (Severity.WARN, Severity.NOTE)
        assert f"process {connection.info.backend_pid} of mdm from 127.0.0.1 for" in open_one.message
        assert "after SELECT ? FROM train" in open_one.message
        assert "of notebook" in forgotten.message
        assert open_one.message.startswith("1 session is idle in transaction on ")
        assert forgotten.message.startswith("1 session is idle on ")
        assert "secret" not in repr(result)
        look, end = open_one.remedy.commands
        assert "idle" in shop.follow(look).stdout
        (only,) = forgotten.remedy.commands
        assert "idle" in shop.follow(only).stdout
        assert "what it has not committed is lost" in forgotten.remedy.text, "it is not MDM's own"
        assert connection.execute("SELECT count(*) FROM train").fetchone() == (100,), "no one ended it"
        assert repair(*shlex.split(end)[1:]) == 0
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT count(*) FROM train")
        assert "leaked-transaction" not in codes(examine("pool-exhaustion", home))
    assert examine("pool-exhaustion", home).findings == ()


def test_an_idle_session_of_mdm_is_ended(shop: Server, make_postgres_home: MakePostgresHome, examine: Examine) -> None:
    home = small(shop, make_postgres_home)
    before = shop.run("SELECT * FROM train", database="mdm_shop")
    with held(shop, 2, "mdm"), held(shop, 1, "notebook"):
        time.sleep(1.1)
        finding = found(examine("pool-exhaustion", home), "pool-exhaustion.leaked-connection")
        look, *ends = finding.remedy.commands
        assert "notebook" in shop.follow(look).stdout
        assert len(ends) == 2
        for end in ends:
            shop.follow(end)
        again = found(examine("pool-exhaustion", home), "pool-exhaustion.leaked-connection")
        assert again.message.startswith("1 session is idle")
        assert len(again.remedy.commands) == 1, "another program's"
    assert shop.run("SELECT * FROM train", database="mdm_shop") == before


def test_a_blocking_transaction_is_a_note_for_an_administrator(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    home = small(shop, make_postgres_home)
    shop.run(f"GRANT pg_monitor TO {USER}")
    with (
        ThreadPoolExecutor(1) as thread,
        contextlib.closing(shop.connect("mdm_shop", USER)) as victim,
        contextlib.closing(shop.connect("mdm_shop", application="mdm")) as culprit,
    ):
        culprit.execute("BEGIN")
        culprit.execute("LOCK TABLE train")
        waiting = thread.submit(victim.execute, "SELECT count(*) FROM train")
        state = "SELECT min(extract(epoch FROM clock_timestamp() - state_change)) FROM pg_stat_activity"
        while (shop.run(f"{state} WHERE wait_event_type = 'Lock'")[0][0] or 0) < 1.05:
            time.sleep(0.05)
        leaked = found(examine("pool-exhaustion", home), "pool-exhaustion.leaked-transaction")
        blocked = found(examine("postgres-slowdown", home, server=shop.name), "postgres-slowdown.blocked-session")
        assert (leaked.severity, blocked.severity) == (Severity.NOTE, Severity.WARN)
        assert leaked.remedy.commands == blocked.remedy.commands
        (look,) = blocked.remedy.commands
        assert "terminate" not in look
        assert "LOCK TABLE train" in shop.follow(look).stdout
        culprit.execute("COMMIT")
        assert waiting.result().fetchone() == (100,)


def test_a_server_that_refuses_while_there_is_room_is_a_failure(
    own_postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start(max_connections="60")
    own_postgres.add_database("mdm_shop", owner=USER)
    own_postgres.run("ALTER DATABASE postgres CONNECTION LIMIT 2")
    home = small(own_postgres, make_postgres_home, size=5)
    finding = found(examine("pool-exhaustion", home), "pool-exhaustion.probe-refused")
    assert finding.severity is Severity.FAIL
    assert "of 5 connections" in finding.message
    own_postgres.run("ALTER DATABASE postgres CONNECTION LIMIT -1")
    assert examine("pool-exhaustion", home).status is Status.PASS


def test_a_home_none_of_whose_servers_could_be_looked_at_is_no_pass(
    own_postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    home = make_postgres_home(own_postgres)
    own_postgres.stop()
    result = examine("pool-exhaustion", home)
    assert (result.status, result.findings) == (Status.ERROR, ())
    why = f"connections of the server {own_postgres.name} could not be examined: it cannot be opened: the server does"
    assert f"{why} not answer" in result.reason
    login = {"host": HOST, "port": own_postgres.port, "user": USER, "password": PASSWORD, "pool_size": 1}
    small_one = make_postgres_home(own_postgres, {"postgresql": login, "sqlalchemy": {"max_overflow": 0}})
    assert codes(examine("pool-exhaustion", small_one)) == {"pool-too-small"}
    own_postgres.start()
    assert examine("pool-exhaustion", home).examined == 2


def test_a_question_that_a_server_does_not_answer_is_no_pass_until_that_is_repaired(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    home = small(shop, make_postgres_home)
    for name in ("postgres", "mdm_shop"):
        shop.run("REVOKE SELECT ON pg_locks FROM PUBLIC", database=name)
    result = examine("pool-exhaustion", home)
    assert result.status is Status.ERROR
    assert f"idle sessions of the server {shop.name} could not be looked at: permission denied" in result.reason
    for name in ("postgres", "mdm_shop"):
        shop.run("GRANT SELECT ON pg_locks TO PUBLIC", database=name)
    assert examine("pool-exhaustion", home).status is Status.PASS


def test_a_broken_connection_is_reported_in_a_whole_sentence(
    shop: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    with broken_line(shop, at=b"pg_stat_activity") as port:
        line: dict[str, object] = {"host": HOST, "port": port, "user": USER, "password": PASSWORD}
        result = examine("pool-exhaustion", make_postgres_home(shop, {"postgresql": line}, shop=line))
    assert result.status is Status.ERROR
    assert f"{HOST}:{port} could not be examined: the server broke the connection off: " in result.reason
