"""The JSON document `mdm-health/2` read back, and `mdm-health/1` too, so that a run can be shown and compared later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pytest_mdm_health.reports.compared_tables import tables_of
from pytest_mdm_health.reports.json.document import SCHEMA, Document
from pytest_mdm_health.reports.model import Report

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
        return Document.model_validate(data).report()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NoDocument(f"{place}: {first['msg']}") from None


def _upgraded(data: Mapping[str, Any]) -> dict[str, Any]:
    """A document of version 1 in today's form; what is not as it should be stays, for the validation to refuse."""
    document = {**data, "schema": SCHEMA, "not_run": 0}
    if isinstance(results := data.get("results"), list):
        document["results"] = [_without(each, "attempts") for each in results]
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
