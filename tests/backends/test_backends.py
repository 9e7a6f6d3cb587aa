"""A handle travels between processes; where it is opened, what is in use stays open beside others."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, close_all, quote, real_engine

SUFFIX = {"sqlite": "sqlite", "duckdb": "duckdb"}


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(params=["sqlite", "duckdb"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def handle(engine: str, make_home: Callable[[str], Path]) -> Callable[[str], Backend]:
    home = make_home(f"mdm-1.0.6-{engine}")
    return lambda dataset: Backend(engine, home / f"datasets/{dataset}/{dataset}.{engine}")


def test_a_handle_travels(handle: Callable[[str], Backend]) -> None:
    backend = handle("wine")
    travelled = pickle.loads(pickle.dumps(backend))  # noqa: S301 - our own
    assert travelled == backend
    with travelled.open() as database:
        assert database.count("wine") == 178


def test_a_reason_travels() -> None:
    reason = pickle.loads(pickle.dumps(CannotOpen("empty", "is empty")))  # noqa: S301 - our own
    assert (reason.code, reason.reason, reason.holders, str(reason)) == ("empty", "is empty", (), "is empty")
    assert str(pickle.loads(pickle.dumps(QueryFailed("no", "damaged")))) == "no"  # noqa: S301 - our own


def test_a_database_that_is_open_is_not_opened_again(handle: Callable[[str], Backend]) -> None:
    assert handle("wine").open() is handle("wine").open()


def test_opening_another_database_closes_one_that_is_not_in_use(handle: Callable[[str], Backend]) -> None:
    wine = handle("wine").open()
    shop = handle("shop").open()
    assert wine.closed
    assert not shop.closed
    with pytest.raises(QueryFailed):
        wine.query("SELECT 1 FROM wine")


def test_databases_in_use_are_read_side_by_side(handle: Callable[[str], Backend]) -> None:
    with handle("wine").open() as wine, handle("shop").open() as shop, handle("big").open() as big:
        assert wine.tables() != shop.tables() != big.tables()
        assert (wine.count("wine"), big.count("big")) == (178, 25000)
        assert wine.query("SELECT count(*) FROM wine") == [(178,)]
        assert big.query("SELECT count(*) FROM big") == [(25000,)]
        assert [column.name for column in shop.columns("train")] == [row[0] for row in _names_in(shop, "train")]
    assert wine.closed or not wine.in_use


def _names_in(database: Database, table: str) -> list[tuple[str]]:
    if database.engine == "sqlite":
        return database.query("SELECT name FROM pragma_table_info(?)", (table,))
    return [(name,) for name, *_ in database.query(f"DESCRIBE {quote(table)}")]


def test_the_one_left_in_use_outlives_the_others(handle: Callable[[str], Backend]) -> None:
    with handle("wine").open() as wine:
        for _ in range(3):
            with handle("shop").open() as shop:
                assert shop.count("train") > 0
        assert wine.count("wine") == 178


def test_leaving_an_inner_use_does_not_close_the_outer(handle: Callable[[str], Backend]) -> None:
    with handle("wine").open() as outer:
        with handle("wine").open() as inner:
            assert inner is outer
        assert outer.count("wine") == 178


def test_a_database_no_check_waits_for_stays_open_for_the_next(make_home: Callable[[str], Path]) -> None:
    backend = Backend("sqlite", make_home("mdm-1.0.6-sqlite") / "datasets/wine/wine.sqlite")
    with backend.open() as first:
        pass
    assert not first.closed
    assert backend.open() is first


def test_a_database_that_changed_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    backend = Backend("sqlite", path)
    for number in range(3):
        path.unlink(missing_ok=True)
        sqlite3.connect(path).executescript(f"CREATE TABLE t{number} (a)").close()
        assert backend.open().tables() == (f"t{number}",)


def test_everything_can_be_closed_at_any_time(handle: Callable[[str], Backend]) -> None:
    close_all()
    database = handle("wine").open()
    close_all()
    close_all()
    assert database.closed
    assert handle("wine").open().count("wine") == 178


def test_the_wrong_engine_is_an_answer(handle: Callable[[str], Backend], engine: str) -> None:
    other = "duckdb" if engine == "sqlite" else "sqlite"
    path = handle("wine").path
    assert real_engine(path) == engine
    with pytest.raises(CannotOpen) as caught:
        Backend(other, path).open()
    assert caught.value.code == "wrong-format"


def test_an_engine_without_a_reader_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match="postgresql"):
        Backend("postgresql", tmp_path).open()


def test_a_quoted_name_is_one_name() -> None:
    assert quote('a"b') == '"a""b"'
