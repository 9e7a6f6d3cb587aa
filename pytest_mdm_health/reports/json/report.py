"""A run as the JSON document: text for people's tools, plain data for the baseline."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from typing import Any

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.reports.json.document import Document
from pytest_mdm_health.reports.model import Report


def render(report: Report, *, facts: bool = False) -> str:
    """The document as text that can be encoded as UTF-8 whatever names it has; with the facts if they are wanted."""
    return as_text(document(report, facts=facts), indent=1)


def as_text(data: object, indent: int | None = None) -> str:
    """Plain data as JSON that can be encoded as UTF-8: a lone surrogate becomes JSON's own escape of it."""
    separators = None if indent else (",", ":")
    text = json.dumps(data, indent=indent, separators=separators, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def document(report: Report, *, facts: bool = False) -> dict[str, Any]:
    """The document as plain data; its enumerations and tuples are what JSON takes for text and lists."""
    left_out = None if facts else {"results": {"__all__": {"facts"}}}
    return Document.of(report, facts=facts).model_dump(by_alias=True, exclude=left_out)


def environment(overridden: Mapping[str, str] | None = None) -> dict[str, JSON]:
    """The machine and the interpreter that the run used, and fixtures of the repository that were not used."""
    found: dict[str, JSON] = {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "executable": sys.executable,
    }
    return found | ({"fixtures_not_used": dict(overridden)} if overridden else {})
