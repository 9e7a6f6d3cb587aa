"""The run as pytest drives it: the results of all workers, the exit status, the reports."""

from __future__ import annotations

import base64
import pickle
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mdm_health import SUITE, reports
from pytest_mdm_health.baseline.file import render as render_baseline
from pytest_mdm_health.baseline.inputs import ComparisonInputs
from pytest_mdm_health.baseline.verdicts import compared
from pytest_mdm_health.baseline.waivers_draft import draft
from pytest_mdm_health.core.changes import Comparison
from pytest_mdm_health.core.exit_codes import ExitCode, exit_code
from pytest_mdm_health.core.model import Result, Severity, Status
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.reports.github import publish
from pytest_mdm_health.reports.json.report import environment
from pytest_mdm_health.reports.junit import Failure, tell_suite
from pytest_mdm_health.reports.model import InstalledMdm, Report, Trouble, WaiverUse
from pytest_mdm_health.reports.pytest_html import PytestHtml
from pytest_mdm_health.reports.pytest_outputs import MaskedTerminal, delete_leaking, files_of_others
from pytest_mdm_health.reports.terminal import SHOWN_AS, header, summary

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from pytest_mdm_health.engine.run import Run
    from pytest_mdm_health.mdm.installed.interpreter import Installation

_Handler = Callable[[int, FrameType | None], Any] | int | None
ATTRIBUTE = "mdm_result"
"""Where a test report carries its result from the worker to the controller, as text because reports become JSON."""
WORKER_KEY = "mdm_health_plan"
OVERRIDDEN = pytest.StashKey[dict[str, str]]()
"""The file that overrides a fixture of ours, by the fixture's name; kept in pytest's config."""
OVERRIDDEN_KEY = "mdm_health_overridden"
"""The same in what a worker reports at its end."""
FORMATS: Mapping[str, reports.Render] = {
    **reports.FORMATS,
    "save-baseline": render_baseline,
    "write-waivers": lambda report, _plan: draft(report.results, report.started_at.astimezone().date()),
}
"""Everything that a run may write, by the name of its option."""
_OURS = f"{SUITE}::"
_ONLY_LOOKING = ("collectonly", "setuponly", "setupplan", "showfixtures", "show_fixtures_per_test", "cacheshow")
"""Options of pytest with which no test is run."""
_PYTESTS_OWN = {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR}


class HealthSession:
    """The plugin that is registered when the health suite is asked for, on the controller and on every worker."""

    def __init__(self, config: pytest.Config, run: Run) -> None:
        self._config, self._run = config, run
        self._results: dict[str, Result] = {}
        self._accompanying: dict[str, Result] = {}
        self._planned: set[str] = set()
        self._foreign_failures = 0
        self._is_controller = not hasattr(config, "workerinput")
        self._meant_to_run = not any(getattr(config.option, name, None) for name in _ONLY_LOOKING)
        self._not_run = 0
        self._started = (datetime.now(timezone.utc), time.perf_counter())
        self._report: Report | None = None
        self._comparison: Comparison | None = None
        self._waiver_use: WaiverUse | None = None
        self._troubles: list[Trouble] = []
        self._terminal: MaskedTerminal | None = None
        self._session: pytest.Session | None = None
        self._files_of_others = files_of_others(config)
        self._earlier_handler: _Handler = None
        if self._is_controller and self._meant_to_run:
            reports.delete_earlier(run.plan.options)
            self._earlier_handler = _interrupt_on_termination()
        if "--html" in self._files_of_others and self._is_controller:
            config.pluginmanager.register(PytestHtml(config, _carried, lambda: self._report), "mdm-health-html")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Keep secrets out of the terminal, before anything is written to it."""
        self._terminal = MaskedTerminal(self._config, self._run.redactor.leaks)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember what is to be run, so that nothing that was not run can vanish."""
        self._planned |= {item.nodeid for item in session.items if item.nodeid.startswith(_OURS)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """The same, from the workers."""
        self._planned |= {id_ for id_ in ids if id_.startswith(_OURS)}

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Give a worker what was found out once for all."""
        node.workerinput[WORKER_KEY] = self._run.for_worker()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Learn from a worker which fixtures it kept away."""
        overridden = (getattr(node, "workeroutput", None) or {}).get(OVERRIDDEN_KEY, {})
        self._config.stash[OVERRIDDEN] = {**self._overridden, **overridden}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a result, and give others one line of a failure; a check whose worker died has a result too."""
        if not report.nodeid.startswith(_OURS):
            self._foreign_failures += report.failed
        elif (carried := _carried(report)) is not None:
            self._results[report.nodeid] = _accepted_by_mark(report, carried)
            self._accompanying |= {each.node_id: each for each in _all_carried(report)[1:]}
            if report.failed:
                report.longrepr = Failure(report.longreprtext, carried)  # type: ignore[assignment] # as pytest uses it
        elif report.failed and report.nodeid not in self._results:
            self._results[report.nodeid] = self._without_result(report.nodeid, Status.ERROR, _last_line(report))
        elif report.skipped and report.nodeid not in self._results:  # by a mark, or a fixture that the mark names
            result = self._without_result(report.nodeid, Status.WAIVED, _last_line(report))
            self._results[report.nodeid] = replace(result, waiver=result.reason)

    def pytest_report_teststatus(self, report: pytest.CollectReport | pytest.TestReport) -> Any:  # noqa: ANN401 - pytest's
        """The letter and the word for a result; pytest's own for everything else."""
        result = _carried(report) if isinstance(report, pytest.TestReport) else None
        if result is None or report.outcome == "rerun":  # type: ignore[comparison-overlap] # pytest-rerunfailures
            return None
        return SHOWN_AS[_accepted_by_mark(report, result).status]

    def pytest_report_header(self) -> list[str]:
        """What is examined, before anything is."""
        lines = [
            *header(self._run.plan, self._run.explained),
            *(f"MDM home: {sentence}" for sentence in self._run.idle()),
        ]
        return [self._run.redactor.text(line) for line in lines]

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Turn the results into the exit status and write the reports; search what others then wrote."""
        self._run.close()
        if hasattr(self._config, "workeroutput"):
            self._config.workeroutput[OVERRIDDEN_KEY] = self._overridden
        is_ours = self._meant_to_run and self._is_controller
        if is_ours:
            self._session = session
            self._finish(session, exitstatus)
        decided, unwritten = session.exitstatus, []
        try:
            yield
        except OSError as error:  # of a report of pytest or of a plugin, which must not cost all that is known
            if not is_ours:
                raise
            file = error.filename or "a file of pytest"
            unwritten.append(Trouble(f"{file} could not be written: {error.strerror}"))
        finally:
            if is_ours:
                session.exitstatus = decided  # whatever others made of a run that collected no test of theirs
                leaks = self._run.redactor.leaks
                deleted = delete_leaking(self._files_of_others, leaks, self._started[0].timestamp())
                self._tell(session, [*unwritten, *deleted, *(self._terminal.troubles() if self._terminal else ())])

    @pytest.hookimpl(tryfirst=True)
    def pytest_unconfigure(self) -> None:
        """Say if the terminal did not take all of the summary; leave SIGTERM to whoever had it before."""
        if self._session is not None and self._terminal is not None:
            self._terminal.flush()
            self._tell(self._session, [each for each in self._terminal.troubles() if each not in self._troubles])
        if self._earlier_handler is not None:
            signal.signal(signal.SIGTERM, self._earlier_handler)

    @property
    def _overridden(self) -> dict[str, str]:
        return self._config.stash.get(OVERRIDDEN, dict[str, str]())

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        self._results |= self._accompanying
        missing = sorted(self._planned - self._results.keys())
        self._not_run = len(missing)
        for id_ in missing:
            self._results[id_] = self._without_result(id_, Status.ERROR, "not run: the run stopped before it")
        self._compare_with(self._run.against)
        session.exitstatus = self._exit_status(exitstatus)
        self._report = self._make_report(int(session.exitstatus))
        self._tell(session, self._write(self._report, stopped=bool(missing)))
        tell_suite(self._config, self._report)

    def _tell(self, session: pytest.Session, troubles: Sequence[Trouble]) -> None:
        """Keep what went wrong with a report; it makes a good run inconclusive, and a secret in one any run."""
        redactor = self._run.redactor
        self._troubles += [replace(trouble, message=redactor.text(trouble.message)) for trouble in troubles]
        leaked = any(trouble.leaked for trouble in troubles)
        milder = {ExitCode.HEALTHY, ExitCode.WARNINGS, *([ExitCode.UNHEALTHY] if leaked else [])}
        if troubles and self._report is not None and session.exitstatus in milder:
            session.exitstatus = ExitCode.INCONCLUSIVE
            self._report = replace(self._report, exit_code=ExitCode.INCONCLUSIVE)
            reports.write(
                self._report, self._run.plan, self._run.redactor.leaks
            )  # those that can be written say it too

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how it ended and what to do first."""
        if self._report is not None:
            summary(terminalreporter, self._report, self._run.plan.options, self._troubles)
            for name, file in sorted(self._overridden.items()):
                where = self._run.redactor.text(one_line(file))
                terminalreporter.write_line(
                    f"the built-in checks do not use the fixture {name} of {where}, but their own"
                )
            for line in publish(self._report, self._run.redactor.leaks):
                terminalreporter.write_line(line)

    def _write(self, report: Report, *, stopped: bool) -> list[Trouble]:
        """Write what was asked for; of a run that was stopped no baseline, because half of it would not be in there."""
        plan = self._run.plan
        if not stopped or plan.options.save_baseline is None:
            return reports.write(report, plan, self._run.redactor.leaks, FORMATS)
        trouble = Trouble("not written, because the run stopped before it was through", "save-baseline")
        return [*reports.write(report, plan, self._run.redactor.leaks), trouble]

    def _compare_with(self, against: ComparisonInputs) -> None:
        """Determine how each result has changed since the baseline, and what the waivers did."""
        ids, results = list(self._results), tuple(self._results.values())
        options = self._run.plan.options
        if against.baseline is not None:
            results, self._comparison = compared(against.baseline, results, str(options.home))
        self._waiver_use = against.use(results, options.phase)
        self._results = dict(zip(ids, results, strict=True))

    def _exit_status(self, pytests: int) -> int:
        if pytests in _PYTESTS_OWN:
            return pytests
        if not self._results:
            nothing_to_examine = pytests == pytest.ExitCode.NO_TESTS_COLLECTED and not self._run.items()
            return ExitCode.INCONCLUSIVE if nothing_to_examine else pytests
        if self._foreign_failures:
            return ExitCode.UNHEALTHY
        options, gaps = self._run.plan.options, bool(self._run.plan.inventory.not_examined)
        gaps |= options.fail_on == "regression" and self._comparison is not None and bool(self._comparison.unknown)
        code = exit_code(self._results.values(), fail_on=options.fail_on, strict=options.strict, gaps=gaps)
        ours = {result.status for result in self._results.values()} & {Status.FAIL, Status.ERROR}
        return code if ours or pytests in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED} else pytests

    def _make_report(self, status: int) -> Report:
        plan, (started_at, started) = self._run.plan, self._started
        report = Report(
            results=tuple(self._results[id_] for id_ in self._run.sorted_ids(self._results)),
            started_at=started_at,
            duration_s=round(time.perf_counter() - started, 3),
            exit_code=status,
            home=str(plan.options.home),
            phase=plan.options.phase,
            depth=plan.options.depth,
            environment=environment(self._overridden),
            gaps=plan.inventory.not_examined,
            ignored=self._run.ignored_prerequisites,
            not_selected=self._run.not_selected(self._results),
            mdm=_installed(plan.known_installation),
            comparison=self._comparison,
            waivers=self._waiver_use,
            not_run=self._not_run,
        )
        return self._run.redactor.everywhere(report)

    def _without_result(self, id_: str, status: Status, reason: str) -> Result:
        each, target = self._run.named(id_)
        return Result(check=each.check, target=target, status=status, reason=reason)


def _interrupt_on_termination() -> _Handler:
    """Make SIGTERM end the run like Ctrl-C, so that what is known is reported; the second one ends the process.

    Returns:
        what handled it before; None if it is left alone, because this is no main thread or it is handled already.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    earlier = signal.getsignal(signal.SIGTERM)
    if earlier is not signal.SIG_DFL:
        return None

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt("SIGTERM")

    signal.signal(signal.SIGTERM, interrupt)
    return earlier


def _installed(installation: Installation | None) -> InstalledMdm | None:
    if installation is None:
        return None
    return InstalledMdm(version=installation.version, python=str(installation.python), error=installation.error)


def carry(report: pytest.TestReport, result: Result, *accompanying: Result) -> None:
    """Make a test report carry its result, and the results that have to be reported together with it."""
    setattr(report, ATTRIBUTE, base64.b64encode(pickle.dumps((result, *accompanying))).decode("ascii"))


def _accepted_by_mark(report: pytest.CollectReport | pytest.TestReport, result: Result) -> Result:
    """The result; waived where an `xfail` mark says that its failure is expected, with the mark's reason."""
    if result.status is not Status.FAIL or not report.skipped or not hasattr(report, "wasxfail"):
        return result
    reason = f"xfail: {report.wasxfail or 'no reason given'}"
    findings = (
        replace(each, waiver=reason) if each.severity is not Severity.NOTE else each for each in result.findings
    )
    return replace(result, status=Status.WAIVED, waiver=reason, findings=tuple(findings))


def _carried(report: pytest.TestReport) -> Result | None:
    return next(iter(_all_carried(report)), None)


def _all_carried(report: pytest.TestReport) -> tuple[Result, ...]:
    text = getattr(report, ATTRIBUTE, None)
    if text is None:
        return ()
    results: tuple[Result, ...] = pickle.loads(base64.b64decode(text))  # noqa: S301 - from our own worker
    return results


def _last_line(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):  # a mark skipped it
        return str(report.longrepr[2])
    lines = report.longreprtext.strip().splitlines()
    return lines[-1] if lines else "ended without a result"
