"""A short run of benchmarks/random_damage.py: every single damaged cell is found and located, and no other."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pytest_mdm_health.backends import close_all
from pytest_mdm_health.mdm.servers import Connection
from tests.postgres import HOST, SUPERUSER, Server

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "random_damage.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("random_damage", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["random_damage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_any_damaged_cell_is_found_and_located_in_every_backend(
    script: ModuleType, postgres: Server, tmp_path: Path
) -> None:
    postgres.add_database("trials")
    stores = script.Stores(tmp_path, Connection(HOST, postgres.port, "trials", SUPERUSER, None))
    done = script.run(30, 7, stores)
    close_all()
    assert len({each.engines for each in done}) > 8
    assert [each.story for each in done if not (each.calm and each.found and each.located)] == []
