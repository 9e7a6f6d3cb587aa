from __future__ import annotations

import os
import pickle
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pytest

from pytest_mdm_health.mdm.installed.import_graph import Use
from pytest_mdm_health.mdm.installed.installation import Failure, Installation
from pytest_mdm_health.mdm.installed.interpreter import probe

TIMEOUT_S = 60


class MakePython(Protocol):
    def __call__(self, files: dict[str, str] | None = None, **more: object) -> Path: ...


@pytest.fixture
def examined(tmp_path: Path) -> Path:
    """A home with settings, to be left alone."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "mdm.yaml").write_text("performance: {batch_size: 500}\n", encoding="utf-8")
    return home


def ask(
    python: Path, home: Path, environ: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
) -> Installation:
    return probe(python, home, timeout_s, {"PATH": os.environ["PATH"], **(environ or {})})


def test_a_sound_installation_is_described_in_full(make_python: MakePython, examined: Path) -> None:
    python = make_python(requires=("pandas>=2", "numpy"), distributions={"pandas": "2.3.1\nnumpy>=1.26"})

    found = ask(python, examined)

    assert found.error is None
    assert found.is_ml_data_manager
    assert (found.version, found.python_version) == ("1.0.6", ".".join(map(str, sys.version_info[:3])))
    assert found.distributions["mdm"].requires == ("pandas>=2", "numpy")
    assert found.distributions["pandas"].version == "2.3.1"
    assert found.environment["sys_platform"] == sys.platform
    assert {name: module.failure for name, module in found.modules.items() if module.failure} == {}
    assert "mdm.dataset.registrar" in found.modules


def test_every_module_that_does_not_import_is_named_with_reason(make_python: MakePython, examined: Path) -> None:
    python = make_python(
        {"mdm/storage/duckdb.py": "import no_such_engine\n", "mdm/storage/odd.py": "raise SystemExit(3)\n"}
    )

    modules = ask(python, examined).modules

    expected = Failure(
        "ModuleNotFoundError", "No module named 'no_such_engine'", "no_such_engine", "mdm.storage.duckdb"
    )
    assert modules["mdm.storage.duckdb"].failure == expected
    assert modules["mdm.storage.odd"].failure == Failure("SystemExit", "3", None, "mdm.storage.odd")
    assert modules["mdm.storage.sqlite"].failure is None


def test_leftover_modules_are_distinguished_from_needed_ones(make_python: MakePython, examined: Path) -> None:
    broken = "import no_such_thing\n"
    python = make_python({"mdm/features/generator.py": broken, "mdm/old.py": broken})

    modules = ask(python, examined).modules

    assert modules["mdm.features.generator"].use is Use.ALWAYS
    assert modules["mdm.old"].use is Use.NEVER


def test_what_is_imported_late_and_not_there_is_missing(make_python: MakePython, examined: Path) -> None:
    late = (
        "def read():\n    import no_excel\n    import json\n    from mdm import MDMClient\n    from mdm.lost import x\n"
    )
    python = make_python({"mdm/storage/sqlite.py": late})

    found = ask(python, examined)

    assert found.missing == {"no_excel": Use.ON_CALL, "mdm.lost": Use.ON_CALL}
    assert found.modules["mdm.storage.sqlite"].failure is None


def test_a_module_that_kills_the_interpreter_hides_no_other(make_python: MakePython, examined: Path) -> None:
    crash = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
    python = make_python({"mdm/dataset/crash.py": crash, "mdm/dataset/later.py": "import no_such_thing\n"})

    found = ask(python, examined)

    assert str(found.modules["mdm.dataset.crash"].failure) == "Crash: the interpreter was killed by SIGSEGV"
    assert found.modules["mdm.dataset.later"].failure is not None
    assert found.modules["mdm.storage.sqlite"].failure is None
    assert found.error is None


NEEDS_MEMORY = "buffer = bytearray(2**36)\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not limit the address space")
def test_a_memory_limit_of_the_run_is_no_fault_of_a_package(make_python: MakePython, examined: Path) -> None:
    python = make_python({"mdm/dataset/large.py": NEEDS_MEMORY})
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**34, before[1]))
    try:
        found = ask(python, examined)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)

    large = found.modules["mdm.dataset.large"].failure
    assert large is not None
    assert large.unfinished
    assert "no more than 16 GiB of memory (ulimit -v), and it ended with MemoryError" in large.message


def test_warnings_that_are_errors_to_the_tester_are_none_to_mdm(
    make_python: MakePython, examined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    python = make_python({"mdm/dataset/old.py": "import warnings\nwarnings.warn('old', DeprecationWarning)\n"})

    found = probe(python, examined, 60)

    assert found.modules["mdm.dataset.old"].failure is None


def test_a_module_that_never_finishes_importing_is_named_in_time(make_python: MakePython, examined: Path) -> None:
    python = make_python({"mdm/dataset/slow.py": "import time\ntime.sleep(600)\n"})
    started = time.perf_counter()

    found = ask(python, examined, timeout_s=3)

    assert time.perf_counter() - started < 120
    slow = found.modules["mdm.dataset.slow"].failure
    assert slow is not None
    assert slow.unfinished
    assert "did not finish in time" in slow.message
    assert found.modules["mdm.config"].failure is None
    assert found.error is not None


def test_modules_that_only_run_as_programs_are_not_imported(
    make_python: MakePython, examined: Path, tmp_path: Path
) -> None:
    python = make_python({"mdm/__main__.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n"})

    ask(python, examined)

    assert not (tmp_path / "ran").exists()


def test_the_settings_are_those_of_the_home_and_the_environment(make_python: MakePython, examined: Path) -> None:
    settings = ask(make_python(), examined, {"MDM_PERFORMANCE_BATCH_SIZE": "700"}).settings

    assert settings.source == "mdm.config.get_config"
    assert settings.values == {"text": "performance: {batch_size: 500}\n", "size": "700", "password": "***"}
    assert settings.failure is None


def test_bad_settings_are_not_blamed_on_modules(make_python: MakePython, examined: Path) -> None:
    eager = (
        "from mdm.config import get_config\nif get_config()['text'] or get_config()['size']:\n    raise ValueError\n"
    )
    python = make_python({"mdm/features/generator.py": eager})

    found = ask(python, examined, {"MDM_PERFORMANCE_BATCH_SIZE": "700"})

    assert found.modules["mdm.features.generator"].failure is None


def test_the_newer_settings_function_is_asked_first(make_python: MakePython, examined: Path) -> None:
    source = (
        "CONFIG_TYPE = 'new'\n"
        "class Settings:\n    def model_dump(self, mode): return {'database': {'url': 'postgresql://ml:pw@db/x'}}\n"
        "def get_settings(): return Settings()\ndef get_config(): ...\n"
    )

    found = ask(make_python({"mdm/config.py": source}), examined)

    assert found.settings.source == "mdm.config.get_settings"
    assert found.settings.values == {"database": {"url": "postgresql://ml:***@db/x"}}
    assert found.config_type == "new"


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        (
            "def get_config(): raise ValueError('batch_size: password=hunter2 is too small')\n",
            "ValueError: batch_size: password=*** is too small",
        ),
        ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'"),
    ],
)
def test_settings_that_mdm_refuses_are_reported_with_its_words(
    make_python: MakePython, examined: Path, source: str, failure: str
) -> None:
    settings = ask(make_python({"mdm/config.py": source}), examined).settings

    assert settings.values is None
    assert str(settings.failure) == failure


def test_an_mdm_that_writes_everywhere_leaves_the_home_unchanged(
    make_python: MakePython, examined: Path, tree: Callable[[Path], object]
) -> None:
    source = (
        "import os, pathlib, sqlite3\n"
        "def attempt(action, *arguments):\n"
        "    try: action(*arguments)\n"
        "    except OSError: pass\n"
        f"places = [os.environ['MDM_HOME_DIR'], pathlib.Path.home() / '.mdm', {str(examined)!r}]\n"
        "for place in map(pathlib.Path, places):\n"
        "    attempt(os.makedirs, place / 'logs')\n"
        "    attempt(os.utime, place / 'mdm.yaml', (1, 1))\n"
        "    attempt(getattr(os, 'setxattr', print), place / 'mdm.yaml', 'user.mdm', b'x')\n"
        "    attempt((place / 'mdm.log').write_text, 'x')\n"
        "    attempt((place / 'mdm.yaml').write_text, 'x')\n"
        "    attempt(os.remove, place / 'mdm.yaml')\n"
        "    attempt(os.rename, place / 'mdm.yaml', place / 'other')\n"
        "    attempt(os.chmod, place / 'mdm.yaml', 0)\n"
        "    attempt(sqlite3.connect, place / 'metrics.db')\n"
        "attempt(os.symlink, 'loop', 'loop')\n"
        "attempt(open, 'loop', 'w')\n"
        "def get_config(): return {'home': os.environ['MDM_HOME_DIR']}\n"
    )
    python = make_python({"mdm/config.py": source, "mdm/features/generator.py": source})
    before = tree(examined)

    found = ask(python, examined, {"MDM_HOME_DIR": str(examined), "HOME": str(examined.parent)})

    assert tree(examined) == before
    assert found.modules["mdm.features.generator"].failure is None
    assert found.settings.values is not None
    assert str(examined) not in str(found.settings.values)
    assert not (examined.parent / ".mdm").exists()


def test_asking_leaves_no_compiled_files_behind(make_python: MakePython, examined: Path) -> None:
    python = make_python()

    ask(python, examined)

    assert list(python.parent.parent.rglob("__pycache__")) == []


def test_what_mdm_prints_does_not_disturb_the_answers(make_python: MakePython, examined: Path) -> None:
    python = make_python({"mdm/features/generator.py": "import os\nprint('{}' * 100000)\nos.write(1, b'noise')\n"})

    assert ask(python, examined).error is None


def test_the_interfaces_of_this_version_are_known(make_python: MakePython, examined: Path) -> None:
    apis = ask(make_python(), examined).apis

    assert {name for name, there in apis.items() if there} == {
        "mdm.config.get_config",
        "mdm.api.MDMClient.load_dataset",
    }
    assert apis["mdm.storage.get_backend"] is False


def test_the_commands_are_listed_without_running_any(make_python: MakePython, examined: Path) -> None:
    program = (
        "class Group:\n    def __init__(self, **commands): self.commands = commands\n"
        "class Command:\n    def __call__(self): raise SystemExit('ran')\n"
        "app = Group(version=Command())\n"
        "def ensure_subcommands(): app.commands['dataset'] = Group(register=Command(), list=Command())\n"
    )
    typer = {"typer/__init__.py": "", "typer/main.py": "def get_command(app): return app\n"}

    found = ask(make_python({"mdm/cli/main.py": program, **typer}), examined)

    assert found.commands == ("dataset list", "dataset register", "version")
    assert found.offers("dataset list")
    assert not found.offers("config validate")


def test_another_distribution_of_the_same_name_is_recognised(
    make_python: MakePython, examined: Path, tmp_path: Path
) -> None:
    python = make_python(name="other", distributions={"mdm": "0.3"})
    (site,) = (tmp_path / "other").glob("lib/python3*/site-packages")
    for mark in ("config.py", "dataset", "features", "models", "storage"):
        (site / "mdm" / mark).rename(site / f"gone-{mark}")

    found = ask(python, examined)

    assert not found.is_ml_data_manager
    assert found.other_distribution == "mdm 0.3"
    assert found.version is None
    assert found.modules == {}
    assert found.error is None


def test_an_interpreter_without_mdm_says_so(tmp_path: Path, examined: Path, make_python: MakePython) -> None:
    python = make_python(name="bare")
    (site,) = (tmp_path / "bare").glob("lib/python3*/site-packages")
    (site / "mdm").rename(site / "not-mdm")
    (site / "mdm-1.0.6.dist-info").rename(site / "not-mdm-info")

    found = ask(python, examined)

    assert (found.is_ml_data_manager, found.other_distribution, found.error) == (False, None, None)


def test_a_relative_python_path_still_holds(
    make_python: MakePython, examined: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "extra.py").touch()
    monkeypatch.chdir(tmp_path)
    python = make_python({"mdm/features/generator.py": "import extra\n"})

    assert ask(python, examined, {"PYTHONPATH": "src"}).modules["mdm.features.generator"].failure is None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be started: No such file or directory"),
        (
            "#!/bin/sh\necho something else\n",
            "does not answer as a Python does: it ended with exit code 0: something else",
        ),
        ("#!/bin/sh\nexec sleep 600\n", "does not answer as a Python does: it did not finish in time and was stopped"),
    ],
)
def test_a_program_that_is_no_python_is_reported(
    tmp_path: Path, examined: Path, content: str | None, error: str
) -> None:
    program = tmp_path / "program"
    if content:
        program.write_text(content, encoding="utf-8")
        program.chmod(0o755)

    found = ask(program, examined, timeout_s=1.5)

    assert found.error == f"{program} {error}"
    assert found.modules == {}


def test_settings_that_are_no_file_do_not_hold_anything_up(make_python: MakePython, tmp_path: Path) -> None:
    home = tmp_path / "odd"
    home.mkdir()
    os.mkfifo(home / "mdm.yaml")

    found = ask(make_python(), home)

    assert found.settings.values == {"text": "", "size": None, "password": "***"}


def test_the_description_travels_between_processes(make_python: MakePython, examined: Path) -> None:
    found = ask(make_python(), examined)

    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
