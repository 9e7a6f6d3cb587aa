"""Declared findings: every rule is complete, used, called with what it needs, and its wording is on record.

`UPDATE_SNAPSHOTS=1 pytest tests/test_rules.py` writes tests/snapshots/messages again; review the difference as text.
"""

from __future__ import annotations

import ast
import os
import re
import string
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_mdm_health.core.findings import FORMATS, Rule, Rules, Steps, fields_of, fill
from pytest_mdm_health.core.model import Check, Kind, Location, Severity
from pytest_mdm_health.engine.registry import CheckModule, load
from pytest_mdm_health.knowledge.guide import SYMPTOMS

SNAPSHOTS = Path(__file__).parent / "snapshots" / "messages"
DECLARING = {id_: each for id_, each in load().items() if each.rules}
RESERVED = {"at", "subject", "evidence", "remedy", "severity"}
"""Parameters of a rule that are no values of its templates."""

CHECK = Check(id="made-up", issue="1.1", title="Made up", per=Kind.HOME)

each_declaring = pytest.mark.parametrize("each", DECLARING.values(), ids=DECLARING.keys())


def modules_of(each: CheckModule) -> list[types.ModuleType]:
    """The check's own modules."""
    name = each.module.__name__
    return [module for key, module in sorted(sys.modules.items()) if key == name or key.startswith(f"{name}.")]


class Candidates(NamedTuple):
    """What an expression may be, and whether it can be nothing else."""

    found: tuple[object, ...]
    complete: bool


class Call(NamedTuple):
    """A call of a rule: the rules that it may be, and the function around it."""

    node: ast.Call
    rules: Candidates
    function: ast.AST
    module: types.ModuleType


def calls_of(each: CheckModule) -> Iterator[Call]:
    """Every call of a rule in the check's modules, by its name, a local variable, or a choice between them."""
    for module in modules_of(each):
        yield from calls_in(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")), module)


def calls_in(tree: ast.Module, module: types.ModuleType) -> Iterator[Call]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                rules = candidates(node.func, function, module)
                if any(isinstance(rule, Rule) for rule in rules.found):
                    yield Call(node, rules, function, module)


def candidates(expression: ast.expr, function: ast.AST, module: types.ModuleType) -> Candidates:
    """The module's objects that an expression may be; not complete where it also may be something else."""
    if isinstance(expression, ast.IfExp):
        return _joined(candidates(choice, function, module) for choice in (expression.body, expression.orelse))
    if isinstance(expression, ast.Attribute) and expression.attr == "remedy":
        rules = candidates(expression.value, function, module)
        return Candidates(tuple(rule.remedy for rule in rules.found if isinstance(rule, Rule)), rules.complete)
    if not isinstance(expression, ast.Name):
        return Candidates((), complete=False)
    if hasattr(module, expression.id):
        return Candidates((getattr(module, expression.id),), complete=True)
    return _joined(
        candidates(value, function, module) if value is not None else Candidates((), complete=False)
        for value in _assigned(expression.id, function)
    )


def _joined(choices: Iterable[Candidates]) -> Candidates:
    known = list(choices)
    found = tuple(each for choice in known for each in choice.found)
    return Candidates(found, bool(known) and all(choice.complete for choice in known))


def _assigned(name: str, function: ast.AST) -> Iterator[ast.expr | None]:
    """What a local variable is set to; None for each time that the syntax does not show it."""
    nodes = list(ast.walk(function))
    shown = set()
    for node in nodes:
        if isinstance(node, ast.Assign):
            for variable, value in _pairs(node.targets[0], node.value):
                if isinstance(variable, ast.Name) and variable.id == name:
                    shown.add(variable)
                    yield value
    for node in nodes:
        is_set = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name
        if (is_set and node not in shown) or (isinstance(node, ast.arg) and node.arg == name):
            yield None


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def complaint(call: Call) -> str:
    """What is wrong with a call; empty if nothing is, or if only a run shows what it gives."""
    given = {keyword.arg: keyword.value for keyword in call.node.keywords}
    remedies = candidates(given["remedy"], call.function, call.module) if "remedy" in given else None
    if None in given or not call.rules.complete or (remedies is not None and not remedies.complete):
        return ""  # `**values`, or a remedy that is made: the check's own tests render it
    wanted = [
        rule.fields | steps.fields
        for rule in call.rules.found
        if isinstance(rule, Rule)
        for steps in ([rule.remedy] if remedies is None else remedies.found)
        if isinstance(steps, Steps)
    ]
    names = {name for name in given if name is not None} - RESERVED
    if wanted and all(fields <= names for fields in wanted) and names <= frozenset().union(*wanted):
        return ""
    if not wanted:
        return ""
    return f"line {call.node.lineno}: needs {[sorted(fields) for fields in wanted]}, not {sorted(names)}"


@each_declaring
def test_every_call_gives_what_the_templates_need(each: CheckModule) -> None:
    assert list(filter(None, map(complaint, calls_of(each)))) == []


MADE_UP = """
def judge(facts):
    rule = ONE if facts else TWO
    yield rule(a=1{given})
"""


@pytest.mark.parametrize(
    ("given", "wrong"),
    [(", b=2", False), ("", True), (", b=2, c=3", True), (", **facts", False)],
    ids=["enough", "too little", "too much", "not shown"],
)
def test_a_call_through_a_local_variable_is_held_to_each_rule(given: str, wrong: bool) -> None:
    module, rules = types.ModuleType("made_up"), Rules(CHECK)
    for name, message in {"ONE": "{a}", "TWO": "{a} {b}"}.items():
        rule = rules.declare(name.lower(), Severity.WARN, means="m", message=message, remedy="Look at it.")
        setattr(module, name, rule)
    (call,) = calls_in(ast.parse(MADE_UP.format(given=given)), module)
    assert bool(complaint(call)) == wrong


@each_declaring
def test_no_template_uses_a_name_that_a_rule_keeps_for_itself(each: CheckModule) -> None:
    fields = {rule.full_code: rule.fields | rule.remedy.fields for rule in each.rules}
    fields |= {name: steps.fields for name, steps in steps_of(each).items()}
    assert {name: sorted(used & RESERVED) for name, used in fields.items() if used & RESERVED} == {}


@each_declaring
def test_every_rule_is_used(each: CheckModule) -> None:
    used = {
        id(getattr(module, node.id, None))
        for module in modules_of(each)
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert [rule.full_code for rule in each.rules if id(rule) not in used] == []


@each_declaring
def test_every_rule_has_a_remedy_and_answers_known_symptoms(each: CheckModule) -> None:
    known = {symptom.text for symptom in SYMPTOMS}
    for rule in each.rules:
        assert rule.severities
        assert len(rule.remedy.text) > 10, rule.full_code
        assert set(rule.answers) <= known, rule.full_code


@each_declaring
def test_every_format_of_a_template_exists(each: CheckModule) -> None:
    templates = {text for rule in each.rules for text in (rule.message, *rule.remedy.templates)}
    named = {
        spec
        for text in templates
        for _, _, spec, _ in string.Formatter().parse(text)
        if spec and len(spec) > 1 and spec.isalpha()
    }
    assert named <= set(FORMATS)


@each_declaring
def test_every_message_has_the_form_of_a_message(each: CheckModule) -> None:
    wrong = [
        rule.message for rule in each.rules if rule.message.endswith(".") or re.match(r"[A-Z][a-z]+ ", rule.message)
    ]
    assert wrong == []


def test_a_retired_code_is_never_used_again() -> None:
    current = {f"{id_}.{code}" for id_, each in load().items() for code in each.documentation.findings}
    retired = [f"{id_}.{code}" for id_, each in DECLARING.items() for rule in each.rules for code in rule.formerly]
    assert current.isdisjoint(retired)
    assert len(retired) == len(set(retired))


def steps_of(each: CheckModule) -> dict[str, Steps]:
    """The steps that the check's modules have besides those of its rules, by name."""
    declared = {id(rule.remedy) for rule in each.rules}
    named = ((name, value) for module in modules_of(each) for name, value in vars(module).items())
    return {name: value for name, value in named if isinstance(value, Steps) and id(value) not in declared}


def snapshot_of(each: CheckModule) -> str:
    """The wording of a check, for reviewers."""
    lines = []
    for rule in each.rules:
        severities = "/".join(severity.value for severity in rule.severities)
        lines += [f"{rule.full_code} ({severities})", f"  message: {rule.message}", *_wording(rule.remedy)]
    for name, steps in sorted(steps_of(each).items()):
        lines += [name, *_wording(steps)]
    return "\n".join(lines) + "\n"


def _wording(steps: Steps) -> list[str]:
    return [f"  next: {steps.text}", *(f"    $ {command}" for command in steps.commands)]


@each_declaring
def test_the_wording_of_every_rule_is_on_record(each: CheckModule) -> None:
    file = SNAPSHOTS / f"{each.check.id}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(snapshot_of(each), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == snapshot_of(each)


def test_a_rule_that_is_called_is_a_finding() -> None:
    rules = Rules(CHECK)
    rule = rules.declare(
        "too-large",
        Severity.WARN,
        Severity.NOTE,
        means="it takes more room than it may",
        message="{file} takes {bytes:size}, {n:times} in {seconds:duration}, with {rows:rows}",
        remedy="Look at {file}.",
        commands=("ls -l -- {path!q}",),
    )
    finding = rule(Severity.NOTE, at="/a b", subject="x", file="a", bytes=2000, n=3, seconds=90, rows=1, path="/a b")
    assert finding.message == "a takes 1.95 KiB, 3 times in 90 s, with 1 row"
    assert finding.remedy.commands == ("ls -l -- '/a b'",)
    assert (finding.code, finding.severity, finding.location) == ("made-up.too-large", Severity.NOTE, Location("/a b"))


def test_a_rule_refuses_what_it_does_not_declare() -> None:
    rule = Rules(CHECK).declare("x", Severity.WARN, means="m", message="{a}", remedy="Look at it.")
    with pytest.raises(ValueError, match="declared"):
        rule(Severity.FAIL, a=1)
    with pytest.raises(KeyError, match="a"):
        rule()


def test_another_wording_adds_its_severities_and_no_entry() -> None:
    rules = Rules(CHECK)
    rule = rules.declare("x", Severity.NOTE, means="what it means", message="one", remedy="Look at it.")
    other = rules.reworded(rule, Severity.WARN, message="another", remedy="Look at it too.")
    assert rules.documentation == "* `x` (warn/note): what it means."
    assert other().code == rule().code
    assert [each.message for each in rules] == ["one", "another"]


def test_braces_and_attributes_in_templates() -> None:
    assert fields_of("{{}} {a.b} {c[0]} {d!q}") == {"a", "c", "d"}
    assert fill("{{x}} {a!q}", {"a": "it's"}) == "{x} 'it'\"'\"'s'"
