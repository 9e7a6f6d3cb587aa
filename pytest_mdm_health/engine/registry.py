"""The checks: found by walking the package, held to the contract, selected, put in order.

A check module that breaks the contract is named with its file and what is missing, before anything runs.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from types import ModuleType
from typing import get_type_hints

from pytest_mdm_health import checks
from pytest_mdm_health.core.findings import Rule
from pytest_mdm_health.core.model import Check, Facts, Finding, Phase

BEFORE = "before"
"""The parameter of `observe` and `judge` for the facts that the baseline has."""

FINDINGS = "Findings"
HEADINGS = ("Symptoms", "Causes", "Diagnosis", "Solutions", FINDINGS)
SECTIONS = {
    "1": "Pre-migration",
    "2": "Configuration migration",
    "3": "Storage backends",
    "4": "Performance",
    "5": "Data integrity",
    "6": "Feature engineering",
    "7": "Dataset registration",
    "8": "General diagnostics",
    "9": "Further checks",
}
"""The guide's sections, and one for what the guide does not have."""


class ContractError(TypeError):
    """A check module that is not what a check module has to be."""


class UnknownCheck(LookupError):
    """A selection that names no check."""


@dataclass(frozen=True)
class Documentation:
    """A check's documentation: its title and the text below each of `HEADINGS`."""

    title: str
    sections: Mapping[str, str]

    @property
    def findings(self) -> Mapping[str, str]:
        """What each finding code (the part after the dot) means, with its severity in front."""
        entries = re.split(r"^\* ", self.sections["Findings"], flags=re.MULTILINE)[1:]
        parsed = (re.match(r"`([a-z0-9-]+)` (\(.*)", entry, flags=re.DOTALL) for entry in entries)
        return {match[1]: " ".join(match[2].split()) for match in parsed if match}


@dataclass(frozen=True)
class CheckModule:
    """A check with its code: the declaration, the looking and the judging."""

    module: ModuleType

    @property
    def check(self) -> Check:
        """The declaration."""
        found: Check = self.module.CHECK
        return found

    @property
    def observe(self) -> Callable[..., Facts]:
        """All looking."""
        looking: Callable[..., Facts] = self.module.observe
        return looking

    def judge(self, facts: Facts, before: Facts | None) -> Iterator[Finding]:
        """The conclusions, pure; `before` is what the baseline has, for a check that compares."""
        judging: Callable[..., Iterator[Finding]] = self.module.judge
        return judging(facts, before) if self.compares else judging(facts)

    @cached_property
    def compares(self) -> bool:
        """Whether it judges against what the baseline has: `judge(facts, before)` rather than `judge(facts)`."""
        return len(inspect.signature(self.module.judge).parameters) > 1

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The fixtures that the looking needs, by name."""
        return tuple(name for name in inspect.signature(self.observe).parameters if name != BEFORE)

    @cached_property
    def looks_back(self) -> bool:
        """Whether the looking needs to know what the baseline has."""
        return BEFORE in inspect.signature(self.observe).parameters

    @cached_property
    def facts(self) -> type[Facts]:
        """The class of what was seen, as `observe` declares it."""
        kind: type[Facts] = get_type_hints(self.module.observe)["return"]
        return kind

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The findings that it declares, further wordings included; none where its docstring still describes them."""
        return tuple(getattr(self.module, "RULES", ()))

    @cached_property
    def former_codes(self) -> Mapping[str, str]:
        """Codes of earlier versions, as `<check>.<finding>`, to what they are now; to an empty text if nothing is."""
        declared = getattr(self.module, "RULES", None)
        retired = declared.retired if declared is not None else ()
        renamed = {f"{self.check.id}.{code}": rule.full_code for rule in self.rules for code in rule.formerly}
        return {**{f"{self.check.id}.{code}": "" for code in retired}, **renamed}

    @cached_property
    def documentation(self) -> Documentation:
        """The module's docstring, taken apart, with the findings that it declares."""
        text = inspect.cleandoc(self.module.__doc__ or _docstring_in_source(self.module))
        if self.rules:
            text = f"{text}\n\n{FINDINGS}\n{'-' * len(FINDINGS)}\n{self.module.RULES.documentation}\n"
        return parse_documentation(text)


def parse_documentation(text: str) -> Documentation:
    """Take a check's docstring apart.

    Raises:
        ContractError: the headings are not `HEADINGS` in their order.
    """
    title, _, rest = inspect.cleandoc(text).partition("\n")
    parts = re.split(r"^([A-Z][a-z]+)\n-+\n", rest, flags=re.MULTILINE)
    if tuple(parts[1::2]) != HEADINGS:
        raise ContractError(f"the docstring's headings are {parts[1::2]}, not {list(HEADINGS)}")
    return Documentation(title, {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)})


def load(package: ModuleType = checks) -> Mapping[str, CheckModule]:
    """Every check module of the package by check id, in the order of the guide.

    Raises:
        ContractError: a module is not what it has to be; says which and why.
    """
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    loaded = [_held_to_contract(importlib.import_module(f"{package.__name__}.{name}")) for name in names]
    modules = {module.check.id: module for module in sorted(loaded, key=lambda module: _as_numbers(module.check.issue))}
    for module in loaded:
        _names_what_there_is(module, modules)
    return modules


def _names_what_there_is(module: CheckModule, modules: Mapping[str, CheckModule]) -> None:
    for name in (*module.check.requires, *module.check.tolerates):
        required, _, finding = name.partition(".")
        if required not in modules:
            raise ContractError(f"{module.module.__file__}: requires {required!r}, which is no check")
        if finding and finding not in modules[required].documentation.findings:
            raise ContractError(f"{module.module.__file__}: requires {finding!r}, which {required!r} cannot find")


def in_order(modules: Mapping[str, CheckModule]) -> list[CheckModule]:
    """The checks, each after what it requires, otherwise in the order of the guide."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for id_, module in modules.items():
        sorter.add(id_, *(required for required, _ in module.check.prerequisites if required in modules))
    return [modules[id_] for id_ in sorter.static_order()]


def select(
    modules: Mapping[str, CheckModule], wanted: Iterable[str], unwanted: Iterable[str]
) -> dict[str, CheckModule]:
    """The checks that some word of `wanted` names (all, if there is none) and no word of `unwanted`.

    A word is a check's id, its issue, its section or a tag.

    Raises:
        UnknownCheck: a word names no check; the text has the nearest.
    """
    chosen = _named_by(modules, wanted) or set(modules)
    chosen -= _named_by(modules, unwanted)
    return {id_: module for id_, module in modules.items() if id_ in chosen}


def in_phase(check: Check, phase: str) -> bool:
    """Whether the check makes sense in this phase."""
    return Phase(phase) in check.phases


def _named_by(modules: Mapping[str, CheckModule], words: Iterable[str]) -> set[str]:
    named: set[str] = set()
    for word in words:
        matching = {id_ for id_, module in modules.items() if word in _words(module.check)}
        if not matching:
            known = sorted({known for module in modules.values() for known in _words(module.check)})
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
            raise UnknownCheck(f"{word!r} names no check" + (f"; the nearest is {near[0]!r}" if near else ""))
        named |= matching
    return named


def _words(check: Check) -> set[str]:
    return {check.id, check.issue, check.section, *check.tags}


def _docstring_in_source(module: ModuleType) -> str:
    """Python drops docstrings when it optimises (-OO)."""
    return ast.get_docstring(ast.parse(inspect.getsource(module))) or ""


def _as_numbers(issue: str) -> tuple[int, ...]:
    return tuple(int(part) for part in issue.split("."))


def _held_to_contract(module: ModuleType) -> CheckModule:
    def demand(fulfilled: bool, message: str) -> None:
        if not fulfilled:
            raise ContractError(f"{module.__file__}: {message}")

    found = CheckModule(module)
    demand(isinstance(getattr(module, "CHECK", None), Check), "CHECK is missing or no Check")
    check, stem = found.check, module.__name__.rpartition(".")[2]
    demand(check.id.replace("-", "_") == stem, f"the file is not named after the check, {check.id!r}")
    demand(check.section in SECTIONS, f"the issue {check.issue} is in none of the sections {', '.join(SECTIONS)}")
    demand(callable(getattr(module, "observe", None)), "observe is missing")
    demand(callable(getattr(module, "judge", None)), "judge is missing")
    try:
        demand(bool(found.documentation.findings), "the docstring documents no finding")
    except ContractError as error:
        demand(fulfilled=False, message=str(error))
    return found
