"""The servers that the tests start are what they say."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres import PASSWORD, USER, Server


def test_only_a_role_with_its_password_gets_into_a_server(each_postgres: Server) -> None:
    assert each_postgres.run("SELECT current_user", user=USER) == [(USER,)]
    with pytest.raises(psycopg.OperationalError, match="password"):
        each_postgres.connect(user=USER, password=PASSWORD + "!")
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        each_postgres.connect(user="stranger")


def test_a_server_records_the_statements_it_ran(each_postgres: Server) -> None:
    each_postgres.run("SELECT 4711 AS seen")
    assert each_postgres.run("SELECT calls FROM pg_stat_statements WHERE query LIKE '%AS seen'") == [(1,)]


def test_a_server_is_gone_once_it_is_stopped(own_postgres: Server) -> None:
    own_postgres.start()
    own_postgres.stop()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        own_postgres.connect()
