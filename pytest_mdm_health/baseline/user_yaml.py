"""Reading what a user wrote as YAML in a shape of ours, and saying in one line why it does not fit.

Validation is pydantic's; the words come from the JSON Schema that is published for editors, so both speak of the same.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.mdm.files import TEXT_LIMIT, Unreadable, read_bytes
from pytest_mdm_health.mdm.settings.problems import kind_in_words
from pytest_mdm_health.mdm.yaml_file import YamlDocument, YamlProblem, parse_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_FEW = 8
_IN_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
_OWN_WORDS = {
    "encoding": "is not UTF-8 text",
    "multiple-documents": "a second document starts here; the file takes one only",
    "duplicate-key": "is there twice; keep one of them",
    "tag": "has a tag (`!...`), which means nothing here",
}
"""What is said instead of what MDM would make of it."""


class Shape(BaseModel):
    """What a mapping of the file has to hold; nothing else, and nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FileShape(Shape):
    """The whole file.

    Attributes:
        option: the option that names such a file.
        published: its JSON Schema, beside this module.
    """

    option: ClassVar[str]
    published: ClassVar[str]


S = TypeVar("S", bound=FileShape)


@dataclass(frozen=True)
class ShapedFile(Generic[S]):
    """A file that fits its shape."""

    content: S
    document: YamlDocument

    def unusable(self, why: str, *keys: str | int) -> UnusableFile:
        """The exception that says why it cannot be used all the same; `keys` lead to the place."""
        return _unusable(self.content, self.document, why, keys)

    def line(self, *keys: str | int) -> int | None:
        """The line of the place that the keys lead to, counted from 1."""
        return _line(self.document, keys)


def read_shaped(path: Path, shape: type[S]) -> ShapedFile[S]:
    """Read a YAML file.

    Raises:
        UnusableFile: it cannot be read, is no YAML, or does not fit; says what would be right.
    """
    document = _read(path, shape)
    published = schema_of(shape)
    _check_version(shape, document, published["properties"]["schema"]["const"])
    try:
        return ShapedFile(shape.model_validate(document.data), document)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        first = min(problems, key=lambda each: (_line(document, each["loc"]) or 0, each["type"] == "missing"))
        raise _unusable(shape, document, _why(published, first), first["loc"]) from None


def schema_of(shape: type[FileShape]) -> dict[str, Any]:
    """The published JSON Schema."""
    text = files(__package__).joinpath(shape.published).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def nearest(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as a clause."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.0)
    few = f" (of {', '.join(names)})" if 1 < len(names) <= _FEW else ""
    return f"the nearest is `{near[0]}`{few}" if near else "there is none"


def _read(path: Path, shape: type[FileShape]) -> YamlDocument:
    try:
        document = parse_yaml(read_bytes(path, TEXT_LIMIT), path)
    except Unreadable as error:
        raise UnusableFile(f"{shape.option}: {error}") from None
    if document.problems:
        first = min(document.problems, key=lambda problem: problem.line or 0)
        raise _unusable(shape, document, _told(first), (), first.line)
    if not isinstance(document.data, dict):
        holds = (
            "is empty" if document.data is None else f"holds {kind_in_words(document.data)}, where a mapping belongs"
        )
        raise _unusable(shape, document, holds)
    return document


def _told(problem: YamlProblem) -> str:
    said = _OWN_WORDS.get(problem.code, problem.message)
    return f"`{problem.key}` {said}" if problem.key else said


def _check_version(shape: type[FileShape], document: YamlDocument, known: str) -> None:
    assert isinstance(document.data, dict)
    said = document.data.get("schema")
    if said is None:
        raise _unusable(shape, document, f"`schema: {known}` is missing")
    if said != known:
        other = f"`{said}`" if isinstance(said, str) else kind_in_words(said)
        raise _unusable(shape, document, f"`schema` is {other}, where `{known}` belongs", ("schema",))


def _unusable(
    shape: FileShape | type[FileShape],
    document: YamlDocument,
    why: str,
    keys: tuple[str | int, ...] = (),
    line: int | None = None,
) -> UnusableFile:
    line = line or _line(document, keys)
    place = f"{document.path}, line {line}" if line else f"{document.path}"
    return UnusableFile(f"{shape.option}: {place}: {why}")


def _line(document: YamlDocument, keys: tuple[str | int, ...]) -> int | None:
    """The line of the innermost key that is there."""
    for length in range(len(keys), 0, -1):
        position = document.positions.get(".".join(str(key) for key in keys[:length]))
        if position is not None:
            return position[0]
    return None


def _why(published: Mapping[str, Any], error: ErrorDetails) -> str:
    """What does not fit, and what would."""
    *above, last = [part for part in error["loc"] if part != "[key]"]
    name = f"`{last}`" if isinstance(last, str) else f"entry {last + 1} of `{above[-1]}`"
    if error["type"] == "missing":
        return f"`{last}` is missing: {_node(published, (*above, last)).get('description', 'it is required')}"
    if error["type"] == "extra_forbidden":
        return f"`{last}` is not known here; {nearest(str(last), _node(published, above)['properties'])}"
    if error["type"] == "string_unicode":
        return f"{name} holds half a character; `?` stands for any"
    if error["type"] == "value_error":
        return f"{name} {error['ctx']['error']}"
    if error["type"] == "invalid_key" or error["loc"][-1] == "[key]":
        return _of_key(error["input"], last)
    wanted = _wanted(published, (*above, last))
    return f"{name} is {_found(error['input'])}, where {wanted} belongs{_advice(published, error)}"


def _of_key(found: object, last: str | int) -> str:
    key = found if isinstance(found, (str, bool)) else last
    if isinstance(key, bool):
        return "a key such as yes, no, on or off is true or false in YAML; put it in quotes"
    return f"the key `{key}` is no text; put it in quotes" if key != "" else "a key is empty"


def _found(value: object) -> str:
    if isinstance(value, datetime):
        return "a date with a time"
    return "empty" if value == "" else kind_in_words(value)


def _wanted(published: Mapping[str, Any], keys: Iterable[str | int]) -> str:
    node = _node(published, keys)
    if "enum" in node:
        return f"one of {', '.join(str(each) for each in node['enum'] if each is not None)}"
    if node.get("format") == "date":
        return "a date such as 2027-01-31"
    kinds = node.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    bounds = f" from {node['minimum']} to {node['maximum']}" if "maximum" in node else ""
    return _IN_WORDS[kind] + bounds


def _advice(published: Mapping[str, Any], error: ErrorDetails) -> str:
    node = _node(published, error["loc"])
    if "enum" in node and isinstance(error["input"], str):
        near = difflib.get_close_matches(error["input"], [each for each in node["enum"] if each], n=1)
        return f"; the nearest is `{near[0]}`" if near else ""
    quotes = node.get("type") == "string" and "format" not in node and isinstance(error["input"], (bool, int, float))
    return "; put it in quotes" if quotes else ""


def _node(published: Mapping[str, Any], keys: Iterable[str | int]) -> Mapping[str, Any]:
    """The part of the schema that speaks of this place."""
    node = published
    for key in keys:
        below = node["items"] if isinstance(key, int) else node.get("properties", {}).get(key)
        node = below if below is not None else node.get("additionalProperties") or {}
        node = published["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return node
