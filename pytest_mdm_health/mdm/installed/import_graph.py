"""Which modules of a package its users depend on, read from the source without importing it.

A release may carry modules that nothing uses any more and that do not import (MDM 1.0.6 has fifteen). To tell them from
modules whose failure stops a command, the imports are followed from where the package is entered.
"""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, read_bytes

_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})
_ANY_ERROR = frozenset({"Exception", "BaseException"})
_CONDITIONS = ("TYPE_CHECKING", "sys.platform", "os.name", "platform.system", "version_info")


class Use(str, Enum):
    """When a module is needed."""

    ALWAYS = "always"
    ON_CALL = "on call"
    NEVER = "never"


class Package:
    """The source of one top-level package: its import name and the folder where it lies."""

    def __init__(self, name: str, folder: Path) -> None:
        self._name, self._folder = name, folder
        self._parsed: dict[str, _Module] = {}

    @cached_property
    def modules(self) -> Mapping[str, Path]:
        """All modules by dotted name, sorted; what only runs as a program is left out."""
        found = {self._name: self._folder / "__init__.py", **dict(_modules_below(self._folder, f"{self._name}."))}
        return {name: file for name, file in sorted(found.items()) if not name.endswith(".__main__")}

    def uses(self, entries: Iterable[str]) -> Mapping[str, Use]:
        """When each module, the package's own and others that it imports, is needed by users who enter at these.

        What an entry imports inside its functions is always needed: a command line imports its commands late, to start
        fast. Where a source cannot be parsed, nothing is said to be unused.
        """
        known = [entry for entry in entries if entry in self.modules]
        start = {name for entry in known for name in (entry, *self._module(entry).imports())}
        always = self._reached(start, on_call=False)
        called = self._reached(always, on_call=True) - always
        rest = Use.NEVER if all(module.readable for module in self._parsed.values()) else Use.ALWAYS
        return {
            **dict.fromkeys(self.modules, rest),
            **dict.fromkeys(called, Use.ON_CALL),
            **dict.fromkeys(always, Use.ALWAYS),
        }

    def _reached(self, start: set[str], *, on_call: bool) -> set[str]:
        reached: set[str] = set()
        todo = set(start)
        while todo:
            names = {ancestor for ancestor in _with_parents(todo.pop()) if ancestor not in reached}
            reached |= names
            todo |= {found for name in names for found in self._module(name).imports(on_call=on_call)}
        return reached

    def _module(self, name: str) -> _Module:
        if name not in self._parsed:
            file = self.modules.get(name)
            self._parsed[name] = _parse(name, file, self.modules) if file else _Module()
        return self._parsed[name]


@dataclass(frozen=True)
class _Module:
    """What one module imports, at once and inside functions."""

    at_once: frozenset[str] = frozenset()
    late: frozenset[str] = frozenset()
    readable: bool = True

    def imports(self, *, on_call: bool = True) -> frozenset[str]:
        return self.at_once | self.late if on_call else self.at_once


def _modules_below(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for found in pkgutil.iter_modules([str(folder)]):
        inner = folder / found.name
        yield prefix + found.name, (inner / "__init__.py" if found.ispkg else folder / f"{found.name}.py")
        if found.ispkg:
            yield from _modules_below(inner, f"{prefix}{found.name}.")


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _parse(name: str, file: Path, modules: Mapping[str, Path]) -> _Module:
    if not file.is_file():  # compiled
        return _Module()
    try:
        tree = ast.parse(read_bytes(file))
    except (Unreadable, SyntaxError, ValueError, RecursionError):
        return _Module(readable=False)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    at_once: set[str] = set()
    late: set[str] = set()
    for statement, inside in _imports(tree, inside=False):
        (late if inside else at_once).update(_imported(statement, package, modules))
    return _Module(frozenset(at_once), frozenset(late))


def _imports(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The imports that a program cannot do without, and whether they stand inside a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
        elif not (_is_guarded(child, inside=inside) or _is_conditional(child)):
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from _imports(child, inside=inside or function)


def _is_guarded(node: ast.AST, *, inside: bool) -> bool:
    """Whether the program goes on without what cannot be imported here.

    Inside a function, catching every error mostly means reporting it: the command fails all the same.
    """
    if not isinstance(node, ast.Try):
        return False
    caught = {_last_name(each) for handler in node.handlers for each in _caught_by(handler)}
    return bool(caught & (_IMPORT_ERRORS if inside else _IMPORT_ERRORS | _ANY_ERROR))


def _caught_by(handler: ast.ExceptHandler) -> list[ast.expr]:
    if isinstance(handler.type, ast.Tuple):
        return handler.type.elts
    return [handler.type or ast.Name("BaseException")]


def _last_name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _is_conditional(node: ast.AST) -> bool:
    """Whether this is meant for type checkers, or for some platforms and Python versions only."""
    return isinstance(node, ast.If) and any(word in ast.unparse(node.test) for word in _CONDITIONS)


def _imported(statement: ast.Import | ast.ImportFrom, package: str, modules: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    parts = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
    base = ".".join([*parts, *([statement.module] if statement.module else [])])
    yield base
    yield from (name for alias in statement.names if (name := f"{base}.{alias.name}") in modules)
