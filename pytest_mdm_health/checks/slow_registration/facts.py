"""What slow-registration collects. Times are seconds, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import BASELINE_ONLY, Facts


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A registration that was completed, as the log and `metrics.db` have it.

    Attributes:
        ended: when; empty if unknown.
        rows: how many it loaded; None if unknown.
        features: whether it generated features; None if unknown.
        stages: seconds of its stages, as far as the log has them.
        recorded_in: `log` or `metrics.db`: where the duration is from.
    """

    dataset: str
    ended: str = ""
    seconds: float = 0.0
    rows: int | None = None
    features: bool | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    recorded_in: str = ""

    @property
    def per_row(self) -> float | None:
        """Seconds for one row."""
        return self.seconds / self.rows if self.rows else None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of a query: when it ended (empty if unknown), how long it took, and its rows; None if unknown."""

    ended: str
    seconds: float
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Query:
    """A kind of query as MDM calls it, its dataset if it has one, and its last runs, newest first."""

    operation: str
    dataset: str
    measured: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class DatasetSize:
    """The rows of a dataset's largest table, as far as they are known, and the size of its file."""

    dataset: str
    backend: str
    rows: int | None
    size: int


@dataclass(frozen=True, kw_only=True)
class MissingReader:
    """A package that MDM's interpreter lacks, the files that it reads, and the datasets that come from such files."""

    package: str
    suffix: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Space:
    """A folder that a registration writes to, for what, how much is free there, and how much a dataset needs."""

    use: str
    folder: str
    free: int
    needed: int
    dataset: str


@dataclass(frozen=True, kw_only=True)
class SlowFacts(Facts):
    """How long registrations took, and what makes the next one long.

    Attributes:
        timings: the newest of each dataset, oldest first.
        datasets: the largest ones.
        python: MDM's interpreter, if it was asked.
        queries: those that took most time, to be compared with later ones.
    """

    home: str
    timings: tuple[Timing, ...]
    datasets: tuple[DatasetSize, ...]
    batch_size: int
    batch_set_in: str
    features_enabled: bool
    python: str
    readers: tuple[MissingReader, ...]
    spaces: tuple[Space, ...]
    queries: tuple[Query, ...] = field(default=(), metadata=BASELINE_ONLY)
