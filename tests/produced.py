"""Which findings the tests of each check produce, and after a run: those that no test produced.

A test registers what it produced (`register_findings`). The fixture `health` does it, and in `tests/checks` so does
every check that is run or judged in the process of the test; what a subprocess of its own found is left to the test.
The codes travel with the test's report, from xdist's workers too.

A check is held to its documentation when all its tests in the fast tier have run and passed; a slow test is never the
only one to produce a finding. Otherwise nothing is concluded about the check, and the summary says so.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pytest

PROPERTY = "produced"
OFFERED = "tests of checks"

_unclaimed: set[str] = set()


def register_findings(codes: Iterable[str]) -> None:
    """Note that the test that runs now produced findings with these codes."""
    _unclaimed.update(codes)


def claim(item: pytest.Item) -> None:
    """Attach to a test's reports what was registered since the last one."""
    item.user_properties += [(PROPERTY, code) for code in sorted(_unclaimed)]
    _unclaimed.clear()


class ProducedFindings:
    """A plugin that fails a run in which the tests of a check did not produce a finding that it documents.

    Args:
        documented: the full codes of each check, by its id.
        folder: where the checks' tests are, in `test_<id>*.py`.
    """

    def __init__(self, documented: Mapping[str, Collection[str]], folder: Path) -> None:
        self._documented, self._folder = documented, folder
        self._collected: list[pytest.Item] = []
        self._offered: dict[str, bool] = {}
        self._passed: set[str] = set()
        self._produced: dict[str, set[str]] = defaultdict(set)
        self._said: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the tests before options deselect some."""
        self._collected = [item for item in items if item.path.parent == self._folder]

    def pytest_collection_finish(self) -> None:
        """Note which of them are slow, once all marks are set."""
        self._offered = {item.nodeid: item.get_closest_marker("slow") is not None for item in self._collected}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what passed and what it produced; xdist's workers send their reports to the controller."""
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        codes = {str(value) for name, value in report.user_properties if name == PROPERTY}
        self._produced[_file(report.nodeid)] |= codes

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker collected; one that crashed sends nothing."""
        self._offered.update(getattr(node, "workeroutput", {}).get(OFFERED, {}))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hold each check whose tests were complete to its documentation."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[OFFERED] = self._offered
            return
        complete = [id_ for id_ in self._documented if self._is_complete(id_)]
        missing = [code for id_ in complete for code in self._missing(id_)]
        if missing:
            self._said = [f"findings that no test produces: {', '.join(missing)}"]
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif len(complete) == len(self._documented):
            self._said = ["findings: the tests produce all that are documented"]
        else:
            self._said = [f"findings: {self._left_out(complete)}, as not all of the tests were run and passed"]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what came of it."""
        for line in self._said:
            terminalreporter.write_line(line)

    def _is_complete(self, id_: str) -> bool:
        """Whether all tests of a check that are not slow were collected and passed."""
        files = {file.name: file for file in self._files(id_)}
        wanted = {f"{name}::{function}" for name, file in files.items() for function in _tests_in(file)}
        collected = set()
        for nodeid, slow in self._offered.items():
            if _file(nodeid) in files:
                collected.add(f"{_file(nodeid)}::{nodeid.partition('::')[2].partition('[')[0]}")
                if not slow and nodeid not in self._passed:
                    return False
        return bool(wanted) and wanted <= collected

    def _left_out(self, complete: Collection[str]) -> str:
        left_out = [id_ for id_ in self._documented if id_ not in complete]
        if not complete:
            return "not checked for any check"
        if len(complete) < len(left_out):
            return f"checked for {', '.join(complete)} only"
        return f"not checked for {', '.join(left_out)}"

    def _missing(self, id_: str) -> list[str]:
        produced = set().union(*(self._produced[file.name] for file in self._files(id_)))
        return sorted(set(self._documented[id_]) - produced)

    def _files(self, id_: str) -> list[Path]:
        return sorted(self._folder.glob(f"test_{id_.replace('-', '_')}*.py"))


def _tests_in(file: Path) -> list[str]:
    """The names of the tests in a file, those included that were never collected, as with a node id."""
    nodes = ast.parse(file.read_text(encoding="utf-8")).body
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def _file(nodeid: str) -> str:
    return Path(nodeid.partition("::")[0]).name
