"""The JSON Schema of the results: `results.schema.json` is this text, and a test holds it to that."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from pytest_mdm_health.core.changes import Changed, ComparedTable, Comparison
from pytest_mdm_health.core.model import Location, Remedy, Target
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.reports.json.document import Document, FindingPart, ResultPart, ToolPart
from pytest_mdm_health.reports.model import InstalledMdm, WaiverUse

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CLASSES = {
    each.__name__: each
    for each in (
        *(Document, FindingPart, ResultPart, ToolPart),
        *(Changed, ComparedTable, Comparison, InstalledMdm, Location, Remedy, Repair, Target, WaiverUse),
    )
}
"""What the document consists of; their docstrings describe it."""
_OPTIONAL = {"facts", "repairs"}
"""Keys that are there only where they were asked for, or that documents of earlier releases lack."""

ID = "urn:mdm-health:results:2"


def text() -> str:
    """The schema, the same whatever version of pydantic makes it."""
    return json.dumps(schema(), indent=1) + "\n"


def schema() -> dict[str, Any]:
    """The schema of `mdm-health/2` (draft 2020-12): every object closed, everything described."""
    made = Document.model_json_schema()
    parts = made.pop("$defs")
    words = {f"#/$defs/{name}": part for name, part in parts.items() if "enum" in part}
    objects = {name: part for name, part in sorted(parts.items()) if part.get("type") == "object"}
    definitions = {name: _described(name, part, words) for name, part in objects.items()}
    whole = _described("Document", made, words) | {"title": "Results of pytest --mdm-health"}
    return {
        "$schema": DIALECT,
        "$id": ID,
        **whole,
        "$defs": {**definitions, "JsonValue": {"description": "Any JSON."}},
    }


def _described(name: str, made: dict[str, Any], words: dict[str, Any]) -> dict[str, Any]:
    """What pydantic makes of one of our classes, in one order and with the words of its docstring."""
    about, _, attributes = inspect.cleandoc(_CLASSES[name].__doc__ or "").partition("Attributes:")
    described = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.MULTILINE))
    return {
        "title": name.removesuffix("Part"),
        "description": _on_one_line(about),
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in made["properties"] if key not in _OPTIONAL],
        "properties": {
            key: {"description": _on_one_line(described[key]), **_plain(part, words)}
            for key, part in made["properties"].items()
        },
    }


def _plain(made: Any, words: dict[str, Any]) -> Any:  # noqa: ANN401 - any part of a schema
    """Without titles made from names, defaults and the enumeration of a constant; with enumerations in their place."""
    if isinstance(made, list):
        return [_plain(each, words) for each in made]
    if not isinstance(made, dict):
        return made
    made = words.get(made.get("$ref", ""), made)
    left_out = {"title", "description", "default", *({"enum", "type"} if "const" in made else ())}
    return {key: _plain(made[key], words) for key in sorted(made) if key not in left_out}


def _on_one_line(words: str) -> str:
    return " ".join(words.split())
