"""postgres-slowdown, on real servers that are healthy, damaged in each way, and repaired."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pytest_mdm_health.backends import CannotOpen, close_all
from pytest_mdm_health.checks import postgres_slowdown
from pytest_mdm_health.checks._shared.postgres.entry import Look
from pytest_mdm_health.checks.postgres_slowdown.collect import collect
from pytest_mdm_health.checks.postgres_slowdown.facts import BlockedSession, PostgresFacts, RecordedStatement
from pytest_mdm_health.checks.postgres_slowdown.rules import OF_SERVER, QUERIES, SCANS
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.mdm.servers import servers_of
from tests.postgres import HOST, PASSWORD, USER, MakePostgresHome, Server, broken_line

Examine = Callable[..., Result]
TRAIN = (
    "CREATE TABLE train AS SELECT i AS id, i % 7 AS target FROM generate_series(1, 1000) i",
    "ANALYZE train",
)


def codes(result: Result, severity: Severity | None = None) -> set[str]:
    return {each.code.partition(".")[2] for each in result.findings if severity in {None, each.severity}}


def found(result: Result, code: str) -> Finding:
    (finding,) = [each for each in result.findings if each.code == code]
    return finding


@pytest.fixture
def look(examine: Examine, make_postgres_home: MakePostgresHome) -> Callable[..., Result]:
    """Examine a server for a home whose dataset `shop` is on it."""

    def run(server: Server, home: Path | None = None, **more: object) -> Result:
        chosen = home or make_postgres_home(server)
        result = examine("postgres-slowdown", chosen, server=server.name, **more)
        assert PASSWORD not in repr(result)
        return result

    return run


LookAt = Callable[..., Result]


def test_a_fresh_server_with_a_dataset_is_healthy(each_postgres: Server, look: LookAt) -> None:
    each_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    result = look(each_postgres)
    assert (result.status, codes(result)) == (Status.PASS, set())
    assert result.examined == 2
    assert "GRANT pg_monitor TO ml" in result.reason
    assert result.facts["state"]["user"] == USER  # type: ignore[call-overload, index] # nested facts


def test_a_role_that_may_see_everything_leaves_no_gap_on_a_healthy_server(each_postgres: Server, look: LookAt) -> None:
    each_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    each_postgres.run(f"GRANT pg_monitor TO {USER}")
    try:
        result = look(each_postgres)
    finally:
        each_postgres.run(f"REVOKE pg_monitor FROM {USER}")
    assert (result.status, result.reason, codes(result)) == (Status.PASS, "", set())


def test_a_role_that_may_see_nothing_lacks_a_right(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_user("blind")
    postgres.add_database("mdm_shop", "CREATE TABLE train (id integer)", "REVOKE ALL ON SCHEMA public FROM PUBLIC")
    login = {"user": "blind"}
    settings = {"postgresql": {"host": HOST, "port": postgres.port, "user": "blind", "password": PASSWORD}}
    result = look(postgres, make_postgres_home(postgres, settings, shop=login))
    assert (result.status, codes(result)) == (Status.FAIL, {"no-privilege"})
    assert "GRANT pg_monitor TO blind" in result.reason


def test_a_server_that_is_stopped_is_unreachable_and_healthy_once_repaired(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    own_postgres.stop()
    result = look(own_postgres)
    finding = found(result, "postgres-slowdown.unreachable")
    assert (result.status, finding.evidence) == (Status.FAIL, {"why": "away"})
    assert finding.remedy.commands == (f"pg_isready -h {HOST} -p {own_postgres.port}",)
    own_postgres.start()
    own_postgres.follow(finding.remedy.commands[0])
    assert look(own_postgres).status is Status.PASS


def test_a_wrong_password_is_unreachable_without_being_shown(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    wrong: dict[str, object] = {"password": "not-the-password"}
    settings = {"postgresql": {"host": HOST, "port": postgres.port, "user": USER, **wrong}}
    result = look(postgres, make_postgres_home(postgres, settings, shop=wrong))
    assert found(result, "postgres-slowdown.unreachable").evidence == {"why": "refused"}
    assert "not-the-password" not in repr(result)
    assert look(postgres, make_postgres_home(postgres)).status is Status.PASS


def test_a_server_that_nobody_named_and_no_dataset_is_on_is_a_risk_and_says_where_it_comes_from(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("localhost", 5432)) == 0:
            pytest.skip("somebody listens at MDM's own default, localhost:5432")
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    settings: dict[str, object] = {"postgresql": {"sslmode": "prefer"}}
    home = make_postgres_home(postgres, settings)
    assert look(postgres, home).status is Status.PASS
    result = examine("postgres-slowdown", home, server="localhost:5432")
    finding = found(result, "postgres-slowdown.unreachable")
    assert result.status is Status.WARN
    assert f"PostgreSQL is the default backend ({home / 'mdm.yaml'}, line 2) and no server is set" in finding.message
    assert make_postgres_home(postgres, {**settings, "default_backend": "sqlite"}) == home
    (only,) = servers_of(take_inventory(home, {}))
    assert only.name == postgres.name


def test_a_server_that_starts_is_unreachable(own_postgres: Server, look: LookAt) -> None:
    (own_postgres.data / "standby.signal").touch()
    own_postgres.launch(restore_command="sleep 60; false")
    why: object = "away"
    while why == "away":
        why = found(look(own_postgres), "postgres-slowdown.unreachable").evidence["why"]
    assert why == "starting"


def test_a_server_that_is_full_is_unreachable_until_it_is_repaired(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start(max_connections="4", superuser_reserved_connections="1")
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(contextlib.closing(own_postgres.connect(user=USER)))
        assert found(look(own_postgres), "postgres-slowdown.unreachable").evidence == {"why": "full"}
    assert look(own_postgres).status is Status.PASS


def test_a_server_that_breaks_off_in_the_middle_is_unreachable(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with broken_line(postgres, at=b"pg_stat_user_tables") as port:
        line: dict[str, object] = {"host": HOST, "port": port}
        settings = {"postgresql": line | {"user": USER, "password": PASSWORD}}
        home = make_postgres_home(postgres, settings, shop=line)
        result = look(Server(postgres.programs, postgres.folder, port), home)
    finding = found(result, "postgres-slowdown.unreachable")
    assert finding.evidence == {"why": "dropped"}
    assert finding.message.startswith(f"{HOST}:{port} broke the connection off: ")


def test_one_refused_login_among_others_is_told_with_its_datasets(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    postgres.add_database("mdm_other", owner=USER)
    home = make_postgres_home(postgres, other={"user": "former", "password": PASSWORD})
    result = look(postgres, home)
    finding = found(result, "postgres-slowdown.login-refused")
    assert result.status is Status.FAIL
    assert "former" in finding.message
    assert "other cannot be used" in finding.message
    postgres.add_user("former")
    assert look(postgres, home).status is Status.PASS


def test_slow_connections_are_noticed_and_gone_when_repaired(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start(post_auth_delay="1")
    own_postgres.add_database("mdm_shop", owner=USER)
    result = look(own_postgres)
    assert codes(result, Severity.WARN) == {"slow-connection"}
    assert "postgres-slowdown.slow-connection" in {each.code for each in result.findings}
    own_postgres.restart()
    assert look(own_postgres).status is Status.PASS


def test_a_statement_that_is_slow_again_and_again_is_noticed_and_one_that_was_repaired_is_not(
    each_postgres: Server, look: LookAt
) -> None:
    each_postgres.add_database("mdm_shop", "CREATE VIEW report AS SELECT 1 AS n FROM pg_sleep(1.05)", owner=USER)
    query = "SELECT 'secret 4111', n FROM report"
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: each_postgres.run(query, database="mdm_shop", user=USER), range(3)))
    result = look(each_postgres)
    finding = found(result, "postgres-slowdown.slow-statement")
    assert finding.severity is Severity.WARN
    assert re.search(r" 1\.\d s on average \(3 runs\)", finding.message)
    assert "FROM report" in finding.message
    assert "4111" not in repr(result)
    each_postgres.follow(finding.remedy.commands[0])
    each_postgres.run("CREATE OR REPLACE VIEW report AS SELECT 1 AS n", query, database="mdm_shop")
    each_postgres.run("SELECT pg_stat_statements_reset()")
    assert look(each_postgres).status is Status.PASS


def test_a_statement_that_was_slow_once_is_a_note_and_maintenance_is_nothing(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", owner=USER)
    slow = ["SELECT FROM pg_sleep(1.05)", "CREATE TABLE slow AS SELECT 1 AS n FROM pg_sleep(1.05)"]
    postgres.run("SET pg_stat_statements.track_utility = on", *slow, database="mdm_shop")
    postgres.run(f"GRANT pg_read_all_stats TO {USER}")
    try:
        result = look(postgres)
    finally:
        postgres.run(f"REVOKE pg_read_all_stats FROM {USER}")
    assert (result.status, codes(result, Severity.NOTE)) == (Status.PASS, {"slow-statement"})
    assert len(result.findings) == 1


REPORT = "SELECT 'secret 4111', n FROM report"


def report_takes(server: Server, seconds: float) -> None:
    """Make the database anew, as a migration does: the statement gets another id."""
    server.run("DROP DATABASE IF EXISTS mdm_shop WITH (FORCE)")
    server.add_database("mdm_shop", owner=USER)
    slower(server, seconds)


def slower(server: Server, seconds: float) -> None:
    view = f"CREATE OR REPLACE VIEW report AS SELECT 1 AS n FROM pg_sleep({seconds})"
    server.run(view, database="mdm_shop", user=USER)


def read_reports(server: Server, times: int) -> None:
    server.run(*[REPORT] * times, database="mdm_shop", user=USER)


@pytest.mark.parametrize("anew", [True, False], ids=["a new database", "the same database"])
def test_statements_that_became_slower_since_the_baseline_are_told_until_they_are_repaired(
    each_postgres: Server, look: LookAt, anew: bool
) -> None:
    report_takes(each_postgres, 0.01)
    read_reports(each_postgres, 20)
    before = look(each_postgres)
    (report_takes if anew else slower)(each_postgres, 0.1)
    read_reports(each_postgres, 10)
    result = look(each_postgres, before=before)
    finding = found(result, "postgres-slowdown.slower-statements")
    assert (codes(result), finding.severity, finding.subject) == ({"slower-statements"}, Severity.WARN, "mdm_shop")
    assert re.search(r"a statement in mdm_shop takes 1\d\d ms on average \(10 runs\), \d+ times the", finding.message)
    assert finding.message.endswith("FROM report")
    assert "4111" not in repr((before, result))
    data = contents(each_postgres, "report")
    for command in finding.remedy.commands:
        each_postgres.follow(command)
    assert contents(each_postgres, "report") == data
    assert look(each_postgres).status is Status.PASS
    slower(each_postgres, 0.01)
    repaired = look(each_postgres)
    read_reports(each_postgres, 10)
    assert codes(look(each_postgres, before=repaired)) == set()


def test_a_statement_that_became_slow_altogether_is_told_once(postgres: Server, look: LookAt) -> None:
    report_takes(postgres, 0.01)
    read_reports(postgres, 10)
    before = look(postgres)
    slower(postgres, 1.5)
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(lambda _: read_reports(postgres, 3), range(10)))
    assert codes(look(postgres)) == {"slow-statement"} == codes(look(postgres, before=look(postgres)))
    assert codes(look(postgres, before=before)) == {"slower-statements"}


@pytest.mark.parametrize(
    ("seconds", "runs", "again"),
    [(0.1, 10, 9), (0.1, 9, 10), (0.04, 10, 10)],
    ids=["too few runs since", "too few runs before", "too little lost"],
)
def test_statements_that_are_hardly_slower_are_healthy(
    postgres: Server, look: LookAt, seconds: float, runs: int, again: int
) -> None:
    report_takes(postgres, 0.005)
    read_reports(postgres, runs)
    before = look(postgres)
    slower(postgres, seconds)
    read_reports(postgres, again)
    assert codes(look(postgres, before=before)) == set()


@pytest.mark.parametrize(
    ("before_ms", "after_ms", "text", "expected"),
    [
        (100.0, 199.0, "SELECT 1", set()),
        (100.0, 201.0, "SELECT 1", {"slower-statements"}),
        (100.0, 900.0, "VACUUM train", set()),
        (100.0, 900.0, "SELECT 1 FROM elsewhere", set()),
    ],
    ids=["less than twice", "twice", "long by its nature", "another statement"],
)
def test_a_statement_is_slower_from_twice_its_time_on(
    before_ms: float, after_ms: float, text: str, expected: set[str]
) -> None:
    known = "SELECT 1" if text == "SELECT 1 FROM elsewhere" else text
    facts = [
        PostgresFacts(
            examined=1,
            server="s:1",
            host="s",
            port=1,
            login="ml",
            recorded=(RecordedStatement(database="mdm_shop", query_id=id_, text=said, calls=10, total_ms=10 * mean),),
        )
        for id_, said, mean in (("1", known, before_ms), ("2", text, after_ms))
    ]
    found = {each.code.partition(".")[2] for each in postgres_slowdown.judge(facts[1], facts[0])}
    assert found == expected


def test_a_server_that_began_to_count_anew_is_compared_by_all_that_it_counted(postgres: Server, look: LookAt) -> None:
    report_takes(postgres, 0.01)
    read_reports(postgres, 10)
    before = look(postgres)
    postgres.run("SELECT pg_stat_statements_reset()")
    slower(postgres, 0.1)
    read_reports(postgres, 11)
    assert "(11 runs)" in found(look(postgres, before=before), "postgres-slowdown.slower-statements").message


def test_a_baseline_that_kept_no_statements_still_loads(postgres: Server, look: LookAt) -> None:
    report_takes(postgres, 0.01)
    before = replace(look(postgres), kept={})
    read_reports(postgres, 10)
    assert look(postgres, before=before).status is Status.PASS


@pytest.mark.parametrize("how", ["not created", "not loaded"])
def test_without_the_extension_only_slow_statements_are_left_out(own_postgres: Server, look: LookAt, how: str) -> None:
    own_postgres.start(**({"shared_preload_libraries": ""} if how == "not loaded" else {}))
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    if how == "not created":
        own_postgres.run("DROP EXTENSION pg_stat_statements")
    result = look(own_postgres)
    assert result.status is Status.PASS
    assert "CREATE EXTENSION pg_stat_statements" in result.reason
    assert result.examined == 2


def test_the_extension_is_found_in_a_datasets_database_too(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start()
    own_postgres.run("DROP EXTENSION pg_stat_statements")
    own_postgres.add_database("mdm_shop", owner=USER)
    own_postgres.run('CREATE SCHEMA "a\'b"', 'CREATE EXTENSION pg_stat_statements SCHEMA "a\'b"', database="mdm_shop")
    own_postgres.run("SELECT FROM pg_sleep(1.05)", database="mdm_shop", user=USER)
    blind = look(own_postgres)
    assert (blind.status, "permission denied for schema" in blind.reason) == (Status.ERROR, True)
    own_postgres.run(f'GRANT USAGE ON SCHEMA "a\'b" TO {USER}', database="mdm_shop")
    assert codes(look(own_postgres)) == {"slow-statement"}


@pytest.mark.parametrize("what", ["pg_database", "pg_locks", "pg_stat_user_tables", "pg_index", "pg_extension"])
def test_a_question_that_the_server_does_not_answer_is_no_pass_until_that_is_repaired(
    own_postgres: Server, look: LookAt, what: str
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    names = ("postgres", "mdm_shop")
    for name in names:
        own_postgres.run(f"REVOKE SELECT ON {what} FROM PUBLIC", database=name)
    result = look(own_postgres)
    assert result.status is Status.ERROR
    assert "could not be looked at: permission denied for" in result.reason
    for name in names:
        own_postgres.run(f"GRANT SELECT ON {what} TO PUBLIC", database=name)
    assert look(own_postgres).status is Status.PASS


def test_a_catalogue_that_is_locked_is_no_pass(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with contextlib.closing(own_postgres.connect()) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE pg_extension")
        result = look(own_postgres)
        holder.execute("ROLLBACK")
    assert result.status is Status.ERROR
    assert "extensions could not be looked at: " in result.reason
    assert look(own_postgres).status is Status.PASS


@contextlib.contextmanager
def blocked(server: Server, application: str = "") -> Iterator[psycopg.Connection]:
    """A transaction that holds what a session of that name has waited for for more than a second."""
    server.add_database("mdm_shop", *TRAIN, owner=USER)
    with contextlib.closing(server.connect("mdm_shop", USER, application="mdm")) as holder:
        holder.execute("BEGIN")
        holder.execute("UPDATE train SET target = 4711 WHERE id = 1")
        patient = server.connect("mdm_shop", USER, application=application)
        update = "UPDATE train SET target = 1234 WHERE id = 1"
        waiter = threading.Thread(target=lambda: patient.execute(update))
        waiter.start()
        seconds = "SELECT extract(epoch FROM clock_timestamp() - min(waitstart)) FROM pg_locks WHERE NOT granted"
        while (server.run(seconds)[0][0] or 0) < 1:
            time.sleep(0.05)
        yield holder
        with contextlib.suppress(psycopg.OperationalError):
            holder.execute("ROLLBACK")
        waiter.join(30)
        patient.close()


@pytest.fixture
def waiting(postgres: Server) -> Iterator[psycopg.Connection]:
    """A transaction that holds what another one has waited for for more than a second."""
    with blocked(postgres) as holder:
        yield holder


def test_a_session_of_ours_that_waits_in_another_worker_is_nobodys_trouble(postgres: Server, look: LookAt) -> None:
    with blocked(postgres, "mdm-health"):
        assert codes(look(postgres)) == set()


def test_a_blocked_session_is_told_with_what_is_in_its_way_and_freed_when_repaired(
    waiting: psycopg.Connection, postgres: Server, look: LookAt
) -> None:
    result = look(postgres)
    finding = found(result, "postgres-slowdown.blocked-session")
    assert finding.severity is Severity.WARN
    assert finding.evidence["blocked_by"] == [waiting.info.backend_pid]
    assert "(mdm), which is idle in transaction: UPDATE train SET target = ?" in finding.message
    assert "4711" not in repr(result)
    (command,) = finding.remedy.commands
    assert str(waiting.info.backend_pid) in postgres.follow(command).stdout
    assert "pg_terminate_backend" not in command
    assert waiting.execute("SELECT target FROM train WHERE id = 1").fetchone() == (4711,), "its session goes on"
    waiting.execute("COMMIT")
    assert "blocked-session" not in codes(look(postgres))
    assert postgres.run("SELECT target FROM train WHERE id = 1", database="mdm_shop") == [(1234,)], "and the other's"


def test_a_session_of_mdm_that_only_read_is_ended_as_printed(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with (
        ThreadPoolExecutor(1) as thread,
        contextlib.closing(postgres.connect("mdm_shop", USER, application="mdm")) as reader,
        contextlib.closing(postgres.connect("mdm_shop", USER)) as changer,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM train")
        changing = thread.submit(changer.execute, "ALTER TABLE train ADD COLUMN note text")
        seconds = "SELECT extract(epoch FROM clock_timestamp() - min(waitstart)) FROM pg_locks WHERE NOT granted"
        while (postgres.run(seconds)[0][0] or 0) < 1:
            time.sleep(0.05)
        finding = found(look(postgres), "postgres-slowdown.blocked-session")
        for command in finding.remedy.commands:
            postgres.follow(command)
        changing.result()
    assert postgres.run("SELECT * FROM train LIMIT 1", database="mdm_shop") == [(1, 1, None)]
    assert "blocked-session" not in codes(look(postgres))


def test_a_session_that_hangs_for_a_minute_is_a_failure() -> None:
    blocked = BlockedSession(pid=1, waits_s=61, statement="", blocked_by=(2,))
    facts = PostgresFacts(examined=1, server="s:1", host="s", port=1, login="ml", blocked_sessions=(blocked,))
    (finding,) = postgres_slowdown.judge(facts, None)
    assert (finding.code, finding.severity) == ("postgres-slowdown.blocked-session", Severity.FAIL)


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_gives_what_the_sentences_of_its_rule_need(postgres: Server, name: str) -> None:
    """Most of these findings need a damaged server; the columns of their queries are known without one."""
    query = QUERIES[name]
    statement = query.statement.replace("to_jsonb(found)", "found.*").replace("?", "NULL")
    with contextlib.closing(postgres.connect()) as connection:
        columns = {column.name for column in connection.execute(statement.encode()).description or ()}
    needed = query.rule.fields | query.rule.remedy.fields
    if name == SCANS:  # what statements filter by is added from the server's record of them
        columns = (columns | {"column", "sql_column", "filtered"}) - {"relname", "columns", "often"}
    grant = {"sql_name"} if name == "no-privilege" else set()  # for the remedy where the home has the owner's login
    assert columns - {"severity", "subject", "evidence"} == (needed | grant) - {"server", "place"}


NEGLECT = (
    "CREATE TABLE \"ne'ver\" AS SELECT i, repeat('x', 20) AS x FROM generate_series(1, 200000) i",
    "CREATE TABLE stale AS SELECT i, 0 AS n FROM generate_series(1, 12000) i",
    "ANALYZE stale",
    "UPDATE stale SET n = 1",
    "CREATE TABLE events AS SELECT i AS id, i % 20000 AS kind, repeat('x', 20) AS x FROM generate_series(1, 200000) i",
    "ANALYZE events",
    "CREATE TABLE small AS SELECT i FROM generate_series(1, 500) i",
)


def contents(server: Server, *tables: str) -> list[object]:
    """The tables whole, in their order on the disk."""
    return [server.run(f"SELECT * FROM {table}", database="mdm_shop") for table in tables]


def test_neglected_tables_are_noticed_and_healthy_once_repaired(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start(autovacuum="off", shared_buffers="128MB")  # the tables are read whole below
    own_postgres.add_database("mdm_shop", *NEGLECT, owner=USER)
    tables = ('"ne\'ver"', "stale", "events", "small")
    reads = ["SELECT * FROM events WHERE kind = 5"] * 25
    own_postgres.run(*reads, database="mdm_shop", user=USER)
    result = look(own_postgres)
    expected = {"never-analysed", "stale-statistics", "dead-rows", "sequential-scan"}
    assert codes(result, Severity.WARN) == expected == codes(result)
    assert found(result, "postgres-slowdown.never-analysed").subject == "mdm_shop.ne'ver"
    assert found(result, "postgres-slowdown.stale-statistics").subject == "mdm_shop.stale"
    assert found(result, "postgres-slowdown.dead-rows").subject == "mdm_shop.stale"
    assert "'kind'" in found(result, "postgres-slowdown.sequential-scan").message
    data = contents(own_postgres, *tables)
    for finding in result.findings:
        own_postgres.follow(*finding.remedy.commands)
    assert contents(own_postgres, *tables) == data
    assert codes(look(own_postgres)) == {"sequential-scan"}
    assert "CREATE INDEX CONCURRENTLY ON" in found(result, "postgres-slowdown.sequential-scan").remedy.text
    own_postgres.run("CREATE INDEX CONCURRENTLY ON events (kind)", database="mdm_shop")
    own_postgres.run(*reads, database="mdm_shop", user=USER)
    assert look(own_postgres).status is Status.PASS


def test_a_table_that_is_read_as_a_whole_again_and_again_needs_no_index(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *NEGLECT[4:6], owner=USER)
    once = "SELECT * FROM events WHERE kind = 5"
    postgres.run(*["SELECT count(*) FROM events"] * 40, once, database="mdm_shop", user=USER)
    assert codes(look(postgres)) == set()
    postgres.run(*[once] * 20, database="mdm_shop", user=USER)
    finding = found(look(postgres), "postgres-slowdown.sequential-scan")
    assert "statements filtered it by 'kind' 21 times" in finding.message


def test_what_the_server_is_about_to_do_itself_is_a_note(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", NEGLECT[0], owner=USER)
    result = look(postgres)
    assert (result.status, codes(result, Severity.NOTE)) == (Status.PASS, {"never-analysed"})


def test_an_index_that_was_not_finished_is_noticed_and_repaired(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres.run('CREATE UNIQUE INDEX CONCURRENTLY "i%x" ON train (target)', database="mdm_shop", user=USER)
    result = look(postgres)
    finding = found(result, "postgres-slowdown.invalid-index")
    assert codes(result, Severity.WARN) == {"invalid-index"}
    assert "i%x on mdm_shop.train" in finding.message
    assert "which of them are right before any is removed" in finding.remedy.text
    data = contents(postgres, "train")
    assert "CREATE UNIQUE INDEX" in postgres.follow(finding.remedy.commands[0]).stdout
    assert contents(postgres, "train") == data
    postgres.run('DROP INDEX "i%x"', database="mdm_shop", user=USER)
    assert look(postgres).status is Status.PASS


def test_an_index_that_broke_off_is_made_again_as_printed_and_no_value_changes(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    with contextlib.closing(postgres.connect("mdm_shop", USER)) as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO train VALUES (9999, 9)")
        with contextlib.closing(postgres.connect("mdm_shop", USER)) as maker:
            maker.execute("SET statement_timeout = '500ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                maker.execute('CREATE INDEX CONCURRENTLY "i%y" ON train (target)')
        other.execute("COMMIT")
    finding = found(look(postgres), "postgres-slowdown.invalid-index")
    data = contents(postgres, "train")
    postgres.follow(finding.remedy.commands[0])
    assert contents(postgres, "train") == data
    assert look(postgres).status is Status.PASS


def test_what_a_reindex_left_is_told_apart(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, "CREATE INDEX good ON train (target)", owner=USER)
    with contextlib.closing(postgres.connect("mdm_shop", USER)) as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO train VALUES (9999, 9)")
        with contextlib.closing(postgres.connect("mdm_shop", USER)) as maker:
            maker.execute("SET statement_timeout = '500ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                maker.execute("REINDEX INDEX CONCURRENTLY good")
        other.execute("COMMIT")
    finding = found(look(postgres), "postgres-slowdown.invalid-index")
    assert "good_ccnew on mdm_shop.train is left over from a REINDEX" in finding.message
    assert "CREATE INDEX good_ccnew" in postgres.follow(finding.remedy.commands[0]).stdout
    postgres.run("DROP INDEX CONCURRENTLY good_ccnew", database="mdm_shop", user=USER)
    assert look(postgres).status is Status.PASS


def test_a_cache_that_is_too_small_is_noticed_and_enough_when_repaired(own_postgres: Server, look: LookAt) -> None:
    own_postgres.start(shared_buffers="1MB")
    own_postgres.add_database("mdm_shop", NEGLECT[4], NEGLECT[5], owner=USER)
    own_postgres.run(*["SELECT count(*) FROM events"] * 80, database="mdm_shop", user=USER)
    result = look(own_postgres)
    finding = found(result, "postgres-slowdown.cache-misses")
    assert codes(result, Severity.WARN) == {"cache-misses"}
    assert finding.subject == "mdm_shop"
    own_postgres.restart(shared_buffers="128MB")
    own_postgres.run("SELECT pg_stat_reset()", database="mdm_shop")
    own_postgres.run(*["SELECT count(*) FROM events"] * 80, database="mdm_shop", user=USER)
    assert codes(look(own_postgres)) == set()


def test_memory_that_the_machine_does_not_have_is_a_note_and_gone_when_repaired(
    own_postgres: Server, look: LookAt
) -> None:
    own_postgres.start()
    own_postgres.run("ALTER SYSTEM SET effective_cache_size = '8TB'", "SELECT pg_reload_conf()")
    result = look(own_postgres)
    finding = found(result, "postgres-slowdown.memory-settings")
    assert (result.status, finding.subject) == (Status.PASS, "effective_cache_size")
    (command,) = finding.remedy.commands
    assert "postgresql.auto.conf" in own_postgres.follow(command).stdout or "effective_cache_size" in command
    assert own_postgres.run("SHOW effective_cache_size") == [("8TB",)]
    own_postgres.run("ALTER SYSTEM RESET effective_cache_size", "SELECT pg_reload_conf()")
    assert codes(look(own_postgres)) == set()


def test_a_page_with_a_wrong_checksum_is_a_failure_until_the_data_is_repaired(
    own_postgres: Server, look: LookAt
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    ((file,),) = own_postgres.run("CHECKPOINT", "SELECT pg_relation_filepath('train')", database="mdm_shop")
    own_postgres.stop()
    with (own_postgres.data / file).open("r+b") as page:
        page.seek(5000)
        page.write(b"damage")
    own_postgres.start()
    with pytest.raises(psycopg.errors.DataCorrupted):
        own_postgres.run("SELECT * FROM train", database="mdm_shop")
    result = look(own_postgres)
    assert codes(result, Severity.FAIL) == {"checksum-failure"}
    finding = found(result, "postgres-slowdown.checksum-failure")
    assert finding.subject == "mdm_shop"
    files = {each.name for each in own_postgres.folder.iterdir()}
    assert "mdm_shop" in own_postgres.follow(finding.remedy.commands[0]).stdout
    assert {each.name for each in own_postgres.folder.iterdir()} == files, "no dump takes the place of a sound one"
    own_postgres.run("DROP DATABASE mdm_shop WITH (FORCE)")
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    assert look(own_postgres).status is Status.PASS


@pytest.mark.parametrize(("transaction", "severity"), [(1_200_000_000, Severity.WARN), (2_000_000_000, Severity.FAIL)])
def test_a_server_that_will_stop_writing_is_noticed_and_repaired(
    own_postgres: Server, look: LookAt, transaction: int, severity: Severity
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    own_postgres.stop()
    own_postgres.advance_to(transaction)
    own_postgres.start(autovacuum_freeze_max_age="2000000000")
    result = look(own_postgres)
    assert codes(result, severity) == {"wraparound"}
    assert {each.subject for each in result.findings} >= {"mdm_shop", "postgres", "template1"}
    own_postgres.run("ALTER DATABASE template0 ALLOW_CONNECTIONS true")
    data = contents(own_postgres, "train")
    for finding in result.findings:
        assert finding.code == "postgres-slowdown.wraparound"
        own_postgres.follow(finding.remedy.commands[0])
    assert contents(own_postgres, "train") == data
    assert look(own_postgres).status is Status.PASS


def test_a_database_that_no_registration_knows_is_a_note_and_kept(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    postgres.add_database("mdm_old-one", *TRAIN, owner=USER)
    postgres.add_database("somebody_elses")
    result = look(postgres)
    finding = found(result, "postgres-slowdown.unregistered-database")
    assert (result.status, finding.subject) == (Status.PASS, "mdm_old-one")
    assert "look at what is in it" in finding.remedy.text
    assert "train" in postgres.follow(finding.remedy.commands[0]).stdout
    assert postgres.run("SELECT count(*) FROM train", database="mdm_old-one") == [(1000,)]
    postgres.run('DROP DATABASE "mdm_old-one"')
    assert codes(look(postgres)) == set()


def test_when_the_time_is_up_the_rest_of_the_databases_is_left_out_and_that_is_said(
    postgres: Server, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    inventory = take_inventory(make_postgres_home(postgres), {})
    (server,) = servers_of(inventory)
    try:
        assert "of 1 database, 1 could not be examined in the time given" in collect(server, inventory, 0).gaps
        assert collect(server, inventory, 30).examined == 2
    finally:
        close_all()


def test_the_examination_leaves_the_server_as_it_was_and_no_session_behind(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    look(postgres)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mdm-health'"
    deadline = time.monotonic() + 5
    while postgres.run(sessions) != [(0,)]:
        assert time.monotonic() < deadline
    assert postgres.run("SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables", database="mdm_shop") == [(1000,)]


NUMBERED = "CREATE TABLE train (id serial PRIMARY KEY, target int)"


def test_a_sequence_behind_its_column_is_found_and_repaired(each_postgres: Server, look: LookAt) -> None:
    each_postgres.add_database(
        "mdm_shop", NUMBERED, "INSERT INTO train SELECT i, i FROM generate_series(1, 50) i", "ANALYZE train", owner=USER
    )
    result = look(each_postgres)
    finding = found(result, "postgres-slowdown.sequence-behind")
    assert "train.id is at 0, and the column has values up to 50" in finding.message
    each_postgres.run("SELECT setval('train_id_seq', 50)", database="mdm_shop", user=USER)
    assert codes(look(each_postgres)) == set()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param((NUMBERED, "INSERT INTO train (target) VALUES (1), (2)"), id="in step"),
        pytest.param((NUMBERED,), id="empty"),
        pytest.param(
            (
                "CREATE TABLE train (id int GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY, target int)",
                "INSERT INTO train (target) VALUES (1), (2)",
            ),
            id="descending",
        ),
        pytest.param(("CREATE TABLE train (id serial, target int)", "INSERT INTO train VALUES (9, 9)"), id="no index"),
    ],
)
def test_a_sequence_in_step_is_no_finding(postgres: Server, look: LookAt, make: tuple[str, ...]) -> None:
    postgres.add_database("mdm_shop", *make, "ANALYZE train", owner=USER)
    assert codes(look(postgres)) == set()


def test_an_unlogged_table_is_found_and_repaired(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN, "ALTER TABLE train SET UNLOGGED", owner=USER)
    assert codes(look(postgres), Severity.WARN) == {"unlogged-table"}
    postgres.run("ALTER TABLE train SET LOGGED", database="mdm_shop", user=USER)
    assert codes(look(postgres)) == set()


@pytest.mark.parametrize(
    ("setting", "reset"),
    [
        ("ALTER DATABASE mdm_shop SET default_transaction_read_only = on", "ALTER DATABASE mdm_shop RESET ALL"),
        (f"ALTER ROLE {USER} SET default_transaction_read_only = on", f"ALTER ROLE {USER} RESET ALL"),
        (
            f"ALTER ROLE {USER} IN DATABASE mdm_shop SET default_transaction_read_only = on",
            f"ALTER ROLE {USER} IN DATABASE mdm_shop RESET ALL",
        ),
    ],
    ids=["database", "role", "role in database"],
)
def test_a_database_that_cannot_be_written_is_found(postgres: Server, look: LookAt, setting: str, reset: str) -> None:
    postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    postgres.run(setting)
    try:
        finding = found(look(postgres), "postgres-slowdown.read-only")
        assert "default_transaction_read_only is set for" in finding.message
    finally:
        postgres.run(reset)
    assert codes(look(postgres)) == set()


def test_a_forgotten_prepared_transaction_is_found(
    own_postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres.start(max_prepared_transactions="2")
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    prepare = ("BEGIN", "UPDATE train SET target = 0", "PREPARE TRANSACTION 'left'")
    own_postgres.run(*prepare, database="mdm_shop", user=USER)
    home = make_postgres_home(own_postgres)
    try:
        assert "prepared-transaction" not in codes(look(own_postgres, home)), "it is a moment old"
        query = QUERIES["prepared-transaction"]
        at_once = replace(query, sql=query.sql.replace("interval '5 minutes'", "interval '0'"))
        monkeypatch.setitem(OF_SERVER, "prepared-transaction", at_once)
        inventory = take_inventory(home, {})
        (server,) = servers_of(inventory)
        found_at_once = list(postgres_slowdown.judge(collect(server, inventory, 30), None))
        (finding,) = (each for each in found_at_once if each.code == "postgres-slowdown.prepared-transaction")
        assert "the prepared transaction left in mdm_shop was left" in finding.message
    finally:
        close_all()
        own_postgres.run("ROLLBACK PREPARED 'left'", database="mdm_shop", user=USER)


def test_rows_hidden_by_policies_fail_their_dataset_alone(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_database(
        "mdm_shop",
        *TRAIN,
        "ALTER TABLE train ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE train FORCE ROW LEVEL SECURITY",
        owner=USER,
    )
    postgres.add_database("mdm_other", *TRAIN, owner=USER)
    home = make_postgres_home(postgres, None, shop={}, other={})
    result = look(postgres, home)
    finding = found(result, "postgres-slowdown.hidden-rows")
    assert (finding.severity, finding.evidence["datasets"]) == (Severity.FAIL, ["shop"])
    assert "Do not register the dataset again" in finding.remedy.text
    postgres.run("ALTER TABLE train NO FORCE ROW LEVEL SECURITY", database="mdm_shop", user=USER)
    assert codes(look(postgres, home)) == set()


def test_a_table_without_the_right_to_read_names_the_grant(postgres: Server, look: LookAt) -> None:
    postgres.add_database("mdm_shop", *TRAIN)
    finding = found(look(postgres), "postgres-slowdown.no-privilege")
    assert f"{USER} may not read mdm_shop.train" in finding.message
    grant = next(part for part in finding.remedy.text.split(": ") if part.startswith("GRANT")).partition(". Do")[0]
    postgres.run(grant, database="mdm_shop")
    assert codes(look(postgres)) == set()


def test_the_login_of_the_owner_grants_what_is_missing(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    postgres.add_user("reader")
    postgres.add_database("mdm_shop", *TRAIN, "CREATE TABLE other AS SELECT 1 AS n", owner=USER)
    home = make_postgres_home(postgres, shop={"user": "reader"})
    finding = found(look(postgres, home), "postgres-slowdown.no-privilege")
    assert f"The home has the login of {USER}" in finding.remedy.text
    data = contents(postgres, "train", "other")
    for command in finding.remedy.commands:
        postgres.follow(command)
    assert contents(postgres, "train", "other") == data
    assert codes(look(postgres, home)) == set()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        postgres.run("SELECT * FROM other", database="mdm_shop", user="reader")


def test_another_version_of_a_collation_is_found(postgres: Server, look: LookAt) -> None:
    version = postgres.run("SHOW server_version_num")[0][0]
    if int(version) < 150000:
        pytest.skip("servers before 15 do not record it")
    postgres.run(
        f"CREATE DATABASE mdm_shop OWNER {USER} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' ENCODING 'UTF8'"
    )
    postgres.run('CREATE TABLE train (id text COLLATE "de-x-icu")', "ANALYZE train", database="mdm_shop", user=USER)
    assert codes(look(postgres)) == set()
    postgres.run("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'mdm_shop'")
    finding = found(look(postgres), "postgres-slowdown.collation-version")
    assert "the database in mdm_shop was built with version 1.0 of its collation" in finding.message
    postgres.run("ALTER DATABASE mdm_shop REFRESH COLLATION VERSION", database="mdm_shop")
    postgres.run("UPDATE pg_collation SET collversion = '1.0' WHERE collname = 'de-x-icu'", database="mdm_shop")
    assert "the collation de-x-icu" in found(look(postgres), "postgres-slowdown.collation-version").message
    postgres.run('ALTER COLLATION "de-x-icu" REFRESH VERSION', database="mdm_shop")
    assert codes(look(postgres)) == set()


SHUT: dict[str, tuple[str, str, str]] = {
    "invalid": (
        "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'mdm_shop'",
        "UPDATE pg_database SET datconnlimit = -1 WHERE datname = 'mdm_shop'",
        "drops the invalid database and restores it",
    ),
    "closed": (
        "ALTER DATABASE mdm_shop ALLOW_CONNECTIONS false",
        "ALTER DATABASE mdm_shop ALLOW_CONNECTIONS true",
        "ALLOW_CONNECTIONS true",
    ),
    "limited": (
        "ALTER DATABASE mdm_shop CONNECTION LIMIT 0",
        "ALTER DATABASE mdm_shop CONNECTION LIMIT -1",
        "lift the limit",
    ),
}


@pytest.mark.parametrize("state", SHUT)
def test_a_database_that_is_shut_blocks_its_own_dataset(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome, examine: Examine, state: str
) -> None:
    shut, opened, advice = SHUT[state]
    for name in ("mdm_shop", "mdm_alpha", "mdm_omega"):
        postgres.add_database(name, *TRAIN, owner=USER)
    home = make_postgres_home(postgres, None, shop={}, alpha={}, omega={})
    postgres.run(shut)
    try:
        result = look(postgres, home)
        finding = found(result, "postgres-slowdown.closed-database")
        assert (result.status, codes(result)) == (Status.FAIL, {"closed-database"})
        assert (finding.subject, finding.evidence["datasets"]) == ("mdm_shop", ["shop"])
        assert advice in finding.remedy.text
        assert not any(word in "".join(finding.remedy.commands) for word in ("ALTER", "DROP"))
        for check in ("metadata-corruption", "data-corruption", "type-mismatch"):
            assert examine(check, home, "shop").status is Status.BLOCKED
        for name in ("alpha", "omega"):
            assert examine("data-corruption", home, name).status is Status.PASS
        assert not [each for each in examine("pool-exhaustion", home).findings if each.severity is Severity.FAIL]
    finally:
        postgres.run(opened)
    assert codes(look(postgres, home)) == set()


def test_a_database_at_its_own_limit_leaves_the_others(
    postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome
) -> None:
    for name in ("mdm_shop", "mdm_omega"):
        postgres.add_database(name, *TRAIN, owner=USER)
    postgres.run("ALTER DATABASE mdm_shop CONNECTION LIMIT 1")
    home = make_postgres_home(postgres, None, shop={}, omega={})
    with postgres.connect("mdm_shop", USER):
        result = look(postgres, home)
    assert "are in use" in found(result, "postgres-slowdown.closed-database").message
    assert result.examined == 2
    assert codes(look(postgres, home)) == set()


def test_a_maintenance_database_that_is_limited_shuts_nothing_else(
    own_postgres: Server, look: LookAt, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", *TRAIN, owner=USER)
    home = make_postgres_home(own_postgres)
    own_postgres.run("ALTER DATABASE postgres CONNECTION LIMIT 0")
    assert look(own_postgres, home).status is Status.PASS
    assert examine("data-corruption", home, "shop").status is Status.PASS


def test_what_a_server_refuses_is_told_in_any_language(postgres: Server, make_postgres_home: MakePostgresHome) -> None:
    inventory = take_inventory(make_postgres_home(postgres, None, shop={}, omega={}), {})
    (server,) = servers_of(inventory)
    shop, omega = server.databases["shop"], server.databases["omega"]
    refusal = CannotOpen("refused", "cannot be opened: Datenbank »mdm_shop« akzeptiert gegenwärtig keine Verbindungen")
    assert Look(server, inventory).is_refused_too(omega, shop, refusal)
    assert not Look(server, inventory, let_in=shop.login).is_refused_too(omega, shop, refusal)


SECURED = ("ALTER TABLE train ENABLE ROW LEVEL SECURITY", "ALTER TABLE train FORCE ROW LEVEL SECURITY")
SHOWN: dict[str, tuple[str, ...]] = {
    "all": ("CREATE POLICY p ON train USING (true)",),
    "to read": ("CREATE POLICY p ON train FOR SELECT USING (true)",),
    "to its role": (f"CREATE POLICY p ON train TO {USER} USING (1 = 1)",),
    "to its group": ("CREATE POLICY p ON train TO members USING (true)",),
    "by its name": (f"CREATE POLICY p ON train USING (current_user = '{USER}')",),
    "one of two": ("CREATE POLICY p ON train USING (id < 7)", "CREATE POLICY q ON train USING (true)"),
    "none restricted": (
        "CREATE POLICY p ON train USING (true)",
        "CREATE POLICY q ON train AS RESTRICTIVE USING (true)",
    ),
}
HIDDEN: dict[str, tuple[str, ...]] = {
    "to write": ("CREATE POLICY p ON train FOR UPDATE USING (true)",),
    "to another": ("CREATE POLICY p ON train TO postgres USING (true)",),
    "some": ("CREATE POLICY p ON train USING (id < 7)",),
    "false": ("CREATE POLICY p ON train USING (false)",),
    "nothing said": ("CREATE POLICY p ON train USING (NULL::boolean)",),
    "by another's name": ("CREATE POLICY p ON train USING (current_user = 'postgres')",),
    "restricted": (
        "CREATE POLICY p ON train USING (true)",
        "CREATE POLICY q ON train AS RESTRICTIVE USING (id < 7)",
    ),
    "only restricted": ("CREATE POLICY q ON train AS RESTRICTIVE USING (true)",),
    "by what it computes": ("CREATE POLICY p ON train USING (pg_has_role(current_user, 'members', 'USAGE'))",),
}


@pytest.mark.parametrize("how", [*SHOWN, *HIDDEN])
def test_policies_that_show_all_rows_hide_nothing(postgres: Server, look: LookAt, how: str) -> None:
    postgres.add_database("mdm_shop", *TRAIN, *SECURED, *{**SHOWN, **HIDDEN}[how], owner=USER)
    assert codes(look(postgres)) == (set() if how in SHOWN else {"hidden-rows"})


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
def test_a_view_without_the_right_to_read_names_the_grant(postgres: Server, look: LookAt, kind: str) -> None:
    postgres.add_database("mdm_shop", f"CREATE {kind} train AS SELECT 1 AS id")
    assert (
        f"GRANT SELECT ON public.train TO {USER}" in found(look(postgres), "postgres-slowdown.no-privilege").remedy.text
    )
