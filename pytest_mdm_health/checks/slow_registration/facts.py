"""What slow-registration keeps of what it saw. Times are seconds, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import BASELINE_ONLY, Facts


@dataclass(frozen=True, kw_only=True)
class Timing:
    """A registration that ended well.

    Attributes:
        ended: when; empty if not known.
        rows: how many it loaded; None if not known.
        features: whether it generated features; None if not known.
        stages: what part of it went where, as far as the log tells.
        told_by: `log` or `metrics.db`.
    """

    dataset: str
    ended: str
    seconds: float
    rows: int | None
    features: bool | None
    stages: Mapping[str, float]
    told_by: str

    @property
    def per_row(self) -> float | None:
        """Seconds for one row."""
        return self.seconds / self.rows if self.rows else None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of a query: when it ended (empty if not known), how long it took, and its rows; None if not known."""

    ended: str
    seconds: float
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Query:
    """A kind of query as MDM calls it, its dataset if it has one, and how long it took, newest first."""

    operation: str
    dataset: str
    measured: tuple[Measured, ...]


@dataclass(frozen=True, kw_only=True)
class Sized:
    """A dataset with what makes a registration of it long: rows as far as known, and the size of its file."""

    dataset: str
    backend: str
    rows: int | None
    size: int


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A package that MDM's interpreter lacks, the files that it reads, and datasets that come from such files."""

    package: str
    suffix: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Space:
    """A place that a registration writes to: its use, its folder, what is free there, and what is needed."""

    use: str
    folder: str
    free: int
    needed: int
    dataset: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A part of a source file that was read and stored, privately, as a registration would.

    Attributes:
        rows: of the sample.
        total_rows: of the file, by the share that was read.
        read_s, store_s: for the sample.
        whole_s: for all of it, features included where a past registration tells what they take.
        features_s: the part of that for features.
    """

    dataset: str
    file: str
    rows: int
    total_rows: int
    read_s: float
    store_s: float
    features_s: float
    whole_s: float


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
    datasets: tuple[Sized, ...]
    batch_size: int
    batch_set_in: str
    features_enabled: bool
    default_backend: str
    python: str
    readers: tuple[Reader, ...]
    spaces: tuple[Space, ...]
    trials: tuple[Trial, ...]
    queries: tuple[Query, ...] = field(default=(), metadata=BASELINE_ONLY)
