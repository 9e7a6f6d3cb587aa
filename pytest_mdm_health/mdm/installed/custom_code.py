"""What a file of custom features is, told from its source alone: nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, read_bytes

BASE_CLASS = "BaseDomainFeatures"
DECORATOR = "custom_feature"
REGISTERING = "_register_operations"
INDEX = "__init__.py"
SOURCE_LIMIT = 1024 * 1024
_ARGUMENTS_GIVEN = 2
"""MDM makes an instance with the dataset's name: with itself, two arguments."""

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, kw_only=True)
class CustomClass:
    """One class of custom features.

    Attributes:
        line: where it begins.
        unmet: why MDM cannot make an instance of it, as a clause; empty if it can, as far as the source tells.
    """

    name: str
    line: int
    unmet: str = ""


@dataclass(frozen=True, kw_only=True)
class CustomCode:
    """What a source file holds.

    Attributes:
        problem: why it cannot be read; empty if it can.
        syntax: why it is no Python, in this interpreter; empty if it is.
        line: where it is none, from 1; likewise `column`.
        classes: those derived from MDM's base class, in the order in which MDM looks at them.
        functions: functions at the top level that no decorator makes features.
        decorated: those that one does.
        features: what these are called as features.
    """

    problem: str = ""
    syntax: str = ""
    line: int | None = None
    column: int | None = None
    classes: tuple[CustomClass, ...] = ()
    functions: tuple[str, ...] = ()
    decorated: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


def read_custom_code(file: Path) -> CustomCode:
    """What a source file holds. Never raises."""
    try:
        tree = _parsed(file)
    except Unreadable as error:
        return CustomCode(problem=error.reason)
    except SyntaxError as error:
        return CustomCode(syntax=error.msg, line=error.lineno, column=error.offset)
    except (ValueError, RecursionError, MemoryError) as error:
        return CustomCode(syntax=str(error) or "it is nested too deeply")
    functions = [node for node in tree.body if isinstance(node, _Function)]
    decorated = [node.name for node in functions if _is_decorated(node)]
    return CustomCode(
        classes=tuple(sorted(_classes(tree), key=lambda each: each.name)),
        functions=tuple(
            node.name for node in functions if node.name not in decorated and not node.name.startswith("_")
        ),
        decorated=tuple(decorated),
        features=tuple(_feature_name(node) for node in functions if node.name in decorated),
    )


def texts_in(file: Path) -> set[str]:
    """The texts that are written out in a source file, such as names of columns; none if it cannot be read."""
    tree = _tree(file)
    nodes = ast.walk(tree) if tree is not None else ()
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def listed_in(index: Path, modules: Collection[str]) -> set[str] | None:
    """Which of these modules the folder's `__init__.py` imports and lets out; None if it has none that can be read."""
    tree = _tree(index)
    if tree is None:
        return None
    imported = _imported(tree)
    exported = _exported(tree)
    return {
        module
        for module in set(modules) & imported.keys()
        if exported is None or {module, *imported[module]} & exported or "*" in imported[module]
    }


def _parsed(file: Path) -> ast.Module:
    return ast.parse(read_bytes(file, SOURCE_LIMIT), str(file))


def _tree(file: Path) -> ast.Module | None:
    try:
        return _parsed(file)
    except (Unreadable, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _classes(tree: ast.Module) -> Iterator[CustomClass]:
    """The classes derived from MDM's base class, directly or through others of the file."""
    known: dict[str, list[ast.ClassDef]] = {name: [] for name in _names_of_base(tree)}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            parents = [known[name] for name in map(_last_name, node.bases) if name in known]
            if parents:
                known[node.name] = [node, *parents[0]]
                yield CustomClass(name=node.name, line=node.lineno, unmet=_unmet(known[node.name]))


def _names_of_base(tree: ast.Module) -> Iterator[str]:
    yield BASE_CLASS
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (each.asname for each in node.names if each.name == BASE_CLASS and each.asname)


def _unmet(lineage: list[ast.ClassDef]) -> str:
    """Why an instance cannot be made of a class, given with those it is derived from."""
    methods = {node.name: node for each in reversed(lineage) for node in each.body if isinstance(node, _Function)}
    if REGISTERING not in methods and not any(REGISTERING in _assigned(each) for each in lineage):
        return f"it does not define {REGISTERING}"
    constructor = methods.get("__init__")
    return "" if constructor is None else _uncallable(constructor.args)


def _uncallable(arguments: ast.arguments) -> str:
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = [each.arg for each in positional[: len(positional) - len(arguments.defaults)]]
    needed_by_name = [
        each.arg for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    if too_many := [*needed[_ARGUMENTS_GIVEN:], *needed_by_name]:
        return f"its constructor also requires {', '.join(too_many)}"
    if len(positional) < _ARGUMENTS_GIVEN and arguments.vararg is None:
        return "its constructor does not take the dataset's name"
    return ""


def _assigned(node: ast.ClassDef) -> set[str]:
    targets = (target for each in node.body if isinstance(each, ast.Assign) for target in each.targets)
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _is_decorated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        _last_name(each.func if isinstance(each, ast.Call) else each) == DECORATOR for each in node.decorator_list
    )


def _feature_name(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """What the decorator is told, else the function's own name."""
    given = (word for each in node.decorator_list if isinstance(each, ast.Call) for word in each.keywords)
    values = (word.value for word in given if word.arg == "name")
    names = (value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))
    return next(names, node.name)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _imported(tree: ast.Module) -> Mapping[str, set[str]]:
    """By module, the names that are imported from it; the module's own where it is imported as such."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = found.setdefault(node.module.rpartition(".")[2], set())
            names |= {each.asname or each.name for each in node.names}
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for each in node.names:
                found.setdefault(each.name.rpartition(".")[2], set()).add(each.asname or each.name)
    return found


def _exported(tree: ast.Module) -> set[str] | None:
    """What `__all__` has, as far as it is written out; None if there is none."""
    exported: set[str] | None = None
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            value = getattr(node, "value", None)
            words = value.elts if isinstance(value, (ast.List, ast.Tuple, ast.Set)) else ()
            texts = {word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)}
            exported = (exported or set()) | texts
    return exported
