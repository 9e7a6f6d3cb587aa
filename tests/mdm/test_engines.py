from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.engines import engine_of


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_the_engine_is_known_by_the_first_bytes_of_any_file(
    make_home: Callable[..., Path], tmp_path: Path, engine: str
) -> None:
    renamed = tmp_path / "data.csv"
    (make_home(f"mdm-1.0.6-{engine}") / "datasets" / "wine" / f"wine.{engine}").rename(renamed)
    assert engine_of(renamed) == engine


@pytest.mark.parametrize("content", [b"", b"SQLite format", b"SQLite format 4\x00", b"name: DUCK\n"])
def test_other_content_is_of_no_engine(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "shop.sqlite"
    file.write_bytes(content)
    assert engine_of(file) is None


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_what_is_no_file_is_of_no_engine_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert engine_of(tmp_path / "pipe") is None
    assert engine_of(tmp_path) is None
    assert engine_of(tmp_path / "missing") is None
