"""What all tests share: real homes, fresh for each test."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
from hypothesis import settings

from pytest_mdm_health.baseline.file import Baseline
from pytest_mdm_health.baseline.inputs import ComparisonInputs
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Remedy, Result, Severity, Target
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.plan import BaselineDataset
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.engine.run import Run
from pytest_mdm_health.engine.sandbox import Sandbox
from tests.helpers import LEAN, Health, MakeHome, Tree
from tests.postgres import VARIANTS
from tests.printed import complaints
from tests.produced import ProducedFindings, claim, register_findings
from tests.watched import unchanged

# No deadline: how fast a machine is says nothing about what is true. `--hypothesis-profile=full` is for run.sh --full.
settings.register_profile("fast", deadline=None, max_examples=20)
settings.register_profile("full", deadline=None, max_examples=300)
settings.load_profile("fast")

HERE = Path(__file__).parent
ARCHIVES = {
    **{path.name.removesuffix(".tar.gz"): path for path in (HERE / "homes").glob("*.tar.gz")},
    "mdm-1.0.6-sqlite": HERE.parent / "examples" / "mdm-1.0.6-sqlite.tar.gz",
}
HOMES = tuple(sorted(name for name in ARCHIVES if name.startswith("mdm-")))
ONLY_FULL = frozenset({*HOMES, *VARIANTS} - {"mdm-0.1.0-duckdb", "mdm-1.0.6-sqlite", "debian"})
"""Parameters of slow tests: left are both versions of MDM, both engines with files, and one server."""


def pytest_configure(config: pytest.Config) -> None:
    documented = {id_: [f"{id_}.{code}" for code in each.documentation.findings] for id_, each in load().items()}
    config.pluginmanager.register(ProducedFindings(documented, HERE / "checks"))
    config.addinivalue_line("markers", "home_moves: somebody changes the home while it is examined")


@pytest.fixture(scope="session", autouse=True)
def _lean_runs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_ADDOPTS", LEAN)
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # else each run compiles everything again
        yield


@pytest.fixture(scope="session")
def _unpack(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, Path], Path]:
    """Unpack a recorded home as the example does: each archive once, of which copies are made."""
    unpack, unpacked = _example(), tmp_path_factory.mktemp("unpacked")

    def copy(archive: Path, folder: Path) -> Path:
        template = unpacked / archive.name / "home"
        if not template.exists():
            unpack(archive, template)
        shutil.copytree(template, folder)
        for file in sorted((*folder.rglob("*.yaml"), *folder.rglob("*.json"))):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(str(template), str(folder)).replace(str(template.parent), str(folder.parent)))
        return folder

    return copy


def _example() -> Callable[[Path, Path], Path]:
    spec = importlib.util.spec_from_file_location("unpack_example", HERE.parent / "examples" / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Callable[[Path, Path], Path]", module.unpack)


@pytest.fixture
def make_home(tmp_path: Path, _unpack: Callable[[Path, Path], Path]) -> MakeHome:
    """Unpack a real home, by default the one after the refactoring on SQLite: `make_home("mdm-0.1.0-duckdb")`."""

    def make(name: str = "mdm-1.0.6-sqlite", folder: str = "home") -> Path:
        return _unpack(ARCHIVES[name], tmp_path / folder)

    return make


@pytest.fixture
def home(make_home: MakeHome) -> Path:
    """A healthy real home, free to damage."""
    return make_home()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test of several real homes or servers runs on one of each kind in the fast tier, on the others in the full."""
    for item in items:
        parameters = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        if any(each in ONLY_FULL for each in parameters if isinstance(each, str)):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(params=HOMES)
def each_home(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    """Each of the real homes in turn."""
    return make_home(request.param)


Watching = Callable[..., "contextlib.AbstractContextManager[None]"]


@pytest.fixture
def watching(request: pytest.FixtureRequest) -> Watching:
    """`with watching(home):` fails if anything in the home is another afterwards.

    Not in a test marked `home_moves`, in which somebody changes the home on purpose while it is examined.
    """

    @contextlib.contextmanager
    def watch(*homes: Path) -> Iterator[None]:
        with contextlib.ExitStack() as watched:
            if request.node.get_closest_marker("home_moves") is None:
                for home in homes:
                    watched.enter_context(unchanged(home))
            yield

    return watch


@pytest.fixture
def pytester(pytester: pytest.Pytester, watching: Watching, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The tool for testing plugins, with an eye on each home that a run examines and on each command that it prints.

    What is printed is found in the JSON, if the run writes one. pytest's own fixture takes `PYTEST_ADDOPTS` away.
    """
    monkeypatch.setenv("PYTEST_ADDOPTS", LEAN)
    for name in ("run", "runpytest_inprocess"):
        monkeypatch.setattr(pytester, name, _watched(getattr(pytester, name), watching))
    return pytester


def _watched(run: Health, watching: Watching) -> Health:
    """A way to run pytest, watched."""

    def watched(*args: str | os.PathLike[str], **named: Any) -> pytest.RunResult:  # noqa: ANN401 - as pytest has it
        given = [os.fspath(each) for each in args]
        with watching(*map(Path, _values_of("--mdm-home", given))):
            result = run(*args, **named)
        for file in filter(os.path.isfile, _values_of("--mdm-json", given)):
            text = Path(file).read_text(encoding="utf-8")
            results = json.loads(text)["results"] if text.startswith("{") else []  # else the run wrote none
            found = [_finding_of(each) for one in results for each in one["findings"]]
            register_findings(each.code for each in found)
            assert not (wrong := list(complaints(found))), "\n".join(wrong)
        return result

    return watched


def _values_of(option: str, given: Sequence[str]) -> list[str]:
    """What an option of a command line was given, absolute paths only: the folder of the run is not known here."""
    values = [each.partition("=")[2] for each in given if each.startswith(f"{option}=")]
    values += [value for name, value in itertools.pairwise(given) if name == option]
    return [each for each in values if Path(each).is_absolute()]


def _finding_of(given: Mapping[str, Any]) -> Finding:
    """A finding as the JSON has it, as far as its commands go."""
    remedy = Remedy(given["remediation"]["text"], tuple(given["remediation"]["commands"]))
    return Finding(given["code"], Severity(given["severity"]), given["message"], remedy)


@pytest.fixture
def health(pytester: pytest.Pytester, health_here: Health, home: Path) -> Health:
    """Run `pytest --mdm-health` in an empty folder, on the healthy home unless the options say otherwise.

    It runs in the process of the test, which takes half the time, and in its own where it starts workers. What needs a
    process of its own takes `health_alone`.
    """
    pytester.syspathinsert()  # as `python -m pytest` does

    def run(*args: str | Path) -> pytest.RunResult:
        if any(str(each).startswith("-n") for each in args):
            return pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", *args)
        return health_here(*args)

    return run


@pytest.fixture
def health_alone(pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch) -> Health:
    """As `health`, always in a process of its own: for what only counts there, or would harm the tests'."""
    _without_options(monkeypatch)

    def run(*args: str | Path) -> pytest.RunResult:
        return pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={home}", *args)

    return run


@pytest.fixture(autouse=True)
def _commands_are_proven(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hold what the tests of checks have judged in their own process to what may be printed, and register it."""
    if request.path.parent != HERE / "checks":
        yield
        claim(request.node)
        return
    made: list[Finding] = []
    make, examine = Check.finding, Run.result

    def keeping(*arguments: Any, **named: Any) -> Finding:  # noqa: ANN401 - whatever it takes
        made.append(make(*arguments, **named))
        return made[-1]

    def registering(*arguments: Any, **named: Any) -> Result:  # noqa: ANN401 - the same
        result = examine(*arguments, **named)
        register_findings(finding.code for finding in result.findings)
        return result

    monkeypatch.setattr(Check, "finding", keeping)
    monkeypatch.setattr(Run, "result", registering)
    yield
    register_findings(finding.code for finding in made)
    claim(request.node)
    assert not (wrong := list(complaints(made))), "\n".join(wrong)


@pytest.fixture
def health_here(pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch) -> Health:
    """As `health`, in the process of the test, which is faster: for what is refused before anything is examined."""
    _without_options(monkeypatch)

    def run(*args: str | Path) -> pytest.RunResult:
        return pytester.runpytest_inprocess("--mdm-health", f"--mdm-home={home}", *args)

    return run


def _without_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MDM_", "PYTEST_MDM_")):
            monkeypatch.delenv(name)


def tree_of(root: Path) -> dict[str, tuple[int, int, int, int, str]]:
    """Every name below a folder with its mode, size, mtime and inode, and the digest of its content."""
    tree = {}
    for path in sorted((root, *root.rglob("*"))):
        info = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
        tree[str(path.relative_to(root))] = (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ino, digest)
    return tree


@pytest.fixture
def tree() -> Tree:
    """What must be the same before and after an examination."""
    return tree_of


@pytest.fixture
def copy_tree() -> Callable[[Path, Path], Path]:
    """Copy a folder with its times."""

    def copy(source: Path, destination: Path) -> Path:
        shutil.copytree(source, destination, symlinks=True)
        return destination

    return copy


Hold = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Another process that runs some code and then stays until the test ends, or until its standard input is closed.

    `hold(f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('BEGIN EXCLUSIVE')")`.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> subprocess.Popen[bytes]:
        waiting = f"import sys\n{code}\nprint('ready', flush=True)\nsys.stdin.read()\n"
        process = subprocess.Popen([sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


class RunMdm(Protocol):
    """Starts a process that looks like MDM."""

    def __call__(
        self, *arguments: str, before: str = "", then: str = ..., home: Path | None = None
    ) -> subprocess.Popen[bytes]: ...


@pytest.fixture
def run_mdm(tmp_path: Path) -> Iterator[RunMdm]:
    """A process with the command line of MDM and some code of the test's in its place, until the test ends.

    `run_mdm("dataset", "register", "shop", before="f = open('x')", then="time.sleep(600)", home=home)` is there when
    `before` has run. Without `then` it waits for its standard input.
    """
    script = tmp_path / "bin" / "mdm"
    running: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: str, before: str = "", then: str = "sys.stdin.read()", home: Path | None = None
    ) -> subprocess.Popen[bytes]:
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"import sys, time\n{before}\nprint('ready', flush=True)\n{then}\n", encoding="utf-8")
        environ = {**os.environ, **({"MDM_HOME_DIR": str(home)} if home else {})}
        command = [sys.executable, str(script), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


class Examine(Protocol):
    """Runs one check as the plugin would."""

    def __call__(
        self,
        check: str,
        home: Path,
        dataset: str | None = None,
        environ: dict[str, str] | None = None,
        server: str | None = None,
        before: Result | None = None,
        expected: Expected | None = None,
        **options: object,
    ) -> Result: ...


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def examine(_sandbox: Sandbox, watching: Watching) -> Examine:
    """Run one check on a home, in the sandbox: `examine("sqlite-locking", home, "shop", depth="full")`.

    `before` is its earlier result, which a baseline would have. Every command that is printed has to look only, or to
    be proven (`tests/proven.py`).
    """

    def run_check(
        check: str,
        home: Path,
        dataset: str | None = None,
        environ: dict[str, str] | None = None,
        server: str | None = None,
        before: Result | None = None,
        expected: Expected | None = None,
        **options: object,
    ) -> Result:
        if before is not None:
            options.setdefault("baseline", home.parent / "before.json")
        given = Options(home=home, **options)  # type: ignore[arg-type] # as the test says
        against = ComparisonInputs(baseline=_baseline(before, home), expected=expected or Expected())
        run = Run(given, environ=environ or {}, sandbox=_sandbox, against=against)
        target = Target(Kind.DATASET, dataset) if dataset else Target(Kind.SERVER, server) if server else HOME
        with watching(home), contextlib.closing(run):
            result = run.result(run.modules[check], target)
        assert not (wrong := list(complaints(result.findings))), "\n".join(wrong)
        return result

    return run_check


def _baseline(before: Result | None, home: Path) -> Baseline | None:
    if before is None:
        return None
    known = [BaselineDataset(before.target.name)] if before.target.kind is Kind.DATASET else []
    still_there = (BaselineDataset(file.stem) for file in (home / "config/datasets").glob("*.yaml"))
    return Baseline(results=(before,), datasets=(*known, *still_there))


MDM_SOURCES = {
    "mdm/__init__.py": "__version__ = '1.0.6'\n",
    "mdm/config.py": (
        "import os, pathlib\n"
        "def get_config():\n"
        "    home = pathlib.Path(os.environ['MDM_HOME_DIR'])\n"
        "    file = home / 'mdm.yaml'\n"
        "    text = file.read_text() if file.exists() else ''\n"
        "    return {'text': text, 'size': os.environ.get('MDM_PERFORMANCE_BATCH_SIZE'), 'password': 'hunter2'}\n"
    ),
    "mdm/api.py": "class MDMClient:\n    def load_dataset(self, name): ...\n",
    "mdm/cli/__init__.py": "",
    "mdm/cli/main.py": "def ensure_subcommands():\n    from mdm.cli import dataset\ndef main(): ...\n",
    "mdm/cli/dataset.py": "from mdm.dataset import registrar\n",
    "mdm/dataset/__init__.py": "",
    "mdm/dataset/registrar.py": "from mdm.storage import sqlite\nfrom mdm.features import generator\n",
    "mdm/features/__init__.py": "",
    "mdm/features/generator.py": "",
    "mdm/models/__init__.py": "",
    "mdm/storage/__init__.py": "from mdm.storage import sqlite\n",
    "mdm/storage/sqlite.py": "",
}


class MakePython(Protocol):
    """Makes an interpreter with a small ML Data Manager in it."""

    def __call__(
        self,
        files: dict[str, str] | None = None,
        requires: tuple[str, ...] = (),
        distributions: dict[str, str] | None = None,
        name: str = "python",
        requires_python: str = ">=3.9",
    ) -> Path: ...


@pytest.fixture
def make_python(tmp_path: Path) -> MakePython:
    """Make a virtual environment in which something like MDM is installed; returns its interpreter.

    `files` are sources to add or replace, `requires` is what MDM says it needs, `distributions` are other things that
    are installed: name to version, with requirements in further lines.
    """

    def make(
        files: dict[str, str] | None = None,
        requires: tuple[str, ...] = (),
        distributions: dict[str, str] | None = None,
        name: str = "python",
        requires_python: str = ">=3.9",
    ) -> Path:
        venv.create(tmp_path / name, with_pip=False, symlinks=True)
        (site,) = (tmp_path / name).glob("lib/python3*/site-packages")
        for path, source in {**MDM_SOURCES, **(files or {})}.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(source, encoding="utf-8")
        ours = {"mdm": "\n".join(("1.0.6", *requires))}
        for distribution, described in {**ours, **(distributions or {})}.items():
            version, *needs = described.split("\n")
            lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
            lines += [f"Requires-Python: {requires_python}"] if distribution == "mdm" else []
            lines += [f"Requires-Dist: {need}" for need in needs]
            info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return tmp_path / name / "bin" / "python"

    return make
