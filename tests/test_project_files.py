"""The files about the project refer to what exists, and have the form that they promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
RECORDS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
FORMS = [path for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")) if path.stem != "config"]
GROUPS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    relative = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in relative if not (page.parent / link).exists()] == []


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_decision_record_has_all_its_parts(record: Path) -> None:
    lines = record.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {int(record.name[:4])}. ")
    assert re.fullmatch(r"Status: (accepted|superseded by \[\d+\]\(\d{4}-[a-z-]+\.md\))", lines[2])
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/decisions/README.md"])
def test_every_decision_record_is_listed_by_its_title(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    folder = "decisions/" if page.endswith("architecture.md") else ""
    listed = re.findall(rf"^\* \[(.+)\]\({folder}(\d{{4}}-.+)\)$", text, flags=re.MULTILINE)
    titles = [path.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2] for path in RECORDS]
    assert listed == list(zip(titles, (path.name for path in RECORDS), strict=True))


def test_the_changelog_has_the_headings_of_keep_a_changelog() -> None:
    headings = re.findall(r"^(##+) (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert headings[0] == ("##", "[Unreleased]")
    assert {text for level, text in headings if level == "###"} <= GROUPS


def test_the_hooks_run_files_and_tools_that_the_project_has() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    lint = (ROOT / "scripts" / "lint.sh").read_text(encoding="utf-8")
    assert [hook["id"] for hook in hooks] == ["ruff-format", "ruff-check", "codespell", "validate-pyproject", "words"]
    for hook in hooks:
        tool = hook["entry"].removeprefix(".venv/bin/python ").removeprefix(".venv/bin/").removeprefix("-m ")
        assert tool.partition(" --")[0] in lint


def test_the_commands_of_make_run_scripts_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rules = re.findall(r"^([a-z]+):.*## .+\n\t(.+)$", makefile, flags=re.MULTILINE)
    assert {name for name, _ in rules} == {"help", "setup", "test", "full", "lint", "example"}
    scripts = [script for _, command in rules for script in re.findall(r"^sh (\S+)", command)]
    assert len(scripts) == 5
    assert all((ROOT / script).is_file() for script in scripts)


def test_the_workflow_runs_what_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["ci"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_asks_at_least_one_required_question(form: Path) -> None:
    data = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert data["name"]
    assert data["description"]
    questions = [each for each in data["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in questions}) == len(questions)
    assert any(each.get("validations", {}).get("required") for each in questions)
