"""Declared findings: every rule is complete, used, called with what it needs, and its wording is on record.

`UPDATE_SNAPSHOTS=1 pytest tests/test_rules.py` writes tests/snapshots/messages again; review the difference as text.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.core.findings import Rule, Rules, Steps, fields_of, fill
from pytest_mdm_health.core.model import Check, Kind, Location, Severity
from pytest_mdm_health.engine.registry import CheckModule, load
from pytest_mdm_health.knowledge.guide import SYMPTOMS

SNAPSHOTS = Path(__file__).parent / "snapshots" / "messages"
DECLARING = {id_: each for id_, each in load().items() if each.rules}
RESERVED = {"at", "subject", "evidence", "remedy", "severity"}
"""Parameters of a rule that are no values of its templates."""

each_declaring = pytest.mark.parametrize("each", DECLARING.values(), ids=DECLARING.keys())


def modules_of(each: CheckModule) -> list[types.ModuleType]:
    """The check's own modules."""
    name = each.module.__name__
    return [module for key, module in sorted(sys.modules.items()) if key == name or key.startswith(f"{name}.")]


def calls_of(each: CheckModule) -> Iterator[tuple[Rule, ast.Call, types.ModuleType]]:
    """Every call of a rule by its name in the check's modules."""
    for module in modules_of(each):
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                rule = getattr(module, node.func.id, None)
                if isinstance(rule, Rule):
                    yield rule, node, module


def needed(rule: Rule, call: ast.Call, module: types.ModuleType) -> frozenset[str] | None:
    """The values that a call has to give; None where its remedy is not known before it runs."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "remedy" not in given:
        return rule.fields | rule.remedy.fields
    remedy = getattr(module, given["remedy"].id, None) if isinstance(given["remedy"], ast.Name) else None
    return rule.fields | remedy.fields if isinstance(remedy, Steps) else None


@each_declaring
def test_every_call_gives_what_the_templates_need(each: CheckModule) -> None:
    wrong = []
    for rule, call, module in calls_of(each):
        names = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
        wanted = needed(rule, call, module)
        if (
            len(names) < len(call.keywords) or wanted is None
        ):  # `**values`, or a remedy that is made: the check's own tests render it
            continue
        if names - RESERVED != wanted:
            wrong.append(f"line {call.lineno}: {rule.full_code} needs {sorted(wanted)}, not {sorted(names - RESERVED)}")
    assert wrong == []


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
def test_every_rule_says_what_to_do_and_answers_symptoms_that_there_are(each: CheckModule) -> None:
    known = {symptom.text for symptom in SYMPTOMS}
    for rule in each.rules:
        assert rule.severities
        assert len(rule.remedy.text) > 10, rule.full_code
        assert set(rule.answers) <= known, rule.full_code


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


def snapshot_of(each: CheckModule) -> str:
    """The wording of a check, for reviewers."""
    lines = []
    for rule in each.rules:
        severities = "/".join(severity.value for severity in rule.severities)
        lines += [f"{rule.full_code} ({severities})", f"  message: {rule.message}", f"  next: {rule.remedy.text}"]
        lines += [f"    $ {command}" for command in rule.remedy.commands]
    return "\n".join(lines) + "\n"


@each_declaring
def test_the_wording_of_every_rule_is_on_record(each: CheckModule) -> None:
    file = SNAPSHOTS / f"{each.check.id}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(snapshot_of(each), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == snapshot_of(each)


CHECK = Check(id="made-up", issue="1.1", title="Made up", per=Kind.HOME)


def test_a_rule_that_is_called_is_a_finding() -> None:
    rules = Rules(CHECK)
    rule = rules.declare(
        "too-large",
        Severity.WARN,
        Severity.NOTE,
        means="it takes more room than it may",
        message="{file} takes {bytes:size} ({bytes:binary}), {n:times} in {seconds:duration}, with {rows:rows}",
        remedy="Look at {file}.",
        commands=("ls -l -- {path!q}",),
    )
    finding = rule(Severity.NOTE, at="/a b", subject="x", file="a", bytes=2000, n=3, seconds=90, rows=1, path="/a b")
    assert finding.message == "a takes 2.0 kB (1.95 KiB), 3 times in 90 s, with 1 row"
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
