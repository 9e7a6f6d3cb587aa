"""Custom features that MDM would pass over in silence are found, without the least trust in them."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import crossed
from tests.made_up_features import CUSTOM, FEATURES

CHECK = "custom-features-not-loading"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
MakePython = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]

FUNCTIONS_ONLY = {
    **{name: source for name, source in FEATURES.items() if "custom" not in name},
    "mdm/features/__init__.py": (
        "def custom_feature(name=None, input_columns=(), output_type=None):\n    return lambda function: function\n"
        "def discover_custom_features():\n    return []\n"
    ),
}
"""The guide's MDM, which wants decorated functions."""

DECORATED = (
    "from mdm.features import custom_feature\n"
    "@custom_feature(name='per_piece', input_columns=['amount', 'qty'], output_type=float)\n"
    "def ratio(df):\n    return df['amount'] / df['qty']\n"
)
BARE = "def ratio(df):\n    return df['amount'] / df['qty']\n"


@pytest.fixture
def python(make_python: MakePython) -> str:
    return str(make_python(FEATURES))


def folder(home: Path) -> Path:
    (home / "config" / "custom_features").mkdir(parents=True, exist_ok=True)
    return home / "config" / "custom_features"


def put(home: Path, source: str, name: str = "shop.py") -> Path:
    (folder(home) / name).write_text(source, encoding="utf-8")
    return folder(home) / name


def make_features(home: Path, *columns: str) -> None:
    """Put these columns into the dataset's feature table, as making its features again would."""
    with closing(sqlite3.connect(home / "datasets/shop/shop.sqlite")) as connection:
        for column in columns:
            connection.execute(f"ALTER TABLE train_features ADD COLUMN {column} FLOAT")
        connection.commit()


def findings(result: Result) -> list[tuple[str, Severity]]:
    return [(finding.code, finding.severity) for finding in result.findings]


def the(result: Result, code: str) -> Finding:
    (found,) = (finding for finding in result.findings if finding.code == code)
    return found


def loading(result: Result, place: int = 0) -> dict[str, Any]:
    """How a file fared in MDM's interpreter."""
    files: Any = result.facts["files"]
    return dict(files[place]["loading"] or {})


def test_a_healthy_home_without_custom_features_is_skipped(each_home: Path, examine: Examine, tree: Tree) -> None:
    before = tree(each_home)
    result = examine(CHECK, each_home)
    assert (result.status, result.reason) == (Status.SKIP, "no custom features")
    assert tree(each_home) == before


def test_a_folder_that_is_not_there_is_the_same(home: Path, examine: Examine) -> None:
    for path in (home / "config").glob("custom_features/*"):
        path.unlink()
    if (home / "config/custom_features").exists():
        (home / "config/custom_features").rmdir()
    assert examine(CHECK, home).reason == "no custom features"


def test_a_healthy_file_is_loaded_with_its_features_in_the_table(
    home: Path, python: str, examine: Examine, tree: Tree
) -> None:
    put(home, CUSTOM)
    make_features(home, "per_piece")
    before = tree(home)
    result = examine(CHECK, home, python=python)
    assert tree(home) == before
    assert (result.status, result.findings, result.examined, result.reason) == (Status.PASS, (), 1, "")
    assert loading(result)["operations"] == ["ratios"]


def test_without_an_mdm_only_the_source_is_read(home: Path, examine: Examine) -> None:
    put(home, CUSTOM)
    result = examine(CHECK, home)
    assert (result.status, result.findings) == (Status.PASS, ())
    assert result.reason == "no file was loaded: no MDM was found (see --mdm-python)"


def test_at_the_least_depth_nothing_is_loaded(home: Path, python: str, examine: Examine) -> None:
    put(home, "raise SystemExit\n" + CUSTOM)
    result = examine(CHECK, home, python=python, depth="quick")
    assert (result.status, result.reason) == (Status.PASS, "no file was loaded (see --mdm-depth)")


SOURCES: dict[str, tuple[str, Severity, str]] = {
    "no Python": ("custom-features-not-loading.syntax", FAIL, CUSTOM + "\ndef broken(:\n"),
    "bare functions": ("custom-features-not-loading.bare-functions", FAIL, BARE),
    "nothing": ("custom-features-not-loading.no-features", WARN, "X = 1\n"),
    "another class": ("custom-features-not-loading.no-features", WARN, CUSTOM.replace("(BaseDomainFeatures)", "")),
    "a greedy constructor": (
        "custom-features-not-loading.constructor",
        FAIL,
        CUSTOM + "\n    def __init__(self, name, rate):\n        super().__init__(name)\n",
    ),
    "an abstract class": (
        "custom-features-not-loading.constructor",
        FAIL,
        CUSTOM.replace("def _register_operations", "def register"),
    ),
    "two classes": (
        "custom-features-not-loading.several-classes",
        WARN,
        CUSTOM + "\nclass ZFeatures(ShopFeatures):\n    pass\n",
    ),
}


@pytest.mark.parametrize(("with_mdm", "name"), crossed([True, False], [*SOURCES]))
def test_a_damaged_source_is_found_with_and_without_an_mdm(
    home: Path, python: str, examine: Examine, name: str, with_mdm: bool
) -> None:
    code, severity, source = SOURCES[name]
    make_features(home, "per_piece")
    path = put(home, source)
    options = {"python": python} if with_mdm else {}
    result = examine(CHECK, home, **options)
    assert findings(result) == [(code, severity)]
    assert result.findings[0].message.startswith(f"{path} ")
    assert result.findings[0].remedy.text
    put(home, CUSTOM)
    assert examine(CHECK, home, **options).findings == ()


def test_a_syntax_error_has_its_place(home: Path, python: str, examine: Examine) -> None:
    path = put(home, "x = 1\nif x\n    y\n")
    for options in ({}, {"python": python}):
        location = the(examine(CHECK, home, **options), f"{CHECK}.syntax").location
        assert location is not None
        assert (location.file, location.line) == (str(path), 2)


LOADED: dict[str, tuple[str, Severity, str, str]] = {
    "a missing module": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        "import no_such_module\n" + CUSTOM,
        "fails while it is loaded: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "an exit": (
        "custom-features-not-loading.ends-process",
        FAIL,
        "raise SystemExit(3)\n",
        "ends its process while it is loaded: SystemExit: 3",
    ),
    "a hard exit": (
        "custom-features-not-loading.ends-process",
        FAIL,
        "import os\nos._exit(4)\n",
        "ends its process while it is loaded: it ended with exit code 4",
    ),
    "a hard exit that looks like success": (
        "custom-features-not-loading.ends-process",
        FAIL,
        "import os\nos._exit(0)\n",
        "ends its process while it is loaded: it ended with exit code 0",
    ),
    "an exit while it registers": (
        "custom-features-not-loading.ends-process",
        FAIL,
        CUSTOM.replace("self._operation_registry =", "import sys; sys.exit('enough')\n        x ="),
        "ends its process while its class is instantiated: SystemExit: enough",
    ),
    "a crash": (
        "custom-features-not-loading.ends-process",
        FAIL,
        "import ctypes\nctypes.string_at(0)\n",
        "ends its process while it is loaded: it was killed by SIGSEGV",
    ),
    "a question": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        "answer = input('why?')\n",
        "fails while it is loaded: EOFError: EOF when reading a line",
    ),
    "a loop without an end": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        "while True:\n    pass\n",
        "hangs while it is loaded: its process did not finish in time and was stopped",
    ),
    "a loop while it registers": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        CUSTOM.replace("self._operation_registry =", "while True:\n            pass\n        x ="),
        "hangs while its class is instantiated: its process did not finish in time and was stopped",
    ),
    "a loop while it runs": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        CUSTOM.replace("return {", "while True:\n            pass\n        return {"),
        "hangs while its operations run: its process did not finish in time and was stopped",
    ),
    "builtins that are gone": (
        "custom-features-not-loading.fails-to-load",
        FAIL,
        "import builtins\nbuiltins.__dict__.clear()\n" + CUSTOM,
        "fails while it is loaded: ",
    ),
    "a failing registration": (
        "custom-features-not-loading.constructor",
        FAIL,
        CUSTOM.replace("self.ratios}", "self.nothing}"),
        "which MDM cannot instantiate: AttributeError: 'ShopFeatures' object has no attribute 'nothing'",
    ),
    "no operations": (
        "custom-features-not-loading.no-operations",
        WARN,
        CUSTOM.replace('{"ratios": self.ratios}', "{}"),
        "which registers no operations",
    ),
    "a failing operation": (
        "custom-features-not-loading.operation-fails",
        FAIL,
        CUSTOM.replace("return {", "return df['no such column'] or {"),
        "registers ratios, which fails on the first rows of the dataset: KeyError: 'no such column'",
    ),
    "a feature that was not made yet": (
        "custom-features-not-loading.not-in-table",
        WARN,
        CUSTOM.replace("per_piece", "per_kilo"),
        "creates features that are not in train_features: per_kilo",
    ),
    "an exit while it runs": (
        "custom-features-not-loading.ends-process",
        FAIL,
        CUSTOM.replace("return {", "raise SystemExit\n        return {"),
        "ends its process while its operations run: SystemExit",
    ),
}


LIKE_OTHERS = {
    "a hard exit that looks like success",
    "an exit while it registers",
    "an exit while it runs",
    "a loop while it registers",
    "a loop while it runs",
}
"""What another of them is like, at an earlier or a later moment: for the slow tests."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LIKE_OTHERS else ()) for name in LOADED]
)
def test_what_only_loading_shows_is_found_and_passes_repaired(
    home: Path, python: str, examine: Examine, name: str
) -> None:
    code, severity, source, message = LOADED[name]
    make_features(home, "per_piece")
    put(home, source)
    result = examine(CHECK, home, python=python)
    assert findings(result) == [(code, severity)]
    assert message in the(result, code).message
    put(home, CUSTOM)
    assert examine(CHECK, home, python=python).findings == ()


def test_an_endless_file_is_stopped_and_the_others_are_loaded(home: Path, python: str, examine: Examine) -> None:
    put(home, "import time\ntime.sleep(600)\n")
    put(home, CUSTOM.replace("Shop", "Wine"), "wine.py")
    started = time.monotonic()
    result = examine(CHECK, home, python=python, timeout=20)
    assert time.monotonic() - started < 120
    finding = the(result, "custom-features-not-loading.fails-to-load")
    assert "hangs while it is loaded: its process did not finish in time and was stopped" in finding.message
    assert "MDM has no timeout and would wait forever" in finding.remedy.text
    assert loading(result, 1)["stage"] == "done"


def test_files_for_which_no_time_is_left_are_named(home: Path, python: str, examine: Examine) -> None:
    for number in range(6):
        put(home, "import time\ntime.sleep(600)\n" + CUSTOM, f"{number}.py" if number else "shop.py")
    result = examine(CHECK, home, python=python, timeout=8)
    assert f"there was no time to load {folder(home)}/shop.py (see --mdm-timeout)" in result.reason
    stopped = [finding for finding in result.findings if finding.code.endswith("fails-to-load")]
    assert 1 <= len(stopped) <= 4


def test_a_file_that_tries_to_write_in_the_home_changes_nothing(
    home: Path, python: str, examine: Examine, tree: Tree
) -> None:
    attempts = (
        f"import os, subprocess\nhome = {str(home)!r}\n"
        "for attempt in (lambda: open(home + '/mdm.yaml', 'w'), lambda: os.remove(home + '/mdm.yaml'),\n"
        "                lambda: os.utime(home, (1, 1)), lambda: os.system('rm -rf ' + home)):\n"
        "    try:\n        attempt()\n    except OSError:\n        pass\n"
    )
    put(home, attempts + CUSTOM)
    make_features(home, "per_piece")
    before = tree(home)
    result = examine(CHECK, home, python=python)
    if sys.platform == "linux":
        assert tree(home) == before
    assert findings(result) == [("custom-features-not-loading.writes", WARN)]
    assert set(result.findings[0].evidence["paths"]) == {str(home / "mdm.yaml"), str(home)}  # type: ignore[arg-type] # a list
    put(home, CUSTOM)
    assert examine(CHECK, home, python=python).findings == ()


WRITERS = {
    "it registers": CUSTOM.replace("self._operation_registry =", "open({place!r}, 'w')\n        x ="),
    "it is loaded": "open({place!r}, 'w')\n" + CUSTOM,
    "it runs": CUSTOM.replace("return {", "open({place!r}, 'w')\n        return {"),
}


@pytest.mark.parametrize("when", WRITERS)
@pytest.mark.parametrize(("place", "severity"), [("home/log.txt", WARN), ("elsewhere.txt", NOTE)])
def test_a_file_failing_only_for_its_writes_is_found_once(
    home: Path, python: str, examine: Examine, when: str, place: str, severity: Severity
) -> None:
    make_features(home, "per_piece")
    source = WRITERS[when].replace("{place!r}", repr(str(home.parent / place)))
    path = put(home, source)
    result = examine(CHECK, home, python=python)
    assert findings(result) == [("custom-features-not-loading.writes", severity)]
    assert f"{path} was tested only until it tried to write to {home.parent / place}" in result.reason
    assert not (home.parent / place).exists()


def test_what_a_file_prints_is_ignored(home: Path, python: str, examine: Examine) -> None:
    put(home, "import sys\nprint('x' * 1_000_000)\nprint('[\"raised\", {}]', file=sys.stderr)\n" + CUSTOM)
    make_features(home, "per_piece")
    assert examine(CHECK, home, python=python).findings == ()


FORGERY = """
import os
for number in range(3, 30):
    try:
        os.write(number, b'["failed", 7]\\n["made", 1]\\n["raised", 5]\\n["operations", {}]\\n')
    except OSError:
        pass
"""


def test_forged_answers_of_a_file_are_ignored(home: Path, python: str, examine: Examine) -> None:
    put(home, FORGERY + CUSTOM)
    make_features(home, "per_piece")
    assert examine(CHECK, home, python=python).findings == ()


def test_no_value_of_the_data_and_no_password_is_in_a_result(home: Path, python: str, examine: Examine) -> None:
    telling = CUSTOM.replace(
        "return {", "raise ValueError(f\"'{df['customer'][0]}' password=hunter2\")\n        return {"
    )
    put(home, telling)
    result = examine(CHECK, home, python=python)
    assert "ValueError: '…' password=***" in the(result, f"{CHECK}.operation-fails").message
    assert "c0165" not in repr(result)


PLACES: dict[str, tuple[str, Severity, str]] = {
    "no dataset": ("custom-features-not-loading.unknown-dataset", WARN, "config/custom_features/shopp.py"),
    "capital letters": ("custom-features-not-loading.unknown-dataset", WARN, "config/custom_features/Shop.py"),
    "another folder": ("custom-features-not-loading.wrong-place", WARN, "custom_features/shop.py"),
    "a folder of its own": ("custom-features-not-loading.wrong-place", WARN, "config/custom_features/shop/shop.py"),
    "a package": ("custom-features-not-loading.wrong-place", WARN, "config/custom_features/shop/__init__.py"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_misplaced_file_is_found_and_repaired_by_moving_it(home: Path, examine: Examine, name: str) -> None:
    code, severity, place = PLACES[name]
    (home / place).parent.mkdir(parents=True, exist_ok=True)
    (home / place).write_text(CUSTOM)
    result = examine(CHECK, home)
    assert findings(result) == [(code, severity)]
    assert result.findings[0].remedy.commands == ()
    assert "Keep" in result.findings[0].remedy.text
    assert not any(word in result.findings[0].remedy.text for word in ("remove", "delete"))
    (home / place).rename(folder(home) / "shop.py")
    assert examine(CHECK, home).findings == ()


def test_settings_move_the_place(home: Path, examine: Examine) -> None:
    (home / "mdm.yaml").write_text("paths: {custom_features_path: mine}\n")
    (home / "mine").mkdir()
    (home / "mine" / "shop.py").write_text(CUSTOM)
    assert examine(CHECK, home).findings == ()
    put(home, CUSTOM)
    assert findings(examine(CHECK, home)) == [("custom-features-not-loading.wrong-place", WARN)]


def test_a_module_that_the_index_omits_is_found_and_repaired(
    home: Path, make_python: MakePython, examine: Examine
) -> None:
    python = str(make_python(FUNCTIONS_ONLY))
    make_features(home, "per_piece")
    put(home, DECORATED)
    put(home, "from . import shop\n__all__ = []\n", "__init__.py")
    assert findings(examine(CHECK, home, python=python)) == [("custom-features-not-loading.not-listed", WARN)]
    put(home, "from . import shop\n__all__ = ['shop']\n", "__init__.py")
    result = examine(CHECK, home, python=python)
    assert (result.findings, result.examined) == ((), 2)


def test_an_index_that_mdm_does_not_read_is_only_a_note(home: Path, python: str, examine: Examine) -> None:
    make_features(home, "per_piece")
    put(home, CUSTOM)
    put(home, "", "__init__.py")
    assert findings(examine(CHECK, home, python=python)) == [("custom-features-not-loading.not-listed", NOTE)]


def test_a_damaged_index_is_found(home: Path, examine: Examine) -> None:
    put(home, CUSTOM)
    put(home, "from . import (\n", "__init__.py")
    finding = the(examine(CHECK, home), "custom-features-not-loading.syntax")
    assert finding.subject == str(folder(home) / "__init__.py")


def test_helpers_are_no_features(home: Path, python: str, examine: Examine) -> None:
    put(home, CUSTOM)
    put(home, "raise SystemExit\ndef helper(): ...\n", "_common.py")
    put(home, "not even Python", "notes.txt")
    make_features(home, "per_piece")
    result = examine(CHECK, home, python=python)
    assert (result.findings, result.examined) == ((), 2)


def test_a_file_for_another_mdm_is_found_and_passes_if_it_fits(
    home: Path, python: str, make_python: MakePython, examine: Examine
) -> None:
    other = str(make_python(FUNCTIONS_ONLY, name="other"))
    make_features(home, "per_piece")
    put(home, DECORATED)
    assert examine(CHECK, home, python=other).findings == ()
    result = examine(CHECK, home, python=python)
    assert findings(result)[0] == ("custom-features-not-loading.fails-to-load", FAIL)
    makeshift = "    custom_feature = lambda **options: lambda function: function\n"
    importing, _, rest = DECORATED.partition("\n")
    put(home, f"try:\n    {importing}\nexcept ImportError:\n{makeshift}{rest}")
    assert findings(examine(CHECK, home, python=python)) == [("custom-features-not-loading.other-api", FAIL)]
    assert examine(CHECK, home, python=other).findings == ()


def test_a_decorated_feature_that_was_not_made_yet_is_found(
    home: Path, make_python: MakePython, examine: Examine
) -> None:
    put(home, DECORATED)
    result = examine(CHECK, home, python=str(make_python(FUNCTIONS_ONLY)))
    assert "creates features that are not in train_features: per_piece" in the(result, f"{CHECK}.not-in-table").message


def test_the_remedy_for_a_bare_function_fits_the_installed_mdm(
    home: Path, python: str, make_python: MakePython, examine: Examine
) -> None:
    put(home, BARE)
    code = "custom-features-not-loading.bare-functions"
    assert "BaseDomainFeatures" in the(examine(CHECK, home, python=python), code).remedy.text
    other = str(make_python(FUNCTIONS_ONLY, name="other"))
    assert "@custom_feature" in the(examine(CHECK, home, python=other), code).remedy.text


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("damage", [make_fifo, make_folder, make_dangling])
def test_what_is_no_file_is_found_and_passes_repaired(
    home: Path, python: str, examine: Examine, damage: Callable[[Path], None]
) -> None:
    make_features(home, "per_piece")
    path = put(home, CUSTOM)
    damage(path)
    assert findings(examine(CHECK, home, python=python)) == [("custom-features-not-loading.unreadable", FAIL)]
    path.rmdir() if path.is_dir() else path.unlink()
    put(home, CUSTOM)
    assert examine(CHECK, home, python=python).findings == ()


def test_a_file_used_last_time_is_missed_until_it_is_restored(home: Path, examine: Examine) -> None:
    with (home / "logs/mdm.log").open("a") as file:
        for message in (
            "Generating features for dataset 'shop'",
            f"Loading custom features from {folder(home)}/shop.py",
        ):
            file.write(f"2026-11-23 08:18:38 | INFO | mdm.features.generator:f:1 - {message}\n")
    finding = the(examine(CHECK, home), "custom-features-not-loading.gone")
    assert finding.severity is WARN
    assert f"{folder(home)}/shop.py" in finding.message
    put(home, CUSTOM)
    assert examine(CHECK, home).findings == ()


def test_features_of_a_dataset_without_a_feature_table_are_found(home: Path, python: str, examine: Examine) -> None:
    put(home, CUSTOM, "big.py")
    finding = the(examine(CHECK, home, python=python), "custom-features-not-loading.not-in-table")
    assert "creates features that are not in any feature table: per_piece" in finding.message


def test_features_are_remade_without_deleting_the_dataset(
    home: Path, make_home: MakeHome, python: str, examine: Examine
) -> None:
    sources = make_home("raw", "raw")
    put(home, CUSTOM)
    finding = the(examine(CHECK, home, python=python), "custom-features-not-loading.not-in-table")
    assert finding.remedy.commands == ()
    assert f"{sources}/shop" in finding.remedy.text
    assert "deletes the folder" in finding.remedy.text


def test_data_that_cannot_be_read_leaves_the_loading(home: Path, python: str, examine: Examine) -> None:
    put(home, CUSTOM)
    (home / "datasets/shop/shop.sqlite").write_bytes(b"no database at all, whatever its name says" * 100)
    result = examine(CHECK, home, python=python)
    assert result.findings == ()
    assert f"{folder(home)}/shop.py was not run on data" in result.reason


def test_an_mdm_that_has_no_custom_features_is_a_gap(home: Path, make_python: MakePython, examine: Examine) -> None:
    put(home, CUSTOM)
    result = examine(CHECK, home, python=str(make_python()))
    assert (result.status, result.findings) == (Status.PASS, ())
    assert "no file was loaded: the base of custom features cannot be imported" in result.reason


def test_a_thousand_files_are_bounded(home: Path, examine: Examine) -> None:
    for number in range(1000):
        put(home, CUSTOM, f"dataset{number}.py")
    result = examine(CHECK, home)
    assert result.examined == 500
    assert f"only 500 of 1000 files in {folder(home)} were examined" in result.reason


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep the answers apart")
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n", "was killed by SIGKILL"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "was not loaded to its end"),
        ("x = bytearray(8 * 1024 ** 3)\n", "it took more memory than a trial may"),
    ],
)
def test_a_file_that_ends_who_examines_it_is_an_error(
    home: Path, python: str, examine: Examine, source: str, says: str
) -> None:
    put(home, source + CUSTOM)
    make_features(home, "per_piece")
    result = examine(CHECK, home, python=python)
    assert result.status is Status.ERROR
    assert says in result.reason
