"""The files that a run is held against: baseline, expectations, waivers. Read before anything is examined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.compare.baseline import Baseline, read
from pytest_mdm_health.compare.expectations import read_expectations
from pytest_mdm_health.compare.waivers import WaiverOutcome, Waivers, apply, known_codes, read_waivers
from pytest_mdm_health.expected import Expected
from pytest_mdm_health.model import Phase, Result
from pytest_mdm_health.registry import load

if TYPE_CHECKING:
    from pytest_mdm_health.options import Options


@dataclass(frozen=True, kw_only=True)
class HeldAgainst:
    """What a run is held against; nothing by default.

    Attributes:
        today: the day on which waivers have to be in force.
    """

    baseline: Baseline | None = None
    expected: Expected = field(default_factory=Expected)
    waivers: Waivers | None = None
    today: date = field(default_factory=lambda: datetime.now().astimezone().date())

    def waive(self, results: Iterable[Result], phase: str) -> WaiverOutcome:
        """Mark what is accepted; to do it twice is to do it once."""
        waivers = self.waivers or Waivers(Path())
        return apply(results, waivers, Phase(phase), self.today)


def read_all(options: Options) -> HeldAgainst:
    """The files that the options name.

    Raises:
        UnusableFile: one of them cannot be used; says which and why.
    """
    return HeldAgainst(
        baseline=read(options.baseline) if options.baseline else None,
        expected=read_expectations(options.expect) if options.expect else Expected(),
        waivers=read_waivers(options.waivers, known_codes(load())) if options.waivers else None,
    )
