"""The health suite as pytest sees it: one item per check and target.

The items are of our own class rather than test functions, so nothing in the repository that pytest happens to run in
can reach them: no autouse fixture, no fixture of the same name, no `pytest_generate_tests`, no naming convention. What
a check's parameters name is filled from the same plan that the public fixtures hand out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.model import Result, Status, Target, node_id
from pytest_mdm_health.reports.junit import properties
from pytest_mdm_health.reports.others import clean, clean_warning
from pytest_mdm_health.reports.terminal import describe, one_line
from pytest_mdm_health.session import carry

if TYPE_CHECKING:
    import warnings

    from pytest_mdm_health.registry import CheckModule
    from pytest_mdm_health.run import Run


class CheckFailed(Exception):
    """Carries a result that makes pytest count a failure."""


class HealthSuite(pytest.Collector):
    """The suite: for every target its checks, the home first, what others require before them."""

    @classmethod
    def of(cls, session: pytest.Session, run: Run) -> HealthSuite:
        """The suite of this run."""
        suite: HealthSuite = cls.from_parent(session, name=SUITE, path=session.config.rootpath / SUITE, nodeid=SUITE)
        suite.run = run
        return suite

    run: Run

    def collect(self) -> Iterator[pytest.Item]:
        """One item per check and target, in an order that is the same everywhere."""
        for each, target in self.run.items():
            yield HealthCheck.of(self, each, target)


class HealthCheck(pytest.Item):
    """One check on one target."""

    each: CheckModule
    target: Target
    result: Result | None = None
    accompanying: tuple[Result, ...] = ()

    @classmethod
    def of(cls, suite: HealthSuite, each: CheckModule, target: Target) -> HealthCheck:
        """The item of this check on this target."""
        id_ = node_id(each.check, target)
        item: HealthCheck = cls.from_parent(suite, name=id_.partition("::")[2], nodeid=id_)
        item.each, item.target = each, target
        item.add_marker("mdm_health")
        item.extra_keyword_matches |= {each.check.issue, target.name, *each.check.tags}
        return item

    def runtest(self) -> None:
        """Run the check in the sandbox and tell pytest how it ended."""
        suite = self.parent
        assert isinstance(suite, HealthSuite)
        self.result = result = suite.run.result(self.each, self.target)
        self.accompanying = suite.run.accompanying(result)
        self.user_properties += properties(result)
        if result.status in {Status.FAIL, Status.ERROR}:
            raise CheckFailed
        if result.status in {Status.SKIP, Status.BLOCKED}:
            pytest.skip(one_line(result.reason))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:  # noqa: ARG002 - pytest passes it
        """What stands under FAILURES: what was found and what to do, never a traceback."""
        if self.result is not None and excinfo.errisinstance(CheckFailed):
            return describe(self.result)
        return one_line(f"the check could not be run: {excinfo.typename}: {excinfo.value}")

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where it lies for pytest, which is nowhere in the file system, and its name; skip marks want a line."""
        return str(self.path), 0, self.name


class HealthCollector:
    """The plugin that puts the items into the run and sends their results along with pytest's reports."""

    def __init__(self, run: Run, wanted: Sequence[str]) -> None:
        self._run = run
        self._wanted = frozenset(wanted)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Put the suite's items before all others, early enough for `-k`, `--lf` and the like."""
        suite = HealthSuite.of(session, self._run)
        report = suite.ihook.pytest_make_collect_report(collector=suite)
        suite.ihook.pytest_collectreport(report=report)
        ours = [item for item in report.result if isinstance(item, pytest.Item)]
        items[:0] = [item for item in ours if not self._wanted or item.nodeid in self._wanted]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the result along with pytest's report of it; of the user's own tests too, pytest shows no secret."""
        report = yield
        clean(report, self._run.redactor)
        if isinstance(item, HealthCheck) and report.when == "call" and item.result is not None:
            carry(report, item.result, *item.accompanying)
            if report.skipped:
                report.longrepr = (SUITE, 0, one_line(item.result.reason))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Show no secret in a warning of the user's own tests either; a worker sends on what is left of it."""
        clean_warning(warning_message, self._run.redactor)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Show no secret in an error of collecting the user's own tests either."""
        report = yield
        clean(report, self._run.redactor)
        return report
