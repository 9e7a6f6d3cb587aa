"""Reading a YAML file that may be anything, and saying what MDM would make of it.

MDM reads its files as UTF-8 text with PyYAML's pure Python loader. That loader has the last word here too; the C
loader, eight times faster, speaks for it only where the two are known to agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pytest_mdm_health.mdm.files import FileKind, Unreadable, read_bytes
from pytest_mdm_health.mdm.yaml_guard import LimitExceeded, guard

SIZE_LIMIT = 1024 * 1024
"""Bytes of a YAML file that are read at most; MDM's own have a few kilobytes."""

HARMLESS = frozenset({"duplicate-key"})
"""Problems that do not keep MDM from reading the file."""

_PURE_LIMIT = 256 * 1024  # the pure parser reads some 200 kB in a second
_PURE: Any = yaml.SafeLoader
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LOADERS_DIFFER = re.compile("[\t?|>&%]|(?<!^)\ufeff")  # found by comparing them on random damage
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_QUOTED = re.compile(r" '(?![<\\])[^']{2,}'")  # what it found may be a password
_MERGE = "tag:yaml.org,2002:merge"
_ENCODING_MARKS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True)
class YamlProblem:
    """One thing that is wrong with a YAML file.

    Attributes:
        code: missing, unreadable, too-large, encoding, syntax, multiple-documents, too-deep, too-many-nodes,
            alias-bomb, merge, recursive, tag, absurd-value or duplicate-key.
        message: what is wrong, without a full stop; never quotes a value.
        line: counted from 1.
        column: counted from 1.
        key: the dotted key that it is about, where there is one.
    """

    code: str
    message: str
    line: int | None = None
    column: int | None = None
    key: str = ""


@dataclass(frozen=True)
class YamlDocument:
    """A YAML file as far as it could be read.

    Attributes:
        path: the file.
        data: what MDM gets from it: plain data; None if it is empty or cannot be read.
        problems: what is wrong with it.
        positions: dotted key (list items by their number) to line and column, from 1, of the key or item; of keys
            that are there twice, the one in force.
        raw: dotted key to the value as written, for values without quotes.
    """

    path: Path
    data: object = field(default=None, repr=False)
    problems: tuple[YamlProblem, ...] = ()
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def usable(self) -> bool:
        """Whether nothing keeps MDM from reading it."""
        return all(problem.code in HARMLESS for problem in self.problems)


def load_yaml(path: Path) -> YamlDocument:
    """Read a YAML file, whatever it is. Never raises, never waits, and builds nothing of unreasonable size."""
    try:
        return parse_yaml(read_bytes(path, SIZE_LIMIT), path)
    except Unreadable as error:
        return YamlDocument(path, problems=(YamlProblem(_code_of(error), error.reason),))


def readable_as(path: Path) -> str:
    """The encoding that a file names by its first bytes, if it can be read to its end in it and is a mapping then."""
    try:
        content = read_bytes(path, SIZE_LIMIT)
    except Unreadable:
        return ""
    name = next((name for mark, name in _ENCODING_MARKS if content.startswith(mark)), "")
    try:
        document = parse_yaml(content.decode(name).encode(), path) if name else None
    except UnicodeError:
        return ""
    return name if document is not None and document.usable and isinstance(document.data, dict) else ""


def parse_yaml(content: bytes, path: Path) -> YamlDocument:
    """What a YAML file with this content says. Never raises."""
    try:
        text = _decoded(content)
        return _built(text, _chosen_loader(text), path)
    except LimitExceeded as error:
        problem = YamlProblem(error.code, error.message, error.line, error.column)
    except yaml.YAMLError as error:
        problem = _problem_of(error)
    return YamlDocument(path, problems=(problem,))


def _code_of(error: Unreadable) -> str:
    if error.kind is FileKind.MISSING:
        return "missing"
    try:
        too_large = error.kind is FileKind.FILE and error.path.stat().st_size > SIZE_LIMIT
    except OSError:
        too_large = False
    return "too-large" if too_large else "unreadable"


def _decoded(content: bytes) -> str:
    for mark, name in _ENCODING_MARKS:
        if content.startswith(mark):
            raise LimitExceeded("encoding", f"is encoded in {name}, where MDM reads UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        message = f"is not UTF-8: byte 0x{content[error.start]:02x}"
        raise LimitExceeded("encoding", message, *_end_of(before)) from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    odd = _UNPRINTABLE.search(text)
    if odd:
        message = f"holds a character that YAML does not allow: U+{ord(odd.group()):04X}"
        raise LimitExceeded("encoding", message, *_end_of(text[: odd.start()]))
    return text


def _end_of(text: str) -> tuple[int, int]:
    """Line and column, from 1, of what follows this text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _chosen_loader(text: str) -> Any:  # noqa: ANN401 - PyYAML's two loaders have no common type
    """The fastest loader that is sure to read this text as MDM does.

    Raises:
        LimitExceeded: the text is not safe to build.
        yaml.YAMLError: MDM cannot read it.
    """
    try:
        guard(yaml.parse(text, Loader=_FAST))
        sure = not _LOADERS_DIFFER.search(text)
    except yaml.YAMLError:
        if len(text) > _PURE_LIMIT:
            raise
        sure = False
    if sure or len(text) > _PURE_LIMIT:
        return _FAST
    guard(yaml.parse(text, Loader=_PURE))
    return _PURE


def _built(text: str, loader_class: Any, path: Path) -> YamlDocument:  # noqa: ANN401 - as above
    loader = loader_class(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return YamlDocument(path)
        problems = tuple(_duplicates(root))
        try:
            data = loader.construct_document(root)
        except yaml.YAMLError:
            raise
        except Exception:  # noqa: BLE001 - PyYAML lets through whatever int(), date() and others raise
            problems += (_absurd_value(root, loader_class),)
            return YamlDocument(path, problems=problems)
        positions, raw = _places(root)
    finally:
        loader.dispose()
    return YamlDocument(path, data, problems, positions, raw)


def _duplicates(root: yaml.Node) -> Iterator[YamlProblem]:
    for dotted, _, node in _entries(root, once=True):
        if isinstance(node, yaml.MappingNode):
            yield from _duplicates_in(node, dotted)


def _duplicates_in(mapping: yaml.MappingNode, dotted: str) -> Iterator[YamlProblem]:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in mapping.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        earlier = first.setdefault((key.tag, key.value), key)
        if earlier is not key:
            line, column = _line_and_column(key)
            message = f"is there twice: on line {_line_and_column(earlier)[0]} and on line {line}; the last one counts"
            yield YamlProblem("duplicate-key", message, line, column, _joined(dotted, key.value))


def _absurd_value(root: yaml.Node, loader_class: Any) -> YamlProblem:  # noqa: ANN401 - as above
    """The value that cannot be built, found by building each on its own."""
    for dotted, _, node in _entries(root, once=True):
        if isinstance(node, yaml.ScalarNode) and not _can_be_built(node, loader_class):
            line, column = _line_and_column(node)
            kind = node.tag.rpartition(":")[2]
            return YamlProblem("absurd-value", f"looks like a YAML {kind} and is none", line, column, dotted)
    return YamlProblem("absurd-value", "holds a value that cannot be read")


def _can_be_built(node: yaml.ScalarNode, loader_class: Any) -> bool:  # noqa: ANN401 - as above
    try:
        loader_class("").construct_object(node)
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def _places(root: yaml.Node) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    positions: dict[str, tuple[int, int]] = {}
    raw: dict[str, str] = {}
    for dotted, key, node in _entries(root):
        if dotted:
            positions[dotted] = _line_and_column(key or node)
            if isinstance(node, yaml.ScalarNode) and not node.style:
                raw[dotted] = node.value
    return positions, raw


def _entries(root: yaml.Node, *, once: bool = False) -> Iterator[tuple[str, yaml.Node | None, yaml.Node]]:
    """Dotted key, key node (None for list items and the root) and value node of everything in force, in order.

    What several aliases stand for comes once for each of them. With `once` every node comes once, in force or not.
    """
    waiting: list[tuple[str, yaml.Node | None, yaml.Node]] = [("", None, root)]
    seen: set[int] = set()
    while waiting:
        dotted, key, node = waiting.pop()
        if once and id(node) in seen:
            continue
        seen.add(id(node))
        yield dotted, key, node
        children = list(_children(dotted, node))
        in_force = {child[0]: child for child in children}
        waiting.extend(reversed(children if once else list(in_force.values())))


def _children(dotted: str, node: yaml.Node) -> Iterator[tuple[str, yaml.Node | None, yaml.Node]]:
    if isinstance(node, yaml.SequenceNode):
        yield from ((_joined(dotted, str(number)), None, item) for number, item in enumerate(node.value))
    elif isinstance(node, yaml.MappingNode):
        scalars = ((key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
        yield from ((_joined(dotted, key.value), key, value) for key, value in scalars)


def _joined(dotted: str, key: str) -> str:
    return f"{dotted}.{key}" if dotted else key


def _line_and_column(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _problem_of(error: yaml.YAMLError) -> YamlProblem:
    mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "cannot be parsed"
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, None)
    if isinstance(error, yaml.constructor.ConstructorError):
        if "merging" in (getattr(error, "problem", None) or "") + (getattr(error, "context", None) or ""):
            return YamlProblem("merge", "merges (`<<`) something that is no mapping", line, column)
        if "tag" in said:
            return YamlProblem("tag", "has a tag (`!...`) that MDM cannot read", line, column)
    return YamlProblem("syntax", _QUOTED.sub("", said), line, column)
