"""MDM's own commands, run for real in an interpreter that has a small MDM."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from pytest_mdm_health.checks.system_check import parse_listing
from pytest_mdm_health.core.model import Result, Status


class Examine(Protocol):
    def __call__(self, check: str, home: Path, **options: object) -> Result: ...


class MakePython(Protocol):
    def __call__(self, files: dict[str, str]) -> Path: ...


TYPER = """
class _Command:
    def __init__(self, commands=None): self.commands = commands
def get_command(app): return app
"""
MAIN = """
import json, os, pathlib, sys, time
from typer.main import _Command
COMMANDS = {commands!r}

def tree(names):
    root = _Command({{}})
    for name in names:
        group = root
        *front, last = name.split()
        for part in front:
            group = group.commands.setdefault(part, _Command({{}}))
        group.commands[last] = _Command()
    return root

app = tree(COMMANDS)
home = pathlib.Path(os.environ["MDM_HOME_DIR"])

def list_datasets():
    return [{{"name": file.stem}} for file in sorted((home / "config" / "datasets").glob("*.yaml"))]

def main():
    words = " ".join(word for word in sys.argv[1:] if not word.startswith("-"))
    (home / "logs" / "mdm.log").write_text("MDM was here")
    exec(next(code for name, code in COMMANDS.items() if words.startswith(name)))
"""
LIST = "print('Loading…'); print(json.dumps(list_datasets(), indent=2))"


def an_mdm(make_python: MakePython, **commands: str) -> Path:
    named = {name.replace("_", " "): code for name, code in {"dataset_list": LIST, **commands}.items()}
    files = {
        "mdm/cli/main.py": MAIN.format(commands=named),
        "typer/__init__.py": "",
        "typer/main.py": TYPER,
    }
    return make_python(files)


def codes(result: Result) -> list[tuple[str, str]]:
    return [(finding.code, finding.subject) for finding in result.findings]


def test_a_healthy_home_is_listed_as_it_is_on_disk(
    examine: Examine, home: Path, make_python: MakePython, tree: Callable[[Path], object]
) -> None:
    before = tree(home)
    result = examine("system-check", home, python=str(an_mdm(make_python, config_validate="print('fine')")))
    assert (result.status, result.examined, codes(result)) == (Status.PASS, 2, [])
    assert result.facts["listed"] == ["big", "breast_cancer", "shop", "wine"]
    assert "the installed MDM has no `mdm storage test`" in result.reason
    assert tree(home) == before


def test_without_mdm_it_is_skipped_with_the_option_to_give(examine: Examine, home: Path) -> None:
    result = examine("system-check", home)
    assert result.status is Status.SKIP
    assert "--mdm-python" in result.reason


def test_a_failing_command_is_named_with_its_last_lines(examine: Examine, home: Path, make_python: MakePython) -> None:
    broken = an_mdm(make_python, storage_test="print('no such backend, password=hunter2'); sys.exit(3)")
    result = examine("system-check", home, python=str(broken))
    (finding,) = result.findings
    assert finding.code == "system-check.command-failed"
    assert "storage test --verbose" in finding.message
    assert "ended with exit code 3" in finding.message
    assert "no such backend" in finding.remedy.text
    assert "hunter2" not in repr(result)
    assert (finding.remedy.commands, "on a copy of the home" in finding.remedy.text) == ((), True)


def test_a_command_that_only_looks_is_given_to_be_run_by_hand(
    examine: Examine, home: Path, make_python: MakePython
) -> None:
    refused = an_mdm(make_python, config_validate="sys.exit(3)")
    (finding,) = examine("system-check", home, python=str(refused)).findings
    assert finding.code == "system-check.command-failed"
    assert finding.remedy.commands[0].startswith(f"MDM_HOME_DIR={shlex.quote(str(home))} ")


def test_a_command_that_does_not_end_is_stopped(examine: Examine, home: Path, make_python: MakePython) -> None:
    hanging = an_mdm(make_python, features_test="time.sleep(600)")
    result = examine("system-check", home, python=str(hanging), timeout=8.0)
    assert [finding.code for finding in result.findings] == ["system-check.command-hangs"]


def test_a_dataset_that_mdm_skips_is_named_until_repaired(
    examine: Examine, home: Path, make_python: MakePython
) -> None:
    skips = LIST.replace(
        "list_datasets()",
        "[each for each in list_datasets() if 'version: 1.0.0' in"
        " (home / 'config/datasets' / (each['name'] + '.yaml')).read_text()]",
    )
    python = str(an_mdm(make_python, dataset_list=skips))
    registration = home / "config" / "datasets" / "shop.yaml"
    good = registration.read_text()
    registration.write_text(good.replace("version: 1.0.0", "version: 9"))
    assert codes(examine("system-check", home, python=python)) == [("system-check.not-listed", "shop")]
    registration.write_text(good)
    assert examine("system-check", home, python=python).status is Status.PASS


def test_the_command_for_an_unlisted_dataset_quotes_its_name(
    examine: Examine, home: Path, make_python: MakePython
) -> None:
    folder = home / "config" / "datasets"
    (folder / "Bob's [x] $(id).yaml").write_text((folder / "shop.yaml").read_text())
    (folder / "shop.yaml").rename(folder / "Shop.yaml")
    lower = LIST.replace(
        "list_datasets()", "[{'name': e['name'].lower()} for e in list_datasets() if ' ' not in e['name']]"
    )
    (finding,) = examine("system-check", home, python=str(an_mdm(make_python, dataset_list=lower))).findings
    node_id = r"mdm-health::metadata-corruption[Bob's \x5bx\x5d $(id)]"
    assert (finding.code, finding.subject) == ("system-check.not-listed", "Bob's [x] $(id)")
    assert [shlex.split(command) for command in finding.remedy.commands] == [["pytest", node_id]]


def test_a_dataset_that_only_mdm_knows_is_a_warning(examine: Examine, home: Path, make_python: MakePython) -> None:
    more = an_mdm(make_python, dataset_list=LIST.replace("list_datasets()", "list_datasets() + [{'name': 'ghost'}]"))
    result = examine("system-check", home, python=str(more))
    assert (result.status, codes(result)) == (Status.WARN, [("system-check.listed-only", "ghost")])


def test_a_home_with_data_outside_is_not_given_to_mdm(
    examine: Examine, home: Path, make_python: MakePython, tmp_path: Path
) -> None:
    (home / "mdm.yaml").write_text(f"paths: {{logs_path: {tmp_path}/elsewhere}}\n")
    result = examine("system-check", home, python=str(an_mdm(make_python)))
    assert result.status is Status.SKIP
    assert "outside the home" in result.reason
    assert not (tmp_path / "elsewhere").exists()


def test_a_list_of_hundreds_of_datasets_is_read_whole(examine: Examine, home: Path, make_python: MakePython) -> None:
    wordy = "[{'name': 'extra%d' % n, 'tags': [], 'description': 'x' * 700} for n in range(400)]"
    python = an_mdm(make_python, dataset_list=LIST.replace("list_datasets()", f"list_datasets() + {wordy}"))
    registration = home / "config" / "datasets" / "shop.yaml"
    for n in range(400):
        (registration.parent / f"extra{n}.yaml").write_text(registration.read_text())
    assert codes(examine("system-check", home, python=str(python))) == []


@pytest.mark.parametrize(
    ("printed", "incomplete"),
    [
        ("print('expected [] in x.yaml')", True),
        ("print('[deprecated] call', file=sys.stderr)", True),
        ("print('[]', file=sys.stderr)", True),
        ("print('x' * (16 << 20))", False),
        ("list_datasets = lambda: [{'name': 'shop'}, 'wine']", False),
    ],
)
def test_what_mdm_says_beside_its_list_makes_no_dataset_missing(
    examine: Examine, home: Path, make_python: MakePython, printed: str, incomplete: bool
) -> None:
    result = examine("system-check", home, python=str(an_mdm(make_python, dataset_list=f"{printed}; {LIST}")))
    assert (result.status, codes(result)) == (Status.PASS, [])
    assert ("printed no complete list" not in result.reason) is incomplete
    assert (result.facts["listed"] is not None) is incomplete


def test_a_list_is_read_whatever_was_printed_around_it() -> None:
    assert parse_listing('Loading\n[{"name": "a"}, {"name": "b", "x": [1]}]\nbye') == ("a", "b")
    assert parse_listing('[]\n[{"name": "a"}]\n[deprecated]\n[]') == ("a",)
    assert parse_listing("[]") == ()
    assert parse_listing("nothing registered") is None


def test_a_list_that_breaks_off_is_none() -> None:
    assert parse_listing('[]\n[\n  {"name": "a", "tags": []},\n  {"name": "b"') is None
    assert parse_listing('ags": []},\n  {"name": "b"}\n]') is None
