"""Uses of the configuration that MDM had before: `CONFIG['section']['key']` and imports of `CONFIG`.

Python that can be parsed is read as such, so that only a `CONFIG` that comes from MDM counts. What cannot be parsed,
because it is broken or for another Python, is gone through word by word.
"""

from __future__ import annotations

import ast
import copy
import io
import re
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "CONFIG"
_MENTIONED = re.compile(rb"\bCONFIG\b")
_FROM_MDM = re.compile(r"^\s*(?:from\s+(?:mdm|\.)[\w.]*\s+import|import\s+mdm)\b", re.MULTILINE)
_IMPORT = re.compile(r"\s*((?:from|import)[\w \t.,*()]*)")
_LONGEST = 120
_MOST_KEYS = 10


@dataclass(frozen=True)
class Use:
    """One use of the old configuration.

    Attributes:
        line: counted from 1.
        column: counted from 1.
        text: as it is written, shortened.
        keys: the keys that are asked for, as far as they are written out; None for an import.
        writes: whether it sets the value instead of asking for it.
        complete: whether all of the keys are written out.
    """

    line: int
    column: int
    text: str
    keys: tuple[str, ...] | None
    writes: bool = False
    complete: bool = True


class NotReadable(Exception):
    """Source that is neither Python nor anything like it. Its text says why."""


def uses_in(source: bytes, *, inside_mdm: bool = False) -> list[Use]:
    """The uses in a source, by place.

    Args:
        source: the content of a Python file.
        inside_mdm: whether it is part of MDM itself, so that its relative imports lead to MDM's modules.

    Raises:
        NotReadable: the source is not text.
    """
    if not _MENTIONED.search(source):
        return []
    text = _text_of(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes and the like in code that is not ours
            tree = ast.parse(text)
        found = set(_Reader(text, inside_mdm=inside_mdm).uses(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = set(_word_by_word(text))
    return sorted(found, key=lambda use: (use.line, use.column))


def _text_of(source: bytes) -> str:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        return source.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise NotReadable("is not text in the encoding that it claims") from error


class _Reader:
    """Finds the uses in a parsed source."""

    def __init__(self, text: str, *, inside_mdm: bool) -> None:
        self._lines = text.splitlines()
        self._inside_mdm = inside_mdm
        self._configs: set[str] = set()  # names that stand for CONFIG
        self._modules: set[str] = set()  # dotted names that stand for a module that has it

    def uses(self, tree: ast.AST) -> Iterator[Use]:
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                yield from self._from(node)
            elif isinstance(node, ast.Import):
                ours = [each.asname or each.name for each in node.names if _is_mdms(each.name)]
                self._modules.update(ours, (f"{name}.config" for name in ours))
        inner: set[int] = set()  # parts of an expression that was already told as a whole
        for node in nodes:  # from the outside to the inside
            if id(node) not in inner and isinstance(node, (ast.Subscript, ast.Call, ast.Attribute, ast.Name)):
                chain = self._chain(node)
                if chain is not None:
                    inner |= {id(part) for part in ast.walk(node)}
                    yield self._use(node, *chain)

    def _from(self, node: ast.ImportFrom) -> Iterator[Use]:
        module = node.module or ""
        relative = self._inside_mdm and (not module or "config" in module)
        if not (relative if node.level else _is_mdms(module)):
            return
        for each in node.names:
            name = each.asname or each.name
            if each.name in {NAME, "*"}:
                self._configs.add(NAME if each.name == "*" else name)
            if each.name == NAME:
                yield Use(node.lineno, node.col_offset + 1, self._written(node), None)
            elif each.name == "config":
                self._modules.add(name)

    def _chain(self, node: ast.AST) -> tuple[tuple[str, ...], bool] | None:
        """The keys that an expression asks CONFIG for, and whether those are all; None if it asks something else."""
        if isinstance(node, ast.Name):
            return ((), True) if node.id in self._configs else None
        if isinstance(node, ast.Attribute):
            return ((), True) if node.attr == NAME and _dotted(node.value) in self._modules else None
        if isinstance(node, ast.Subscript):
            return _longer(self._chain(node.value), node.slice)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            return _longer(self._chain(node.func.value), node.args[0])
        return None

    def _use(self, node: ast.expr, keys: tuple[str, ...], complete: bool) -> Use:
        writes = isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del))
        return Use(node.lineno, self._column(node), self._written(node), keys, writes, complete)

    def _column(self, node: ast.expr | ast.stmt) -> int:
        line = self._lines[node.lineno - 1] if node.lineno <= len(self._lines) else ""
        return len(line.encode()[: node.col_offset].decode("utf-8", "replace")) + 1

    def _written(self, node: ast.AST) -> str:
        """As it is written, without defaults: somebody's password may be one."""
        shown = copy.deepcopy(node)
        for call in ast.walk(shown):
            if isinstance(call, ast.Call):
                call.args, call.keywords = call.args[:1], []
        return ast.unparse(shown)[:_LONGEST]


def _longer(chain: tuple[tuple[str, ...], bool] | None, key: ast.expr) -> tuple[tuple[str, ...], bool] | None:
    if chain is None:
        return None
    keys, complete = chain
    if isinstance(key, ast.Constant) and isinstance(key.value, str) and complete:
        return (*keys, key.value), True
    return keys, False


def _is_mdms(module: str) -> bool:
    return module == "mdm" or module.startswith("mdm.")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _word_by_word(text: str) -> Iterator[Use]:
    if not _FROM_MDM.search(text):
        return
    words = list(_words(text))
    for at, word in enumerate(words):
        if word.string != NAME or (at and words[at - 1].string == "." and not _of_module(words, at)):
            continue
        keys = tuple(_keys_after(words, at + 1))
        importing = word.line.lstrip().startswith(("from ", "import "))
        if keys or importing:
            line, column = word.start
            column = len(word.line) - len(word.line.lstrip()) if importing else column
            written = _import_on(word.line) if importing else NAME + "".join(f"[{key!r}]" for key in keys)
            yield Use(line, column + 1, written[:_LONGEST], None if importing else keys)


def _import_on(line: str) -> str:
    """The import that a line begins with, without what follows, which may be a secret."""
    found = _IMPORT.match(line)
    return found[1].strip() if found else ""


def _of_module(words: list[tokenize.TokenInfo], at: int) -> bool:
    return at > 1 and words[at - 2].string in {"config", "mdm"}


def _words(text: str) -> Iterator[tokenize.TokenInfo]:
    try:
        yield from tokenize.generate_tokens(io.StringIO(text).readline)
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return  # what came before is there


def _keys_after(words: list[tokenize.TokenInfo], at: int) -> Iterator[str]:
    last = at + 3 * _MOST_KEYS
    while (
        at < last
        and [word.string for word in words[at : at + 3 : 2]] == ["[", "]"]
        and words[at + 1].type == tokenize.STRING
    ):
        yield words[at + 1].string.strip("rbuRBU").strip("'\"")
        at += 3
