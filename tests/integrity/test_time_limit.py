from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pytest_mdm_health.backends import Backend, QueryFailed, Unfinished, close_all, server_backend
from pytest_mdm_health.integrity.time_limit import time_limit
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, SUPERUSER, Server

FOREVER = {
    "sqlite": "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n",
    "duckdb": "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b",
    "postgresql": "SELECT pg_sleep(600)",
}


@pytest.fixture(params=FOREVER)
def backend(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Iterator[Backend]:
    if request.param == "sqlite":
        yield Backend("sqlite", home / "datasets/wine/wine.sqlite")
    elif request.param == "duckdb":
        duckdb.connect(str(tmp_path / "a.duckdb")).close()
        yield Backend("duckdb", tmp_path / "a.duckdb")
    else:
        server: Server = request.getfixturevalue("postgres")
        yield server_backend(Connection(host=HOST, port=server.port, database="postgres", user=SUPERUSER))
    close_all()


def test_an_endless_statement_is_cancelled_without_harm(backend: Backend) -> None:
    started = time.monotonic()
    with backend.open() as database:
        with pytest.raises(Unfinished), time_limit(database, 0.2):
            database.query(FOREVER[backend.engine])
        assert time.monotonic() - started < 120
        assert database.query("SELECT 1") == [(1,)]


def test_without_any_time_left_nothing_is_begun(backend: Backend) -> None:
    begun: list[str] = []
    with backend.open() as database:
        with pytest.raises(Unfinished), time_limit(database, 0):
            begun.append("asked")
        assert database.query("SELECT 1") == [(1,)]
    assert begun == []


def test_what_ends_in_time_is_answered_and_what_fails_says_why(backend: Backend) -> None:
    with backend.open() as database:
        with time_limit(database, 60):
            assert database.query("SELECT 1") == [(1,)]
        with pytest.raises(QueryFailed, match="nowhere"), time_limit(database, 60):
            database.query("SELECT * FROM nowhere")
