"""The report as one HTML page: no script, no network, everything escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import jinja2

from pytest_mdm_health.model import Status
from pytest_mdm_health.registry import SECTIONS, load

if TYPE_CHECKING:
    from pytest_mdm_health.reports.model import Report


def render(report: Report) -> str:
    """The page."""
    page = _template().render(
        report=report,
        sections=SECTIONS,
        statuses=[status.value for status in Status],
        modules=load(),
        version=report.version,
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("pytest_mdm_health.reports", ".")
    env = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return env.get_template("report.html.jinja")
