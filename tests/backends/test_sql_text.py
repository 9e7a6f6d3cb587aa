"""Statements are shown without what is in them."""

from __future__ import annotations

import time

import pytest

from pytest_mdm_health.backends.sql_text import compared_columns, shown, takes_long_by_nature


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("SELECT  *\nFROM t1 WHERE id = $1", "SELECT * FROM t1 WHERE id = $1"),
        ("SELECT * FROM t WHERE name = 'O''Hara' AND n > 12.5e3", "SELECT * FROM t WHERE name = ? AND n > ?"),
        ("SELECT E'it\\'s secret', x2, $tag$secret$tag$ FROM \"a 'b' 1\"", "SELECT ?, x2, ? FROM \"a 'b' 1\""),
        ("ALTER ROLE ml PASSWORD 'hunter22", "ALTER ROLE ml PASSWORD ?"),
        ("SELECT /* card 4111 */ a -- secret\nFROM t /* open", "SELECT a FROM t"),
        ("SELECT $$secret", "SELECT ?"),
    ],
)
def test_values_and_comments_are_hidden_and_names_stay(statement: str, line: str) -> None:
    assert shown(statement) == line


def test_a_long_statement_is_cut_short() -> None:
    assert shown("SELECT " + "a, " * 100, 20) == "SELECT a, a, a, a,…"


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ('SELECT * FROM t WHERE "we""ird" = $1 AND b IN ($2) ORDER BY c', ('we"ird', "b")),
        ("SELECT * FROM t JOIN u ON t.x = u.y WHERE t.ts BETWEEN $1 AND $2", ("ts",)),
        ("SELECT a = $1 FROM t", ()),
    ],
)
def test_the_columns_of_conditions_are_found(statement: str, columns: tuple[str, ...]) -> None:
    assert compared_columns(statement) == columns


@pytest.mark.parametrize(
    ("statement", "long"),
    [("/* nightly */ VACUUM t", True), ("copy t to stdout", True), ("SELECT vacuum FROM t", False), ("created", False)],
)
def test_maintenance_is_told_from_queries(statement: str, long: bool) -> None:
    assert takes_long_by_nature(statement) is long


@pytest.mark.parametrize("text", ["'" * 100_000, "$a" * 50_000, "/*" * 50_000, "WHERE a" * 20_000, "$$" * 60_001])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    started = time.perf_counter()
    shown(text)
    compared_columns(text)
    assert time.perf_counter() - started < 120
