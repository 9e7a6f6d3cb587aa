"""The public fixtures: what the built-in checks are given is what a user's own tests can ask for.

`mdm_home`, `mdm_config`, `mdm_inventory`, `mdm_installation`, `mdm_options` and `mdm_environ` describe the home that is
examined. A test that asks for `mdm_dataset` (or `mdm_backend`, `mdm_connection`, `mdm_frame`) runs once per dataset,
one that asks for `mdm_server` alone once per PostgreSQL server that the home names.
Descriptions open nothing; `mdm_connection` and `mdm_frame` open the dataset read-only, in the process of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import pytest

from pytest_mdm_health.backends import Backend, Database
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import HOME, Kind, Target
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.plan import Plan
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.interpreter import Installation
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.servers import Server
from pytest_mdm_health.mdm.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

SUITE_MODULE = "mdm_health_suite"
"""The name of the modules that hold the built-in checks as test functions."""

PLAN = pytest.StashKey[Plan]()
"""Where the run's plan is kept in pytest's config."""


@pytest.fixture(scope="session")
def mdm_options(pytestconfig: pytest.Config) -> Options:
    """The options of the run."""
    return pytestconfig.stash[PLAN].options


@pytest.fixture(scope="session")
def mdm_environ(pytestconfig: pytest.Config) -> Mapping[str, str]:
    """The `MDM_*` variables as they were when the run started."""
    return pytestconfig.stash[PLAN].environ


@pytest.fixture(scope="session")
def mdm_inventory(pytestconfig: pytest.Config) -> Inventory:
    """All that the home holds: its places, settings and datasets."""
    return pytestconfig.stash[PLAN].inventory


@pytest.fixture(scope="session")
def mdm_home(mdm_inventory: Inventory) -> Home:
    """The places of the home."""
    return mdm_inventory.home


@pytest.fixture(scope="session")
def mdm_config(mdm_inventory: Inventory) -> Settings:
    """The settings in force, each with where it comes from."""
    return mdm_inventory.settings


@pytest.fixture(scope="session")
def mdm_installation(pytestconfig: pytest.Config) -> Installation | None:
    """The installed MDM as its own interpreter describes it, or None."""
    return pytestconfig.stash[PLAN].installation


@pytest.fixture(scope="session")
def mdm_expected(pytestconfig: pytest.Config) -> Expected:
    """The changes that the migration is meant to make (`--mdm-expect`)."""
    return pytestconfig.stash[PLAN].expected


@pytest.fixture
def mdm_target(request: pytest.FixtureRequest) -> Target:
    """What this test is run on: one dataset, one server, or the home."""
    return cast("Target", getattr(request, "param", HOME))


@pytest.fixture
def mdm_dataset(pytestconfig: pytest.Config, mdm_target: Target) -> Dataset:
    """One dataset: its registration and where its data is."""
    return cast("Dataset", pytestconfig.stash[PLAN].fixture_value("mdm_dataset", mdm_target))


@pytest.fixture
def mdm_server(pytestconfig: pytest.Config, mdm_target: Target) -> Server | None:
    """One PostgreSQL server that the home names; for a test that runs per dataset, the dataset's, or None."""
    return cast("Server | None", pytestconfig.stash[PLAN].fixture_value("mdm_server", mdm_target))


@pytest.fixture
def mdm_backend(pytestconfig: pytest.Config, mdm_target: Target) -> Backend | None:
    """The handle that opens the dataset's data; None when it is not known what or where it is."""
    return cast("Backend | None", pytestconfig.stash[PLAN].fixture_value("mdm_backend", mdm_target))


@pytest.fixture
def mdm_connection(mdm_backend: Backend | None) -> Iterator[Database]:
    """The dataset's data, open and read-only."""
    if mdm_backend is None:
        pytest.skip("the dataset has no data that can be opened")
    with mdm_backend.open() as database:
        yield database


@pytest.fixture
def mdm_frame(mdm_connection: Database) -> Callable[[str], pd.DataFrame]:
    """A function that reads one table of the dataset into a data frame: `mdm_frame("train")`."""
    import pandas as pd

    from pytest_mdm_health.backends import quote

    def read(table: str) -> pd.DataFrame:
        names = [column.name for column in mdm_connection.columns(table)]
        rows = mdm_connection.query(f"SELECT * FROM {quote(table)}")  # noqa: S608 - quoted
        frame: pd.DataFrame = pd.DataFrame.from_records(rows, columns=names)
        return frame

    return read


NAMES = tuple(name for name, value in list(vars().items()) if name.startswith("mdm_") and value is not None)
"""The names of these fixtures."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a user's test that asks for a dataset once per dataset, one that asks for a server once per server."""
    if metafunc.module.__name__ == SUITE_MODULE:  # has its own
        return
    names, plan = set(metafunc.fixturenames), metafunc.config.stash[PLAN]
    if "mdm_target" in names:
        servers = "mdm_server" in names and not names & {"mdm_dataset", "mdm_backend"}
        if servers:
            targets = [Target(Kind.SERVER, server.name) for server in plan.servers]
        else:
            targets = [Target(Kind.DATASET, dataset.name) for dataset in plan.datasets]
        metafunc.parametrize("mdm_target", targets, indirect=True, ids=[target.id for target in targets])
