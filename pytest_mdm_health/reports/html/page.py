"""The report as one HTML page: no script, no network, everything escaped.

The page is made from a `Report` alone, so that one that was read back from JSON gives the same page.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from pytest_mdm_health.core.changes import ComparedTable
from pytest_mdm_health.core.model import Check, Kind, Result, Status
from pytest_mdm_health.core.text import duration
from pytest_mdm_health.engine.registry import SECTIONS, load
from pytest_mdm_health.reports.compared_tables import READERS, grouped
from pytest_mdm_health.reports.decision import answer
from pytest_mdm_health.reports.html import findings as html_findings
from pytest_mdm_health.reports.html import groups as html_groups
from pytest_mdm_health.reports.html import svg_bars as pictures
from pytest_mdm_health.reports.html import text as html_text
from pytest_mdm_health.reports.html.matrix import go, matrix
from pytest_mdm_health.reports.limitations import unproven

if TYPE_CHECKING:
    from pytest_mdm_health.reports.model import Report

_TONES = {
    "yes": "yes",
    "yes, as far as selected": "yes",
    "go": "go",
    "no": "no",
    "no-go": "no-go",
    "with care": "care",
    "not known": "unknown",
    "not asked": "go",
}
_BAR_ORDER = (Status.FAIL, Status.ERROR, Status.WARN, Status.BLOCKED, Status.WAIVED, Status.PASS, Status.SKIP)
_SLOWEST = 10
_FULL = (Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED)


def render(report: Report) -> str:
    """The page."""
    page = _environment().get_template("page.html.jinja").render(_context(report))
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _context(report: Report) -> dict[str, Any]:
    said, style = answer(report), _style()
    return {
        "report": report,
        "style": style,
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "started": html_text.moment(report.started_at.isoformat()),
        "answer": said,
        "tone": _TONES[said.word],
        "tones": _TONES,
        "sign": pictures.sign(said.word),
        **_of_findings(report),
        **_of_results(report),
        **_of_changes(report),
    }


def _of_findings(report: Report) -> dict[str, Any]:
    modules, room = load(), html_findings.Room()
    return {
        "to_do": html_groups.to_do(report),
        "sections": html_findings.sections(report.findings, modules, room),
        "waived": report.waived,
        "notes": html_findings.sections(report.notes, modules, room),
        "note_count": len(report.notes),
        "unproven": unproven(report, {id_: each.check for id_, each in modules.items()}),
    }


def _of_results(report: Report) -> dict[str, Any]:
    partly = tuple(each for each in html_groups.alike(report, *_FULL) if each.reason)
    return {
        "matrices": [(matrix(report.results, kind), kind.value) for kind in (Kind.DATASET, Kind.SERVER)],
        "counts": {status.value: report.counts[status] for status in _BAR_ORDER if status in report.counts},
        "home_results": [each for each in report.results if each.target.kind is Kind.HOME],
        "home_go": go([each.status for each in report.results if each.target.kind is Kind.HOME]),
        "by_section": _by_section(report),
        "not_done": html_groups.alike(report, Status.ERROR),
        "blocked": html_groups.alike(report, Status.BLOCKED),
        "skipped": html_groups.alike(report, Status.SKIP),
        "skip_count": report.counts.get(Status.SKIP, 0),
        "passed": html_groups.alike(report, Status.PASS),
        "pass_count": report.counts.get(Status.PASS, 0),
        "partly": partly,
        "partly_count": sum(len(each.targets) for each in partly),
        "by_check": _by_check(report.results),
        "examined": sum(each.examined for each in report.results),
        "slowest": sorted(report.results, key=lambda each: -each.duration_s)[:_SLOWEST],
    }


def _of_changes(report: Report) -> dict[str, Any]:
    tables = grouped(report.comparison)
    rows = [each for group in tables for each in group.tables]
    most = max((max(each.rows_before or 0, each.rows_after or 0) for each in rows), default=0)

    def before_and_after(each: ComparedTable) -> Markup:
        tone = "fail" if each.difference < 0 else "warn" if each.difference else "pass"
        return pictures.before_and_after(each.rows_before or 0, each.rows_after or 0, most, tone)

    entries = report.comparison.changes if report.comparison else ()
    pictured = {"before_and_after": before_and_after, "readers": READERS}
    return {"changes": html_groups.changes(entries), "tables": tables, **pictured}


def _by_section(report: Report) -> list[tuple[str, str, Mapping[str, int]]]:
    counted = Counter((each.check.section, each.status) for each in report.results)
    return [
        (number, title, {status.value: counted[number, status] for status in _BAR_ORDER if counted[number, status]})
        for number, title in SECTIONS.items()
        if any(section == number for section, _ in counted)
    ]


def _by_check(results: Iterable[Result]) -> list[tuple[Check, int, int]]:
    by_id: dict[str, list[Result]] = {}
    for result in results:
        by_id.setdefault(result.check.id, []).append(result)
    return [(some[0].check, len(some), sum(each.examined for each in some)) for some in by_id.values()]


@cache
def _style() -> Markup:
    file = resources.files("pytest_mdm_health.reports.html") / "templates" / "style.css"
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - our own file


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pytest_mdm_health.reports.html"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=html_text.shown,
    )
    texts = (
        html_text.isolated,
        html_text.name,
        html_text.names,
        html_text.in_lines,
        html_text.prose,
        html_text.inline,
        html_text.said,
    )
    environment.filters |= {each.__name__: each for each in texts}
    environment.filters |= {"evidence": html_findings.about, "as_json": html_findings.as_json, "duration": duration}
    environment.filters |= {"brief": html_text.brief, "moment": html_text.moment}
    environment.tests |= {"copyable": html_text.is_copyable, "table": html_findings.is_table}
    environment.tests |= {"listing": html_findings.is_listing}
    environment.globals |= {"shares": pictures.shares, "length": pictures.length}
    return environment
