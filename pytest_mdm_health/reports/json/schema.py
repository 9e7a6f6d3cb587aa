"""The JSON Schema of the results: `results.schema.json` is this text, and a test holds it to that."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

from pydantic import TypeAdapter

from pytest_mdm_health.reports.json import document

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:mdm-health:results:2"


def text() -> str:
    """The schema, the same whatever version of pydantic makes it."""
    return json.dumps(schema(), indent=1) + "\n"


def schema() -> dict[str, Any]:
    """The schema of `mdm-health/2` (draft 2020-12): every object closed, everything described."""
    made = TypeAdapter(document.Document).json_schema()
    definitions = {
        name: _described(name, part) if part else {"description": "Any JSON."}
        for name, part in sorted(made.pop("$defs").items())
    }
    whole = _described("Document", made) | {"title": "Results of pytest --mdm-health"}
    return {"$schema": DIALECT, "$id": ID, **whole, "$defs": definitions}


def _described(name: str, made: dict[str, Any]) -> dict[str, Any]:
    """What pydantic makes of one of our classes, in one order and with the words of its docstring."""
    about, _, attributes = inspect.cleandoc(getattr(document, name).__doc__).partition("Attributes:")
    words = dict(re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", attributes, flags=re.MULTILINE))
    return {
        "title": name.removesuffix("Part"),
        "description": _on_one_line(about),
        "type": "object",
        "additionalProperties": made["additionalProperties"],
        "required": made["required"],
        "properties": {
            key: {"description": _on_one_line(words[key]), **_plain(made["properties"][key])}
            for key in made["properties"]
        },
    }


def _plain(made: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Without what says nothing: titles made from names, and the enumeration of a constant."""
    if isinstance(made, list):
        return [_plain(each) for each in made]
    if not isinstance(made, dict):
        return made
    left_out = {"title", *({"enum", "type"} if "const" in made else ())}
    return {key: _plain(made[key]) for key in sorted(made) if key not in left_out}


def _on_one_line(words: str) -> str:
    return " ".join(words.split())
