"""A YAML text with one value set, moved or removed, and every other character as it was: comments, order, quotes.

The place of the value is taken from PyYAML's own marks, and the result is read back: it says the same as before but
for that value, or there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_mdm_health.mdm.edits import CannotEdit, changed, is_same, reduced
from pytest_mdm_health.mdm.yaml_file import parse_yaml

_NAME = Path("text.yaml")
_STEP = 2
_SPECIAL = re.compile(r"[ \t]*[&!*]")
_COMMENT_LINE = re.compile(r"^[ \t]*#", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\n|\r")
_WORDS: Mapping[object, str] = {None: "null", True: "true", False: "false"}


def with_value(content: bytes, keys: Sequence[str], value: object) -> bytes:
    """The text with this value, a scalar or a list of them, under these keys, each within the one before.

    Raises:
        CannotEdit: the text cannot be read, or this would change something else.
    """
    text, data, root = _read(content)
    if data is not None and not isinstance(data, Mapping):
        raise CannotEdit("has no keys and values")
    edited = _set(text, root, list(keys), value)
    return _proven(content, edited, changed(data, keys, value))


def without(content: bytes, keys: Sequence[str]) -> bytes:
    """The text without these keys, and without the sections that would be empty then.

    Raises:
        CannotEdit: the text cannot be read, or this would change something else.
    """
    text, data, root = _read(content)
    path = _path_to(root, keys)
    if len(path) < len(keys) or not isinstance(data, Mapping):
        raise CannotEdit(f"has no `{'.'.join(keys)}`")
    number = len(path) - 1
    while number and len(path[number][0].value) == 1:  # MDM refuses an empty section
        number -= 1
    mapping, key, value = path[number]
    start = _line_start(text, key.start_mark.index)
    if mapping.flow_style or text[start : key.start_mark.index].strip():
        raise CannotEdit(f"has `{'.'.join(keys)}` in braces or beside something else on its line")
    end = _line_after(text, len(text[: _end_of(value)].rstrip()))
    if _COMMENT_LINE.search(text[start:end]):
        raise CannotEdit(f"has a comment within what would go with `{'.'.join(keys)}`")
    return _proven(content, text[:start] + text[end:], reduced(data, keys) or None)


def with_mapping(content: bytes, key: str, value: object) -> bytes:
    """The text with a mapping under a key at the top, written again at the end of the file.

    Raises:
        CannotEdit: the text cannot be read, or this would change something else.
    """
    _, data, root = _read(content)
    kept = without(content, [key]) if _path_to(root, [key]) else content
    text = kept.decode("utf-8")
    lines = written({key: value}).splitlines()
    return _proven(content, _appended(text, lines), changed(data, [key], value))


def written(data: Mapping[str, object]) -> str:
    """Keys and values as MDM writes them, in their order.

    Raises:
        CannotEdit: YAML cannot say them.
    """
    text: str = yaml.safe_dump(dict(data), default_flow_style=False, sort_keys=False, allow_unicode=True)
    try:
        read = parse_yaml(text.encode(), _NAME)
    except UnicodeEncodeError:
        raise CannotEdit("has a broken character, which YAML cannot hold") from None
    if not read.usable or not is_same(read.data, dict(data)):
        raise CannotEdit("has a value that YAML cannot hold")
    return text


def _read(content: bytes) -> tuple[str, object, yaml.Node | None]:
    document = parse_yaml(content, _NAME)
    if not document.usable:
        problem = document.problems[0]
        where = f" in line {problem.line}" if problem.line else ""
        raise CannotEdit(f"cannot be read as YAML: {problem.message}{where}")
    text = content.decode("utf-8")
    return text, document.data, yaml.compose(text, Loader=yaml.SafeLoader)


def _proven(before: bytes, edited: str, wanted: object) -> bytes:
    """The edited text, if it says what is wanted and has no problem that was not there before."""
    result = edited.encode()
    document = parse_yaml(result, _NAME)
    problems = [len(parse_yaml(before, _NAME).problems), len(document.problems)]
    if not document.usable or not is_same(document.data, wanted) or problems[1] > problems[0]:
        raise CannotEdit("would say something else, too")
    return result


def _path_to(root: yaml.Node | None, keys: Sequence[str]) -> list[tuple[yaml.MappingNode, yaml.Node, yaml.Node]]:
    """For each of the keys that is there: the mapping that it is in, the key and the value; of two, the last."""
    found: list[tuple[yaml.MappingNode, yaml.Node, yaml.Node]] = []
    node = root
    for name in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        entries = [entry for entry in node.value if entry[0].value == name and isinstance(entry[0], yaml.ScalarNode)]
        if not entries:
            break
        found.append((node, *entries[-1]))
        node = entries[-1][1]
    return found


def _set(text: str, root: yaml.Node | None, keys: list[str], value: object) -> str:
    if root is None:
        return _appended(text, _lines(keys, value, 0))
    path = _path_to(root, keys)
    missing = keys[len(path) :]
    if not missing:
        return _replaced(text, path[-1], value)
    holder = path[-1][2] if path else root
    if isinstance(holder, yaml.MappingNode) and holder.value:
        return _inserted(text, holder, missing, value)
    if path and _is_empty(holder):
        return _filled(text, path[-1], missing, value)
    raise CannotEdit(f"has something else than keys and values under `{'.'.join(keys[: len(path)])}`")


def _is_empty(node: yaml.Node) -> bool:
    if isinstance(node, yaml.MappingNode):
        return not node.value
    return bool(node.tag.endswith(":null"))


def _replaced(text: str, entry: tuple[yaml.MappingNode, yaml.Node, yaml.Node], value: object) -> str:
    """The text with another value in an entry."""
    mapping, key, old = entry
    colon = _colon(text, key)
    start, end = _span(text, colon, old)
    style = old.style if isinstance(old, yaml.ScalarNode) else None
    in_braces = mapping.flow_style or (getattr(old, "flow_style", False) and bool(old.value))
    if isinstance(value, list) and value and not in_braces:
        indentation = " " * _item_column(key, old)
        line_end = _line_end_near(text, colon)
        return text[:colon] + "".join(f"{line_end}{indentation}- {_scalar(item, None)}" for item in value) + text[end:]
    new = f"[{', '.join(_scalar(item, None) for item in value)}]" if isinstance(value, list) else _scalar(value, style)
    on_its_line = start if "\n" not in text[colon:start] and start > colon else colon
    return text[:on_its_line] + (new if on_its_line > colon else f" {new}") + text[end:]


def _item_column(key: yaml.Node, old: yaml.Node) -> int:
    if isinstance(old, yaml.SequenceNode) and old.value:
        return int(old.start_mark.column)
    return int(key.start_mark.column)


def _span(text: str, colon: int, old: yaml.Node) -> tuple[int, int]:
    """Where a value begins and ends, without what follows it."""
    start, end = old.start_mark.index, _end_of(old)
    if start < colon or _SPECIAL.match(text, colon):
        raise CannotEdit("has an anchor, an alias or a tag there")
    end = max(colon, len(text[:end].rstrip()) if end > start else colon)
    start = max(colon, min(start, end))
    if "#" in _commentable(text[start:end], old):
        raise CannotEdit("has a comment within the value")
    if _COMMENT_LINE.search(text[colon:start]) or "#" in text[colon:start]:
        raise CannotEdit("has a comment before the value")
    return start, end


def _commentable(text: str, node: yaml.Node) -> str:
    """The part of a value's text in which a `#` can begin a comment."""
    if isinstance(node, yaml.ScalarNode):
        return _LINE_END.split(text)[0] if node.style in {"|", ">"} else ""
    return text


def _inserted(text: str, mapping: yaml.MappingNode, keys: Sequence[str], value: object) -> str:
    """The text with a new entry at the end of a mapping."""
    end = _end_of(mapping.value[-1][1])
    if end < mapping.value[-1][0].end_mark.index:
        raise CannotEdit("has an alias there")
    if mapping.flow_style:
        return f"{text[:end]}, {_in_braces(keys, value)}{text[end:]}"
    at = _line_after(text, end)
    before = text[:at]
    line_end = _line_end_near(text, end)
    if not before.endswith(("\n", "\r")):
        before += line_end
    lines = _lines(keys, value, mapping.value[0][0].start_mark.column)
    return before + "".join(f"{line}{line_end}" for line in lines) + text[at:]


def _filled(text: str, entry: tuple[yaml.MappingNode, yaml.Node, yaml.Node], keys: Sequence[str], value: object) -> str:
    """The text with a new entry in a section that is empty."""
    mapping, key, old = entry
    colon = _colon(text, key)
    _, end = _span(text, colon, old)
    if mapping.flow_style:
        return f"{text[:colon]} {{{_in_braces(keys, value)}}}{text[end:]}"
    after = _line_after(text, end)
    rest = text[end:after].rstrip("\r\n")  # such as a comment
    line_end = _line_end_near(text, colon)
    lines = _lines(keys, value, key.start_mark.column + _STEP)
    return f"{text[:colon]}{rest}{line_end}{''.join(f'{line}{line_end}' for line in lines)}{text[after:]}"


def _appended(text: str, lines: Sequence[str]) -> str:
    line_end = _line_end_near(text, len(text))
    before = text if not text or text.endswith(("\n", "\r")) else f"{text}{line_end}"
    return before + "".join(f"{line}{line_end}" for line in lines)


def _lines(keys: Sequence[str], value: object, column: int) -> list[str]:
    """The lines of a new entry, without their ends."""
    lines = [f"{' ' * (column + number * _STEP)}{_scalar(key, None)}:" for number, key in enumerate(keys)]
    indentation = " " * (column + (len(keys) - 1) * _STEP)
    if isinstance(value, list) and value:
        return lines + [f"{indentation}- {_scalar(item, None)}" for item in value]
    lines[-1] += " []" if isinstance(value, list) else f" {_scalar(value, None)}"
    return lines


def _in_braces(keys: Sequence[str], value: object) -> str:
    first, *rest = keys
    if rest:
        return f"{_scalar(first, None)}: {{{_in_braces(rest, value)}}}"
    items = f"[{', '.join(_scalar(item, None) for item in value)}]" if isinstance(value, list) else ""
    return f"{_scalar(first, None)}: {items or _scalar(value, None)}"


def _scalar(value: object, style: str | None) -> str:
    """A value as YAML reads it in every place, quoted like the old one where that is possible."""
    for candidate in _candidates(value, style):
        if all(_reads_as(text, wanted) for text, wanted in _contexts(candidate, value)):
            return candidate
    raise CannotEdit("cannot hold this value")


def _contexts(candidate: str, value: object) -> Iterator[tuple[str, object]]:
    yield f"key: {candidate}  # comment\n", {"key": value}
    yield f"- {candidate}\n", [value]
    yield f"[{{key: {candidate}, other: 1}}]", [{"key": value, "other": 1}]


def _candidates(value: object, style: str | None) -> Iterator[str]:
    if not isinstance(value, str):
        yield _WORDS[value] if value is None or isinstance(value, bool) else _number(value)
        return
    single, double = "'" + value.replace("'", "''") + "'", json.dumps(value, ensure_ascii=False)
    if style == '"':
        yield double
    elif style != "'":
        yield value
    yield from (single, double, json.dumps(value))


def _number(value: object) -> str:
    text: str = yaml.safe_dump(value)
    return text.partition("\n")[0]


def _reads_as(text: str, value: object) -> bool:
    try:
        document = parse_yaml(text.encode(), _NAME)
    except UnicodeEncodeError:
        return False
    return document.usable and is_same(document.data, value)


def _colon(text: str, key: yaml.Node) -> int:
    """Right after the colon of a key."""
    match = re.compile(r"[ \t]*:").match(text, key.end_mark.index)
    if match is None:
        raise CannotEdit("has the key written in an unusual way")
    return match.end()


def _end_of(node: Any) -> int:  # noqa: ANN401 - PyYAML's nodes are not typed
    """Where the last thing in a node ends: the mark of a block is where the next thing begins."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return int(node.end_mark.index)


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _line_after(text: str, at: int) -> int:
    """Where the next line begins, seen from the end of a value; a block of text ends there already."""
    if at and at <= len(text) and text[at - 1] in "\r\n":
        return at
    match = _LINE_END.search(text, at)
    return len(text) if match is None else match.end()


def _line_end_near(text: str, at: int) -> str:
    """How the lines around here end."""
    match = _LINE_END.search(text, at) or _LINE_END.search(text)
    return "\n" if match is None else match.group()
