from __future__ import annotations

import os
import shlex
import shutil
import signal
import venv
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from pytest_mdm_health.checks.incompatible_dependencies import judge, observe
from pytest_mdm_health.mdm.interpreter import probe
from pytest_mdm_health.mdm.settings import read_settings
from pytest_mdm_health.model import Finding, NotApplicable, Result, Severity, Status
from pytest_mdm_health.options import Options

CHECK = "incompatible-dependencies"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
BROKEN = "import no_such_thing\n"
FITTING = {"pandas": "2.3.1\nnumpy>=1.26", "numpy": "2.2.0", "sqlalchemy": "2.0.41", "duckdb-engine": "0.17.0"}


class MakePython(Protocol):
    def __call__(self, files: dict[str, str] | None = None, **more: object) -> Path: ...


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
    return list(judge(facts, None))


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
        command="pip install no_such_thing",
    ),
    Case(
        "incompatible-dependencies.not-importable", FAIL,
        lambda python: install(python, "setuptools", module="pkg_resources"),
        files={"mdm/features/generator.py": "import profiling\n", "profiling.py": "import pkg_resources\n"},
        says="No module named 'pkg_resources'", command="pip install 'setuptools<81'",
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
        command="pip install --force-reinstall --no-cache-dir engine",
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
        says="mdm.rare cannot be imported once a call gets there",
    ),
    Case(
        "incompatible-dependencies.not-installed", WARN, lambda python: install(python, "openpyxl"),
        files={"mdm/storage/sqlite.py": "def f():\n    import openpyxl\n"}, says="MDM imports openpyxl only when",
        requires=(), command="pip install openpyxl",
    ),
    Case(
        "incompatible-dependencies.left-over", NOTE, lambda python: (site_of(python) / "mdm" / "old.py").unlink(),
        files={"mdm/old.py": BROKEN}, says="mdm.old cannot be imported, and nothing in this release uses it",
    ),
    Case(
        "incompatible-dependencies.missing", FAIL, lambda python: install(python, "psutil", "6.0"),
        requires=("psutil>=5",), says="mdm requires psutil>=5, which is not installed.",
        command="pip install 'psutil>=5'",
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
        says="mdm requires pandas>=2, but installed is 1.5.", command="pip install 'pandas>=2'",
    ),
    Case(
        "incompatible-dependencies.version", NOTE, lambda python: install(python, "numpy", "2.0"),
        distributions={"unrelated": "1\nnumpy>=2", "numpy": "1.0"}, says="unrelated requires numpy>=2",
    ),
    Case(
        "incompatible-dependencies.python", WARN, lambda python: install(python, "mdm", "1.0.7"),
        requires_python="<3.9", says="MDM needs Python <3.9; its interpreter is 3.",
    ),
    Case(
        "incompatible-dependencies.known-trouble", FAIL, lambda python: install(python, "sqlalchemy", "2.0.41"),
        requires=("duckdb-engine", "sqlalchemy"), distributions={"duckdb-engine": "0.17.0", "sqlalchemy": "2.1.9"},
        says="With duckdb-engine 0.17.0 and sqlalchemy 2.1.9, registering", command="pip install 'sqlalchemy<2.1'",
    ),
)  # fmt: skip


def test_a_healthy_installation_has_no_finding(make_python: MakePython, home: Path) -> None:
    python = make_python(requires=("pandas>=2", "sqlalchemy>=2", "duckdb-engine"), distributions=FITTING)

    assert look(python, home) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.severity.value}-{case.says[:12]}")
def test_a_damaged_installation_is_found_and_a_repaired_one_is_not(
    make_python: MakePython, home: Path, case: Case
) -> None:
    settings: dict[str, Any] = asdict(case)
    options = {name: settings[name] for name in ("files", "requires", "requires_python")}
    python = make_python(**options, distributions={**case.distributions, "pip": "24.0"})

    (found,) = look(python, home)

    assert (found.code, found.severity) == (case.code, case.severity)
    assert case.says in found.message
    assert case.command in " ".join(found.remedy.commands)

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


def test_commands_use_mdms_own_interpreter_and_the_installer_that_is_there(make_python: MakePython, home: Path) -> None:
    without = make_python(requires=("psutil",), name="has no pip")
    having = make_python(requires=("psutil",), name="has pip", distributions={"pip": "24.0"})

    assert look(without, home)[0].remedy.commands == (f"uv pip install --python {shlex.quote(str(without))} psutil",)
    assert look(having, home)[0].remedy.commands == (f"{shlex.quote(str(having))} -m pip install psutil",)


def test_mdm_itself_is_installed_again_from_where_it_came(make_python: MakePython, home: Path) -> None:
    python = make_python({"mdm/storage/sqlite.py": "import mdm.lost\n"}, distributions={"pip": "24.0"})
    assert "not from PyPI" in look(python, home)[0].remedy.text

    origin = '{"url": "file:///opt/my%20mdm", "dir_info": {}}'
    next(site_of(python).glob("mdm-*.dist-info")).joinpath("direct_url.json").write_text(origin, encoding="utf-8")

    assert look(python, home)[0].remedy.commands[0].endswith("install --force-reinstall --no-deps '/opt/my mdm'")


def test_an_import_that_takes_too_long_is_a_warning_and_repaired_by_waiting(
    make_python: MakePython, home: Path
) -> None:
    python = make_python({"mdm/storage/sqlite.py": "import time\ntime.sleep(2)\n"})

    found = look(python, home, timeout_s=1)

    assert [(each.code, each.severity) for each in found] == [("incompatible-dependencies.unfinished", WARN)]
    assert "importtime" in found[0].remedy.commands[0]
    assert look(python, home, timeout_s=30) == []


def test_versions_that_do_not_go_together_are_a_note_where_nothing_uses_them(
    make_python: MakePython, home: Path
) -> None:
    python = make_python(
        requires=("duckdb-engine", "sqlalchemy"), distributions={"duckdb-engine": "0.17.0", "sqlalchemy": "2.1.9"}
    )
    (home / "mdm.yaml").unlink()

    assert [(each.code, each.severity) for each in look(python, home)] == [
        ("incompatible-dependencies.known-trouble", NOTE)
    ]


def test_an_interpreter_that_is_gone_is_found_and_once_repaired_is_not(
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
    assert [each.message.split("; ")[1] for each in found] == ["installed is 2.0.41.", "it is not installed."]
    assert [each.location and each.location.line for each in found] == [2, 3]
    assert f"-r {file}" in found[0].remedy.commands[0]

    install(python, "sqlalchemy", "2.0.40")
    install(python, "ghost", "1")
    assert look(python, home, file) == []


def test_a_migration_that_contradicts_mdm_is_found_and_repaired_in_its_file(
    make_python: MakePython, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "r.txt"
    file.write_text("sqlalchemy==1.4.54\n", encoding="utf-8")
    python = make_python(requires=("sqlalchemy>=2",), distributions=FITTING)

    found = look(python, home, file)

    codes = {"incompatible-dependencies.contradiction", "incompatible-dependencies.migration-requirements"}
    assert {each.code for each in found} == codes
    assert any("but MDM itself needs sqlalchemy>=2" in each.message for each in found)
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


def test_without_an_mdm_the_check_does_not_apply_and_says_what_to_give(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="--mdm-python"):
        observe(None, Options(home=home), read_settings(home, {}))
    with pytest.raises(NotApplicable, match="has no MDM; name MDM's interpreter with --mdm-python"):
        look(make_bare_python(tmp_path), home)


def make_bare_python(folder: Path) -> Path:
    venv.create(folder / "bare", with_pip=False, symlinks=True)
    return folder / "bare" / "bin" / "python"


def test_a_whole_run_says_what_is_wrong_and_leaves_the_home_alone(
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
