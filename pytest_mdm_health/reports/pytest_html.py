"""What pytest-html's page (`--html`) shows of checks: columns of their own, the verdict first, nothing that runs."""

from __future__ import annotations

import copy
import html
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.model import Finding, Result, Status
from pytest_mdm_health.core.text import counted, one_line
from pytest_mdm_health.reports.json.document import plain
from pytest_mdm_health.reports.result_text import NEXT_AFTER_ERROR, describe
from pytest_mdm_health.reports.summary_lines import lines

if TYPE_CHECKING:
    from pytest_mdm_health.reports.model import Report

STATUS, ISSUE, NEXT = "status", "issue", "next"
"""The columns, as pytest-html tells them apart."""

CRASHED = "???"
"""The phase that xdist gives to a test whose worker died."""

_BREAKS = 'style="overflow-wrap: anywhere"'
"""Long words, such as names of files, are broken rather than wider than the page."""

_PLACE, _END = 1, -1
"""Where the columns go: what it is about beside the result, what to do before the links."""


class PytestHtml:
    """The plugin that is registered when pytest-html writes a page."""

    def __init__(
        self,
        config: pytest.Config,
        result_of: Callable[[pytest.TestReport], Result | None],
        report_of: Callable[[], Report | None],
    ) -> None:
        """Know where results come from.

        Args:
            config: of the run.
            result_of: the result that a test report carries, if it is of ours.
            report_of: the finished run, once it is.
        """
        self._config, self._result_of, self._report_of = config, result_of, report_of

    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add the columns."""
        cells.insert(_PLACE, _header(STATUS, "Status"))
        cells.insert(_PLACE + 1, _header(ISSUE, "Issue"))
        cells.insert(_END, "<th>Next step</th>")

    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fill the columns, and let no name of a test run as markup: datasets give the user's own tests their names."""
        result = self._result_of(report)
        name = report.nodeid if report.when == "call" else f"{report.nodeid}::{report.when}"
        cells[:] = [_cell("testId", _text(name)) if cell == _cell("testId", name) else cell for cell in cells]
        if cells:
            cells.insert(_PLACE, _cell(STATUS, result.status.value if result else ""))
            cells.insert(_PLACE + 1, _cell(ISSUE, result.check.issue if result else ""))
            cells.insert(_END, _cell(NEXT, _next_step(result) if result else ""))

    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[str]) -> None:
        """Say what was found, and fold away what it was concluded from."""
        result = self._result_of(report)
        if result is not None:
            data[:] = [_text(line) for line in _told(result)]
            data += [_evidence(finding) for finding in result.findings if finding.evidence]

    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Say how the run ended before anything else."""
        report = self._report_of()
        if report is not None:
            told = "".join(f"<li>{_text(line.strip())}</li>" for line in lines(report))
            meaning = f"exit code {report.exit_code}: {report.meaning}"
            prefix.insert(0, f"<h2>MDM health: {report.verdict}</h2><p>{_text(meaning)}</p><ul>{told}</ul>")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Show a check whose worker died: pytest-html waits for the end of a test, which never came."""
        if report.nodeid.startswith(f"{SUITE}::") and report.when == CRASHED:
            for writer in _writers(self._config):
                for ended in _as_if_ended(report):
                    writer.pytest_runtest_logreport(report=ended)


def _writers(config: pytest.Config) -> Iterator[Any]:
    """The objects that write pytest-html's page."""
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__module__.startswith("pytest_html.") and hasattr(plugin, "pytest_runtest_logreport"):
            yield plugin


def _as_if_ended(report: pytest.TestReport) -> Iterator[pytest.TestReport]:
    for when, outcome in (("call", report.outcome), ("teardown", "passed")):
        ended: Any = copy.copy(report)
        ended.when, ended.outcome = when, outcome
        yield ended


def _header(name: str, title: str) -> str:
    return f'<th class="sortable" data-column-type="{name}">{title}</th>'


def _cell(name: str, content: str) -> str:
    return f'<td class="col-{name}">{content}</td>'


def _text(text: str) -> str:
    """Text from the home as the page can hold it, which it cannot turn round."""
    return f"<bdi {_BREAKS}>{html.escape(one_line(text))}</bdi>"


def _next_step(result: Result) -> str:
    """What to do about the worst that was found, with its commands; else why there is nothing to do or to say."""
    if not result.findings:
        return _text(NEXT_AFTER_ERROR if result.status is Status.ERROR else result.reason)
    remedy = result.findings[0].remedy
    commands = (f"<br><code {_BREAKS}>{html.escape(one_line(command))}</code>" for command in remedy.commands)
    return _text(remedy.text) + "".join(commands)


def _told(result: Result) -> list[str]:
    if result.findings or result.status is Status.ERROR:
        return describe(result).splitlines()
    return [result.reason or f"{counted(result.examined, 'thing')} examined, and nothing found"]


def _evidence(finding: Finding) -> str:
    """What a finding was concluded from, folded; on one line, because the page colours lines that begin with an E."""
    shown = json.dumps(plain(finding.evidence), ensure_ascii=False)
    return f"<details><summary>evidence of {_text(finding.code)}</summary>{_text(shown)}</details>"
