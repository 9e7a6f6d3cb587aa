"""A dataset's tables for a baseline that is recorded, and compared with one that is given."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import clock
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings


@dataclass(frozen=True)
class SnapshotRequest:
    """What a dataset's tables are stored for and compared with; `started` is when the check began."""

    dataset: Dataset
    backend: Backend | None
    home: Home
    settings: Settings
    options: Options
    expected: Expected
    before: DataFacts | None
    started: float = field(default_factory=clock)
