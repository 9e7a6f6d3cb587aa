"""What the verbs do on real PostgreSQL servers, what they refuse, and that no value changes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.helpers import repair
from tests.postgres import PASSWORD, USER, MakePostgresHome, Server

TRAIN = "CREATE TABLE train AS SELECT i AS id, i % 7 AS target FROM generate_series(1, 1000) i"
ANALYSED = "SELECT relname FROM pg_stat_user_tables WHERE last_analyze IS NOT NULL ORDER BY 1"
CONTENT = "SELECT * FROM train ORDER BY id"
INVALID = "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid ORDER BY 1"


@pytest.fixture
def shop(postgres: Server, make_postgres_home: MakePostgresHome) -> Path:
    """The registration of a dataset whose table was never analysed."""
    postgres.add_database("mdm_shop", TRAIN, owner=USER)
    return make_postgres_home(postgres) / "config/datasets/shop.yaml"


Said = pytest.CaptureFixture[str]


def said(capsys: Said) -> str:
    out, err = capsys.readouterr()
    assert PASSWORD not in out + err
    assert "Traceback" not in err
    return out + err


def in_shop(server: Server, *statements: str, user: str = USER) -> list[tuple[object, ...]]:
    return server.run(*statements, database="mdm_shop", user=user)


def test_statistics_of_one_table_are_computed(postgres: Server, shop: Path, capsys: Said) -> None:
    in_shop(postgres, 'CREATE TABLE "O\'ther. One" AS SELECT 1 AS n')
    before = in_shop(postgres, CONTENT)
    assert repair("analyze", shop, "public.train", "--dry-run") == 0
    assert in_shop(postgres, ANALYSED) == []
    assert "ANALYZE public.train" in said(capsys)
    assert repair("analyze", shop, "train") == 0
    assert in_shop(postgres, ANALYSED) == [("train",)]
    assert repair("analyze", shop, "O'ther. One") == 0
    assert in_shop(postgres, ANALYSED) == [("O'ther. One",), ("train",)]
    assert in_shop(postgres, CONTENT) == before
    assert "computed the planner statistics of public.train" in said(capsys)


def test_all_tables_but_those_of_others_are_analysed(postgres: Server, shop: Path, capsys: Said) -> None:
    in_shop(postgres, "CREATE TABLE theirs AS SELECT 1 AS n", user="postgres")
    assert repair("analyze", shop) == 0
    assert in_shop(postgres, ANALYSED) in (
        [("train",)],
        [("theirs",), ("train",)],
    )  # a database's owner may, from 17 on
    in_shop(postgres, "ALTER DATABASE mdm_shop OWNER TO postgres", user="postgres")
    assert repair("analyze", shop, "theirs") == 1
    assert "theirs" in said(capsys)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("analyze", "no_such"), "has no no_such"),
        (("analyze", "a b; c"), "refused it"),
        (("analyze", "--database=mdm_none"), "no such database"),
        (("analyze", "--as=ghost"), "does not let us in"),
        (("vacuum", "train"), "has no dead rows"),
        (("vacuum",), "which is recent enough"),
        (("reindex",), "name the index"),
        (("reindex", "train"), "is no index"),
        (("reindex", "complete"), "is complete"),
        (("end-session", "1; x", "now"), "is not a process id"),
        (("end-session", "1", "2026-01-01T00:00:00.000000Z"), "is gone, or is another one"),
        (("end-session", "1", "yesterday evening"), "refused it"),
        (("grant", "train", "no_role"), "has no role no_role"),
        (("grant", "train", USER), "already"),
    ],
)
def test_what_does_not_hold_is_refused(
    postgres: Server, shop: Path, capsys: Said, arguments: tuple[str, ...], why: str
) -> None:
    in_shop(postgres, "CREATE INDEX complete ON train (id)")
    before = in_shop(postgres, CONTENT)
    assert repair(arguments[0], shop, *arguments[1:]) == 1
    told = said(capsys)
    assert why in told
    assert told.count("\n") == 1
    assert in_shop(postgres, CONTENT) == before


@pytest.mark.parametrize("place", ["config/datasets/none.yaml", "datasets/shop/dataset_info.json"])
def test_a_place_that_registers_nothing_is_refused(shop: Path, capsys: Said, place: str) -> None:
    assert repair("analyze", shop.parents[2] / place) == 1
    assert "registers no dataset of this home" in said(capsys)


def test_the_settings_lead_to_a_server_without_datasets(postgres: Server, shop: Path) -> None:
    assert repair("analyze", shop.parents[2] / "mdm.yaml", "train", "--database=mdm_shop") == 0
    assert in_shop(postgres, ANALYSED) == [("train",)]


def test_a_server_that_is_away_is_told_in_one_line(
    own_postgres: Server, make_postgres_home: MakePostgresHome, capsys: Said
) -> None:
    own_postgres.start()
    home = make_postgres_home(own_postgres)
    own_postgres.stop()
    assert repair("analyze", home / "config/datasets/shop.yaml") == 1
    assert "does not answer" in said(capsys)


def test_what_a_server_did_is_not_said_to_be_taken_back(postgres: Server, shop: Path, capsys: Said) -> None:
    assert repair("analyze", shop, "train") == 0
    assert "to take it back" not in said(capsys)
    (saved,) = shop.parents[2].parent.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    assert "cannot be taken back" in said(capsys)
    assert in_shop(postgres, ANALYSED) == [("train",)]


def test_dead_rows_go_and_the_others_stay(postgres: Server, shop: Path, capsys: Said) -> None:
    in_shop(postgres, "DELETE FROM train WHERE id > 500")
    before = in_shop(postgres, CONTENT)
    assert repair("vacuum", shop, "train") == 0
    assert "removed 500 dead rows of public.train" in said(capsys)
    assert in_shop(postgres, CONTENT) == before
    assert repair("vacuum", shop, "train") == 1


def test_dead_rows_that_a_reader_may_see_stay(postgres: Server, shop: Path, capsys: Said) -> None:
    with contextlib.closing(postgres.connect("mdm_shop", USER, application="notebook")) as reader:
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM train")
        in_shop(postgres, "DELETE FROM train")
        assert repair("vacuum", shop, "train") == 1
        told = said(capsys)
        assert reader.execute("SELECT count(*) FROM train").fetchone() == (1000,)
        assert "cannot be removed yet" in told
        assert f"because process {reader.info.backend_pid} (notebook) may still see them" in told


def broken_off(server: Server, statement: str) -> None:
    """Have a statement that builds an index break off because a transaction is in its way."""
    with contextlib.closing(server.connect("mdm_shop", USER)) as other:
        other.execute("BEGIN")
        other.execute("INSERT INTO train VALUES (9999, 9)")
        with contextlib.closing(server.connect("mdm_shop", USER)) as maker:
            maker.execute("SET statement_timeout = '500ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                maker.execute(statement.encode())
        other.execute("ROLLBACK")


def test_an_incomplete_index_is_built_again(postgres: Server, shop: Path, capsys: Said) -> None:
    broken_off(postgres, 'CREATE INDEX CONCURRENTLY "i%y" ON train (target)')
    before = in_shop(postgres, CONTENT)
    assert in_shop(postgres, INVALID) == [("i%y",)]
    assert repair("reindex", shop, "i%y") == 0
    assert "its table has the same rows" in said(capsys)
    assert in_shop(postgres, INVALID) == []
    assert in_shop(postgres, CONTENT) == before
    assert repair("reindex", shop, "i%y") == 1


def test_an_index_that_cannot_be_built_leaves_nothing(postgres: Server, shop: Path, capsys: Said) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation):
        in_shop(postgres, "CREATE UNIQUE INDEX CONCURRENTLY u ON train (target)")
    assert repair("reindex", shop, "u") == 1
    assert "could not create unique index" in said(capsys)
    assert in_shop(postgres, INVALID) == [("u",)]


def test_what_a_reindex_left_is_not_built_again(postgres: Server, shop: Path, capsys: Said) -> None:
    in_shop(postgres, "CREATE INDEX good ON train (target)")
    broken_off(postgres, "REINDEX INDEX CONCURRENTLY good")
    assert in_shop(postgres, INVALID) == [("good_ccnew",)]
    assert repair("reindex", shop, "good_ccnew") == 1
    assert "left over from a REINDEX that broke off" in said(capsys)


@contextlib.contextmanager
def session(server: Server, application: str = "mdm") -> Iterator[tuple[psycopg.Connection, str, str]]:
    """A session, with its process id and when it began."""
    with contextlib.closing(server.connect("mdm_shop", USER, application=application)) as connection:
        began = "SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        row = connection.execute(began.encode()).fetchone()
        assert row is not None
        yield connection, str(connection.info.backend_pid), row[0]


def test_an_idle_session_of_mdm_is_ended(postgres: Server, shop: Path, capsys: Said) -> None:
    with session(postgres) as (connection, pid, began):
        assert repair("end-session", shop, pid, began) == 0
        assert f"ended the session {pid} of mdm" in said(capsys)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        assert repair("end-session", shop, pid, began) == 1


def test_a_session_that_only_read_is_ended(postgres: Server, shop: Path) -> None:
    with session(postgres) as (connection, pid, began):
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM train")
        assert repair("end-session", shop, pid, began) == 0
    with session(postgres) as (connection, pid, began):
        connection.execute("BEGIN")
        connection.execute("INSERT INTO train VALUES (1, 1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM none")
        assert repair("end-session", shop, pid, began) == 0, "nothing of it can be committed"


def test_a_session_with_something_to_commit_goes_on(postgres: Server, shop: Path, capsys: Said) -> None:
    with session(postgres) as (connection, pid, began):
        connection.execute("BEGIN")
        connection.execute("INSERT INTO train VALUES (4711, 1)")
        assert repair("end-session", shop, pid, began) == 1
        assert "which would be lost" in said(capsys)
        connection.execute("COMMIT")
    assert in_shop(postgres, "SELECT count(*) FROM train WHERE id = 4711") == [(1,)]


@pytest.mark.parametrize("application", ["notebook", "", "mdm-health"])
def test_a_session_of_another_program_goes_on(postgres: Server, shop: Path, capsys: Said, application: str) -> None:
    with session(postgres, application) as (connection, pid, began):
        assert repair("end-session", shop, pid, began) == 1
        assert "is of another program" in said(capsys)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_works_goes_on(postgres: Server, shop: Path, capsys: Said) -> None:
    with session(postgres) as (connection, pid, began):
        worker = threading.Thread(target=lambda: connection.execute("SELECT pg_sleep(3)"))
        worker.start()
        time.sleep(0.3)
        assert repair("end-session", shop, pid, began) == 1
        assert "is not idle (active)" in said(capsys)
        worker.join()


def test_another_session_of_the_same_number_goes_on(postgres: Server, shop: Path, capsys: Said) -> None:
    with session(postgres) as (connection, pid, _):
        assert repair("end-session", shop, pid, "2026-01-01T00:00:00.000000Z") == 1
        assert "is gone, or is another one" in said(capsys)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_owner_lets_another_role_read(postgres: Server, make_postgres_home: MakePostgresHome, capsys: Said) -> None:
    postgres.add_user("rea der")
    postgres.add_database("mdm_shop", "CREATE SCHEMA s", "CREATE TABLE s.train AS SELECT 1 AS id", owner=USER)
    shop = make_postgres_home(postgres, shop={"user": "rea der"}) / "config/datasets/shop.yaml"
    arguments = ("grant", shop, "s.train", "rea der")
    assert repair(*arguments) == 1
    assert "permission denied" in said(capsys)
    assert repair(*arguments, f"--as={USER}", "--dry-run") == 0
    assert 'GRANT USAGE ON SCHEMA s TO "rea der"' in said(capsys)
    assert repair(*arguments, f"--as={USER}") == 0
    assert in_shop(postgres, "SELECT * FROM s.train", user="rea der") == [(1,)]
    assert repair(*arguments, f"--as={USER}") == 1
