"""The JSON document `mdm-health/2` read back, and `mdm-health/1` too, so that a run can be shown and compared later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pytest_mdm_health.core.changes import Change, Changed, ComparedTable, Comparison
from pytest_mdm_health.core.model import Check, Finding, Kind, Location, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.reports.compared_tables import tables_of
from pytest_mdm_health.reports.json.document import SCHEMA, BaselinePart, Document, FindingPart, ResultPart, WaiversPart
from pytest_mdm_health.reports.model import InstalledMdm, Report, WaiverUse

VERSION_1 = "mdm-health/1"
_NOT_RUN = "not run: the run stopped before it"


class NoDocument(ValueError):
    """What was read is no document of this kind; the text says where it is not, on one line."""


def load(data: object) -> Report:
    """The run that a parsed document speaks of.

    Raises:
        NoDocument: it is of another schema, or not what its schema says.
    """
    if isinstance(data, Mapping) and data.get("schema") == VERSION_1:
        return _with_what_facts_told(load(_upgraded(data)))
    if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, Mapping) else None
        raise NoDocument(f"it is no {SCHEMA} document" + (f" but {found!r}"[:60] if found else ""))
    try:
        return _report(_adapter().validate_python(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NoDocument(f"{place}: {first['msg']}") from None
    except ValueError as error:
        raise NoDocument(str(error)) from None


def _upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """A document of version 1 in today's form; what is not as it should be stays, for the validation to refuse."""
    document = {**data, "schema": SCHEMA, "not_run": 0}
    if isinstance(results := data.get("results"), list):
        document["results"] = [_without(each, "attempts") for each in results]
    if isinstance(baseline := data.get("baseline"), Mapping):
        document["baseline"] = {**baseline, "tables": []}
    return document


def _without(part: object, name: str) -> object:
    return {key: each for key, each in part.items() if key != name} if isinstance(part, Mapping) else part


def _with_what_facts_told(report: Report) -> Report:
    """The report with what version 1 had in the facts or in the reasons of its results only."""
    not_run = sum(each.reason == _NOT_RUN for each in report.results)
    if report.comparison is None:
        return replace(report, not_run=not_run)
    tables = tuple(table for result in report.results for table in tables_of(result))
    return replace(report, not_run=not_run, comparison=replace(report.comparison, tables=tables))


def _report(document: Document) -> Report:
    environment = dict(document["environment"])
    gaps = environment.pop("not_listed", None)
    mdm = document["mdm"]
    return Report(
        results=tuple(_result(part) for part in document["results"]),
        started_at=datetime.fromisoformat(document["started_at"]),
        duration_s=document["duration_s"],
        exit_code=document["exit_code"],
        home=document["home"],
        phase=document["phase"],
        depth=document["depth"],
        environment=environment,
        gaps=tuple(str(gap) for gap in gaps) if isinstance(gaps, list) else (),
        mdm=InstalledMdm(**mdm) if mdm else None,
        comparison=_comparison(document["baseline"]),
        waivers=_waivers(document["waivers"]),
        not_run=document["not_run"],
        version=document["tool"]["version"],
    )


def _result(part: ResultPart) -> Result:
    target = Target(Kind(part["target"]["kind"]), part["target"]["name"])
    return Result(
        check=Check(id=part["check"], issue=part["issue"], title=part["title"], per=target.kind),
        target=target,
        status=Status(part["status"]),
        reason=part["reason"],
        examined=part["examined"],
        duration_s=part["duration_s"],
        facts=part.get("facts", {}),
        findings=tuple(_finding(each) for each in part["findings"]),
        blocked_by=part["blocked_by"],
        waiver=part["waiver"],
        waived={each["fingerprint"]: each["waiver"] for each in part["findings"] if each["waiver"] is not None},
        baseline=part["baseline"],
    )


def _finding(part: FindingPart) -> Finding:
    return Finding(
        code=part["code"],
        severity=Severity(part["severity"]),
        message=part["message"],
        remedy=Remedy(part["remediation"]["text"], tuple(part["remediation"]["commands"])),
        evidence=part["evidence"],
        location=Location(**part["location"]) if part["location"] else None,
        subject=part["subject"],
    )


def _comparison(part: BaselinePart | None) -> Comparison | None:
    if part is None:
        return None
    changes = (Changed(Change(each.pop("change")), **each) for each in map(dict, part["changes"]))  # type: ignore[arg-type]
    tables = tuple(ComparedTable(**each) for each in part["tables"])
    return Comparison(**{**part, "changes": tuple(changes), "unknown": tuple(part["unknown"]), "tables": tables})  # type: ignore[arg-type] # same names, by the schema


def _waivers(part: WaiversPart | None) -> WaiverUse | None:
    if part is None:
        return None
    return WaiverUse(file=part["file"], expired=tuple(part["expired"]), unused=tuple(part["unused"]))


@cache
def _adapter() -> TypeAdapter[Document]:
    return TypeAdapter(Document)
