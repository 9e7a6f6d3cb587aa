from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.installed.interpreter import UnusableInterpreter, find_interpreter

ENTRY = "import sys\nfrom mdm.cli.main import main\nsys.exit(main())\n"


def executable(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; no MDM can be imported here."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "mdm").exists()])
    return tmp_path / "bin"


def test_the_interpreter_that_is_named_is_taken(folder: Path) -> None:
    python = executable(folder / "elsewhere" / "python", "")
    executable(folder / "mdm", f"#!/opt/python\n{ENTRY}")

    assert find_interpreter(str(python)) == python


def test_an_interpreter_may_be_named_as_a_command(folder: Path) -> None:
    python = executable(folder / "python9.9", "")

    assert find_interpreter("python9.9") == python


@pytest.mark.parametrize(
    ("kind", "reason"), [("missing", "does not exist"), ("folder", "is a folder"), ("file", "cannot be executed")]
)
def test_a_named_interpreter_that_is_none_is_refused_in_one_line(tmp_path: Path, kind: str, reason: str) -> None:
    path = tmp_path / "python"
    if kind == "folder":
        path.mkdir()
    if kind == "file":
        path.touch(mode=0o644)

    with pytest.raises(UnusableInterpreter) as error:
        find_interpreter(str(path))

    assert str(error.value) == f"{str(path)!r} {reason}"


def test_the_mdm_command_leads_to_its_interpreter(folder: Path) -> None:
    executable(folder / "mdm", f"#!/opt/mdm/bin/python3.11\n# -*- coding: utf-8 -*-\n{ENTRY}")

    assert find_interpreter(None) == Path("/opt/mdm/bin/python3.11")


def test_a_linked_mdm_command_leads_to_its_interpreter(folder: Path, tmp_path: Path) -> None:
    script = executable(tmp_path / "venv" / "bin" / "mdm", f"#!{tmp_path}/venv/bin/python\n{ENTRY}")
    folder.mkdir()
    (folder / "mdm").symlink_to(script)

    assert find_interpreter(None) == tmp_path / "venv" / "bin" / "python"


@pytest.mark.parametrize("quoted", ['\'\'\'exec\' "{}" "$0" "$@"', "'''exec' {} \"$0\" \"$@\""])
def test_the_form_for_long_paths_is_understood(folder: Path, quoted: str) -> None:
    executable(folder / "mdm", f"#!/bin/sh\n{quoted.format('/opt/long path/bin/python')}\n' '''\n{ENTRY}")

    assert find_interpreter(None) == Path("/opt/long path/bin/python")


def test_an_interpreter_named_through_env_is_looked_up(folder: Path) -> None:
    executable(folder / "mdm", f"#!/usr/bin/env python3.8\n{ENTRY}")
    python = executable(folder / "python3.8", "")

    assert find_interpreter(None) == python


def test_a_command_without_an_interpreter_leads_to_its_neighbour(folder: Path) -> None:
    executable(folder / "mdm", "#!/usr/bin/env bash\nexec pyenv exec mdm\n")
    python = executable(folder / "python3", "")

    assert find_interpreter(None) == python


@pytest.mark.usefixtures("folder")
def test_without_a_command_this_interpreter_is_used_if_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("dataset", "features", "storage"):
        (tmp_path / "src" / "mdm" / name).mkdir(parents=True)
    (tmp_path / "src" / "mdm" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "src")

    assert find_interpreter(None) == Path(sys.executable)
    assert "mdm" not in sys.modules


@pytest.mark.usefixtures("folder")
def test_an_mdm_of_another_kind_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src" / "mdm").mkdir(parents=True)
    (tmp_path / "src" / "mdm" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "src")

    assert find_interpreter(None) is None


def test_a_command_of_another_kind_comes_after_the_real_mdm_here(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(folder / "mdm", "#!/opt/other/bin/python\nimport mdm\nmdm.main()\n")
    assert find_interpreter(None) == Path("/opt/other/bin/python")

    for name in ("__init__.py", "config.py", "storage.py", "features.py"):
        executable(tmp_path / "src" / "mdm" / name, "")
    monkeypatch.syspath_prepend(tmp_path / "src")

    assert find_interpreter(None) == Path(sys.executable)


@pytest.mark.usefixtures("folder")
def test_nothing_is_found_where_there_is_nothing() -> None:
    assert find_interpreter(None) is None


def test_the_search_imports_no_mdm(tmp_path: Path) -> None:
    for name in ("config", "dataset", "features", "storage"):
        (tmp_path / "mdm" / name).mkdir(parents=True)
    (tmp_path / "mdm" / "__init__.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    code = "from pytest_mdm_health.mdm.installed.interpreter import find_interpreter; print(find_interpreter(None))"
    path = os.pathsep.join((str(tmp_path), *sys.path))

    answer = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": path, "PATH": ""}, capture_output=True, text=True, check=True
    )

    assert answer.stdout.strip() == sys.executable
