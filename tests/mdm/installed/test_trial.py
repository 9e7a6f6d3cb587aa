"""MDM's generator and the user's code are tried where they can do no harm."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pytest_mdm_health.core.session import current, end_session
from pytest_mdm_health.mdm.installed import trial
from pytest_mdm_health.mdm.installed.trial import BrokenOff, CannotTry
from pytest_mdm_health.mdm.installed.trial_answers import Trial
from tests.made_up_features import CUSTOM, FEATURES

MakePython = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
ROWS = [[number, number * 0.5, f"c{number}"] for number in range(10)]
TABLE = {"columns": ["id", "amount", "name"], "rows": ROWS, "times": [], "judged": 0}
GENERATE = {
    "do": "generate",
    "dataset": "shop",
    **TABLE,
    "types": {"id": "id", "amount": "numeric", "name": "text"},
    "target": None,
    "ids": ["id"],
}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    end_session()


@pytest.fixture
def python(make_python: MakePython) -> Path:
    return make_python(FEATURES)


@pytest.fixture
def load(home: Path, python: Path) -> Callable[..., Trial]:
    """Load a file of custom features with this source."""

    def run(source: str, rows: object = ROWS, timeout_s: float = 20) -> Trial:
        file = home / "config" / "custom_features" / "shop.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        task = {"do": "custom", "dataset": "shop", **TABLE, "rows": rows}
        return trial.attempt(python, home, task, timeout_s, file)

    return run


Load = Callable[..., Trial]


def test_the_generator_makes_features_of_some_rows(python: Path, home: Path) -> None:
    abilities = trial.abilities(python, home, 20)
    assert (abilities.generator, abilities.base, abilities.decorator) == (True, True, False)
    assert abilities.failures == {}
    result = trial.attempt(python, home, GENERATE, 20)
    assert result.how == ""
    assert result.told == {"features": (["amount_double"],), "rows": (10,), "finished": (True,)}


def test_errors_that_the_generator_only_logs_are_heard(python: Path, home: Path) -> None:
    damaged = [*ROWS, [10, {}, "c10"]]
    result = trial.attempt(python, home, {**GENERATE, "rows": damaged}, 20)
    assert result.last("features") == []
    assert result.told["logged"][0].startswith("Error in column 'amount'")


def test_an_exception_of_the_generator_is_told(make_python: MakePython, home: Path) -> None:
    broken = "class FeatureGenerator:\n    def generate_features(self, df):\n        raise KeyError('amount')\n"
    result = trial.attempt(make_python({**FEATURES, "mdm/features/generator.py": broken}), home, GENERATE, 20)
    assert result.last("raised")["error"] == "KeyError"


def test_the_guides_generator_is_asked_for_its_errors(make_python: MakePython, home: Path) -> None:
    other = (
        "class FeatureGenerator:\n    def generate(self, df):\n        return df.copy()\n"
        "    def get_errors(self):\n        return ['amount: too dear']\n"
    )
    result = trial.attempt(make_python({**FEATURES, "mdm/features/generator.py": other}), home, GENERATE, 20)
    assert result.told["logged"] == ("amount: too dear",)


def interpreter() -> psutil.Process:
    """The one that is running."""
    server = current().part(trial._Servers)._server
    assert server is not None
    return psutil.Process(server._process.pid)


def test_the_interpreter_is_started_once_for_many_tasks(python: Path, home: Path) -> None:
    trial.attempt(python, home, GENERATE, 20)
    first = interpreter()
    trial.attempt(python, home, GENERATE, 20)
    assert interpreter() == first
    end_session()
    assert not first.is_running()


def test_a_sound_file_is_loaded_and_what_it_registers_is_run(load: Load) -> None:
    result = load(CUSTOM)
    assert result.how == ""
    assert result.last("stage") == "done"
    assert result.told["classes"] == (["ShopFeatures"],)
    assert result.told["operations"] == (["ratios"],)
    assert result.told["made"] == (["ratios", ["per_piece"]],)


def test_without_rows_a_file_is_only_loaded(load: Load) -> None:
    result = load(CUSTOM, rows=[])
    assert (result.last("stage"), result.last("made")) == ("done", None)


@pytest.mark.parametrize(
    ("source", "stage", "error", "line"),
    [
        ("import no_such_module\n" + CUSTOM, "import", "ModuleNotFoundError", 1),
        ("\nraise SystemExit(3)", "import", "SystemExit", 2),
        (CUSTOM.replace("def _register_operations", "def register"), "construct", "TypeError", None),
        (CUSTOM.replace('{"ratios": self.ratios}', "self.nothing"), "construct", "AttributeError", 6),
    ],
)
def test_where_loading_fails_is_told(load: Load, source: str, stage: str, error: str, line: int | None) -> None:
    result = load(source)
    assert (result.how, result.last("stage")) == ("", stage)
    assert (result.last("raised")["error"], result.last("raised")["line"]) == (error, line)


def test_an_operation_that_fails_is_told_and_the_others_go_on(load: Load) -> None:
    two = CUSTOM.replace('{"ratios": self.ratios}', '{"broken": self.broken, "ratios": self.ratios}')
    result = load(two + "\n    def broken(self, df):\n        return df['nothing']\n")
    assert result.told["failed"][0][0] == "broken"
    assert result.told["failed"][0][1]["error"] == "KeyError"
    assert result.told["made"] == (["ratios", ["per_piece"]],)


def test_what_prints_and_reads_does_not_disturb_the_conversation(load: Load) -> None:
    result = load(
        "import os, sys\nprint('{}', flush=True)\nos.write(1, b'[]\\n')\nprint(sys.stdin.read(), flush=True)\n" + CUSTOM
    )
    assert (result.last("stage"), result.how) == ("done", "")


def test_however_much_it_prints_and_logs_it_comes_to_its_end(load: Load) -> None:
    much = "import logging\nfor _ in range(300):\n    print('x' * 2**20)\n"
    result = load(f"{much}for number in range(5000):\n    logging.error('y' * 1000)\n{CUSTOM}", timeout_s=60)
    assert (result.last("stage"), result.how, len(result.told["logged"])) == ("done", "", 1000)


def test_what_sleeps_is_ended_at_the_time_out(load: Load) -> None:
    started = time.monotonic()
    result = load("import time\ntime.sleep(600)\n", timeout_s=0.5)
    assert result.how == "did not finish in time and was stopped"
    assert time.monotonic() - started < 120
    assert load(CUSTOM).last("stage") == "done"


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("import os\nos._exit(3)", "ended with exit code 3"),
        ("import os\nos._exit(0)", "ended with exit code 0"),
        (CUSTOM.replace("self._operation_registry =", "import os; os._exit(0)\n        x ="), "ended with exit code 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
    ],
)
def test_what_ends_its_process_ends_only_that(load: Load, source: str, how: str) -> None:
    assert load(source).how == how
    assert load(CUSTOM).last("stage") == "done"


@pytest.mark.parametrize(
    ("source", "error", "ends"),
    [
        ("raise SystemExit(3)", "SystemExit", True),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", True),
        ("input()", "EOFError", False),
        ("import builtins\nbuiltins.__dict__.clear()\nlen('')", "NameError", False),
        ("import os, json\nos.write = os._exit = json.dumps = None\n1 / 0", "ZeroDivisionError", False),
    ],
)
def test_an_exception_is_reported_whatever_the_code_does(load: Load, source: str, error: str, ends: bool) -> None:
    result = load(source)
    assert result.raised is not None
    assert (result.how, result.raised.error, result.raised.ends) == ("", error, ends)
    assert result.raised.text().removeprefix(error)[:2] in {"", ": "}
    assert not result.raised.text().endswith(": ")


def test_two_processes_of_one_task_are_one_answer(load: Load) -> None:
    result = load("import os\nos.fork()\n" + CUSTOM)
    assert (result.how, result.last("stage"), result.names("classes")) == ("", "done", ("ShopFeatures",))


KILL_PARENT = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n"
FORGE = """
import glob, json, os, time
answer = {{"code": 0, "told": [["stage", "done"], ["finished", True]], "seconds": 0.1, "secret": ""}}
text = b"".join(json.dumps(each).encode() + b"\\n" for each in {lines})
for name in glob.glob(f"/proc/{{os.getppid()}}/fd/*"):
    try:
        if "pipe" in os.readlink(name):
            os.write(os.open(name, os.O_WRONLY | os.O_NONBLOCK), text)
    except OSError:
        pass
time.sleep(1)
raise ValueError("broken")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /proc")
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(KILL_PARENT, id="killed"),
        pytest.param(FORGE.format(lines="[answer]"), id="answer"),
        pytest.param(FORGE.format(lines="[{'over': True}, answer]"), id="over and answer"),
        pytest.param(FORGE.format(lines="[{'over': True}]"), id="over"),
    ],
)
def test_code_that_answers_for_the_interpreter_is_no_answer(load: Load, source: str) -> None:
    with pytest.raises(BrokenOff):
        load(source)
    assert load(CUSTOM).last("stage") == "done"


def test_what_a_task_writes_among_its_answers_does_not_count(load: Load) -> None:
    source = (
        "import os\nfor number in range(3, 64):\n    try:\n"
        '        os.write(number, b\'["finished", true]\\n["", "finished", true]\\n\')\n'
        "    except OSError:\n        pass\nos._exit(0)\n"
    )
    assert load(source).how == "ended with exit code 0"


def test_a_task_that_the_system_kills_is_known_as_such(load: Load) -> None:
    result = load("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    assert result.was_killed
    assert not load("import os\nos._exit(3)\n").was_killed


LOCKS = "import multiprocessing\nlock = multiprocessing.Lock()\nqueue = multiprocessing.SimpleQueue()\n"


def test_locks_of_multiprocessing_are_available(load: Load) -> None:
    assert load(LOCKS + CUSTOM).last("stage") == "done"


@pytest.mark.parametrize(
    ("source", "attempt"),
    [
        ("raise MemoryError", ""),
        ("open('/etc/mdm-health-test', 'w')", "write to /etc/mdm-health-test"),
        ("import os\nos.setgroups([0, 1])\nraise PermissionError(1, 'Operation not permitted')", "refused here"),
        ("import errno, os\nraise OSError(errno.EROFS, os.strerror(errno.EROFS))", "Read-only file system"),
        ("raise ValueError('of its own')", ""),
    ],
)
def test_what_only_the_trial_refuses_is_told_apart(load: Load, source: str, attempt: str) -> None:
    result = load(source)
    assert result.raised is not None
    assert attempt in result.raised.barred
    assert bool(result.raised.barred) == bool(attempt)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
def test_memory_is_limited(load: Load) -> None:
    result = load("too_much = bytearray(3 * 1024 ** 3)\n")
    assert result.last("raised")["error"] == "MemoryError"
    assert result.ran_out == "it took more memory than a trial may"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no track of such processes")
def test_processes_that_are_left_behind_are_ended(load: Load) -> None:
    source = (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(600)\n"
        "    os._exit(0)\nos.wait()\n"
    )
    load(source + CUSTOM)
    assert interpreter().children(recursive=True) == []


DATABASE = "'/datasets/shop/shop.sqlite'"
WRITES = {
    "open": "open({home!r} + '/mdm.yaml', 'a').write('x')",
    "a new file": "open({home!r} + '/new', 'w')",
    "a folder": "import os\nos.mkdir({home!r} + '/new')",
    "remove": "import os\nos.remove({home!r} + '/mdm.yaml')",
    "rename": "import os\nos.rename({home!r} + '/mdm.yaml', {home!r} + '/other')",
    "mode": "import os\nos.chmod({home!r} + '/mdm.yaml', 0)",
    "times": "import os\nos.utime({home!r} + '/mdm.yaml', (1, 1))",
    "a database": f"import sqlite3\nsqlite3.connect({{home!r}} + {DATABASE}).execute('DELETE FROM train')",
    "over a link": "import os\nos.symlink({home!r}, 'link')\nopen('link/mdm.yaml', 'w')",
}
"""Ways in which Python code writes."""

WRITES_BY_PROGRAMS = {
    "the shell": "import os\nos.system('rm -rf ' + {home!r} + '/config; touch ' + {home!r} + '/new')",
    "a program": "import subprocess\nsubprocess.run(['chmod', '000', {home!r} + '/mdm.yaml'])",
    "the C library": "import ctypes\nctypes.CDLL(None).unlink(({home!r} + '/mdm.yaml').encode())",
    "a mount": "import ctypes\nctypes.CDLL(None).umount2({home!r}.encode(), 0)\n"
    "ctypes.CDLL(None).unlink(({home!r} + '/mdm.yaml').encode())",
}
"""Ways of which Python does not know."""


@pytest.mark.parametrize("name", WRITES)
def test_python_code_cannot_write_in_the_home_and_is_reported(load: Load, home: Path, tree: Tree, name: str) -> None:
    source = WRITES[name].format(home=str(home)).replace("\n", "\n    ")
    load("")
    before = {path: state for path, state in tree(home).items() if "custom_features" not in path and path != "."}
    result = load(f"try:\n    {source}\nexcept OSError as error:\n    print(error)\n{CUSTOM}")
    after = {path: state for path, state in tree(home).items() if "custom_features" not in path and path != "."}
    assert before == after
    assert result.told["wrote"]
    assert result.last("stage") == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such guards")
@pytest.mark.parametrize("name", WRITES_BY_PROGRAMS)
def test_not_even_other_programs_can_write_in_the_home(load: Load, home: Path, tree: Tree, name: str) -> None:
    load("")
    before = {path: state for path, state in tree(home).items() if "custom_features" not in path and path != "."}
    load(WRITES_BY_PROGRAMS[name].format(home=str(home)))
    assert {
        path: state for path, state in tree(home).items() if "custom_features" not in path and path != "."
    } == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such guards")
def test_nor_can_anything_write_elsewhere_but_in_its_own_folder(load: Load, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    result = load(f"open('inside', 'w').write('x')\nopen({str(outside)!r}, 'w')\n")
    assert result.raised is not None
    assert (result.raised.error, result.raised.barred) == ("Refused", f"write to {outside}")
    assert "wrote" not in result.told
    assert not outside.exists()


def test_consequences_of_a_refused_write_are_not_other_errors(load: Load, home: Path) -> None:
    place = str(home / "cache")
    attempt = f"try:\n    open({place!r}, 'w')\nexcept OSError as error:\n    raise ValueError('no cache') from error\n"
    result = load(attempt)
    assert result.raised is not None
    assert (result.raised.error, result.raised.barred) == ("ValueError", f"write to {place}")
    assert result.told["wrote"] == (place,)
    again = load(attempt.replace("raise ValueError('no cache') from error", "pass") + "raise ValueError\n").raised
    assert again is not None
    assert again.barred == ""


@pytest.mark.parametrize(("how", "stage"), [("mode=ro", "import"), ("immutable=1", "done")])
def test_reading_a_database_of_the_home_is_no_writing(load: Load, home: Path, how: str, stage: str) -> None:
    database = f"file:{home}/datasets/shop/shop.sqlite?{how}"
    result = load(f"import sqlite3\nsqlite3.connect({database!r}, uri=True).execute('SELECT 1 FROM train')\n{CUSTOM}")
    assert (result.last("stage"), "wrote" in result.told) == (stage, False)
    assert (result.raised.barred if result.raised else "") in {"", f"write to {database}"}


def test_the_code_sees_a_home_of_its_own(load: Load, home: Path) -> None:
    result = load(
        "import os, pathlib\nassert os.environ['MDM_HOME_DIR'] == str(pathlib.Path.home() / '.mdm'), os.environ\n"
        f"assert not {str(home)!r} in repr(os.environ) + os.getcwd() + __file__\n" + CUSTOM
    )
    assert result.last("stage") == "done"


def test_what_lies_beside_the_file_can_be_read(load: Load, home: Path) -> None:
    (home / "config" / "custom_features").mkdir(parents=True, exist_ok=True)
    (home / "config" / "custom_features" / "rates.txt").write_text("1.5")
    result = load("import pathlib\npathlib.Path(__file__).with_name('rates.txt').read_text()\n" + CUSTOM)
    assert result.last("stage") == "done"


def test_only_settings_about_features_go_with_it(make_python: MakePython, home: Path) -> None:
    (home / "mdm.yaml").write_text(f"paths: {{logs_path: {home}/logs}}\nfeature_engineering: {{enabled: false}}\n")
    telling = (
        "import os, pathlib\nclass FeatureGenerator:\n    def generate_features(self, df):\n"
        "        raise RuntimeError(pathlib.Path(os.environ['MDM_HOME_DIR'], 'mdm.yaml').read_text())\n"
    )
    result = trial.attempt(make_python({**FEATURES, "mdm/features/generator.py": telling}), home, GENERATE, 20)
    assert result.last("raised")["message"] == "feature_engineering:\n  enabled: false\n"


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
        ("import no_such_engine", "ModuleNotFoundError: No module named 'no_such_engine'"),
    ],
)
def test_an_mdm_that_does_not_import_is_told(make_python: MakePython, home: Path, module: str, complaint: str) -> None:
    found = trial.abilities(make_python({**FEATURES, "mdm/features/generator.py": module}), home, 20)
    assert (found.generator, found.base) == (False, True)
    assert found.failures == {"mdm.features.generator": complaint}


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        ("import os\nos._exit(7)", "MDM's interpreter ended with exit code 7"),
        ("import time\ntime.sleep(600)", "MDM's interpreter did not get ready within 1 s"),
    ],
)
def test_an_mdm_that_does_not_get_ready_is_asked_only_once(
    make_python: MakePython, home: Path, module: str, complaint: str
) -> None:
    python = make_python({**FEATURES, "mdm/features/generator.py": module})
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(CannotTry, match=complaint):
            trial.attempt(python, home, GENERATE, 1)
    assert time.monotonic() - started < 0.5


def test_an_interpreter_that_cannot_be_started_is_an_answer(home: Path, tmp_path: Path) -> None:
    with pytest.raises(CannotTry, match="cannot be started: No such file or directory"):
        trial.attempt(tmp_path / "python", home, GENERATE, 5)
    (tmp_path / "false").symlink_to("/bin/false")
    with pytest.raises(CannotTry, match="ended with exit code 1"):
        trial.attempt(tmp_path / "false", home, GENERATE, 5)


def test_nothing_is_left_behind(
    python: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tree: Tree
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    before = tree(home)
    trial.attempt(python, home, GENERATE, 20)
    end_session()
    assert tree(home) == before
    assert list((tmp_path / "temporary").iterdir()) == []
