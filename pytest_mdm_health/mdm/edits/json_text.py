"""A JSON text with one value changed, and every other character as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_mdm_health.mdm.edits import CannotEdit, changed, is_same

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class _Member:
    """Where a member of an object is: its key, the value, and the value's end."""

    key: str
    start: int
    value: int
    end: int


def with_value(content: bytes, keys: Sequence[str], value: object) -> bytes:
    """The text with another value under these keys, each within the one before; only the last may be missing.

    Raises:
        CannotEdit: that is not possible, or would change something else.
    """
    text, data = _read(content)
    start = _after_space(text, 1 if text.startswith("\ufeff") else 0)
    for key in keys[:-1]:
        start = _last(_members(text, start), key, f"`{key}` is missing").value
    members = _members(text, start)
    found = next((member for member in reversed(members) if member.key == keys[-1]), None)
    if found is not None:
        edited = f"{text[: found.value]}{_written(text, found.start, value)}{text[found.end :]}"
    elif members:
        last = members[-1]
        between = _space_before(text, last.start)
        member = f",{between}{json.dumps(keys[-1])}: {_written(text, last.start, value)}"
        edited = f"{text[: last.end]}{member}{text[last.end :]}"
    else:
        raise CannotEdit("has an empty object where the value belongs")
    result = edited.encode("utf-8", "surrogatepass")
    if not is_same(_read(result)[1], changed(data, keys, value)):
        raise CannotEdit("would not say what is meant")
    return result


def _read(content: bytes) -> tuple[str, object]:
    try:
        text = content.decode("utf-8")
        return text, json.loads(text)
    except (ValueError, RecursionError):
        raise CannotEdit("is not JSON that can be read") from None


def _last(members: Sequence[_Member], key: str, missing: str) -> _Member:
    found = next((member for member in reversed(members) if member.key == key), None)
    if found is None:
        raise CannotEdit(missing)
    return found


def _members(text: str, start: int) -> list[_Member]:
    """The members of the object that begins here; Python, as MDM does, takes the last of equal keys."""
    if text[start : start + 1] != "{":
        raise CannotEdit("has no object where the value belongs")
    found: list[_Member] = []
    at = _after_space(text, start + 1)
    while text[at] != "}":
        key, end = _DECODER.raw_decode(text, at)
        value = _after_space(text, _after_space(text, end) + 1)
        _, end = _DECODER.raw_decode(text, value)
        found.append(_Member(key, at, value, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _space_before(text: str, at: int) -> str:
    return text[len(text[:at].rstrip(" \t\r\n")) : at]


def _written(text: str, key_start: int, value: object) -> str:
    """The value in JSON, on lines of its own where the member is on one."""
    before = _space_before(text, key_start)
    if "\n" not in before or not isinstance(value, (list, dict)) or not value:
        return json.dumps(value)
    indentation = before.rpartition("\n")[2]
    line_end = "\r\n" if "\r\n" in before else "\n"
    return json.dumps(value, indent=2).replace("\n", f"{line_end}{indentation}")
