"""What JUnit files say of a check: verdict and fix in the body of a failure, the rest as properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mdm_health.core.model import Result, Severity, Status
from pytest_mdm_health.core.text import one_line

if TYPE_CHECKING:
    import pytest

    from pytest_mdm_health.reports.model import Report

LONGEST = 400
"""Characters of a failure's message; what reads these files shows it on one line."""


@dataclass(frozen=True)
class Headline:
    """The one line that pytest shows of a failure, where it has room for no more."""

    message: str

    def __str__(self) -> str:
        return self.message


class Failure:
    """How a check ended, as pytest keeps it: all of it, and one line of it.

    Attributes:
        reprcrash: the one line, by the name that pytest knows it by.
    """

    def __init__(self, text: str, result: Result) -> None:
        self._text = text
        self.reprcrash = Headline(headline(result))

    def __str__(self) -> str:
        return self._text

    def toterminal(self, terminal: pytest.TerminalReporter) -> None:
        """Write all of it."""
        for line in self._text.splitlines():
            terminal.line(line)


def headline(result: Result) -> str:
    """The worst that was found, on one line of a length that everything shows."""
    if not result.findings:
        line = f"not examined: {result.reason}"
    else:
        more = f" (and {len(result.findings) - 1} more)" if len(result.findings) > 1 else ""
        line = f"{result.findings[0].code}: {result.findings[0].message}{more}"
    line = one_line(line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def properties(result: Result) -> Iterator[tuple[str, str]]:
    """What a test case says about the check behind it; a warning, which is no failure to JUnit, in words."""
    harmful = [finding for finding in result.findings if finding.severity is not Severity.NOTE]
    yield "mdm_check", result.check.id
    yield "mdm_issue", result.check.issue
    yield "mdm_target", result.target.id
    yield "mdm_status", result.status.value
    yield "mdm_codes", " ".join(dict.fromkeys(finding.code for finding in harmful))
    if result.status in {Status.WARN, Status.WAIVED}:
        said = (f"{each.code}: {each.message}; next: {each.remedy.text}" for each in harmful)
        yield from (("mdm_finding", one_line(line)) for line in said)  # what is no UTF-8 would end a worker
    if result.waiver:
        yield "mdm_waiver", one_line(result.waiver)


def suite_properties(report: Report) -> Iterator[tuple[str, str]]:
    """What the file says about the run as a whole."""
    yield "mdm_verdict", report.verdict
    yield "mdm_exit_code", str(report.exit_code)
    yield "mdm_home", one_line(report.home)
    yield from ((f"mdm_count_{status.value}", str(count)) for status, count in report.counts.items())
    if report.comparison is not None:
        yield "mdm_regressions", str(report.comparison.regressions)


def tell_suite(config: pytest.Config, report: Report) -> None:
    """Put the properties of the run into the file that pytest writes, if it writes one."""
    for plugin in config.pluginmanager.get_plugins():
        add = getattr(plugin, "add_global_property", None)  # pytest has it as a fixture for tests only
        if add is not None:
            for name, value in suite_properties(report):
                add(name, value)
