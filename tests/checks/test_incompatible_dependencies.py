from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import venv
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_mdm_health.checks.incompatible_dependencies import judge, observe
from pytest_mdm_health.core.model import Finding, NotApplicable, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Failure
from pytest_mdm_health.mdm.installed.interpreter import find_interpreter, probe
from pytest_mdm_health.mdm.installed.search import find_command
from pytest_mdm_health.mdm.installed.wrapper import interpreter_behind
from pytest_mdm_health.mdm.settings import read_settings
from tests.conftest import MDM_SOURCES

CHECK = "incompatible-dependencies"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
BROKEN = "import no_such_thing\n"
FITTING = {"pandas": "2.3.1\nnumpy>=1.26", "numpy": "2.2.0", "sqlalchemy": "2.0.41", "duckdb-engine": "0.17.0"}


class MakePython(Protocol):
    def __call__(self, files: dict[str, str] | None = None, **more: object) -> Path: ...


@pytest.fixture(autouse=True)
def path_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first folder on the PATH, which is empty; what else is on it has no MDM."""
    (tmp_path / "bin").mkdir()
    folders = (each for each in os.environ["PATH"].split(os.pathsep) if not Path(each, "mdm").exists())
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), *folders)))
    return tmp_path / "bin"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that uses DuckDB."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "mdm.yaml").write_text("database:\n  default_backend: duckdb\n", encoding="utf-8")
    return home


def look(python: Path, home: Path, requirements: Path | None = None, timeout_s: float = 60) -> list[Finding]:
    installation = probe(python, home, timeout_s, {"PATH": os.environ["PATH"]})
    facts = observe(installation, Options(home=home, requirements=requirements), read_settings(home, {}))
    return list(judge(facts))


def site_of(python: Path) -> Path:
    (site,) = python.parent.parent.glob("lib/python3*/site-packages")
    return site


def install(python: Path, name: str, version: str = "1.0", module: str | None = None) -> None:
    """What the remedies tell to do, done by hand."""
    site = site_of(python)
    for old in site.glob(f"{name.replace('-', '_')}-*.dist-info"):
        shutil.rmtree(old)
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (site / f"{module or name}.py").touch()


@dataclass(frozen=True)
class Case:
    """A damaged installation, the finding it brings, and its repair."""

    code: str
    severity: Severity
    repair: Callable[[Path], object]
    files: dict[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    distributions: dict[str, str] = field(default_factory=dict)
    requires_python: str = ">=3.9"
    says: str = ""
    command: str = ""


CASES = (
    Case(
        "incompatible-dependencies.not-importable", FAIL, lambda python: install(python, "no_such_thing"),
        files={"mdm/features/generator.py": BROKEN},
        says="mdm.cli.dataset (and 2 more modules of MDM) cannot be imported: ModuleNotFoundError: No module named 'n",
        command="-c 'import no_such_thing'",
    ),
    Case(
        "incompatible-dependencies.not-importable", FAIL,
        lambda python: install(python, "setuptools", module="pkg_resources"),
        files={"mdm/features/generator.py": "import profiling\n", "profiling.py": "import pkg_resources\n"},
        says="No module named 'pkg_resources'", command="pip show setuptools",
    ),
    Case(
        "incompatible-dependencies.not-importable", FAIL, lambda python: (site_of(python) / "mdm" / "lost.py").touch(),
        files={"mdm/storage/sqlite.py": "import mdm.lost\n"},
        says="No module named 'mdm.lost'",
    ),
    Case(
        "incompatible-dependencies.not-importable", FAIL,
        lambda python: (site_of(python) / "engine.py").write_text("run = 1\n"),
        files={"mdm/storage/sqlite.py": "import engine\n", "engine.py": "from math import no_such_function\n"},
        says="cannot import name 'no_such_function' from 'math'",
        command="pip show engine",
    ),
    Case(
        "incompatible-dependencies.not-importable", FAIL,
        lambda python: (site_of(python) / "mdm/storage/sqlite.py").write_text(""),
        files={"mdm/storage/sqlite.py": f"import os\nos.kill(os.getpid(), {int(signal.SIGSEGV)})\n"},
        says="was killed by SIGSEGV",
    ),
    Case(
        "incompatible-dependencies.not-importable", WARN, lambda python: install(python, "no_such_thing"),
        files={"mdm/storage/sqlite.py": "def f():\n    import mdm.rare\n", "mdm/rare.py": BROKEN},
        says="mdm.rare cannot be imported when a call needs it",
    ),
    Case(
        "incompatible-dependencies.not-installed", WARN, lambda python: install(python, "openpyxl"),
        files={"mdm/storage/sqlite.py": "def f():\n    import openpyxl\n"}, says="MDM imports openpyxl only when",
        requires=(), command="-c 'import openpyxl'",
    ),
    Case(
        "incompatible-dependencies.left-over", NOTE, lambda python: (site_of(python) / "mdm" / "old.py").unlink(),
        files={"mdm/old.py": BROKEN}, says="mdm.old cannot be imported, but nothing in this release uses it",
    ),
    Case(
        "incompatible-dependencies.missing", FAIL, lambda python: install(python, "psutil", "6.0"),
        requires=("psutil>=5",), says="mdm requires psutil>=5, which is not installed",
        command="pip show psutil",
    ),
    Case(
        "incompatible-dependencies.missing", WARN, lambda python: install(python, "pytz"),
        requires=("pandas",), distributions={"pandas": "2.3.1\npytz"}, says="pandas requires pytz",
    ),
    Case(
        "incompatible-dependencies.missing", NOTE, lambda python: install(python, "ghost"),
        distributions={"unrelated": "1\nghost"}, says="unrelated requires ghost",
    ),
    Case(
        "incompatible-dependencies.version", WARN, lambda python: install(python, "pandas", "2.3"),
        requires=("pandas>=2",), distributions={"pandas": "1.5"},
        says="mdm requires pandas>=2, but 1.5 is installed", command="pip show pandas",
    ),
    Case(
        "incompatible-dependencies.version", NOTE, lambda python: install(python, "numpy", "2.0"),
        distributions={"unrelated": "1\nnumpy>=2", "numpy": "1.0"}, says="unrelated requires numpy>=2",
    ),
    Case(
        "incompatible-dependencies.python", WARN, lambda python: install(python, "mdm", "1.0.7"),
        requires_python="<3.9", says="MDM requires Python <3.9, but its interpreter is 3.",
    ),
    Case(
        "incompatible-dependencies.known-trouble", FAIL, lambda python: install(python, "sqlalchemy", "2.0.41"),
        requires=("duckdb-engine", "sqlalchemy"), distributions={"duckdb-engine": "0.17.0", "sqlalchemy": "2.1.9"},
        says="with duckdb-engine 0.17.0 and sqlalchemy 2.1.9, registering", command="pip show sqlalchemy",
    ),
)  # fmt: skip


def test_a_healthy_installation_has_no_finding(make_python: MakePython, home: Path) -> None:
    python = make_python(requires=("pandas>=2", "sqlalchemy>=2", "duckdb-engine"), distributions=FITTING)

    assert look(python, home) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.severity.value}-{case.says[:12]}")
def test_a_damaged_installation_is_found_until_it_is_repaired(make_python: MakePython, home: Path, case: Case) -> None:
    settings: dict[str, Any] = asdict(case)
    options = {name: settings[name] for name in ("files", "requires", "requires_python")}
    python = make_python(**options, distributions={**case.distributions, "pip": "24.0"})

    (found,) = look(python, home)

    assert (found.code, found.severity) == (case.code, case.severity)
    assert case.says in found.message
    assert case.command in " ".join(found.remedy.commands)
    assert found.remedy.text
    leaves_alone(python, found)

    case.repair(python)

    assert look(python, home) == []


def test_one_cause_is_reported_once_with_all_that_it_breaks(make_python: MakePython, home: Path) -> None:
    broken = dict.fromkeys(("mdm/storage/sqlite.py", "mdm/old.py", "mdm/rare.py"), BROKEN)
    broken["mdm/models/__init__.py"] = "def f():\n    import mdm.rare\n"
    broken["mdm/api.py"] = "import mdm.models\n"

    (found,) = look(make_python(broken), home)

    assert found.severity is FAIL
    assert found.subject == "no_such_thing"
    assert set(found.evidence["modules"]) >= {"mdm.storage", "mdm.storage.sqlite", "mdm.cli.dataset"}  # type: ignore[arg-type]


def test_commands_use_mdms_own_interpreter_and_its_installer(make_python: MakePython, home: Path) -> None:
    without = make_python(requires=("psutil",), name="has no pip")
    having = make_python(requires=("psutil",), name="has pip", distributions={"pip": "24.0"})

    uv, pip = f"uv pip {{}} --python {shlex.quote(str(without))}", f"{shlex.quote(str(having))} -m pip {{}}"
    assert look(without, home)[0].remedy.commands == (f"{uv.format('show')} psutil", uv.format("check"))
    assert look(having, home)[0].remedy.commands == (f"{pip.format('show')} psutil", pip.format("check"))


def run_in(folder: Path, finding: Finding) -> None:
    """Run the commands in a folder, as a person would."""
    for command in finding.remedy.commands:
        subprocess.run(  # noqa: S602 - as a person would
            command,
            shell=True,
            check=False,
            cwd=folder,
            capture_output=True,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )


def leaves_alone(python: Path, finding: Finding) -> None:
    """The commands of a finding leave the environment as it is, and install only into one that they make."""
    environment = python.parent.parent
    before = tree_of(environment)
    with tempfile.TemporaryDirectory() as folder:
        run_in(Path(folder), finding)
    assert tree_of(environment) == before
    for command in finding.remedy.commands:
        assert " install " not in command or " -m venv new-mdm && new-mdm/bin/python -m pip install " in command


def tree_of(folder: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def wheel_of(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """A wheel that needs nothing."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, source in files.items():
            wheel.writestr(file, source)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def test_mdm_is_reinstalled_from_its_origin_in_a_new_environment(
    make_python: MakePython, home: Path, tmp_path: Path
) -> None:
    python = make_python({"mdm/storage/sqlite.py": "import mdm.lost\n"}, distributions={"pip": "24.0"})
    assert "not from PyPI" in look(python, home)[0].remedy.text
    sound = {**MDM_SOURCES, "mdm/storage/sqlite.py": ""}
    wheel = wheel_of(tmp_path / "my mdm", "mdm", "1.0.7", sound)
    origin = json.dumps({"url": wheel.as_uri(), "archive_info": {}})
    next(site_of(python).glob("mdm-*.dist-info")).joinpath("direct_url.json").write_text(origin, encoding="utf-8")
    (tmp_path / "work").mkdir()
    before = tree_of(python.parent.parent)

    (found,) = look(python, home)
    run_in(tmp_path / "work", found)

    assert tree_of(python.parent.parent) == before
    assert look(tmp_path / "work" / "new-mdm" / "bin" / "python", home) == []
    made = tree_of(tmp_path / "work")
    run_in(tmp_path / "work", found)
    assert tree_of(tmp_path / "work") == made  # what is there is not installed into


def test_the_requirements_are_installed_in_a_new_environment(
    make_python: MakePython, home: Path, tmp_path: Path
) -> None:
    wheel_of(tmp_path / "wheels", "ghost", "1.0", {"ghost.py": ""})
    file = tmp_path / "r.txt"
    file.write_text(f"--no-index\n--find-links {tmp_path / 'wheels'}\nghost==1.0\n", encoding="utf-8")
    (tmp_path / "work").mkdir()
    python = make_python()
    found = next(each for each in look(python, home, file) if each.code.endswith("migration-requirements"))
    before = tree_of(python.parent.parent)

    run_in(tmp_path / "work", found)

    assert tree_of(python.parent.parent) == before
    assert (site_of(tmp_path / "work" / "new-mdm" / "bin" / "python") / "ghost.py").exists()


def raising(module: str) -> str:
    return f"raise ModuleNotFoundError({f'No module named {module!r}'!r}, name={module!r})\n"


@pytest.mark.parametrize("module", ["_sqlite3", "_ctypes", "lzma", "xml.etree"])
def test_a_module_of_python_itself_is_never_looked_for_on_pypi(
    make_python: MakePython, home: Path, module: str
) -> None:
    python = make_python({"mdm/storage/sqlite.py": raising(module)})

    (found,) = look(python, home)

    assert "a module of Python itself" in found.remedy.text
    assert not any("pip" in command for command in found.remedy.commands)


def test_a_missing_standard_module_is_not_to_be_installed(make_python: MakePython, home: Path) -> None:
    facts = observe(
        probe(make_python({"mdm/storage/sqlite.py": raising("distutils")}), home, 60, {}),
        Options(home=home),
        read_settings(home, {}),
    )

    for version, says in (("3.11.7", "a module of Python itself"), ("3.13.1", "Python 3.12 and later do not have it")):
        (found,) = judge(replace(facts, python_version=version))
        assert says in found.remedy.text


def test_a_damaged_standard_library_is_not_repaired_with_pip(make_python: MakePython, home: Path) -> None:
    facts = observe(
        probe(make_python({"mdm/storage/sqlite.py": BROKEN}), home, 60, {}), Options(home=home), read_settings(home, {})
    )
    failure = Failure("ImportError", "libsqlite3.so.0: not there", where="sqlite3.dbapi2")
    cause = replace(facts.import_failures[0], failure=failure)

    (found,) = judge(replace(facts, import_failures=(cause,)))

    assert "a module of Python itself" in found.remedy.text


def test_a_slow_import_is_a_warning_and_repaired_by_waiting(make_python: MakePython, home: Path) -> None:
    python = make_python({"mdm/storage/sqlite.py": "import time\ntime.sleep(8)\n"})

    found = look(python, home, timeout_s=5)

    assert [(each.code, each.severity) for each in found] == [("incompatible-dependencies.unfinished", WARN)]
    assert "importtime" in found[0].remedy.commands[0]
    assert look(python, home, timeout_s=30) == []


def test_conflicting_versions_that_nothing_uses_are_a_note(make_python: MakePython, home: Path) -> None:
    python = make_python(
        requires=("duckdb-engine", "sqlalchemy"), distributions={"duckdb-engine": "0.17.0", "sqlalchemy": "2.1.9"}
    )
    (home / "mdm.yaml").unlink()

    assert [(each.code, each.severity) for each in look(python, home)] == [
        ("incompatible-dependencies.known-trouble", NOTE)
    ]


def test_a_missing_interpreter_is_found_until_it_is_repaired(
    make_python: MakePython, home: Path, examine: Callable[..., Result]
) -> None:
    python = make_python()
    moved = python.with_name("moved")
    python.rename(moved)

    (found,) = look(python, home)

    assert (found.code, found.severity) == ("incompatible-dependencies.interpreter", FAIL)
    assert str(python) in found.message
    moved.rename(python)
    assert examine(CHECK, home, python=str(python)).status is Status.PASS


def test_another_program_called_mdm_is_recognised(make_python: MakePython, home: Path) -> None:
    python = make_python(distributions={"mdm": "0.3"})
    shutil.rmtree(site_of(python) / "mdm" / "dataset")
    shutil.rmtree(site_of(python) / "mdm" / "storage")
    shutil.rmtree(site_of(python) / "mdm" / "features")

    (found,) = look(python, home)

    assert (found.code, found.severity) == ("incompatible-dependencies.other-mdm", WARN)
    assert "mdm 0.3" in found.message
    assert "--mdm-python" in found.remedy.text


def test_what_the_migration_asks_for_is_compared(make_python: MakePython, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "requirements_migration.txt"
    file.write_text("pandas==2.3.1\nsqlalchemy==2.0.40\nghost==1\n-c limits.txt\n", encoding="utf-8")
    (tmp_path / "limits.txt").write_text("absent<2\n", encoding="utf-8")
    python = make_python(distributions=FITTING)

    found = look(python, home, file)

    assert {each.code for each in found} == {"incompatible-dependencies.migration-requirements"}
    assert [each.message.split("; ")[1] for each in found] == ["2.0.41 is installed", "it is not installed"]
    assert [each.location and each.location.line for each in found] == [2, 3]
    assert f"-r {file}" in found[0].remedy.commands[0]

    install(python, "sqlalchemy", "2.0.40")
    install(python, "ghost", "1")
    assert look(python, home, file) == []


def test_a_migration_contradicting_mdm_is_repaired_in_its_file(
    make_python: MakePython, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "r.txt"
    file.write_text("sqlalchemy==1.4.54\n", encoding="utf-8")
    python = make_python(requires=("sqlalchemy>=2",), distributions=FITTING)

    found = look(python, home, file)

    codes = {"incompatible-dependencies.contradiction", "incompatible-dependencies.migration-requirements"}
    assert {each.code for each in found} == codes
    assert any("but MDM itself requires sqlalchemy>=2" in each.message for each in found)
    file.write_text("sqlalchemy==2.0.41\n", encoding="utf-8")
    assert look(python, home, file) == []


@pytest.mark.parametrize(("line", "severity"), [("pandas=2", WARN), ("-e ./mdm", NOTE), ("-r gone.txt", WARN)])
def test_lines_of_requirements_that_cannot_be_compared_are_named(
    make_python: MakePython, home: Path, tmp_path: Path, line: str, severity: Severity
) -> None:
    file = tmp_path / "r.txt"
    file.write_text(f"{line}\n", encoding="utf-8")

    (found,) = look(make_python(), home, file)

    assert (found.code, found.severity) == ("incompatible-dependencies.requirements-file", severity)


def test_without_an_mdm_the_check_is_skipped_with_what_to_give(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="--mdm-python"):
        observe(None, Options(home=home), read_settings(home, {}))
    with pytest.raises(NotApplicable, match="has no MDM; name MDM's interpreter with --mdm-python"):
        look(make_bare_python(tmp_path), home)


def make_bare_python(folder: Path) -> Path:
    venv.create(folder / "bare", with_pip=False, symlinks=True)
    return folder / "bare" / "bin" / "python"


ENTRY = "import sys\nfrom mdm.cli.main import main\nsys.exit(main())\n"


def command_of(folder: Path, first_line: str, body: str = ENTRY) -> Path:
    path = folder / "mdm"
    path.write_bytes(f"{first_line}\n{body}".encode())
    path.chmod(0o755)
    return path


def looked_from_the_path(home: Path) -> list[Finding]:
    """As in a run: the interpreter is the one that the command leads to."""
    python = find_interpreter(None)
    installation = probe(python, home, 60, {"PATH": os.environ["PATH"]}) if python else None
    return list(judge(observe(installation, Options(home=home), read_settings(home, {}))))


def starts(command: Path) -> bool:
    return subprocess.run([command], check=False, capture_output=True, shell=False).returncode == 0


def lose_the_module(python: Path) -> None:
    shutil.move(site_of(python) / "mdm", python.parent.parent / "moved")


def lose_its_beginning(python: Path) -> None:
    """What stays of a package without its `__init__.py` can be found, and holds nothing."""
    shutil.rmtree(site_of(python) / "mdm")
    (site_of(python) / "mdm").mkdir()


def nothing(python: Path) -> None:
    """The command itself is at fault."""


@pytest.mark.parametrize(
    ("first_line", "damage", "says"),
    [
        ("#!{}", lose_the_module, "ends in: No module named 'mdm'"),
        ("#!{}", lose_its_beginning, "ends in: No module named 'mdm.cli.main'"),
        ("#!{}\r", nothing, "ends with a carriage return"),
        (
            "#!/usr/bin/env python3.99",
            nothing,
            "the interpreter python3.99 in its first line, which is not on the PATH",
        ),
        ("#!/opt/gone/bash {}", nothing, "the interpreter /opt/gone/bash in its first line, which is not there"),
        ("\ufeff#!{}", nothing, "byte order mark"),
    ],
    ids=["module", "beginning", "carriage-return", "env", "shell", "mark"],
)
def test_a_command_that_cannot_start_is_a_failure_and_no_skip(
    make_python: MakePython,
    home: Path,
    path_with: Path,
    first_line: str,
    damage: Callable[[Path], None],
    says: str,
) -> None:
    python = make_python({"mdm/cli/main.py": "def main():\n    return 0\n"})
    (path_with / "python3").symlink_to(python)
    sound = command_of(path_with, f"#!{python}")
    assert starts(sound)
    assert "incompatible-dependencies.not-starting" not in {each.code for each in looked_from_the_path(home)}
    damage(python)
    command = command_of(path_with, first_line.format(python))

    found = next(each for each in looked_from_the_path(home) if each.code == "incompatible-dependencies.not-starting")

    with contextlib.suppress(OSError):  # the system does not even begin
        assert not starts(command)
    assert found.severity is FAIL
    assert says in found.message
    assert str(command) in found.message
    assert found.remedy.text
    leaves_alone(python, found)


def test_a_moved_editable_source_is_a_failure_that_names_it(
    make_python: MakePython, home: Path, path_with: Path, tmp_path: Path
) -> None:
    python = make_python({"mdm/cli/main.py": "def main():\n    return 0\n"})
    shutil.move(site_of(python) / "mdm", tmp_path / "tree" / "mdm")
    (site_of(python) / "mdm.pth").write_text(f"{tmp_path / 'tree'}\n", encoding="utf-8")
    origin = json.dumps({"url": (tmp_path / "tree").as_uri(), "dir_info": {"editable": True}})
    next(site_of(python).glob("mdm-*.dist-info")).joinpath("direct_url.json").write_text(origin, encoding="utf-8")
    command = command_of(path_with, f"#!{python}")
    assert starts(command)
    assert looked_from_the_path(home) == []

    (tmp_path / "tree").rename(tmp_path / "elsewhere")

    (found,) = looked_from_the_path(home)
    assert (found.code, found.severity) == ("incompatible-dependencies.not-starting", FAIL)
    assert found.message.endswith(f"No module named 'mdm'; it was installed from {tmp_path / 'tree'}")
    assert f"Put the source tree back to {tmp_path / 'tree'}" in found.remedy.text
    assert found.remedy.commands == ()
    (named,) = look(python, home)  # the same if the interpreter is named
    assert named.message == found.message

    (tmp_path / "elsewhere").rename(tmp_path / "tree")
    assert looked_from_the_path(home) == []


def test_a_dangling_or_not_executable_command_is_a_failure(home: Path, path_with: Path) -> None:
    with pytest.raises(NotApplicable):
        looked_from_the_path(home)
    (path_with / "mdm").symlink_to("/opt/pipx/venvs/mdm/bin/mdm")
    (found,) = looked_from_the_path(home)
    assert "is a link to /opt/pipx/venvs/mdm/bin/mdm, which is not there" in found.message

    (path_with / "mdm").unlink()
    command_of(path_with, "#!/usr/bin/python3").chmod(0o644)
    (found,) = looked_from_the_path(home)
    assert found.message.endswith("may not be executed")


def test_another_program_called_mdm_is_no_broken_command(make_python: MakePython, home: Path, path_with: Path) -> None:
    python = make_python(distributions={"mdm": "0.3"})
    shutil.rmtree(site_of(python) / "mdm")
    command_of(path_with, f"#!{python}", "import mdm\nmdm.run()\n")

    with pytest.raises(NotApplicable, match="has no MDM"):
        looked_from_the_path(home)

    (site_of(python) / "mdm.py").write_text("def run(): ...\n", encoding="utf-8")
    with pytest.raises(NotApplicable, match="has no MDM"):
        looked_from_the_path(home)


def test_another_copy_of_mdm_than_the_installed_one_is_a_warning(
    make_python: MakePython, home: Path, tmp_path: Path
) -> None:
    python = make_python()
    shutil.copytree(site_of(python) / "mdm", tmp_path / "checkout" / "mdm")
    (site_of(python) / "aaa.pth").write_text(f"import sys; sys.path.insert(0, {str(tmp_path / 'checkout')!r})\n")
    (found,) = (each for each in look(python, home) if each.code == "incompatible-dependencies.shadowed")
    assert found.severity is WARN
    assert f"imports MDM from {tmp_path / 'checkout' / 'mdm'}, and not from {site_of(python) / 'mdm'}" in found.message
    (site_of(python) / "aaa.pth").unlink()
    assert not any(each.code == "incompatible-dependencies.shadowed" for each in look(python, home))


def test_an_editable_installation_is_no_other_copy(make_python: MakePython, home: Path, tmp_path: Path) -> None:
    python = make_python()
    shutil.move(site_of(python) / "mdm", tmp_path / "tree" / "src" / "mdm")
    (site_of(python) / "mdm.pth").write_text(f"{tmp_path / 'tree' / 'src'}\n", encoding="utf-8")
    origin = json.dumps({"url": (tmp_path / "tree").as_uri(), "dir_info": {"editable": True}})
    next(site_of(python).glob("mdm-*.dist-info")).joinpath("direct_url.json").write_text(origin, encoding="utf-8")
    assert not any(each.code == "incompatible-dependencies.shadowed" for each in look(python, home))
    shutil.copytree(tmp_path / "tree" / "src" / "mdm", tmp_path / "older" / "mdm")
    (site_of(python) / "aaa.pth").write_text(f"{tmp_path / 'older'}\n", encoding="utf-8")
    assert any(each.code == "incompatible-dependencies.shadowed" for each in look(python, home))


WRAPPERS = [
    pytest.param("#!/bin/sh", "exec {python} -m mdm\n", "No module named mdm.__main__", id="no-main"),
    pytest.param("#!/bin/sh", "exec {python}.gone -m mdm\n", "ended with exit code 127", id="no-interpreter"),
    pytest.param("#!/usr/bin/env bash", "set -e\n. /opt/gone/activate\nmdm-real\n", "/opt/gone/activate", id="sourced"),
    pytest.param("#!/bin/bash", "exit 1\n", "ended with exit code 1 when asked for --help", id="exit"),
    pytest.param("#!/bin/bash", "kill -KILL $$\n", "was killed by SIGKILL", id="killed"),
    pytest.param("#!/bin/sh", "true\n", "prints nothing", id="silent"),
    pytest.param("", "", "prints nothing", id="empty"),
    pytest.param("", "exec {python} -c 'import mdm.absent'\n", "No module named 'mdm.absent'", id="no-first-line"),
]


@pytest.mark.parametrize(("first_line", "body", "says"), WRAPPERS)
def test_a_wrapper_that_cannot_start_is_a_failure(
    make_python: MakePython, home: Path, path_with: Path, first_line: str, body: str, says: str
) -> None:
    python = make_python({"mdm/cli/main.py": "def main():\n    return 0\n"})
    command = command_of(path_with, first_line, body.format(python=python))

    found = next(each for each in looked_from_the_path(home) if each.code == "incompatible-dependencies.not-starting")

    assert found.severity is FAIL
    assert says in found.message
    assert str(command) in found.message


HELP = "echo ' ML Data Manager - Streamline your ML data pipeline'\n"


def test_a_wrapper_that_starts_leads_to_its_interpreter(make_python: MakePython, home: Path, path_with: Path) -> None:
    python = make_python({"mdm/__main__.py": "print('ML Data Manager')\n"})
    command_of(path_with, "#!/bin/sh", f'MODULE=mdm\nexec {python} -m "$MODULE" "$@"\n')
    command = find_command()
    assert command is not None

    behind = interpreter_behind(command, 60)

    assert behind == python
    installation = probe(behind, home, 60, {"PATH": os.environ["PATH"]})
    assert list(judge(observe(installation, Options(home=home), read_settings(home, {})))) == []


def test_a_wrapper_whose_interpreter_stays_hidden_is_no_skip(home: Path, path_with: Path) -> None:
    command_of(path_with, "#!/bin/sh", HELP)
    facts = observe(None, Options(home=home), read_settings(home, {}))
    assert "--mdm-python" in facts.unexamined[0]

    command_of(path_with, "#!/bin/sh", "echo 'mdm: mail delivery manager'\n")
    with pytest.raises(NotApplicable, match="is another program"):
        observe(None, Options(home=home), read_settings(home, {}))

    command_of(path_with, "#!/bin/sh", "sleep 60\n")
    facts = observe(None, Options(home=home, timeout=1), read_settings(home, {}))
    assert "did not finish in time" in facts.unexamined[0]


def test_a_whole_run_reports_it_and_leaves_the_home_unchanged(
    make_python: MakePython,
    make_home: Callable[..., Path],
    examine: Callable[..., Result],
    tree: Callable[[Path], object],
) -> None:
    home = make_home("mdm-1.0.6-duckdb", "real")
    python = make_python({"mdm/storage/sqlite.py": BROKEN})
    before = tree(home)

    result = examine(CHECK, home, python=str(python))

    assert tree(home) == before
    assert result.status is Status.FAIL
    assert result.examined > 10
    assert [found.code for found in result.findings] == ["incompatible-dependencies.not-importable"]
    assert result.facts["python"] == str(python)
