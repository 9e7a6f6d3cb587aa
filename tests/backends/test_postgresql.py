"""Databases on a real PostgreSQL server: read without being able to write, and every way not to get in."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from pytest_mdm_health.backends import (
    CannotOpen,
    Column,
    ConnectionLost,
    QueryFailed,
    Unfinished,
    close_all,
    postgresql,
    server_backend,
)
from pytest_mdm_health.backends.postgresql import why
from pytest_mdm_health.mdm.servers import OURS, Connection
from tests.postgres import HOST, PASSWORD, USER, Server


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    close_all()


def to(server: Server, database: str = "mdm_shop", user: str = USER, password: str = PASSWORD) -> Connection:
    return Connection(HOST, server.port, database, user, password)


@pytest.fixture
def shop(each_postgres: Server) -> Server:
    """A server with a dataset's database."""
    each_postgres.add_database(
        "mdm_shop",
        'CREATE TABLE "tr%in?" (id integer, "a ""b" text, price numeric(9, 2))',
        """INSERT INTO "tr%in?" SELECT i, 'x''?', i FROM generate_series(1, 100) i""",
        'CREATE VIEW cheap AS SELECT * FROM "tr%in?" WHERE price < 10',
        owner=USER,
    )
    return each_postgres


def test_tables_columns_and_rows_are_as_for_every_backend(shop: Server) -> None:
    with server_backend(to(shop)).open() as database:
        assert (database.engine, database.how, database.surplus) == ("postgresql", "connected", 0)
        assert database.tables() == ("cheap", "tr%in?")
        assert database.columns("tr%in?") == (
            Column("id", "integer"),
            Column('a "b', "text"),
            Column("price", "numeric(9,2)"),
        )
        assert database.count("tr%in?") == 100
        assert database.query("""SELECT count(*) FROM "tr%in?" WHERE id < ? AND "a ""b" LIKE 'x%?'""", (11,)) == [(10,)]
        assert database.query("SELECT 5 % 3") == [(2,)]
        assert database.integrity(complete=True) == ()


def test_what_is_not_there_is_an_answer(shop: Server) -> None:
    with server_backend(to(shop)).open() as database:
        with pytest.raises(QueryFailed, match="no such table: nowhere"):
            database.columns("nowhere")
        with pytest.raises(QueryFailed, match="does not exist"):
            database.count("nowhere")
        assert database.count("cheap") == 9


def test_the_session_cannot_write_and_says_who_it_is(shop: Server) -> None:
    with server_backend(to(shop)).open() as database:
        for statement in ("CREATE TABLE t (i integer)", 'DELETE FROM "tr%in?"', "SELECT nextval('none')"):
            with pytest.raises(QueryFailed, match=r"read-only|does not exist"):
                database.query(statement)
        settings = "'statement_timeout', 'lock_timeout', 'default_transaction_read_only', 'application_name'"
        rows = database.query(f"SELECT name, setting FROM pg_settings WHERE name IN ({settings})")
    expected = {"statement_timeout": "20000", "lock_timeout": "2000", "default_transaction_read_only": "on"}
    assert dict(rows) == expected | {"application_name": OURS}


def test_one_connection_is_open_at_a_time_and_shared(shop: Server) -> None:
    sessions = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{OURS}'"
    first = server_backend(to(shop)).open()
    with first:
        assert server_backend(to(shop)).open() is first
    assert server_backend(to(shop)).open() is first
    assert server_backend(to(shop, "postgres")).open() is not first
    assert shop.run(sessions) == [(1,)]


def test_a_lock_is_waited_for_two_seconds_and_no_longer(shop: Server) -> None:
    with contextlib.closing(shop.connect("mdm_shop")) as other, other.transaction():
        other.execute('LOCK TABLE "tr%in?"')
        with (
            server_backend(to(shop)).open() as database,
            pytest.raises(QueryFailed, match="lock timeout"),
        ):
            database.count("tr%in?")


def test_a_time_limit_holds(shop: Server) -> None:
    with server_backend(to(shop)).open() as database, pytest.raises(Unfinished):
        database.query("SELECT pg_sleep(30)", (), 0.1)  # type: ignore[call-arg] # what only servers take


def test_reading_everything_notices_a_damaged_page(own_postgres: Server) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", "CREATE TABLE train AS SELECT generate_series(1, 1000) i", owner=USER)
    ((file,),) = own_postgres.run("CHECKPOINT", "SELECT pg_relation_filepath('train')", database="mdm_shop")
    own_postgres.stop()
    with (own_postgres.data / file).open("r+b") as page:
        page.seek(5000)
        page.write(b"damage")
    own_postgres.start()
    with server_backend(to(own_postgres)).open() as database:
        assert database.integrity(complete=False) == ()
        (problem,) = database.integrity(complete=True)
        assert "train" in problem
        assert "invalid page" in problem
        with pytest.raises(QueryFailed) as failure:
            database.count("train")
        assert failure.value.damaged


def refusal(connection: Connection) -> CannotOpen:
    with pytest.raises(CannotOpen) as refused:
        server_backend(connection).open()
    shown = f"{refused.value} {refused.value!r} {refused.getrepr(chain=True)} {refused.value.__cause__}"
    assert PASSWORD not in shown
    assert str(refused.value.__cause__) == "None"
    return refused.value


def test_what_somebody_locks_or_what_cannot_be_computed_is_not_damaged(shop: Server) -> None:
    shop.run('CREATE VIEW odd AS SELECT 1 / (id - id) AS x FROM "tr%in?"', database="mdm_shop", user=USER)
    with server_backend(to(shop)).open() as database:
        assert database.integrity(complete=True) == ()
    with contextlib.closing(shop.connect("mdm_shop")) as other, other.transaction():
        other.execute('LOCK TABLE "tr%in?"')
        with server_backend(to(shop)).open() as database:
            assert database.integrity(complete=True) == ()


def test_a_server_that_is_stopped_while_everything_is_read_does_not_make_it_damaged(own_postgres: Server) -> None:
    own_postgres.start()
    own_postgres.add_database("mdm_shop", "CREATE VIEW slow AS SELECT 1 AS x FROM pg_sleep(60)", owner=USER)
    with server_backend(to(own_postgres)).open() as database, ThreadPoolExecutor(1) as thread:
        reading = thread.submit(database.integrity, complete=True)
        while own_postgres.run("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == []:
            time.sleep(0.02)
        own_postgres.stop()
        with pytest.raises(ConnectionLost):
            reading.result()


def test_a_wrong_password_is_a_refusal_that_shows_no_password(shop: Server) -> None:
    wrong = refusal(to(shop, password="wrong-" + PASSWORD))
    assert wrong.code == "refused"
    assert "password authentication failed" in wrong.reason
    assert "wrong-" not in repr(wrong)


@pytest.mark.parametrize(
    ("user", "words"), [("stranger", r"no pg_hba.conf entry"), ("ghost", 'role "ghost" does not exist')]
)
def test_so_is_a_role_that_may_not_or_does_not_exist(shop: Server, user: str, words: str) -> None:
    refused = refusal(to(shop, user=user))
    assert refused.code == "refused"
    assert words in refused.reason


def test_encryption_that_the_server_does_not_offer_is_a_refusal(shop: Server) -> None:
    refused = refusal(replace(to(shop), ssl=(("sslmode", "require"),)))
    assert (refused.code, "SSL" in refused.reason) == ("refused", True)


def test_a_database_that_is_gone_is_told_apart(shop: Server) -> None:
    assert refusal(to(shop, "mdm_gone")).code == "no-database"


def test_a_server_that_is_away_is_told_apart(own_postgres: Server) -> None:
    own_postgres.start()
    own_postgres.stop()
    assert refusal(to(own_postgres)).code == "away"


def test_so_is_a_name_that_nobody_has() -> None:
    assert refusal(Connection("no-such-host.invalid", 5432, "mdm_shop")).code == "away"


def test_and_a_socket_that_is_not_there(tmp_path: Path) -> None:
    assert refusal(Connection(str(tmp_path), 5432, "mdm_shop", "ml")).code == "away"


def test_a_connection_that_cannot_be_meant_is_not_tried() -> None:
    assert refusal(Connection("localhost", 5432, "x", problem="its port is no number of a port")).code == "unreadable"


def test_a_server_that_is_starting_is_told_apart(own_postgres: Server) -> None:
    (own_postgres.data / "standby.signal").touch()
    own_postgres.launch(restore_command="sleep 60; false")
    connection = to(own_postgres, "postgres", user="postgres")
    codes = {"away"}
    while codes == {"away"}:
        codes = {refusal(connection).code}
    assert codes == {"starting"}


def test_a_server_that_is_full_is_told_apart(own_postgres: Server) -> None:
    own_postgres.start(max_connections="4", superuser_reserved_connections="1")
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(contextlib.closing(own_postgres.connect(user=USER)))
        assert refusal(to(own_postgres, "postgres")).code == "full"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_is_stopped_in_the_middle_is_told_apart(own_postgres: Server, how: signal.Signals) -> None:
    own_postgres.start()
    backend = server_backend(to(own_postgres, "postgres"))
    database = backend.open()
    stop = threading.Timer(0.3, own_postgres.stop, (how,))
    stop.start()
    with pytest.raises(ConnectionLost, match="broke the connection off"):
        database.query("SELECT pg_sleep(30)")
    stop.join()
    assert database.closed
    assert refusal(to(own_postgres, "postgres")).code == "away"
    own_postgres.start()
    assert backend.open().query("SELECT 1") == [(1,)]


def test_behind_a_pooler_nothing_is_left_for_the_next_one(shop: Server, pgbouncer: Callable[[Server], int]) -> None:
    through = replace(to(shop), port=pgbouncer(shop))
    with server_backend(through).open() as database:
        assert database.count("tr%in?") == 100
        assert database.query("SHOW lock_timeout") == [("2s",)]
        with pytest.raises(QueryFailed, match="read-only"):
            database.query('DELETE FROM "tr%in?"')
        with pytest.raises(Unfinished):
            database.query("SELECT pg_sleep(30)", (), 0.1)  # type: ignore[call-arg] # what only servers take
        with pytest.raises(QueryFailed, match="no such table"):
            database.columns("nowhere")
    with contextlib.closing(Server(shop.programs, shop.folder, through.port).connect("mdm_shop", USER)) as other:
        other.execute('DELETE FROM "tr%in?" WHERE id = 1')
        settings = "('lock_timeout', 'statement_timeout', 'default_transaction_read_only')"
        rows = other.execute(f"SELECT setting FROM pg_settings WHERE name IN {settings}").fetchall()
    assert {setting for (setting,) in rows} == {"0", "off"}
    assert refusal(through.to("mdm_gone")).code == "no-database"


def test_a_pooler_whose_server_is_away_is_away(own_postgres: Server, pgbouncer: Callable[[Server], int]) -> None:
    own_postgres.start()
    port = pgbouncer(own_postgres)
    own_postgres.stop()
    assert refusal(replace(to(own_postgres), port=port)).code == "away"


def test_a_pooler_that_lets_us_wait_for_a_server_that_is_away_is_waited_for_a_little_only(
    own_postgres: Server, pgbouncer: Callable[[Server], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "GRACE_S", 1.0)
    own_postgres.start()
    own_postgres.add_database("mdm_shop", owner=USER)
    port = pgbouncer(own_postgres)
    with server_backend(replace(to(own_postgres), port=port)).open() as database:
        assert database.query("SELECT 1") == [(1,)]
        own_postgres.stop()
        with pytest.raises(ConnectionLost):
            database.query("SELECT pg_sleep(0)", (), 1)  # type: ignore[call-arg] # what only servers take
    with pytest.raises((ConnectionLost, CannotOpen)):
        server_backend(replace(to(own_postgres), port=port)).open().query("SELECT 1")


def test_an_answer_that_does_not_come_is_waited_for_a_little_only(
    own_postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "GRACE_S", 0.5)
    own_postgres.start()
    with server_backend(to(own_postgres, "postgres")).open() as database:
        ((pid,),) = database.query("SELECT pg_backend_pid()")
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ConnectionLost, match=r"gave no answer for 1\.5 s"):
                database.query("SELECT 1", (), 1)  # type: ignore[call-arg] # what only servers take
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_session_that_was_ended_is_replaced(shop: Server) -> None:
    backend = server_backend(to(shop))
    shop.run(
        f"SELECT pg_terminate_backend({backend.open().query('SELECT pg_backend_pid()')[0][0]})",
    )
    with pytest.raises(ConnectionLost):
        backend.open().query("SELECT 1")
    assert backend.open().query("SELECT 1") == [(1,)]


def test_the_password_is_not_in_the_process_list(shop: Server) -> None:
    with server_backend(to(shop)).open():
        assert PASSWORD.encode() not in Path(f"/proc/{os.getpid()}/cmdline").read_bytes()
        titles = shop.run("SELECT string_agg(query || application_name, ' ') FROM pg_stat_activity")
    assert PASSWORD not in str(titles)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("the database system is in recovery mode", "starting"),
        ("the database system is shutting down", "starting"),
        ("sorry, too many clients already", "full"),
        ("remaining connection slots are reserved for roles with the SUPERUSER attribute", "full"),
        ('too many connections for role "ml"', "full"),
        ("server closed the connection unexpectedly", "dropped"),
        ("connection timeout expired", "away"),
        ("[Errno -2] Name or service not known", "away"),
        ("Passwort-Authentifizierung für Benutzer »ml« fehlgeschlagen", "refused"),
    ],
)
def test_a_servers_words_are_understood(text: str, code: str) -> None:
    assert why(text) == code


def test_the_drivers_own_exception_does_not_leave(shop: Server) -> None:
    with pytest.raises(QueryFailed) as failure:
        server_backend(to(shop)).open().query("SELECT no_such_function()")
    assert not isinstance(failure.value, psycopg.Error)
