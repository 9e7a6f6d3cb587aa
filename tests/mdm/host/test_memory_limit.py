"""A memory limit means what DuckDB takes it for."""

from __future__ import annotations

import duckdb
import psutil
import pytest

from pytest_mdm_health.mdm.host.memory_limit import UNLIMITED, limit_in_bytes

RAM = psutil.virtual_memory().total


def duckdb_says(text: str) -> float | None:
    """The limit in bytes as DuckDB shows it, rounded to a tenth of a unit; None if it refuses the text."""
    with duckdb.connect() as connection:
        try:
            connection.execute("SET memory_limit = ?", [text])
        except duckdb.Error:
            return None
        shown = connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    number, unit = str(shown).split()
    return float(number) * float(1024 ** ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit))


@pytest.mark.parametrize(
    "text", ["8GB", "2GiB", "500MB", "8 GB", "8gb", "1.5GB", "8G", "8 gigabytes", "8TB", "1e3MB", "512M", " 2GB "]
)
def test_a_limit_is_what_duckdb_makes_of_it(text: str) -> None:
    assert limit_in_bytes(text, RAM) == pytest.approx(duckdb_says(text), rel=0.1)


@pytest.mark.parametrize("text", ["lots", "8GBB", "1000", "", "GB"])
def test_what_duckdb_refuses_is_no_limit(text: str) -> None:
    assert duckdb_says(text) is None
    assert limit_in_bytes(text, RAM) is None


@pytest.mark.parametrize("text", ["-1", "none", "-5GB"])
def test_some_texts_mean_no_limit_at_all(text: str) -> None:
    assert duckdb_says(text) is not None
    assert limit_in_bytes(text, RAM) == UNLIMITED


def test_a_percentage_is_one_of_the_machines_memory() -> None:
    assert limit_in_bytes("50%", 1000) == 500
