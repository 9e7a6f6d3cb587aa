"""Every check is what a check has to be, and so are its tests; what they produce is in tests/produced.py."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Check, Facts
from pytest_mdm_health.engine.registry import (
    HEADINGS,
    CheckModule,
    ContractError,
    UnknownCheck,
    in_order,
    load,
    parse_documentation,
    select,
)

MODULES = load()
TESTS = Path(__file__).parent / "checks"
GUIDE_ISSUES = (
    *("1.1", "1.2", "2.1", "2.2", "3.1", "3.2", "3.3", "4.1", "4.2", "5.1", "5.2", "6.1", "6.2", "7.1", "7.2"),
    *("8.1", "8.3"),
)
"""8.2 is `--mdm-bundle`; 8.4 says what goes into it."""

each_check = pytest.mark.parametrize("each", MODULES.values(), ids=MODULES.keys())


def source_of_tests(each: CheckModule) -> str:
    files = sorted(TESTS.glob(f"test_{each.check.id.replace('-', '_')}*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def test_every_issue_of_the_guide_has_one_check() -> None:
    issues = Counter(each.check.issue for each in MODULES.values())
    assert set(GUIDE_ISSUES) <= set(issues)
    assert [issue for issue, count in issues.items() if count > 1] == []


def test_a_check_missing_in_the_guide_is_in_its_own_section() -> None:
    further = {each.check.issue for each in MODULES.values()} - set(GUIDE_ISSUES)
    assert {issue.partition(".")[0] for issue in further} <= {"9"}


@each_check
def test_the_documentation_says_something_under_every_heading(each: CheckModule) -> None:
    assert all(len(each.documentation.sections[heading]) > 40 for heading in HEADINGS)
    assert each.documentation.title.endswith(".")


@each_check
def test_every_documented_finding_has_a_severity_and_a_meaning(each: CheckModule) -> None:
    pattern = r"\((?:fail|warn|note)(?:/(?:fail|warn|note))*\): .{15,}"
    assert [code for code, text in each.documentation.findings.items() if not re.match(pattern, text)] == []


@each_check
def test_no_code_of_an_earlier_version_is_used_again(each: CheckModule) -> None:
    assert not {code.partition(".")[2] for code in each.former_codes} & set(each.documentation.findings)


@each_check
def test_the_tests_show_a_healthy_and_a_repaired_home(each: CheckModule) -> None:
    names = [node.name for node in ast.walk(ast.parse(source_of_tests(each))) if isinstance(node, ast.FunctionDef)]
    assert [word for word in ("healthy", "repaired") if not any(word in name for name in names)] == []


@each_check
def test_facts_are_plain_frozen_data(each: CheckModule) -> None:
    annotation = each.observe.__annotations__["return"]
    facts = getattr(each.module, annotation) if isinstance(annotation, str) else annotation
    assert issubclass(facts, Facts)
    assert facts.__dataclass_params__.frozen


@each_check
def test_every_requirement_stands_before_the_check(each: CheckModule) -> None:
    order = [other.check.id for other in in_order(MODULES)]
    assert all(order.index(required) < order.index(each.check.id) for required, _ in each.check.prerequisites)


@pytest.mark.parametrize("engine", ["psycopg", "duckdb", "pandas", "sqlalchemy"])
def test_listing_the_checks_imports_nothing_only_runs_need(engine: str) -> None:
    program = (
        f"import sys; from pytest_mdm_health.engine.registry import load; load(); print({engine!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_headings_out_of_order_break_the_contract() -> None:
    text = "Title.\n\n" + "\n\n".join(f"{heading}\n{'-' * len(heading)}\ntext" for heading in reversed(HEADINGS))
    with pytest.raises(ContractError, match="headings"):
        parse_documentation(text)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("", "CHECK is missing"),
        ("from pytest_mdm_health.checks.sqlite_locking import CHECK", "not named after the check"),
    ],
)
def test_a_broken_module_is_named_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, complaint: str
) -> None:
    package = types.ModuleType("made_up_checks")
    package.__path__ = [str(tmp_path)]
    (tmp_path / "made_up.py").write_text(source)
    monkeypatch.setitem(sys.modules, "made_up_checks", package)
    monkeypatch.delitem(sys.modules, "made_up_checks.made_up", raising=False)
    with pytest.raises(ContractError, match=complaint) as error:
        load(package)
    assert str(tmp_path / "made_up.py") in str(error.value)


@pytest.mark.parametrize(("word", "ids"), [("3.2", {"sqlite-locking"}), ("sqlite-locking", {"sqlite-locking"})])
def test_checks_are_selected_by_id_and_issue(word: str, ids: set[str]) -> None:
    assert set(select(MODULES, [word], [])) == ids


def test_a_section_selects_its_checks_and_ignoring_wins() -> None:
    assert set(select(MODULES, ["1"], ["1.2"])) == {"backup-failure"}


def test_an_unknown_word_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownCheck, match="'backup-failure'"):
        select(MODULES, ["backup-failur"], [])


def test_a_check_is_compared_by_value() -> None:
    check = next(iter(MODULES.values())).check
    assert check == Check(**{name: getattr(check, name) for name in check.__dataclass_fields__})
