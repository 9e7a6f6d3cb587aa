"""The files that a run is compared with: baseline, expectations, waivers. Read before anything is examined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from pytest_mdm_health.baseline.expectations import read_expectations
from pytest_mdm_health.baseline.file import Baseline, read
from pytest_mdm_health.baseline.waivers import Waivers, apply, known_codes, read_waivers
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Phase, Result, Status
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.reports.model import WaiverUse

if TYPE_CHECKING:
    from pytest_mdm_health.core.options import Options


@dataclass(frozen=True, kw_only=True)
class ComparisonInputs:
    """What a run is compared with; nothing by default.

    Attributes:
        today: the day on which waivers have to be in force.
    """

    baseline: Baseline | None = None
    expected: Expected = field(default_factory=Expected)
    waivers: Waivers | None = None
    today: date = field(default_factory=lambda: datetime.now().astimezone().date())

    def waived(self, result: Result, phase: str) -> Result:
        """The result with what is accepted of it marked."""
        if self.waivers is None or result.status not in {Status.WARN, Status.FAIL}:
            return result
        return apply((result,), self.waivers, Phase(phase), self.today).results[0]

    def use(self, results: Iterable[Result], phase: str) -> WaiverUse | None:
        """What the waivers did to these results, all of them together; None without any."""
        if self.waivers is None:
            return None
        return apply(results, self.waivers, Phase(phase), self.today).use(self.waivers)


def read_all(options: Options) -> ComparisonInputs:
    """The files that the options name.

    Raises:
        UnusableFile: one of them cannot be used; says which and why.
    """
    return ComparisonInputs(
        baseline=read(options.baseline) if options.baseline else None,
        expected=read_expectations(options.expect) if options.expect else Expected(),
        waivers=read_waivers(options.waivers, known_codes(load())) if options.waivers else None,
    )
